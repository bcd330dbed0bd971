"""VPC endpoints and the services of load balancers: their types, their interfaces, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import Network, refused


@pytest.fixture
def network(aws_account: Account) -> Network:
    return Network(aws_account.client("ec2"), aws_account.client("elbv2"), "123456789012")


def service(network: Network, kind: str, *, accepted: bool = False) -> dict[str, Any]:
    member = "GatewayLoadBalancerArns" if kind == "gateway" else "NetworkLoadBalancerArns"
    balancers: Any = {member: [network.load_balancer(kind)]}
    made = network.ec2.create_vpc_endpoint_service_configuration(
        **balancers,
        AcceptanceRequired=accepted,
        TagSpecifications=[{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "team", "Value": "sensors"}]}],
    )
    configuration: dict[str, Any] = made["ServiceConfiguration"]
    return configuration


@pytest.mark.parametrize(("kind", "endpoint_type"), [("gateway", "GatewayLoadBalancer"), ("network", "Interface")])
def test_when_a_service_is_made_then_its_type_is_that_of_its_load_balancers(
    network: Network, kind: str, endpoint_type: str
) -> None:
    """ServiceType, in all that describes a service."""
    made = service(network, kind)
    name = made["ServiceName"]
    assert name == f"com.amazonaws.vpce.eu-central-1.{made['ServiceId']}"
    [configuration] = network.ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    asked = network.ec2.describe_vpc_endpoint_services(ServiceNames=[name])
    [details] = asked["ServiceDetails"]
    types = [one["ServiceType"] for one in (made, configuration, details)]
    assert types == [[{"ServiceType": endpoint_type}]] * 3
    assert (asked["ServiceNames"], details["Owner"]) == ([name], network.account)
    assert details["Tags"] == [{"Key": "team", "Value": "sensors"}]
    filters = [{"Name": "service-type", "Values": [endpoint_type]}, {"Name": "owner", "Values": [network.account]}]
    assert network.ec2.describe_vpc_endpoint_services(Filters=filters)["ServiceNames"] == [name]


def test_when_an_endpoint_is_made_then_it_has_an_interface_of_its_type_until_it_is_deleted(network: Network) -> None:
    """InterfaceType gateway_load_balancer_endpoint, managed by AWS."""
    endpoint = network.ec2.create_vpc_endpoint(
        VpcId=network.vpc,
        ServiceName=service(network, "gateway")["ServiceName"],
        VpcEndpointType="GatewayLoadBalancer",
        SubnetIds=[network.subnet],
    )["VpcEndpoint"]
    [found] = network.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert (found["VpcEndpointType"], found["State"]) == ("GatewayLoadBalancer", "available")
    [interface] = network.ec2.describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])[
        "NetworkInterfaces"
    ]
    assert (interface["InterfaceType"], interface["RequesterManaged"]) == ("gateway_load_balancer_endpoint", True)
    assert interface["SubnetId"] == network.subnet
    network.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    assert network.ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_fails_when_the_service_does_not_exist_or_has_endpoints_of_another_type(network: Network) -> None:
    """InvalidServiceName; InvalidParameter, code inferred."""
    with refused("InvalidServiceName", "vpce-svc-0123456789abcdef0"):
        network.ec2.create_vpc_endpoint(
            VpcId=network.vpc,
            ServiceName="com.amazonaws.vpce.eu-central-1.vpce-svc-0123456789abcdef0",
            VpcEndpointType="GatewayLoadBalancer",
        )
    for kind, wrong, right in (
        ("gateway", "Gateway", "GatewayLoadBalancer"),
        ("network", "GatewayLoadBalancer", "Interface"),
    ):
        with refused("InvalidParameter", f"Endpoint type ({wrong}) does not match available service types ([{right}])"):
            network.ec2.create_vpc_endpoint(
                VpcId=network.vpc, ServiceName=service(network, kind)["ServiceName"], VpcEndpointType=wrong
            )


def test_fails_when_a_gateway_load_balancer_endpoint_is_put_into_two_subnets(network: Network) -> None:
    """One subnet; code inferred."""
    other = network.ec2.create_subnet(VpcId=network.vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    with refused("InvalidParameter", "one subnet"):
        network.ec2.create_vpc_endpoint(
            VpcId=network.vpc,
            ServiceName=network.inspection,
            VpcEndpointType="GatewayLoadBalancer",
            SubnetIds=[network.subnet, other],
        )


def test_fails_when_a_service_is_of_an_application_load_balancer(network: Network) -> None:
    """Network and Gateway Load Balancers only; code inferred."""
    with refused("InvalidParameter", "Gateway Load Balancers"):
        network.ec2.create_vpc_endpoint_service_configuration(
            NetworkLoadBalancerArns=[network.load_balancer("application")]
        )


def test_when_another_account_is_not_allowed_then_the_service_does_not_exist_for_it(
    aws_account: Account, network: Network
) -> None:
    """AllowedPrincipals of an endpoint service."""
    made = service(network, "gateway")
    role = "arn:aws:iam::210987654321:role/network"
    other = Network(aws_account.client("ec2", role_arn=role), network.elbv2, "210987654321")
    given: Any = {
        "VpcId": other.vpc,
        "ServiceName": made["ServiceName"],
        "VpcEndpointType": "GatewayLoadBalancer",
        "SubnetIds": [other.subnet],
    }
    with refused("InvalidServiceName"):
        other.ec2.create_vpc_endpoint(**given)
    network.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=made["ServiceId"], AddAllowedPrincipals=["arn:aws:iam::210987654321:root"]
    )
    endpoint = other.ec2.create_vpc_endpoint(**given)["VpcEndpoint"]["VpcEndpointId"]
    other.target(GatewayLoadBalancerEndpointId=endpoint)


def connect(network: Network, to: dict[str, Any]) -> str:
    """Make an endpoint of a service of Gateway Load Balancers; return its id."""
    made = network.ec2.create_vpc_endpoint(
        VpcId=network.vpc,
        ServiceName=to["ServiceName"],
        VpcEndpointType="GatewayLoadBalancer",
        SubnetIds=[network.subnet],
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def state(network: Network, endpoint: str) -> str:
    return str(network.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["State"])


def test_when_connections_are_accepted_by_hand_then_an_endpoint_waits_for_that(network: Network) -> None:
    """pendingAcceptance, then available, and rejected at any time; no mirror target before it is available."""
    made = service(network, "gateway", accepted=True)
    endpoint = connect(network, made)
    asked: Any = {"ServiceId": made["ServiceId"], "VpcEndpointIds": [endpoint]}
    assert state(network, endpoint) == "pendingAcceptance"
    with refused("IncorrectState", "pendingAcceptance"):
        network.target(GatewayLoadBalancerEndpointId=endpoint)
    [shown] = network.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    assert (shown["ServiceId"], shown["VpcEndpointId"]) == (made["ServiceId"], endpoint)
    assert (shown["VpcEndpointOwner"], shown["VpcEndpointState"]) == (network.account, "pendingAcceptance")
    assert shown["GatewayLoadBalancerArns"] == made["GatewayLoadBalancerArns"]
    assert network.ec2.accept_vpc_endpoint_connections(**asked)["Unsuccessful"] == []
    assert state(network, endpoint) == "available"
    network.target(GatewayLoadBalancerEndpointId=endpoint)
    assert network.ec2.reject_vpc_endpoint_connections(**asked)["Unsuccessful"] == []
    assert state(network, endpoint) == "rejected"
    for name, found in (("rejected", 1), ("available", 0)):
        given = [{"Name": "vpc-endpoint-state", "Values": [name]}, {"Name": "vpc-endpoint-id", "Values": [endpoint]}]
        connections = network.ec2.describe_vpc_endpoint_connections(Filters=given)["VpcEndpointConnections"]
        assert len(connections) == found


def test_fails_when_there_is_no_such_connection_or_nothing_to_decide(network: Network) -> None:
    """Unsuccessful, per endpoint; code of the second inferred."""
    made, other = service(network, "gateway"), "vpce-0123456789abcdef0"
    endpoint = connect(network, made)
    asked: Any = {"ServiceId": made["ServiceId"], "VpcEndpointIds": [other, endpoint]}
    failed = network.ec2.accept_vpc_endpoint_connections(**asked)["Unsuccessful"]
    assert {one["ResourceId"]: one["Error"]["Code"] for one in failed} == {
        other: "InvalidVpcEndpointId.NotFound",
        endpoint: "InvalidState",
    }
    with refused("InvalidVpcEndpointServiceId.NotFound"):
        network.ec2.reject_vpc_endpoint_connections(ServiceId="vpce-svc-0123456789abcdef0", VpcEndpointIds=[endpoint])


def test_when_an_endpoint_is_of_another_account_then_the_owner_of_the_service_decides(
    aws_account: Account, network: Network
) -> None:
    made = service(network, "gateway", accepted=True)
    role = "arn:aws:iam::210987654321:role/network"
    other = Network(aws_account.client("ec2", role_arn=role), network.elbv2, "210987654321")
    network.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=made["ServiceId"], AddAllowedPrincipals=["arn:aws:iam::210987654321:root"]
    )
    endpoint = connect(other, made)
    assert other.ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"] == []
    asked: Any = {"ServiceId": made["ServiceId"], "VpcEndpointIds": [endpoint]}
    with refused("InvalidVpcEndpointServiceId.NotFound"):
        other.ec2.accept_vpc_endpoint_connections(**asked)
    network.ec2.accept_vpc_endpoint_connections(**asked)
    assert state(other, endpoint) == "available"


def test_fails_when_a_service_is_deleted_that_has_connections(network: Network) -> None:
    """Reject them first: the connection, not the endpoint, is what keeps it."""
    made = service(network, "gateway")
    endpoint, ids = connect(network, made), [made["ServiceId"]]
    [failed] = network.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=ids)["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (ids[0], "ExistingVpcEndpointConnections")
    network.ec2.reject_vpc_endpoint_connections(ServiceId=ids[0], VpcEndpointIds=[endpoint])
    assert network.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=ids)["Unsuccessful"] == []
