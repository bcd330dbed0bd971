"""The rules of traffic mirror filters, and what a rule may say.

Source: VPC Traffic Mirroring guide, "Traffic mirror filter rules"; Amazon EC2 API Reference,
"CreateTrafficMirrorFilterRule".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from moto.ec2.utils import random_id

from strictmoto.ec2.mirroring import errors, limits, tags
from strictmoto.ec2.mirroring.describing import describe
from strictmoto.ec2.mirroring.operations import Answer, Core, Parameters, check_remove_fields, operation, without_none
from strictmoto.ec2.mirroring.state import Filter, FilterRule

_FILTERS: Final = {
    "traffic-mirror-filter-rule-id": "TrafficMirrorFilterRuleId",
    "traffic-mirror-filter-id": "TrafficMirrorFilterId",
    "rule-number": "RuleNumber",
    "rule-action": "RuleAction",
    "traffic-direction": "TrafficDirection",
    "protocol": "Protocol",
    "source-cidr-block": "SourceCidrBlock",
    "destination-cidr-block": "DestinationCidrBlock",
    "description": "Description",
}
_REMOVABLE: Final = {
    "destination-port-range": "DestinationPortRange",
    "source-port-range": "SourcePortRange",
    "protocol": "Protocol",
    "description": "Description",
}
_PROTOCOLS_WITH_PORTS: Final = (6, 17)


class FilterRuleActions(Core):
    """Create, describe, modify and delete filter rules."""

    @operation
    def create_traffic_mirror_filter_rule(self, parameters: Parameters) -> Answer:
        """Add a rule to a filter, also to one that sessions use."""
        owner: Filter = self.find(Filter, parameters["TrafficMirrorFilterId"])
        given_tags = tags.read_specifications(parameters, FilterRule)
        created = FilterRule(id=random_id(FilterRule.prefix), filter_id=owner.id, **_read_rule(parameters))
        self._check_number_is_free(created)
        if len(self.state.rules_of(owner.id)) >= limits.RULES_PER_FILTER:
            raise errors.refuse(
                "TrafficMirrorFilterRuleLimitExceeded",
                f"The maximum number of rules per filter ({limits.RULES_PER_FILTER}) has been reached",
            )
        tags.attach(self, created.id, given_tags)
        self.state.add(created)
        return {"TrafficMirrorFilterRule": show_rule(self, created)}

    @operation
    def describe_traffic_mirror_filter_rules(self, parameters: Parameters) -> Answer:
        """Describe rules: all, by id, or those of one filter."""
        candidates = None
        if filter_id := parameters.get("TrafficMirrorFilterId"):
            candidates = self.state.rules_of(self.find(Filter, filter_id).id)
        return describe(
            self,
            FilterRule,
            parameters,
            view=lambda rule: show_rule(self, rule),
            filters=_FILTERS,
            candidates=candidates,
        )

    @operation
    def modify_traffic_mirror_filter_rule(self, parameters: Parameters) -> Answer:
        """Change the given fields and take RemoveFields back to their defaults."""
        found: FilterRule = self.find(FilterRule, parameters["TrafficMirrorFilterRuleId"])
        merged = {**show_rule(self, found), **parameters}
        for name in check_remove_fields(parameters, _REMOVABLE):
            merged.pop(name, None)
        changed = replace(found, **_read_rule(merged))
        self._check_number_is_free(changed)
        self.state.replace(found, changed)
        return {"TrafficMirrorFilterRule": show_rule(self, changed)}

    @operation
    def delete_traffic_mirror_filter_rule(self, parameters: Parameters) -> Answer:
        """Delete a rule, also of a filter that sessions use."""
        found: FilterRule = self.find(FilterRule, parameters["TrafficMirrorFilterRuleId"])
        self.state.remove(found)
        tags.forget(self, found.id)
        return {"TrafficMirrorFilterRuleId": found.id}

    def _check_number_is_free(self, rule: FilterRule) -> None:
        for other in self.state.rules_of(rule.filter_id):
            if other.id != rule.id and (other.direction, other.number) == (rule.direction, rule.number):
                raise errors.refuse(
                    "TrafficMirrorFilterRuleAlreadyExists",
                    f"{rule.filter_id} has rule number {rule.number} in direction {rule.direction} already: {other.id}",
                )


def show_rule(core: Core, shown: FilterRule) -> Answer:
    """Return a rule as answers have it."""
    return without_none(
        {
            "TrafficMirrorFilterRuleId": shown.id,
            "TrafficMirrorFilterId": shown.filter_id,
            "TrafficDirection": shown.direction,
            "RuleNumber": shown.number,
            "RuleAction": shown.action,
            "Protocol": shown.protocol,
            "DestinationPortRange": _show_ports(shown.destination_ports),
            "SourcePortRange": _show_ports(shown.source_ports),
            "DestinationCidrBlock": shown.destination_cidr,
            "SourceCidrBlock": shown.source_cidr,
            "Description": shown.description,
            "Tags": tags.of_resource(core, shown.id),
        }
    )


def _read_rule(parameters: Parameters) -> dict[str, Any]:
    """Return what a rule says, by the names of `FilterRule`.

    Raises:
        EC2ClientError: what AWS does not match.
    """
    _check_word(parameters, "TrafficDirection", ("ingress", "egress"))
    _check_word(parameters, "RuleAction", ("accept", "reject"))
    limits.check("RuleNumber", parameters["RuleNumber"], limits.RULE_NUMBER)
    protocol = parameters.get("Protocol")
    if protocol is not None:
        limits.check("Protocol", protocol, limits.PROTOCOL)
    ports = {name: _read_ports(parameters, name) for name in ("SourcePortRange", "DestinationPortRange")}
    if any(ports.values()) and protocol not in _PROTOCOLS_WITH_PORTS:
        raise errors.invalid("Port ranges can be given for TCP (6) and UDP (17) only")
    source, destination = (_read_block(parameters, name) for name in ("SourceCidrBlock", "DestinationCidrBlock"))
    if source.version != destination.version:
        raise errors.invalid(f"Both CIDR blocks must be of one IP family; got {source} and {destination}")
    description = parameters.get("Description")
    if len(description or "") > limits.DESCRIPTION:
        raise errors.invalid(f"Description must have at most {limits.DESCRIPTION} characters")
    return {
        "direction": parameters["TrafficDirection"],
        "number": parameters["RuleNumber"],
        "action": parameters["RuleAction"],
        "source_cidr": str(source),
        "destination_cidr": str(destination),
        "protocol": protocol,
        "source_ports": ports["SourcePortRange"],
        "destination_ports": ports["DestinationPortRange"],
        "description": description,
    }


def _check_word(parameters: Parameters, name: str, words: tuple[str, str]) -> None:
    if parameters[name] not in words:
        raise errors.invalid(f"{name} must be {' or '.join(words)}; got {parameters[name]}")


def _read_block(parameters: Parameters, name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    value = str(parameters[name])
    address, _, prefix = value.partition("/")
    try:
        # Python takes masks in place of the length, and zones, which AWS does not.
        if not (prefix.isascii() and prefix.isdigit()) or "%" in address:
            raise ValueError
        return ipaddress.ip_network(value)
    except ValueError:
        raise errors.invalid(f"{name}: '{value}' is not a CIDR block") from None


def _read_ports(parameters: Parameters, name: str) -> range | None:
    given: Mapping[str, Any] | None = parameters.get(name)
    if not given:
        return None
    for end in ("FromPort", "ToPort"):
        if given.get(end) is None:
            raise errors.missing(f"{name}.{end}")
        limits.check(f"{name}.{end}", given[end], limits.PORT)
    if given["FromPort"] > given["ToPort"]:
        raise errors.invalid(f"{name} runs backwards, from {given['FromPort']} to {given['ToPort']}")
    return range(given["FromPort"], given["ToPort"] + 1)


def _show_ports(ports: range | None) -> Answer | None:
    return None if ports is None else {"FromPort": ports[0], "ToPort": ports[-1]}
