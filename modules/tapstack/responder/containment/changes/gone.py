"""Resources that no longer exist, and resources of others that have the same name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from tapstack.responder.aws.errors import code_of, message_of


class Gone(Exception):  # noqa: N818 - it is no error: nothing is left to change
    """The resource no longer exists."""


class NotManaged(Exception):  # noqa: N818 - it is no error: Tapstack does not change it
    """A resource that containment did not create has the name that it would use."""


@contextmanager
def gone_when(*codes: str) -> Iterator[None]:
    """Raise Gone for errors with one of these codes."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in codes:
            raise Gone(message_of(error)) from error
        raise
