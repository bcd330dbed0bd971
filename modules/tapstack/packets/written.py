"""Packets as text: `tcp 10.0.1.5:41000 > 203.0.113.7:443`, and what is written behind it.

A packet is a protocol, a source, `>`, a destination, and options in any order:

- the protocol by name (tcp, udp, icmp, icmpv6, arp) or IANA number (`protocol 47`);
- an address, with a port behind a colon for TCP and UDP; IPv6 in brackets, `[2001:db8::1]:443`;
- `type N` and `code N` of ICMP and ICMPv6;
- `first fragment` or `later fragment`; a later one has no ports;
- `length N`: bytes of the IP packet with its header, as an MTU counts them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import ICMP, ICMPV6, PORTS, PROTOCOL_NUMBERS, PROTOCOLS, TCP, UDP
from tapstack.domain.outside_text import quoted
from tapstack.domain.suggestions import did_you_mean
from tapstack.packets.frames import ARP, Headers
from tapstack.packets.mirroring import ETHERNET_HEADER

EXAMPLE: Final = "tcp 10.0.1.5:41000 > 203.0.113.7:443"
LENGTH: Final = (20, 65535)
_IPV6_HEADER: Final = 40
_NAMES: Final = {"arp": None, **{name: number for name, number in PROTOCOLS.items() if number is not None}}
_SIDE: Final = re.compile(r"\[(?P<six>[^\[\]]*)\](?::(?P<port6>[^:]*))?|(?P<four>[^:\[\]]*)(?::(?P<port4>[^:]*))?")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class WrittenPacket:
    """A packet that was given as text.

    Attributes:
        headers: what its headers say.
        length: bytes of its frame, with the Ethernet header; None where none was given.
    """

    headers: Headers
    length: int | None = None


def parse_packet(text: str) -> WrittenPacket:
    """Read a packet that is written as text.

    Raises:
        RuleViolation: names the part that is wrong, and what would be right.
    """
    words = text.replace(">", " > ").split()
    name = words.pop(0).lower() if words else ""
    if name == "protocol" and words:
        name = words.pop(0)
    protocol = _protocol(name, text)
    if len(words) < 3 or words[1] != ">":
        raise RuleViolation(
            f"{quoted(text)} is not a packet: expected a source, > and a destination behind the protocol, as in "
            f"{EXAMPLE}"
        )
    (source, source_port), (destination, destination_port) = _side("source", words[0]), _side("destination", words[2])
    options = dict(_options(words[3:]))
    fragment = options.pop("fragment", None)
    _check_sides(source, destination)
    ports = {"source": source_port, "destination": destination_port}
    _check_ports(name, protocol, ports, fragment)
    _check_icmp(name, protocol, source, options, fragment)
    if protocol is None:
        if options or fragment:
            raise RuleViolation(
                f"ARP has no {', '.join([*options, *(['fragments'] if fragment else [])])}: take it out"
            )
        return WrittenPacket(Headers(ether_type=ARP))
    version = source.version
    length = options.get("length")
    shortest = LENGTH[0] if version == 4 else _IPV6_HEADER
    if length is not None and not shortest <= int(length) <= LENGTH[1]:
        raise RuleViolation(f"length must be {shortest} to {LENGTH[1]} bytes of an IPv{version} packet, got {length}")
    return WrittenPacket(
        Headers(
            family=4 if version == 4 else 6,
            source=int(source),
            destination=int(destination),
            ip_protocol=44 if fragment and version == 6 else protocol,
            protocol=protocol,
            source_port=source_port,
            destination_port=destination_port,
            fragment="later" if fragment == "later" else "first" if fragment else None,
            identification=0 if fragment else None,
            icmp_type=_number(options.get("type")),
            icmp_code=_number(options.get("code")),
            length=_number(length),
        ),
        None if length is None else int(length) + ETHERNET_HEADER,
    )


def packet_text(headers: Headers, length: int | None = None) -> str:
    """Return what headers say as text that `parse_packet` reads; in words where they are not those of an IP packet.

    Args:
        headers: of the packet.
        length: bytes of the frame; not said where None.
    """
    if headers.ether_type == ARP:
        return "arp"
    if headers.family is None:
        kind = "" if headers.ether_type is None else f" of type 0x{headers.ether_type:04x}"
        return f"a frame{kind} that is not IP"
    if headers.source is None or headers.destination is None:
        return f"an IPv{headers.family} packet that was cut in its header"
    names = {number: name for name, number in _NAMES.items()}
    protocol = names.get(headers.protocol, f"protocol {headers.protocol}")
    if headers.protocol is None:
        protocol = "a packet of a protocol that was cut off,"
    sides = (
        _side_text(headers.family, headers.source, headers.source_port),
        _side_text(headers.family, headers.destination, headers.destination_port),
    )
    words = [protocol, " > ".join(sides)]
    if headers.icmp_type is not None:
        words.append(f"type {headers.icmp_type}")
    if headers.icmp_code is not None:
        words.append(f"code {headers.icmp_code}")
    if headers.fragment is not None:
        words.append(f"{headers.fragment} fragment")
    if length is not None:
        words.append(f"length {length - ETHERNET_HEADER}")
    return " ".join(words)


def _side_text(family: int, address: int, port: int | None) -> str:
    behind = "" if port is None else f":{port}"
    if family == 4:
        return f"{ipaddress.IPv4Address(address)}{behind}"
    return f"[{ipaddress.IPv6Address(address)}]{behind}"


def _protocol(name: str, text: str) -> int | None:
    """Return the number of a protocol; None for ARP."""
    if name in _NAMES:
        return _NAMES[name]
    number = _whole(name)
    if number is not None and PROTOCOL_NUMBERS[0] <= number <= PROTOCOL_NUMBERS[1]:
        return number
    if not name:
        raise RuleViolation(f"no packet is given: expected one such as {EXAMPLE}")
    raise RuleViolation(
        f"{quoted(text)} begins with {quoted(name)}: {did_you_mean(name, _NAMES)}expected a protocol, "
        f"{', '.join(_NAMES)} or a number such as protocol 47, as in {EXAMPLE}"
    )


def _side(what: str, text: str) -> tuple[_Address, int | None]:
    """Read an address with a port or without."""
    parts = _SIDE.fullmatch(text)
    address: _Address | None = None
    try:
        if parts is None:
            address = ipaddress.IPv6Address(text)  # without brackets, and so without a port
        elif parts["six"] is not None:
            address = ipaddress.IPv6Address(parts["six"])
        else:
            address = ipaddress.IPv4Address(parts["four"])
    except ValueError:
        pass
    if address is None or "%" in text:
        raise RuleViolation(
            f"{what} {quoted(text)} is no address: expected 10.0.1.5, 10.0.1.5:443 or [2001:db8::1]:443"
        )
    port = None if parts is None else parts["port6"] if parts["six"] is not None else parts["port4"]
    if port is None:
        return address, None
    number = _whole(port)
    if number is None or not PORTS[0] <= number <= PORTS[1]:
        raise RuleViolation(f"{what} {quoted(text)}: expected a port from {PORTS[0]} to {PORTS[1]}, got {quoted(port)}")
    return address, number


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Return the options behind the destination by name; `fragment` is `first` or `later`."""
    seen: set[str] = set()
    while words:
        name = words.pop(0).lower()
        if name in ("first", "later") and words and words[0].lower() == "fragment":
            words.pop(0)
            name, value = "fragment", name
        elif name in ("type", "code", "length"):
            value = words.pop(0) if words else ""
            if _whole(value) is None:
                raise RuleViolation(f"expected a number behind {name}, got {quoted(value) if value else 'none'}")
        else:
            known = ("type", "code", "length", "first fragment", "later fragment")
            raise RuleViolation(
                f"{quoted(name)} behind the destination: {did_you_mean(name, known)}expected {', '.join(known)}"
            )
        if name in seen:
            raise RuleViolation(f"{name} is given twice: keep one")
        seen.add(name)
        yield name, value


