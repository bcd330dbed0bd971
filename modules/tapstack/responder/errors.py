"""The errors that the workflow knows by name: Lambda reports a class's name as the error's type.

Source: AWS Step Functions Developer Guide, "Handling errors in Step Functions workflows".
"""

from __future__ import annotations


class NothingToCapture(Exception):  # noqa: N818 - the workflow's own word
    """There is no network interface that could be mirrored; trying again changes nothing."""


class ApplianceFailed(Exception):  # noqa: N818
    """The appliance could not be launched, or not be taken away."""


class NothingMirrored(Exception):  # noqa: N818
    """AWS mirrors none of the interfaces; the incident says why for each."""


class TryAgain(Exception):  # noqa: N818
    """Something that passes: throttling, a lost answer, a late one. The workflow tries the step again."""


class UnknownIncident(Exception):  # noqa: N818
    """The table has no such incident."""


class Conflict(Exception):  # noqa: N818
    """What is asked for does not go with the state that the incident is in."""


class ContainmentRefused(Exception):  # noqa: N818
    """The instance must not, or cannot, be contained; nothing was changed."""


class ContainmentFailed(Exception):  # noqa: N818
    """The instance could not be contained, or not be released; what was changed is recorded."""
