"""The errors that the workflow handles by name: Lambda reports the name of the class as the error's type.

Source: AWS Step Functions Developer Guide, "Handling errors in Step Functions workflows".
"""

from __future__ import annotations

from typing import Final


class NothingToCapture(Exception):  # noqa: N818 - the workflow uses this name
    """No network interface can be mirrored; retrying does not help."""


class ApplianceFailed(Exception):  # noqa: N818
    """The appliance could not be launched, or could not be deleted."""


class NothingMirrored(Exception):  # noqa: N818
    """AWS mirrors none of the interfaces; the incident has the reason for each."""


class TryAgain(Exception):  # noqa: N818
    """A transient error: throttling, a lost response, eventual consistency. The workflow retries the step."""


class UnknownIncident(Exception):  # noqa: N818
    """The table has no such incident."""


class Conflict(Exception):  # noqa: N818
    """The request conflicts with the state of the incident."""


class OtherPersonNeeded(Exception):  # noqa: N818
    """Whoever requested a containment may not approve it."""


class ContainmentRefused(Exception):  # noqa: N818
    """The instance must not, or cannot, be contained; nothing was changed."""


def is_refusal(failure: str) -> bool:
    """Return whether a failure, as an incident has it, is that a containment was refused."""
    return failure.startswith(ContainmentRefused.__name__)


def without_name(failure: str) -> str:
    """Return a failure, as an incident has it, without the name of our error, which says nothing to a responder."""
    name, colon, said = failure.partition(": ")
    return said if colon and name in OURS else failure


class ContainmentFailed(Exception):  # noqa: N818
    """The instance could not be contained, or could not be released; what was changed is recorded."""


OURS: Final = frozenset(
    each.__name__
    for each in (
        NothingToCapture,
        ApplianceFailed,
        NothingMirrored,
        TryAgain,
        UnknownIncident,
        Conflict,
        OtherPersonNeeded,
        ContainmentRefused,
        ContainmentFailed,
    )
)
"""Names of the errors above: their messages are in our own words, and quote what is not."""
