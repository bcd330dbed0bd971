"""MirrorTarget: the HCL it makes, sharing, and what it refuses."""

from __future__ import annotations

import pytest

from tapstack import Destination, MirrorFilter, MirrorSessions, MirrorTarget, RuleViolation, Source
from tapstack.bindings import Construct, cdk
from tests.synth.ids import ENDPOINT, FILTER, NLB, TARGET, TOKEN, eni
from tests.synth.template import CREATE_FIRST, Template, assert_equal, new_stack, synthesize

ORGANIZATION = "arn:aws:organizations::111122223333:organization/o-a1b2c3d4e5"


@pytest.mark.parametrize(
    ("destination", "argument", "value"),
    [
        (Destination.network_interface(eni(1)), "network_interface_id", eni(1)),
        (Destination.network_interface(TOKEN), "network_interface_id", TOKEN),
        (Destination.network_load_balancer(NLB), "network_load_balancer_arn", NLB),
        (Destination.network_load_balancer(TOKEN), "network_load_balancer_arn", TOKEN),
        (Destination.gateway_load_balancer_endpoint(ENDPOINT), "gateway_load_balancer_endpoint_id", ENDPOINT),
        (Destination.gateway_load_balancer_endpoint(TOKEN), "gateway_load_balancer_endpoint_id", TOKEN),
    ],
)
def test_when_a_destination_is_given_then_the_target_names_it_alone(
    destination: Destination, argument: str, value: str
) -> None:
    template = synthesize(lambda stack: MirrorTarget(stack, "t", destination=destination, tags={"team": "ir"}))
    # AWS takes one target for a load balancer: another one for another description could not be made first.
    ignored = {"ignore_changes": ["description"]} if argument == "network_load_balancer_arn" else {}
    assert_equal(
        template.resource("aws_ec2_traffic_mirror_target", "t"),
        {
            argument: value,
            "description": "Tapstack t",
            "lifecycle": [{**CREATE_FIRST[0], **ignored}],
            "tags": {"Name": "t", "team": "ir"},
        },
    )
    assert template.count("aws_ram_resource_share") == 0


@pytest.fixture(scope="module")
def shared() -> Template:
    return synthesize(
        lambda stack: MirrorTarget(
            stack,
            "t",
            destination=Destination.network_load_balancer(NLB),
            share_with=["444455556666", ORGANIZATION, "444455556666", TOKEN],
        )
    )


def test_when_shared_then_the_resource_share_holds_the_target(shared: Template) -> None:
    (name,) = shared.names("aws_ram_resource_share")
    assert_equal(
        shared.resource("aws_ram_resource_share"),
        {"name": "t", "allow_external_principals": False, "lifecycle": CREATE_FIRST, "tags": {"Name": "t"}},
    )
    assert_equal(
        shared.resource("aws_ram_resource_association"),
        {
            "resource_arn": "${aws_ec2_traffic_mirror_target.t.arn}",
            "resource_share_arn": f"${{aws_ram_resource_share.{name}.arn}}",
            "lifecycle": CREATE_FIRST,
        },
    )


def test_when_shared_then_each_principal_is_associated_once(shared: Template) -> None:
    found = [body["principal"] for body in shared.resources["aws_ram_principal_association"].values()]
    assert sorted(found) == sorted(["444455556666", ORGANIZATION, TOKEN])


def test_when_two_principals_have_the_same_last_part_then_only_the_second_gets_a_longer_id() -> None:
    other = ORGANIZATION.replace("111122223333", "222233334444")
    template = synthesize(
        lambda stack: MirrorTarget(
            stack, "t", destination=Destination.network_load_balancer(NLB), share_with=[ORGANIZATION, other]
        )
    )
    found = template.resources["aws_ram_principal_association"]
    (first,) = (name for name in found if name.startswith("t_ShareWith-o-a1b2c3d4e5_"))
    (second,) = (name for name in found if name.startswith("t_ShareWith-o-a1b2c3d4e5-"))
    assert (found[first]["principal"], found[second]["principal"]) == (ORGANIZATION, other)


def test_when_external_principals_are_allowed_then_the_share_says_so() -> None:
    template = synthesize(
        lambda stack: MirrorTarget(
            stack,
            "t",
            destination=Destination.network_load_balancer(NLB),
            share_with=["444455556666"],
            allow_external_principals=True,
        )
    )
    assert template.resource("aws_ram_resource_share")["allow_external_principals"] is True


def test_when_a_logical_id_is_given_then_the_address_has_it() -> None:
    template = synthesize(
        lambda stack: MirrorTarget(stack, "t", destination=Destination.network_interface(eni(1)), logical_id="sensors")
    )
    assert template.names("aws_ec2_traffic_mirror_target") == {"sensors"}


def test_when_an_existing_target_is_imported_then_it_carries_id_and_destination() -> None:
    target = MirrorTarget.from_id(TARGET, destination=Destination.network_load_balancer(NLB))
    assert target.mirror_target_id == TARGET
    assert target.destination is not None
    assert target.destination.max_sources is None
    assert MirrorTarget.from_id(TOKEN).destination is None


def test_fails_when_a_principal_is_neither_account_nor_organization() -> None:
    with pytest.raises(
        RuleViolation, match="^site/t: '4444' is not the id of an account or the ARN of an organization"
    ):
        MirrorTarget(new_stack(), "t", destination=Destination.network_load_balancer(NLB), share_with=["4444"])


def test_fails_when_external_principals_are_allowed_without_principals() -> None:
    with pytest.raises(RuleViolation, match="allow_external_principals needs share_with"):
        MirrorTarget(
            new_stack(),
            "t",
            destination=Destination.network_load_balancer(NLB),
            allow_external_principals=True,
        )


def test_fails_when_an_interface_becomes_a_target_after_it_was_a_source() -> None:
    stack = new_stack()
    MirrorSessions(
        stack,
        "s",
        sources=[Source.network_interface(eni(1))],
        target=MirrorTarget.from_id(TARGET),
        filter=MirrorFilter.from_id(FILTER),
    )
    with pytest.raises(RuleViolation, match=f"^site/t: network interface {eni(1)} cannot be a source"):
        MirrorTarget(stack, "t", destination=Destination.network_interface(eni(1)))


def test_fails_when_the_interface_behind_a_new_target_is_not_known() -> None:
    with pytest.raises(RuleViolation, match="needs the id of the interface"):
        MirrorTarget(new_stack(), "t", destination=Destination.some_network_interface())


def test_when_an_interface_has_two_targets_then_the_second_warns() -> None:
    def make(stack: cdk.TerraformStack) -> None:
        MirrorTarget(stack, "one", destination=Destination.network_interface(eni(1)))
        MirrorTarget(stack, "two", destination=Destination.network_interface(eni(2)))
        MirrorTarget(Construct(stack, "inner"), "one", destination=Destination.network_interface(eni(1)))
        MirrorTarget(stack, "three", destination=Destination.network_interface(own()))
        MirrorTarget(stack, "four", destination=Destination.network_interface(own()))

    def own() -> str:
        return str(cdk.Token.as_string("${aws_network_interface.own.id}"))

    also = "its network interface is that of site/{} as well: the sources of both count towards the number it takes"
    assert synthesize(make).warnings == [also.format("one"), also.format("three")]
