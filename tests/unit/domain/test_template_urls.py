"""Whose bucket a template comes from."""

from __future__ import annotations

import pytest

from tapstack.domain.template_urls import MARKETPLACE_BUCKET, check_source, parse
from tests.unit.refusals import refusal

UUID = "5f1c0b1e-6f5a-4c53-9d0e-2b8a7c6d5e4f"
KEY = f"{UUID}/{UUID}/0123456789abcdef0123456789abcdef.template"
OURS = MARKETPLACE_BUCKET

OF_MARKETPLACE = [
    f"https://s3.amazonaws.com/{OURS}/{KEY}",
    f"https://s3.amazonaws.com/{OURS}/{UUID}.{UUID}.template",
    f"https://s3.amazonaws.com:443/{OURS}/{KEY}?versionId=3",
    f"https://s3.us-east-1.amazonaws.com/{OURS}/{KEY}",
    f"https://s3-us-west-2.amazonaws.com/{OURS}/{KEY}",
    f"https://s3.dualstack.eu-central-1.amazonaws.com/{OURS}/{KEY}",
    f"https://s3-fips.us-east-1.amazonaws.com/{OURS}/{KEY}",
    f"https://s3-external-1.amazonaws.com/{OURS}/{KEY}",
    f"https://{OURS}.s3.amazonaws.com/{KEY}",
    f"https://{OURS}.s3.ap-southeast-3.amazonaws.com/{KEY}",
    f"https://{OURS}.s3-eu-west-1.amazonaws.com/{KEY}",
    f"https://{OURS}.s3.dualstack.eu-west-1.amazonaws.com/{KEY}",
    f"https://{OURS.upper()}.S3.amazonaws.com/{KEY}",
]
OF_OTHERS = [
    (f"https://s3.amazonaws.com/evil/{OURS}/{KEY}", "evil"),
    (f"https://evil.s3.amazonaws.com/{OURS}/{KEY}", "evil"),
    (f"https://{OURS}.evil.s3.amazonaws.com/{KEY}", f"{OURS}.evil"),
    (f"https://evil.{OURS}.s3.amazonaws.com/{KEY}", f"evil.{OURS}"),
    (f"https://s3.amazonaws.com/{OURS}-2/{KEY}", f"{OURS}-2"),
    (f"https://s3.amazonaws.com/{OURS.upper()}/{KEY}", OURS.upper()),
    # Other partitions have buckets of their own: another account may have taken the name there.
    (f"https://s3.cn-north-1.amazonaws.com.cn/{OURS}/{KEY}", OURS),
    (f"https://{OURS}.s3.eusc-de-east-1.amazonaws.eu/{KEY}", OURS),
    (f"https://s3.us-gov-west-1.amazonaws.com/{OURS}/{KEY}", OURS),
    # What one server reads as a key another one may resolve to another bucket.
    (f"https://s3.amazonaws.com/{OURS}/../evil/x.template", OURS),
    (f"https://s3.amazonaws.com/{OURS}/%2e%2e/evil/x.template", OURS),
    (f"https://s3.amazonaws.com/{OURS}//evil/x.template", OURS),
    (f"https://s3.amazonaws.com/{OURS}/x\\..\\evil", OURS),
]
UNOWNED = [
    f"http://s3.amazonaws.com/{OURS}/{KEY}",
    f"https://s3.amazonaws.com.example.com/{OURS}/{KEY}",
    f"https://example.com/s3.amazonaws.com/{OURS}/{KEY}",
    f"https://s3.amazonaws.com@example.com/{OURS}/{KEY}",
    f"https://s3.amazonaws.com:8443/{OURS}/{KEY}",
    f"https://s3.amazonaws.com:x/{OURS}/{KEY}",
    f"https://s3.amazonaws.com/{OURS}/",
    f"https://s3.amazonaws.com/{OURS}/{KEY}#x",
    f"https://abcdef.execute-api.us-east-1.amazonaws.com/s3/{OURS}/{KEY}",
    f"https://my-s3-thing.execute-api.us-east-1.amazonaws.com/{OURS}/{KEY}",
    f"https://s3-website-us-east-1.amazonaws.com/{OURS}/{KEY}",
    "https://[",
    "",
]


@pytest.mark.parametrize("url", OF_MARKETPLACE)
def test_when_a_template_is_of_the_marketplace_then_it_is_taken(url: str) -> None:
    check_source(url, accept=False)
    check_source(url, accept=False, region="eu-central-1")


@pytest.mark.parametrize(("url", "bucket"), OF_OTHERS)
def test_fails_when_a_template_is_of_another_bucket_and_not_accepted(url: str, bucket: str) -> None:
    found = parse(url)
    assert found is not None
    assert found.bucket == bucket
    where = f"in bucket {bucket!r}" if bucket != OURS else "at an address"
    assert refusal(lambda: check_source(url, accept=False)) == (
        f"template url {url!r} is {where}, not in AWS Marketplace's ({OURS}): whoever can write to it controls "
        "what CloudFormation creates; copy the address from the subscription, or accept it with accept_template_url"
    )
    check_source(url, accept=True)


@pytest.mark.parametrize("url", UNOWNED)
def test_fails_when_it_is_no_object_of_s3(url: str) -> None:
    assert parse(url) is None
    assert "accept_template_url" in refusal(lambda: check_source(url, accept=False))


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-isob-east-1"])
def test_fails_when_the_stack_is_made_in_another_partition(region: str) -> None:
    assert f"and Region {region} is in another one" in refusal(
        lambda: check_source(OF_MARKETPLACE[0], accept=False, region=region)
    )


def test_fails_when_the_address_is_known_only_later() -> None:
    token = "${aws_s3_object.template.url}"
    assert refusal(lambda: check_source(token, accept=False)).startswith(
        "template url is known only when Terraform applies"
    )
    check_source(token, accept=True)
