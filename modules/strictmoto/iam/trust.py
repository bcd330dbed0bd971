"""Who may assume a role: its trust policy, the limits of a session, and tokens of identity providers.

Sources: STS API Reference, AssumeRole and AssumeRoleWithWebIdentity; IAM User Guide, "How to use trust policies with
IAM roles", "Methods to assume a role", "Role chaining" in "Roles terms and concepts", "IAM and AWS STS condition
context keys" and "Create an OpenID Connect (OIDC) identity provider in IAM".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from strictmoto.iam.common_keys import region_of, request_keys, resource_keys
from strictmoto.iam.denials import NotAllowed
from strictmoto.iam.evaluation import Guard, Policies, decide
from strictmoto.iam.guards import guard_of
from strictmoto.iam.identities import Identity, Session, find_role, is_root, managed_documents, organization_keys
from strictmoto.iam.policies import Caller, Context, Request, Resource, read_text
from strictmoto.requests.arns import is_somewhere

ASSUMING: Final = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})
CHAINED_LIMIT: Final = 3600
"""Seconds that the session of a role lasts at most that another role assumed."""
_SHORTEST: Final = 900
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
"""How tokens may be signed."""
_ROLE: Final = re.compile(r"arn:[\w-]+:iam::\d{12}:role/.+")
_STEP_FUNCTIONS: Final = "states.amazonaws.com"
_CODE: Final = re.compile(r"\d{6}", re.ASCII)
_SESSION_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for a role's credentials."""

    action: str
    role_arn: str
    caller: Caller
    policies: Policies
    context: Context

    def refused(self, action: str, policy: Guard) -> bool:
        request = Request(action, (Resource(self.role_arn, resource_keys(self.role_arn)),), self.context)
        return decide(request, self.caller, self.policies, lambda _: policy) is not None


def check(action: str, requested: Mapping[str, Any], identity: Identity, context: Context) -> None:
    """Refuse what a role's trust policy does not allow, and sessions that are too long.

    Args:
        action: one of ASSUMING.
        requested: the parameters of the call.
        identity: who asks; unknown where a token is shown.
        context: the condition keys of the request.

    Raises:
        NotAllowed: with STS's error.
    """
    role_arn = str(requested.get("RoleArn", ""))
    if not (_ROLE.fullmatch(role_arn) and is_somewhere(role_arn)):
        raise NotAllowed(f"{role_arn} is invalid", "ValidationError")
    if not _SESSION_NAME.fullmatch(name := str(requested.get("RoleSessionName", ""))):
        raise NotAllowed(
            f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
            "ValidationError",
        )
    if action == "AssumeRole" and is_root(identity.caller.arn):
        raise NotAllowed("Roles may not be assumed by root accounts.", "AccessDenied", 403)
    if action == "AssumeRoleWithSAML":
        raise NotAllowed("strictmoto does not evaluate assertions of SAML", "AccessDenied", 403)
    if action == "AssumeRole":
        shown = {**context, **device_keys(requested, identity.caller)} if requested.get("SerialNumber") else context
        asked = _Asked("sts:AssumeRole", role_arn, identity.caller, identity.policies, shown)
    else:
        asked = _with_token(role_arn, str(requested.get("WebIdentityToken", "")), context)
    role = find_role(role_arn)
    trust = Guard(role_arn.split(":")[4], read_text(role.assume_role_policy_document), decides=True) if role else None
    needed = [asked.action]
    # Tags and an identity that are handed on are actions of their own.
    needed += ["sts:TagSession"] if requested.get("Tags") else []
    needed += ["sts:SetSourceIdentity"] if requested.get("SourceIdentity") else []
    for one in needed:
        if trust is None or asked.refused(one, trust):
            if asked.caller.provider:
                raise NotAllowed(f"Not authorized to perform {one}", "AccessDenied", 403)
            raise NotAllowed(
                f"User: {asked.caller.shown} is not authorized to perform: {one} on resource: {role_arn}",
                "AccessDenied",
                403,
            )
    _check_source_identity(str(requested.get("SourceIdentity") or ""), identity.session)
    _check_duration(requested, role, chained=identity.chained and action == "AssumeRole")


