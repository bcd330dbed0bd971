"""For whom the work on a stack is done: with its service role, or with the permissions of who called CloudFormation.

Sources: CloudFormation User Guide, "CloudFormation service role"; API Reference, CreateStack and DeleteStack (RoleARN).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from moto.cloudformation.exceptions import ValidationError

from strictmoto.cloudformation.s3_urls import SERVICE
from strictmoto.identity.behalf import BEHALF, Behalf
from strictmoto.identity.callers import CALLER
from strictmoto.identity.principals import CannotAssumeError, assume
from strictmoto.running import is_running, running

_SESSION: Final = "AWSCloudFormation"


def acting_for(stack: Any, work: Callable[[], None], role_arn: str | None = None) -> Callable[[], None]:
    """Return work on a stack that makes its calls with the permissions that count; a nested stack has its parent's.

    Args:
        stack: that is worked on.
        work: what is done.
        role_arn: of its service role from now on; the one that it has by default.

    Raises:
        ValidationError: the role cannot be assumed any more.
    """
    caller = CALLER.get()
    if BEHALF.get() is not None or caller is None or not is_running():
        return work
    role = role_arn or stack.role_arn
    behalf = _with_role(stack, role) if role else Behalf(caller, SERVICE, forwarded=True)

    @functools.wraps(work)
    def act() -> None:
        token = BEHALF.set(behalf)
        try:
            work()
        finally:
            BEHALF.reset(token)

    return act


def _with_role(stack: Any, role_arn: str) -> Behalf:
    try:
        keys = assume(role_arn, _SESSION, stack.region_name, service=SERVICE, source_arn=stack.stack_id)
    except CannotAssumeError as error:
        raise ValidationError(message=f"Role {role_arn} is invalid or cannot be assumed") from error
    found = running().keys.find(keys.access_key_id, stack.region_name)
    if found is None:
        raise RuntimeError(f"the session of {role_arn} is gone")
    return Behalf(found.caller, SERVICE, forwarded=False)