def _check_sides(source: _Address, destination: _Address) -> None:
    if source.version != destination.version:
        raise RuleViolation(
            f"source and destination must be of one IP family, got {source} (IPv{source.version}) and {destination} "
            f"(IPv{destination.version})"
        )


def _check_ports(name: str, protocol: int | None, ports: dict[str, int | None], fragment: str | None) -> None:
    given = [what for what, port in ports.items() if port is not None]
    if protocol in (TCP, UDP) and fragment != "later":
        if missing := [what for what in ports if what not in given]:
            raise RuleViolation(
                f"{name} needs a port behind the {' and the '.join(missing)}, as in {EXAMPLE}; only a later fragment "
                "has none"
            )
    elif given:
        whose = f"a later fragment of {name}" if fragment == "later" else name if name in _NAMES else f"protocol {name}"
        raise RuleViolation(f"{whose} has no ports: take them off the {' and the '.join(given)}")


def _check_icmp(
    name: str, protocol: int | None, source: _Address, options: dict[str, str], fragment: str | None
) -> None:
    given = [what for what in ("type", "code") if what in options]
    if given and (protocol not in (ICMP, ICMPV6) or fragment == "later"):
        goes = "goes" if len(given) == 1 else "go"
        raise RuleViolation(
            f"{' and '.join(given)} {goes} with icmp and icmpv6 that are no later fragments, got {name}"
        )
    for what in given:
        if int(options[what]) > 255:
            raise RuleViolation(f"{what} must be 0 to 255, got {options[what]}")
    if protocol == ICMP and source.version == 6:
        raise RuleViolation("icmp is that of IPv4: expected icmpv6 for these addresses")
    if protocol == ICMPV6 and source.version == 4:
        raise RuleViolation("icmpv6 is that of IPv6: expected icmp for these addresses")


def _whole(text: str) -> int | None:
    """Return a whole number of at most nine digits; None for any other text."""
    return int(text) if len(text) <= 9 and text.isascii() and text.isdigit() else None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
