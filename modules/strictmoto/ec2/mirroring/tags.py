"""Tags: given at creation, kept by moto's own tag table, so that CreateTags and DescribeTags see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource

from strictmoto.call_rules.tags import RULES, refusal_among
from strictmoto.ec2.mirroring import errors
from strictmoto.ec2.mirroring.operations import Core, Parameters
from strictmoto.ec2.mirroring.state import KINDS, Resource


def read_specifications(parameters: Parameters, kind: type[Resource]) -> dict[str, str]:
    """Return the tags that TagSpecifications gives to a resource of `kind`.

    Raises:
        EC2ClientError: another resource type, no tag, a key twice, or reserved or too long.
    """
    tags: list[tuple[str, str]] = []
    for specification in parameters.get("TagSpecifications", []):
        resource_type = specification.get("ResourceType")
        if not resource_type:
            raise errors.refuse("InvalidParameter", "Tag specification resource type must have a value")
        if resource_type != kind.kind:
            raise errors.refuse(
                "InvalidParameter", f"'{resource_type}' is not a valid taggable resource type for this operation."
            )
        if not specification.get("Tags"):
            raise errors.refuse("InvalidParameter", "Tag specification must have at least one tag")
        tags += [(tag.get("Key", ""), tag.get("Value") or "") for tag in specification["Tags"]]
    if (wrong := refusal_among(RULES["ec2"], tags)) is not None:
        raise errors.refuse(wrong.code, wrong.message)
    return dict(tags)


def attach(core: Core, resource_id: str, tags: dict[str, str]) -> None:
    """Give a new resource its tags; moto refuses more than 50."""
    if tags:
        core.backend.create_tags([resource_id], tags)


def forget(core: Core, resource_id: str) -> None:
    """Drop the tags of a deleted resource."""
    core.backend.tags.pop(resource_id, None)


def of_resource(core: Core, resource_id: str) -> list[dict[str, str]]:
    """Return the tags of a resource, as answers have them."""
    found = core.backend.tags.get(resource_id, {})
    return [{"Key": key, "Value": value} for key, value in found.items()]


def check_exist(core: Core, resource_ids: list[str]) -> None:
    """Refuse ids of mirror resources that do not exist; other ids are moto's concern."""
    kinds = {kind.prefix: kind for kind in KINDS}
    for resource_id in resource_ids:
        if kind := kinds.get(resource_id.partition("-")[0]):
            core.find(kind, resource_id)


def tagged_resources(core: Core) -> Iterator[Any]:
    """Yield every mirror resource as the Resource Groups Tagging API wants it."""
    backend = core.backend
    for kind in KINDS:
        for resource in list(core.state.table(kind).values()):
            yield TaggedResource(
                arn=f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:{kind.kind}/{resource.id}",
                tags={tag["Key"]: tag["Value"] for tag in of_resource(core, resource.id)},
                resource_type=f"ec2:{kind.kind}",
            )
