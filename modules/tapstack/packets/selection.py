"""The one exact decision on a packet: whether it is selected.

The language is a part of pcap-filter's: `host`, `net`, `port`, `portrange` and `proto`, with `src` and `dst`, the names
of protocols, `and`, `or`, `not` and parentheses. Whatever else pcap-filter has is refused by name. It decides by the
headers of the mirrored packet, whatever is around them: VLAN tags, IP options, extension headers.

Three differences from tcpdump, each of which finds more or asks first:
- A later fragment has no ports. It follows its first fragment: `FirstFragments` remembers the ports of those.
- IPv6's extension headers, and authentication headers (AH), are looked through: `tcp` is what carries TCP behind them.
- `and` beside `or` needs parentheses. To pcap-filter both bind alike, from left to right; to others `and` binds first.

Source: pcap-filter(7) of libpcap 1.10.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import ICMP, ICMPV6, PORTS, PROTOCOL_NUMBERS, TCP, UDP
from tapstack.domain.suggestions import did_you_mean
from tapstack.packets.frames import SCTP, Headers

MAX_LENGTH: Final = 10_000
"""Characters of an expression at most."""
MAX_DEPTH: Final = 50
"""Parentheses and `not` in each other at most."""
FRAGMENT_LIFE: Final = 60_000_000_000
"""Nanoseconds for which a first fragment is remembered: as long as reassembly waits (RFC 8200)."""
MAX_FRAGMENTS: Final = 16_384
"""First fragments that are remembered at most; then the oldest is forgotten."""

NAMES: Final = {
    "icmp": ICMP,
    "igmp": 2,
    "tcp": TCP,
    "udp": UDP,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmp6": ICMPV6,
    "icmpv6": ICMPV6,
    "sctp": SCTP,
}
"""Protocols that have a name; the others go by their IANA number."""
_FAMILIES: Final = {"ip": 4, "ip6": 6}
_BEFORE_PORTS: Final = ("tcp", "udp", "sctp")
_KINDS: Final = ("host", "net", "port", "portrange", "proto")
_WORDS: Final = (*_KINDS, "src", "dst", "and", "or", "not", *_FAMILIES, *NAMES)
_TOKEN: Final = re.compile(r"\s+|(&&|\|\||[()!]|[^\s()!&|]+)")
_SAME: Final = {"&&": "and", "||": "or", "!": "not"}
_ADDRESSES = "write host with an address, or net with a block"
_BYTES = "select by addresses, ports and protocols here, and the rest in Wireshark"
_REFUSED: Final = {
    **dict.fromkeys(("ether", "wlan", "fddi", "tr", "broadcast", "multicast", "gateway", "link"), _ADDRESSES),
    **dict.fromkeys(("less", "greater", "len", "action", "reason", "type", "subtype", "dir", "protochain"), _BYTES),
    **dict.fromkeys(("arp", "rarp", "atalk", "aarp", "decnet", "iso", "stp", "ipx", "netbeui"), "only IP is mirrored"),
    **dict.fromkeys(("vlan", "mpls", "pppoed", "pppoes"), "leave it out: tags are looked through"),
    **dict.fromkeys(("vxlan", "geneve"), "leave it out: what counts is the packet that was mirrored"),
    **dict.fromkeys(
        ("inbound", "outbound", "ifname", "on"), "leave it out, and name the interface beside the expression"
    ),
}

MISSING: Final = -1
"""Stands for an address, a protocol or a port that a packet does not have."""

Passes = Callable[[int, int, int, int, int, int, int], bool]
"""Decides by family, protocol, what the IP header names, source, destination, source port and destination port."""
_ARGUMENTS: Final = "family, protocol, ip_protocol, source, destination, source_port, destination_port"


class SelectionError(RuleViolation):
    """An expression is not of the language; says which word, and what would be right."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which packets are meant.

    Attributes:
        text: the expression; empty selects every packet.
        passes: decides by single fields; `MISSING` stands for what a packet does not have.
        by_transport: whether ports or protocols count, so that later fragments need their first one.
    """

    text: str
    passes: Passes = field(repr=False, compare=False)
    by_transport: bool = False

    def matches(self, headers: Headers) -> bool:
        """Whether it selects a packet; of a later fragment give what `FirstFragments.followed` returns."""
        family, source, destination, ip_protocol, protocol, source_port, destination_port, *_ = headers
        return self.passes(
            MISSING if family is None else family,
            MISSING if protocol is None else protocol,
            MISSING if ip_protocol is None else ip_protocol,
            MISSING if source is None else source,
            MISSING if destination is None else destination,
            MISSING if source_port is None else source_port,
            MISSING if destination_port is None else destination_port,
        )

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Read an expression, such as `host 203.0.113.7 and tcp port 443`.

        Raises:
            SelectionError: a word or a value is not of the language, or the expression is not complete.
        """
        if len(text) > MAX_LENGTH:
            raise SelectionError(f"an expression has {MAX_LENGTH} characters at most, got {len(text)}")
        parser = _Parser(text)
        # An expression of Python, of words of this module and numbers only: a third of the time of nested functions.
        passes: Passes = eval(f"lambda {_ARGUMENTS}: {parser.whole()}", {"__builtins__": {}})
        return cls(text, passes, parser.by_transport)

    @classmethod
    def all_of(cls, texts: Iterable[str]) -> Selection:
        """Read expressions that a packet has to match all of.

        Raises:
            SelectionError: as `parse`.
        """
        given = [text for text in texts if text.strip()]
        for text in given:
            cls.parse(text)
        return cls.parse(" and ".join(f"({text})" for text in given) if len(given) > 1 else "".join(given))


