"""JSON Web Tokens of an issuer that speaks OpenID Connect.

Source: API Gateway Developer Guide, "Control access to HTTP APIs with JWT authorizers in API Gateway".
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from strictmoto.http_api.exchange import Denied, Request
from strictmoto.running import running

ALGORITHMS: Final = ("RS256", "RS384", "RS512")
"""API Gateway takes no other."""
_PATIENCE: Final = 1.5


def authorize(request: Request, authorizer: Any, scopes: Sequence[str]) -> dict[str, Any]:
    """Return claims and scopes of the token that a request bears.

    Args:
        request: as received.
        authorizer: moto's.
        scopes: of the route, of which the token needs one.

    Raises:
        Denied: 401 for a token that is missing or not valid, 403 for one without the scope.
    """
    if authorizer is None:
        raise Denied(500, "Internal Server Error", "the route's authorizer does not exist")
    configuration = authorizer.jwt_config or {}
    claims = _verify(_token(request, authorizer.identity_source), configuration)
    held = str(claims.get("scope") or " ".join(claims.get("scp") or ())).split()
    if scopes and not set(scopes) & set(held):
        raise Denied(403, "Forbidden", f"the token has none of the scopes {', '.join(scopes)}")
    return {"claims": {name: _as_text(value) for name, value in claims.items()}, "scopes": held if scopes else None}


def _token(request: Request, sources: Any) -> str:
    for source in [sources] if isinstance(sources, str) else sources or ["$request.header.Authorization"]:
        place, _, name = str(source).removeprefix("$request.").partition(".")
        if place == "header":
            given = request.headers.get(name.lower())
        else:
            given = next(iter(parse_qs(request.query).get(name, [])), None)
        if given:
            kind, _, token = given.partition(" ")
            return token.strip() if kind.lower() == "bearer" else given
    raise Denied(401, "Unauthorized", "no token where the authorizer looks for one")


def _verify(token: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    issuer, audience = str(configuration.get("issuer", "")), set(configuration.get("audience") or ())
    try:
        claims = dict(jwt.decode(token, _keys_of(issuer), algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, KeyError, TypeError, OSError) as error:
        raise Denied(401, "Unauthorized", f"the token or its issuer's keys: {error}") from error
    now = time.time()
    given = claims.get("aud") or claims.get("client_id")
    if claims.get("iss") != issuer:
        raise Denied(401, "Unauthorized", f"the issuer is {claims.get('iss')}, not {issuer}")
    if not audience & set(given if isinstance(given, list) else [given]):
        raise Denied(401, "Unauthorized", f"the audience is {given}")
    try:
        late, early = float(claims["exp"]) <= now, max(float(claims.get(name, 0)) for name in ("nbf", "iat")) > now
    except (KeyError, TypeError, ValueError) as error:
        raise Denied(401, "Unauthorized", f"a time claim is missing or no number: {error}") from error
    if late or early:
        raise Denied(401, "Unauthorized", "the token has expired" if late else "the token is not valid yet")
    return claims


def _keys_of(issuer: str) -> KeySet:
    if registered := running().issuers.keys_of(issuer):
        return registered
    return KeySet.import_key_set(_fetch(str(_fetch(f"{issuer}/.well-known/openid-configuration")["jwks_uri"])))


def _fetch(url: str) -> Any:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"no issuer: {url}")
    with urllib.request.urlopen(url, timeout=_PATIENCE) as found:
        return json.load(found)


def _as_text(value: Any) -> str:
    """Return a claim as the function sees it: always text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(map(_as_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
