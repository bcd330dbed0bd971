"""An alert as it came, while it waits to be decided about.

Source: Amazon SQS API Reference, SendMessage: the characters that a message may have, and 256 KB of them in UTF-8.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Final

_NOT_IN_MESSAGES: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """An alert as it came, from the moment that it is promised to its sender.

    Attributes:
        source: that it came from: a name of `response.alerts.sources`, or `securityhub`.
        delivery: by what it is known when it comes again. Where a tool sent it: the way, the id that the tool gave it,
            and the hash of its body.
        received_at: when it came, as `as_text` writes it.
        document: what came, as text.
        caller: whom the gateway says that it came from; None where it knew none, as of webhooks and of events.
        person: who that is, as `domain.callers` has it; likewise.
    """

    source: str
    delivery: str
    received_at: str
    document: str
    caller: str | None = None
    person: str | None = None

    def as_json(self) -> str:
        """Return it as a queue holds it: with at most twice the bytes of its document, and as much as the rest needs.

        What JSON may leave as it is stays, because an escape has six characters for one, and a message has a limit.
        """
        text = json.dumps(asdict(self), ensure_ascii=False)
        # Inside of texts only, where an escape stands for them.
        return _NOT_IN_MESSAGES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def kept_alert(text: str) -> KeptAlert:
    """Read what `KeptAlert.as_json` wrote.

    Raises:
        ValueError: it is something else.
        TypeError: likewise.
    """
    return KeptAlert(**json.loads(text))
