"""CIDR blocks: their family, and which of them include the whole internet."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

ANY_IPV4: Final = "0.0.0.0/0"
ANY_IPV6: Final = "::/0"


def check_cidr(value: str, *, examples: str = "10.0.0.0/16 or 2001:db8::/32") -> str:
    """Return the CIDR block `value` in the one spelling that AWS keeps (RFC 5952 for IPv6); a token unchanged.

    Args:
        value: a block, or a token.
        examples: what a message shows of the form.

    Raises:
        RuleViolation: not a CIDR block, host bits are set (10.0.0.1/16), or an IPv4 block is written as IPv6.
    """
    if is_token(value):
        return value
    try:
        if not value.rpartition("/")[2].isdigit() or "%" in value:
            raise ValueError  # no prefix length; a netmask or a zone, which Python accepts and AWS does not
        network = ipaddress.ip_network(value)
    except ValueError:
        try:
            network = ipaddress.ip_network(re.sub("%[^/]*", "", value), strict=False)
            # An address that ends like that of a network was hardly meant as a host.
            is_network = "/" not in value and str(network.network_address).endswith((".0", ":"))
            meant = "" if is_network else f"; did you mean {network}?"
        except ValueError:
            meant = ""
        raise RuleViolation(f"{value!r} is not a CIDR block: expected the form {examples}{meant}") from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED.prefixlen:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            meant = f"{mapped}/{network.prefixlen - _MAPPED.prefixlen}"
            raise RuleViolation(f"{value!r} is an IPv4 block written as IPv6: expected {meant}")
    return str(network)


_WITHOUT_HOSTS: Final = {
    ipaddress.ip_network("0.0.0.0/8"): "an unspecified address",
    ipaddress.ip_network("127.0.0.0/8"): "a loopback address",
    ipaddress.ip_network("169.254.0.0/16"): "a link-local address",
    ipaddress.ip_network("224.0.0.0/4"): "a multicast address",
    ipaddress.ip_network("255.255.255.255/32"): "the broadcast address",
    ipaddress.ip_network("240.0.0.0/4"): "a reserved address",
    ipaddress.ip_network("::/128"): "an unspecified address",
    ipaddress.ip_network("::1/128"): "a loopback address",
    ipaddress.ip_network("fe80::/10"): "a link-local address",
    ipaddress.ip_network("ff00::/8"): "a multicast address",
}
"""No other host is reached there: IANA IPv4 and IPv6 Special-Purpose Address Registries, RFC 5771, RFC 4291. The first
that fits counts."""


def kind_without_hosts(value: str) -> str | None:
    """Return what kind of addresses a CIDR block is of, where none of them is another host's; none for a token."""
    if is_token(value):
        return None
    block = ipaddress.ip_network(value)
    first, last = int(block.network_address), int(block.broadcast_address)
    for wide, kind in _WITHOUT_HOSTS.items():
        of_family = wide.version == block.version
        if of_family and int(wide.network_address) <= first and last <= int(wide.broadcast_address):
            return kind
    return None


_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4-mapped addresses, which are IPv4 on the wire (RFC 4291)."""


def family(value: str) -> int | None:
    """Return 4 or 6, or nothing for a token."""
    return None if is_token(value) else ipaddress.ip_network(value).version


def check_same_family(source: str, destination: str) -> None:
    """Refuse a mirror filter rule whose two CIDR blocks are of different IP families."""
    families = {family(source), family(destination)} - {None}
    if len(families) > 1:
        raise RuleViolation(
            f"source and destination of a rule must be of one IP family, got source {source} and "
            f"destination {destination}"
        )


def is_whole_internet(value: str) -> bool:
    """Return whether a CIDR block is the whole internet: 0.0.0.0/0 or ::/0."""
    return not is_token(value) and ipaddress.ip_network(value).prefixlen == 0


def open_ranges(blocks: Iterable[str]) -> tuple[str, ...]:
    """Return the blocks that are the whole internet, alone or together; none where they are less. Tokens count as none.

    What no public address is in need not be covered: 2000::/3 is all of the public IPv6 addresses.
    """
    literal = tuple(dict.fromkeys(block for block in blocks if not is_token(block)))
    if alone := next((block for block in literal if _are_everybody([block])), None):
        return (alone,)
    for version in (4, 6):
        of_family = tuple(block for block in literal if family(block) == version)
        if _are_everybody(of_family):
            return of_family
    return ()


def _are_everybody(blocks: Sequence[str]) -> bool:
    """Return whether blocks of one family cover all of its public addresses."""
    networks = [ipaddress.ip_network(block) for block in blocks]
    v4 = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    v6 = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    return any(whole.supernet_of(_PUBLIC_IPV6) for whole in ipaddress.collapse_addresses(v6)) or list(
        ipaddress.collapse_addresses([*v4, *_NOT_PUBLIC_IPV4])
    ) == [ipaddress.IPv4Network(ANY_IPV4)]


_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
"""Global unicast: IANA IPv6 Address Space. The IPv4 ones: IANA IPv4 Special-Purpose Address Registry, RFC 5771."""
_NOT_PUBLIC_IPV4: Final = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")))


def check_remote_access(value: str, *, accept_open: bool, ipv6: bool = True) -> str:
    """Return a remote access range in its one spelling.

    Args:
        value: a CIDR block, or a token.
        accept_open: it may be the whole internet.
        ipv6: it may be IPv6.

    Raises:
        RuleViolation: no CIDR block, of the wrong family, or the whole internet without acceptance.
    """
    value = check_cidr(value)
    if not ipv6 and family(value) == 6:
        raise RuleViolation(
            f"remote access from {value} is IPv6, and the template takes an IPv4 block: give the IPv4 range that "
            "responders come from, such as 10.20.0.0/16"
        )
    check_remote_access_together([value], accept_open=accept_open)
    return value


def check_remote_access_together(blocks: Iterable[str], *, accept_open: bool) -> None:
    """Refuse remote access ranges that together are the whole internet, unless that was accepted."""
    if not accept_open and (wide := open_ranges(blocks)):
        raise RuleViolation(
            f"remote access from {' and '.join(wide)} opens the appliance to the whole internet: give the range that "
            "responders come from, or accept it with accept_open_remote_access"
        )


def remote_access_warnings(value: str) -> list[str]:
    """Return warnings about remote access ranges that may be larger than intended."""
    if kind := kind_without_hosts(value):
        return [f"remote access from {value} lets no responder in ({kind}): give the range that responders come from"]
    if is_broad(value):
        return [f"remote access from {value} reaches far: give the range that responders come from"]
    return []


def is_broad(value: str) -> bool:
    """Return whether a public block is larger than any one organization is likely to mean."""
    if is_token(value):
        return False
    network = ipaddress.ip_network(value)
    return not network.is_private and network.prefixlen < (16 if network.version == 4 else 32)
