"""DryRun of every action of EC2: whether the call would be allowed, and nothing is done.

Source: Amazon EC2 API Reference, "Common query parameters".
"""

from __future__ import annotations

import json
from typing import Any, Final

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import Shape, StructureShape
from moto.core.utils import camelcase_to_underscores
from moto.ec2.responses import EC2Response

from strictmoto.account import REGION, Account
from strictmoto.company import found_company
from strictmoto.ec2.identifiers import KINDS

_MODEL: Final = botocore.session.get_session().get_service_model("ec2")


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    return True


def sample(shape: Shape, name: str = "") -> Any:
    """The least that an input may be."""
    match shape:
        case StructureShape():
            return {member: sample(shape.members[member], member) for member in shape.required_members}
        case Shape(type_name="list"):
            return [sample(shape.member, name.removesuffix("s"))]
    if shape.type_name == "string":
        kind = KINDS.get(name)
        return f"{kind.prefix}-0123456789abcdef0" if kind else (getattr(shape, "enum", None) or ["10.0.0.0/16"])[0]
    return {"boolean": False, "timestamp": 0, "blob": b"x"}.get(shape.type_name, 1)


def client(account: Account, keys: Any) -> Any:
    """A client that asks for dry runs only."""
    made = boto3.client(
        "ec2",
        region_name=REGION,
        endpoint_url=account.endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )

    def dry(params: dict[str, Any], **_: Any) -> None:
        params["body"]["DryRun"] = "true"

    made.meta.events.register("before-call.ec2.*", dry)
    return made


def state(account: Account) -> Any:
    ec2 = account.client("ec2")
    shown = [
        getattr(ec2, f"describe_{kind}")()
        for kind in (
            "addresses", "flow_logs", "images", "instances", "internet_gateways", "key_pairs", "launch_templates",
            "nat_gateways", "network_acls", "network_interfaces", "route_tables", "security_groups", "snapshots",
            "subnets", "tags", "traffic_mirror_filters", "traffic_mirror_sessions", "volumes", "vpc_endpoints", "vpcs",
        )
    ]  # fmt: skip
    return json.dumps([{k: v for k, v in one.items() if k != "ResponseMetadata"} for one in shown], default=str)


def answers(account: Account, keys: Any) -> dict[str, tuple[str, int]]:
    """What each action that the account has answers."""
    ec2, found = client(account, keys), {}
    for operation in _MODEL.operation_names:
        method = camelcase_to_underscores(operation)
        if hasattr(EC2Response, method):
            given = sample(_MODEL.operation_model(operation).input_shape)
            try:
                getattr(ec2, botocore.xform_name(operation))(**given)
                found[operation] = ("", 200)
            except ClientError as error:
                answer = error.response
                found[operation] = (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"])
    return found


@pytest.mark.long
def test_when_any_action_is_a_dry_run_then_it_is_not_done(aws_account: Account) -> None:
    found_company(aws_account)
    before = state(aws_account)
    found = answers(aws_account, aws_account.credentials)
    assert len(found) > 200
    assert {operation: answer for operation, answer in found.items() if answer != ("DryRunOperation", 412)} == {}
    assert state(aws_account) == before


def test_fails_when_a_dry_run_is_not_allowed(aws_account: Account) -> None:
    iam = aws_account.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]

    class Keys:
        access_key_id, secret_access_key = key["AccessKeyId"], key["SecretAccessKey"]

    found = answers(aws_account, Keys)
    assert {operation: answer for operation, answer in found.items() if answer[0] != "UnauthorizedOperation"} == {}


def test_when_dry_run_is_false_then_the_action_is_done(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    made = ec2.create_internet_gateway(DryRun=False)["InternetGateway"]["InternetGatewayId"]
    subnet = ec2.describe_subnets(DryRun=False)["Subnets"][0]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet, DryRun=False)["NetworkInterface"]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Description={"Value": "answer"}, DryRun=False)
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    assert found["Description"] == "answer"
    ec2.delete_internet_gateway(InternetGatewayId=made, DryRun=False)


def test_fails_when_a_dry_run_is_of_what_the_account_has_not(aws_account: Account) -> None:
    with pytest.raises(ClientError, match="strictmoto has no ec2:CreateCapacityReservationFleet"):
        aws_account.client("ec2").create_capacity_reservation_fleet(
            InstanceTypeSpecifications=[], TotalTargetCapacity=1, DryRun=True
        )
