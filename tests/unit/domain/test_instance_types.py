import fnmatch

import pytest

from tapstack.domain import instance_types
from tapstack.domain.instance_types import (
    METAL_SOURCE_FAMILIES,
    SOURCE_FAMILIES,
    can_be_mirrored,
    check_source_type,
    source_patterns,
    sources_per_target,
)
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"
OFF_THE_LIST = [
    *("t1.micro", "t2.micro", "c7gn.large", "m8g.large", "m8i-flex.large", "c8g.large", "r8g.24xlarge", "i8g.large"),
    *("x8g.large", "i7ie.large", "p5en.48xlarge", "p6-b200.48xlarge", "m9g.large", "hpc7g.4xlarge", "hpc8a.96xlarge"),
    *("g7e.48xlarge", "trn2.48xlarge", "m6.large", "z9.large", "u-6tb2.56xlarge"),
    *("m7i.metal-24xl", "c7g.metal", "r7iz.metal-16xl", "c5n.metal", "r8g.metal-24xl", "m5n.metal", "u-6tb1.metal"),
    *("m5.metal-24xl", "t3.metal"),
]


def test_when_the_lists_are_counted_then_they_are_those_of_the_guide() -> None:
    assert len(instance_types.SOURCE_FAMILIES) == 125
    assert len(instance_types.METAL_SOURCE_FAMILIES) == 23
    assert len(instance_types.LARGEST_TARGETS) == 141
    assert instance_types.METAL_SOURCE_FAMILIES <= instance_types.SOURCE_FAMILIES
    assert not [name for name in instance_types.LARGEST_TARGETS if instance_types.check_instance_type(name) != name]
    assert {can_be_mirrored(f"{family}.large") for family in instance_types.SOURCE_FAMILIES} == {True}


@pytest.mark.parametrize(
    "instance_type",
    [
        *("a1.large", "m4.large", "m5.xlarge", "m5dn.24xlarge", "m6a.large", "m6gd.large", "m6i.32xlarge"),
        *("m7i-flex.large", "t3.micro", "t3a.micro", "t4g.micro", "c4.large", "c5n.18xlarge", "c6in.large"),
        *("c7a.large", "c7gd.large", "r5b.large", "r6idn.large", "r7iz.large", "i3.large", "i3en.large", "i4i.large"),
        *("i7i.large", "g4dn.xlarge", "p5.48xlarge", "u-6tb1.56xlarge", "u7in-16tb.224xlarge", "hpc7a.96xlarge"),
        *("m5.metal", "m5d.metal", "m6g.metal", "c5.metal", "r5.metal", "i3.metal", "g5g.metal", "x2gd.metal"),
        *("mac1.metal", "mac2.metal", "mac2-m1ultra.metal", "mac2-m2pro.metal"),
    ],
)
def test_when_a_type_is_on_the_allow_list_then_it_can_be_mirrored(instance_type: str) -> None:
    assert can_be_mirrored(instance_type)
    check_source_type(instance_type)


@pytest.mark.parametrize("instance_type", OFF_THE_LIST)
def test_fails_when_a_type_is_off_the_allow_list(instance_type: str) -> None:
    assert not can_be_mirrored(instance_type)
    assert refusal(lambda: check_source_type(instance_type)) == (
        f"instance type {instance_type} cannot be a mirror source: it is not on AWS's allow-list as of 2026-11-26; "
        "accept it with accept_instance_type if the list has changed"
    )


def test_fails_when_a_type_is_off_the_list_and_names_the_setting_that_helps_where_the_reader_is() -> None:
    said = refusal(lambda: check_source_type("t2.micro", override="--force"))
    assert said.endswith("accept it with --force if the list has changed")


@pytest.mark.parametrize("instance_type", OFF_THE_LIST)
def test_when_a_type_is_accepted_then_the_lists_do_not_matter(instance_type: str) -> None:
    check_source_type(instance_type, accept=True)
    assert sources_per_target(instance_type, accept=True) == 100


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("value", ["m5", "m5.", ".xlarge", "M5.xlarge", "m5 xlarge", "m5.xlarge.x", "", "m5.xlarge\n"])
def test_fails_when_a_value_is_no_instance_type(value: str, accept: bool) -> None:
    hint = "; it must be lower case" if value == "M5.xlarge" else ""
    expected = f"{value!r} is not an instance type: expected the form m5.xlarge{hint}"
    assert refusal(lambda: check_source_type(value, accept=accept)) == expected
    assert refusal(lambda: sources_per_target(value, accept=accept)) == expected


@pytest.mark.parametrize(
    ("instance_type", "sources"),
    [
        *((None, 10), (TOKEN, 10), ("m5.xlarge", 10), ("m5.12xlarge", 10), ("c5.9xlarge", 10), ("m9.96xlarge", 10)),
        *(("m5.24xlarge", 100), ("c5.18xlarge", 100), ("c5.24xlarge", 100), ("c5n.18xlarge", 100)),
        *(("m6i.32xlarge", 100), ("r5.24xlarge", 100), ("hpc7g.4xlarge", 100), ("p5.4xlarge", 100)),
        *(("trn2.3xlarge", 100), ("p6e-gb200.36xlarge", 100), ("u7inh-32tb.480xlarge", 100)),
    ],
)
def test_when_an_appliance_is_of_a_listed_type_then_it_takes_a_hundred_sources(
    instance_type: str | None, sources: int
) -> None:
    assert sources_per_target(instance_type) == sources


def test_when_the_instance_type_is_a_token_then_it_passes() -> None:
    check_source_type(TOKEN)


def test_when_lookups_filter_by_type_then_the_patterns_say_what_the_list_says() -> None:
    patterns = source_patterns()
    assert len(patterns) <= 200, "AWS takes no more values for one filter"
    sizes = ("nano", "micro", "small", "medium", "large", "xlarge", "24xlarge", "metal", "metal-24xl")
    for family in (*SOURCE_FAMILIES, *METAL_SOURCE_FAMILIES, "t2", "m8g", "c7gn"):
        for size in sizes:
            kind = f"{family}.{size}"
            matched = any(fnmatch.fnmatchcase(kind, pattern) for pattern in patterns)
            if matched or size.endswith("large") or "metal" in size:
                assert matched is can_be_mirrored(kind), kind
    for kind in ("t3.nano", "t4g.small", "m6g.medium", "x2gd.medium", "g5g.metal"):
        assert any(fnmatch.fnmatchcase(kind, pattern) for pattern in patterns), kind
