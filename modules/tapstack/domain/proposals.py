"""The commands that `show` and notifications propose for an incident, each with its effect as a comment behind it.

The effects have no character that a shell acts on. So a shell that takes no comments, as zsh by default, passes them to
the command, which refuses them: nothing is done by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

URL_VARIABLE: Final = "TAPSTACK_URL"
"""The environment variable that names the API to the commands."""
CHOOSE: Final = "Commands possible now (choose one):"
"""The heading of proposals that are alternatives, not steps."""
_OVERRIDE: Final = 'override --reason "no other person is available"'
EFFECTS: Final[Mapping[str, str]] = {
    "show": "shows its state and changes nothing",
    "close": "ends the capture and does NOT release the instance",
    "contain --dry-run": "shows what would change",
    "contain --mode now --dry-run": "shows what would change",
    "contain --mode approval": "isolates the instance once that is approved",
    "contain --mode now": "isolates the instance at once without an approval",
    "contain --mode now --skip-wait": "isolates the instance within 15 seconds",
    "approve --dry-run": "shows what would change",
    "approve": "isolates the instance",
    "reject": "leaves the instance connected",
    _OVERRIDE: "isolates the instance without another person",
    "release --dry-run": "shows what would be restored",
    "release": "RECONNECTS the instance as it was before",
    "release --overwrite": "RECONNECTS the instance as it was before and discards what was changed outside Tapstack",
    "release --keep": "keeps what was changed outside Tapstack and restores the rest",
    "release --all": "RECONNECTS the instance for all incidents that contain it",
}
"""What each command does, by its name and its options."""
CLOSE_REJECTS: Final = "ends the capture and rejects the containment"
CLOSE_CONTAINS: Final = "ends the capture and isolates the instance at once"
LEAVES_REFUSED: Final = "leaves what AWS refuses as it is"
GOES_ON: Final = "isolates the instance and needs no new approval"
ISOLATES_THE_REST: Final = "isolates what is not isolated and needs no new approval"


def pending_commands(*, overrides: bool) -> tuple[str, ...]:
    """Return the commands for a pending containment.

    Args:
        overrides: it overrides what protects the instance, which takes another person.
    """
    return ("approve --dry-run", "approve", "reject", *(() if overrides else (_OVERRIDE,)))


def proposal(incident_id: str, command: str, options: str = "", *, effect: str | None = None) -> str:
    """Return a command for an incident as it is proposed.

    Args:
        incident_id: which.
        command: its name with its options, a key of `EFFECTS`.
        options: further ones, which do not change the effect, with a space before each.
        effect: in place of that of `EFFECTS`.

    >>> proposal("inc-1", "release --dry-run")
    'tapstack incident release inc-1 --dry-run  # shows what would be restored'
    """
    name, _, given = command.partition(" ")
    behind = f" {given}" if given else ""
    return f"tapstack incident {name} {incident_id}{behind}{options}  # {effect or EFFECTS[command]}"
