"""The commands that `show` and notifications propose for an incident, each with its effect as a comment behind it.

The effects have no character that a shell acts on. So a shell that takes no comments, as zsh by default, passes them to
the command, which refuses them: nothing is done by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

URL_VARIABLE: Final = "TAPSTACK_URL"
"""The environment variable that names the API to the commands."""
CHOOSE: Final = "Commands possible now (choose one):"
"""The heading of proposals that are alternatives, not steps."""
_ENDS: Final = "ends the capture"
SKIP_WAIT: Final = "contain --mode now --skip-wait"
"""Also ends a wait for packets that has begun."""
_OVERRIDE: Final = 'override --reason "no other person is available"'
EFFECTS: Final[Mapping[str, str]] = {
    "show": "shows its state and changes nothing",
    "close": f"{_ENDS} and does NOT release the instance",
    "contain --dry-run": "shows what would change",
    "contain --mode now --dry-run": "shows what would change",
    "contain --mode approval": "isolates the instance once that is approved",
    "contain --mode now": "isolates the instance at once without an approval",
    SKIP_WAIT: "isolates the instance within 15 seconds",
    "approve --dry-run": "shows what would change",
    "approve": "isolates the instance",
    "reject": "leaves the instance connected",
    _OVERRIDE: "isolates the instance without another person",
    "release --dry-run": "shows what would be restored",
    "release": "RECONNECTS it as before, unless another incident contains it",
    "release --overwrite": "RECONNECTS the instance as it was before and discards what was changed outside Tapstack",
    "release --keep": "keeps what was changed outside Tapstack and restores the rest",
    "release --all": "RECONNECTS the instance for all incidents that contain it",
}
"""What each command does, by its name and its options."""
_WAITING: Final = ("contain --mode approval", "contain --mode now", "approve", _OVERRIDE)
"""The commands whose containment waits for packets first, where the deployment says so."""
LEAVES_REFUSED: Final = "leaves what AWS refuses as it is"
GOES_ON: Final = "isolates the instance and needs no new approval"
DOES_THE_REST: Final = "does what is not done yet and needs no new approval"


def pending_commands(*, overrides: bool) -> tuple[str, ...]:
    """Return the commands for a pending containment.

    Args:
        overrides: it overrides what protects the instance, which takes another person.
    """
    return ("approve --dry-run", "approve", "reject", *(() if overrides else (_OVERRIDE,)))


def close_effect(containment: object, *, waits_for_packets: bool, does: str | None = None) -> str:
    """Return the effect of closing an incident, which answers a containment that is not done yet.

    Args:
        containment: the state of its containment; none where none was requested.
        waits_for_packets: it is decided, and waits for packets.
        does: what closing does besides, of an incident that captures nothing any more.

    >>> close_effect("pending", waits_for_packets=False, does="deletes what remains")
    'deletes what remains and rejects the containment'
    """
    if containment == "pending":
        return f"{does or _ENDS} and rejects the containment"
    if waits_for_packets:
        return f"{does or _ENDS} and isolates the instance at once"
    return does or EFFECTS["close"]


def contain_commands(modes: Sequence[str], *, wait: int | None = None) -> list[str]:
    """Return the commands that contain an instance which is not contained.

    Args:
        modes: in which it can be contained.
        wait: how many seconds it waits for packets at most, which one of them does not.
    """
    return [f"contain --mode {mode}" for mode in modes] + [SKIP_WAIT] * (wait is not None and "now" in modes)


def proposal(
    incident_id: str, command: str, options: str = "", *, effect: str | None = None, wait: int | None = None
) -> str:
    """Return a command for an incident as it is proposed.

    Args:
        incident_id: which.
        command: its name with its options, a key of `EFFECTS`.
        options: further ones, which do not change the effect, with a space before each.
        effect: in place of that of `EFFECTS`.
        wait: how many seconds a containment that is decided now waits for packets at most; none where it does not.

    >>> proposal("inc-1", "release --dry-run")
    'tapstack incident release inc-1 --dry-run  # shows what would be restored'
    """
    name, _, given = command.partition(" ")
    behind = f" {given}" if given else ""
    return f"tapstack incident {name} {incident_id}{behind}{options}  # {effect or _effect(command, wait)}"


def _effect(command: str, wait: int | None) -> str:
    effect = EFFECTS[command]
    if wait is None or command not in _WAITING:
        return effect
    return f"{effect.replace(' at once', '')}, after at most {wait} seconds of waiting for packets"
