"""What each service takes: calls that it refuses whoever makes them, with the error that it answers.

moto takes most of them. Checked is what the call itself says; what the account has is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.constraints import refusal_of_constraints
from strictmoto.call_rules.refusal import Refusal
from strictmoto.call_rules.required import refusal_of_required
from strictmoto.call_rules.tags import refusal_of_tags
from strictmoto.dynamodb import call_rules as transactions
from strictmoto.events import call_rules as event_targets
from strictmoto.iam.policy_rules import refusal_of_policies
from strictmoto.lambda_ import call_rules as functions
from strictmoto.logs import call_rules as log_groups
from strictmoto.requests.calls import Call
from strictmoto.requests.structures import requested_by
from strictmoto.s3 import call_rules as objects
from strictmoto.sns import call_rules as topics
from strictmoto.sqs import call_rules as queues
from strictmoto.sts.session_rules import refusal_of_sessions

_RULES: Final[Mapping[str, Callable[[str, Mapping[str, Any]], Iterator[Refusal]]]] = {
    "dynamodb": transactions.refusals,
    "events": event_targets.refusals,
    "lambda": functions.refusals,
    "logs": log_groups.refusals,
    "s3": objects.refusals,
    "scheduler": event_targets.refusals_of_schedules,
    "sns": topics.refusals,
    "sqs": queues.refusals,
}
"""By the name that the service signs with."""


def refusal_of_call(call: Call, *, tags: bool = True) -> Refusal | None:
    """Return how a service refuses a call; None where it takes it.

    Args:
        call: what is asked.
        tags: whether its tags are looked at: those of AWS's services may begin with `aws:`.
    """
    # Of a wrong tag services say more than that it breaks a constraint.
    wrong = (refusal_of_tags(call) if tags else None) or refusal_of_required(call) or refusal_of_constraints(call)
    wrong = wrong or refusal_of_sessions(call) or refusal_of_policies(call)
    if wrong is None and (rules := _RULES.get(call.service)):
        wrong = next(rules(call.action, requested_by(call)), None)
    return wrong
