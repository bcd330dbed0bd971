"""Traffic mirror sessions: facts/traffic-mirroring.md, "Sessions" and "Sources"."""

from __future__ import annotations

import re
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from tests.strictmoto.ec2.mirroring.network import REGION, Network, refused


def modify(network: Network, session: dict[str, Any], **change: Any) -> dict[str, Any]:
    changed: dict[str, Any] = network.ec2.modify_traffic_mirror_session(
        TrafficMirrorSessionId=session["TrafficMirrorSessionId"], **change
    )["TrafficMirrorSession"]
    assert network.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"] == [changed]
    return changed


def test_when_a_session_is_created_then_it_is_answered_and_described_in_full(network: Network) -> None:
    """The members of botocore's TrafficMirrorSession."""
    source, target, filter_id = network.interface(), network.target(), network.filter()
    wanted = {"VirtualNetworkId": 7, "PacketLength": 200, "Description": "incident"}
    made = network.session(source, target, 32766, filter_id=filter_id, **wanted)
    assert network.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"] == [made]
    assert re.fullmatch("tms-[0-9a-f]{17}", made.pop("TrafficMirrorSessionId"))
    assert made == {
        **wanted,
        "NetworkInterfaceId": source,
        "TrafficMirrorTargetId": target,
        "TrafficMirrorFilterId": filter_id,
        "SessionNumber": 32766,
        "OwnerId": network.account,
        "Tags": [],
    }


def test_when_nothing_is_given_then_packets_are_whole_and_the_vni_is_random_and_unique(network: Network) -> None:
    """VNI random and unique in the account when omitted, 1 to 16777215; packet length omitted for whole packets."""
    target = network.target()
    made = [network.session(network.interface(), target) for _ in range(5)]
    numbers = {session["VirtualNetworkId"] for session in made}
    assert len(numbers) == 5
    assert all(1 <= number <= 16777215 for number in numbers)
    assert not any("PacketLength" in session for session in made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SessionNumber": 0}, "1 to 32766"),
        ({"SessionNumber": 32767}, "1 to 32766"),
        ({"VirtualNetworkId": 0}, "1 to 16777215"),
        ({"VirtualNetworkId": 16777216}, "1 to 16777215"),
        ({"PacketLength": 0}, "1 to"),
    ],
)
def test_fails_when_a_value_is_out_of_range(network: Network, change: dict[str, int], message: str) -> None:
    """Number 1 to 32766, VNI 1 to 16777215, packet length not below 1; at creation and at modification."""
    source, target = network.interface(), network.target()
    with refused("InvalidParameterValue", message):
        network.session(source, target, change.get("SessionNumber", 1), **_without_number(change))
    kept = network.session(source, target)
    with refused("InvalidParameterValue", message):
        modify(network, kept, **change)
    assert network.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"] == [kept]


def _without_number(change: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in change.items() if name != "SessionNumber"}


@pytest.mark.parametrize("length", [1, 20, 25, 34])
def test_when_packets_are_shorter_than_their_headers_then_aws_takes_that(network: Network, length: int) -> None:
    """The guide advises against it; the examples of the AWS CLI have 20 and 25."""
    made = network.session(network.interface(), network.target(), PacketLength=length)
    assert made["PacketLength"] == length
    assert modify(network, made, PacketLength=200)["PacketLength"] == 200
    assert modify(network, made, PacketLength=length)["PacketLength"] == length


def test_fails_when_a_number_is_taken_on_that_interface(network: Network) -> None:
    """The sessions of one source have different numbers; those of another source may have the same."""
    source, target = network.interface(), network.target()
    first = network.session(source, target, 1)
    second = network.session(source, target, 2)
    network.session(network.interface(), target, 1)
    with refused("InvalidParameterValue", first["TrafficMirrorSessionId"]):
        network.session(source, target, 1)
    with refused("InvalidParameterValue", first["TrafficMirrorSessionId"]):
        network.ec2.modify_traffic_mirror_session(
            TrafficMirrorSessionId=second["TrafficMirrorSessionId"], SessionNumber=1
        )


def test_fails_when_an_interface_gets_its_fourth_session(network: Network) -> None:
    """At most 3 sessions a source interface; not adjustable."""
    source, target = network.interface(), network.target()
    sessions = [network.session(source, target, number) for number in (1, 2, 3)]
    with refused("TrafficMirrorSessionsPerInterfaceLimitExceeded", source):
        network.session(source, target, 4)
    network.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=sessions[1]["TrafficMirrorSessionId"])
    network.session(source, target, 4)


