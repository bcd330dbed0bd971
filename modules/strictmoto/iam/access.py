"""Whether a principal, a service or another account may do something: for what acts inside the account without a call.

Source: IAM User Guide, "Policy evaluation logic"; the pages of each service on its resource-based policies.
"""

from __future__ import annotations

from strictmoto.iam.common_keys import region_of, request_keys, resource_keys
from strictmoto.iam.enforcement import Connection, keys_of
from strictmoto.iam.evaluation import Policies, decide
from strictmoto.iam.guards import guard_of
from strictmoto.iam.identities import identity_of, organization_keys
from strictmoto.iam.policies import Caller, Context, Request, Resource
from strictmoto.iam.trust import service_keys


def principal_may(
    principal_arn: str,
    action: str,
    resource: str,
    *,
    connection: Connection,
    region: str = "",
    access_key: str = "",
    more: Context | None = None,
) -> bool:
    """Return whether a role or a user may do something, by its policies and that of the resource.

    The root user may do anything, and so may, where IAM is not enforced, whoever IAM does not know: nothing is known
    of the policies.

    Args:
        principal_arn: of a role or a user of IAM.
        action: for example execute-api:Invoke.
        resource: an ARN.
        connection: how it asks.
        region: that it asks in, where the resource names none.
        access_key: of its session, whose policies, tags and age count.
        more: condition keys of the action itself, such as kms:ViaService.
    """
    from strictmoto.running import running

    identity = identity_of(principal_arn, access_key)
    if not identity.known and not running().enforces_iam:
        return True
    keys = {**keys_of(connection, identity, _service(action), region_of(resource) or region), **(more or {})}
    request = Request(action, (Resource(resource, resource_keys(resource)),), keys)
    return decide(request, identity.caller, identity.policies, guard_of) is None


def service_may(service: str, action: str, resource: str, source_arn: str, more: Context | None = None) -> bool:
    """Return whether a resource's policy lets a service do something on behalf of another resource.

    Args:
        service: for example events.amazonaws.com.
        action: for example sqs:SendMessage.
        resource: the ARN of the queue, the topic, the function.
        source_arn: of the rule, the topic, the bucket.
        more: condition keys of the action itself, such as s3:x-amz-acl.
    """
    # S3 names no Region in the ARNs of its buckets: what sends there is where the bucket is.
    region = region_of(resource) or region_of(source_arn)
    keys = {**service_keys(service, _service(action), region, source_arn), **(more or {})}
    request = Request(action, (Resource(resource, resource_keys(resource)),), keys)
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
        **request_keys(_service(action), region_of(resource)),
        **organization_keys("Principal", account),
        **({"aws:SourceArn": (source_arn,)} if source_arn else {}),
    }
    request = Request(action, (Resource(resource, resource_keys(resource)),), keys)
    return decide(request, Caller(account=account), Policies(), guard_of) is None


def _service(action: str) -> str:
    return action.partition(":")[0]
