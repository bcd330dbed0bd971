"""CaptureLoadBalancer: UDP 4789 in, appliances behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapstack import (
    CaptureLoadBalancer,
    Destination,
    MirrorFilter,
    MirrorSessions,
    MirrorTarget,
    PacketBasics,
    Peer,
    RuleViolation,
    Source,
)
from tapstack.bindings import Construct, aws, cdk
from tests.synth.ids import FILTER, INSTANCES, SUBNETS, TOKEN, VPC
from tests.synth.template import CREATE_FIRST, Template, assert_equal, new_stack, synthesize


def balancer(stack: cdk.TerraformStack, **arguments: Any) -> CaptureLoadBalancer:
    given: dict[str, Any] = {"subnet_ids": SUBNETS, "mirrored_from": [Peer.cidr("10.0.0.0/16")], "vpc_id": VPC}
    if "ip_addresses" not in arguments:
        given["instance_ids"] = INSTANCES
    return CaptureLoadBalancer(stack, "nlb", **{**given, **arguments})


@pytest.fixture(scope="module")
def template() -> Template:
    def build(stack: cdk.TerraformStack) -> None:
        MirrorTarget(stack, "target", destination=balancer(stack, tags={"team": "ir"}).destination)

    return synthesize(build)


TAGS = {"Name": "nlb", "team": "ir"}


def only(template: Template, kind: str) -> str:
    (name,) = template.names(kind)
    return name


def test_when_made_then_it_is_internal_and_crosses_zones(template: Template) -> None:
    assert_equal(
        template.resource("aws_lb", "nlb"),
        {
            "load_balancer_type": "network",
            "internal": True,
            "subnets": SUBNETS,
            "security_groups": [f"${{aws_security_group.{only(template, 'aws_security_group')}.id}}"],
            "enable_cross_zone_load_balancing": True,
            "enable_deletion_protection": False,
            "lifecycle": CREATE_FIRST,
            "tags": TAGS,
        },
    )


def test_when_made_then_mirrored_packets_are_listened_for(template: Template) -> None:
    group = f"${{aws_lb_target_group.{only(template, 'aws_lb_target_group')}.arn}}"
    needed = {
        f"${{{kind}.{name}}}"
        for kind in (
            "aws_vpc_security_group_ingress_rule",
            "aws_vpc_security_group_egress_rule",
            "aws_lb_target_group_attachment",
        )
        for name in template.names(kind)
    }
    listener = template.resource("aws_lb_listener")
    # So that the target is made after all of it, and deleted before any of it.
    assert set(listener.pop("depends_on")) == needed
    mirrored = template.resource("aws_ec2_traffic_mirror_target")
    assert set(mirrored["depends_on"]) == {*needed, f"${{aws_lb_listener.{only(template, 'aws_lb_listener')}}}"}
    assert_equal(
        listener,
        {
            "load_balancer_arn": "${aws_lb.nlb.arn}",
            "protocol": "UDP",
            "port": 4789,
            "default_action": [{"type": "forward", "target_group_arn": group}],
            "lifecycle": CREATE_FIRST,
            "tags": TAGS,
        },
    )
    assert_equal(
        template.resource("aws_lb_target_group"),
        {
            "vpc_id": VPC,
            "protocol": "UDP",
            "port": 4789,
            "target_type": "instance",
            "health_check": [{"enabled": True, "protocol": "TCP", "port": "443"}],
            # AWS takes a target group for one load balancer only.
            "lifecycle": [{**CREATE_FIRST[0], "replace_triggered_by": ["${aws_lb.nlb.id}"]}],
            "tags": TAGS,
        },
    )


def test_when_instances_are_given_then_each_is_attached(template: Template) -> None:
    group = f"${{aws_lb_target_group.{only(template, 'aws_lb_target_group')}.arn}}"
    found = sorted(template.resources["aws_lb_target_group_attachment"].values(), key=lambda a: a["target_id"])
    assert_equal(
        found,
        [{"target_group_arn": group, "target_id": i, "port": 4789, "lifecycle": CREATE_FIRST} for i in INSTANCES],
    )


def test_when_made_then_packets_come_in_and_only_they_and_health_checks_go_out(template: Template) -> None:
    rules = template.resource("aws_vpc_security_group_ingress_rule")
    assert (rules["ip_protocol"], rules["from_port"]) == ("udp", 4789)
    assert rules["for_each"] == '${toset(concat(["10.0.0.0/16"]))}'
    out = template.resources["aws_vpc_security_group_egress_rule"].values()
    assert {(rule["ip_protocol"], rule["from_port"], rule["to_port"]) for rule in out} == {
        ("udp", 4789, 4789),
        ("tcp", 443, 443),
    }
    assert {rule["cidr_ipv4"] for rule in out} == {"${each.value}"}


def _with_packet_basics(instance_ids: list[str] | None, known: str | None) -> dict[str, Any]:
    """The synthesized JSON of a load balancer with an appliance of the stack; no ids are its own alone."""
    stack = new_stack()
    basics = PacketBasics(
        stack,
        "basics",
        template_url="https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/a.template",
        vpc_id=VPC,
        subnet_id=SUBNETS[0],
        remote_access_cidr="10.20.0.0/16",
        instance_id=known,
    )
    balancer(stack, instance_ids=instance_ids or [basics.instance_id], packet_basics=basics)
    return dict(json.loads(cdk.Testing.synth(stack)))


def test_when_the_appliance_of_the_stack_is_named_by_its_id_then_its_place_behind_the_load_balancer_is_the_same() -> (
    None
):
    own, second = INSTANCES
    kind = "aws_lb_target_group_attachment"
    (by_lookup,) = _with_packet_basics(None, None)["resource"][kind]
    for ids in ([own], [own, second], [second, own]):
        synthesized = _with_packet_basics(ids, own)
        assert synthesized["resource"][kind][by_lookup]["target_id"] == own
        assert len(synthesized["resource"][kind]) == len(ids)
        # The name that it had in older versions, where it was named by its id.
        (moved,) = (each for (each,) in synthesized["moved"] if each["to"] == f"{kind}.{by_lookup}")
        assert moved["from"].startswith(f"{kind}.nlb_Appliance-{own}_")


def test_when_an_id_may_be_that_of_the_appliance_of_the_stack_then_the_plan_refuses_it() -> None:
    synthesized = _with_packet_basics(INSTANCES, None)
    attachments = synthesized["resource"]["aws_lb_target_group_attachment"]
    assert len(attachments) == len(INSTANCES)
    for body in attachments.values():
        assert body["lifecycle"]["create_before_destroy"] is True
        (condition,) = body["lifecycle"]["precondition"]
        assert condition["condition"].endswith(f'!= "{body["target_id"]}"}}')
        assert "set instance_id of packet_basics to it as well" in condition["error_message"]
    known = _with_packet_basics(INSTANCES, "i-00000000000000fff")["resource"]["aws_lb_target_group_attachment"]
    assert all("precondition" not in body["lifecycle"] for body in known.values())


def test_when_it_is_a_destination_then_the_target_names_its_arn(template: Template) -> None:
    target = template.resource("aws_ec2_traffic_mirror_target")
    assert target["network_load_balancer_arn"] == "${aws_lb.nlb.arn}"


def test_when_addresses_are_given_then_they_alone_are_reached() -> None:
    template = synthesize(
        lambda stack: balancer(
            stack, ip_addresses=["10.0.1.20", "10.0.2.20"], health_check_port=8443, deletion_protection=True
        )
    )
    assert template.resource("aws_lb_target_group")["target_type"] == "ip"
    assert template.resource("aws_lb_target_group")["health_check"][0]["port"] == "8443"
    assert template.resource("aws_lb")["enable_deletion_protection"] is True
    out = template.resources["aws_vpc_security_group_egress_rule"].values()
    assert {(rule["from_port"], rule["cidr_ipv4"]) for rule in out} == {
        (port, f"{address}/32") for port in (4789, 8443) for address in ("10.0.1.20", "10.0.2.20")
    }


def test_when_ids_are_tokens_then_they_are_passed_on() -> None:
    template = synthesize(
        lambda stack: balancer(
            stack,
            vpc_id=TOKEN,
            subnet_ids=[TOKEN, TOKEN],
            instance_ids=[TOKEN, TOKEN],
            mirrored_from=[Peer.vpc(TOKEN)],
        )
    )
    assert template.resource("aws_lb")["subnets"] == [TOKEN, TOKEN]
    attached = template.resources["aws_lb_target_group_attachment"].values()
    assert [body["target_id"] for body in attached] == [TOKEN, TOKEN]
    assert template.resource("aws_lb_target_group")["vpc_id"] == TOKEN


def test_when_addresses_and_port_are_tokens_then_they_are_passed_on() -> None:
    def build(stack: cdk.TerraformStack) -> None:
        port = cdk.TerraformVariable(stack, "port", type="number")
        balancer(stack, ip_addresses=[TOKEN], health_check_port=port.number_value)

    template = synthesize(build)
    assert template.resource("aws_lb_target_group")["health_check"][0]["port"] == "${var.port}"
    out = template.resources["aws_vpc_security_group_egress_rule"].values()
    assert {(rule["from_port"], rule["cidr_ipv4"]) for rule in out} == {
        (4789, f"{TOKEN}/32"),
        ("${var.port}", f"{TOKEN}/32"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subnet_ids": SUBNETS[:1]}, "needs subnets in two Availability Zones or more, got 1"),
        ({"subnet_ids": SUBNETS[:1] * 2}, "each subnet once"),
        ({"subnet_ids": ["eni-1", "eni-2"]}, "'eni-1' is not the id of a subnet"),
        ({"instance_ids": []}, "either as instance_ids or as ip_addresses, at least one"),
        ({"instance_ids": INSTANCES, "ip_addresses": ["10.0.0.1"]}, "either as instance_ids or as ip_addresses"),
        ({"instance_ids": ["eni-1"]}, "'eni-1' is not the id of an instance"),
        ({"ip_addresses": ["10.0.0"]}, "'10.0.0' is not an IPv4 address"),
        ({"health_check_port": 0}, "health check port must be a whole number from 1 to 65535, got 0"),
        ({"vpc_id": "x"}, "'x' is not the id of a VPC"),
    ],
)
def test_fails_when_it_could_not_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleViolation, match=f"^site/nlb: .*{message}"):
        balancer(new_stack(), **arguments)


def test_fails_when_the_whole_internet_could_feed_it() -> None:
    with pytest.raises(RuleViolation, match="mirrored traffic from 0.0.0.0/0 lets the whole internet"):
        balancer(new_stack(), mirrored_from=[Peer.cidr("0.0.0.0/0")])


def test_when_appliances_are_given_by_address_then_those_outside_of_the_vpc_get_every_zone() -> None:
    template = synthesize(lambda stack: balancer(stack, ip_addresses=["10.250.0.9", TOKEN]))
    (vpc,) = (name for name in template.data["aws_vpc"] if name.endswith(tuple("0123456789ABCDEF")) and "Vpc" in name)
    zones = {
        name: body["availability_zone"] for name, body in template.resources["aws_lb_target_group_attachment"].items()
    }
    assert len(zones) == 2
    (literal,) = (zone for zone in zones.values() if "10.250.0.9" in zone)
    assert literal == (
        f"${{anytrue([for a in data.aws_vpc.{vpc}.cidr_block_associations : "
        'cidrsubnet(format("%s/%s", "10.250.0.9", split("/", a.cidr_block)[1]), 0, 0) == a.cidr_block]) '
        '? null : "all"}'
    )
    assert TOKEN in template.locals.values()


def test_when_appliances_are_instances_then_aws_knows_their_zones() -> None:
    attachments = synthesize(balancer).resources["aws_lb_target_group_attachment"]
    assert all("availability_zone" not in body for body in attachments.values())


def test_fails_when_a_load_balancer_is_behind_two_targets() -> None:
    stack = new_stack()
    made = balancer(stack)
    # Each time the ARN is read it is another token.
    MirrorTarget(stack, "one", destination=made.destination)
    with pytest.raises(RuleViolation, match="^site/two: the load balancer of site/two is behind site/one already"):
        MirrorTarget(stack, "two", destination=made.destination)


def test_fails_when_a_load_balancer_of_the_users_own_is_behind_two_targets() -> None:
    stack = new_stack()
    lb = aws.Lb(stack, "lb", load_balancer_type="network")
    other = aws.Lb(stack, "other", load_balancer_type="network")
    MirrorTarget(stack, "one", destination=Destination.network_load_balancer(lb.arn))
    MirrorTarget(stack, "two", destination=Destination.network_load_balancer(other.arn))
    with pytest.raises(RuleViolation, match="is behind site/one already"):
        MirrorTarget(stack, "three", destination=Destination.network_load_balancer(lb.arn))


def test_fails_when_a_load_balancer_is_behind_targets_of_two_stacks() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef"
    app = cdk.App()
    first, second = (cdk.TerraformStack(app, name) for name in ("first", "second"))
    MirrorTarget(first, "t", destination=Destination.network_load_balancer(arn))
    with pytest.raises(RuleViolation, match="^second/t: the load balancer of second/t is behind first/t already"):
        MirrorTarget(second, "t", destination=Destination.network_load_balancer(arn))
    # Expressions that are alike mean something in their own stack only.
    for stack in (first, second):
        lb = aws.Lb(stack, "lb", load_balancer_type="network")
        MirrorTarget(stack, "own", destination=Destination.network_load_balancer(lb.arn))


def test_fails_when_targets_of_one_id_in_two_scopes_have_one_load_balancer() -> None:
    stack = new_stack()
    lb = aws.Lb(stack, "lb", load_balancer_type="network")
    MirrorTarget(Construct(stack, "a"), "t", destination=Destination.network_load_balancer(lb.arn))
    with pytest.raises(RuleViolation, match="is behind site/a/t already"):
        MirrorTarget(Construct(stack, "b"), "t", destination=Destination.network_load_balancer(lb.arn))


def sessions_to(stack: cdk.TerraformStack, target: MirrorTarget, source: Any) -> None:
    MirrorSessions(stack, "s", sources=[source], target=target, filter=MirrorFilter.from_id(FILTER))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "filters", "values"),
    [
        ({"instance_ids": INSTANCES}, [("attachment.instance-id", "${each.value}")], INSTANCES),
        (
            {"ip_addresses": ["10.0.1.20", "10.0.2.20"]},
            [("vpc-id", [VPC]), ("addresses.private-ip-address", "${each.value}")],
            ["10.0.1.20", "10.0.2.20"],
        ),
    ],
)
def test_when_sources_are_looked_up_then_the_appliances_behind_the_load_balancer_are_left_out(
    arguments: dict[str, Any], filters: list[Any], values: list[str]
) -> None:
    def build(stack: cdk.TerraformStack) -> None:
        target = MirrorTarget(stack, "target", destination=balancer(stack, **arguments).destination)
        sessions_to(stack, target, Source.vpc(VPC))

    template = synthesize(build)
    (lookup,) = (name for name in template.data["aws_network_interfaces"] if "Balanced" in name)
    datum = template.datum("aws_network_interfaces", lookup)
    assert [(each["name"], each["values"]) for each in datum["filter"]] == filters
    (local,) = (name for name in template.locals if "Balanced" in name)
    assert template.locals[local] == values
    assert f"sort(tolist(local.{local}))" in datum["for_each"]
    (sources,) = (value for name, value in template.locals.items() if name.startswith("s_Sources"))
    assert f"toset(flatten([for found in values(data.aws_network_interfaces.{lookup}) : found.ids]))))" in sources


@pytest.mark.parametrize("first", ["load balancer", "sessions"])
def test_fails_when_an_instance_behind_the_load_balancer_is_a_source(first: str) -> None:
    stack = new_stack()
    source = Source.instance(INSTANCES[0])
    if first == "sessions":
        interface = Destination.network_interface("eni-0123456789abcdef0")
        sessions_to(stack, MirrorTarget(stack, "other", destination=interface), source)
        with pytest.raises(RuleViolation, match=f"instance {INSTANCES[0]} cannot be a source: .* of nlb"):
            balancer(stack)
    else:
        target = MirrorTarget(stack, "target", destination=balancer(stack).destination)
        with pytest.raises(RuleViolation, match=f"instance {INSTANCES[0]} cannot be a source: .* of nlb"):
            sessions_to(stack, target, source)


def test_when_an_appliance_has_no_private_address_then_there_is_a_warning() -> None:
    template = synthesize(lambda stack: balancer(stack, ip_addresses=["10.0.1.20", "52.0.0.1"]))
    assert [warning.partition(":")[0] for warning in template.warnings] == ["52.0.0.1 is no private address"]
