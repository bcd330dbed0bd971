"""Who may reach a queue, a topic or a bus: its resource policy.

Source: Amazon EventBridge User Guide, "Using resource-based policies for Amazon EventBridge": a rule without a role
reaches them only where their policies allow it.
"""

from __future__ import annotations

import json
from typing import Any

from tapstack.rehearsal.functions.policies import decide
from tapstack.rehearsal.iam.policies import as_list


def allows(policy: str | None, principal: str, action: str, resource: str, source_arn: str) -> bool:
    """Return whether a resource policy allows a service or an account to do something.

    Args:
        policy: JSON; none allows nothing.
        principal: a service, for example events.amazonaws.com, or an account id.
        action: for example sqs:SendMessage.
        resource: whose policy it is.
        source_arn: of the rule on whose behalf it is done.
    """
    statements = as_list(json.loads(policy or "{}").get("Statement", []))
    context = {"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]}
    meant = [statement for statement in statements if _names(statement.get("Principal"), principal)]
    return decide(meant, action, resource, context)


def _names(given: Any, principal: str) -> bool:
    if not isinstance(given, dict):
        return bool(given == "*")
    names = [str(name) for kind in ("Service", "AWS") for name in as_list(given.get(kind, []))]
    return any(name in ("*", principal) or (principal.isdigit() and f"::{principal}:" in name) for name in names)
