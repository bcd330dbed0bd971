"""What SNS takes.

Sources: Amazon SNS API Reference, Publish, PublishBatch and Subscribe. The texts are those that SNS sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tapstack.rehearsal.tag_rules import Refusal

_ELEMENTS: Final = 6


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why SNS refuses a call."""
    for name, value in requested.items():
        if name.endswith("Arn") and isinstance(value, str) and (count := len(value.split(":"))) < _ELEMENTS:
            yield _invalid(f"{name} Reason: An ARN must have at least {_ELEMENTS} elements, not {count}")


def _invalid(why: str) -> Refusal:
    return Refusal("InvalidParameter", f"Invalid parameter: {why}")
