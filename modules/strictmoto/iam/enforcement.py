"""Refuses calls that IAM does not allow, before a service sees them.

Everything that a call needs must be allowed: its own action and those that it implies, such as iam:PassRole. The root
user may do anything that no resource and no organization forbids. A role that a service is given must be one that the
service can assume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.iam import launched, launches, trust
from strictmoto.iam.authorizations import Authorization, authorizations_of
from strictmoto.iam.authorizations.place import Place
from strictmoto.iam.common_keys import request_keys, resource_keys
from strictmoto.iam.denials import OF_KEYS, NotAllowed, Refusal, message_of, refuse
from strictmoto.iam.encrypted import with_keys
from strictmoto.iam.evaluation import Denial, Guard, decide
from strictmoto.iam.guards import GUARDED, guard_of
from strictmoto.iam.identities import UNKNOWN, Identity, identity_of, is_root
from strictmoto.iam.lazy import Lazy
from strictmoto.iam.meant import as_meant, roles_of_profiles
from strictmoto.iam.policies import Context
from strictmoto.iam.requests import request_of
from strictmoto.iam.service_roles import check_roles, gives_role
from strictmoto.iam.unnamed import with_unnamed
from strictmoto.organizations.memberships import is_organized
from strictmoto.requests.calls import Call
from strictmoto.requests.structures import requested_by

_OF_ACCOUNTS: Final = {"kms": "kms:CallerAccount", "sns": "aws:SourceOwner"}
"""Keys for the account of the caller that one service has."""
_OWN_POLICY: Final = frozenset({"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"})
"""What no policy of a bucket takes from the root user of its account."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How a call comes.

    Attributes:
        source_ip: where from; empty where a service makes the call.
        user_agent: of the client; the service that makes the call.
        called_via: services that use the caller's own credentials, in their order.
    """

    source_ip: str
    user_agent: str
    called_via: tuple[str, ...] = ()

    @classmethod
    def of_service(cls, service: str) -> Connection:
        """Return how a service calls with a role: from no address that is known, and not with a caller's credentials.

        Args:
            service: for example lambda.amazonaws.com.
        """
        return cls("", service)


def refusal_of(call: Call, principal_arn: str, connection: Connection) -> Refusal | None:
    """Return the answer that refuses a call; None where IAM allows it.

    Args:
        call: what is asked.
        principal_arn: of who asks; empty where AWS takes the call without a signature.
        connection: how it comes.
    """
    try:
        _check(call, principal_arn, connection)
    except NotAllowed as error:
        return refuse(call, error)
    return None


def needed_for(call: Call, principal_arn: str) -> tuple[Authorization, ...]:
    """Return what IAM has to allow for a call, with what it does not name, as the account has it at this time."""
    found = [one for asked in _asked(call, requested_by(call)) for one in _needed(*asked, principal_arn)]
    return tuple(found)


def _asked(call: Call, requested: Mapping[str, Any]) -> Iterator[tuple[Call, Mapping[str, Any]]]:
    """Yield a call with its parameters, and the launches that it asks for."""
    yield call, requested
    yield from launched.launches_of(call, requested)


def _needed(call: Call, requested: Mapping[str, Any], principal_arn: str) -> tuple[Authorization, ...]:
    account = principal_arn.split(":")[4] if principal_arn.count(":") >= 5 else ""
    meant = as_meant(call, requested, principal_arn)
    found = authorizations_of(call, meant, principal_arn)
    if not account:
        return found
    found = (*with_unnamed(call, meant, found, account), *roles_of_profiles(call, meant, account))
    return with_keys(call, meant, found, account)


def _check(call: Call, principal_arn: str, connection: Connection) -> None:
    assumes = call.service == "sts" and call.action in trust.ASSUMING
    if not (principal_arn or assumes):
        return
    gives = gives_role(call)
    if is_root(principal_arn) and not (assumes or gives or call.service in GUARDED or is_organized()):
        return
    identity = identity_of(principal_arn, call.access_key) if principal_arn else UNKNOWN
    requested = requested_by(call)
    more = keys_of(connection, identity, call.service)
    _check_session(call, requested, identity)
    if assumes:
        [own] = authorizations_of(call, requested, identity.caller.arn)
        # Tags that the session gets are keys of the role that is assumed.
        request = request_of(call, requested, own, lambda _: {}, more=more)
        of_role = request.resources[0].context if request.resources else {}
        trust.check(call.action, requested, identity, Lazy(lambda: {**request.context, **of_role}))
        return
    for asked in _asked(call, requested):
        for authorization in _needed(*asked, identity.caller.arn):
            if denial := _denial(*asked, authorization, identity, more):
                code = OF_KEYS.get(call.service, "") if denial.action.startswith("kms:") else ""
                raise NotAllowed(message_of(denial, identity.caller), code)
    if gives:
        check_roles(call, requested, identity.caller.account)


def _denial(
    call: Call, requested: Mapping[str, Any], authorization: Authorization, identity: Identity, more: Context
) -> Denial | None:
    resources: tuple[str, ...] = ()
    if authorization.action.startswith("states:SendTask"):
        # Only Step Functions knows which state machine gave out a token; it refuses tokens that are none.
        machine = _machine_of(str(requested.get("taskToken", "")))
        if machine is None:
            return None
        resources = (machine,)
    facts: Callable[[str], Context] = resource_keys
    if call.service == "ec2" and call.action in launches.MAKING:
        facts = _making(call, requested, identity.caller.arn)
    request = request_of(call, requested, authorization, facts, resources=resources, more=more)
    spared = identity.policies.identity is None and call.service == "s3" and call.action in _OWN_POLICY
    return decide(request, identity.caller, identity.policies, _unguarded if spared else guard_of)


def _making(call: Call, requested: Mapping[str, Any], principal_arn: str) -> Callable[[str], Context]:
    """Return what finds the condition keys of resources that exist, and of those that a call makes."""
    place, meant = Place(call.region, principal_arn.split(":")[4]), as_meant(call, requested, principal_arn)
    return lambda arn: Lazy(lambda: {**resource_keys(arn), **launches.keys_of(call.action, arn, meant, place)})


def _check_session(call: Call, requested: Mapping[str, Any], identity: Identity) -> None:
    """Refuse what the sessions of users may not call, whatever their policies say.

    Source: IAM User Guide, "Compare AWS STS credentials"; STS API Reference, GetSessionToken and GetFederationToken.
    """
    session = identity.session
    if call.service == "sts" and call.action == "GetSessionToken" and requested.get("SerialNumber"):
        trust.device_keys(requested, identity.caller)
    if session is None or identity.chained or call.action == "GetCallerIdentity":
        return
    if call.service == "iam" and (session.federated or not session.mfa):
        raise NotAllowed("The security token included in the request is invalid", "InvalidClientTokenId", 403)
    if call.service == "sts" and (session.federated or call.action != "AssumeRole"):
        raise NotAllowed(f"Cannot call {call.action} with session credentials", "AccessDenied", 403)


def _unguarded(arn: str) -> Guard:
    return Guard(guard_of(arn).account)


def _machine_of(token: str) -> str | None:
    from strictmoto.stepfunctions import tokens

    return tokens.machine_of(token)


def keys_of(connection: Connection, identity: Identity, service: str, region: str = "") -> Context:
    """Return the keys of the caller, of the connection and of every request.

    Args:
        connection: how the request comes.
        identity: who asks.
        service: that is called, as the prefix of its actions.
        region: that is called; empty where others say it.
    """

    def keys() -> Context:
        return {
            **identity.context,
            **request_keys(service, region, connection.called_via),
            "aws:UserAgent": (connection.user_agent,),
            **({_OF_ACCOUNTS[service]: (identity.caller.account,)} if service in _OF_ACCOUNTS else {}),
            **({"aws:SourceIp": (connection.source_ip,)} if connection.source_ip else {}),
        }

    return Lazy(keys)
