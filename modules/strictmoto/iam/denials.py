"""The errors with which services refuse what IAM does not allow.

Sources: IAM User Guide, "Troubleshoot access denied error messages"; Amazon EC2 API Reference, "Error codes for the
Amazon EC2 API", UnauthorizedOperation; the API Reference of each service, "Common Errors" (JSON services answer 400).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strictmoto.front.refusals import refusal
from strictmoto.iam.evaluation import Denial
from strictmoto.iam.policies import Caller
from strictmoto.requests.calls import Call

# Where it is not their protocol's usual way.
_CODES: Final = {"ec2": (403, "UnauthorizedOperation"), "sns": (403, "AuthorizationError")}
OF_KEYS: Final = {"sns": "KMSAccessDenied", "sqs": "KmsAccessDenied"}
"""The codes with which services refuse who may not use the key of a queue or a topic."""
_FORMER: Final = {"KmsAccessDenied": "KMS.AccessDeniedException"}
"""The codes of SQS in the protocol that it spoke before."""
_JSON: Final = frozenset({"json", "smithy-rpc-v2-cbor"})
_EC2: Final = "You are not authorized to perform this operation. "


class NotAllowed(Exception):  # noqa: N818 - what it is, not that it is an error
    """IAM refuses a call; the message says why.

    Attributes:
        code: of the error; the service's own for what is not authorized, where it is empty.
        status: of HTTP, with a code.
    """

    def __init__(self, message: str, code: str = "", status: int = 400) -> None:
        """Say why."""
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that refuses a call."""

    status: int
    headers: dict[str, str]
    body: bytes


def message_of(denial: Denial, caller: Caller) -> str:
    """Return AWS's message for a denial, and which condition keys the account did not know."""
    # An action without resources names none.
    where = "" if denial.resource == "*" else f" on resource: {denial.resource}"
    message = f"User: {caller.shown} is not authorized to perform: {denial.action}{where} {denial.reason}"
    if denial.unknown:
        message += f" (strictmoto gives no value to {', '.join(denial.unknown)}, which a policy compares)"
    return message


def refuse(call: Call, error: NotAllowed) -> Refusal:
    """Return the answer of the service that was called."""
    status, code = (error.status, error.code) if error.code else _usual(call)
    message = f"{_EC2}{error}" if call.service == "ec2" and not error.code else str(error)
    headers, body = refusal(call.protocol, code, message)
    if call.service == "sqs" and call.protocol == "json":
        # SQS spoke another protocol before, and its clients still see that error code.
        headers["x-amzn-query-error"] = f"{_FORMER.get(code, 'AccessDenied')};Sender"
    return Refusal(status, headers, body)


def _usual(call: Call) -> tuple[int, str]:
    if call.service in _CODES:
        return _CODES[call.service]
    if call.protocol in _JSON:
        return (403 if call.service == "sqs" else 400), "AccessDeniedException"
    return 403, "AccessDeniedException" if call.protocol == "rest-json" else "AccessDenied"
