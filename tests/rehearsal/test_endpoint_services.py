"""VPC endpoints and the services of load balancers: their types, their interfaces, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tapstack.rehearsal.account import Account
from tests.rehearsal.mirroring.network import Network, refused


@pytest.fixture
def network(rehearsal_account: Account) -> Network:
    return Network(rehearsal_account.client("ec2"), rehearsal_account.client("elbv2"), "123456789012")


def service(network: Network, kind: str) -> dict[str, Any]:
    member = "GatewayLoadBalancerArns" if kind == "gateway" else "NetworkLoadBalancerArns"
    balancers: Any = {member: [network.load_balancer(kind)]}
    made = network.ec2.create_vpc_endpoint_service_configuration(
        **balancers,
        AcceptanceRequired=False,
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
    rehearsal_account: Account, network: Network
) -> None:
    """AllowedPrincipals of an endpoint service."""
    made = service(network, "gateway")
    role = "arn:aws:iam::210987654321:role/network"
    other = Network(rehearsal_account.client("ec2", role_arn=role), network.elbv2, "210987654321")
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
