"""Client tokens: a request that is sent again makes nothing again, and other parameters with its token are refused.

Source: Amazon EC2 API Reference, "Ensuring idempotency in Amazon EC2 API requests" and "Error codes for the Amazon EC2
API" (IdempotentParameterMismatch).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError

_TABLE: Final = "client_tokens"
"""Where moto's backend of an account and a Region keeps them, which a reset empties."""
_NOT_ASKED: Final = frozenset({"Action", "Version", "ClientToken", "DryRun"})
# Of all accounts: what is asked and what is remembered of it must not be parted.
_lock: Final = threading.RLock()


def answer_once(response: Any, perform: Callable[[], Any]) -> Any:
    """Answer a request; where its token was seen before, as then, and without doing it again.

    Args:
        response: of moto, which has read the request.
        perform: does what is asked, and returns status, headers and body.

    Raises:
        EC2ClientError: the token was used with other parameters.
    """
    query = response.querystring
    token = (query.get("ClientToken") or [""])[0]
    if not token:
        return perform()
    # A signature in the query is not what is asked, either.
    asked = {name: value for name, value in query.items() if name not in _NOT_ASKED and name[:6] != "X-Amz-"}
    with _lock:
        seen = vars(response.ec2_backend).setdefault(_TABLE, {})
        key = (response._get_action(), token)
        if key not in seen:
            answered = perform()
            # A request that fails uses no token up.
            if answered[0] < 400:
                seen[key] = (asked, answered)
            return answered
        before, answered = seen[key]
    if asked != before:
        raise EC2ClientError(
            "IdempotentParameterMismatch",
            f"The client token '{token}' was used with other parameters in a request before",
        )
    return answered
