"""What constructs are given is held against their signatures; the message begins with the construct's path."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import tapstack
from tapstack import (
    Destination,
    ExistingAppliance,
    IncidentResponse,
    MirrorFilter,
    MirrorSessions,
    MirrorTarget,
    PacketBasics,
    Peer,
    QuarantineSecurityGroup,
    RuleViolation,
    Source,
    accept_provider_range,
    presets,
)
from tapstack.bindings import Construct, aws, cdk
from tests.synth.ids import SUBNET, TEMPLATE_URL, VPC
from tests.synth.template import new_stack

TARGET = MirrorTarget.from_id("tmt-0123456789abcdef0")
FILTER = MirrorFilter.from_id("tmf-0123456789abcdef0")
SOURCE = Source.network_interface("eni-0123456789abcdef0")
PUBLIC = [getattr(tapstack, name) for name in tapstack.__all__]
CONSTRUCTS = [c for c in PUBLIC if inspect.isclass(c) and issubclass(c, Construct)]
PARAMETERS = [
    pytest.param(construct, parameter, id=f"{construct.__name__}-{parameter.name}")
    for construct in CONSTRUCTS
    for parameter in inspect.signature(construct.__init__).parameters.values()
    if parameter.name not in ("self", "scope", "id_")
]
TEXTS = [p for p in PARAMETERS if isinstance(q := p.values[1], inspect.Parameter) and "str" in str(q.annotation)]


@pytest.fixture(scope="module")
def stack() -> cdk.TerraformStack:
    return new_stack()


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(RuleViolation) as caught:
        make()
    return str(caught.value)


@pytest.mark.parametrize(("construct", "parameter"), PARAMETERS)
def test_fails_when_an_argument_is_something_else_and_says_where(
    stack: cdk.TerraformStack, construct: Any, parameter: inspect.Parameter
) -> None:
    message = refusal(lambda: construct(stack, "it", **{parameter.name: object()}))
    assert message.startswith(f"site/it: {parameter.name} must be ")
    assert message.endswith("got an object")


@pytest.mark.parametrize(("construct", "parameter"), TEXTS)
@pytest.mark.parametrize("text", ["a\nEOF\n}", "\x1b[31m", "a\u2028b", "%{if true}", "${a"])
def test_fails_when_a_text_would_not_stay_what_it_is(
    stack: cdk.TerraformStack, construct: Any, parameter: inspect.Parameter, text: str
) -> None:
    annotation = str(parameter.annotation)
    value = [text] if "Sequence" in annotation else {"a": text} if "Mapping" in annotation else text
    assert refusal(lambda: construct(stack, "it", **{parameter.name: value})).startswith(f"site/it: {parameter.name}")
    if "Mapping" in annotation:
        refusal(lambda: construct(stack, "it", **{parameter.name: {text: "a"}}))


REQUIRED: dict[str, dict[str, Any]] = {
    "MirrorSessions": {"sources": [SOURCE], "target": TARGET, "filter": FILTER},
    "MirrorFilter": {"rules": presets.web().rules},
    "MirrorTarget": {
        "destination": Destination.network_interface("eni-0123456789abcdef1"),
        "share_with": ["111122223333"],
    },
    "CaptureSecurityGroup": {"vpc_id": VPC, "mirrored_from": [Peer.cidr("10.0.0.0/16")]},
    "QuarantineSecurityGroup": {"vpc_id": VPC},
    "CaptureLoadBalancer": {
        "vpc_id": VPC,
        "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "mirrored_from": [Peer.cidr("10.0.0.0/16")],
        "instance_ids": ["i-0123456789abcdef0"],
    },
    "PacketBasics": {
        "template_url": TEMPLATE_URL,
        "vpc_id": VPC,
        "subnet_id": SUBNET,
        "remote_access_cidr": "10.20.0.0/16",
        "capabilities": ["CAPABILITY_IAM"],
        "own_tags": {"team": "soc"},
    },
    "IncidentResponse": {
        "deployment": "ir",
        "site": "a",
        "vpc_id": VPC,
        "appliance": ExistingAppliance("tmt-0123456789abcdef0", "tmf-0123456789abcdef0"),
    },
}
OF_ANY = [{"aws:x": "y"}, {"tapstack:site": "z"}, {f"k{n}": "v" for n in range(60)}]
STRICTER = [
    ("PacketBasics", {"Owner": "a", "owner": "b"}),
    ("PacketBasics", {"team": ""}),
    ("IncidentResponse", {"Owner": "a", "owner": "b"}),
    ("IncidentResponse", {"team": "R&D"}),
    ("CaptureLoadBalancer", {"team": "R&D"}),
    ("MirrorTarget", {"team": "R&D"}),
]


@pytest.mark.parametrize(
    ("name", "tags"),
    [*((name, tags) for name in REQUIRED for tags in OF_ANY), *STRICTER],
    ids=lambda value: str(value)[:24],
)
def test_fails_when_a_construct_cannot_have_its_tags(
    stack: cdk.TerraformStack, name: str, tags: dict[str, str]
) -> None:
    found = refusal(lambda: getattr(tapstack, name)(stack, "it", **REQUIRED[name], tags=tags))
    assert found.startswith("site/it: ")
    assert "tag" in found


class TestSessions:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"target": "tmt-0123456789abcdef0"},
                "target must be a MirrorTarget, PacketBasics.target or MirrorTarget.from_id(...), got "
                "'tmt-0123456789abcdef0'; did you mean MirrorTarget.from_id('tmt-0123456789abcdef0')?",
            ),
            ({"target": MirrorTarget}, "MirrorTarget.from_id(...), got the class MirrorTarget"),
            ({"target": "${TfToken[TOKEN.0]}"}, "got a token; did you mean MirrorTarget.from_id(token)?"),
            ({"target": Destination.some_network_interface()}, "got a Destination"),
            (
                {"filter": "tmf-0123456789abcdef0"},
                "filter must be a MirrorFilter, PacketBasics.filter or MirrorFilter.from_id(...), got "
                "'tmf-0123456789abcdef0'; did you mean MirrorFilter.from_id('tmf-0123456789abcdef0')?",
            ),
            ({"filter": presets.web()}, "filter must be a MirrorFilter, PacketBasics.filter"),
            ({"sources": "eni-0123456789abcdef0"}, "sources must be a list, got 'eni-0123456789abcdef0'"),
            ({"sources": SOURCE}, "sources must be a list, got a Source; put it in brackets"),
            ({"exclude": "eni-0123456789abcdef0"}, "exclude must be a list, got 'eni-0123456789abcdef0'; put it in"),
            ({"session_number": "1"}, "session_number must be a whole number, got '1'"),
        ],
    )
    def test_fails_when_something_near_is_given_and_says_what_was_meant(
        self, stack: cdk.TerraformStack, arguments: dict[str, Any], message: str
    ) -> None:
        right: dict[str, Any] = {"sources": [SOURCE], "target": TARGET, "filter": FILTER}
        found = refusal(lambda: MirrorSessions(stack, "it", **{**right, **arguments}))
        assert found.startswith("site/it: ")
        assert message in found

    def test_fails_when_the_sources_are_a_list_token(self) -> None:
        stack = new_stack()
        ids = aws.DataAwsNetworkInterfaces(stack, "ids", tags={"team": "web"})
        assert refusal(
            lambda: MirrorSessions(stack, "it", sources=cdk.Token.as_list(ids.ids), target=TARGET, filter=FILTER)  # type: ignore[arg-type]
        ) == (
            "site/it: sources must be a list whose length is known at synthesis, got a token: give its members one by "
            "one, each with a name; a lookup, such as Source.tagged(...), finds what is known later"
        )

    def test_when_ids_names_of_tags_and_numbers_are_tokens_then_they_are_taken(self) -> None:
        stack = new_stack()
        instance = aws.DataAwsInstance(stack, "instance", instance_id="i-0123456789abcdef0")
        MirrorSessions(
            stack,
            "it",
            target=MirrorTarget.from_id(cdk.Fn.element(cdk.Token.as_list("${var.targets}"), 0)),
            filter=FILTER,
            packet_length=cdk.Token.as_number("${var.length}"),  # type: ignore[arg-type]
            sources=[
                Source.network_interface(instance.network_interface_id, name="first"),
                Source.instance(instance.id),
                Source.tagged({"team": instance.id}),
            ],
        )
        assert "${var.length}" in cdk.Testing.synth(stack)

    def test_fails_when_an_argument_is_misspelt(self, stack: cdk.TerraformStack) -> None:
        with pytest.raises(
            TypeError, match=r"MirrorSessions.__init__\(\) got an unexpected keyword argument 'filter_'"
        ):
            MirrorSessions(stack, "it", sources=[SOURCE], target=TARGET, filter=FILTER, filter_=FILTER)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda stack: MirrorTarget(stack, "it", destination="eni-0123456789abcdef0"),  # type: ignore[arg-type]
            "site/it: destination must be Destination.network_interface(...), .network_load_balancer(...) or "
            ".gateway_load_balancer_endpoint(...), got 'eni-0123456789abcdef0'; did you mean "
            "Destination.network_interface('eni-0123456789abcdef0')?",
        ),
        (
            lambda stack: IncidentResponse(stack, "it", deployment="a", site="b", vpc_id="vpc-1", appliance="tmt-1"),  # type: ignore[arg-type]
            "site/it: appliance must be an ExistingAppliance(...) or a LaunchedAppliance(...), got 'tmt-1'",
        ),
        (
            lambda stack: MirrorFilter.from_preset(stack, "it", "web"),  # type: ignore[arg-type]
            "site/it: preset must be a preset of tapstack.presets, got 'web'",
        ),
        (
            lambda stack: MirrorFilter.everything_but_intra_vpc(stack, "it", vpc_cidrs="10.0.0.0/16"),
            "site/it: vpc_cidrs must be a list, got '10.0.0.0/16'; put it in brackets",
        ),
        (
            lambda stack: PacketBasics.from_stack_name(stack, "it", 5),  # type: ignore[arg-type]
            "site/it: stack_name must be text, got 5",
        ),
        (
            lambda stack: MirrorFilter("site", "it", rules=[]),  # type: ignore[arg-type]
            "MirrorFilter: scope must be a construct, got 'site'",
        ),
        (
            lambda stack: MirrorFilter(stack, 5, rules=[]),  # type: ignore[arg-type]
            "site/5: id_ must be text, got 5",
        ),
    ],
)
def test_fails_when_something_near_is_given_and_says_what_was_meant(
    stack: cdk.TerraformStack, make: Callable[[Any], object], message: str
) -> None:
    assert refusal(lambda: make(stack)) == message


@pytest.mark.parametrize("id_", ["1st", "-a", 'a"b', "a.b", "a b"])
def test_fails_when_an_id_cannot_be_a_name_in_terraform(id_: str) -> None:
    assert "cannot be a name in a Terraform address" in refusal(
        lambda: QuarantineSecurityGroup(new_stack(), id_, vpc_id="vpc-0123456789abcdef0")
    )
    assert "cannot be a name in a Terraform address" in refusal(
        lambda: MirrorFilter(new_stack(), "it", rules=[], amazon_dns=True, logical_id=id_)
    )


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_fails_when_a_construct_is_in_no_stack_and_says_where(construct: Any) -> None:
    app = cdk.App()
    below = Construct(app, "team")
    expected = "scope must be a TerraformStack or a construct in one, got"
    assert refusal(lambda: construct(app, "it")) == f"it: {expected} App at the root"
    assert refusal(lambda: construct(below, "it")) == f"team/it: {expected} Construct team"


@pytest.mark.parametrize(
    "make",
    [
        lambda scope: MirrorFilter.everything(scope, "it"),
        lambda scope: PacketBasics.from_stack_name(scope, "it", "appliance"),
    ],
)
def test_fails_when_a_factory_is_given_an_app(make: Callable[[Construct], object]) -> None:
    assert refusal(lambda: make(cdk.App())).startswith("it: scope must be a TerraformStack or a construct in one")


def test_fails_when_the_range_is_accepted_by_something_else_than_a_stack() -> None:
    given: Any = cdk.App()
    assert refusal(lambda: accept_provider_range(given)) == "stack must be a TerraformStack, got App"
