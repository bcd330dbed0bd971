"""Ids of EC2 that cannot be ids: malformed, and not unknown."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused

ID = "0123456789abcdef0"
REST: dict[str, dict[str, Any]] = {
    "create_traffic_mirror_session": {
        "NetworkInterfaceId": f"eni-{ID}",
        "TrafficMirrorTargetId": f"tmt-{ID}",
        "TrafficMirrorFilterId": f"tmf-{ID}",
        "SessionNumber": 1,
    },
    "modify_network_interface_attribute": {"NetworkInterfaceId": f"eni-{ID}"},
}


@pytest.mark.parametrize(
    ("action", "parameter", "prefix", "code"),
    [
        ("describe_instances", "InstanceIds", "i", "InvalidInstanceID"),
        ("terminate_instances", "InstanceIds", "i", "InvalidInstanceID"),
        ("describe_network_interfaces", "NetworkInterfaceIds", "eni", "InvalidNetworkInterfaceId"),
        ("delete_network_interface", "NetworkInterfaceId", "eni", "InvalidNetworkInterfaceId"),
        ("create_traffic_mirror_target", "NetworkInterfaceId", "eni", "InvalidNetworkInterfaceId"),
        ("create_traffic_mirror_target", "GatewayLoadBalancerEndpointId", "vpce", "InvalidVpcEndpointId"),
        ("create_traffic_mirror_session", "NetworkInterfaceId", "eni", "InvalidNetworkInterfaceId"),
        ("create_traffic_mirror_session", "TrafficMirrorTargetId", "tmt", "InvalidTrafficMirrorTargetId"),
        ("create_traffic_mirror_session", "TrafficMirrorFilterId", "tmf", "InvalidTrafficMirrorFilterId"),
        ("delete_traffic_mirror_session", "TrafficMirrorSessionId", "tms", "InvalidTrafficMirrorSessionId"),
        ("delete_traffic_mirror_filter_rule", "TrafficMirrorFilterRuleId", "tmfr", "InvalidTrafficMirrorFilterRuleId"),
        ("describe_security_groups", "GroupIds", "sg", "InvalidGroupId"),
        ("modify_network_interface_attribute", "Groups", "sg", "InvalidGroupId"),
        ("describe_subnets", "SubnetIds", "subnet", "InvalidSubnetID"),
        ("describe_vpcs", "VpcIds", "vpc", "InvalidVpcID"),
        ("describe_vpc_endpoints", "VpcEndpointIds", "vpce", "InvalidVpcEndpointId"),
        ("describe_volumes", "VolumeIds", "vol", "InvalidVolumeID"),
        ("describe_snapshots", "SnapshotIds", "snap", "InvalidSnapshotID"),
        ("describe_images", "ImageIds", "ami", "InvalidAMIID"),
        ("describe_route_tables", "RouteTableIds", "rtb", "InvalidRouteTableId"),
        ("detach_network_interface", "AttachmentId", "eni-attach", "InvalidNetworkInterfaceAttachmentId"),
    ],
)
def test_fails_when_an_id_is_malformed(
    aws_account: Account, action: str, parameter: str, prefix: str, code: str
) -> None:
    """Error codes for the Amazon EC2 API: Invalid...Malformed."""
    call = getattr(aws_account.client("ec2"), action)
    for text, expecting in (
        ("nonsense", f' (expecting "{prefix}-...")'),
        (f"{prefix}-1", ""),
        (f"{prefix}-{ID}0", ""),
        (f"{prefix}-0123456789ABCDEF0", ""),
    ):
        given = [text] if parameter.endswith("s") else text
        with refused(f"{code}.Malformed", f'Invalid id: "{text}"{expecting}'):
            call(**{**REST.get(action, {}), parameter: given})


def test_fails_when_an_id_is_well_formed_and_unknown(aws_account: Account) -> None:
    """NotFound, of both lengths that ids have."""
    ec2 = aws_account.client("ec2")
    for text in (ID, ID[:8]):
        with refused("InvalidInstanceID.NotFound"):
            ec2.describe_instances(InstanceIds=[f"i-{text}"])
        with refused("InvalidNetworkInterfaceID.NotFound"):
            ec2.create_traffic_mirror_target(NetworkInterfaceId=f"eni-{text}")
        with refused("InvalidTrafficMirrorFilterId.NotFound"):
            ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=f"tmf-{text}")


def test_when_a_filter_names_what_is_no_id_then_nothing_is_found(aws_account: Account) -> None:
    """Values of filters are texts, with wildcards."""
    ec2 = aws_account.client("ec2")
    assert ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ["i-*"]}])["Reservations"] == []
    assert ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": ["nonsense"]}])["Vpcs"] == []
