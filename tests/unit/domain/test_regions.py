import json
from pathlib import Path

import botocore
import pytest

from tapstack.domain import regions
from tapstack.domain.regions import check_address, check_arn, check_region, is_opt_in, partition_of
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"


def test_when_the_sdk_knows_more_partitions_or_regions_then_so_does_the_table() -> None:
    """A newer SDK may know Regions that the table lacks; what both know must be the same."""
    data = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text(encoding="utf-8"))
    theirs = {found["id"]: found for found in data["partitions"]}
    for partition in regions.PARTITIONS:
        assert partition.dns_suffix == theirs[partition.name]["outputs"]["dnsSuffix"]
        assert set(partition.regions) <= set(theirs[partition.name]["regions"])
    if botocore.__version__ == "1.44.5":
        assert set(theirs) == {partition.name for partition in regions.PARTITIONS}
        listed = {name for found in theirs.values() for name in found["regions"] if not name.endswith("-global")}
        assert listed == set(regions.KNOWN)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("eu-central-1", False),
        ("ap-northeast-3", False),
        ("me-south-1", True),
        ("eu-central-2", True),
        ("eu-south-9", True),
        ("us-gov-east-1", False),
        ("cn-north-1", False),
        (TOKEN, False),
    ],
)
def test_when_a_region_came_after_march_2019_then_it_is_an_opt_in_region(region: str, expected: bool) -> None:
    assert is_opt_in(region) is expected


@pytest.mark.parametrize("region", [*regions.KNOWN, TOKEN])
def test_when_a_region_is_known_then_it_passes_and_has_one_partition(region: str) -> None:
    assert check_region(region) == region
    found = partition_of(region)
    assert found is None if region == TOKEN else region in (found.regions if found else ())


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (
            "eu-centrel-1",
            "'eu-centrel-1' is not in this version's list of Regions (2026-11-26): did you mean eu-central-1? set "
            "accept_unknown_region: true for a newer one",
        ),
        ("us-esat-1", "did you mean us-east-1? "),
        ("eu-cenrtal-1", "did you mean eu-central-1? "),
        ("as-east-1", "'as-east-1' is not an AWS Region: did you mean sa-east-1? "),
        ("us-gov-north-1", "did you mean us-gov-"),
        ("eusc-de-west-1", "did you mean eusc-de-east-1? set accept_unknown_region"),
        ("zz-central-1", "'zz-central-1' is not an AWS Region: did you mean "),
        ("xy-quux-9", "'xy-quux-9' is not an AWS Region: expected for example eu-central-1"),
        ("eu-central-1a", "'eu-central-1a' is not the name of a Region: expected the form eu-central-1"),
        ("EU-CENTRAL-1", "it must be lower case"),
        ("eu_central_1", "is not the name of a Region"),
        ("eu_central_1", "; did you mean eu-central-1?"),
        ("us-east1", "; did you mean us-east-1?"),
        ("us-east-1a", "; us-east-1a is an Availability Zone of us-east-1"),
        ("EU-Central-1 ", "; did you mean eu-central-1?"),
    ],
)
def test_fails_when_a_value_is_no_region(region: str, message: str) -> None:
    assert message in refusal(lambda: check_region(region))


def test_when_a_newer_region_is_accepted_then_it_passes_where_its_partition_is_known() -> None:
    assert check_region("eu-east-12", accept_unknown=True) == "eu-east-12"
    assert "is not an AWS Region" in refusal(lambda: check_region("zz-east-1", accept_unknown=True))


ROLE = "arn:aws:iam::111122223333:role/deploy"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:a"


def test_when_an_arn_can_be_used_from_a_region_then_it_passes() -> None:
    assert check_arn(ROLE, "eu-central-1", same_region=True, accounts=["111122223333"]) == ROLE
    assert check_arn(TOPIC, "eu-west-1") == TOPIC
    assert check_arn("111122223333", "eusc-de-east-1") == "111122223333"
    assert check_arn(TOKEN, "eusc-de-east-1", accounts=["111122223333"]) == TOKEN


@pytest.mark.parametrize(
    ("arn", "region", "message"),
    [
        (
            ROLE,
            "eusc-de-east-1",
            "is of partition aws, which Region eusc-de-east-1 cannot reach: expected arn:aws-eusc:...",
        ),
        (
            ROLE,
            "us-gov-west-1",
            "is of partition aws, which Region us-gov-west-1 cannot reach: expected arn:aws-us-gov:...",
        ),
        (
            ROLE.replace("aws", "aws-cn", 1),
            "eu-central-1",
            "is of partition aws-cn, which Region eu-central-1 cannot reach: expected arn:aws:...",
        ),
        (TOPIC, "eu-west-1", "is in Region eu-central-1: expected eu-west-1"),
        (TOPIC.replace("1111", "9999"), "eu-central-1", "belongs to account 999922223333: expected 111122223333"),
    ],
)
def test_fails_when_an_arn_is_of_another_place(arn: str, region: str, message: str) -> None:
    assert refusal(lambda: check_arn(arn, region, same_region=True, accounts=["111122223333"])) == message


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://s3.amazonaws.com/b/epb", "eu-central-1"),
        ("https://s3.amazonaws.com/b/epb", "us-gov-west-1"),
        ("https://b.s3.us-gov-east-1.amazonaws.com/epb", "us-gov-west-1"),
        ("https://b.s3.eusc-de-east-1.amazonaws.eu/epb", "eusc-de-east-1"),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/epb", "cn-northwest-1"),
        ("https://s3-eu-west-1.amazonaws.com/b/epb", "eu-central-1"),
        (TOKEN, "eusc-de-east-1"),
        ("https://s3.amazonaws.com/b/epb", TOKEN),
    ],
)
def test_when_an_address_is_of_the_partition_of_a_region_then_it_passes(url: str, region: str) -> None:
    assert check_address(url, region) == url


@pytest.mark.parametrize(
    ("url", "region", "expected"),
    [
        ("https://b.s3.eusc-de-east-1.amazonaws.eu/epb", "eu-central-1", "expected one that ends in .amazonaws.com"),
        ("https://s3.amazonaws.com/b/epb", "eusc-de-east-1", "expected one that ends in .amazonaws.eu"),
        ("https://s3.amazonaws.com/b/epb", "cn-north-1", "expected one that ends in .amazonaws.com.cn"),
        ("https://s3.cn-north-1.amazonaws.com.cn/b/epb", "eu-west-1", "expected one that ends in .amazonaws.com"),
        (
            "https://s3.us-gov-west-1.amazonaws.com/b/epb",
            "eu-west-1",
            "expected one that ends in .amazonaws.com, in a Region of aws",
        ),
        (
            "https://s3-eu-west-1.amazonaws.com/b/epb",
            "us-gov-west-1",
            "expected one that ends in .amazonaws.com, in a Region of aws-us-gov",
        ),
    ],
)
def test_fails_when_an_address_is_of_another_partition(url: str, region: str, expected: str) -> None:
    said = refusal(lambda: check_address(url, region))
    assert said.endswith(expected)
    assert f"is an address of another partition than that of Region {region}" in said
