"""Private addresses: each inside its subnet, none of those that AWS keeps, of one interface only, and one of them its
primary one.

moto takes any, and gives random ones, some of them twice, or outside of the subnet.

Sources: Amazon EC2 API Reference, CreateNetworkInterface, AssignPrivateIpAddresses, UnassignPrivateIpAddresses and
"Error codes for the Amazon EC2 API" (InvalidIPAddress.InUse, InvalidParameterValue, InsufficientFreeAddressesInSubnet);
Amazon VPC User Guide, "Subnet CIDR blocks" (the first four addresses and the last one are AWS's).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models.subnets import Subnet as _Subnet
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces as _Response

from strictmoto.ec2.mirroring.errors import missing

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Subnet: Any = _Subnet
Response: Any = _Response

_FIRST: Final = 4
"""How many addresses at the beginning of a subnet are AWS's; at its end one is."""
_HOLDERS: Final = "address_holders"
_NEXT: Final = "next_address"


def install() -> None:
    """Give and take addresses so."""
    _choose_free_addresses()
    _refuse_on_request()


def check_addresses(subnet: Any, addresses: Iterable[str], in_use: str = "") -> None:
    """Refuse addresses that an interface in a subnet cannot have.

    Args:
        subnet: of moto.
        addresses: that are asked for.
        in_use: what EC2 says of one in use.
    """
    for address in addresses:
        try:
            position = _position(subnet, address)
        except ValueError:
            raise EC2ClientError("InvalidParameterValue", f"invalid value for parameter address: {address}") from None
        if not 0 <= position < subnet.cidr.num_addresses:
            raise EC2ClientError(
                "InvalidParameterValue", f"Address {address} does not fall within the subnet's address range"
            )
        if not _FIRST <= position < subnet.cidr.num_addresses - 1:
            raise EC2ClientError("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
        if holder_of(subnet, address):
            raise EC2ClientError("InvalidIPAddress.InUse", in_use or f"Address {address} is in use.")


def room_for(subnet: Any, least: int, most: int) -> int:
    """Return how many addresses a subnet can give; refuse where that is too few."""
    if not _has_ipv4(subnet):
        return most
    holders = _holders(subnet)
    free = subnet.cidr.num_addresses - _FIRST - 1 - len(subnet._reserved_ips) - len(holders)
    if free < most:
        # Some of the holders are gone: they are counted only where it matters.
        free += sum(not holder_of(subnet, one) for one in list(holders))
    if free < least:
        raise _no_room(subnet)
    return min(int(free), most)


def holder_of(subnet: Any, address: str) -> Any:
    """Return the interface that has an address in a subnet; None where it is free."""
    interface = _holders(subnet).get(address)
    if interface is None or subnet.ec2_backend.enis.get(interface.id) is not interface:
        return None
    return interface if address in _addresses(interface) else None


def _holders(subnet: Any) -> dict[str, Any]:
    """Return the interfaces that got an address of a subnet, by address: some are gone, or have it no more."""
    found: dict[str, Any] = vars(subnet).setdefault(_HOLDERS, {})
    return found


def _addresses(interface: Any) -> list[str]:
    return [item["PrivateIpAddress"] for item in interface.private_ip_addresses]


def _position(subnet: Any, address: str) -> int:
    return int(ipaddress.IPv4Address(address)) - int(subnet.cidr.network_address)


def _is_in(subnet: Any, address: str) -> bool:
    return 0 <= _position(subnet, address) < int(subnet.cidr.num_addresses)


def _has_ipv4(subnet: Any) -> bool:
    return bool(subnet.cidr_block)


def _free(subnet: Any) -> str:
    """Return the next address of a subnet that is free. One that was given back is given again when all were."""
    size = subnet.cidr.num_addresses - _FIRST - 1
    start = vars(subnet).get(_NEXT, 0)
    for step in range(size):
        offset = (start + step) % size
        address = subnet.cidr.network_address + _FIRST + offset
        if address not in subnet._reserved_ips and not holder_of(subnet, str(address)):
            setattr(subnet, _NEXT, offset + 1)
            return str(address)
    raise _no_room(subnet)


def _no_room(subnet: Any) -> Any:
    return EC2ClientError(
        "InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}'."
    )


def _choose_free_addresses() -> None:
    create, assign = EC2Backend.create_network_interface, EC2Backend.assign_private_ip_addresses
    choose, take = Subnet.get_available_subnet_ip, Subnet.request_ip

    @functools.wraps(create)
    def create_network_interface(
        self: Any,
        subnet: Any,
        private_ip_address: Any,
        private_ip_addresses: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        found = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
        if not _has_ipv4(found):
            return create(self, subnet, private_ip_address, private_ip_addresses, *args, **kwargs)
        primary = private_ip_address[:1] if isinstance(private_ip_address, list) else [private_ip_address]
        # What is outside moto made up itself, for what other services attach: requests were checked.
        primary = [address for address in primary if address and _is_in(found, address)]
        items = list(private_ip_addresses or [])
        count = int(kwargs.pop("secondary_ips_count", None) or 0)
        if not primary and not items:
            primary = [_free(found)]
        if count and not items:
            items = [{"Primary": True, "PrivateIpAddress": primary[0]}]
        items += [{"Primary": False, "PrivateIpAddress": _free(found)} for _ in range(count)]
        interface = create(self, found, primary, items, *args, **kwargs)
        _holders(found).update(dict.fromkeys(_addresses(interface), interface))
        return interface

    @functools.wraps(assign)
    def assign_private_ip_addresses(
        self: Any, eni_id: str, private_ip_addresses: Any = None, secondary_ips_count: Any = None
    ) -> Any:
        interface = self.get_network_interface(eni_id)
        wanted = private_ip_addresses or [_free(interface.subnet) for _ in range(secondary_ips_count or 0)]
        assigned = assign(self, eni_id, wanted)
        _holders(interface.subnet).update(dict.fromkeys(wanted, interface))
        return assigned

    @functools.wraps(choose)
    def get_available_subnet_ip(self: Any, instance: Any) -> str:
        if not _has_ipv4(self):
            return str(choose(self, instance))
        address = _free(self)
        self._subnet_ips[address] = instance
        return address

    @functools.wraps(take)
    def request_ip(self: Any, ip: str, instance: Any) -> None:
        if not holder_of(self, ip):
            self._subnet_ips.pop(ip, None)
        take(self, ip, instance)

    EC2Backend.create_network_interface = create_network_interface
    EC2Backend.assign_private_ip_addresses = assign_private_ip_addresses
    Subnet.get_available_subnet_ip = get_available_subnet_ip
    Subnet.request_ip = request_ip


def _refuse_on_request() -> None:
    create, assign = Response.create_network_interface, Response.assign_private_ip_addresses
    unassign = Response.unassign_private_ip_addresses

    @functools.wraps(create)
    def create_network_interface(self: Any) -> Any:
        _check_combination(self)
        if wanted := asked_addresses(self._get_param("PrivateIpAddress"), self._get_param("PrivateIpAddresses")):
            subnet = self.ec2_backend.get_subnet(self._get_param("SubnetId"))
            check_addresses(subnet, wanted, "The specified address is already in use.")
        return create(self)

    @functools.wraps(assign)
    def assign_private_ip_addresses(self: Any) -> Any:
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        wanted = self._get_param("PrivateIpAddresses", [])
        if self._get_param("Ipv4Prefixes") or self._get_param("Ipv4PrefixCount"):
            raise EC2ClientError("Unsupported", "strictmoto assigns no prefixes.")
        if not wanted and not self._get_param("SecondaryPrivateIpAddressCount"):
            raise missing("PrivateIpAddresses or SecondaryPrivateIpAddressCount")
        if wanted and self._get_param("SecondaryPrivateIpAddressCount") is not None:
            raise EC2ClientError(
                "InvalidParameterCombination",
                "The parameters PrivateIpAddresses and SecondaryPrivateIpAddressCount cannot be used together.",
            )
        moved = [] if self._get_param("AllowReassignment") is not True else wanted
        others = {address: holder_of(interface.subnet, address) for address in moved}
        # Only what is another's secondary address moves.
        movable = {address for address, other in others.items() if other and address != other.private_ip_address}
        own = _addresses(interface)
        check_addresses(
            interface.subnet, [address for address in wanted if address not in movable and address not in own]
        )
        for address in movable:
            others[address].private_ip_addresses = [
                item for item in others[address].private_ip_addresses if item["PrivateIpAddress"] != address
            ]
        assign(self)
        # moto answers with all that the interface has.
        added = wanted or [address for address in _addresses(interface) if address not in own]
        return ActionResult(
            {
                "NetworkInterfaceId": interface.id,
                "AssignedPrivateIpAddresses": [{"PrivateIpAddress": address} for address in added],
            }
        )

    @functools.wraps(unassign)
    def unassign_private_ip_addresses(self: Any) -> Any:
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        given, own = self._get_param("PrivateIpAddresses", []), _addresses(interface)
        if absent := [address for address in given if address not in own]:
            raise EC2ClientError(
                "InvalidParameterValue", f"Some of [{', '.join(absent)}] are not assigned to interface {interface.id}"
            )
        if interface.private_ip_address in given:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"The primary address {interface.private_ip_address} of interface {interface.id} cannot be unassigned",
            )
        return unassign(self)

    Response.create_network_interface = create_network_interface
    Response.assign_private_ip_addresses = assign_private_ip_addresses
    Response.unassign_private_ip_addresses = unassign_private_ip_addresses


def _check_combination(response: Any) -> None:
    """Refuse more than one primary address for a new interface, and addresses beside a count of them."""
    items = response._get_param("PrivateIpAddresses", [])
    primary = [item["PrivateIpAddress"] for item in items if item.get("Primary") is True]
    if alone := response._get_param("PrivateIpAddress"):
        primary.append(alone)
    if len(primary) > 1:
        raise EC2ClientError(
            "InvalidParameterCombination",
            f"Only one private IP address can be designated as primary, not each of [{', '.join(primary)}].",
        )
    if items and response._get_param("SecondaryPrivateIpAddressCount"):
        raise EC2ClientError(
            "InvalidParameterCombination",
            "The parameters PrivateIpAddresses and SecondaryPrivateIpAddressCount cannot be used together.",
        )


def asked_addresses(primary: str | None, others: list[dict[str, Any]] | None) -> list[str]:
    """Return the addresses that a request asks for, each once."""
    found = [primary, *(item.get("PrivateIpAddress") for item in others or ())]
    return list(dict.fromkeys(address for address in found if address))
