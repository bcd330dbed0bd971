from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pytest

import tapstack
from tapstack import (
    Authorization,
    CaptureSettings,
    ContainmentSettings,
    Destination,
    ExistingAppliance,
    FilterPreset,
    LaunchedAppliance,
    MirrorRule,
    Peer,
    PortRange,
    Source,
    SourceLookup,
    Traffic,
)
from tapstack.domain import arguments
from tapstack.domain.arguments import check_arguments, check_fields, checked
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_presets import everything_but_intra_vpc
from tapstack.domain.policy_rules import Rule as PolicyRule
from tapstack.domain.sources import AnySource

TOKEN = "${TfToken[TOKEN.0]}"
LIST_TOKEN = ["#{TfToken[TOKEN.1]}"]
NUMBER_TOKEN = -1.8881545897087505e289
MAP_TOKEN = {"&{TfToken[TOKEN.2]}": "String Map Token Value"}


class IThing(Protocol):
    @property
    def thing_id(self) -> str: ...


class Thing:
    @property
    def thing_id(self) -> str:
        raise AssertionError("not to be read yet")


def takes(
    text: str = "",
    maybe: str | None = None,
    number: int = 0,
    fraction: float = 0.5,
    flag: bool = False,
    choice: Literal["a", "b"] = "a",
    texts: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    sources: Sequence[AnySource] = (),
    thing: IThing | None = None,
    peers: Sequence[Peer] = (),
    anything: Sequence[Mapping[str, Any]] = (),
) -> None: ...


ENI = Source.network_interface("eni-0123456789abcdef0")


