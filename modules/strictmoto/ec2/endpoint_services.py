"""VPC endpoints, and the services that load balancers give them, as AWS has them.

moto takes an endpoint service of Gateway Load Balancers for one of type Gateway, lets endpoints name services that do
not exist, and makes no network interface for an endpoint of such a service.

A service whose owner accepts each connection keeps an endpoint waiting, pendingAcceptance, until it is accepted or
rejected; moto has endpoints available at once, and none of these actions.

Sources: AWS PrivateLink Guide, "Gateway Load Balancer endpoints" and "Accept or reject connection requests"; EC2 API
Reference, CreateVpcEndpointServiceConfiguration, DeleteVpcEndpointServiceConfigurations, CreateVpcEndpoint,
AcceptVpcEndpointConnections, RejectVpcEndpointConnections and DescribeVpcEndpointConnections.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2 import models
from moto.ec2.exceptions import EC2ClientError, InvalidServiceName
from moto.ec2.models import ec2_backends, vpc_service_configuration
from moto.ec2.responses.vpc_service_configuration import VPCEndpointServiceConfiguration
from moto.moto_api._internal import mock_random

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = models.EC2Backend
Service: Any = vpc_service_configuration.VPCServiceConfiguration
Response: Any = VPCEndpointServiceConfiguration

_AVAILABLE: Final = "available"
_WAITING: Final = "pendingAcceptance"
_REJECTED: Final = "rejected"
_OF_CUSTOMERS: Final = "com.amazonaws.vpce."
# The types of endpoints that have interfaces, and of the interfaces.
_INTERFACES: Final = {"Interface": "vpc_endpoint", "GatewayLoadBalancer": "gateway_load_balancer_endpoint"}


@functools.cache
def install() -> None:
    """Make the moto of this process have them so. A second call changes nothing."""
    _services()
    _endpoints()
    _connections()


def _services() -> None:
    initialize, describe = Service.__init__, Service.to_dict

    @functools.wraps(initialize)
    def with_type(self: Any, load_balancers: list[Any], region: str, *args: Any, **kwargs: Any) -> None:
        kinds = {balancer.type for balancer in load_balancers}
        if len(kinds) > 1 or not kinds <= {"network", "gateway"}:
            raise EC2ClientError(
                "InvalidParameter",
                "The load balancers of an endpoint service must be Network Load Balancers, or Gateway Load Balancers",
            )
        initialize(self, load_balancers, region, *args, **kwargs)
        self.id = f"vpce-svc-{mock_random.get_random_hex(length=17)}"
        self.service_name = f"{_OF_CUSTOMERS}{region}.{self.id}"
        self.endpoint_dns_name = f"{self.id}.{region}.vpce.amazonaws.com"
        self.availability_zones = list(dict.fromkeys(self.availability_zones))
        self.supported_ip_address_types = ["ipv4"]
        if kinds == {"gateway"}:
            self._service_type_name = "GatewayLoadBalancer"

    @functools.wraps(describe)
    def to_dict(self: Any) -> dict[str, Any]:
        tags = [{"Key": tag["key"], "Value": tag["value"]} for tag in self.get_tags()]
        shown = {
            **describe(self),
            "SupportedIpAddressTypes": self.supported_ip_address_types,
            "Tags": tags,
            # Only endpoints of AWS's own services have one.
            "VpcEndpointPolicySupported": False,
        }
        if not self.private_dns_name:
            del shown["PrivateDnsName"], shown["PrivateDnsNames"]
        return shown

    Service.__init__ = with_type
    Service.to_dict = to_dict


def _endpoints() -> None:
    create, delete = EC2Backend.create_vpc_endpoint, EC2Backend.delete_vpc_endpoints

    @functools.wraps(create)
    def create_vpc_endpoint(
        self: Any, vpc_id: str, service_name: str, endpoint_type: Any, *args: Any, **kw: Any
    ) -> Any:
        kind = endpoint_type or "Gateway"
        subnets = kw.get("subnet_ids") or []
        service = _check_service(self, service_name, kind) if service_name.startswith(_OF_CUSTOMERS) else None
        if kind == "GatewayLoadBalancer" and len(subnets) > 1:
            raise EC2ClientError(
                "InvalidParameter", "A Gateway Load Balancer endpoint can be in one subnet only, and more are given"
            )
        if kind == "GatewayLoadBalancer":
            kw |= {"private_dns_enabled": False}
        endpoint = create(self, vpc_id, service_name, kind, *args, **kw)
        if kind == "GatewayLoadBalancer":
            endpoint.network_interface_ids = [self.create_network_interface(subnet, []).id for subnet in subnets]
        for interface_id in endpoint.network_interface_ids:
            interface = self.enis[interface_id]
            interface.interface_type = _INTERFACES[kind]
            interface.requester_managed = True
            interface.status = "in-use"
            interface.description = f"VPC Endpoint Interface {endpoint.id}"
        if service is not None and service.acceptance_required:
            endpoint.state = _WAITING
        endpoint.requester_managed = False
        endpoint.ip_address_type = "ipv4"
        endpoint.service_region = self.region_name
        return endpoint

    @functools.wraps(delete)
    def delete_vpc_endpoints(self: Any, vpce_ids: list[str] | None = None) -> None:
        delete(self, vpce_ids)
        for endpoint_id in vpce_ids or []:
            if endpoint := self.vpc_end_points.get(endpoint_id):
                for interface_id in endpoint.network_interface_ids:
                    self.enis.pop(interface_id, None)

    EC2Backend.create_vpc_endpoint = create_vpc_endpoint
    EC2Backend.delete_vpc_endpoints = delete_vpc_endpoints


def _connections() -> None:
    def accept(self: Any) -> ActionResult:
        """AcceptVpcEndpointConnections."""
        return _decide(self, _AVAILABLE, (_WAITING, _REJECTED))

    def reject(self: Any) -> ActionResult:
        """RejectVpcEndpointConnections."""
        return _decide(self, _REJECTED, (_WAITING, _AVAILABLE))

    def describe(self: Any) -> ActionResult:
        """DescribeVpcEndpointConnections. Its filters are applied to the answer, as those of all that moto lacks."""
        services = self.ec2_backend.configurations.values()
        shown = [_shown(service, endpoint) for service in services for endpoint in _endpoints_of(service)]
        return ActionResult({"VpcEndpointConnections": shown})

    delete = Response.delete_vpc_endpoint_service_configurations

    @functools.wraps(delete)
    def delete_services(self: Any) -> ActionResult:
        asked = self._get_param("ServiceIds", [])
        used = [one for one in asked if _is_used(self.ec2_backend, one)]
        self.params["ServiceIds"] = [one for one in asked if one not in used]
        answered: Any = delete(self).result
        message = "Service has existing active VPC Endpoint connections!"
        left = [_unsuccessful(one, "ExistingVpcEndpointConnections", message) for one in used]
        return ActionResult({"Unsuccessful": [*answered["Unsuccessful"], *left]})

    Response.delete_vpc_endpoint_service_configurations = delete_services
    Response.accept_vpc_endpoint_connections = accept
    Response.reject_vpc_endpoint_connections = reject
    Response.describe_vpc_endpoint_connections = describe


def _is_used(backend: Any, service_id: str) -> bool:
    service = backend.configurations.get(service_id)
    return service is not None and any(one.state in (_AVAILABLE, _WAITING) for one in _endpoints_of(service))


def _endpoints_of(service: Any) -> Iterator[Any]:
    """Yield the endpoints of a service, of whatever account; a service has its Region in its name."""
    region = service.service_name.split(".")[3]
    for regions in list(ec2_backends.values()):
        if region in list(regions):
            for endpoint in list(regions[region].vpc_end_points.values()):
                if endpoint.service_name == service.service_name and endpoint.state != "deleted":
                    yield endpoint


def _decide(response: Any, state: str, before: Collection[str]) -> ActionResult:
    """Bring connections into a state, and name those that are not there or are not in a state before it."""
    service_id = response._get_param("ServiceId")
    [service] = response.ec2_backend.describe_vpc_endpoint_service_configurations([service_id])
    endpoints = {endpoint.id: endpoint for endpoint in _endpoints_of(service)}
    failed = []
    for name in response._get_param("VpcEndpointIds", []):
        endpoint = endpoints.get(name)
        if endpoint is None:
            message = f"The Vpc Endpoint Id '{name}' does not exist"
            failed.append(_unsuccessful(name, "InvalidVpcEndpointId.NotFound", message))
        elif endpoint.state not in before:
            message = f"The connection of endpoint '{name}' is in the state {endpoint.state}"
            failed.append(_unsuccessful(name, "InvalidState", message))
        else:
            endpoint.state = state
    return ActionResult({"Unsuccessful": failed})


def _unsuccessful(name: str, code: str, message: str) -> dict[str, Any]:
    return {"ResourceId": name, "Error": {"Code": code, "Message": message}}


def _shown(service: Any, endpoint: Any) -> dict[str, Any]:
    """Return a connection as its service's owner sees it."""
    return {
        "ServiceId": service.id,
        "VpcEndpointId": endpoint.id,
        "VpcEndpointOwner": endpoint.ec2_backend.account_id,
        "VpcEndpointState": endpoint.state,
        "CreationTimestamp": endpoint.creation_timestamp,
        "IpAddressType": "ipv4",
        "VpcEndpointRegion": endpoint.ec2_backend.region_name,
        "GatewayLoadBalancerArns": service.gateway_load_balancer_arns,
        "NetworkLoadBalancerArns": service.network_load_balancer_arns,
    }


def _check_service(backend: Any, name: str, kind: str) -> Any:
    """Return a service; refuse one that is not there, that this account may not use, or that has other endpoints."""
    service = _service(backend, name)
    if service is None:
        raise InvalidServiceName(name)
    if kind != service._service_type_name:
        raise EC2ClientError(
            "InvalidParameter",
            f"Endpoint type ({kind}) does not match available service types ([{service._service_type_name}]).",
        )
    return service


def _service(backend: Any, name: str) -> Any:
    for account, regions in list(ec2_backends.items()):
        if backend.region_name not in list(regions):
            continue
        for service in list(regions[backend.region_name].configurations.values()):
            if service.service_name == name:
                root = f"arn:{backend.partition}:iam::{backend.account_id}:root"
                allowed = account == backend.account_id or {"*", root} & set(service.principals)
                return service if allowed else None
    return None
