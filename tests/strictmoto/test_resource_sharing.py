"""AWS RAM: a mirror target is shared, tagged and taken back."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account

TARGET = "arn:aws:ec2:eu-central-1:123456789012:traffic-mirror-target/tmt-0123456789abcdef0"
MEMBER = "444455556666"


@pytest.fixture
def ram(aws_account: Account) -> Any:
    return aws_account.client("ram")


def entities(ram: Any, kind: str) -> list[str]:
    found = ram.get_resource_share_associations(associationType=kind)["resourceShareAssociations"]
    return [association["associatedEntity"] for association in found]


def test_when_a_target_is_shared_then_the_associations_show_it(ram: Any) -> None:
    share = ram.create_resource_share(name="sensors", tags=[{"key": "team", "value": "ir"}])["resourceShare"]
    arn = share["resourceShareArn"]
    for _ in range(2):  # the second time changes nothing
        ram.associate_resource_share(resourceShareArn=arn, resourceArns=[TARGET], principals=[MEMBER])
    assert (entities(ram, "RESOURCE"), entities(ram, "PRINCIPAL")) == ([TARGET], [MEMBER])
    assert ram.list_resource_share_permissions(resourceShareArn=arn)["permissions"] == []

    ram.disassociate_resource_share(resourceShareArn=arn, resourceArns=[TARGET], principals=[MEMBER])
    assert (entities(ram, "RESOURCE"), entities(ram, "PRINCIPAL")) == ([], [])


def test_when_a_share_is_tagged_then_its_tags_are_kept(ram: Any) -> None:
    share = ram.create_resource_share(name="sensors", tags=[{"key": "team", "value": "ir"}])["resourceShare"]
    arn = share["resourceShareArn"]
    ram.tag_resource(resourceShareArn=arn, tags=[{"key": "stage", "value": "prod"}])
    ram.untag_resource(resourceShareArn=arn, tagKeys=["team"])
    (found,) = ram.get_resource_shares(resourceOwner="SELF")["resourceShares"]
    assert found["tags"] == [{"key": "stage", "value": "prod"}]


def test_fails_when_the_share_is_unknown(ram: Any) -> None:
    unknown = "arn:aws:ram:eu-central-1:123456789012:resource-share/none"
    with pytest.raises(ClientError, match="UnknownResource"):
        ram.associate_resource_share(resourceShareArn=unknown, principals=[MEMBER])


def test_fails_when_the_resource_cannot_be_shared(ram: Any) -> None:
    arn = ram.create_resource_share(name="sensors")["resourceShare"]["resourceShareArn"]
    with pytest.raises(ClientError, match="You cannot share the selected resource type"):
        ram.associate_resource_share(
            resourceShareArn=arn, resourceArns=["arn:aws:ec2:eu-central-1:123456789012:instance/i-1"]
        )
