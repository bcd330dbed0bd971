"""MirrorSessions: numbers, keys, lookups, limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tapstack import (
    Destination,
    IMirrorTarget,
    MirrorFilter,
    MirrorSessions,
    MirrorTarget,
    RuleViolation,
    Source,
    SourceLookup,
)
from tapstack.bindings import Construct, aws, cdk
from tapstack.capture.scaffold import blocks_of
from tapstack.domain.instance_types import source_patterns
from tests.synth.ids import FILTER, INSTANCES, NLB, SUBNET, TARGET, TOKEN, VPC, eni
from tests.synth.template import Template, assert_equal, new_stack, synthesize

BALANCED = MirrorTarget.from_id(TARGET, destination=Destination.network_load_balancer(NLB))


def add(stack: cdk.TerraformStack, id_: str, *sources: Any, **arguments: Any) -> MirrorSessions:
    arguments.setdefault("target", MirrorTarget.from_id(TARGET))
    return MirrorSessions(stack, id_, sources=list(sources), filter=MirrorFilter.from_id(FILTER), **arguments)


def interfaces(*numbers: int, **arguments: Any) -> list[Any]:
    return [Source.network_interface(eni(n), **arguments) for n in numbers]


def keys(template: Template, name: str) -> dict[str, int]:
    """The session number of every key."""
    sessions = template.resource("aws_ec2_traffic_mirror_session", name)
    return dict(sessions["for_each"])


@pytest.fixture(scope="module")
def known() -> Template:
    def build(stack: cdk.TerraformStack) -> None:
        sessions = add(
            stack,
            "web",
            Source.network_interface(eni(1)),
            Source.network_interface(eni(2), session_number=9),
            Source.network_interface(TOKEN, name="database"),
            Source.network_interface(eni(1)),
            packet_length=128,
            virtual_network_id=7,
            description="web tier",
            tags={"team": "ir"},
        )
        cdk.TerraformOutput(stack, "ids", value=sessions.session_ids)

    return synthesize(build)


class TestKnownSources:
    def test_when_sources_are_written_then_one_resource_holds_all_keyed_by_name(self, known: Template) -> None:
        assert_equal(
            known.resource("aws_ec2_traffic_mirror_session", "web"),
            {
                "for_each": {eni(1): 1, eni(2): 9, "database": 1},
                "network_interface_id": "${lookup(local.web_Named_5D46A9D5, each.key, each.key)}",
                "session_number": "${each.value}",
                "traffic_mirror_target_id": TARGET,
                "traffic_mirror_filter_id": FILTER,
                "packet_length": 128,
                "virtual_network_id": 7,
                "description": "web tier",
                "tags": {"Name": "web ${each.key}", "team": "ir"},
            },
        )

        assert_equal(known.locals["web_Named_5D46A9D5"], {"database": TOKEN})

    def test_when_no_source_has_a_name_of_its_own_then_the_key_is_its_interface(self) -> None:
        template = synthesize(lambda stack: add(stack, "web", Source.network_interface(eni(1))))
        sessions = template.resource("aws_ec2_traffic_mirror_session", "web")
        assert_equal(sessions["for_each"], {eni(1): 1})
        assert_equal(sessions["network_interface_id"], "${each.key}")

    @pytest.mark.parametrize("names", [["value"], ["value", "type"], ["dynamic"]])
    def test_when_a_source_is_called_as_a_word_of_cdktf_then_it_is_a_name_all_the_same(self, names: list[str]) -> None:
        sources = [Source.network_interface(f"${{module.{name}.id}}", name=name) for name in names]
        template = synthesize(lambda stack: add(stack, "web", *sources))
        assert_equal(template.resource("aws_ec2_traffic_mirror_session", "web")["for_each"], dict.fromkeys(names, 1))

    def test_when_the_number_of_lookups_is_a_token_then_it_is_read_from_a_local(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            number = cdk.TerraformVariable(stack, "number", type="number")
            add(stack, "web", Source.vpc(VPC), session_number=number.number_value)

        found = {name.split("_")[1]: (name, value) for name, value in synthesize(build).locals.items()}
        assert found["Number"][1] == "${var.number}"
        assert f": id => (local.{found['Number'][0]})}}" in found["Sources"][1]

    def test_when_asked_then_the_ids_come_by_source(self, known: Template) -> None:
        expected = "${{for name, session in aws_ec2_traffic_mirror_session.web : name => session.id}}"
        assert known.outputs["ids"]["value"] == expected

    def test_when_nothing_is_given_then_packets_are_whole_and_the_vni_is_left_to_aws(self) -> None:
        template = synthesize(lambda stack: add(stack, "web", *interfaces(1)))
        sessions = template.resource("aws_ec2_traffic_mirror_session")
        assert "packet_length" not in sessions
        assert "virtual_network_id" not in sessions


class TestNumbers:
    def test_when_groups_share_an_interface_then_each_gets_the_next_free_number(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            add(stack, "a", *interfaces(1, 2))
            add(stack, "b", *interfaces(1), session_number=5)
            add(stack, "c", *interfaces(1, 3))

        template = synthesize(build)
        assert keys(template, "a") == {eni(1): 1, eni(2): 1}
        assert keys(template, "b") == {eni(1): 5}
        assert keys(template, "c") == {eni(1): 2, eni(3): 2}

    def test_when_a_first_number_is_given_then_the_search_begins_there(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            add(stack, "a", *interfaces(1), first_session_number=100)
            add(stack, "b", *interfaces(1), first_session_number=100)

        template = synthesize(build)
        assert (keys(template, "a"), keys(template, "b")) == ({eni(1): 100}, {eni(1): 101})

    def test_when_a_lookup_came_first_then_known_sources_leave_its_number_alone(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            add(stack, "found", Source.subnet(SUBNET))
            add(stack, "known", *interfaces(1))

        template = synthesize(build)
        assert "id => (1)}" in str(template.locals)
        assert keys(template, "known") == {eni(1): 2}

    def test_when_a_lookup_comes_last_then_it_avoids_every_number_of_others(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            add(stack, "known", *interfaces(1))
            add(stack, "more", *interfaces(1))
            add(stack, "found", Source.subnet(SUBNET))

        assert "id => (3)}" in str(synthesize(build).locals)

    def test_when_tokens_may_be_one_interface_then_their_groups_differ_in_number(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            add(stack, "a", Source.network_interface("${module.a.id}", name="x"))
            add(stack, "b", Source.network_interface("${module.b.id}", name="x"))

        template = synthesize(build)
        assert (keys(template, "a"), keys(template, "b")) == ({"x": 1}, {"x": 2})

    def test_when_explicit_numbers_may_collide_then_a_warning_says_with_whom(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            add(stack, "found", Source.subnet(SUBNET))
            add(stack, "known", *interfaces(1), session_number=1)

        (warning,) = synthesize(build).warnings
        assert warning == (
            f"session number 1 on network interface {eni(1)} collides with sessions found "
            "if its lookup finds that interface too"
        )

    def test_fails_when_a_number_is_taken_on_the_interface(self) -> None:
        stack = new_stack()
        add(stack, "a", *interfaces(1))
        with pytest.raises(
            RuleViolation,
            match=f"^site/b: session number 1 on network interface {eni(1)} is taken by sessions a: ",
        ):
            add(stack, "b", *interfaces(1), session_number=1)

    def test_fails_when_an_interface_would_be_in_a_fourth_session(self) -> None:
        stack = new_stack()
        for group in "abc":
            add(stack, group, *interfaces(1))
        with pytest.raises(RuleViolation, match="in more than 3 sessions: it is in sessions a, sessions b, sessions c"):
            add(stack, "d", *interfaces(1))

    @pytest.mark.parametrize("number", [0, 32767, -1, 1.5])
    def test_fails_when_a_number_is_out_of_range(self, number: int) -> None:
        with pytest.raises(RuleViolation, match=f"a whole number.*, got {number}"):
            add(new_stack(), "a", *interfaces(1), session_number=number)


@pytest.fixture(scope="module")
def found() -> Template:
    def build(stack: cdk.TerraformStack) -> None:
        add(
            stack,
            "mixed",
            Source.instance(INSTANCES[0]),
            Source.tagged({"app": "checkout", "stage": "live"}, vpc_id=VPC),
            Source.subnet(SUBNET),
            Source.vpc(TOKEN),
            *interfaces(1),
            target=MirrorTarget.from_id(TARGET, destination=Destination.network_interface(eni(9))),
            exclude=[eni(8), TOKEN],
        )

    return synthesize(build)


class TestLookups:
    def filters(self, template: Template, number: int) -> dict[str, list[str]]:
        (data,) = (body for name, body in template.data["aws_network_interfaces"].items() if f"Lookup{number}" in name)
        return {block["name"]: block["values"] for block in data["filter"]}

    def test_when_sources_are_looked_up_then_only_interfaces_that_can_be_mirrored_are_found(
        self, found: Template
    ) -> None:
        always = {"interface-type": ["interface"], "status": ["in-use"], "requester-managed": ["false"]}
        assert_equal(self.filters(found, 0), {**always, "attachment.instance-id": [INSTANCES[0]]})
        tags = {"tag:app": ["checkout"], "tag:stage": ["live"]}
        assert_equal(self.filters(found, 1), {**always, "vpc-id": [VPC], **tags})
        assert_equal(self.filters(found, 2), {**always, "subnet-id": [SUBNET]})
        assert_equal(self.filters(found, 3), {**always, "vpc-id": [TOKEN]})

    def test_when_known_and_found_sources_mix_then_an_interface_is_mirrored_once(self, found: Template) -> None:
        local = {name.split("_")[1]: value for name, value in found.locals.items()}
        # Through a local: what is off the allow-list is subtracted from it.
        assert local["Found"].startswith("${setunion(setunion(data.aws_network_interfaces.") or local[
            "Found"
        ].startswith("${setunion(data.aws_network_interfaces.")
        assert_equal(local["Written"], {eni(1): 1})
        assert_equal(local["Excluded"], [eni(8), TOKEN, eni(9)])
        assert local["Sources"].startswith("${merge({for id in setsubtract(setunion(setsubtract(local.mixed_Found_")
        assert "=> (1)}, local.mixed_Written_" in local["Sources"]

    def test_when_instances_are_found_then_those_of_types_that_aws_does_not_mirror_are_left_out(
        self, found: Template
    ) -> None:
        local = {name.split("_")[1]: name for name in found.locals}
        instances, listed = (
            next(body for name, body in found.data["aws_instances"].items() if part in name)
            for part in ("Instances", "Mirrorable")
        )
        assert instances["for_each"] == (
            f"${{{{for i, part in chunklist(sort(tolist(local.{local['Found']})), 200) : i => part}}}}"
        )
        (by_interface,) = instances["filter"]
        assert by_interface == {"name": "network-interface.network-interface-id", "values": "${each.value}"}
        assert listed["filter"][0] == by_interface
        assert listed["filter"][1] == {"name": "instance-type", "values": list(source_patterns())}

    def test_when_every_type_is_accepted_then_no_instance_is_asked_for_but_appliances(self) -> None:
        lookup = SourceLookup(vpc_id=VPC, accept_instance_type=True)
        [asked] = synthesize(lambda stack: add(stack, "all", lookup)).data["aws_instances"]
        assert "Tagged" in asked

    def test_when_instances_are_found_by_their_tags_then_their_interfaces_are(self) -> None:
        template = synthesize(lambda stack: add(stack, "web", Source.tagged_instances({"app": "web"}, vpc_id=VPC)))
        (tagged,) = (body for name, body in template.data["aws_instances"].items() if "Lookup0" in name)
        assert tagged["filter"] == [{"name": "tag:app", "values": ["web"]}]
        assert str(self.filters(template, 0)["attachment.instance-id"]) == "${each.value}"
        assert self.filters(template, 0)["vpc-id"] == [VPC]

    def test_when_terraform_plans_then_it_warns_of_lookups_that_find_nothing(self) -> None:
        stack = new_stack()
        add(stack, "web", Source.tagged({"app": "web"}))
        checks = json.loads(cdk.Testing.synth(stack))["check"]
        assert checks == blocks_of(stack)["check"]
        nothing, left_out = checks["web_sources"]["assert"]
        assert nothing["condition"].endswith(".ids) > 0}")
        assert nothing["error_message"].startswith("The lookup (tag app = web) of web finds no network interface")
        assert left_out["error_message"].startswith('web leaves out ${join(", ", sort(tolist(local.')

    @pytest.mark.thorough
    def test_when_four_groups_can_find_one_interface_then_the_plan_refuses_a_fourth_session(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            for name, source in (("a", Source.vpc(VPC)), ("b", Source.vpc(VPC)), ("c", Source.subnet(SUBNET))):
                add(stack, name, source, target=BALANCED)
            add(stack, "d", Source.tagged({"app": "web"}), target=BALANCED)

        template = synthesize(build)
        refusing = {
            name
            for name, body in template.resources["aws_ec2_traffic_mirror_session"].items()
            if "precondition" in str(body.get("lifecycle"))
        }
        assert refusing == {"d"}

    def test_when_found_sources_could_be_too_many_then_the_plan_refuses_them(self, found: Template) -> None:
        (lifecycle,) = found.resource("aws_ec2_traffic_mirror_session")["lifecycle"]
        (condition,) = lifecycle["precondition"]
        assert condition["condition"].endswith(") <= 10}")
        assert "find more sources than the 10 that this target takes" in condition["error_message"]

    @pytest.mark.thorough
    def test_when_four_groups_look_up_for_one_target_then_the_plan_checks_sessions_and_sources(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            target = MirrorTarget(stack, "t", destination=Destination.network_interface(eni(9)))
            for name in "abcd":
                add(stack, name, Source.vpc(VPC), target=target)

        sessions = synthesize(build).resource("aws_ec2_traffic_mirror_session", "d")
        fourth, capacity = sessions["lifecycle"][0]["precondition"]
        assert "AWS takes no more" in fourth["error_message"]
        assert "than the 10 that this target takes" in capacity["error_message"]

    def test_when_the_target_takes_any_number_then_nothing_is_counted(self) -> None:
        template = synthesize(lambda stack: add(stack, "all", Source.vpc(VPC), target=BALANCED))
        assert "lifecycle" not in template.resource("aws_ec2_traffic_mirror_session")

    def test_when_requester_managed_interfaces_are_asked_for_then_they_are_found_too(self) -> None:
        lookup = SourceLookup(vpc_id=VPC, include_requester_managed=True)
        template = synthesize(lambda stack: add(stack, "all", lookup))
        assert "requester-managed" not in self.filters(template, 0)
        expected = "of the interfaces that AWS services manage, AWS mirrors those of RDS and ElastiCache only"
        assert template.warnings == [expected]

    def test_when_packets_are_cut_shorter_than_ipv6_allows_then_a_warning_says_so(self) -> None:
        template = synthesize(lambda stack: add(stack, "s", *interfaces(1), packet_length=54))
        assert template.warnings == ["packet length 54 cuts headers: keep at least 55 bytes of IPv6"]
        assert synthesize(lambda stack: add(stack, "s", *interfaces(1), packet_length=55)).warnings == []

    def test_fails_when_a_lookup_has_no_condition(self) -> None:
        with pytest.raises(RuleViolation, match="needs tags, instance tags, an instance, a subnet or a VPC"):
            Source.tagged({})


class TestTargets:
    def count(self, sources: int, target: IMirrorTarget) -> Callable[[cdk.TerraformStack], MirrorSessions]:
        return lambda stack: add(stack, "s", *interfaces(*range(1, sources + 1)), target=target)

    def test_when_sources_are_as_many_as_the_interface_takes_then_all_are_mirrored(self) -> None:
        small = MirrorTarget.from_id(TARGET, destination=Destination.network_interface(eni(900)))
        assert len(keys(synthesize(self.count(10, small)), "s")) == 10

    def test_fails_when_there_is_one_source_too_many(self) -> None:
        small = MirrorTarget.from_id(TARGET, destination=Destination.network_interface(eni(900)))
        with pytest.raises(
            RuleViolation, match="takes at most 10 distinct sources, got 11: use a Network Load Balancer"
        ):
            self.count(11, small)(new_stack())

    def test_fails_when_the_largest_appliance_gets_one_source_too_many(self) -> None:
        large = Destination.network_interface(eni(900), instance_type="m5.24xlarge")
        with pytest.raises(RuleViolation, match="takes at most 100 distinct sources, got 101"):
            self.count(101, MirrorTarget.from_id(TARGET, destination=large))(new_stack())

    def test_fails_when_two_groups_together_are_too_many(self) -> None:
        stack = new_stack()
        target = MirrorTarget(stack, "t", destination=Destination.network_interface(eni(900)))
        add(stack, "a", *interfaces(*range(1, 8)), target=target)
        add(stack, "b", *interfaces(*range(5, 11)), target=target)
        with pytest.raises(RuleViolation, match="^site/c: target c takes at most 10 distinct sources, got 11"):
            add(stack, "c", *interfaces(11), target=target)

    def test_when_the_target_is_a_load_balancer_then_any_number_is_mirrored(self) -> None:
        assert len(keys(synthesize(self.count(150, BALANCED)), "s")) == 150

    def test_when_the_target_is_a_load_balancer_then_packets_are_cut_where_aws_cuts_them(self) -> None:
        sessions = synthesize(self.count(1, BALANCED)).resource("aws_ec2_traffic_mirror_session")
        assert sessions["packet_length"] == 8500

    def test_fails_when_a_source_is_the_target(self) -> None:
        stack = new_stack()
        target = MirrorTarget(stack, "t", destination=Destination.network_interface(eni(1)))
        with pytest.raises(RuleViolation, match=f"^site/s: network interface {eni(1)} cannot be"):
            add(stack, "s", *interfaces(1), target=target)

    def test_fails_when_packets_are_longer_than_a_load_balancer_target_keeps(self) -> None:
        with pytest.raises(RuleViolation, match="from 1 to 8500 bytes for a Network Load Balancer target, got 8501"):
            add(new_stack(), "s", *interfaces(1), target=BALANCED, packet_length=8501)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"packet_length": 0}, "packet length must be a whole number from 1 to 65535 bytes, got 0"),
            ({"virtual_network_id": 0}, "virtual network id must be a whole number from 1 to 16777215, got 0"),
            ({"virtual_network_id": 16777216}, "from 1 to 16777215, got 16777216"),
            ({"first_session_number": 0}, "session number must be a whole number from 1 to 32766, got 0"),
            ({"first_session_number": -1.9e289}, "first_session_number must be a literal"),
            ({"exclude": ["i-1"]}, "'i-1' is not the id of a network interface"),
        ],
    )
    def test_fails_when_a_number_or_id_is_out_of_range(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(RuleViolation, match=message):
            add(new_stack(), "s", *interfaces(1), **arguments)


class TestSources:
    def test_fails_when_the_instance_type_cannot_be_mirrored(self) -> None:
        with pytest.raises(RuleViolation, match="instance type t2.micro cannot be a mirror source"):
            interfaces(1, instance_type="t2.micro")

    def test_when_the_list_is_overruled_then_the_source_is_taken(self) -> None:
        assert interfaces(1, instance_type="t2.micro", accept_instance_type=True)

    def test_fails_when_a_token_has_no_name(self) -> None:
        with pytest.raises(RuleViolation, match="a source whose network interface id is a token needs a name"):
            Source.network_interface(TOKEN)

    def test_fails_when_a_literal_id_is_named_otherwise(self) -> None:
        with pytest.raises(RuleViolation, match="is named by its id; leave out name='web'"):
            Source.network_interface(eni(1), name="web")

    def test_fails_when_one_name_stands_for_two_interfaces(self) -> None:
        sources = [Source.network_interface(f"${{module.{m}.id}}", name="x") for m in "ab"]
        with pytest.raises(RuleViolation, match="^site/s: source x is given twice with different values"):
            add(new_stack(), "s", *sources)

    def test_fails_when_there_is_no_source(self) -> None:
        with pytest.raises(RuleViolation, match="^site/s: no source given"):
            add(new_stack(), "s")


def test_when_everything_is_a_token_of_cdktf_then_terraform_gets_the_references() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        interface = aws.Ec2TrafficMirrorTarget(stack, "elsewhere", network_interface_id=eni(5))
        number = cdk.TerraformVariable(stack, "number", type="number")
        add(
            stack,
            "s",
            Source.network_interface(interface.network_interface_id, name="other"),
            target=MirrorTarget.from_id(interface.id),
            session_number=number.number_value,
            packet_length=number.number_value,
            virtual_network_id=number.number_value,
        )

    template = synthesize(build)
    sessions = template.resource("aws_ec2_traffic_mirror_session")
    assert_equal(
        {name: sessions[name] for name in ("packet_length", "virtual_network_id", "traffic_mirror_target_id")},
        {
            "packet_length": "${var.number}",
            "virtual_network_id": "${var.number}",
            "traffic_mirror_target_id": "${aws_ec2_traffic_mirror_target.elsewhere.id}",
        },
    )
    assert_equal(sessions["for_each"], {"other": "${var.number}"})
    reference = "${aws_ec2_traffic_mirror_target.elsewhere.network_interface_id}"
    assert {"other": reference} in template.locals.values()


def test_when_groups_of_one_id_are_in_two_scopes_then_each_has_its_own_number() -> None:
    stack = new_stack()
    for name, source in (("a", "eni-0a000000000000001"), ("b", "eni-0a000000000000002")):
        MirrorSessions(
            Construct(stack, name),
            "web",
            sources=[Source.network_interface(source)],
            target=MirrorTarget.from_id("tmt-0123456789abcdef0"),
            filter=MirrorFilter.from_id("tmf-0123456789abcdef0"),
        )
    resources = Template(stack).resources["aws_ec2_traffic_mirror_session"]
    assert sorted(number for body in resources.values() for number in body["for_each"].values()) == [1, 2]
