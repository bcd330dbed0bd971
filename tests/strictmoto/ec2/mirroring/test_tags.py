"""Tags of mirror resources: at creation, by CreateTags and DeleteTags, in DescribeTags and the Tagging API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.strictmoto.ec2.mirroring.conftest import Clients
from tests.strictmoto.ec2.mirroring.network import REGION, Network, refused

KINDS = ("filter", "filter-rule", "target", "session")
NAME = [{"Key": "Name", "Value": "tap"}]


def create(network: Network, kind: str, **parameters: Any) -> str:
    match kind:
        case "filter":
            return network.filter(**parameters)
        case "filter-rule":
            return str(network.rule(network.filter(), **parameters)["TrafficMirrorFilterRuleId"])
        case "target":
            return network.target(**parameters)
        case _:
            return str(network.session(network.interface(), network.target(), **parameters)["TrafficMirrorSessionId"])


def tagged(kind: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    return {"TagSpecifications": [{"ResourceType": f"traffic-mirror-{kind}", "Tags": tags}]}


def describe(network: Network, kind: str, *filters: tuple[str, str]) -> list[list[dict[str, str]]]:
    """The tags of what is found."""
    answer = getattr(network.ec2, f"describe_traffic_mirror_{kind.replace('-', '_')}s")(
        Filters=[{"Name": name, "Values": [value]} for name, value in filters]
    )
    answer.pop("ResponseMetadata")
    (found,) = answer.values()
    return [one["Tags"] for one in found]


@pytest.mark.parametrize("kind", KINDS)
def test_when_tagged_at_creation_then_every_view_has_the_tags(network: Network, kind: str) -> None:
    """TagSpecifications with the resource type of the action."""
    resource_id = create(network, kind, **tagged(kind, [*NAME, {"Key": "northwind:incident", "Value": "42"}]))
    create(network, kind)
    assert describe(network, kind, ("tag:Name", "tap")) == [[*NAME, {"Key": "northwind:incident", "Value": "42"}]]
    assert describe(network, kind, ("tag:Name", "t?p"), ("tag-key", "northwind:*"), ("tag-value", "42"))
    assert describe(network, kind, ("tag:Name", "other")) == []
    found = network.ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": [f"traffic-mirror-{kind}"]}])
    assert [(tag["ResourceId"], tag["ResourceType"], tag["Key"]) for tag in found["Tags"]] == [
        (resource_id, f"traffic-mirror-{kind}", "Name"),
        (resource_id, f"traffic-mirror-{kind}", "northwind:incident"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_when_tagged_later_then_create_and_delete_tags_take_the_id(network: Network, kind: str) -> None:
    """CreateTags accepts the id prefixes tmf, tmfr, tmt and tms."""
    resource_id = create(network, kind)
    network.ec2.create_tags(Resources=[resource_id], Tags=NAME)
    assert describe(network, kind) == [NAME]
    network.ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": "Name"}])
    assert describe(network, kind) == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_when_a_resource_is_deleted_then_its_tags_are_too(network: Network, kind: str) -> None:
    """What is gone has no tags, and takes none."""
    resource_id = create(network, kind, **tagged(kind, NAME))
    underscored = kind.replace("-", "_")
    name = f"TrafficMirror{''.join(part.capitalize() for part in kind.split('-'))}Id"
    getattr(network.ec2, f"delete_traffic_mirror_{underscored}")(**{name: resource_id})
    assert network.ec2.describe_tags()["Tags"] == []
    with refused(f"Invalid{name}.NotFound", resource_id):
        network.ec2.create_tags(Resources=[resource_id], Tags=NAME)


@pytest.mark.parametrize("kind", KINDS)
def test_when_searched_by_the_tagging_api_then_it_is_found_by_type_and_tag(
    network: Network, clients: Clients, kind: str
) -> None:
    """ARN arn:aws:ec2:<Region>:<account>:traffic-mirror-<kind>/<id>, resource type ec2:traffic-mirror-<kind>."""
    resource_id = create(network, kind, **tagged(kind, NAME))
    network.target(TagSpecifications=[{"ResourceType": "traffic-mirror-target", "Tags": [{"Key": "a", "Value": "b"}]}])
    arn = f"arn:aws:ec2:{REGION}:{network.account}:traffic-mirror-{kind}/{resource_id}"
    found = clients("resourcegroupstaggingapi").get_resources(
        ResourceTypeFilters=[f"ec2:traffic-mirror-{kind}"], TagFilters=[{"Key": "Name", "Values": ["tap"]}]
    )["ResourceTagMappingList"]
    assert found == [{"ResourceARN": arn, "Tags": NAME}]


@pytest.mark.parametrize("kind", KINDS)
def test_fails_when_the_specification_is_of_another_type(network: Network, kind: str) -> None:
    """TagSpecifications: the resource type must be that of the action, with at least one tag."""
    with refused("InvalidParameter", "'instance' is not a valid taggable resource type"):
        create(network, kind, TagSpecifications=[{"ResourceType": "instance", "Tags": NAME}])
    with refused("InvalidParameter", "at least one tag"):
        create(network, kind, **tagged(kind, []))
    with refused("InvalidParameter", "must have a value"):
        create(network, kind, TagSpecifications=[{"Tags": NAME}])
    assert describe(network, kind) == []


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        (NAME * 2, "InvalidParameterValue"),
        ([{"Key": "aws:cloudformation:stack-name", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k" * 129, "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([{"Key": str(number), "Value": ""} for number in range(51)], "TagLimitExceeded"),
    ],
)
def test_fails_when_a_tag_is_not_allowed(network: Network, tags: list[dict[str, str]], code: str) -> None:
    """Keys 1 to 128 characters, not beginning with aws:, once each; values to 256; 50 tags."""
    with refused(code):
        network.filter(**tagged("filter", tags))
    assert describe(network, "filter") == []
    assert network.ec2.describe_tags()["Tags"] == []


def test_when_a_tag_has_no_value_then_it_is_empty(network: Network) -> None:
    """A tag's value may be left out."""
    network.filter(**tagged("filter", [{"Key": "Name"}]))
    assert describe(network, "filter") == [[{"Key": "Name", "Value": ""}]]
