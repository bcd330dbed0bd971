"""Things that are not there any more, and things of others that stand in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from tapstack.responder.aws.errors import code_of, message_of


class Gone(Exception):  # noqa: N818 - it is no error: nothing is left to change
    """The thing is not there any more."""


class NotManaged(Exception):  # noqa: N818 - it is no error: it is not for us to change
    """Something of others has the name that ours would have."""


@contextmanager
def gone_when(*codes: str) -> Iterator[None]:
    """Raise Gone for errors with one of these codes."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in codes:
            raise Gone(message_of(error)) from error
        raise
