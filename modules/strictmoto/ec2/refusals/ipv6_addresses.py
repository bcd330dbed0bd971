"""IPv6 addresses: each inside its subnet's IPv6 block, none of those that AWS keeps, and of one interface only.

moto takes any text, never answers a count below zero, answers with all that an interface has, and leaves those out that
an instance is launched with.

Sources: Amazon EC2 API Reference, AssignIpv6Addresses, UnassignIpv6Addresses, CreateNetworkInterface and
InstanceNetworkInterfaceSpecification; Amazon VPC User Guide, "Subnet CIDR blocks" (the first four addresses and the
last one are AWS's). The codes are inferred from those of IPv4.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces as _Response

from strictmoto.ec2.mirroring.errors import invalid

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response
_FIRST: Final = 4
"""How many addresses at the beginning of a subnet's block are AWS's; at its end one is."""
_PREFIXES: Final = ("Ipv6Prefixes", "Ipv6PrefixCount")


def install() -> None:
    """Give and take them so."""
    create, assign, unassign = (
        Response.create_network_interface,
        Response.assign_ipv6_addresses,
        Response.unassign_ipv6_addresses,
    )
    give = EC2Backend.create_network_interface

    @functools.wraps(create)
    def create_network_interface(self: Any) -> Any:
        check_asked(self.ec2_backend, self.ec2_backend.get_subnet(self._get_param("SubnetId")), self.params)
        return create(self)

    @functools.wraps(give)
    def create_backend_interface(self: Any, *args: Any, **given: Any) -> Any:
        given["ipv6_addresses"] = [_read(address) for address in given.get("ipv6_addresses") or ()]
        return give(self, *args, **given)

    @functools.wraps(assign)
    def assign_ipv6_addresses(self: Any) -> Any:
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        if not any(name in self.params for name in ("Ipv6Addresses", "Ipv6AddressCount", *_PREFIXES)):
            raise EC2ClientError("MissingParameter", "Either ipv6Addresses or ipv6AddressCount must be specified.")
        check_asked(self.ec2_backend, interface.subnet, self.params, interface)
        before = list(interface.ipv6_addresses)
        wanted = list(map(_read, self._get_param("Ipv6Addresses", [])))
        count = self._get_param("Ipv6AddressCount")
        self.ec2_backend.assign_ipv6_addresses(interface.id, wanted, int(count or 0))
        added = wanted or [address for address in interface.ipv6_addresses if address not in before]
        return ActionResult({"NetworkInterfaceId": interface.id, "AssignedIpv6Addresses": added})

    @functools.wraps(unassign)
    def unassign_ipv6_addresses(self: Any) -> Any:
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        if self._get_param("Ipv6Prefixes"):
            raise EC2ClientError("Unsupported", "strictmoto has no prefixes of IPv6 addresses.")
        given = list(map(_read, self._get_param("Ipv6Addresses", [])))
        if not given:
            raise EC2ClientError("MissingParameter", "Either ipv6Addresses or ipv6Prefixes must be specified.")
        if absent := [address for address in given if address not in interface.ipv6_addresses]:
            raise invalid(f"Some of [{', '.join(absent)}] are not assigned to interface {interface.id}")
        self.ec2_backend.unassign_ipv6_addresses(interface.id, given)
        return ActionResult({"NetworkInterfaceId": interface.id, "UnassignedIpv6Addresses": given})

    Response.create_network_interface = create_network_interface
    Response.assign_ipv6_addresses = assign_ipv6_addresses
    Response.unassign_ipv6_addresses = unassign_ipv6_addresses
    EC2Backend.create_network_interface = create_backend_interface


def asked_ipv6(asked: Mapping[str, Any]) -> list[str]:
    """Return the addresses that a request asks for, as they are written in short."""
    given = asked.get("Ipv6Addresses") or ()
    return [_read(one["Ipv6Address"] if isinstance(one, dict) else one) for one in given]


def check_asked(backend: Any, subnet: Any, asked: Mapping[str, Any], interface: Any = None) -> None:
    """Refuse IPv6 addresses that an interface in a subnet cannot have.

    Args:
        backend: of moto.
        subnet: of moto.
        asked: what a request says: Ipv6Addresses, Ipv6AddressCount, or prefixes.
        interface: that may have them already.
    """
    if any(asked.get(name) for name in _PREFIXES):
        raise EC2ClientError("Unsupported", "strictmoto has no prefixes of IPv6 addresses.")
    addresses, count = asked_ipv6(asked), asked.get("Ipv6AddressCount")
    if addresses and count is not None:
        raise EC2ClientError(
            "InvalidParameterCombination",
            "The parameters ipv6Addresses and ipv6AddressCount cannot be used together.",
        )
    if count is not None and int(count) < (1 if interface else 0):
        raise invalid(f"Value ({count}) for parameter ipv6AddressCount is invalid.")
    if not addresses and not count:
        return
    block = _block_of(subnet)
    if len(set(addresses)) < len(addresses):
        raise invalid("The same IPv6 address was specified more than once.")
    for address in addresses:
        position = int(ipaddress.IPv6Address(address)) - int(block.network_address)
        if not 0 <= position < block.num_addresses:
            raise invalid(f"Address {address} does not fall within the subnet's address range")
        if not _FIRST <= position < block.num_addresses - 1:
            raise invalid(f"Address {address} is in subnet's reserved address range")
    _check_free(backend, addresses, interface)


def _check_free(backend: Any, addresses: Iterable[str], interface: Any) -> None:
    wanted = set(addresses)
    for other in list(backend.enis.values()) if wanted else ():
        if other is not interface and (taken := wanted.intersection(other.ipv6_addresses)):
            raise EC2ClientError("InvalidIPAddress.InUse", f"Address {min(taken)} is in use.")


def _block_of(subnet: Any) -> ipaddress.IPv6Network:
    for association in subnet.ipv6_cidr_block_associations.values():
        if block := association.get("ipv6CidrBlock"):
            return ipaddress.IPv6Network(block)
    raise invalid(f"The subnet '{subnet.id}' has no IPv6 CIDR block to assign addresses of.")


def _read(address: Any) -> str:
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        raise invalid(f"invalid value for parameter address: {address}") from None
