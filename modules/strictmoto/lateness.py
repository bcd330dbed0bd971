"""Eventual consistency on demand: a read that is answered from the account as it was before a creation.

Before something is made that a late fault waits for, moto's backends of the services concerned are
copied. The late read then finds the copies in their place, in its own thread only: whatever it asks
for, by id, by filter or by tag, moto itself answers as it would have answered then, errors included.
"""

from __future__ import annotations

import copy
import functools
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from moto.backends import get_backend
from moto.core.base_backend import AccountSpecificBackend

from strictmoto.requests.calls import Call

_log: Final = logging.getLogger(__name__)

Before = Mapping[tuple[str, str, str], Any]
"""Backends by moto's name of the service, account and Region or partition."""

_MOTO_NAMES: Final = {
    "elasticloadbalancing": "elbv2",
    "lambda": "awslambda",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}
# What a call changes besides its own service: stacks are made of resources of others.
_CHANGED_BESIDES: Final = {"cloudformation": ("ec2", "elbv2", "iam")}
_STACK_CHANGES: Final = frozenset({"CreateStack", "ExecuteChangeSet"})
_WRITES_ITEMS: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
_READS_ITEMS: Final = frozenset({"GetItem", "Query", "Scan", "BatchGetItem"})
_CREATES: Final = ("Create", "Run", "Allocate", "Register", "Put", "Copy", "Import", "Start")
_TAGS: Final = frozenset({"CreateTags", "TagResource", "TagResources", "AddTags", "TagRole", "TagQueue"})

_late: ContextVar[Before | None] = ContextVar("late", default=None)


def shows(read: str, call: Call) -> bool:
    """Return whether a read shows what a call creates, by their names and by a few tables."""
    if read in _READS_ITEMS:
        return call.service == "dynamodb" and call.action in _WRITES_ITEMS
    if call.service == "cloudformation" and call.action in _STACK_CHANGES:
        # A stack may hold anything.
        return read.startswith(("Describe", "GetResources"))
    if call.action in _TAGS:
        return read in ("DescribeTags", "GetResources") or (read.startswith("List") and "Tag" in read)
    if not call.action.startswith(_CREATES):
        return False
    if read in ("DescribeTags", "GetResources"):
        return True
    return _singular(re.sub(r"^(Describe|List|Get)", "", read)) == _singular(_made(call.action))


def photograph(call: Call, account: str) -> Before | None:
    """Copy what a call may change; None, with a warning in the log, where that cannot be copied because it runs.

    Args:
        call: which is about to be made.
        account: that it is made in.
    """
    names = [_MOTO_NAMES.get(call.service, call.service), *_CHANGED_BESIDES.get(call.service, ())]
    backends = {}
    for name in names:
        regions: Any = get_backend(name)[account]
        place = call.region if call.region in regions.regions else "aws"
        backends[(name, account, place)] = regions[place]
    _install()
    try:
        return _copied(backends)
    except TypeError as failed:
        # Threads and processes, of functions and executions, have no copy.
        _log.warning(
            "%s cannot be copied before %s (%s): the late faults that wait for this call do not apply to it",
            " and ".join(names),
            call.action,
            failed,
        )
        return None


@contextmanager
def answering_from(before: Before) -> Iterator[None]:
    """Put the copied backends in the place of the real ones, for this thread, inside."""
    token = _late.set(before)
    try:
        yield
    finally:
        _late.reset(token)


def _copied(backends: dict[tuple[str, str, str], Any]) -> Before:
    for attempt in range(1, 6):
        try:
            # Together, so that what they share is shared by the copies.
            return copy.deepcopy(backends)
        except RuntimeError:
            # Another call changed a mapping meanwhile.
            if attempt == 5:
                raise
    raise AssertionError


@functools.cache
def _install() -> None:
    """Let moto's look-up of backends ask whether this thread's read is a late one."""
    accounts: Any = AccountSpecificBackend
    look_up = accounts.__getitem__

    def looked_up(self: Any, region: str) -> Any:
        before = _late.get()
        if before is not None:
            found = before.get((self.service_name, self.account_id, "aws" if region == "global" else region))
            if found is not None:
                return found
        return look_up(self, region)

    accounts.__getitem__ = looked_up


def _made(action: str) -> str:
    return re.sub(rf"^({'|'.join(_CREATES)})", "", action)


def _singular(noun: str) -> str:
    return noun[:-3] + "y" if noun.endswith("ies") else noun.removesuffix("s")
