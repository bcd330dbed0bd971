"""The functions of a response: what each does, how long it may run, what it may do, and who invokes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tapstack.domain.function_environment import FunctionEnvironment
from tapstack.domain.iam_documents import Statement
from tapstack.response import containment_policies, policies
from tapstack.response.containment_policies import Containable
from tapstack.response.policies import Permissions

API_SECONDS: Final = 25
"""Below the timeout of the gateway."""
STEP_SECONDS: Final = 120
SWEEP_SECONDS: Final = 300

_Statements: TypeAlias = Callable[[Permissions], list[Statement]]
_ContainmentStatements: TypeAlias = Callable[[Permissions, Containable], list[Statement]]


@dataclass(frozen=True)
class Function:
    """A function of a response.

    Attributes:
        name: of its handler in `tapstack.responder.handlers`; ends its own name.
        description: what it does.
        statements: what it may do; none where it only contains or releases.
        containing: what it may do besides, where instances may be contained.
        timeout_seconds: how long it may run.
        of_containment: it is there only where instances may be contained.
        asynchronous: it is invoked by events and schedules, which end among the dead letters where it fails.
        applies_policy: it decides by the policy, which it has in its environment.
        of_alerts: it is there only where alerts of other tools come in, whose queue it has in its environment.
    """

    name: str
    description: str
    statements: _Statements | None
    containing: _ContainmentStatements | None = None
    timeout_seconds: int = STEP_SECONDS
    of_containment: bool = False
    asynchronous: bool = False
    applies_policy: bool = False
    of_alerts: bool = False

    def is_there(self, *, contains: bool, takes_alerts: bool) -> bool:
        """Return whether a response has it that contains instances, or that takes alerts of other tools."""
        return (contains or not self.of_containment) and (takes_alerts or not self.of_alerts)

    def variables(self, environment: FunctionEnvironment) -> dict[str, str]:
        """Return what it gets in its environment besides what all functions do."""
        return {
            **(environment.policy_variables() if self.applies_policy else {}),
            **(environment.alert_variables() if self.of_alerts else {}),
        }

    def allowed(self, permissions: Permissions, containable: Containable | None) -> list[Statement]:
        """Return all statements of it; those for containment where instances may be contained."""
        return [
            *(self.statements(permissions) if self.statements else ()),
            *(self.containing(permissions, containable) if self.containing and containable else ()),
        ]


FUNCTIONS: Final = (
    Function(
        "api",
        "opens, shows, extends and closes incidents; requests, approves and releases containments",
        policies.api,
        containment_policies.api,
        timeout_seconds=API_SECONDS,
    ),
    Function(
        "findings",
        "evaluates the policy for findings and alerts",
        policies.findings,
        containment_policies.findings,
        asynchronous=True,
        applies_policy=True,
    ),
    Function(
        "alerts",
        "keeps alerts that other tools send",
        policies.alerts,
        timeout_seconds=API_SECONDS,
        of_alerts=True,
    ),
    Function("prepare", "finds the interfaces of an incident", policies.prepare),
    Function("appliance", "launches and deletes the appliance", policies.appliance),
    Function("capture", "starts and ends mirroring", policies.capture),
    Function(
        "incident",
        "notifies, closes an incident at its time of expiry",
        policies.incident,
        containment_policies.incident,
    ),
    Function(
        "sweeper",
        "deletes expired sessions and unused appliances, corrects mirror targets, continues incidents",
        policies.sweeper,
        containment_policies.sweeper,
        timeout_seconds=SWEEP_SECONDS,
        asynchronous=True,
    ),
    Function("containment", "isolates an instance", None, containment_policies.containment, of_containment=True),
    Function("release", "restores the prior state", None, containment_policies.release, of_containment=True),
)
