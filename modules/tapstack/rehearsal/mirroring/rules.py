"""The rules of traffic mirror filters; what a rule may say is the domain's `MirrorRule`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from moto.ec2.utils import random_id

from tapstack.domain import limits
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import MirrorRule, PortRange, Traffic
from tapstack.rehearsal.mirroring import errors, tags
from tapstack.rehearsal.mirroring.describing import describe
from tapstack.rehearsal.mirroring.operations import (
    Answer,
    Core,
    Parameters,
    check_remove_fields,
    operation,
    without_none,
)
from tapstack.rehearsal.mirroring.state import Filter, FilterRule

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


class FilterRuleActions(Core):
    """Create, describe, modify and delete filter rules."""

    @operation
    def create_traffic_mirror_filter_rule(self, parameters: Parameters) -> Answer:
        """Add a rule to a filter, also to one that sessions use."""
        owner: Filter = self.find(Filter, parameters["TrafficMirrorFilterId"])
        given_tags = tags.read_specifications(parameters, FilterRule)
        rule = _read_rule(parameters)
        self._check_number_is_free(owner.id, rule)
        try:
            limits.check_rule_count(len(self.state.rules_of(owner.id)) + 1)
        except RuleViolation as violation:
            raise errors.refuse("TrafficMirrorFilterRuleLimitExceeded", str(violation)) from violation
        created = FilterRule(
            id=random_id(FilterRule.prefix),
            description=parameters.get("Description"),
            filter_id=owner.id,
            rule=rule,
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
        changed = replace(found, description=merged.get("Description"), rule=_read_rule(merged))
        self._check_number_is_free(found.filter_id, changed.rule, but=found)
        self.state.replace(found, changed)
        return {"TrafficMirrorFilterRule": show_rule(self, changed)}

    @operation
    def delete_traffic_mirror_filter_rule(self, parameters: Parameters) -> Answer:
        """Delete a rule, also of a filter that sessions use."""
        found: FilterRule = self.find(FilterRule, parameters["TrafficMirrorFilterRuleId"])
        self.state.remove(found)
        tags.forget(self, found.id)
        return {"TrafficMirrorFilterRuleId": found.id}

    def _check_number_is_free(self, filter_id: str, rule: MirrorRule, *, but: FilterRule | None = None) -> None:
        for other in self.state.rules_of(filter_id):
            if other != but and (other.rule.direction, other.rule.number) == (rule.direction, rule.number):
                raise errors.refuse(
                    "TrafficMirrorFilterRuleAlreadyExists",
                    f"{filter_id} has rule number {rule.number} in direction {rule.direction} already: {other.id}",
                )


def show_rule(core: Core, shown: FilterRule) -> Answer:
    """Return a rule as answers have it."""
    rule = shown.rule
    return without_none(
        {
            "TrafficMirrorFilterRuleId": shown.id,
            "TrafficMirrorFilterId": shown.filter_id,
            "TrafficDirection": rule.direction,
            "RuleNumber": rule.number,
            "RuleAction": rule.action,
            "Protocol": rule.traffic.protocol,
            "DestinationPortRange": _show_ports(rule.traffic.destination_ports),
            "SourcePortRange": _show_ports(rule.traffic.source_ports),
            "DestinationCidrBlock": rule.destination_cidr,
            "SourceCidrBlock": rule.source_cidr,
            "Description": shown.description,
            "Tags": tags.of_resource(core, shown.id),
        }
    )


def _read_rule(parameters: Parameters) -> MirrorRule:
    return MirrorRule(
        parameters["TrafficDirection"],
        parameters["RuleAction"],
        Traffic(
            parameters.get("Protocol"),
            _read_ports(parameters, "SourcePortRange"),
            _read_ports(parameters, "DestinationPortRange"),
        ),
        source=parameters["SourceCidrBlock"],
        destination=parameters["DestinationCidrBlock"],
        number=parameters["RuleNumber"],
        description=parameters.get("Description", ""),
    )


def _read_ports(parameters: Parameters, name: str) -> PortRange | None:
    given: Mapping[str, Any] | None = parameters.get(name)
    if not given:
        return None
    for end in ("FromPort", "ToPort"):
        if given.get(end) is None:
            raise errors.missing(f"{name}.{end}")
    return PortRange(given["FromPort"], given["ToPort"])


def _show_ports(ports: PortRange | None) -> Answer | None:
    return None if ports is None else {"FromPort": ports.first, "ToPort": ports.last}
