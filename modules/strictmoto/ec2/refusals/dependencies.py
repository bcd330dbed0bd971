"""What others depend on, and is not deleted, detached or released before them.

moto deletes security groups that rules name, VPCs with groups and gateways, main route tables and local routes, and
takes an Elastic IP address away from what uses it.

Sources: Amazon EC2 API Reference, DeleteSecurityGroup, DeleteVpc (what must be gone before, and what goes with it),
DeleteRouteTable, DetachInternetGateway, ReleaseAddress, AssociateRouteTable, CreateRoute and "Error codes for the
Amazon EC2 API" (CannotDelete, DependencyViolation, InvalidIPAddress.InUse, Resource.AlreadyAssociated).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses as _Addresses
from moto.ec2.responses.internet_gateways import InternetGateways as _Gateways
from moto.ec2.responses.route_tables import RouteTables as _Tables
from moto.ec2.responses.security_groups import SecurityGroups as _Groups

from strictmoto.ec2.refusals.states import has_ended

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Addresses: Any = _Addresses
Gateways: Any = _Gateways
Tables: Any = _Tables
Groups: Any = _Groups


def install() -> None:
    """Refuse to do so."""
    _keep_groups()
    _keep_networks()
    _keep_gateways()
    _keep_tables()
    _keep_addresses()


def _keep_groups() -> None:
    delete = Groups.delete_security_group

    @functools.wraps(delete)
    def delete_security_group(self: Any) -> Any:
        name = self._get_param("GroupId") or self._get_param("GroupName")
        group = self.ec2_backend.get_security_group_by_name_or_id(name)
        if group is not None:
            if group.is_default:
                raise EC2ClientError(
                    "CannotDelete",
                    f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user',
                )
            if any(group.id in _named(other) for other in _groups(self.ec2_backend) if other is not group):
                raise _depends(f"resource {group.id} has a dependent object")
        return delete(self)

    Groups.delete_security_group = delete_security_group


def _groups(backend: Any) -> Iterator[Any]:
    for part in list(backend.groups.values()):
        yield from list(part.values())


def _named(group: Any) -> Iterator[str]:
    """Yield the ids of the groups that the rules of a group name."""
    for rule in (*group.ingress_rules, *group.egress_rules):
        yield (rule.source_group or {}).get("GroupId", "")


def _keep_networks() -> None:
    delete = EC2Backend.delete_vpc

    @functools.wraps(delete)
    def delete_vpc(self: Any, vpc_id: str) -> Any:
        self.get_vpc(vpc_id)
        if any(_holds(self, vpc_id)):
            raise _depends(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
        deleted = delete(self, vpc_id)
        # Its default network ACL goes with it.
        for acl in [one for one in self.network_acls.values() if one.vpc_id == vpc_id]:
            del self.network_acls[acl.id]
        return deleted

    EC2Backend.delete_vpc = delete_vpc


def _holds(backend: Any, vpc_id: str) -> Iterator[bool]:
    """Yield, kind by kind, whether something is in a VPC that does not go with it."""
    yield any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in list(backend.internet_gateways.values()))
    yield any(gateway.vpc_id == vpc_id for gateway in list(backend.egress_only_internet_gateways.values()))
    yield any(
        attachment.vpc_id == vpc_id and attachment.state != "detached"
        for gateway in list(backend.vpn_gateways.values())
        for attachment in gateway.vpc_attachments
    )
    yield any(not group.is_default for group in list(backend.groups.get(vpc_id, {}).values()))
    yield any(acl.vpc_id == vpc_id and not acl.default for acl in list(backend.network_acls.values()))
    yield any(
        endpoint.vpc_id == vpc_id and endpoint.state != "deleted" for endpoint in list(backend.vpc_end_points.values())
    )


def _keep_gateways() -> None:
    detach = Gateways.detach_internet_gateway

    @functools.wraps(detach)
    def detach_internet_gateway(self: Any) -> Any:
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        gateway = backend.get_internet_gateway(self._get_param("InternetGatewayId"))
        # That another VPC is named is refused by what is wrapped.
        attached = gateway.vpc is not None and gateway.vpc.id == vpc_id
        if attached and any(_is_public(interface, vpc_id) for interface in list(backend.enis.values())):
            raise _depends(
                f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
                "detaching the gateway."
            )
        return detach(self)

    Gateways.detach_internet_gateway = detach_internet_gateway


def _is_public(interface: Any, vpc_id: str) -> bool:
    if interface.subnet.vpc_id != vpc_id or not interface.public_ip:
        return False
    return interface.instance is None or not has_ended(interface.instance)


def _keep_tables() -> None:
    delete, remove = Tables.delete_route_table, Tables.delete_route
    associate, create = Tables.associate_route_table, Tables.create_route

    @functools.wraps(delete)
    def delete_route_table(self: Any) -> Any:
        table = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
        if table.main_association_id is not None:
            raise _depends(f"The routeTable '{table.id}' has dependencies and cannot be deleted.")
        return delete(self)

    @functools.wraps(remove)
    def delete_route(self: Any) -> Any:
        table = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
        block = self._get_param("DestinationCidrBlock") or self._get_param("DestinationIpv6CidrBlock")
        if block and any(
            route.local and block in (route.destination_cidr_block, route.destination_ipv6_cidr_block)
            for route in table.routes
        ):
            raise _invalid(f"cannot remove local route {block} in route table {table.id}")
        return remove(self)

    @functools.wraps(associate)
    def associate_route_table(self: Any) -> Any:
        backend = self.ec2_backend
        table = backend.get_route_table(self._get_param("RouteTableId"))
        if subnet_id := self._get_param("SubnetId"):
            if backend.get_subnet(subnet_id).vpc_id != table.vpc_id:
                raise _invalid(f"Route table {table.id} and subnet {subnet_id} belong to different networks")
            others = [one for one in list(backend.route_tables.values()) if one is not table]
            if any(subnet_id in one._associations.values() for one in others):
                raise EC2ClientError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {table.id} conflicts with an existing association",
                )
        return associate(self)

    @functools.wraps(create)
    def create_route(self: Any) -> Any:
        backend, gateway_id = self.ec2_backend, self._get_param("GatewayId") or ""
        table = backend.get_route_table(self._get_param("RouteTableId"))
        if gateway_id.startswith("igw-"):
            vpc = backend.get_internet_gateway(gateway_id).vpc
            if vpc is None or vpc.id != table.vpc_id:
                raise _invalid(f"route table {table.id} and network gateway {gateway_id} belong to different networks")
        return create(self)

    Tables.delete_route_table = delete_route_table
    Tables.delete_route = delete_route
    Tables.associate_route_table = associate_route_table
    Tables.create_route = create_route


def _keep_addresses() -> None:
    release, end = Addresses.release_address, EC2Backend.delete_nat_gateway

    @functools.wraps(release)
    def release_address(self: Any) -> Any:
        allocation, public_ip = self._get_param("AllocationId"), self._get_param("PublicIp")
        for address in self.ec2_backend.addresses:
            named = address.allocation_id == allocation if allocation else address.public_ip == public_ip
            if named and address.domain == "vpc" and address.association_id:
                raise EC2ClientError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
        return release(self)

    @functools.wraps(end)
    def delete_nat_gateway(self: Any, nat_gateway_id: str) -> Any:
        gateway = end(self, nat_gateway_id)
        for address in self.addresses:
            if address.eni is gateway._eni and address.association_id:
                self.disassociate_address(association_id=address.association_id)
        return gateway

    Addresses.release_address = release_address
    EC2Backend.delete_nat_gateway = delete_nat_gateway


def _depends(message: str) -> Any:
    return EC2ClientError("DependencyViolation", message)


def _invalid(message: str) -> Any:
    return EC2ClientError("InvalidParameterValue", message)
