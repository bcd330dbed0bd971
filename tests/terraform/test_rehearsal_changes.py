"""What changes of the file do to a running capture, with real Terraform in the rehearsal account."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tapstack.rehearsal.deployment import DeploymentFailedError
from tapstack.rehearsal.packet_basics import publish_template, template_body, vendor_client
from tapstack.settings.load import parse_deployment
from tapstack.workspace.credentials import try_credentials
from tapstack.workspace.protections import find_dependents
from tests.rehearsal.test_protections import create_stack
from tests.terraform.small_site import REGION, SmallSite
from tests.terraform.small_site import ward as ward


@pytest.fixture
def standing(ward: SmallSite) -> SmallSite:
    """An appliance, a load balancer, and sessions to both."""
    company = ward.company
    basics: dict[str, Any] = {
        "template_url": publish_template(ward.account.client("s3")),
        "subnet_id": company.shop.private[0],
        "remote_access_cidr": "10.1.0.0/16",
    }
    balancer = {"subnet_ids": list(company.shop.private), "mirrored_from": [company.shop.cidr]}
    ward.site |= {
        "packet_basics": basics,
        "targets": {"balanced": {"load_balancer": balancer}},
        "sessions": {
            "web": {"sources": [company.interfaces["web-1"][0]]},
            "all": {"target": "balanced", "sources": [company.interfaces["web-2"][0]]},
        },
    }
    assert "CreateStack" in ward.apply()
    return ward


@pytest.mark.long
def test_when_the_stack_is_updated_then_nothing_else_is_touched_and_another_place_is_refused(
    standing: SmallSite,
) -> None:
    ward, basics = standing, standing.site["packet_basics"]

    # In place: the stack, and what the change is about.
    def publish(body: str) -> str:
        vendor_client(REGION).put_object(
            Bucket="awsmp-fulfillment-cf-templates-prod", Key="next.template", Body=body.encode()
        )
        return "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/next.template"

    changes: list[tuple[Callable[[], Any], set[str]]] = [
        (
            lambda: ward.site.update(tags={"team": "soc"}),
            # The provider sends the attributes of a target group again, unchanged, with its tags.
            {"UpdateStack", "CreateTags", "AddTags", "ModifyTargetGroupAttributes"},
        ),
        (
            lambda: basics.update(remote_access_cidr="10.2.0.0/16"),
            {"UpdateStack", "RevokeSecurityGroupIngress", "AuthorizeSecurityGroupIngress"},
        ),
        (lambda: basics.update(timeout_minutes=45, on_failure="DO_NOTHING"), set()),
        (lambda: basics.update(template_url=publish(template_body() + "\n# the same\n")), {"UpdateStack"}),
    ]
    for change, concerned in changes:
        change()
        assert set(ward.apply()) == concerned

    # Refused, with nothing changed.
    basics["subnet_id"] = ward.company.shop.private[1]
    with pytest.raises(DeploymentFailedError, match="Instance cannot be destroyed"):
        ward.apply()


@pytest.mark.long
def test_when_an_appliance_is_taken_out_of_the_file_then_it_goes_only_when_asked(standing: SmallSite) -> None:
    ward, company = standing, standing.company
    before = copy.deepcopy(ward.site)
    ward.site = {
        **{key: value for key, value in before.items() if key != "packet_basics"},
        "targets": {"sensor": {"network_interface_id": company.interfaces["database"][0]}},
        "sessions": {},
    }
    with pytest.raises(DeploymentFailedError, match="A Packet Basics appliance still exists"):
        ward.apply()

    # In another Region, too, where no lookup finds it, and Terraform no longer finds the stack.
    ward.site["region"] = "eu-west-1"
    with pytest.raises(DeploymentFailedError, match="Instance cannot be destroyed"):
        ward.apply()
    ward.site["region"] = REGION
    ward.write()

    # By hand, and with the state of another project, where no lookup finds the appliance.
    with pytest.raises(DeploymentFailedError, match="Instance cannot be destroyed"):
        ward.deployed.destroy()
    ward.project = "another"
    ward.write()
    ward.deployed._run("init", "-input=false", "-migrate-state", "-force-copy")
    with pytest.raises(DeploymentFailedError, match="Instance cannot be destroyed"):
        ward.deployed.apply()
    ward.project = "tapstack"
    ward.write()
    ward.deployed._run("init", "-input=false", "-migrate-state", "-force-copy")

    # Asked for, and with what used it moved in the same deploy: sessions leave before anything of it goes.
    ward.site = {**before, "remove_packet_basics": True}
    del ward.site["packet_basics"]
    ward.site["targets"] = {"sensor": {"network_interface_id": company.interfaces["database"][0]}}
    ward.site["filters"] = {"web": {"preset": "web"}}
    ward.site["sessions"] = {
        name: {**group, "target": "sensor", "filter": "web"} for name, group in before["sessions"].items()
    }
    in_order(
        ward.apply(),
        ["CreateTrafficMirrorTarget", "ModifyTrafficMirrorSession", "ModifyNetworkInterfaceAttribute", "DeleteStack"],
    )
    ward.deployed.destroy()


@pytest.mark.long
def test_when_what_packets_pass_is_replaced_then_sessions_move_before_the_old_is_deleted(
    ward: SmallSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = ward.company
    web_1, web_2 = (company.interfaces[name][0] for name in ("web-1", "web-2"))
    balancer: dict[str, Any] = {
        "subnet_ids": list(company.shop.private),
        "instance_ids": [company.instances["database"]],
        "mirrored_from": [company.shop.cidr],
    }
    ward.site |= {
        "filters": {"web": {"preset": "web"}, "full": {"rules": [{"direction": "egress", "number": 5}]}},
        "targets": {
            "balanced": {"load_balancer": balancer},
            "sensor": {
                "network_interface_id": company.interfaces["desktop"][0],
                "share_with": ["111122223333"],
                "allow_external_principals": True,
            },
        },
        "sessions": {
            "a": {"target": "balanced", "filter": "web", "sources": [web_1, web_2]},
            "b": {"target": "sensor", "filter": "full", "sources": [web_1]},
        },
    }
    ward.apply()
    sessions, targets, filters = ward.site["sessions"], ward.site["targets"], ward.site["filters"]
    refuses_what_incidents_use(ward, monkeypatch)

    # A filter renamed, and its load balancer in other subnets.
    filters["new"] = filters.pop("web")
    sessions["a"]["filter"] = "new"
    balancer["subnet_ids"] = list(company.shop.public)
    made = ward.apply()
    assert made.count("ModifyTrafficMirrorSession") == 2
    assert not {"CreateTrafficMirrorSession", "DeleteTrafficMirrorSession"} & set(made)
    in_order(made, ["CreateLoadBalancer", "RegisterTargets", "CreateListener", "CreateTrafficMirrorTarget"])
    in_order(made, ["CreateTrafficMirrorFilterRule", "ModifyTrafficMirrorSession", "DeleteTrafficMirrorFilterRule"])
    in_order(made, ["ModifyTrafficMirrorSession", "DeleteListener"])
    in_order(made, ["ModifyTrafficMirrorSession", "DeregisterTargets", "DeleteLoadBalancer"])

    # Addresses in place of instances; its description, for which AWS would take no second target. A group moved
    # to a new filter, the old one removed, and a shared target replaced.
    del balancer["instance_ids"]
    balancer["ip_addresses"] = ["10.0.1.5"]
    targets["balanced"]["description"] = "the balanced one"
    targets["sensor"]["description"] = "the one on the desk"
    del filters["full"]
    filters["dns"] = {"preset": "dns"}
    sessions["b"]["filter"] = "dns"
    made = ward.apply()
    in_order(made, ["CreateTargetGroup", "RegisterTargets", "ModifyListener", "DeregisterTargets"])
    in_order(made, ["AuthorizeSecurityGroupEgress", "ModifyListener", "RevokeSecurityGroupEgress"])
    assert made.count("CreateTrafficMirrorTarget") == made.count("ModifyTrafficMirrorSession") == 1
    in_order(made, ["AssociateResourceShare", "DisassociateResourceShare"])
    in_order(made, ["CreateTrafficMirrorFilterRule", "ModifyTrafficMirrorSession", "DeleteTrafficMirrorFilterRule"])
    in_order(made, ["ModifyTrafficMirrorSession", "DeleteTrafficMirrorTarget"])

    # The target renamed, with its load balancer.
    targets["renamed"] = targets.pop("balanced")
    sessions["a"]["target"] = "renamed"
    made = ward.apply()
    in_order(made, ["CreateTrafficMirrorTarget", "ModifyTrafficMirrorSession", "DeleteTrafficMirrorTarget"])
    for gone in ("RevokeSecurityGroupIngress", "DeregisterTargets", "DeleteListener", "DeleteLoadBalancer"):
        in_order(made, ["ModifyTrafficMirrorSession", gone])
    assert ward.apply() == []
    ward.deployed.destroy()


def refuses_what_incidents_use(ward: SmallSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets and filters that Terraform made are known by their tags, and those of the file stay."""
    ec2, ours = ward.account.client("ec2"), {"tapstack:deployment": "tapstack", "tapstack:site": "ward"}
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in ours.items()]
    rules = {
        next(tag["Value"] for tag in each["Tags"] if tag["Key"] == "Name"): each["TrafficMirrorFilterId"]
        for each in ec2.describe_traffic_mirror_filters(Filters=filters)["TrafficMirrorFilters"]
    }
    made = []
    for number, target in enumerate(ec2.describe_traffic_mirror_targets(Filters=filters)["TrafficMirrorTargets"], 100):
        session = ec2.create_traffic_mirror_session(
            NetworkInterfaceId=ward.company.interfaces["web-2"][0],
            TrafficMirrorTargetId=target["TrafficMirrorTargetId"],
            TrafficMirrorFilterId=rules["web"],
            SessionNumber=number,
            TagSpecifications=[
                {
                    "ResourceType": "traffic-mirror-session",
                    "Tags": [{"Key": key, "Value": value} for key, value in {**ours, "tapstack:incident": "i"}.items()],
                }
            ],
        )
        made.append(session["TrafficMirrorSession"]["TrafficMirrorSessionId"])

    def refused(**site: Any) -> list[str]:
        deployment = parse_deployment(json.dumps({"project": "tapstack", "sites": {"ward": {**ward.site, **site}}}))
        found = find_dependents(deployment, ["ward"], try_credentials(deployment, ["ward"]).access, "the file")
        assert found.warnings == []
        return sorted(line.split(" would delete it: ")[1].split(" the file")[0] for line in found.protections)

    for name, value in ward.account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert refused() == []
    spare = {"spare": {"network_interface_id": ward.company.interfaces["database"][0]}}
    assert refused(targets=spare, sessions={}, filters={}) == [
        "put sites.ward.targets.balanced back into",
        "put sites.ward.targets.sensor back into",
    ]
    assert refused(filters={}, sessions={}) == ["put sites.ward.filters.web back into"] * 2
    for session_id in made:
        ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session_id)


