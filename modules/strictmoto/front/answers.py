"""Reads what the account answered: the error of a refusal, and the ids of what was created."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import botocore.parsers

from strictmoto.requests.calls import Call, operation_of
from strictmoto.requests.texts import texts_in

_READS: Final = (
    "Describe",
    "List",
    "Get",
    "Head",
    "Query",
    "Scan",
    "BatchGet",
    "Lookup",
    "Search",
    "Validate",
    "Filter",
)
# Their answers hold credentials, keys or plain text.
_SECRET_ANSWERS: Final = frozenset({"sts", "kms", "secretsmanager"})
_SECRET_ACTIONS: Final = frozenset({"CreateAccessKey", "CreateKeyPair", "CreateServiceSpecificCredential", "Invoke"})
_CREATES_BESIDES: Final = {
    "AuthorizeSecurityGroupIngress": "SecurityGroupRule",
    "AuthorizeSecurityGroupEgress": "SecurityGroupRule",
    "RunInstances": "Instance",
}
_CREATES: Final = re.compile(
    r"(?:Create|Run|Allocate|Attach|Associate|Authorize|Copy|Import|Publish|Put|Register|Send|Start|Subscribe)(\w*)"
)
_NO_RESOURCE: Final = frozenset({"OwnerId", "RequesterId", "RequestId", "NextToken", "ClientToken"})


def is_read(action: str) -> bool:
    """Return whether an action changes nothing."""
    return action.startswith(_READS)


def is_worth_keeping(call: Call, status: int) -> bool:
    """Return whether a record needs an answer: it says why a call was refused, or what it created."""
    if status >= 400:
        return True
    secret = call.service in _SECRET_ANSWERS or call.action in _SECRET_ACTIONS
    return not secret and _CREATES.fullmatch(call.action) is not None


def parse_answer(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return an answer by the names of the API; empty where it cannot be read.

    Args:
        call: what was asked.
        status: of HTTP.
        headers: with lower-case names.
        body: as sent.
    """
    operation = operation_of(call)
    # An error is read without a model of the operation, which AWS may not have.
    if (operation is None and status < 400) or call.protocol not in botocore.parsers.PROTOCOL_PARSERS:
        return {}
    parser = botocore.parsers.create_parser(call.protocol)
    response = {"status_code": status, "headers": _Headers(headers), "body": body}
    try:
        parsed: dict[str, Any] = parser.parse(response, operation.output_shape if operation else None)
    except (botocore.parsers.ResponseParserError, ValueError, KeyError):
        return {}
    return parsed


def created_by(call: Call, requested: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids, ARNs and URLs of what a call created, as its answer names them.

    Args:
        call: what was asked.
        requested: its parameters, by the names of the API.
        answer: of the account, by the names of the API.
    """
    match = _CREATES.fullmatch(call.action)
    if match is None:
        return ()
    noun = _CREATES_BESIDES.get(call.action, match[1])
    known = set(texts_in(requested))
    return tuple(dict.fromkeys(text for text in _ids(answer, noun) if text not in known))


def _ids(answer: Mapping[str, Any], noun: str) -> Iterator[str]:
    for name, value in answer.items():
        if name == "ResponseMetadata":
            continue
        if isinstance(value, str):
            if name not in _NO_RESOURCE and _stem(name) is not None:
                yield value
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Mapping):
                # Deeper down there are ids of others too: only those of what was created count.
                yield from (
                    item
                    for key, item in part.items()
                    if isinstance(item, str)
                    and (stem := _stem(key)) is not None
                    and noun.lower().endswith(stem.lower())
                )


def _stem(name: str) -> str | None:
    """Return what an id is of: FilterId gives Filter, Arn nothing; None where it is no id."""
    match = re.fullmatch(r"(\w*?)(Id|Arn|ARN|Url|id|arn)", name)
    return match[1] if match else None


class _Headers(dict[str, str]):
    """What botocore's parsers look names up in, whatever their case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())
