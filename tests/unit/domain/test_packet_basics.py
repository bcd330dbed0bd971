import pytest

from tapstack.domain.packet_basics import (
    OWN_PARAMETERS,
    check_parameters,
    check_permissions_boundary,
    check_public_ip,
    check_template_url,
)
from tests.unit.refusals import refusal

UUID = "5f1c0b1e-6f5a-4c53-9d0e-2b8a7c6d5e4f"
HEX = "0123456789abcdef0123456789abcdef"
FULFILLMENT = "awsmp-fulfillment-cf-templates-prod"
LONGEST = f"https://s3.amazonaws.com/bucket/{'a' * 5120}"[:5120]


@pytest.mark.parametrize(
    "url",
    [
        f"https://s3.amazonaws.com/{FULFILLMENT}/{UUID}.{UUID}.template",
        f"https://s3.amazonaws.com/{FULFILLMENT}/{UUID}/{HEX}.template",
        f"https://{FULFILLMENT}.s3.amazonaws.com/{UUID}/{UUID}/{HEX}.template",
        "https://bucket.s3.eu-central-1.amazonaws.com/epb.template",
        "https://s3.cn-north-1.amazonaws.com.cn/bucket/epb.template",
        LONGEST,
        "${TfToken[TOKEN.0]}",
    ],
)
def test_when_a_template_url_is_one_of_s3_then_it_comes_back(url: str) -> None:
    assert check_template_url(url) == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"http://s3.amazonaws.com/{FULFILLMENT}/{UUID}.template", "CloudFormation takes https only"),
        (f"s3://{FULFILLMENT}/{UUID}.template", "CloudFormation takes https only"),
        ("epb.template", "CloudFormation takes https only"),
        ("", "CloudFormation takes https only"),
        ("https://[", "CloudFormation takes https only"),
        ("https://example.com/epb.template", "CloudFormation takes templates from Amazon S3 only"),
        ("https://s3.amazonaws.com.example.com/epb.template", "CloudFormation takes templates from Amazon S3 only"),
        ("https://ec2.amazonaws.com/epb.template", "CloudFormation takes templates from Amazon S3 only"),
        ("https://bucket.s3.amazonaws.com/", "CloudFormation takes templates from Amazon S3 only"),
        (LONGEST + "a", "it is longer than 5120 characters"),
        ("https://me:secret@s3.amazonaws.com/b/epb", "it holds credentials, which would end up in the state"),
        ("https://me@s3.amazonaws.com/b/epb", "it holds credentials, which would end up in the state"),
        *(
            (f"https://b.s3.amazonaws.com/epb?{query}", "it holds credentials, which would end up in the state")
            for query in (
                "X-Amz-Signature=0123",
                "x-amz-signature=0123",
                "versionId=1&AWSAccessKeyId=AKIA&Expires=1&Signature=0123",
                "X-Amz-Security-Token=0123",
            )
        ),
    ],
)
def test_fails_when_cloudformation_cannot_use_the_template_url(url: str, problem: str) -> None:
    assert refusal(lambda: check_template_url(url)) == (
        f"template url {url!r} cannot be used: {problem}; expected "
        "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/<uuid>.<uuid>.template"
    )


@pytest.mark.parametrize(
    ("key", "placeholders"),
    [("<uuid>.<uuid>", "<uuid>"), ("<uuid>/<32 hex>", "<uuid> and <32 hex>"), ("a>b", ">")],
)
def test_fails_when_a_template_url_is_the_form_of_one(key: str, placeholders: str) -> None:
    url = f"https://s3.amazonaws.com/{FULFILLMENT}/{key}.template"
    assert refusal(lambda: check_template_url(url)) == (
        f"template url {url!r} cannot be used: put the ids of your subscription in place of {placeholders}"
    )


@pytest.mark.parametrize(("public_ip", "accept"), [(False, False), (False, True), (True, True)])
def test_when_a_public_ip_is_absent_or_accepted_then_it_passes(public_ip: bool, accept: bool) -> None:
    check_public_ip(public_ip, accept=accept)


def test_fails_when_a_public_ip_is_not_accepted() -> None:
    assert refusal(lambda: check_public_ip(True, accept=False)) == (
        "an Elastic IP puts the appliance's portal on the internet: leave public_ip off and reach it over VPN or "
        "Session Manager, or accept it with accept_public_ip"
    )


def test_when_extra_parameters_are_the_templates_own_then_they_pass() -> None:
    check_parameters({})
    check_parameters({"InstanceProfile": "x"})


@pytest.mark.parametrize("name", sorted(OWN_PARAMETERS))
def test_fails_when_an_extra_parameter_has_a_setting_of_its_own(name: str) -> None:
    assert refusal(lambda: check_parameters({name: "x", "Other": "y"})) == (
        f"{name} cannot be given as an extra parameter: it has a setting of its own"
    )


def test_when_the_template_is_deployed_then_the_names_of_its_parameters_are_extrahops() -> None:
    assert {
        "VPCID",
        "MgmtTrafficMirrorSubnetID",
        "RemoteAccessCIDR",
        "PublicEIP",
        "ENITrafficMirrorSource",
        "ENITrafficMirrorSessionNumber",
    } == OWN_PARAMETERS


@pytest.mark.parametrize("name", ["AdministratorAccess", "PowerUserAccess", "IAMFullAccess"])
@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_fails_when_a_boundary_bounds_nothing(name: str, partition: str) -> None:
    arn = f"arn:{partition}:iam::aws:policy/{name}"
    assert refusal(lambda: check_permissions_boundary(arn, ["CAPABILITY_IAM"])) == (
        f"permissions_boundary {name} bounds next to nothing: leave it out, and a boundary is made, or give a policy "
        "that allows only what the appliance's roles need"
    )


@pytest.mark.parametrize("owner", ["111122223333:policy/AdministratorAccess", "aws:policy/ReadOnlyAccess"])
def test_when_a_boundary_may_bound_something_then_it_passes(owner: str) -> None:
    check_permissions_boundary(f"arn:aws:iam::{owner}", ["CAPABILITY_IAM"])