def in_order(made: list[str], expected: list[str]) -> None:
    """Assert that of the calls, the last of each action comes before the first of the next."""
    for before, after in itertools.pairwise(expected):
        assert before in made
        assert after in made
        last = len(made) - 1 - made[::-1].index(before)
        assert last < made.index(after), f"{before} after {after}: {made}"


@pytest.mark.long
def test_when_rules_change_then_a_block_keeps_its_rule_and_a_filter_always_accepts(ward: SmallSite) -> None:
    company = ward.company
    capture = {"mirrored_from": [company.shop.cidr, "10.77.0.0/16"]}
    rules: list[dict[str, Any]] = [
        {"direction": "egress", "action": "reject", "destination": "10.0.0.0/8"},
        {"direction": "egress"},
        {"direction": "ingress"},
    ]
    ward.site |= {
        "packet_basics": {
            "template_url": publish_template(ward.account.client("s3")),
            "subnet_id": company.shop.private[0],
            "remote_access_cidr": "10.1.0.0/16",
        },
        "capture_security_group": capture,
        "filters": {"f": {"rules": rules}},
    }
    ward.apply()

    # The range of the VPC named otherwise, one sender for another, and a rule in front.
    capture["mirrored_from"] = [company.shop.id, "10.78.0.0/16"]
    rules.insert(0, {"direction": "egress", "action": "reject", "protocol": "tcp", "destination_ports": 22})
    made = ward.apply()
    assert [call for call in made if "SecurityGroup" in call] == [
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
    ]
    assert [call for call in made if "Filter" in call] == [
        "CreateTrafficMirrorFilterRule",
        "ModifyTrafficMirrorFilterRule",
        "ModifyTrafficMirrorFilterRule",
    ]

    del rules[0]
    assert ward.apply() == [
        "ModifyTrafficMirrorFilterRule",
        "ModifyTrafficMirrorFilterRule",
        "DeleteTrafficMirrorFilterRule",
    ]