class _Parser:
    """Makes a condition, in Python, of an expression."""

    def __init__(self, text: str) -> None:
        self.by_transport = False
        self._depth = 0
        self._words: list[str] = []
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise SelectionError(f"unexpected {text[position]!r}: expected `and`, `or` or `not`")
            if found[1]:
                self._words.append(_SAME.get(found[1], found[1]))
            position = found.end()
        self._at = 0

    def whole(self) -> str:
        if not self._words:
            return "True"
        found = self._expression()
        if (word := self._next()) is not None:
            raise SelectionError(self._after_all(word))
        return found

    def _after_all(self, word: str) -> str:
        if word == ")":
            return "a parenthesis is closed that was not opened"
        before = self._words[self._at - 2]
        return f"expected `and` or `or` after {before!r}, got {word!r}"

    def _peek(self, ahead: int = 0) -> str | None:
        at = self._at + ahead
        return self._words[at] if at < len(self._words) else None

    def _next(self) -> str | None:
        word = self._peek()
        self._at += 1
        return word

    def _expression(self) -> str:
        parts, joined = [self._term()], None
        while (word := self._peek()) in ("and", "or"):
            if joined not in (None, word):
                raise SelectionError("`and` beside `or` needs parentheses: a and (b or c), or (a and b) or c")
            joined = word
            self._at += 1
            parts.append(self._term())
        return parts[0] if joined is None else f"({f' {joined} '.join(parts)})"

    def _term(self) -> str:
        word = self._peek()
        if word not in ("not", "("):
            return self._primitive()
        self._at += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SelectionError(f"parentheses and `not` are in each other {MAX_DEPTH} deep at most")
        if word == "not":
            term = self._term()
            self._depth -= 1
            return f"(not {term})"
        inner = self._expression()
        if (word := self._next()) != ")":
            raise SelectionError("a parenthesis is not closed" if word is None else self._after_all(word))
        self._depth -= 1
        return inner

    def _primitive(self) -> str:
        word = self._next()
        qualifier = None
        if word in NAMES or word in _FAMILIES:
            if self._peek() not in ("src", "dst", *_KINDS):
                return self._protocol(word)
            qualifier, word = word, self._next()
        source, destination, either = True, True, True
        named = ""
        if word in ("src", "dst"):
            named, other = f"{word} ", "dst" if word == "src" else "src"
            source, destination = word == "src", word == "dst"
            joined = self._peek()
            if joined in ("and", "or") and self._peek(1) == other and self._peek(2) in _KINDS:
                source = destination = True
                either = joined == "or"
                named = f"{word} {joined} {other} "
                self._at += 2
            word = self._next()
        if word not in _KINDS:
            raise SelectionError(self._unknown(word, named))
        value = self._next()
        if value is None or value in ("and", "or", "not", "(", ")"):
            raise SelectionError(f"{word!r} needs a value: {_EXAMPLES[word]}")
        if word == "proto":
            if named:
                raise SelectionError(f"`proto` has no direction: write proto {value}")
            if qualifier in NAMES:
                raise SelectionError(f"write `proto {value}`, without {qualifier!r} before it")
            return self._both(qualifier, self._protocol(value, number=True))
        if word in ("host", "net"):
            if qualifier in NAMES:
                raise SelectionError(f"write `{qualifier} and {named}{word} {value}`")
            return self._both(qualifier, _by_address(word, value, source, destination, either))
        if qualifier is not None and qualifier not in _BEFORE_PORTS:
            raise SelectionError(f"only tcp, udp and sctp have ports: write `{qualifier} and {named}{word} {value}`")
        self.by_transport = True
        return self._both(qualifier, _by_port(word, value, source, destination, either))

    def _both(self, qualifier: str | None, condition: str) -> str:
        if qualifier is None:
            return condition
        return f"({self._protocol(qualifier)} and {condition})"

    def _protocol(self, word: str, *, number: bool = False) -> str:
        if word in _FAMILIES and not number:
            return f"family == {_FAMILIES[word]}"
        self.by_transport = True
        name = word.removeprefix("\\")
        if name in NAMES:
            wanted = NAMES[name]
        elif re.fullmatch("[0-9]{1,3}", name) and int(name) <= PROTOCOL_NUMBERS[1]:
            wanted = int(name)
        else:
            expected = f"{', '.join(NAMES)} or an IANA number from 0 to 255 after `proto`"
            raise SelectionError(f"{did_you_mean(name, NAMES)}expected {expected}, got {word!r}")
        # The upper one, or what the IP header itself names: an authentication header, say.
        return f"(protocol == {wanted} or ip_protocol == {wanted})"

    def _unknown(self, word: str | None, named: str) -> str:
        if word is None:
            return "the expression ends where host, net, port, portrange, proto or a protocol is expected"
        if word in ("and", "or", ")") and not named:
            return f"expected host, net, port, portrange, proto or a protocol before {word!r}"
        if word in _REFUSED:
            return f"{word!r} of pcap-filter is not supported: {_REFUSED[word]}"
        if "[" in word or "]" in word:
            return f"{word!r}: bytes of packets are not compared: {_BYTES}"
        if re.match(r"[<>=]|\w+\.\w*[a-z]", word):
            return f"{word!r} is of a display filter: write, for example, `src host 10.0.1.5 and tcp port 443`"
        kind = "net" if "/" in word else "host" if _is_address(word) else "port" if word.isdigit() else None
        if kind is not None:
            return f"write `{named}{kind} {word}`: a value needs the word that says what it is"
        if named:
            return f"expected host, net, port or portrange after {named.strip()!r}, got {word!r}"
        expected = "host, net, port, portrange, proto or a protocol"
        return f"{did_you_mean(word, _WORDS)}{word!r} is not known: expected {expected}"


