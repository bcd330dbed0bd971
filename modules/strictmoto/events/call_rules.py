"""What EventBridge and its Scheduler take of targets, besides what their models say.

What the account cannot deliver to is refused as well, and the message says so: AWS takes it, and here it would get
nothing.

Sources: Amazon EventBridge API Reference, PutTargets; EventBridge User Guide, "Amazon EventBridge and AWS Identity and
Access Management" (targets that need a role), "Amazon EventBridge quotas". The texts are those that EventBridge sends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.arns import is_somewhere

_WITH_ROLES: Final = frozenset({"batch", "ecs", "firehose", "kinesis", "states"})
"""The services whose targets need a role: they have no policy that could let EventBridge."""
_INVALID: Final = "ValidationException"
_REACHED: Final = ("lambda:function", "states:stateMachine", "sqs:", "sns:", "events:event-bus", "logs:log-group")
"""What the account delivers to: the service, and what the resource begins with. strictmoto.events.targets does it."""


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why EventBridge refuses a call."""
    if action != "PutTargets":
        return
    for target in requested.get("Targets") or ():
        arn = str(target.get("Arn"))
        if not is_somewhere(arn):
            yield Refusal(_INVALID, f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.")
        elif arn.split(":")[2] in _WITH_ROLES and not target.get("RoleArn"):
            yield Refusal(_INVALID, f"RoleArn is required for target {arn}.")
        elif not _is_reached(arn):
            yield _unreached(arn)


def refusals_of_schedules(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why EventBridge Scheduler refuses a call."""
    arn = str((requested.get("Target") or {}).get("Arn"))
    # The ARN of an action of the SDK names no Region.
    if action in ("CreateSchedule", "UpdateSchedule") and is_somewhere(arn) and not _is_reached(arn):
        yield _unreached(arn)


def _is_reached(arn: str) -> bool:
    parts = arn.split(":", 5)
    return f"{parts[2]}:{parts[5]}".startswith(_REACHED)


def _unreached(arn: str) -> Refusal:
    return Refusal(
        _INVALID,
        f"strictmoto cannot deliver to {arn}: it delivers to functions, state machines, queues, topics, event buses "
        "and log groups",
    )
