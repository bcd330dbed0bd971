import re

import pytest

from tapstack.domain import identifiers
from tapstack.domain.identifiers import check_cloudformation_stack_name, check_identifier, check_name, pattern_of
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"
NLB = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef"
ORGANIZATION = "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5"
UNIT = "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-cd345678"

PREFIXES = {
    "network interface": "eni",
    "instance": "i",
    "subnet": "subnet",
    "vpc": "vpc",
    "security group": "sg",
    "prefix list": "pl",
    "traffic mirror target": "tmt",
    "traffic mirror filter": "tmf",
    "gateway load balancer endpoint": "vpce",
}
OTHERS = {
    "network load balancer": [NLB, NLB.replace("arn:aws:", "arn:aws-us-gov:"), NLB.replace("arn:aws:", "arn:aws-cn:")],
    "account": ["111122223333"],
    "ram principal": ["111122223333", ORGANIZATION, UNIT],
    "iam role": ["arn:aws:iam::111122223333:role/deploy", "arn:aws:iam::111122223333:role/a/path/deploy+x=,.@-_1"],
    "iam principal": ["arn:aws:iam::111122223333:role/a/collector", "arn:aws:iam::111122223333:user/ana"],
    "oidc provider": [
        "arn:aws:iam::111122223333:oidc-provider/sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/",
        "arn:aws:iam::111122223333:oidc-provider/token.example.com",
    ],
    "detector": ["12abc34d567e8fa901bc2d34e56789f0"],
    "iam policy": ["arn:aws:iam::111122223333:policy/a/boundary", "arn:aws:iam::aws:policy/ReadOnlyAccess"],
    "sns topic": ["arn:aws:sns:eu-central-1:111122223333:stacks", "arn:aws:sns:eu-central-1:111122223333:stacks.fifo"],
    "kms key": [
        "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012",
        "arn:aws:kms:eu-central-1:111122223333:alias/state",
    ],
    "region": ["eu-central-1", "us-gov-west-1", "ap-southeast-7", "us-iso-east-1"],
}


def test_when_a_kind_is_known_then_the_tests_below_know_it_too() -> None:
    assert {*PREFIXES, *OTHERS} == set(identifiers._FORMATS)


@pytest.mark.parametrize(("kind", "prefix"), PREFIXES.items())
@pytest.mark.parametrize("digits", ["0123456789abcdef0", "0123abcd"])
def test_when_an_id_has_its_prefix_and_8_or_17_digits_then_it_comes_back(kind: str, prefix: str, digits: str) -> None:
    assert check_identifier(kind, f"{prefix}-{digits}") == f"{prefix}-{digits}"


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in OTHERS.items() for value in values])
def test_when_another_identifier_has_the_right_form_then_it_comes_back(kind: str, value: str) -> None:
    assert check_identifier(kind, value) == value


@pytest.mark.parametrize("kind", [*PREFIXES, *OTHERS])
def test_when_an_identifier_is_a_token_then_it_passes(kind: str) -> None:
    assert check_identifier(kind, TOKEN) == TOKEN


