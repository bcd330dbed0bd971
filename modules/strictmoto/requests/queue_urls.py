"""Which queue an address of SQS names: one reading for IAM and for SQS.

Source: Amazon SQS Developer Guide, "Queue and message identifiers" (queue name and URL).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_QUEUE: Final = re.compile(r"(?:(?:https?://([^/?#@]+))?/(\d{12})/)?([\w-]{1,80}(?:\.fifo)?)", re.ASCII)
_OF_A_REGION: Final = re.compile(r"(?:sqs\.([\w-]+)|([\w-]+)\.queue)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)", re.ASCII)


class Queue(NamedTuple):
    """What an address names.

    Attributes:
        name: of the queue.
        account: whose it is; empty for the caller's own.
        region: that the host is of; empty where it is no host of AWS.
    """

    name: str
    account: str = ""
    region: str = ""


def queue_named_by(url: str) -> Queue | None:
    """Return the queue that an address, a path or a name alone stands for; None for what is no address of a queue."""
    match = _QUEUE.fullmatch(url)
    if match is None:
        return None
    host = _OF_A_REGION.fullmatch(match[1] or "")
    return Queue(match[3], match[2] or "", (host[1] or host[2]) if host else "")
