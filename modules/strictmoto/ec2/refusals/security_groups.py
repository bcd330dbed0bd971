"""Rules of security groups: CIDR blocks, ports, ICMP types and protocols that can be, and all rules of a request or
none. A rule that is modified stays of its type: an IPv4 block, an IPv6 block, a prefix list or a security group.

Protocols other than TCP, UDP and ICMP need no ports, of which moto makes HTTP 500.

Sources: Amazon EC2 API Reference, IpPermission, AuthorizeSecurityGroupIngress, ModifySecurityGroupRules,
SecurityGroupRuleRequest ("you cannot change the rule type"; of one address, the prefix length /32 or /128) and "Error
codes for the Amazon EC2 API" (InvalidGroup.NotFound, InvalidParameterValue, MissingParameter).
"""

from __future__ import annotations

import copy
import functools
import inspect
import ipaddress
import itertools
from collections.abc import Iterator
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidPermissionDuplicateError,
    InvalidPermissionNotFoundError,
    InvalidSecurityGroupNotFoundError,
    InvalidSecurityGroupRuleIdNotFoundError,
)
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models.security_groups import SecurityGroupRule as _Rule
from moto.ec2.responses.security_groups import SecurityGroups as _Response

from strictmoto.ec2.mirroring.errors import invalid, missing

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response
Rule: Any = _Rule

_RULES: Final = ("IpPermissions", "IpProtocol", "SourceSecurityGroupName")
"""One of which says what is authorized."""
_PORTS: Final = range(65_536)
_ICMP: Final = range(-1, 256)
_WITH_PORTS: Final = ("tcp", "udp", "6", "17")
_WITH_TYPES: Final = ("icmp", "icmpv6", "1", "58")
_ICMP_V6: Final = ("icmpv6", "58")
"""Of which the type and the code may be left out."""
_ALL: Final = ("-1", "all")
_NAMES: Final = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}


def install() -> None:
    """Refuse others."""
    Response._process_rules_from_querystring = _with_ports(Response._process_rules_from_querystring)
    for direction in ("ingress", "egress"):
        setattr(Response, f"authorize_security_group_{direction}", _authorizing(direction))
        setattr(Response, f"revoke_security_group_{direction}", _revoking(direction))
    EC2Backend.modify_security_group_rules = _modifying(EC2Backend.modify_security_group_rules)
    EC2Backend.revoke_security_group_egress = _revoking_ipv6(EC2Backend.revoke_security_group_egress)
    Rule.__init__ = _keeping_description(Rule.__init__)
    Rule.description = property(_description)


