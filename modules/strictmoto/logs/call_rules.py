"""What CloudWatch Logs takes, besides what the constraints of its model say.

Source: CloudWatch Logs API Reference, PutRetentionPolicy (the values of retentionInDays). The text is inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal

_YEARS: Final = (365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_DAYS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, *_YEARS)
"""For how many days a log group may keep its events."""


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why CloudWatch Logs refuses a call."""
    if action == "PutRetentionPolicy" and (days := requested.get("retentionInDays")) not in _DAYS:
        yield Refusal(
            "InvalidParameterException",
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(map(str, _DAYS))}]",
        )
