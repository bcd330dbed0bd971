"""Network interfaces over HTTP: their own groups, their connection tracking, and their end."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from strictmoto.ec2 import network_interfaces

UNKNOWN_GROUP = "sg-0123456789abcdef0"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    network_interfaces.install()
    # A second time: it must change nothing.
    network_interfaces.install()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "ec2",
        region_name="eu-central-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    server.stop()


@pytest.fixture
def ec2(client: Any) -> Any:
    request = urllib.request.Request(f"{client.meta.endpoint_url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request):
        return client


class Network:
    """A VPC with a subnet, and security groups a to f."""

    def __init__(self, ec2: Any, cidr: str = "10.0.0.0/16") -> None:
        self.ec2 = ec2
        self.vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        self.subnet = ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr.replace("/16", "/24"))["Subnet"]["SubnetId"]
        self.groups = [
            ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"] for name in "abcdef"
        ]

    def interface(self, *groups: str) -> str:
        made = self.ec2.create_network_interface(SubnetId=self.subnet, Groups=list(groups))
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def instance(self, **given: Any) -> dict[str, Any]:
        asked = {"SubnetId": self.subnet, **given} if "NetworkInterfaces" not in given else given
        [made] = self.ec2.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="m5.large", **asked
        )["Instances"]
        return dict(made)

    def described(self, interface: str) -> dict[str, Any]:
        [found] = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        return dict(found)

    def of_instance(self, instance: str) -> dict[str, Any]:
        [reservation] = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
        return dict(reservation["Instances"][0])


def ids(groups: list[dict[str, str]]) -> list[str]:
    return [group["GroupId"] for group in groups]


def primary(instance: dict[str, Any]) -> str:
    return str(instance["NetworkInterfaces"][0]["NetworkInterfaceId"])


@pytest.fixture
def network(ec2: Any) -> Network:
    return Network(ec2)


def test_when_groups_are_modified_then_they_are_replaced_everywhere_they_show(network: Network) -> None:
    instance = network.instance(SecurityGroupIds=network.groups[:2])
    interface = primary(instance)
    isolated = network.groups[2]
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[isolated])
    assert ids(network.described(interface)["Groups"]) == [isolated]
    shown = network.of_instance(instance["InstanceId"])
    assert ids(shown["SecurityGroups"]) == [isolated]
    assert ids(shown["NetworkInterfaces"][0]["Groups"]) == [isolated]
    attribute = network.ec2.describe_network_interface_attribute(NetworkInterfaceId=interface, Attribute="groupSet")
    assert ids(attribute["Groups"]) == [isolated]


def test_when_an_instance_has_two_interfaces_then_each_shows_its_own_groups(network: Network) -> None:
    first, second, third, *_others = network.groups
    instance = network.instance(SecurityGroupIds=[first])
    extra = network.interface(second, third)
    network.ec2.attach_network_interface(NetworkInterfaceId=extra, InstanceId=instance["InstanceId"], DeviceIndex=1)
    assert ids(network.described(extra)["Groups"]) == [second, third]
    assert ids(network.described(primary(instance))["Groups"]) == [first]
    assert ids(network.of_instance(instance["InstanceId"])["SecurityGroups"]) == [first]


def test_when_groups_are_found_by_filter_then_only_interfaces_with_them(network: Network) -> None:
    first, second, *_others = network.groups
    interface = network.interface(first)
    network.interface(second)
    found = network.ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [first]}])
    assert [i["NetworkInterfaceId"] for i in found["NetworkInterfaces"]] == [interface]


def test_when_terraform_attaches_and_detaches_a_group_then_the_others_stay(network: Network) -> None:
    # aws_network_interface_sg_attachment: read the groups, add one or take one away, set them all.
    first, second, attached, *_others = network.groups
    interface = primary(network.instance(SecurityGroupIds=[first, second]))
    groups = ids(network.described(interface)["Groups"])
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[*groups, attached])
    assert ids(network.described(interface)["Groups"]) == [first, second, attached]
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
    assert ids(network.described(interface)["Groups"]) == [first, second]


def test_fails_when_a_group_does_not_exist_and_the_groups_stay(network: Network) -> None:
    interface = network.interface(network.groups[0])
    with pytest.raises(ClientError, match=r"\(InvalidGroup.NotFound\).*'sg-0123456789abcdef0' does not exist"):
        network.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, Groups=[network.groups[1], UNKNOWN_GROUP]
        )
    assert ids(network.described(interface)["Groups"]) == network.groups[:1]


def test_fails_when_a_group_is_of_another_vpc(network: Network) -> None:
    other = Network(network.ec2, "10.1.0.0/16")
    interface = network.interface()
    with pytest.raises(ClientError, match=r"\(InvalidGroup.NotFound\).*belong to different networks"):
        network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=other.groups[:1])
    with pytest.raises(ClientError, match="belong to different networks"):
        network.interface(other.groups[0])


def test_fails_when_an_interface_is_made_with_an_unknown_group(network: Network) -> None:
    with pytest.raises(ClientError, match="InvalidGroup.NotFound"):
        network.interface(UNKNOWN_GROUP)
    assert network.ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_fails_when_an_interface_gets_a_sixth_group(network: Network) -> None:
    interface = network.interface()
    network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=network.groups[:5])
    with pytest.raises(ClientError, match="SecurityGroupsPerInterfaceLimitExceeded"):
        network.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=network.groups)


def test_fails_when_two_attributes_are_modified_at_once(network: Network) -> None:
    with pytest.raises(ClientError, match=r"\(InvalidParameterCombination\).*multiple attribute types"):
        network.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=network.interface(),
            Groups=network.groups[:1],
            ConnectionTrackingSpecification={"UdpTimeout": 30},
        )


def test_when_it_is_a_dry_run_then_nothing_changes(network: Network) -> None:
    interface = network.interface(network.groups[0])
    with pytest.raises(ClientError, match="DryRunOperation"):
        network.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, Groups=network.groups[1:2], DryRun=True
        )
    assert ids(network.described(interface)["Groups"]) == network.groups[:1]


def test_when_other_attributes_are_modified_then_they_are_kept(network: Network) -> None:
    interface = primary(network.instance())
    modify = network.ec2.modify_network_interface_attribute
    modify(NetworkInterfaceId=interface, Description={"Value": "mine"})
    modify(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})
    attachment = network.described(interface)["Attachment"]
    modify(
        NetworkInterfaceId=interface,
        Attachment={"AttachmentId": attachment["AttachmentId"], "DeleteOnTermination": False},
    )
    shown = network.described(interface)
    assert (shown["Description"], shown["SourceDestCheck"]) == ("mine", False)
    assert (attachment["DeleteOnTermination"], shown["Attachment"]["DeleteOnTermination"]) == (True, False)
    modify(NetworkInterfaceId=interface, Description={"Value": ""})
    assert network.described(interface)["Description"] == ""


def test_when_connection_tracking_is_set_then_it_is_described(network: Network) -> None:
    instance = network.instance()
    interface = primary(instance)
    assert "ConnectionTrackingConfiguration" not in network.described(interface)
    for specification in ({"TcpEstablishedTimeout": 60}, {"UdpStreamTimeout": 180, "UdpTimeout": 30}):
        network.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, ConnectionTrackingSpecification=specification
        )
    expected = {"TcpEstablishedTimeout": 60, "UdpStreamTimeout": 180, "UdpTimeout": 30}
    assert network.described(interface)["ConnectionTrackingConfiguration"] == expected
    shown = network.of_instance(instance["InstanceId"])["NetworkInterfaces"][0]
    assert shown["ConnectionTrackingConfiguration"] == expected
    # The groups are another attribute, and stay.
    assert len(shown["Groups"]) == 1


def test_when_an_interface_is_made_with_connection_tracking_then_it_has_it(network: Network) -> None:
    made = network.ec2.create_network_interface(
        SubnetId=network.subnet, ConnectionTrackingSpecification={"TcpEstablishedTimeout": 432000}
    )["NetworkInterface"]
    assert made["ConnectionTrackingConfiguration"] == {"TcpEstablishedTimeout": 432000}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TcpEstablishedTimeout", 59),
        ("TcpEstablishedTimeout", 432_001),
        ("UdpStreamTimeout", 59),
        ("UdpStreamTimeout", 181),
        ("UdpTimeout", 29),
        ("UdpTimeout", 61),
    ],
)
def test_fails_when_a_timeout_is_out_of_range(network: Network, name: str, value: int) -> None:
    interface = network.interface()
    with pytest.raises(ClientError, match=rf"\(InvalidParameterValue\).*{value}.*{name}"):
        network.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, ConnectionTrackingSpecification={name: value}
        )
    assert "ConnectionTrackingConfiguration" not in network.described(interface)


def test_when_an_instance_has_one_interface_then_its_groups_can_be_set(network: Network) -> None:
    instance = network.instance(SecurityGroupIds=network.groups[:1])
    network.ec2.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=network.groups[1:2])
    assert ids(network.described(primary(instance))["Groups"]) == network.groups[1:2]
    with pytest.raises(ClientError, match="InvalidGroup.NotFound"):
        network.ec2.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=[UNKNOWN_GROUP])


def test_fails_when_an_instance_with_two_interfaces_gets_groups(network: Network) -> None:
    instance = network.instance(SecurityGroupIds=network.groups[:1])
    network.ec2.attach_network_interface(
        NetworkInterfaceId=network.interface(), InstanceId=instance["InstanceId"], DeviceIndex=1
    )
    with pytest.raises(ClientError, match=r"\(InvalidInstanceID\).*multiple interfaces attached"):
        network.ec2.modify_instance_attribute(InstanceId=instance["InstanceId"], Groups=network.groups[1:2])
    assert ids(network.described(primary(instance))["Groups"]) == network.groups[:1]


def test_when_an_instance_ends_then_its_own_interface_goes_and_a_given_one_is_free(network: Network) -> None:
    given = network.interface(network.groups[0])
    first = network.instance()
    second = network.instance(NetworkInterfaces=[{"NetworkInterfaceId": given, "DeviceIndex": 0}])
    assert (second["SubnetId"], second["VpcId"], primary(second)) == (network.subnet, network.vpc, given)
    for _twice in range(2):
        network.ec2.terminate_instances(InstanceIds=[first["InstanceId"], second["InstanceId"]])
    [left] = network.ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert (left["NetworkInterfaceId"], left["Status"]) == (given, "available")
    assert "Attachment" not in left
    assert network.of_instance(first["InstanceId"])["NetworkInterfaces"] == []
    network.ec2.delete_network_interface(NetworkInterfaceId=given)


def test_when_an_interface_goes_then_its_address_is_free(network: Network) -> None:
    interface = network.interface()
    allocation = network.ec2.allocate_address(Domain="vpc")["AllocationId"]
    network.ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=interface)
    network.ec2.delete_network_interface(NetworkInterfaceId=interface)
    [address] = network.ec2.describe_addresses()["Addresses"]
    assert "AssociationId" not in address


def test_fails_when_an_interface_in_use_is_deleted_or_given_away(network: Network) -> None:
    interface = primary(network.instance())
    with pytest.raises(ClientError, match=r"\(InvalidParameterValue\).*currently in use"):
        network.ec2.delete_network_interface(NetworkInterfaceId=interface)
    with pytest.raises(ClientError, match="InvalidNetworkInterface.InUse"):
        network.instance(NetworkInterfaces=[{"NetworkInterfaceId": interface, "DeviceIndex": 0}])
    other = network.instance()
    with pytest.raises(ClientError, match="InvalidNetworkInterface.InUse"):
        network.ec2.attach_network_interface(
            NetworkInterfaceId=interface, InstanceId=other["InstanceId"], DeviceIndex=1
        )


def test_fails_when_a_group_in_use_is_deleted(network: Network) -> None:
    interface = network.interface(network.groups[0])
    with pytest.raises(ClientError, match="DependencyViolation"):
        network.ec2.delete_security_group(GroupId=network.groups[0])
    network.ec2.delete_network_interface(NetworkInterfaceId=interface)
    network.ec2.delete_security_group(GroupId=network.groups[0])


def test_when_an_interface_is_detached_then_its_attachment_is_found_as_detached(network: Network) -> None:
    interface, instance = network.interface(), network.instance()["InstanceId"]
    attachment = network.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)[
        "AttachmentId"
    ]
    network.ec2.detach_network_interface(AttachmentId=attachment, Force=True)
    asked = [{"Name": "attachment.attachment-id", "Values": [attachment]}]
    # What Terraform waits for.
    [seen] = network.ec2.describe_network_interfaces(Filters=asked)["NetworkInterfaces"]
    assert (seen["Attachment"]["Status"], seen["Attachment"]["InstanceId"]) == ("detached", instance)
    described = network.described(interface)
    assert described["Status"] == "available"
    assert "Attachment" not in described
    network.ec2.delete_network_interface(NetworkInterfaceId=interface)
    assert network.ec2.describe_network_interfaces(Filters=asked)["NetworkInterfaces"] == []


def test_when_time_has_passed_then_an_attachment_that_ended_is_gone(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_interfaces, "DETACHED_IS_SHOWN", 0.0)
    interface, instance = network.interface(), network.instance()["InstanceId"]
    attachment = network.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)[
        "AttachmentId"
    ]
    network.ec2.detach_network_interface(AttachmentId=attachment)
    asked = [{"Name": "attachment.attachment-id", "Values": [attachment]}]
    assert network.ec2.describe_network_interfaces(Filters=asked)["NetworkInterfaces"] == []


def test_when_a_spot_instance_has_no_groups_then_it_has_the_default_group_of_its_vpc(network: Network) -> None:
    [request] = network.ec2.request_spot_instances(
        LaunchSpecification={"ImageId": "ami-12345678", "InstanceType": "m5.large", "SubnetId": network.subnet}
    )["SpotInstanceRequests"]
    [group] = network.of_instance(request["InstanceId"])["SecurityGroups"]
    assert group["GroupName"] == "default"
    [found] = network.ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
    assert found["VpcId"] == network.vpc
