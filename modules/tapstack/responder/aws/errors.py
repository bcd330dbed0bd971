"""Which errors of AWS are transient.

Sources: Amazon EC2 API Reference, "Error codes"; AWS SDKs and Tools Reference Guide,
"Retry behavior".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from tapstack.responder.errors import TryAgain

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
    """Return AWS's code and message in one line."""
    return f"{code_of(error)}: {error.response.get('Error', {}).get('Message', '')}".strip(": ")


def is_transient(error: BaseException) -> bool:
    """Return whether a retry may help: throttling, a server error, a lost connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in _TRANSIENT or status == 429 or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError)


@contextmanager
def transient_as_try_again() -> Iterator[None]:
    """Raise transient errors as TryAgain, after botocore's own retries."""
    try:
        yield
    except (ClientError, ConnectionError, HTTPClientError) as error:
        if is_transient(error):
            said = message_of(error) if isinstance(error, ClientError) else str(error)
            raise TryAgain(said) from error
        raise
