"""Calls that moto fails at, because what they name is not there or was left out: AWS refuses each."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused

TABLE = "tgw-rtb-0123456789abcdef0"
ATTACHMENT = "tgw-attach-0123456789abcdef0"
GATEWAY = "tgw-0123456789abcdef0"
NOTHING: dict[str, Any] = {}
CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("ec2", "delete_nat_gateway", {"NatGatewayId": "nat-0123456789abcdef0"}, "NatGatewayNotFound"),
    ("ec2", "delete_transit_gateway", {"TransitGatewayId": GATEWAY}, "InvalidTransitGatewayID.NotFound"),
    (
        "ec2",
        "delete_transit_gateway_vpc_attachment",
        {"TransitGatewayAttachmentId": ATTACHMENT},
        "InvalidTransitGatewayAttachmentID.NotFound",
    ),
    (
        "ec2",
        "create_transit_gateway_route",
        {"TransitGatewayRouteTableId": TABLE, "DestinationCidrBlock": "10.0.0.0/8"},
        "InvalidRouteTableID.NotFound",
    ),
    ("ec2", "release_hosts", {"HostIds": ["h-0123456789abcdef0"]}, "InvalidHostID.NotFound"),
    (
        "ec2",
        "cancel_spot_instance_requests",
        {"SpotInstanceRequestIds": ["sir-01234567"]},
        "InvalidSpotInstanceRequestID.NotFound",
    ),
    (
        "ec2",
        "copy_image",
        {"Name": "copy", "SourceImageId": "ami-0123456789abcdef0", "SourceRegion": "eu-central-1"},
        "InvalidAMIID.NotFound",
    ),
    ("ec2", "create_launch_template_version", {"LaunchTemplateData": {}}, "MissingParameter"),
    (
        "ec2",
        "request_spot_fleet",
        {"SpotFleetRequestConfig": {"IamFleetRole": "r", "TargetCapacity": 1}},
        "MissingParameter",
    ),
    ("ec2", "delete_fleets", {"FleetIds": ["fleet-0"], "TerminateInstances": True}, "InvalidParameterValue"),
    ("sns", "publish", {"Message": "a"}, "InvalidParameter"),
    (
        "sns",
        "delete_platform_application",
        {"PlatformApplicationArn": "arn:aws:sns:eu-central-1:123456789012:app/x/y"},
        "InvalidParameter",
    ),
    ("events", "put_partner_events", {"Entries": [NOTHING]}, "ValidationException"),
]


@pytest.mark.parametrize(("service", "action", "given", "code"), CALLS, ids=[f"{call[0]}:{call[1]}" for call in CALLS])
def test_fails_when_a_call_names_nothing_that_is_there(
    aws_account: Account, service: str, action: str, given: dict[str, Any], code: str
) -> None:
    with refused(code):
        getattr(aws_account.client(service), action)(**given)


@pytest.mark.parametrize("action", ["put_bucket_acl", "put_bucket_lifecycle_configuration"])
def test_fails_when_a_body_is_left_out(aws_account: Account, action: str) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with refused("MissingRequestBodyError"):
        getattr(s3, action)(Bucket="evidence")