def device_keys(requested: Mapping[str, Any], caller: Caller) -> Context:
    """Return the condition keys of a call with which a user shows a device; the code of the device may be any.

    Raises:
        NotAllowed: the user has no such device, or the code cannot be one.
    """
    from moto.iam.models import iam_backends

    parts = caller.arn.split(":")
    backend: Any = iam_backends[caller.account][parts[1]]
    user = backend.users.get(caller.arn.rpartition("/")[2]) if caller.is_user else None
    devices = list(user.mfa_devices) if user is not None else []
    if requested.get("SerialNumber") not in devices or not _CODE.fullmatch(str(requested.get("TokenCode") or "")):
        raise NotAllowed("MultiFactorAuthentication failed with invalid MFA one time pass code. ", "AccessDenied", 403)
    return {"aws:MultiFactorAuthPresent": ("true",), "aws:MultiFactorAuthAge": ("0",)}


def _check_source_identity(given: str, former: Session | None) -> None:
    """Refuse to change the identity of a session that assumes a role: it goes on as it is."""
    if given and former is not None and former.source_identity not in ("", given):
        raise NotAllowed(
            "The source identity of a session cannot be changed when it assumes another role.", "AccessDenied", 403
        )


def _check_duration(requested: Mapping[str, Any], role: Any, *, chained: bool) -> None:
    seconds = int(requested.get("DurationSeconds") or CHAINED_LIMIT)
    if seconds < _SHORTEST:
        raise NotAllowed(
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value greater than or equal to {_SHORTEST}",
            "ValidationError",
        )
    if chained and seconds > CHAINED_LIMIT:
        raise NotAllowed(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            "ValidationError",
        )
    if seconds > int(role.max_session_duration or CHAINED_LIMIT):
        raise NotAllowed(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "ValidationError"
        )


def _with_token(role_arn: str, token: str, context: Context) -> _Asked:
    """Return what is asked with a token.

    Raises:
        NotAllowed: it is none, of an unknown provider, signed by another, for another audience, or too old.
    """
    claims = _claims(token)
    provider = _provider(role_arn, str(claims.get("iss", "")))
    _verify(token, provider.url)
    audiences = claims.get("aud", ())
    given = tuple(map(str, audiences if isinstance(audiences, list) else [audiences]))
    if not set(given) & set(provider.client_id_list):
        raise NotAllowed("Incorrect token audience", "InvalidIdentityToken")
    if float(claims.get("exp", 0)) <= time.time():
        raise NotAllowed(
            "Token expired: current date/time must be before the expiration date/time", "ExpiredTokenException"
        )
    keys = {
        f"{provider.url}:aud": given,
        f"{provider.url}:sub": (str(claims.get("sub", "")),),
        "aws:FederatedProvider": (provider.arn,),
    }
    if amr := claims.get("amr"):
        keys[f"{provider.url}:amr"] = tuple(map(str, amr))
    caller = Caller(provider=provider.arn)
    return _Asked("sts:AssumeRoleWithWebIdentity", role_arn, caller, Policies(), {**context, **keys})


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        found = None
    if not isinstance(found, dict):
        raise NotAllowed(
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
            "InvalidIdentityToken",
        )
    return found


def _verify(token: str, issuer: str) -> None:
    """Refuse a token that its provider has not signed."""
    from joserfc import jws
    from joserfc.errors import JoseError

    from strictmoto.running import running

    keys = running().issuers.keys_of(issuer)
    if keys is None:
        # The account does what AWS does where it does not reach the provider.
        raise NotAllowed("Couldn't retrieve verification key from your identity provider.", "InvalidIdentityToken")
    try:
        jws.deserialize_compact(token, keys, algorithms=_ALGORITHMS)
    except (JoseError, ValueError) as error:
        raise NotAllowed(f"The ID Token provided could not be verified: {error}", "InvalidIdentityToken") from error


def _provider(role_arn: str, issuer: str) -> Any:
    from moto.iam.models import iam_backends

    backend: Any = iam_backends[role_arn.split(":")[4]][role_arn.split(":")[1]]
    url = issuer.removeprefix("https://").rstrip("/")
    for provider in list(backend.open_id_providers.values()):
        if provider.url.rstrip("/") == url:
            return provider
    raise NotAllowed(f"No OpenIDConnect provider found in your account for {issuer}", "InvalidIdentityToken")


