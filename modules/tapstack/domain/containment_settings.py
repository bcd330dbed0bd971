"""What may be said about containment: its modes, its numbers, and what a policy action means for it.

Sources: Amazon EC2 User Guide, "Amazon EC2 security group connection tracking" (the idle timeout of
established TCP connections: 60 to 432000 seconds); AWS Step Functions Developer Guide, "Wait" states.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from tapstack.domain.errors import RuleViolation

Mode = Literal["approval", "now"]
"""Somebody has to agree first, or nobody has to."""
Asked = Literal["none", "approval", "now"]
"""What a request to open an incident asks for."""
WhenNobodyAnswers = Literal["leave", "contain"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
ASKED: Final[tuple[Asked, ...]] = get_args(Asked)
STATES: Final = (
    "pending",
    "containing",
    "contained",
    "releasing",
    "released",
    "rejected",
    "failed",
    "blocked",
)
"""`pending` waits for somebody's yes; `blocked` is a release that would overwrite what others changed."""
DECISIONS: Final = ("approved", "rejected", "default")

APPROVAL_MINUTES: Final = (1, 1440)
PER_HOUR: Final = (1, 1000)
TWO_STEP_SECONDS: Final = (1, 3600)
TCP_ESTABLISHED_SECONDS: Final = (60, 432_000)
FURTHER_VPCS: Final = 9
"""Each has a pair of groups in the functions' environment, which holds 4 KB."""

MODE_OF_ACTION: Final[dict[str, Mode]] = {"contain_on_approval": "approval", "contain_now": "now"}
"""The mode that an action of the policy contains in; both capture as well."""


def check_action(action: str, modes: tuple[str, ...] | None) -> None:
    """Refuse an action of the policy that the deployment's containment does not allow.

    Args:
        action: of a rule.
        modes: that are allowed; None where containment is not configured.
    """
    mode = MODE_OF_ACTION.get(action)
    if mode is None or mode in (modes or ()):
        return
    if modes is None:
        raise RuleViolation(f"{action} needs containment, which is not configured here")
    raise RuleViolation(f"{action} needs the mode {mode}: containment.modes has {', '.join(modes)}")


def undo_containment_command(incident_id: str) -> str:
    """Return the command that puts back what a containment changed."""
    return f"tapstack incident release {incident_id}"
