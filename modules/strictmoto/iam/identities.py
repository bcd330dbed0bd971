"""Who calls, and the policies that go with it: of the role or user, groups, boundary, session and organization.

Sources: IAM User Guide, "Policies and permissions in AWS Identity and Access Management" and "AWS global condition
context keys"; AWS Organizations User Guide, "SCP evaluation".
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from strictmoto.iam.evaluation import Policies
from strictmoto.iam.lazy import Lazy
from strictmoto.iam.policies import Caller, Context, Statement, read_text
from strictmoto.organizations.memberships import path_of, service_control_policies_of
from strictmoto.requests.arns import is_somewhere

_ROOT: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:root")
_FALSE: Final = ("false",)
_TRUE: Final = ("true",)
_TEMPORARY: Final = "ASIA"
"""What the access keys of sessions begin with."""


@dataclass(frozen=True, slots=True)
class Session:
    """What was given when temporary credentials were issued, besides the name of the session.

    Attributes:
        policies: documents of the session policies; None where none was given.
        tags: of the session.
        transitive: keys of those tags that go on to the sessions of roles that this one assumes.
        source_identity: that was set; it goes on, too.
        provider: of the token, where a role was assumed with one.
        mfa: whether the user showed a device: sessions of roles have no trace of it.
        function: ARN of the function whose credentials they are.
        federated: ARN of the federated user whose session it is.
        issued: when, UTC.
    """

    policies: tuple[str, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str = ""
    provider: str = ""
    mfa: bool = False
    function: str = ""
    federated: str = ""
    issued: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Return the condition keys about the session."""
        found: dict[str, tuple[str, ...]] = {
            "aws:MultiFactorAuthPresent": _TRUE if self.mfa else _FALSE,
            "aws:TokenIssueTime": (self.issued.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        }
        if self.mfa:
            age = datetime.datetime.now(datetime.UTC) - self.issued
            found["aws:MultiFactorAuthAge"] = (str(int(age.total_seconds())),)
        for key, value in (
            ("aws:SourceIdentity", self.source_identity),
            ("aws:FederatedProvider", self.provider),
            ("lambda:SourceFunctionArn", self.function),
        ):
            if value:
                found[key] = (value,)
        return found


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, its policies now, and the condition keys about it.

    Attributes:
        caller: who it is.
        policies: that go with it.
        context: keys such as aws:PrincipalTag/team.
        session: of its temporary credentials; None where it has none.
        chained: whether its credentials are a role's.
        known: whether IAM has its role or user; policies of others are not known.
    """

    caller: Caller
    policies: Policies
    context: Context = field(default_factory=dict)
    session: Session | None = None
    chained: bool = False
    known: bool = True


UNKNOWN: Final = Identity(Caller(), Policies(), known=False)
"""Whoever shows a token of an identity provider in the place of a signature."""


def is_root(arn: str) -> bool:
    """Return whether an ARN is that of the root user of an account, exactly: a name may end in the same way."""
    return _ROOT.fullmatch(arn) is not None


def identity_of(principal_arn: str, access_key: str) -> Identity:
    """Return the identity of whoever calls.

    Args:
        principal_arn: of the role, the user or the root user.
        access_key: of the session.
    """
    parts = principal_arn.split(":", 5)
    # What a path or a name holds makes no role of a user.
    if parts[5].startswith("user/") and access_key.startswith(_TEMPORARY):
        return _of_user(principal_arn, parts[4], parts[1], _user_session(access_key, parts[4], parts[1]))
    if not parts[5].startswith("role/"):
        return identity_of_arn(principal_arn)
    return _of_role(principal_arn, _session(access_key, account=parts[4], partition=parts[1]))


@functools.lru_cache(4096)
def _session(access_key: str, account: str, partition: str) -> Any:
    """Return moto's session of an access key, which belongs to that key only."""
    return sts_backends[account][partition].get_assumed_role_from_access_key(access_key)


def _user_session(access_key: str, account: str, partition: str) -> Session | None:
    backend: Any = iam_backends[account][partition]
    found: Session | None = getattr(backend.access_keys.get(access_key), "strict_session", None)
    return found


def identity_of_arn(arn: str) -> Identity:
    """Return the identity of a role, a user or a root user by its ARN, without a session; others may do nothing."""
    kind = arn.split(":", 5)[5].partition("/")[0]
    if kind == "role":
        return _of_role(arn, None)
    partition, account = arn.split(":")[1], arn.split(":")[4]
    if is_root(arn):
        caller = Caller(arn, account)
        keys = {"aws:PrincipalType": ("Account",), "aws:userid": (account,)}
        free = Policies(None, organization=_organization(account, partition))
        return Identity(caller, free, Lazy(lambda: {**_keys(caller), **keys}))
    if kind != "user":
        return Identity(Caller(arn, account), Policies(), known=False)
    return _of_user(arn, account, partition)


def _of_user(arn: str, account: str, partition: str, session: Session | None = None) -> Identity:
    backend: Any = iam_backends[account][partition]
    federated = session is not None and bool(session.federated)
    caller = Caller(arn, account, session.federated if session is not None else "")
    user = backend.users.get(arn.rpartition("/")[2])
    if user is None or user.arn != arn:
        return Identity(caller, Policies(), known=False)
    holders = [user, *backend.get_groups_for_user(user.name)]
    policies = Policies(
        tuple(statement for holder in holders for statement in statements_of(holder)),
        boundary=_boundary(user, backend),
        # A federated user may do nothing that the policy of its session does not allow.
        session=_read(session.policies or ()) if session is not None and federated else None,
        organization=_organization(account, partition),
    )

    def keys() -> Context:
        tags = {**backend.tagger.get_tag_dict_for_resource(user.arn), **(session.tags if session is not None else {})}
        of_session = session.keys() if session is not None else {}
        name = {} if federated else {"aws:username": (user.name,)}
        own = f"{account}:{caller.session.rpartition('/')[2]}" if federated else user.id
        return {
            **_keys(caller),
            "aws:PrincipalType": ("FederatedUser" if federated else "User",),
            "aws:userid": (own,),
            **name,
            **of_session,
            **{f"aws:PrincipalTag/{key}": (value,) for key, value in tags.items()},
        }

    return Identity(caller, policies, Lazy(keys), session)


def _of_role(arn: str, assumed: Any) -> Identity:
    partition, account = arn.split(":")[1], arn.split(":")[4]
    backend: Any = iam_backends[account][partition]
    name = arn.rpartition("/")[2]
    made: Session | None = getattr(assumed, "strict_session", None)
    session = made or Session()
    caller = Caller(arn, account, assumed.arn if assumed is not None else "")
    role = find_role(arn)
    inline = (assumed.policy,) if assumed is not None and assumed.policy else ()
    limits = (*(session.policies or ()), *inline)
    policies = Policies(
        statements_of(role) if role is not None else (),
        boundary=_boundary(role, backend) if role is not None else None,
        session=_read(limits) if limits else None,
        organization=_organization(account, partition),
    )

    def keys() -> Context:
        tags = {**(_tags(role.tags) if role is not None else {}), **session.tags}
        return {
            **_keys(caller),
            "aws:PrincipalType": ("AssumedRole",),
            "aws:userid": (getattr(assumed, "issued_to", name),),
            # Whoever has no session yet is asked about as if it began now.
            **session.keys(),
            **{f"aws:PrincipalTag/{key}": (value,) for key, value in tags.items()},
        }

    return Identity(caller, policies, Lazy(keys), made, chained=True, known=role is not None)


def find_role(arn: str) -> Any:
    """Return moto's role of an ARN; None where there is none."""
    if not is_somewhere(arn):
        return None
    backend: Any = iam_backends[arn.split(":")[4]][arn.split(":")[1]]
    name = arn.rpartition("/")[2]
    return next((role for role in list(backend.roles.values()) if role.name == name and role.arn == arn), None)


def statements_of(holder: Any) -> tuple[Statement, ...]:
    """Return the statements of a role, user or group of moto, inline and attached."""
    found: list[Statement] = []
    for name, document in list(holder.policies.items()):
        found += read_text(_text(document), name)
    for policy in list(holder.managed_policies.values()):
        found += _default(policy)
    return tuple(found)


def _default(policy: Any) -> Iterator[Statement]:
    for version in policy.versions:
        if version.is_default:
            yield from read_text(_text(version.document), policy.name)


def _boundary(holder: Any, backend: Any) -> tuple[Statement, ...] | None:
    arn = getattr(holder, "permissions_boundary_arn", None)
    if not arn:
        return None
    policy = backend.managed_policies.get(arn)
    # A boundary that is gone allows nothing.
    return tuple(_default(policy)) if policy is not None else ()


def managed_documents(arns: Iterable[str]) -> tuple[str, ...]:
    """Return the documents of managed policies by ARN; those that do not exist allow nothing."""
    found = []
    for arn in filter(is_somewhere, arns):
        account = arn.split(":")[4]
        backend: Any = iam_backends[account if account.isdigit() else "123456789012"][arn.split(":")[1]]
        policy = backend.managed_policies.get(arn)
        found += [_text(version.document) for version in policy.versions if version.is_default] if policy else []
    return tuple(found)


def _organization(account: str, partition: str) -> tuple[tuple[Statement, ...], ...]:
    return tuple(_read(documents) for documents in service_control_policies_of(account, partition))


def _read(documents: Iterable[str]) -> tuple[Statement, ...]:
    return tuple(statement for document in documents for statement in read_text(_text(document)))


def _text(document: Any) -> str:
    """What a template made is kept as it was written there."""
    return document if isinstance(document, str) else json.dumps(document)


def _tags(tags: Any) -> dict[str, str]:
    """Return a role's tags: moto keeps them by key."""
    items = tags.values() if isinstance(tags, Mapping) else tags or ()
    return {str(tag["Key"]): str(tag["Value"]) for tag in items}


def _keys(caller: Caller) -> Context:
    """Return the keys that every principal has."""
    return {
        "aws:PrincipalArn": (caller.arn,),
        "aws:PrincipalAccount": (caller.account,),
        "aws:PrincipalIsAWSService": _FALSE,
        **organization_keys("Principal", caller.account, caller.arn.split(":")[1]),
    }


def organization_keys(whose: str, account: str, partition: str = "aws") -> Context:
    """Return aws:<whose>OrgID and aws:<whose>OrgPaths of an account that is in an organization."""
    path = path_of(account, partition)
    return {f"aws:{whose}OrgID": (path.partition("/")[0],), f"aws:{whose}OrgPaths": (path,)} if path else {}
