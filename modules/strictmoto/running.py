"""The account that runs in this process, for the services that act by themselves: functions, workflows, schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strictmoto.identity.callers import AccessKeys
    from strictmoto.identity.issuers import Issuers
    from strictmoto.recorder import Recorder


class Waits:
    """How long the waits of the account's services last: wait states, retries, task tokens, schedules, snapshots.

    Attributes:
        scale: what every such wait is multiplied by: 1 lasts as long as on AWS, 0.001 makes an
            hour 3.6 seconds. How long a function may run, and how long a task that no token ends
            may take, is never scaled: that is work, no waiting.
    """

    def __init__(self) -> None:
        """Begin with waits as long as AWS's."""
        self.scale = 1.0

    @property
    def scale(self) -> float:
        """What every wait is multiplied by; above 0 and at most 1.

        Raises:
            ValueError: set to something else.
        """
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        """Set it."""
        if not 0 < scale <= 1:
            raise ValueError(f"scale must be above 0 and at most 1, got {scale}")
        self._scale = scale

    def of(self, seconds: float) -> float:
        """Return how many seconds a wait of that many lasts here."""
        return max(seconds, 0.0) * self._scale


@dataclass(slots=True)
class Running:
    """What services that act by themselves need to know of the account.

    Attributes:
        endpoint: where they call it.
        keys: whose access keys there are.
        waits: how long their waits last.
        recorder: keeps the calls.
        issuers: whose keys verify the tokens of identity providers.
        enforces_iam: whether what IAM does not allow is refused.
        at_reset: what they want called before the account forgets everything: to end their
            processes and threads. Called once each; they register when they begin something.
    """

    endpoint: str
    keys: AccessKeys
    waits: Waits
    recorder: Recorder
    issuers: Issuers
    enforces_iam: bool = False
    at_reset: list[Callable[[], None]] = field(default_factory=list)

    def end_all(self) -> None:
        """End what services began."""
        while self.at_reset:
            self.at_reset.pop()()


_current: list[Running] = []


def begin(running: Running) -> None:
    """Note the account that runs from now on."""
    _current[:] = [running]


def end() -> None:
    """Note that none runs any more."""
    _current.clear()


def is_running() -> bool:
    """Return whether an account runs, and not moto alone."""
    return bool(_current)


def enforces_iam() -> bool:
    """Return whether an account runs that refuses what IAM does not allow."""
    return is_running() and _current[0].enforces_iam


def running() -> Running:
    """Return the account that runs.

    Raises:
        RuntimeError: none runs.
    """
    if not _current:
        raise RuntimeError("no account runs")
    return _current[0]