@pytest.mark.parametrize(
    "given",
    [
        {"text": "a", "maybe": None, "number": 5, "fraction": 1, "flag": True, "choice": "b"},
        {"text": TOKEN, "maybe": "${var.a}", "number": NUMBER_TOKEN, "choice": TOKEN},
        {"number": 5.0, "texts": ["a", TOKEN], "tags": {"a": TOKEN}, "sources": (ENI, Source.instance(TOKEN))},
        {"anything": [{"a": object()}], "thing": Thing(), "peers": [Peer.parse("10.0.0.0/8")], "unknown": object()},
    ],
)
def test_when_arguments_fit_the_signature_then_they_are_taken(given: dict[str, Any]) -> None:
    check_arguments(takes, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": 5}, "text must be text, got 5"),
        ({"text": None}, "text must be text, got None"),
        ({"maybe": True}, "maybe must be text, got True"),
        ({"text": LIST_TOKEN}, "text must be text, got a list token: Token.as_string(...) makes one of a token"),
        ({"text": "a\nb"}, "text: the character U+000A at position 2 is not allowed"),
        ({"text": "%{if}"}, "text: '%{if}' holds %{"),
        ({"number": "5"}, "number must be a whole number, got '5'"),
        ({"number": TOKEN}, "number must be a whole number, got a token"),
        ({"number": True}, "number must be a whole number, got True"),
        ({"number": 1.5}, "number must be a whole number, got 1.5"),
        ({"fraction": "x"}, "fraction must be a number, got 'x'"),
        ({"flag": "no"}, "flag must be True or False, got 'no'"),
        ({"flag": TOKEN}, "flag must be True or False, got a token"),
        ({"choice": "c"}, "choice must be a or b, got 'c'"),
        ({"texts": "abc"}, "texts must be a list, got 'abc'; put it in brackets"),
        ({"texts": {"a"}}, "texts must be a list, got {'a'}"),
        ({"texts": None}, "texts must be a list, got None"),
        ({"texts": ["a", 5]}, "texts[1] must be text, got 5"),
        ({"texts": LIST_TOKEN}, "texts must be a list whose length is known at synthesis, got a token"),
        ({"tags": [("a", "b")]}, "tags must be a mapping, got [('a', 'b')]"),
        ({"tags": {"a": 5}}, "tags['a'] must be text, got 5"),
        ({"tags": {5: "a"}}, "a key of tags must be text, got 5"),
        ({"tags": MAP_TOKEN}, "tags must be a mapping whose keys are known at synthesis, got a map token"),
        ({"sources": ENI}, "sources must be a list, got a Source; put it in brackets"),
        ({"sources": "eni-0123456789abcdef0"}, "sources must be a list, got 'eni-0123456789abcdef0'"),
        (
            {"sources": ["eni-0123456789abcdef0"]},
            "sources[0] must be Source.network_interface(...) or Source.instance(...), .tagged(...), "
            ".tagged_instances(...), .subnet(...) or .vpc(...), got 'eni-0123456789abcdef0'; did you mean "
            "Source.network_interface('eni-0123456789abcdef0')?",
        ),
        ({"sources": ["i-0123456789abcdef0"]}, "; did you mean Source.instance('i-0123456789abcdef0')?"),
        (
            {"sources": LIST_TOKEN},
            "sources must be a list whose length is known at synthesis, got a token: give its members one by one, each "
            "with a name; a lookup, such as Source.tagged(...), finds what is known later",
        ),
        ({"sources": TOKEN}, "sources must be a list whose length is known at synthesis, got a token"),
        ({"thing": "thing-1"}, "thing must be a IThing, got 'thing-1'"),
        ({"peers": ["10.0.0.0/8"]}, "got '10.0.0.0/8'; did you mean Peer.parse('10.0.0.0/8')?"),
    ],
)
def test_fails_when_an_argument_does_not_fit_and_says_what_would(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        check_arguments(takes, given)
    assert message in str(caught.value)


def test_fails_when_a_text_is_no_id_and_proposes_nothing_that_would_be_refused() -> None:
    with pytest.raises(RuleViolation) as caught:
        check_arguments(takes, {"peers": ["web"]})
    assert str(caught.value).endswith("got 'web'")


def test_when_a_list_or_map_may_be_one_token_then_it_is_taken_whole() -> None:
    check_arguments(takes, {"texts": LIST_TOKEN, "tags": MAP_TOKEN}, whole=("texts", "tags"))


def test_when_a_factory_is_checked_then_positions_count_and_python_refuses_the_rest() -> None:
    factory = checked(takes)
    factory("a", maybe="b")
    with pytest.raises(RuleViolation, match="maybe must be text, got 5"):
        factory("a", 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'txt'"):
        factory(txt="a")  # type: ignore[call-arg]


def test_fails_when_a_field_of_a_dataclass_does_not_fit() -> None:
    @dataclass(frozen=True)
    class Point:
        x: int

    check_fields(Point(1))
    with pytest.raises(RuleViolation, match="x must be a whole number, got 'a'"):
        check_fields(Point("a"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Source.network_interface(5),  # type: ignore[arg-type]
        lambda: Source.tagged("a=b"),  # type: ignore[arg-type]
        lambda: SourceLookup(tags={"a": 5}),  # type: ignore[dict-item]
        lambda: Source.instance(None),  # type: ignore[arg-type]
        lambda: Destination.network_interface(5),  # type: ignore[arg-type]
        lambda: Peer.cidr(5),  # type: ignore[arg-type]
        lambda: Peer.parse(None),  # type: ignore[arg-type]
        lambda: MirrorRule("ingress", traffic="tcp"),  # type: ignore[arg-type]
        lambda: MirrorRule("ingress", description="a\nb"),
        lambda: ExistingAppliance("tmt-0123456789abcdef0", 5),  # type: ignore[arg-type]
        lambda: LaunchedAppliance("https://s3.amazonaws.com/a/b", "subnet-0123456789abcdef0", 5),  # type: ignore[arg-type]
        lambda: ContainmentSettings(modes="approval"),  # type: ignore[arg-type]
        lambda: CaptureSettings(minutes="60"),  # type: ignore[arg-type]
        lambda: Authorization.jwt("https://login.example.com", audience="api"),
        lambda: Authorization("login"),
        lambda: Authorization("https://login.example.com"),
        lambda: Authorization(scopes=("contain",)),
        lambda: Destination("what", None, None),  # type: ignore[arg-type]
        lambda: Destination("network interface", "vpce-0123456789abcdef0", 10),
        lambda: Destination("network interface", None, 0),
        lambda: ExistingAppliance("tmt-0123456789abcdef0", "tmf-0123456789abcdef0", max_sources=0),
        lambda: FilterPreset((5,)),  # type: ignore[arg-type]
        lambda: PolicyRule("a", "capture", types="UnauthorizedAccess:*"),  # type: ignore[arg-type]
        lambda: PolicyRule("a", "capture", tags="a=b"),  # type: ignore[arg-type]
        lambda: PortRange(True, 5),
        lambda: Traffic("tcp"),  # type: ignore[arg-type]
        lambda: Traffic(6, "443"),  # type: ignore[arg-type]
        lambda: everything_but_intra_vpc(["10.0.0.0"]),
    ],
)
def test_fails_when_a_value_is_made_of_what_does_not_fit(make: Callable[[], object]) -> None:
    with pytest.raises(RuleViolation):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Destination("what", "a", None),  # type: ignore[arg-type]
            "kind must be network interface, network load balancer or gateway load balancer endpoint, got 'what'",
        ),
        (lambda: Peer("cidr", "not"), "'not' is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32"),
        (lambda: Peer("vpc", "sg-0123abcd"), "'sg-0123abcd' is not the id of a VPC: expected the form vpc-"),
        (
            lambda: Peer("host", "10.0.0.1"),  # type: ignore[arg-type]
            "kind must be cidr, security group, prefix list or vpc, got 'host'",
        ),
    ],
)
def test_fails_when_a_value_is_made_without_its_factory_and_is_wrong(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_when_a_peer_is_made_without_its_factory_then_it_is_spelt_as_aws_does() -> None:
    assert Peer("cidr", "2001:DB8:0::/32") == Peer.cidr("2001:db8::/32")


def test_when_messages_name_what_was_given_then_by_the_word_that_users_know() -> None:
    assert "got the class Source" in refused({"thing": Source})
    assert "got a Source" in refused({"thing": ENI})
    assert "got a PolicyRule" in refused({"thing": PolicyRule("a-rule-of-a-long-name", "capture")})
    # Their names cannot be checked against the classes here: loading the constructs starts a kernel.
    assert set(arguments._PUBLIC.values()) - {"security group"} <= set(tapstack._HOMES)


def refused(given: dict[str, Any]) -> str:
    with pytest.raises(RuleViolation) as caught:
        check_arguments(takes, given)
    return str(caught.value)


def test_when_messages_name_a_class_then_users_can_make_one() -> None:
    # By name, because loading the constructs starts a kernel. PolicyRule is called Rule in the domain.
    assert set(arguments._MEANT) - {"TerraformProvider", "Rule"} <= set(tapstack._HOMES)
    assert set(arguments._FACTORIES) <= set(arguments._MEANT)
