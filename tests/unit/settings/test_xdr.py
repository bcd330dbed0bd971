"""The section `xdr` of a site: what is refused, where, and what would be right."""

from __future__ import annotations

import pytest

from tapstack.settings.load import parse_deployment
from tapstack.settings.problems import DeploymentError


def deployment(xdr: str, project: str = "acme", more: str = "") -> str:
    """A file with one site, whose xdr begins in line 7."""
    return f"""project: {project}
sites:
  a:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    allowed_account_ids: ["111122223333"]
    xdr: {xdr}
{more}"""


def refused(text: str) -> list[str]:
    """Return the lines of the report about a file."""
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(text, "deployment.yaml")
    return [line.strip() for line in str(caught.value).splitlines()]


def test_when_a_site_has_telemetry_only_then_the_file_is_right() -> None:
    parse_deployment(deployment("{}"))


@pytest.mark.parametrize(
    ("xdr", "said"),
    [
        ("{landing: {bucket: Lake}}", "7: sites.a.xdr.landing.bucket: 'Lake' is not the name of a bucket"),
        ("{landing: {keep_days: 0}}", "7: sites.a.xdr.landing.keep_days: expected at least 1"),
        ("{landing: {keep_days: 5}}", "7: sites.a.xdr.landing: unmatched_days must be at most keep_days, 5, got 90"),
        (
            "{landing: {bucket: lake, deletion_protection: false}}",
            "7: sites.a.xdr.landing: deletion_protection has no effect with bucket: leave it out",
        ),
        (
            '{landing: {bucket: lake, bucket_key_arn: "arn:aws:kms:eu-west-1:111122223333:key/a"}}',
            "7: sites.a.xdr.landing.bucket_key_arn: is in Region eu-west-1: expected eu-central-1",
        ),
        (
            '{landing: {flow_log_accounts: ["111122223333"]}}',
            "7: sites.a.xdr.landing.flow_log_accounts[0]: is the site's own account, whose flow logs are delivered "
            "anyway: leave it out",
        ),
        ("{lading: {}}", "7: sites.a.xdr.lading: unknown key; did you mean landing?"),
    ],
)
def test_fails_when_the_landing_is_wrong(xdr: str, said: str) -> None:
    assert any(said in line for line in refused(deployment(xdr))), refused(deployment(xdr))


def test_fails_when_s3_reserves_the_name_of_the_bucket() -> None:
    lines = refused(deployment("{}", project="sthree-acme"))
    assert any("7: sites.a.xdr.landing: 'sthree-acme-a-xdr-111122223333' is reserved" in line for line in lines), lines


def test_fails_when_another_site_has_the_name_of_the_stack() -> None:
    more = "  a-xdr: {region: eu-central-1, vpc_id: vpc-0b1b2c3d4e5f60718, targets: {x: {network_interface_id: "
    lines = refused(deployment("{}", more=f"{more}eni-0a1b2c3d4e5f60718}}}}}}\n"))
    assert any("7: sites.a.xdr: site a-xdr has a stack of this name: rename that site" in line for line in lines), lines