@pytest.mark.parametrize(("kind", "prefix"), PREFIXES.items())
@pytest.mark.parametrize(
    ("pattern", "difference"),
    [
        ("{}-0123456789abcdef", "; it has 16 digits after {}-, expected 8 or 17"),
        ("{}-0123456789abcdef01", "; it has 18 digits after {}-, expected 8 or 17"),
        ("{}-0", "; it has 1 digit after {}-, expected 8 or 17"),
        ("{}-", "; it has 0 digits after {}-, expected 8 or 17"),
        ("{}-0123456789abcdefg", "; 'g' is no hexadecimal digit (0-9 and a-f)"),
        ("{}-0123456789abcdef0\n", "; '\\n' is no hexadecimal digit (0-9 and a-f)"),
        ("{}0123456789abcdef0", ""),
        ("x{}-0123456789abcdef0", ""),
        ("wrong-0123456789abcdef0", ""),
        (" {}-0123abcd", ""),
        ("", ""),
    ],
)
def test_fails_when_an_id_has_another_form_and_names_the_difference(
    kind: str, prefix: str, pattern: str, difference: str
) -> None:
    value = pattern.format(prefix)
    called = {
        "instance": "an instance",
        "vpc": "a VPC",
        "gateway load balancer endpoint": "a Gateway Load Balancer endpoint",
    }.get(kind, f"a {kind}")
    assert refusal(lambda: check_identifier(kind, value)) == (
        f"{value!r} is not the id of {called}: expected the form {prefix}-0123456789abcdef0{difference.format(prefix)}"
    )


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("instance", "eni-0123456789abcdef0", "this is the id of a network interface"),
        ("vpc", "subnet-1", "this begins like the id of a subnet"),
        ("vpc", "eu-central-1", "this is the name of a Region"),
        ("subnet", UNIT, "this is the id of an account or the ARN of an organization or organizational unit"),
        ("iam role", "111122223333", "this is the id of an account"),
        ("sns topic", "arn:aws:iam::111122223333:role/deploy", "this is the ARN of an IAM role"),
    ],
)
def test_fails_when_an_identifier_is_of_another_kind_and_names_that(kind: str, value: str, found: str) -> None:
    assert refusal(lambda: check_identifier(kind, value)).endswith(f"; {found}")


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        (
            "network load balancer",
            NLB.replace("/net/", "/app/"),
            "the ARN of a Network Load Balancer: expected the form " + NLB,
        ),
        ("account", "11112222333", 'the id of an account: expected the form "111122223333" (12 digits, quoted)'),
        ("account", "1111222233334", 'the id of an account: expected the form "111122223333" (12 digits, quoted)'),
        ("account", "١١١١٢٢٢٢٣٣٣٣", 'the id of an account: expected the form "111122223333" (12 digits, quoted)'),
        (
            "ram principal",
            "o-a1b2c3d4e5",
            "the id of an account or the ARN of an organization or organizational unit: expected the form "
            f'"111122223333" or {ORGANIZATION}',
        ),
        (
            "iam role",
            "arn:aws:iam::111122223333:user/deploy",
            "the ARN of an IAM role: expected the form arn:aws:iam::111122223333:role/tapstack-deploy; this is the ARN "
            "of an IAM role or user",
        ),
        (
            "iam principal",
            "arn:aws:iam::111122223333:group/deploy",
            "the ARN of an IAM role or user: expected the form arn:aws:iam::111122223333:role/collector",
        ),
        (
            "sns topic",
            "arn:aws:sqs:eu-central-1:111122223333:stacks",
            "the ARN of an SNS topic: expected the form arn:aws:sns:eu-central-1:111122223333:stacks",
        ),
        (
            "kms key",
            "12345678-1234-1234-1234-123456789012",
            "the ARN of a KMS key or alias: expected the form "
            "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012",
        ),
        ("region", "frankfurt", "the name of a Region: expected the form eu-central-1"),
        ("region", "eu-central-1a", "the name of a Region: expected the form eu-central-1"),
    ],
)
def test_fails_when_another_identifier_has_the_wrong_form(kind: str, value: str, form: str) -> None:
    assert refusal(lambda: check_identifier(kind, value)) == f"{value!r} is not {form}"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("network interface", "ENI-0123456789ABCDEF0"), ("vpc", "vpc-0123456789ABCDEF0"), ("region", "EU-Central-1")],
)
def test_fails_when_an_identifier_is_in_upper_case_and_says_so(kind: str, value: str) -> None:
    assert refusal(lambda: check_identifier(kind, value)).endswith("; it must be lower case")


@pytest.mark.parametrize(("kind", "prefix"), PREFIXES.items())
def test_when_an_editor_uses_the_pattern_then_it_is_anchored(kind: str, prefix: str) -> None:
    assert re.search(pattern_of(kind), f"{prefix}-0123abcd")
    assert not re.search(pattern_of(kind), f"{prefix}-0123abcd0")
    assert not re.search(pattern_of(kind), f"x{prefix}-0123abcd")


@pytest.mark.parametrize("value", ["a", "web-servers", "a" * 40, "x9"])
def test_when_a_name_is_usable_then_it_comes_back(value: str) -> None:
    assert check_name(value) == value


@pytest.mark.parametrize("value", ["", "a" * 41, "Web", "9x", "-x", "a_b", "a.b", "ä", "a\n", TOKEN])
def test_fails_when_a_name_is_not_usable(value: str) -> None:
    assert refusal(lambda: check_name(value)) == (
        f"{value!r} is not a usable name: expected 1 to 40 lower-case letters, digits or hyphens, "
        "beginning with a letter"
    )


@pytest.mark.parametrize("value", ["A", "Capture-1", "a" * 128, TOKEN])
def test_when_a_stack_name_is_one_then_it_comes_back(value: str) -> None:
    assert check_cloudformation_stack_name(value) == value


@pytest.mark.parametrize("value", ["", "a" * 129, "1a", "-a", "a_b", "a b", "a/b", "ä"])
def test_fails_when_a_stack_name_is_none(value: str) -> None:
    assert refusal(lambda: check_cloudformation_stack_name(value)) == (
        f"{value!r} is not a CloudFormation stack name: expected 1 to 128 letters, digits or hyphens, "
        "beginning with a letter"
    )
