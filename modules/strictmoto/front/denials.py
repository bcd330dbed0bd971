"""What AWS answers to a request that is not signed as it must be, in the way of the service.

Sources: "Common Errors" of each service's API Reference; Amazon EC2 API Reference, "Error codes for the Amazon EC2
API"; Amazon S3 API Reference, "Error responses". The texts are those that the services send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strictmoto.front.refusals import refusal
from strictmoto.identity.signatures import Reason, Refused

_INVALID: Final = "The security token included in the request is invalid."
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_MISMATCH_OF_S3: Final = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
_SKEWED: Final = "The difference between the request time and the current time is too large."
_EXPIRED: Final = "The security token included in the request is expired"
_EC2_FAILURE: Final = "AWS was not able to validate the provided access credentials"
_EC2_EXPIRED: Final = (400, "RequestExpired", "Request has expired.")
_ITS_OWN: Final = ""
"""The text says what is wrong with this request."""
_MISSING: Final = (403, "MissingAuthenticationToken", "Request is missing Authentication Token")

_QUERY: Final[Mapping[Reason, tuple[int, str, str]]] = {
    "missing": _MISSING,
    "unsupported": (400, "IncompleteSignature", _ITS_OWN),
    "incomplete": (400, "IncompleteSignature", _ITS_OWN),
    "incomplete query": (400, "IncompleteSignature", _ITS_OWN),
    "no payload hash": (400, "IncompleteSignature", _ITS_OWN),
    "unknown key": (403, "InvalidClientTokenId", _INVALID),
    "wrong token": (403, "InvalidClientTokenId", _INVALID),
    "expired token": (403, "ExpiredToken", _EXPIRED),
    "not signed": (403, "SignatureDoesNotMatch", _ITS_OWN),
    "payload": (403, "SignatureDoesNotMatch", _MISMATCH),
    "mismatch": (403, "SignatureDoesNotMatch", _MISMATCH),
    "expired": (403, "SignatureDoesNotMatch", _ITS_OWN),
    "expired query": (403, "SignatureDoesNotMatch", _ITS_OWN),
    "not yet current": (403, "SignatureDoesNotMatch", _ITS_OWN),
    "wrong service": (403, "SignatureDoesNotMatch", _ITS_OWN),
    "wrong region": (403, "SignatureDoesNotMatch", _ITS_OWN),
    "two signatures": (400, "IncompleteSignature", _ITS_OWN),
}
_EC2: Final[Mapping[Reason, tuple[int, str, str]]] = {
    **dict.fromkeys(_QUERY, (401, "AuthFailure", _EC2_FAILURE)),
    "missing": _MISSING,
    "unsupported": (400, "IncompleteSignature", _ITS_OWN),
    "incomplete": (400, "IncompleteSignature", _ITS_OWN),
    "incomplete query": (400, "IncompleteSignature", _ITS_OWN),
    **dict.fromkeys(("expired token", "expired", "expired query"), _EC2_EXPIRED),
}
_S3: Final[Mapping[Reason, tuple[int, str, str]]] = {
    "missing": (403, "AccessDenied", "Access Denied"),
    "unsupported": (
        400,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    ),
    "incomplete": (400, "AuthorizationHeaderMalformed", _ITS_OWN),
    "incomplete query": (400, "AuthorizationQueryParametersError", _ITS_OWN),
    "no payload hash": (400, "InvalidRequest", _ITS_OWN),
    "unknown key": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    "wrong token": (400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
    "expired token": (400, "ExpiredToken", "The provided token has expired."),
    "not signed": (403, "AccessDenied", "There were headers present in the request which were not signed"),
    "payload": (
        400,
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    ),
    "mismatch": (403, "SignatureDoesNotMatch", _MISMATCH_OF_S3),
    "expired query": (403, "AccessDenied", "Request has expired"),
    "wrong service": (400, "AuthorizationHeaderMalformed", _ITS_OWN),
    "wrong region": (400, "AuthorizationHeaderMalformed", _ITS_OWN),
    "two signatures": (400, "InvalidArgument", _ITS_OWN),
    **dict.fromkeys(("expired", "not yet current"), (403, "RequestTimeTooSkewed", _SKEWED)),
}
# How the same is called where the body is JSON.
_IN_JSON: Final = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


def text_of_s3(refused: Refused) -> str:
    """Return what S3 says of a request that is not signed as it must be."""
    return _S3[refused.reason][2] or str(refused)


def denial(refused: Refused, protocol: str, service: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the error.

    Args:
        refused: why.
        protocol: botocore's name of it, such as ec2 or rest-json.
        service: that the request is signed for; s3 where it is not signed, and S3 would take it.
    """
    if service == "s3":
        status, code, _ = _S3[refused.reason]
        return status, *refusal("rest-xml", code, text_of_s3(refused))
    status, code, text = (_EC2 if protocol == "ec2" else _QUERY)[refused.reason]
    if "json" in protocol:
        # Services whose paths say nothing answer all of their errors with 400.
        return 403 if protocol == "rest-json" else 400, *refusal(protocol, _IN_JSON[code], text or str(refused))
    return status, *refusal("query" if protocol == "rest-xml" else protocol, code, text or str(refused))
