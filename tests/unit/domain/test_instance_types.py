import pytest

from tapstack.domain.instance_types import can_be_mirrored, check_source_type, sources_per_target
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"
UNKNOWN = ["x1e.xlarge", "m7i.metal-24xl", "c6g.metal", "r7iz.metal-16xl", "p5.48xlarge", "m6.large"]


@pytest.mark.parametrize(
    "instance_type",
    [
        *(
            "a1.large",
            "m4.large",
            "m5.xlarge",
            "m5dn.24xlarge",
            "m6a.large",
            "m6gd.large",
            "m6i.32xlarge",
            "m7i-flex.large",
        ),
        *("t3.micro", "t3a.micro", "t4g.micro", "c4.large", "c5n.18xlarge", "c6in.large", "c7a.large", "c7gd.large"),
        *("r5b.large", "r6idn.large", "r7iz.large", "i3.large", "i3en.large", "i4i.large"),
        *("m5.metal", "m5d.metal", "m6g.metal", "c5.metal", "r5.metal", "i3.metal"),
    ],
)
def test_when_a_type_is_on_the_allow_list_then_it_can_be_mirrored(instance_type: str) -> None:
    assert can_be_mirrored(instance_type) is True
    assert check_source_type(instance_type) is None


@pytest.mark.parametrize("instance_type", UNKNOWN)
def test_when_the_lists_do_not_say_then_there_is_a_warning_only(instance_type: str) -> None:
    assert can_be_mirrored(instance_type) is None
    assert check_source_type(instance_type) == (
        f"instance type {instance_type} is not on the allow-list of mirror sources known here (as of 2025-08-28)"
    )


@pytest.mark.parametrize(
    "instance_type",
    [
        "t1.micro",
        "t2.micro",
        "c7gn.large",
        "m8g.large",
        "m8i-flex.large",
        "c8g.large",
        "r8g.metal-24xl",
        "i8g.large",
        "trn2.48xlarge",
    ],
)
def test_fails_when_a_type_is_known_not_to_be_mirrored(instance_type: str) -> None:
    assert can_be_mirrored(instance_type) is False
    assert refusal(lambda: check_source_type(instance_type)) == (
        f"instance type {instance_type} cannot be a mirror source: it is not on AWS's allow-list as of 2025-08-28; "
        "accept it with accept_instance_type if the list has changed"
    )


@pytest.mark.parametrize("instance_type", ["t2.micro", *UNKNOWN])
def test_when_a_type_is_accepted_then_the_lists_do_not_matter(instance_type: str) -> None:
    assert check_source_type(instance_type, accept=True) is None


@pytest.mark.parametrize("value", ["m5", "m5.", ".xlarge", "M5.xlarge", "m5 xlarge", "m5.xlarge.x", ""])
def test_fails_when_a_value_is_no_instance_type(value: str) -> None:
    expected = f"{value!r} is not an instance type: expected the form m5.xlarge"
    assert refusal(lambda: check_source_type(value)) == expected
    assert refusal(lambda: sources_per_target(value)) == expected


@pytest.mark.parametrize(
    ("instance_type", "sources"),
    [
        (None, 10),
        (TOKEN, 10),
        ("m5.xlarge", 10),
        ("m5.12xlarge", 10),
        ("m5.24xlarge", 100),
        ("c5.18xlarge", 100),
        ("c5.24xlarge", 10),
        ("c5n.18xlarge", 100),
        ("m6i.32xlarge", 100),
    ],
)
def test_when_an_appliance_is_of_the_largest_size_then_it_takes_a_hundred_sources(
    instance_type: str | None, sources: int
) -> None:
    assert sources_per_target(instance_type) == sources


def test_when_the_instance_type_is_a_token_then_it_passes() -> None:
    assert check_source_type(TOKEN) is None
