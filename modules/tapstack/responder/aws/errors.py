"""Which errors of AWS are transient, and what is shown of them: AWS's messages are text from outside, and quoted.

Sources: Amazon EC2 API Reference, "Error codes"; AWS SDKs and Tools Reference Guide,
"Retry behavior".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from tapstack.domain.outside_text import LONG, quoted, word
from tapstack.responder.errors import ApplianceFailed, TryAgain, UnknownIncident

_TRANSIENT: Final = frozenset(
    {
        "EC2ThrottledException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "Throttled",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "Unavailable",
    }
)


def code_of(error: ClientError) -> str:
    """Return the error code that AWS gave."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's code and message in one line; the message is quoted, because it may hold names that others chose."""
    message = str(error.response.get("Error", {}).get("Message") or "")
    return ": ".join(part for part in (word(code_of(error)), quoted(message, LONG) if message else "") if part)


def said_by(error: BaseException) -> str:
    """Return what an error says: what AWS and its client library say is quoted, our own words are not."""
    if isinstance(error, ClientError):
        return message_of(error)
    return quoted(str(error), LONG) if isinstance(error, BotoCoreError | HTTPClientError) else str(error)


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may help: throttling, a server error, a lost connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _TRANSIENT or status == 429 or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError)


@contextmanager
def reporting(problems: list[str], of: str) -> Iterator[None]:
    """Report an error of one thing out of many: the others are handled all the same, and this one the next time.

    Args:
        problems: get a line where there is an error.
        of: what it is, such as an incident's id.
    """
    try:
        yield
    except (BotoCoreError, ClientError, ApplianceFailed, TryAgain, UnknownIncident) as error:
        problems.append(f"{of}: {said_by(error)}")


@contextmanager
def transient_as_try_again() -> Iterator[None]:
    """Raise transient errors as TryAgain, after botocore's own retries."""
    try:
        yield
    except (ClientError, ConnectionError, HTTPClientError) as error:
        if is_transient(error):
            raise TryAgain(said_by(error)) from error
        raise