def _modifying(modify: Any) -> Any:
    """Return moto's method that modifies rules so that all of a request change, and no two are the same, or none."""

    @functools.wraps(modify)
    def modifying(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        for rule in rules.values():
            check_rule(rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort"))
        group = self.get_security_group_by_name_or_id(group_id)
        for rule_id, given in rules.items() if group is not None else ():
            if (kept := group.get_rule(rule_id)) is not None:
                _check_modified(self, kept, given)
        of_group = (group.ingress_rules, group.egress_rules) if group is not None else ()
        before = [(rule, copy.copy(vars(rule)), dict(rule.ip_range)) for kept in of_group for rule in kept]
        try:
            modify(self, group_id, rules)
            for kept in of_group:
                for rule in kept:
                    if rule.id in rules:
                        _complete(rule, rules[rule.id])
                if any(one == other for one, other in itertools.permutations(kept, 2) if one.id in rules):
                    raise InvalidPermissionDuplicateError
        except EC2ClientError:
            for rule, attributes, block in before:
                vars(rule).update(attributes, ip_range=block)
            raise

    return modifying


def _check_modified(backend: Any, rule: Any, given: dict[str, Any]) -> None:
    """Refuse what would make a rule one of another type, and a block or a group that cannot be.

    How many of the four a request has is refused by what is wrapped.
    """
    kept = {
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "ReferencedGroupId": rule.source_group,
    }
    kind = next(name for name, value in kept.items() if value)
    named = [name for name in kept if given.get(name) is not None]
    if len(named) != 1:
        return
    if named[0] != kind:
        raise invalid(
            f"Invalid rule type for security group rule '{rule.id}'. "
            f"You may not specify {named[0]} for an existing {kind} rule."
        )
    value = given[kind]
    if kind in ("CidrIpv4", "CidrIpv6"):
        check_block(value, 4 if kind == "CidrIpv4" else 6)
    elif kind == "ReferencedGroupId" and backend.get_security_group_from_id(value) is None:
        raise InvalidSecurityGroupNotFoundError(value)


def check_block(block: str, version: int) -> None:
    """Refuse what is no CIDR block of a version of IP, 4 or 6: an address without its prefix length is none."""
    try:
        found = ipaddress.ip_network(block, strict=False).version if "/" in block else None
    except ValueError:
        found = None
    if found != version:
        raise invalid(f"CIDR block {block} is malformed")


def _complete(rule: Any, given: dict[str, Any]) -> None:
    """Change what moto leaves of a rule as it was: what it names, and where the description of a group stands."""
    rule.ip_protocol = _named(rule.ip_protocol)
    if "CidrIpv6" in given:
        rule.ip_range["CidrIpv6"] = given["CidrIpv6"]
    if "PrefixListId" in given:
        rule.prefix_list_id = given["PrefixListId"]
    if "ReferencedGroupId" in given:
        rule.source_group = {**rule.source_group, "GroupId": given["ReferencedGroupId"]}
    if rule.source_group and "Description" in rule.ip_range:
        rule.source_group = {**rule.source_group, "Description": rule.ip_range.pop("Description")}


def _named(protocol: str) -> str:
    """Return a protocol as rules keep it: TCP, UDP and ICMP by name, however they are given."""
    name = str(protocol).lower()
    return _NAMES.get(name, name)


def _keeping_description(make: Any) -> Any:
    """Return moto's constructor of a rule so that it keeps the description of a prefix list, too."""

    asked = inspect.signature(make)

    @functools.wraps(make)
    def keeping(self: Any, *args: Any, **more: Any) -> None:
        make(self, *args, **more)
        self.prefix_list_description = (asked.bind(self, *args, **more).arguments.get("prefix_list_id") or {}).get(
            "Description"
        )

    return keeping


def _description(rule: Any) -> str | None:
    """Return the description of a rule, whatever it names; moto knows those of CIDR blocks only."""
    found: str | None = rule.ip_range.get("Description", rule.source_group.get("Description"))
    return found if found is not None else rule.prefix_list_description


def check_rule(protocol: str | None, first: int | None, last: int | None) -> None:
    """Refuse a rule whose protocol and ports cannot be.

    Args:
        protocol: its name or number; None is not refused here.
        first: the first port, or the ICMP type.
        last: the last port, or the ICMP code.
    """
    if protocol is None:
        return
    name = str(protocol).lower()
    if name in _WITH_PORTS:
        _check_ports(first, last)
    elif name in _WITH_TYPES:
        _check_types(first, last)
    elif name not in _ALL and not (name.isdecimal() and int(name) <= 255):
        raise invalid(f"Invalid value '{protocol}' for IP protocol. Unknown protocol.")


def _check_ports(first: int | None, last: int | None) -> None:
    if first is None or last is None:
        raise invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
    for end, port in (("from", first), ("to", last)):
        if port not in _PORTS:
            raise invalid(f"TCP/UDP ({end}) port ({port}) out of range")
    if first > last:
        raise invalid(f"Invalid TCP/UDP port range ({first}:{last})")


def _check_types(kind: int | None, code: int | None) -> None:
    if kind is None or code is None:
        raise invalid("Invalid value 'Must specify both type and code with ICMP.' for portRange.")
    for what, value in (("type", kind), ("code", code)):
        if value not in _ICMP:
            raise invalid(f"ICMP {what} ({value}) out of range")
    if kind == -1 and code != -1:
        raise invalid(f"ICMP code ({code}) must be -1 where the type is -1")


def _with_ports(read: Any) -> Any:
    """Return moto's reader of rules so that every rule with a protocol has ports: -1 where they mean nothing."""

    @functools.wraps(read)
    def process_rules(self: Any) -> Iterator[dict[str, Any]]:
        for rule in read(self):
            protocol = str(rule["ip_protocol"] or "").lower()
            if protocol and protocol not in (*_WITH_PORTS, "icmp", "1"):
                ports = {name: -1 for name in ("from_port", "to_port") if rule[name] is None}
                yield {**rule, **ports, "ip_protocol": "icmpv6" if protocol in _ICMP_V6 else protocol}
            else:
                yield rule

    return process_rules


def _authorizing(direction: str) -> Any:
    """Return the action that authorizes rules in a direction: it answers with all of them, and fails with none made."""
    kept = f"{direction}_rules"

    def authorize(self: Any) -> ActionResult:
        asked = list(self._process_rules_from_querystring())
        if all(self._get_param(name) in (None, []) for name in _RULES):
            raise missing("ipPermissions")
        for rule in asked:
            check_rule(rule["ip_protocol"], rule["from_port"], rule["to_port"])
            for block in rule["ip_ranges"] or ():
                for name, version in (("CidrIp", 4), ("CidrIpv6", 6)):
                    if (value := block.get(name)) is not None:
                        check_block(value, version)
        backend, name = self.ec2_backend, asked[0]["group_name_or_id"] if asked else ""
        group = backend.get_security_group_by_name_or_id(name)
        before = list(getattr(group, kept, ()))
        made: list[Any] = []
        try:
            for rule in asked:
                made += getattr(backend, f"authorize_security_group_{direction}")(**rule)[0]
        except EC2ClientError:
            if group is not None:
                setattr(group, kept, before)
            raise
        return ActionResult({"Return": True, "SecurityGroupRules": made})

    return functools.wraps(getattr(Response, f"authorize_security_group_{direction}"))(authorize)


def _revoking(direction: str) -> Any:
    """Return moto's action that revokes rules so that an id that the group does not have is refused as such."""
    revoke = getattr(Response, f"revoke_security_group_{direction}")

    @functools.wraps(revoke)
    def revoking(self: Any) -> ActionResult:
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId"))
        if group is not None:
            there = {rule.id for rule in getattr(group, f"{direction}_rules")}
            for rule_id in self._get_param("SecurityGroupRuleIds", []):
                if rule_id not in there:
                    raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        answer: ActionResult = revoke(self)
        return answer

    return revoking


def _revoking_ipv6(revoke: Any) -> Any:
    """Return moto's method that revokes egress rules so that IPv6 ranges count in a VPC without such a block, too."""
    asked = inspect.signature(revoke)

    @functools.wraps(revoke)
    def revoking(self: Any, *args: Any, **more: Any) -> Any:
        bound = asked.bind(self, *args, **more)
        given = bound.arguments
        ranges = given["ip_ranges"] or []
        blocks = [one["CidrIpv6"] for one in ranges if "CidrIpv6" in one]
        group = self.get_security_group_by_name_or_id(given["group_name_or_id"], given.get("vpc_id"))
        if not blocks or group is None:
            return revoke(*bound.args, **bound.kwargs)
        ports = (given["from_port"], given["to_port"])
        protocol = _named(given["ip_protocol"])
        found = {
            rule.ip_range["CidrIpv6"]: rule.id
            for rule in group.egress_rules
            if rule.ip_range.get("CidrIpv6") in blocks
            and rule.ip_protocol == protocol
            and (protocol in _ALL or (rule.from_port, rule.to_port) == ports)
        }
        if len(found) < len(set(blocks)):
            raise InvalidPermissionNotFoundError
        given["ip_ranges"] = [one for one in ranges if "CidrIpv6" not in one]
        answer = revoke(*bound.args, **bound.kwargs)
        group.egress_rules = [rule for rule in group.egress_rules if rule.id not in found.values()]
        return answer

    return revoking
