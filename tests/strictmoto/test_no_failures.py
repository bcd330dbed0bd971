"""No call that names nothing that is there, or leaves something out, is answered with HTTP 500.

Every operation that moto has of the services of this field is called three times: with nothing, with what its model
requires, made up, and with all of its scalar parameters made up, among them the tokens of pages. The caller may do
everything, and has a policy whose condition is compared for each call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from strictmoto.account import Account

pytestmark = pytest.mark.long

SERVICES = (
    "apigatewayv2",
    "autoscaling",
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "elbv2",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "organizations",
    "ram",
    "resourcegroupstaggingapi",
    "route53",
    "s3",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
)
DIGITS = "0123456789abcdef0"
IDS = {
    "instanceid": "i",
    "vpcendpointid": "vpce",
    "vpcid": "vpc",
    "subnetid": "subnet",
    "networkinterfaceid": "eni",
    "volumeid": "vol",
    "snapshotid": "snap",
    "groupid": "sg",
    "transitgatewayroutetableid": "tgw-rtb",
    "transitgatewayid": "tgw",
    "attachmentid": "tgw-attach",
    "routetableid": "rtb",
    "imageid": "ami",
    "allocationid": "eipalloc",
    "natgateway": "nat",
    "launchtemplateid": "lt",
    "internetgatewayid": "igw",
    "peeringconnection": "pcx",
    "networkaclid": "acl",
    "prefixlistid": "pl",
    "hostid": "h",
}
DEEPEST = 5
FAILED, MISSING = 500, 501
LEFT_OUT = {
    # To hosts of its own.
    "WriteGetObjectResponse",
    # Their answers are so large that they take most of the time.
    "DescribeImages",
    "DescribeInstanceTypes",
    "DescribeSnapshots",
    "DescribeSnapshotTierStatus",
    "DescribeSpotPriceHistory",
}


def made_up(shape: Any, name: str, depth: int = 0) -> Any:
    """A value that a parameter may have, and that names nothing."""
    match shape.type_name:
        case "string":
            return shape.enum[0] if shape.enum else text(name.lower())
        case "integer" | "long":
            return max(1, int(shape.metadata.get("min", 1)))
        case "float" | "double":
            return 1.0
        case "boolean":
            return False
        case "timestamp":
            return "2026-01-01T00:00:00Z"
        case "blob":
            return b"abc"
        case "list":
            return [made_up(shape.member, name.rstrip("s"), depth + 1)]
        case "map":
            return {"made-up": made_up(shape.value, name, depth + 1)}
    return required(shape, depth + 1) if depth < DEEPEST else {}


def text(name: str) -> str:
    if name.endswith("arn"):
        return f"arn:aws:ec2:eu-central-1:123456789012:thing/{DIGITS}"
    if "cidr" in name:
        return "10.0.0.0/24"
    return next((f"{prefix}-{DIGITS}" for part, prefix in IDS.items() if part in name), "made-up")


def required(shape: Any, depth: int = 0) -> dict[str, Any]:
    members = shape.members if shape else {}
    return {name: made_up(member, name, depth) for name, member in members.items() if name in shape.required_members}


def calls(model: Any) -> Iterator[dict[str, Any]]:
    shape = model.input_shape
    yield {}
    if shape is None:
        return
    needed = required(shape)
    if needed:
        yield needed
    scalars = {
        name: made_up(member, name)
        for name, member in shape.members.items()
        # Another length than the body's is waited for.
        if member.type_name in ("string", "integer", "long") and name != "ContentLength"
    }
    for given in ({name: value for name, value in scalars.items() if "oken" in name or name == "Marker"}, scalars):
        if given and not given.keys() <= needed.keys():
            yield {**needed, **given}


def status_of(client: Any, method: str, given: dict[str, Any]) -> int:
    """The status of the answer; 0 where the client cannot even send such a call."""
    try:
        getattr(client, method)(**given)
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    except (AttributeError, BotoCoreError, KeyError, TypeError, ValueError):
        return 0
    return 200


def guarded(iam: Any) -> None:
    """Make a role that may do everything in one Region."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "eu-central-1"}}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*", "Condition": elsewhere}
    iam.create_role(
        RoleName="guarded", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    document = {"Version": "2012-10-17", "Statement": [everything, deny]}
    iam.put_role_policy(RoleName="guarded", PolicyName="guard", PolicyDocument=json.dumps(document))


@pytest.mark.parametrize("service", SERVICES)
def test_fails_with_an_error_of_the_service_whatever_is_made_up(aws_account: Account, service: str) -> None:
    guarded(aws_account.client("iam"))
    aws_account.enforces_iam = True
    signed = aws_account.client(service, role_arn="arn:aws:iam::123456789012:role/guarded")._request_signer._credentials
    client: Any = boto3.client(
        service,
        region_name="eu-central-1",
        endpoint_url=aws_account.endpoint,
        aws_access_key_id=signed.access_key,
        aws_secret_access_key=signed.secret_key,
        aws_session_token=signed.token,
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )
    found, made = [], 0
    for method, operation in client.meta.method_to_api_mapping.items():
        if operation in LEFT_OUT:
            continue
        for given in calls(client.meta.service_model.operation_model(operation)):
            made += 1
            status = status_of(client, method, given)
            if status == MISSING:
                break
            if status >= FAILED:
                found.append((operation, given))
    assert found == []
    assert made > len(client.meta.method_to_api_mapping)