_EXAMPLES: Final = {
    "host": "host 203.0.113.7",
    "net": "net 10.0.0.0/16",
    "port": "port 443",
    "portrange": "portrange 8000-8999",
    "proto": "proto udp",
}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _by_address(word: str, value: str, source: bool, destination: bool, either: bool) -> str:
    if word == "host":
        if not _is_address(value):
            hint = f"; did you mean net {value}?" if "/" in value else ": names are not looked up"
            raise SelectionError(f"expected an IPv4 or IPv6 address after `host`, got {value!r}{hint}")
        block = ipaddress.ip_network(value)
    else:
        try:
            if not value.rpartition("/")[2].isdigit() or "/" not in value or "%" in value:
                raise ValueError
            block = ipaddress.ip_network(value)
        except ValueError:
            try:
                meant = f"; did you mean {ipaddress.ip_network(value, strict=False)}?"
            except ValueError:
                meant = ""
            raise SelectionError(
                f"expected a block such as 10.0.0.0/16 or 2001:db8::/32 after `net`, got {value!r}{meant}"
            ) from None
    within = _directed(
        int(block.network_address), int(block.broadcast_address), "source", "destination", source, destination, either
    )
    return f"(family == {block.version} and {within})"


def _by_port(word: str, value: str, source: bool, destination: bool, either: bool) -> str:
    found = re.fullmatch("([0-9]{1,5})" if word == "port" else "([0-9]{1,5})-([0-9]{1,5})", value)
    first, last = (int(found[1]), int(found[found.re.groups])) if found else (0, -1)
    if first > last or last > PORTS[1]:
        hint = "; did you mean portrange?" if word == "port" and "-" in value else ""
        expected = "a port from 0 to 65535" if word == "port" else "two ports such as 8000-8999, the lower one first,"
        raise SelectionError(f"expected {expected} after `{word}`, got {value!r}{hint}")

    return _directed(first, last, "source_port", "destination_port", source, destination, either)


def _directed(first: int, last: int, of_source: str, to: str, source: bool, destination: bool, either: bool) -> str:
    by_source, by_destination = (
        f"{name} == {first}" if first == last else f"{first} <= {name} <= {last}" for name in (of_source, to)
    )
    if source and destination:
        return f"({by_source} {'or' if either else 'and'} {by_destination})"
    return by_source if source else by_destination


class _First(NamedTuple):
    time: int
    protocol: int | None
    source_port: int | None
    destination_port: int | None


class FirstFragments:
    """What first fragments say of the later ones of the same packet; at most `MAX_FRAGMENTS` are remembered.

    A packet is known by the VNI, the addresses and the identification, and in IPv4 the protocol (RFC 791, RFC 8200).
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[tuple[object, ...], _First] = {}

    def note(self, headers: Headers, time: int, within: object = None) -> None:
        """Remember a first fragment; nothing else is.

        Args:
            headers: of a packet.
            time: nanoseconds.
            within: what packets have to have in common besides: the VNI, say.
        """
        if headers.fragment != "first":
            return
        key = self._key(headers, within)
        # Moved to the end, too: the first in the dictionary is the oldest.
        self._found.pop(key, None)
        self._found[key] = _First(time, headers.protocol, headers.source_port, headers.destination_port)
        if len(self._found) > MAX_FRAGMENTS:
            del self._found[next(iter(self._found))]

    def followed(self, headers: Headers, time: int, within: object = None) -> Headers | None:
        """Return the headers of a later fragment with protocol and ports of its first one; None if it is not known."""
        first = self._found.get(self._key(headers, within))
        if first is None or abs(time - first.time) > FRAGMENT_LIFE:
            return None
        _, protocol, source_port, destination_port = first
        return headers._replace(protocol=protocol, source_port=source_port, destination_port=destination_port)

    @staticmethod
    def _key(headers: Headers, within: object) -> tuple[object, ...]:
        by_protocol = headers.ip_protocol if headers.family == 4 else None
        return within, headers.family, headers.source, headers.destination, by_protocol, headers.identification
