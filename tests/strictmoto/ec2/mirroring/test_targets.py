"""Traffic mirror targets: facts/traffic-mirroring.md, "Targets"."""

from __future__ import annotations

import re

import pytest

from tests.strictmoto.ec2.mirroring.network import Network, refused


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ("NetworkInterfaceId", "network-interface"),
        ("NetworkLoadBalancerArn", "network-load-balancer"),
        ("GatewayLoadBalancerEndpointId", "gateway-load-balancer-endpoint"),
    ],
)
def test_when_a_target_is_created_then_it_has_the_type_of_its_destination(
    network: Network, member: str, kind: str
) -> None:
    """Types: network interface, Network Load Balancer, Gateway Load Balancer endpoint."""
    make = {
        "NetworkInterfaceId": network.interface,
        "NetworkLoadBalancerArn": network.load_balancer,
        "GatewayLoadBalancerEndpointId": network.endpoint,
    }
    destination = make[member]()
    made = network.ec2.create_traffic_mirror_target(Description="collector", **{member: destination})
    assert network.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"] == [made["TrafficMirrorTarget"]]
    assert re.fullmatch("tmt-[0-9a-f]{17}", made["TrafficMirrorTarget"].pop("TrafficMirrorTargetId"))
    assert made["TrafficMirrorTarget"] == {
        member: destination,
        "Type": kind,
        "Description": "collector",
        "OwnerId": network.account,
        "Tags": [],
    }


def test_fails_when_a_target_has_no_destination_or_two(network: Network) -> None:
    """A target is exactly one of the three types."""
    with refused("MissingParameter"):
        network.ec2.create_traffic_mirror_target(Description="nothing")
    with refused("InvalidParameterCombination"):
        network.target(network.interface(), NetworkInterfaceId=network.interface(), NetworkLoadBalancerArn="arn")


def test_fails_when_the_destination_does_not_exist(network: Network) -> None:
    """The caller names a destination that exists, of the right kind."""
    with refused("InvalidNetworkInterfaceID.NotFound", "eni-0123456789abcdef0"):
        network.target("eni-0123456789abcdef0")
    with refused("InvalidNetworkLoadBalancerArn.NotFound", "does not exist"):
        network.target(NetworkLoadBalancerArn=network.load_balancer() + "0")
    for arn in (network.load_balancer("application"), "sensors", network.load_balancer("gateway")):
        with refused("InvalidNetworkLoadBalancerArn.Malformed", arn):
            network.target(NetworkLoadBalancerArn=arn)
    with refused("InvalidVpcEndpointId.NotFound"):
        network.target(GatewayLoadBalancerEndpointId="vpce-0123456789abcdef0")
    with refused("InvalidVpcEndpointType", "not a Gateway Load Balancer endpoint"):
        network.target(GatewayLoadBalancerEndpointId=network.endpoint("Gateway"))


def test_fails_when_a_network_load_balancer_is_a_target_already(network: Network) -> None:
    """NlbInUseByTrafficMirrorTargetException: one target on each; free again when that is deleted."""
    target = network.target(NetworkLoadBalancerArn=(arn := network.load_balancer()))
    with refused("NlbInUseByTrafficMirrorTargetException", target):
        network.target(NetworkLoadBalancerArn=arn)
    network.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)
    network.target(NetworkLoadBalancerArn=arn)


def test_when_two_targets_are_one_interface_or_one_endpoint_then_both_are_made(network: Network) -> None:
    """Only of Network Load Balancers does AWS document that a second target is refused."""
    interface, endpoint = network.interface(), network.endpoint()
    assert network.target(interface) != network.target(interface)
    one, two = (network.target(GatewayLoadBalancerEndpointId=endpoint) for _ in range(2))
    assert one != two


def test_fails_when_the_interface_is_a_source(network: Network) -> None:
    """An interface that is a target anywhere cannot be a source, and so the other way round (inferred)."""
    session = network.session(source := network.interface(), network.target())
    with refused("InvalidParameterValue", session["TrafficMirrorSessionId"]):
        network.target(source)


def test_fails_when_a_target_is_deleted_that_a_session_uses(network: Network) -> None:
    """A target must leave every session before it can be deleted."""
    session = network.session(network.interface(), target := network.target())
    with refused("TrafficMirrorTargetInUseException", session["TrafficMirrorSessionId"]):
        network.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)
    network.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
    network.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)


@pytest.mark.parametrize("action", ["describe", "delete", "create session", "modify session"])
def test_fails_when_a_target_does_not_exist(network: Network, action: str) -> None:
    """InvalidTrafficMirrorTargetId.NotFound; also after a deletion."""
    gone = network.target()
    network.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=gone)
    session = network.session(source := network.interface(), network.target())["TrafficMirrorSessionId"]
    with refused("InvalidTrafficMirrorTargetId.NotFound", gone):
        match action:
            case "describe":
                network.ec2.describe_traffic_mirror_targets(TrafficMirrorTargetIds=[gone])
            case "delete":
                network.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=gone)
            case "create session":
                network.session(source, gone, 2)
            case _:
                network.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, TrafficMirrorTargetId=gone)


@pytest.mark.parametrize("instance_type", ["m5.xlarge", None])
def test_fails_when_an_interface_target_gets_its_eleventh_source(network: Network, instance_type: str | None) -> None:
    """Interface target: 10 distinct sources, whichever of its targets they use."""
    interface = network.instance(instance_type)[1] if instance_type else network.interface()
    first, second, elsewhere = network.target(interface), network.target(interface), network.target()
    sources = [network.interface() for _ in range(11)]
    for position, source in enumerate(sources[:10]):
        network.session(source, first if position % 2 else second)
    with refused("TrafficMirrorSourcesPerTargetLimitExceeded", "Sources per interface-target limit reached (11)"):
        network.session(sources[10], first)
    session = network.session(sources[10], elsewhere)["TrafficMirrorSessionId"]
    with refused("TrafficMirrorSourcesPerTargetLimitExceeded"):
        network.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, TrafficMirrorTargetId=second)
    # A second session of a source that is counted already.
    network.session(sources[0], first, 2)


def test_when_the_collector_is_the_largest_of_its_family_then_100_sources_fit(network: Network) -> None:
    """Interface target: 100 distinct sources for the largest sizes of a family, for example m5.24xlarge."""
    target = network.target(network.instance("m5.24xlarge")[1])
    for _ in range(100):
        network.session(network.interface(), target)
    with refused("TrafficMirrorSourcesPerTargetLimitExceeded", "(101)"):
        network.session(network.interface(), target)


@pytest.mark.parametrize("kind", ["NetworkLoadBalancerArn", "GatewayLoadBalancerEndpointId"])
def test_when_the_target_is_no_interface_then_sources_are_unlimited(network: Network, kind: str) -> None:
    """Distinct sources: Network Load Balancer and Gateway Load Balancer endpoint unlimited."""
    destination = network.load_balancer() if kind == "NetworkLoadBalancerArn" else network.endpoint()
    target = network.target(**{kind: destination})
    for _ in range(11):
        network.session(network.interface(), target)