@pytest.mark.long
def test_when_accepts_and_rejects_change_then_accepts_are_made_first_and_deleted_last(ward: SmallSite) -> None:
    def exception(first: int) -> list[dict[str, Any]]:
        return [
            egress(first, "accept", 443),
            egress(first + 1, "reject"),
            {"direction": "egress", "number": first + 2},
        ]

    rules = filter_of_a_session(ward, exception(100)[2:])
    ward.apply()
    assert changed_rules(ward, rules, exception(100)) == ["Create 100", "Create 101"]
    assert changed_rules(ward, rules, exception(200)) == [
        *("Create 202", "Create 200", "Create 201"),
        *("Delete 101", "Delete 100", "Delete 102"),
    ]
    changed_places = [egress(200, "reject"), egress(201, "accept", 443), *exception(200)[2:]]
    assert changed_rules(ward, rules, changed_places) == ["Modify 201", "Modify 200"]


@pytest.mark.long
def test_when_accepts_and_rejects_change_places_and_it_fails_then_the_rules_of_before_let_the_filter_go(
    ward: SmallSite,
) -> None:
    before = [egress(100, "accept", 443), egress(200, "reject")]
    rules = filter_of_a_session(ward, list(before))
    ward.apply()
    [described] = ward.account.client("ec2").describe_traffic_mirror_filters()["TrafficMirrorFilters"]
    ward.account.client("ec2").create_traffic_mirror_filter_rule(
        TrafficMirrorFilterId=described["TrafficMirrorFilterId"],
        TrafficDirection="egress",
        RuleNumber=300,
        RuleAction="accept",
        SourceCidrBlock="10.0.0.0/8",
        DestinationCidrBlock="10.0.0.0/8",
    )
    rules[:] = [egress(100, "reject", 22), egress(200, "accept"), egress(300, "accept", 80)]
    with pytest.raises(DeploymentFailedError, match="300"):
        ward.apply()
    changed = copy.deepcopy(ward.site)

    filters, session = ward.site["filters"], ward.site["sessions"]["s"]
    filters["another"], session["filter"] = filters.pop("f"), "another"
    with pytest.raises(DeploymentFailedError, match="Cycle"):
        ward.apply()
    renamed, ward.site = ward.site, changed
    ward.site["filters"]["f"]["rules"] = before
    assert ward.apply() == []
    ward.site = renamed
    in_order(ward.apply(), ["CreateTrafficMirrorFilterRule", "ModifyTrafficMirrorSession", "DeleteTrafficMirrorFilter"])


