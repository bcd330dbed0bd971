"""Reading a request: what an HTTP API hands over, taken apart and validated.

Source: Amazon API Gateway Developer Guide, "Working with AWS Lambda proxy integrations for
HTTP APIs" (payload format 2.0).
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tapstack.domain.callers import Caller, iam_caller, token_caller
from tapstack.domain.containment_settings import MODES
from tapstack.domain.json_documents import read_document
from tapstack.domain.operations import LARGEST_BODY, Operation, operation_that_contains
from tapstack.domain.outside_text import quoted
from tapstack.responder.api.problems import Problem
from tapstack.responder.environment import environment

if TYPE_CHECKING:
    from fastjsonschema import JsonSchemaValueException

_SHOWN: Final = 200
_LONGEST_NAME: Final = 512
_NAMED: Final = 5
"""How many properties a refusal names."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        operation: what it asks for.
        headers: with names in lower case.
        query: of the address.
        body: bytes, empty when there are none.
        caller: who sent it.
        scopes: of the caller's token; None where the request is signed.
    """

    operation: Operation
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes
    caller: Caller
    scopes: frozenset[str] | None = None


def read(event: dict[str, Any], operation: Operation) -> Request:
    """Read an event of payload format 2.0.

    Raises:
        Problem: too large, wrongly encoded, or not authenticated.
    """
    context = event.get("requestContext", {})
    return Request(
        operation=operation,
        headers={str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        query={str(name): str(value) for name, value in (event.get("queryStringParameters") or {}).items()},
        body=body_of(event),
        caller=caller_of(event),
        scopes=_scopes(context.get("authorizer") or {}),
    )


def path_of(event: dict[str, Any]) -> str:
    """Return the path without the stage, which is part of it unless it is the default one."""
    path = str(event.get("rawPath") or "/")
    stage = str(event.get("requestContext", {}).get("stage", "$default"))
    if stage != "$default" and (path == f"/{stage}" or path.startswith(f"/{stage}/")):
        path = path[len(stage) + 1 :] or "/"
    return path


def body_of(event: dict[str, Any]) -> bytes:
    """Return the bytes of the body; none where there is none.

    Raises:
        Problem: too large, or wrongly encoded.
    """
    text = event.get("body") or ""
    # Base64 makes four characters of three bytes: what is much too large is never decoded.
    if len(text) > 2 * LARGEST_BODY:
        raise _too_large()
    try:
        body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except (binascii.Error, ValueError) as error:
        raise Problem("malformed-request", "the body is wrongly encoded") from error
    if len(body) > LARGEST_BODY:
        raise _too_large()
    return body


def _too_large() -> Problem:
    return Problem("too-large", f"the body must have at most {LARGEST_BODY} bytes")


def caller_of(event: dict[str, Any]) -> Caller:
    """Return who the gateway says sent a request.

    Raises:
        Problem: it names none.
    """
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    if iam := authorizer.get("iam"):
        containment = environment().containment
        roles = containment.approval.source_identity_roles if containment else ()
        return iam_caller(_named(iam, "userArn"), _named(iam, "userId"), roles)
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    return token_caller(_named(claims, "iss"), _named(claims, "sub"))


def _scopes(authorizer: dict[str, Any]) -> frozenset[str] | None:
    """Return the scopes of a token, which claims have as text: a list in them as `[one two]`."""
    if not (jwt := authorizer.get("jwt")):
        return None
    claims = jwt.get("claims") or {}
    return frozenset(str(claims.get("scope") or claims.get("scp") or "").strip("[]").split())


def _named(given: dict[str, Any], name: str) -> str:
    """Return what the gateway says of a caller; it lets no request through without, unless it is set up otherwise."""
    found = given.get(name)
    if not isinstance(found, str) or not found:
        raise Problem("not-authenticated", "the gateway named no caller")
    return found[:_LONGEST_NAME]


def read_json(request: Request) -> dict[str, Any]:
    """Return the body of a request, checked against the schema of its operation.

    Raises:
        Problem: not JSON, not of the media type, or not what the schema says.
    """
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if request.body and media_type != "application/json":
        raise Problem("unsupported-media-type", "the body must be application/json")
    document = parsed(request.body or b"{}")
    checked: dict[str, Any] = check(str(request.operation.body), document)
    return checked


def check_mode(request: Request, given: str | None) -> None:
    """Refuse a body that wants to contain in another way than its path does, which the gateway let pass.

    Args:
        request: whose path it is.
        given: the containment in its body; None where it names none.

    Raises:
        Problem: what contains so has a path, and so a permission, of its own.
    """
    operation = request.operation
    needed = environment().open_scopes
    if operation.opens and request.scopes is not None and needed and not request.scopes & set(needed):
        raise Problem("right-needed", f"opening an incident needs one of the scopes {', '.join(needed)} as well")
    opens = operation.mode is None or operation.opens
    if given in (None, operation.mode) or (given == "none" and operation.mode is None):
        return
    if given not in MODES:
        raise Problem("invalid-request", f"{operation.path} contains: send this to POST /incidents")
    path = operation_that_contains(given, opens=opens).path
    words = "containing at once" if given == "now" else "requesting a containment"
    raise Problem("right-needed", f"{words} needs a separate permission: send this to POST {path}")


def parsed(body: bytes) -> Any:
    """Return what JSON says.

    Raises:
        Problem: it is none, as `read_document` reads it, or is nested too deeply.
    """
    try:
        return read_document(body.decode("utf-8"))
    except RecursionError as error:
        raise Problem("malformed-request", "the body is nested too deeply") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are such
        raise Problem("malformed-request", f"the body is no JSON: {str(error)[:_SHOWN]}") from error


def check(name: str, value: Any) -> Any:
    """Return a value that a schema of the API accepts.

    Args:
        name: of a body or a parameter, in `schemas`.
        value: what was sent.

    Raises:
        Problem: it does not; says where and what.
    """
    from fastjsonschema import JsonSchemaValueException

    try:
        _validator(name)(value)
    except JsonSchemaValueException as error:
        where = ".".join(str(part) for part in error.path[1:]) or "body"
        said = _what_is_wrong(error)
        raise Problem("invalid-request", f"{where} {said}", [{"where": where, "problem": said}]) from error
    except RecursionError as error:
        raise Problem("malformed-request", "the body is nested too deeply") from error
    return value


def _what_is_wrong(error: JsonSchemaValueException) -> str:
    from tapstack.responder.api.schemas import FORMS

    definition = error.rule_definition
    match error.rule:
        case "pattern":
            return f"must be {FORMS[definition]}, got {quoted(error.value)}"
        case "additionalProperties":
            known = error.definition["properties"]
            unknown = sorted(name for name in error.value if name not in known)
            return f"has the unknown {_listed('property', unknown)}: expected {' or '.join(known)}"
        case "required":
            missing = [name for name in definition if name not in error.value]
            return f"must have the {_listed('property', missing)}"
        case "oneOf":
            return "must name exactly one of instance_id and network_interface_ids"
        case "enum":
            return f"must be one of {', '.join(map(str, definition))}, got {quoted(error.value)}"
    return re.sub(r"^data\S*\s+", "", str(error.message))[:_SHOWN]


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(quoted(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what if len(names) == 1 else 'properties'} {shown}{more}"


@functools.cache
def _validator(name: str) -> Callable[[Any], Any]:
    """Compile a validator when it is first needed: it takes some milliseconds."""
    import fastjsonschema

    from tapstack.responder.api import schemas

    checked: dict[str, Any] = {**schemas.BODIES, **schemas.PARAMETERS}
    compiled: Callable[[Any], Any] = fastjsonschema.compile(checked[name], use_default=False)
    return compiled
