"""Callers of the API, and which of them are one person: whoever asked for a containment does not approve it.

A person is the issuer and the subject of a token, or the unique id of an IAM user, or the source identity of a role's
session. Amazon API Gateway passes no source identity: of a caller with AWS credentials the function gets `userArn` and
`userId`, which end with the name of a session, and that is the caller's own choice. So all sessions of a role are one
person, unless the settings name the role as one whose sessions IAM lets call only where their name is their source
identity (`docs/incidents.md`, "Another person approves").

Sources: Amazon API Gateway Developer Guide, "Working with AWS Lambda proxy integrations for HTTP APIs" (payload format
2.0, `requestContext.authorizer`) and "Customize HTTP API access logs" (`$context.identity`); IAM User Guide, "AWS
global condition context keys" (`aws:userid`, `aws:SourceIdentity`), "IAM identifiers" (unique ids) and "Monitor and
control actions taken with assumed roles" (a source identity stays for the session, and for those after it); RFC 7519,
sections 4.1.1 and 4.1.2 (a subject is unique within its issuer).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_SESSION: Final = re.compile(r"(?P<role>arn:[^:]+:sts::[^:]*:assumed-role/(?P<name>.+))/(?P<session>[^/]+)")
_FEDERATED: Final = re.compile(r"arn:[^:]+:sts::(?P<account>[^:]*):federated-user/.+")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called the API.

    Attributes:
        name: ARN, or subject of the token, as it is shown; `guardduty` of the policy about its findings. No caller of
            the API has the name of the policy, or of a part of Tapstack.
        person: who that is; two callers with the same `person` count as one. Opaque. Of the policy, who sent the alert
            that it decides about; none where no caller of the API did.
        sessions_of: name of the role whose sessions count as this one person; None where `person` is one for certain.
    """

    name: str
    person: str | None = None
    sessions_of: str | None = None


POLICY: Final = Caller("guardduty")
"""The policy about GuardDuty's findings, which is no person: any person may approve what it requests."""
_OTHER_SOURCE: Final = "policy:"
BY_DEFAULT: Final = "the deployment's default"
"""Who decided about a containment where no operator did."""
BY_RELEASE: Final = "release"
"""Who rejected a request that a release of the instance ended."""
_PARTS: Final = frozenset(
    {"appliance", "capture", "containment", "incident", "prepare", "sweeper", BY_DEFAULT, BY_RELEASE, POLICY.name}
)
"""What incidents name beside callers, as who did something."""
_TOKEN: Final = "token:"


def policy_caller(source: str, sender: str | None = None) -> Caller:
    """Return the policy about an alert.

    Args:
        source: of the alert.
        sender: `person` of the caller of the API that sent it: what the policy requests about it, that person
            requested. None where GuardDuty, Security Hub or a signed webhook brought it.
    """
    return Caller(POLICY.name if source == POLICY.name else f"{_OTHER_SOURCE}{source}", sender)


def is_policy(name: str | None) -> bool:
    """Return whether the name of a caller, as incidents have it, is the policy's."""
    return name == POLICY.name or (name is not None and name.startswith(_OTHER_SOURCE))


def token_caller(issuer: str, subject: str) -> Caller:
    """Return the caller of a token, whose issuer the gateway has verified; its name is the subject.

    A provider of tokens may let its users choose their subject: one that reads as the policy, or as a part of Tapstack,
    is shown with `token:` before it.
    """
    reads_as = subject.strip().lower()
    own = reads_as in _PARTS or is_policy(reads_as)
    return Caller(f"{_TOKEN}{subject}" if own else subject, f"token {issuer} {subject}")


def iam_caller(arn: str, unique_id: str, source_identity_roles: Collection[str] = ()) -> Caller:
    """Return the caller that signed a request.

    Args:
        arn: as the gateway's `userArn`.
        unique_id: as its `userId`: `AIDA...` of a user, `AROA...:session` of a role, `account:name` of a federated
            user, the number of the account for its root user.
        source_identity_roles: names of the roles whose sessions have their source identity as their name.
    """
    if (session := _SESSION.fullmatch(arn)) is None:
        # Who calls GetFederationToken chooses the name; the user behind it is not passed.
        federated = _FEDERATED.fullmatch(arn)
        return Caller(arn, f"federated users of {federated['account']}" if federated else f"user {unique_id}")
    if session["name"] in source_identity_roles:
        return Caller(arn, f"source identity {session['session']}")
    return Caller(arn, f"role {unique_id.partition(':')[0]}", sessions_of=session["name"])


def is_same_person(asked_by: str, requester: str | None, caller: Caller) -> bool:
    """Return whether a containment was requested by the person who calls.

    Args:
        asked_by: who requested it, as shown.
        requester: `person` of that caller; None where the policy requested it by itself, or an earlier version recorded
            it.
        caller: who calls.
    """
    if requester is not None:
        return requester == caller.person
    # What an earlier version recorded is compared by name: sessions of a role are one.
    return without_session(asked_by) == without_session(caller.name)


def without_session(name: str) -> str:
    """Return the role of a caller that is a session of one; the name of any other caller unchanged."""
    found = _SESSION.fullmatch(name)
    return found["role"] if found else name
