"""AWS::EC2::TrafficMirrorTarget, Filter, FilterRule and Session: made by the account's own Traffic Mirroring.

What may change in place and what takes a replacement is in `schemas`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from strictmoto.cloudformation.ec2_types import Ec2Resource


class MirrorResource(Ec2Resource):
    """What the four types have in common."""

    KIND: ClassVar[str]
    """Such as "target", in the names of the API's methods."""
    HANDLED: ClassVar[frozenset[str]] = frozenset({"Tags"})
    """The properties that are not parameters of the Create call."""

    @property
    def api_name(self) -> str:
        """Such as "TrafficMirrorTarget"."""
        return self.TYPE.rpartition("::")[2]

    def create(self) -> None:
        """Create it."""
        made = self.call(f"create_traffic_mirror_{self.KIND}", **self.without(*self.HANDLED))[self.api_name]
        self.known(made[f"{self.api_name}Id"])
        self.finish({})

    def update(self, old: dict[str, Any]) -> None:
        """Change it in place."""
        names = [name for name in {*old, *self.properties} if self.changed(old, name)]
        if modified := sorted(set(names) - self.HANDLED):
            removed = [_field(name) for name in modified if name not in self.properties]
            named: dict[str, Any] = {f"{self.api_name}Id": self.ref, "RemoveFields": removed or None}
            self.call(f"modify_traffic_mirror_{self.KIND}", **self.of(*modified), **named)
        self.finish(old)

    def finish(self, old: dict[str, Any]) -> None:
        """Do what the Create and Modify calls cannot; `old` are the properties until now."""

    def delete_it(self) -> None:
        """Delete it; a session that went with its source is gone already."""
        self.call(f"delete_traffic_mirror_{self.KIND}", **{f"{self.api_name}Id": self.ref})


class TrafficMirrorTarget(MirrorResource):
    """A mirror target; everything but its tags takes a replacement."""

    TYPE = "AWS::EC2::TrafficMirrorTarget"
    KIND = "target"
    DESCRIBED = ("describe_traffic_mirror_targets", "TrafficMirrorTargetIds")


class TrafficMirrorFilter(MirrorResource):
    """A mirror filter; its description takes a replacement."""

    TYPE = "AWS::EC2::TrafficMirrorFilter"
    KIND = "filter"
    HANDLED = frozenset({"Tags", "NetworkServices"})
    DESCRIBED = ("describe_traffic_mirror_filters", "TrafficMirrorFilterIds")

    def finish(self, old: dict[str, Any]) -> None:
        """Set the network services, which have a call of their own."""
        before, after = (set(properties.get("NetworkServices", [])) for properties in (old, self.properties))
        if before != after:
            self.call(
                "modify_traffic_mirror_filter_network_services",
                TrafficMirrorFilterId=self.ref,
                AddNetworkServices=sorted(after - before) or None,
                RemoveNetworkServices=sorted(before - after) or None,
            )


class TrafficMirrorFilterRule(MirrorResource):
    """A rule of a mirror filter, which it never leaves."""

    TYPE = "AWS::EC2::TrafficMirrorFilterRule"
    KIND = "filter_rule"
    DESCRIBED = ("describe_traffic_mirror_filter_rules", "TrafficMirrorFilterRuleIds")


class TrafficMirrorSession(MirrorResource):
    """A mirror session, which never leaves its source."""

    TYPE = "AWS::EC2::TrafficMirrorSession"
    KIND = "session"
    DESCRIBED = ("describe_traffic_mirror_sessions", "TrafficMirrorSessionIds")


def install() -> None:
    """Do nothing: the types are registered as they are defined."""


def _field(name: str) -> str:
    """A property as RemoveFields spells it: packet-length for PacketLength."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