def trusts(role_arn: str, service: str, source_arn: str = "") -> bool:
    """Return whether a role exists and lets a service assume it on behalf of a resource.

    Args:
        role_arn: of the role.
        service: for example lambda.amazonaws.com.
        source_arn: of the function, state machine, rule or schedule group, where the service names it.
    """
    if not _ROLE.fullmatch(role_arn) or (role := find_role(role_arn)) is None:
        return False
    guard = Guard(role_arn.split(":")[4], read_text(role.assume_role_policy_document), decides=True)
    for name in _names_of(service, source_arn):
        keys = service_keys(name, "sts", region_of(source_arn), source_arn)
        asked = _Asked("sts:AssumeRole", role_arn, Caller(service=name), Policies(), keys)
        if not asked.refused(asked.action, guard):
            return True
    return False


def _names_of(service: str, source_arn: str) -> tuple[str, ...]:
    """Return the principals that a service assumes a role as: Step Functions takes the one of its Region, too.

    Source: Step Functions Developer Guide, "How AWS Step Functions works with IAM"; the text of its refusal.
    """
    if service != _STEP_FUNCTIONS:
        return (service,)
    own, _, suffix = service.partition(".")
    return (service, f"{own}.{source_arn.split(':')[3]}.{suffix}")


def service_keys(service: str, called: str, region: str, source_arn: str = "") -> Context:
    """Return the condition keys of a request that a service makes as itself, on behalf of a resource.

    Args:
        service: that asks, for example events.amazonaws.com.
        called: the service that it asks, as the prefix of its actions.
        region: that it asks in; empty where it is not known.
        source_arn: of the rule, the topic, the bucket, if any.
    """
    found: dict[str, tuple[str, ...]] = {
        **request_keys(called, region),
        "aws:PrincipalIsAWSService": ("true",),
        "aws:PrincipalServiceName": (service,),
    }
    if source_arn:
        found["aws:SourceArn"] = (source_arn,)
        parts = source_arn.split(":")
        # The ARN of a bucket does not say whose it is.
        if account := (parts[4] if len(parts) > 4 else "") or guard_of(source_arn).account:
            found["aws:SourceAccount"] = (account,)
            found |= organization_keys("Source", account, parts[1])
    return found


def session_of(action: str, requested: Mapping[str, Any], former: Session | None = None) -> Session:
    """Return what a call gives to the session that it makes.

    Args:
        action: one of ASSUMING.
        requested: its parameters.
        former: the session that assumes the role, if one does; its identity and transitive tags go on.
    """
    arns = [str(one.get("arn", "")) for one in requested.get("PolicyArns") or ()]
    before = former or Session()
    handed = {key: value for key, value in before.tags.items() if key in before.transitive}
    given = {str(tag["Key"]): str(tag["Value"]) for tag in requested.get("Tags") or ()}
    return Session(
        policies=managed_documents(arns) if arns else None,
        tags={**given, **handed},
        transitive=frozenset(map(str, requested.get("TransitiveTagKeys") or ())) | frozenset(handed),
        source_identity=str(requested.get("SourceIdentity") or before.source_identity),
        provider=_provider_of(requested) if action == "AssumeRoleWithWebIdentity" else "",
    )


def federated_session(requested: Mapping[str, Any], arn: str) -> Session:
    """Return the session of a federated user, whose policies are those that the call gives."""
    made = session_of("GetFederationToken", requested)
    own = (str(requested["Policy"]),) if requested.get("Policy") else ()
    return replace(made, federated=arn, policies=(*own, *(made.policies or ())))


def _provider_of(requested: Mapping[str, Any]) -> str:
    """Return the ARN of the token's provider; nothing where IAM is not enforced, and it may be any token."""
    try:
        issuer = str(_claims(str(requested.get("WebIdentityToken", ""))).get("iss", ""))
        return str(_provider(str(requested.get("RoleArn", "")), issuer).arn)
    except NotAllowed:
        return ""
