import pytest

from tapstack.domain.provider_versions import PROVIDER_VERSION, check_version_constraint, satisfies
from tests.unit.refusals import refusal


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("5.100.0", PROVIDER_VERSION, True),
        ("5.99.9", PROVIDER_VERSION, False),
        ("6.99.0", PROVIDER_VERSION, True),
        ("7.0.0", PROVIDER_VERSION, False),
        ("7.0.0-beta1", ">= 5.0.0", False),
        ("5.9.0", ">= 5.10.0", False),
        ("5.100.0", "5.100.0", True),
        ("5.100.0", "= 5.100", True),
        ("5.100.1", "= 5.100", False),
        ("5.100.0", "!= 5.100.0", False),
        ("5.100.1", "!= 5.100.0", True),
        ("5.100.0", "> 5.100.0", False),
        ("5.100.1", "> 5.100.0", True),
        ("5.100.0", "<= 5.100.0", True),
        ("5.100.1", "<= 5.100.0", False),
        ("5.100.0", ">=5.0,<5.100", False),
        # The last number given may grow.
        ("5.100.9", "~> 5.100.2", True),
        ("5.100.1", "~> 5.100.2", False),
        ("5.101.0", "~> 5.100.2", False),
        ("5.101.0", "~> 5.100", True),
        ("5.99.0", "~> 5.100", False),
        ("6.0.0", "~> 5.100", False),
        # As Terraform reads it: ~> 5 is ~> 5.0.
        ("5.100.0", "~> 5", True),
        ("6.0.0", "~> 5", False),
        ("4.9.9", "~> 5", False),
        ("v5.100.0", ">= 5", False),
        ("5.100", ">= 5", False),
    ],
)
def test_when_a_version_is_held_against_a_constraint_then_the_answer_is_terraforms(
    version: str, constraint: str, fits: bool
) -> None:
    assert satisfies(version, constraint) is fits


@pytest.mark.parametrize("constraint", [PROVIDER_VERSION, "5", "~> 5.100", "!=6.0.0", " >= 5.1 , < 6 "])
def test_when_terraform_reads_a_constraint_then_it_comes_back(constraint: str) -> None:
    assert check_version_constraint(constraint) == constraint


@pytest.mark.parametrize("constraint", ["", "latest", "=> 5", ">= 5,", "5.x", "v5.100.0", "5.1.2.3", ">= 5.0 < 6"])
def test_fails_when_terraform_cannot_read_a_constraint(constraint: str) -> None:
    assert refusal(lambda: check_version_constraint(constraint)) == (
        f"{constraint!r} is not a Terraform version constraint: expected the form '>= 5.100.0, < 7.0.0'"
    )
    assert refusal(lambda: satisfies("5.100.0", constraint)).endswith("is not a Terraform version constraint")
