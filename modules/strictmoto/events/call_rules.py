"""What EventBridge takes of the targets of a rule, besides what its model says.

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
