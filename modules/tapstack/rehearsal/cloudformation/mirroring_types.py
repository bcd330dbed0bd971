"""AWS::EC2::TrafficMirrorTarget, Filter, FilterRule and Session: made by the account's own Traffic Mirroring.

moto finds the types of templates among the direct subclasses of CloudFormationModel, so each of them is one. What
may change in place and what takes a replacement is in `schemas`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource

from tapstack.rehearsal.cloudformation import schemas
from tapstack.rehearsal.cloudformation.own_types import OwnType
from tapstack.rehearsal.mirroring import of

_NUMBERS = frozenset({"SessionNumber", "PacketLength", "VirtualNetworkId", "RuleNumber", "Protocol"})
_RANGES = frozenset({"SourcePortRange", "DestinationPortRange"})


class MirrorResource(OwnType, TaggedEC2Resource):
    """What the four types have in common.

    Attributes:
        id: the id that AWS gives, which is what Ref says.
        properties: those it was made or changed with.
    """

    KIND: ClassVar[str]
    """Such as "target", in the names of the API's methods and of its tag specifications."""
    HANDLED: ClassVar[frozenset[str]] = frozenset({"Tags"})
    """The properties that are not parameters of the Create call."""
    # The stack deletes what was replaced, once nothing refers to it any more.
    leaves_the_old = True

    def __init__(self, backend: Any, resource_id: str, properties: dict[str, Any]) -> None:
        """Take over what the API made."""
        self.ec2_backend = backend
        self.id = resource_id
        self.properties = properties

    @staticmethod
    def cloudformation_type() -> str:
        """Its type in templates."""
        raise NotImplementedError

    @classmethod
    def api_name(cls) -> str:
        """Such as "TrafficMirrorTarget"."""
        return cls.__name__

    @classmethod
    def call(cls, backend: Any, verb: str, **parameters: Any) -> dict[str, Any]:
        """Call an action of the account's Traffic Mirroring."""
        answer: dict[str, Any] = getattr(of(backend), f"{verb}_traffic_mirror_{cls.KIND}")(**parameters)
        return answer

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        """Make it."""
        properties = cloudformation_json["Properties"]
        backend = ec2_backends[account_id][region_name]
        tags = [{"Key": tag["Key"], "Value": str(tag["Value"])} for tag in properties.get("Tags", [])]
        if tags:
            kind = cls.KIND.replace("_", "-")
            tags = [{"ResourceType": f"traffic-mirror-{kind}", "Tags": tags}]
        given = {name: value for name, value in properties.items() if name not in cls.HANDLED}
        answer = cls.call(backend, "create", **_typed(given), TagSpecifications=tags)
        made = cls(backend, answer[cls.api_name()][f"{cls.api_name()}Id"], properties)
        made.finish({})
        return made

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        """Change it in place where that can be done, or make another."""
        old, new = original_resource.properties, cloudformation_json["Properties"]
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if schemas.replaces(cls.cloudformation_type(), old, new):
            return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
        modified = changed - cls.HANDLED
        if modified:
            cls.call(
                original_resource.ec2_backend,
                "modify",
                **{f"{cls.api_name()}Id": original_resource.id},
                **_typed({name: new[name] for name in modified if name in new}),
                RemoveFields=[_field(name) for name in sorted(modified) if name not in new],
            )
        original_resource.properties = new
        original_resource.finish(old)
        if "Tags" in changed:
            original_resource.retag(old)
        return original_resource

    def finish(self, old: dict[str, Any]) -> None:
        """Do what the Create and Modify calls cannot; `old` are the properties until now."""

    def retag(self, old: dict[str, Any]) -> None:
        """Make the tags those of the properties."""
        wanted = {tag["Key"]: str(tag["Value"]) for tag in self.properties.get("Tags", [])}
        dropped = [tag["Key"] for tag in old.get("Tags", []) if tag["Key"] not in wanted]
        self.ec2_backend.delete_tag_keys([self.id], dropped)
        self.ec2_backend.create_tags([self.id], wanted)

    def delete(self, account_id: str, region_name: str) -> None:
        """Unmake it; a session that went with its source is gone already."""
        try:
            self.call(self.ec2_backend, "delete", **{f"{self.api_name()}Id": self.id})
        except EC2ClientError as error:
            if not str(error.code).endswith(".NotFound"):
                raise


class TrafficMirrorTarget(MirrorResource, CloudFormationModel):
    """A mirror target; everything but its tags takes a replacement."""

    KIND = "target"

    @staticmethod
    def cloudformation_type() -> str:
        """Its type in templates."""
        return "AWS::EC2::TrafficMirrorTarget"


class TrafficMirrorFilter(MirrorResource, CloudFormationModel):
    """A mirror filter; its description takes a replacement."""

    KIND = "filter"
    HANDLED = frozenset({"Tags", "NetworkServices"})

    @staticmethod
    def cloudformation_type() -> str:
        """Its type in templates."""
        return "AWS::EC2::TrafficMirrorFilter"

    def finish(self, old: dict[str, Any]) -> None:
        """Set the network services, which have a call of their own."""
        before, after = (set(properties.get("NetworkServices", [])) for properties in (old, self.properties))
        if before != after:
            of(self.ec2_backend).modify_traffic_mirror_filter_network_services(
                TrafficMirrorFilterId=self.id,
                AddNetworkServices=sorted(after - before),
                RemoveNetworkServices=sorted(before - after),
            )


class TrafficMirrorFilterRule(MirrorResource, CloudFormationModel):
    """A rule of a mirror filter, which it never leaves."""

    KIND = "filter_rule"

    @staticmethod
    def cloudformation_type() -> str:
        """Its type in templates."""
        return "AWS::EC2::TrafficMirrorFilterRule"


class TrafficMirrorSession(MirrorResource, CloudFormationModel):
    """A mirror session, which never leaves its source."""

    KIND = "session"

    @staticmethod
    def cloudformation_type() -> str:
        """Its type in templates."""
        return "AWS::EC2::TrafficMirrorSession"


def install() -> None:
    """Let moto see the types: it looks once, and may have looked before they were there."""
    for looked_up in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        looked_up.cache_clear()


def _typed(properties: dict[str, Any]) -> dict[str, Any]:
    """The properties as the API takes them: a template may give every number as text."""
    typed: dict[str, Any] = {name: int(value) if name in _NUMBERS else value for name, value in properties.items()}
    for name in _RANGES & set(typed):
        typed[name] = {end: int(port) for end, port in typed[name].items()}
    return typed


def _field(name: str) -> str:
    """A property as RemoveFields spells it: packet-length for PacketLength."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
