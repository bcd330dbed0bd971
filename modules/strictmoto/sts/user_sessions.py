"""Sessions of users: GetSessionToken and GetFederationToken give keys that sign, and GetCallerIdentity says whose.

moto answers the first two with the example of AWS's documents, the same for all, and calls whoever has no key of IAM
`user/moto`.

Source: STS API Reference, "GetSessionToken", "GetFederationToken", "GetCallerIdentity".
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.sts.utils import random_session_token
from werkzeug.exceptions import HTTPException

from strictmoto.front.refusals import refusal
from strictmoto.iam.identities import Session, is_root
from strictmoto.iam.trust import federated_session
from strictmoto.identity.callers import AccessKey, Caller
from strictmoto.running import running

_LONGEST_OF_ROOT: Final = 3600


class _HasSession(HTTPException):
    """The credentials of sessions get no further ones."""

    code = 403

    def __init__(self, action: str) -> None:
        super().__init__(refusal("query", "AccessDenied", f"Cannot call {action} with session credentials")[1].decode())

    def get_headers(self, *_: Any, **__: Any) -> list[tuple[str, str]]:
        return [("Content-Type", "text/xml")]


@functools.cache
def install() -> None:
    """Extend moto's STS, once a process."""
    from moto.sts.models import STSBackend
    from moto.sts.responses import MAX_FEDERATION_TOKEN_POLICY_LENGTH, TokenResponse

    response, backend = _as_any(TokenResponse), _as_any(STSBackend)
    identify = backend.get_caller_identity

    def get_caller_identity(self: Any, access_key_id: str, region: str) -> tuple[str, str, str]:
        key = running().keys.find(access_key_id, region)
        if key is None:
            found: tuple[str, str, str] = identify(self, access_key_id, region)
            return found
        return key.caller.user_id, key.caller.user_arn, key.caller.account_id

    def get_session_token(self: Any) -> ActionResult:
        session = Session(mfa=bool(self._get_param("SerialNumber")))
        return ActionResult({"Credentials": _begin_session(self, "GetSessionToken", lambda caller: caller, session)})

    def get_federation_token(self: Any) -> ActionResult:
        name, policy = self._get_param("Name"), self._get_param("Policy")
        if policy is not None and len(policy) > MAX_FEDERATION_TOKEN_POLICY_LENGTH:
            refused: ActionResult = federate(self)
            return refused
        user_id = f"{self.current_account}:{name}"
        arn = f"arn:{self.partition}:sts::{self.current_account}:federated-user/{name}"
        credentials = _begin_session(
            self,
            "GetFederationToken",
            lambda caller: dataclasses.replace(caller, user_id=user_id, user_arn=arn),
            federated_session(self._get_params(), arn),
        )
        user = {"FederatedUserId": user_id, "Arn": arn}
        return ActionResult({"Credentials": credentials, "FederatedUser": user, "PackedPolicySize": 6})

    federate = response.get_federation_token
    backend.get_caller_identity = get_caller_identity
    response.get_session_token = get_session_token
    response.get_federation_token = get_federation_token


def _begin_session(response: Any, action: str, named: Any, session: Session) -> dict[str, Any]:
    """Return temporary credentials for the user that calls."""
    found = running().keys.find(response.get_access_key(), response.region)
    if found is None or found.session_token:
        raise _HasSession(action)
    caller: Caller = found.caller
    seconds = response._get_int_param("DurationSeconds", 43_200)
    if is_root(caller.principal_arn):
        seconds = min(seconds, _LONGEST_OF_ROOT)
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    made = iam_backends[caller.account_id][response.partition].create_temp_access_key()
    token = random_session_token()
    of_session = dataclasses.replace(named(caller), access_key=made.access_key_id)
    _as_any(made).strict_session = session
    # Where AccessKeys looks for it.
    _as_any(made).session = AccessKey(of_session, made.secret_access_key, token, expires)
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": token,
        "Expiration": expires,
    }


def _as_any(known: Any) -> Any:
    return known