def test_when_a_vni_is_asked_for_twice_then_the_sessions_share_it(network: Network) -> None:
    """VNIs are random and unique where none is asked for; AWS says nothing against asking for one twice (inferred)."""
    target = network.target()
    asked = [network.session(network.interface(), target, VirtualNetworkId=7)["VirtualNetworkId"] for _ in range(2)]
    assert asked == [7, 7]
    assert network.session(network.interface(), target)["VirtualNetworkId"] != 7


def test_fails_when_the_source_does_not_exist(network: Network) -> None:
    """InvalidNetworkInterfaceID.NotFound."""
    with refused("InvalidNetworkInterfaceID.NotFound", "eni-0123456789abcdef0"):
        network.session("eni-0123456789abcdef0", network.target())


def test_fails_when_the_source_is_a_target(network: Network) -> None:
    """An interface that is a target anywhere cannot be a source: "is in use by target"."""
    unrelated = network.target(interface := network.interface())
    with refused("InvalidParameterValue", f"{interface} is in use by target {unrelated}"):
        network.session(interface, network.target())
    network.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=unrelated)
    network.session(interface, network.target())


@pytest.mark.parametrize("instance_type", ["t2.micro", "c7gn.large", "m8g.large"])
def test_fails_when_the_instance_type_is_off_the_allow_list(network: Network, instance_type: str) -> None:
    """Since 28 August 2025 there is an allow-list of instance types; T2, C7gn and M8* are not on it."""
    with refused("NetworkInterfaceNotSupported", instance_type):
        network.session(network.instance(instance_type)[1], network.target())


@pytest.mark.parametrize("instance_type", ["t3.micro", "m5.large", "g4dn.xlarge"])
def test_when_the_instance_type_is_listed_then_it_is_mirrored(network: Network, instance_type: str) -> None:
    """T3, M5 and G4dn are on the allow-list."""
    network.session(network.instance(instance_type)[1], network.target())


def test_fails_when_the_interface_is_of_another_type(network: Network) -> None:
    """Interface type `interface` only."""
    source, target = network.interface(), network.target()
    ec2_backends[network.account][REGION].enis[source].interface_type = "nat_gateway"
    with refused("NetworkInterfaceNotSupported", "nat_gateway"):
        network.session(source, target)
    with refused("NetworkInterfaceNotSupported", "nat_gateway"):
        network.target(source)


def test_fails_when_the_subnet_has_ipv6_only(network: Network) -> None:
    """Not supported in IPv6-only subnets."""
    source, target = network.interface(), network.target()
    ec2_backends[network.account][REGION].enis[source].subnet.ipv6_native = True
    with refused("NetworkInterfaceNotSupported", "IPv6-only"):
        network.session(source, target)


def test_when_the_target_is_a_network_load_balancer_then_packets_have_at_most_8500_bytes(network: Network) -> None:
    """For NLB targets the packet length is 8500 by default, and 8500 at most."""
    target = network.target(NetworkLoadBalancerArn=network.load_balancer())
    session = network.session(source := network.interface(), target)
    assert session["PacketLength"] == 8500
    with refused("InvalidParameterValue", "to 8500"):
        network.session(source, target, 2, PacketLength=8501)
    with refused("InvalidParameterValue", "to 8500"):
        modify(network, session, PacketLength=8501)
    assert modify(network, session, PacketLength=8499)["PacketLength"] == 8499
    assert modify(network, session, RemoveFields=["packet-length"])["PacketLength"] == 8500


def test_fails_when_a_session_of_longer_packets_moves_to_a_network_load_balancer(network: Network) -> None:
    """The packet length of an NLB target is 8500 at most, also when the target is changed."""
    session = network.session(network.interface(), network.target(), PacketLength=8900)
    balancer = network.target(NetworkLoadBalancerArn=network.load_balancer())
    with refused("InvalidParameterValue", "to 8500"):
        modify(network, session, TrafficMirrorTargetId=balancer)
    assert modify(network, session, TrafficMirrorTargetId=balancer, PacketLength=100)["PacketLength"] == 100


def test_when_a_session_is_modified_then_the_rest_stays(network: Network) -> None:
    """ModifyTrafficMirrorSession changes target, filter, packet length, number, VNI and description."""
    session = network.session(network.interface(), network.target(), Description="before")
    changes = {
        "TrafficMirrorTargetId": network.target(),
        "TrafficMirrorFilterId": network.filter(),
        "PacketLength": 100,
        "SessionNumber": 9,
        "VirtualNetworkId": 77,
        "Description": "after",
    }
    for name, value in changes.items():
        changed = modify(network, session, **{name: value})
        assert changed == {**session, name: value}
        session = changed
    # What it has already is no conflict with itself.
    assert modify(network, session, SessionNumber=9, VirtualNetworkId=77) == session


