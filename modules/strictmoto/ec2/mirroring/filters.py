"""Traffic mirror filters and the network services they mirror."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from moto.ec2.utils import random_id

from strictmoto.ec2.mirroring import errors, tags
from strictmoto.ec2.mirroring.describing import describe
from strictmoto.ec2.mirroring.operations import Answer, Core, Parameters, operation, without_none
from strictmoto.ec2.mirroring.rules import show_rule
from strictmoto.ec2.mirroring.state import Filter

NETWORK_SERVICES: Final = ("amazon-dns",)
_FILTERS: Final = {"description": "Description", "traffic-mirror-filter-id": "TrafficMirrorFilterId"}


class FilterActions(Core):
    """Create, describe, modify and delete filters."""

    @operation
    def create_traffic_mirror_filter(self, parameters: Parameters) -> Answer:
        """Create a filter without rules, which mirrors nothing."""
        given_tags = tags.read_specifications(parameters, Filter)
        self.state.check_quota(Filter)
        created = Filter(id=random_id(Filter.prefix), description=parameters.get("Description"))
        tags.attach(self, created.id, given_tags)
        self.state.add(created)
        return {"TrafficMirrorFilter": self._show_filter(created)}

    @operation
    def describe_traffic_mirror_filters(self, parameters: Parameters) -> Answer:
        """Describe filters with their rules."""
        return describe(self, Filter, parameters, view=self._show_filter, filters=_FILTERS)

    @operation
    def modify_traffic_mirror_filter_network_services(self, parameters: Parameters) -> Answer:
        """Add or remove network services; adding one twice changes nothing."""
        found: Filter = self.find(Filter, parameters["TrafficMirrorFilterId"])
        added, removed = (parameters.get(f"{verb}NetworkServices", []) for verb in ("Add", "Remove"))
        for service in (*added, *removed):
            if service not in NETWORK_SERVICES:
                raise errors.invalid(f"Invalid network service '{service}': expected {', '.join(NETWORK_SERVICES)}")
        services = dict.fromkeys((*found.network_services, *added))
        changed = replace(found, network_services=tuple(s for s in services if s not in removed))
        self.state.replace(found, changed)
        return {"TrafficMirrorFilter": self._show_filter(changed)}

    @operation
    def delete_traffic_mirror_filter(self, parameters: Parameters) -> Answer:
        """Delete a filter that no session uses, and its rules."""
        found: Filter = self.find(Filter, parameters["TrafficMirrorFilterId"])
        if users := self.state.sessions_with(found.id):
            raise errors.refuse("TrafficMirrorFilterInUse", f"{found.id} is in use by session {users[0].id}")
        for resource in (*self.state.rules_of(found.id), found):
            self.state.remove(resource)
            tags.forget(self, resource.id)
        return {"TrafficMirrorFilterId": found.id}

    def _show_filter(self, shown: Filter) -> Answer:
        rules = sorted(self.state.rules_of(shown.id), key=lambda rule: rule.number)
        return without_none(
            {
                "TrafficMirrorFilterId": shown.id,
                "IngressFilterRules": [show_rule(self, r) for r in rules if r.direction == "ingress"],
                "EgressFilterRules": [show_rule(self, r) for r in rules if r.direction == "egress"],
                "NetworkServices": list(shown.network_services),
                "Description": shown.description,
                "Tags": tags.of_resource(self, shown.id),
            }
        )