def egress(number: int, action: str, port: int | None = None) -> dict[str, Any]:
    ports = {} if port is None else {"destination_ports": port}
    return {"direction": "egress", "action": action, "protocol": "tcp", "number": number, **ports}


def filter_of_a_session(ward: SmallSite, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the site a session through the filter `f`, and return the rules of it, to be changed."""
    ward.site |= {
        "targets": {"sensor": {"network_interface_id": ward.company.interfaces["database"][0]}},
        "filters": {"f": {"rules": rules}},
        "sessions": {"s": {"target": "sensor", "filter": "f", "sources": [ward.company.interfaces["web-1"][0]]}},
    }
    return rules


def changed_rules(ward: SmallSite, rules: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Apply other rules of a filter, and return the calls that this takes, each with the number of its rule."""
    numbers = numbers_of_rules(ward)
    rules[:] = new
    seen = len(ward.account.recorder.records())
    ward.apply()
    numbers |= numbers_of_rules(ward)
    return [
        f"{verb} {numbers[rule]}"
        for record in ward.account.recorder.records()[seen:]
        for verb, called, entity in [record.call.action.partition("TrafficMirrorFilterRule")]
        if called and not entity and verb != "Describe"
        for rule in record.created or [record.requested["TrafficMirrorFilterRuleId"]]
    ]


def numbers_of_rules(ward: SmallSite) -> dict[str, int]:
    """Return the numbers of the rules that are there, by their ids."""
    found = ward.account.client("ec2").describe_traffic_mirror_filter_rules()["TrafficMirrorFilterRules"]
    return {rule["TrafficMirrorFilterRuleId"]: rule["RuleNumber"] for rule in found}


@pytest.mark.long
def test_fails_when_two_groups_change_places_and_a_number_for_one_of_them_is_the_way_out(ward: SmallSite) -> None:
    company = ward.company
    groups: dict[str, Any] = {
        name: {"target": "sensor", "filter": "web", "sources": [company.interfaces["web-1"][0]]} for name in ("a", "b")
    }
    ward.site |= {
        "targets": {"sensor": {"network_interface_id": company.interfaces["database"][0]}},
        "filters": {"web": {"preset": "web"}},
        "sessions": groups,
    }
    ward.apply()
    assert numbers(ward) == [1, 2]

    ward.site["sessions"] = {name: groups[name] for name in ("b", "a")}
    with pytest.raises(DeploymentFailedError, match="Session number [12] is in use"):
        ward.apply()
    assert numbers(ward) == [1, 2]

    groups["a"]["session_number"] = 3
    with suppress(DeploymentFailedError):
        ward.apply()
    ward.apply()
    assert numbers(ward) == [1, 3]


def numbers(ward: SmallSite) -> list[int]:
    """Return the session numbers that are there."""
    found = ward.account.client("ec2").describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    return sorted(session["SessionNumber"] for session in found)


@pytest.mark.long
def test_when_lookups_find_nothing_overlap_or_find_what_cannot_be_mirrored_then_the_plan_says_so(
    ward: SmallSite,
) -> None:
    company, ec2 = ward.company, ward.account.client("ec2")
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=company.interfaces["desktop"][0])
    to = {"target": target["TrafficMirrorTarget"]["TrafficMirrorTargetId"], "filter": "all"}
    legacy = company.instances["legacy"]
    ec2.create_tags(Resources=list(company.instances.values()), Tags=[{"Key": "owner", "Value": "CORP\\soc"}])

    def groups(**sources: dict[str, Any]) -> dict[str, Any]:
        return {name: {**to, "sources": [source]} for name, source in sources.items()}

    ward.site |= {
        "filters": {"all": {"preset": "everything"}},
        "sessions": groups(
            none={"tags": {"application": "no such"}},
            web={"instance_tags": {"application": "sh?p", "owner": "CORP\\s*"}},
            whole={"vpc_id": company.shop.id},
        ),
    }
    warnings = ward.write()
    assert any("can find the same network interfaces" in line for line in warnings)
    planned = " ".join(ward.plan().replace("│", " ").split())
    assert "(tag application = no such) of sessions-none finds no network interface" in planned
    assert f"sessions-whole leaves out {legacy}: AWS does not mirror instances of their types" in planned
    assert "finds no network interface" not in planned.replace("sessions-none finds", "")
    ward.apply()
    mirrored = {s["NetworkInterfaceId"] for s in ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]}
    assert {interface for name in ("web-1", "web-2", "database") for interface in company.interfaces[name]} == mirrored

    # A fourth session on one interface is refused by the plan, not by AWS in the middle of an apply.
    ward.site["sessions"] |= groups(
        again={"subnet_id": company.shop.private[0]}, fourth={"instance_id": company.instances["web-1"]}
    )
    with pytest.raises(DeploymentFailedError, match="are in 3 sessions already"):
        ward.plan()
    del ward.site["sessions"]["again"], ward.site["sessions"]["fourth"]
    ward.write()
    ward.deployed.destroy()