def test_when_fields_are_removed_then_they_are_the_default(network: Network) -> None:
    """RemoveFields: packet-length, description, and virtual-network-id, which becomes another random one."""
    session = network.session(
        network.interface(), network.target(), PacketLength=100, Description="x", VirtualNetworkId=7
    )
    changed = modify(network, session, RemoveFields=["packet-length", "description", "virtual-network-id"])
    assert set(session) - set(changed) == {"PacketLength", "Description"}
    assert changed["VirtualNetworkId"] != 7


def test_fails_when_a_field_cannot_be_removed_or_is_also_set(network: Network) -> None:
    """RemoveFields takes three names (the refusal of a contradiction is inferred)."""
    session = network.session(network.interface(), network.target())
    with refused("InvalidParameterValue", "session-number"):
        modify(network, session, RemoveFields=["session-number"])
    with refused("InvalidParameterCombination", "PacketLength"):
        modify(network, session, PacketLength=100, RemoveFields=["packet-length"])


@pytest.mark.parametrize("action", ["describe", "modify", "delete"])
def test_fails_when_a_session_does_not_exist(network: Network, action: str) -> None:
    """InvalidTrafficMirrorSessionId.NotFound; also after a deletion."""
    gone = network.session(network.interface(), network.target())["TrafficMirrorSessionId"]
    network.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=gone)
    with refused("InvalidTrafficMirrorSessionId.NotFound", gone):
        if action == "describe":
            network.ec2.describe_traffic_mirror_sessions(TrafficMirrorSessionIds=[gone])
        else:
            getattr(network.ec2, f"{action}_traffic_mirror_session")(TrafficMirrorSessionId=gone)


@pytest.mark.parametrize("kind", ["Interface", "GatewayLoadBalancer"])
def test_fails_when_the_source_is_the_interface_of_an_endpoint(network: Network, kind: str) -> None:
    """Only interfaces of type interface are mirrored."""
    endpoint = network.ec2.create_vpc_endpoint(
        VpcId=network.vpc,
        ServiceName=network.inspection if kind == "GatewayLoadBalancer" else "com.amazonaws.eu-central-1.logs",
        VpcEndpointType=kind,
        SubnetIds=[network.subnet],
    )["VpcEndpoint"]
    with refused("NetworkInterfaceNotSupported", "endpoint"):
        network.session(endpoint["NetworkInterfaceIds"][0], network.target())


class TestWhatHappensToTheInterface:
    def test_when_the_source_is_deleted_then_its_sessions_go(self, network: Network) -> None:
        """Source interface deleted: AWS deletes the session."""
        target = network.target()
        gone = network.interface()
        network.session(gone, target, 1, VirtualNetworkId=7)
        network.session(gone, target, 2)
        kept = network.session(network.interface(), target)
        network.ec2.delete_network_interface(NetworkInterfaceId=gone)
        assert network.session_ids() == [kept["TrafficMirrorSessionId"]]
        network.session(network.interface(), target, VirtualNetworkId=7)

    def test_when_the_instance_stops_or_terminates_then_the_session_stays(self, network: Network) -> None:
        """Interface detached, instance stopped or terminated: the session stays, and is still billed."""
        # An interface that was not made with the instance outlives it.
        instance, interface = network.instance("m5.large")[0], network.interface()
        network.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)
        session = network.session(interface, network.target())["TrafficMirrorSessionId"]
        network.ec2.stop_instances(InstanceIds=[instance])
        assert network.session_ids() == [session]
        network.ec2.terminate_instances(InstanceIds=[instance])
        assert network.session_ids() == [session]

    def test_when_the_interface_is_detached_then_the_session_stays(self, network: Network) -> None:
        """Interface detached: the session stays."""
        interface = network.interface()
        attachment = network.ec2.attach_network_interface(
            NetworkInterfaceId=interface, InstanceId=network.instance("m5.large")[0], DeviceIndex=1
        )["AttachmentId"]
        session = network.session(interface, network.target())["TrafficMirrorSessionId"]
        network.ec2.detach_network_interface(AttachmentId=attachment)
        assert network.session_ids() == [session]

    def test_when_the_interface_of_the_target_is_deleted_then_the_session_stays(self, network: Network) -> None:
        """Mirroring stops, and is mended with ModifyTrafficMirrorSession."""
        session = network.session(network.interface(), network.target(gone := network.interface()))
        network.ec2.delete_network_interface(NetworkInterfaceId=gone)
        modify(network, session, TrafficMirrorTargetId=network.target())
