from typing import Any

import pytest

from tapstack.domain.sources import KnownSource, Source, SourceLookup, split_sources
from tests.unit.refusals import refusal

ENI = "eni-0123456789abcdef0"
TOKEN = "${TfToken[TOKEN.0]}"
CONDITIONS = [("interface-type", ("interface",)), ("status", ("in-use",))]
OWN = ("requester-managed", ("false",))


def test_when_an_interface_is_known_then_it_is_named_by_its_id() -> None:
    assert Source.network_interface(ENI) == KnownSource(ENI, ENI)
    assert Source.network_interface(ENI, name=ENI, session_number=5) == KnownSource(ENI, ENI, 5)


def test_when_an_interface_is_a_token_then_it_is_named_by_its_user() -> None:
    assert Source.network_interface(TOKEN, name="web", session_number=32766) == KnownSource(TOKEN, "web", 32766)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"network_interface_id": "eni-1"},
            "'eni-1' is not the id of a network interface: expected the form eni-0123456789abcdef0; it "
            "has 1 digit after eni-, expected 8 or 17",
        ),
        (
            {"network_interface_id": TOKEN},
            "a source whose network interface id is a token needs a name: Terraform's addresses must not depend on "
            "values that are known only after apply",
        ),
        (
            {"network_interface_id": TOKEN, "name": "Web"},
            "'Web' is not a usable name: expected 1 to 40 lower-case letters, digits or hyphens, "
            "beginning with a letter",
        ),
        (
            {"name": "web"},
            f"source {ENI} is named by its id; leave out name='web', which only goes with an id that is a token",
        ),
        ({"session_number": 0}, "session number must be a whole number from 1 to 32766, got 0"),
        ({"session_number": 32767}, "session number must be a whole number from 1 to 32766, got 32767"),
        (
            {"instance_type": "t2.micro"},
            "instance type t2.micro cannot be a mirror source: it is not on AWS's allow-list as of 2026-11-26; "
            "accept it with accept_instance_type if the list has changed",
        ),
    ],
)
def test_fails_when_an_interface_cannot_be_a_source(given: dict[str, Any], message: str) -> None:
    assert refusal(lambda: Source.network_interface(**{"network_interface_id": ENI, **given})) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((3, ENI), "3 is not the id of a network interface: expected the form eni-0123456789abcdef0"),
        (
            ("eni-1", "eni-1"),
            "'eni-1' is not the id of a network interface: expected the form eni-0123456789abcdef0; it "
            "has 1 digit after eni-, expected 8 or 17",
        ),
        (
            (TOKEN, 3),
            "3 is not a usable name: expected 1 to 40 lower-case letters, digits or hyphens, beginning with a letter",
        ),
        (
            (ENI, "web"),
            f"source {ENI} is named by its id; leave out name='web', which only goes with an id that is a token",
        ),
        ((ENI, ENI, 0), "session number must be a whole number from 1 to 32766, got 0"),
        ((ENI, ENI, "1"), "session number must be a whole number from 1 to 32766, got '1'"),
    ],
)
def test_fails_when_a_known_source_is_made_of_what_is_none(given: tuple[Any, ...], message: str) -> None:
    assert refusal(lambda: KnownSource(*given)) == message


def test_when_the_instance_type_is_listed_or_accepted_then_it_is_a_source() -> None:
    plain = Source.network_interface(ENI)
    assert Source.network_interface(ENI, instance_type="m5.large") == plain
    assert Source.network_interface(ENI, instance_type="t2.micro", accept_instance_type=True) == plain


@pytest.mark.parametrize(
    ("lookup", "conditions"),
    [
        (Source.instance("i-0123abcd"), [OWN, ("attachment.instance-id", ("i-0123abcd",))]),
        (Source.subnet("subnet-0123abcd"), [OWN, ("subnet-id", ("subnet-0123abcd",))]),
        (Source.vpc("vpc-0123abcd"), [OWN, ("vpc-id", ("vpc-0123abcd",))]),
        (
            Source.tagged({"b": "2", "a": "1"}, vpc_id="vpc-0123abcd"),
            [OWN, ("vpc-id", ("vpc-0123abcd",)), ("tag:a", ("1",)), ("tag:b", ("2",))],
        ),
        (
            Source.tagged({"a": "web-*", "b": "CORP\\shop?", "c": TOKEN, "d": "[x]"}),
            [OWN, ("tag:a", ("web-*",)), ("tag:b", ("CORP\\\\shop?",)), ("tag:c", (TOKEN,)), ("tag:d", ("[x]",))],
        ),
        (
            SourceLookup(instance_id=TOKEN, subnet_id=TOKEN, include_requester_managed=True),
            [("attachment.instance-id", (TOKEN,)), ("subnet-id", (TOKEN,))],
        ),
    ],
)
def test_when_sources_are_looked_up_then_all_conditions_must_hold(
    lookup: SourceLookup, conditions: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert lookup.filters() == (*CONDITIONS, *conditions)


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        ({}, "a lookup of sources needs tags, instance tags, an instance, a subnet or a VPC"),
        (
            {"include_requester_managed": True},
            "a lookup of sources needs tags, instance tags, an instance, a subnet or a VPC",
        ),
        (
            {"instance_id": ENI},
            f"'{ENI}' is not the id of an instance: expected the form i-0123456789abcdef0; this is the id "
            "of a network interface",
        ),
        (
            {"subnet_id": ENI},
            f"'{ENI}' is not the id of a subnet: expected the form subnet-0123456789abcdef0; this is the "
            "id of a network interface",
        ),
        (
            {"vpc_id": ENI},
            f"'{ENI}' is not the id of a VPC: expected the form vpc-0123456789abcdef0; this is the id of "
            "a network interface",
        ),
    ],
)
def test_fails_when_a_lookup_has_no_condition_or_a_wrong_one(lookup: dict[str, Any], message: str) -> None:
    assert refusal(lambda: SourceLookup(**lookup)) == message


def test_when_sources_are_split_then_each_counts_once_and_the_order_stays() -> None:
    one, other, lookup = (
        Source.network_interface("eni-0123abcd"),
        Source.network_interface(ENI),
        Source.vpc("vpc-0123abcd"),
    )
    assert split_sources([other, lookup, one, other, lookup]) == (
        {ENI: other, "eni-0123abcd": one},
        [lookup],
    )


def test_when_lookups_hold_tokens_in_tags_then_they_are_no_duplicates() -> None:
    lookup = Source.tagged({"application": TOKEN})
    assert split_sources([lookup, lookup]) == ({}, [lookup, lookup])


def test_fails_when_a_source_is_given_twice_with_different_values() -> None:
    sources = [Source.network_interface(ENI), Source.network_interface(ENI, session_number=2)]
    assert refusal(lambda: split_sources(sources)) == (
        f"source {ENI} is given twice with different values: keep one of the two"
    )


def test_fails_when_two_tokens_have_one_name() -> None:
    sources = [Source.network_interface("${a.b.id}", name="web"), Source.network_interface("${a.c.id}", name="web")]
    assert refusal(lambda: split_sources(sources)) == (
        "source web is given twice with different values: keep one of the two"
    )


def test_fails_when_there_is_no_source() -> None:
    assert refusal(lambda: split_sources([])) == ("no source given: name at least one network interface, or a lookup")