@pytest.mark.long
def test_when_a_site_without_an_appliance_is_given_another_region_then_the_plan_is_refused(ward: SmallSite) -> None:
    ward.site["targets"] = {"sensor": {"network_interface_id": ward.company.interfaces["database"][0]}}
    assert "CreateTrafficMirrorTarget" in ward.apply()
    ward.site["region"] = "eu-west-1"
    with pytest.raises(DeploymentFailedError, match="Site ward is deployed in eu-central-1 of account"):
        ward.apply()
    ward.site["region"] = REGION
    assert "No changes" in ward.plan()


@pytest.mark.long
def test_when_an_incident_launched_an_appliance_then_no_lookup_mirrors_it(ward: SmallSite) -> None:
    company, sensor = ward.company, ward.company.interfaces["desktop"][0]
    ward.site |= {
        "targets": {"sensor": {"network_interface_id": sensor}},
        "filters": {"all": {"rules": [{"direction": "egress"}]}},
        "sessions": {"whole": {"target": "sensor", "filter": "all", "sources": [{"vpc_id": company.shop.id}]}},
    }
    assert ward.apply().count("CreateTrafficMirrorSession") > 1

    create_stack(ward.account, company, "tapstack-other-epb", deployment="tapstack", site="other", incident="i")

    assert ward.apply() == []
