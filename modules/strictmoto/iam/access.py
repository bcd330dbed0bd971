"""Whether a principal, a service or another account may do something: for what acts inside the account without a call.

Source: IAM User Guide, "Policy evaluation logic"; the pages of each service on its resource-based policies.
"""

from __future__ import annotations

from collections.abc import Mapping

from strictmoto.iam.enforcement import Connection, keys_of
from strictmoto.iam.evaluation import Policies, decide
from strictmoto.iam.facts import facts_of
from strictmoto.iam.guards import guard_of
from strictmoto.iam.identities import identity_of, organization_keys
from strictmoto.iam.policies import Caller, Request, Resource
from strictmoto.iam.trust import service_keys


def principal_may(
    principal_arn: str,
    action: str,
    resource: str,
    *,
    access_key: str = "",
    connection: Connection | None = None,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Return whether a role or a user may do something, by its policies and that of the resource.

    The root user may do anything, and so may, where IAM is not enforced, whoever IAM does not know: nothing is known
    of the policies.

    Args:
        principal_arn: of a role or a user of IAM.
        action: for example execute-api:Invoke.
        resource: an ARN.
        access_key: of its session, whose policies, tags and age count.
        connection: how it asks, where it sends a request.
        context: further condition keys of the request.
    """
    from strictmoto.running import running

    identity = identity_of(principal_arn, access_key)
    if not identity.known and not running().enforces_iam:
        return True
    own = keys_of(connection, identity) if connection is not None else identity.context
    keys = {**own, **{key: (value,) for key, value in (context or {}).items()}}
    request = Request(action, (Resource(resource, facts_of(resource)),), keys)
    return decide(request, identity.caller, identity.policies, guard_of) is None


def service_may(service: str, action: str, resource: str, source_arn: str) -> bool:
    """Return whether a resource's policy lets a service do something on behalf of another resource.

    Args:
        service: for example events.amazonaws.com.
        action: for example sqs:SendMessage.
        resource: the ARN of the queue, the topic, the function.
        source_arn: of the rule, the topic, the bucket.
    """
    request = Request(action, (Resource(resource, facts_of(resource)),), service_keys(service, source_arn))
    return decide(request, Caller(service=service), Policies(), guard_of) is None


def account_may(account: str, action: str, resource: str, source_arn: str = "") -> bool:
    """Return whether a resource's policy lets another account do something.

    Args:
        account: its id.
        action: for example events:PutEvents.
        resource: an ARN.
        source_arn: of the rule on whose behalf it is done, if any.
    """
    keys = {
        "aws:PrincipalAccount": (account,),
        "aws:SecureTransport": ("true",),
        **organization_keys("Principal", account),
        **({"aws:SourceArn": (source_arn,)} if source_arn else {}),
    }
    return decide(Request(action, (Resource(resource),), keys), Caller(account=account), Policies(), guard_of) is None
