"""What AWS says of things that are not there any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from tapstack.responder.aws_errors import code_of, message_of


class Gone(Exception):  # noqa: N818 - it is no error: nothing is left to change
    """The thing is not there any more."""


@contextmanager
def gone_when(*codes: str) -> Iterator[None]:
    """Raise Gone for errors with one of these codes."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in codes:
            raise Gone(message_of(error)) from error
        raise
