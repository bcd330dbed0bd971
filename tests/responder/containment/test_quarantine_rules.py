"""The group that isolates may have rules that were added to it: nothing is refused for that, and everything says so."""

from __future__ import annotations

from typing import Any

from strictmoto.faults import Fault
from tapstack.responder.containment import isolation, quarantine, steps
from tapstack.responder.store import incidents
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, contained, release
from tests.responder.test_api import ask


def open_up(shop: Shop) -> str:
    everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    shop.ec2.authorize_security_group_egress(GroupId=shop.quarantine, IpPermissions=[everywhere])
    return (
        f"the quarantine group {shop.quarantine} HAS RULES: outbound all traffic to 0.0.0.0/0. What it isolates is "
        "connected by them"
    )


def how_to_delete(shop: Shop) -> str:
    region = shop.ec2.meta.region_name
    return (
        f"It is isolated once they are deleted: aws ec2 revoke-security-group-egress --region {region} --group-id "
        f"{shop.quarantine} --security-group-rule-ids $(aws ec2 describe-security-group-rules --region {region} "
        f"--filters Name=group-id,Values={shop.quarantine} --query 'SecurityGroupRules[?IsEgress==`true`]"
        ".SecurityGroupRuleId' --output text)"
    )


def mails(shop: Shop, subject: str) -> list[str]:
    return [mail["Message"] for mail in shop.site.messages() if mail["Subject"].endswith(subject)]


def test_when_the_group_has_rules_before_then_plan_incident_and_notification_say_so(shop: Shop) -> None:
    said = f"{open_up(shop)}. {how_to_delete(shop)}"
    plan = ask("POST", f"/incidents/{opened(shop.database)}/contain", {"dry_run": True})[1]
    assert (plan["refused"], plan["warnings"]) == (None, [said])
    incident = contained(shop.database)
    assert shop.is_isolated(shop.database)
    assert item(incident)["containment"]["not_done"] == [said]
    steps.notify(incident)
    assert f"  {said}" in mails(shop, "CONTAINED, BUT STILL CONNECTED")[0].splitlines()


def test_when_the_group_gets_rules_later_then_the_sweeper_reports_it_and_notifies_once(shop: Shop) -> None:
    incident = contained(shop.database)
    assert quarantine.check() == []
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 444, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    shop.ec2.authorize_security_group_ingress(GroupId=shop.quarantine, IpPermissions=[rule])
    said = f"the quarantine group {shop.quarantine} HAS RULES: inbound tcp 443-444 from ::/0. What it isolates is "
    for _ in range(2):
        found = sweep().audit
        assert [line for line in found if line.startswith(said)]
        assert [line for line in found if line.startswith(f"{shop.database} is contained, but eni-")]
    [mail] = mails(shop, "contained, but NOT ISOLATED")
    assert said in mail
    region = shop.ec2.meta.region_name
    group = f"--group-id {shop.quarantine} --security-group-rule-ids "
    assert f"  aws ec2 revoke-security-group-ingress --region {region} {group}" in mail
    assert incident in mail or incident in shop.site.messages()[-1]["Subject"]
    # Of other rules it notifies again.
    open_up(shop)
    quarantine.check()
    assert len(mails(shop, "contained, but NOT ISOLATED")) == 2


def test_when_the_rules_cannot_be_read_then_it_is_contained_and_says_that_it_is_not_known(shop: Shop) -> None:
    shop.site.account.faults.add(Fault("DescribeSecurityGroups", "throttled", call=0))
    incident = opened(shop.database, containment="now")
    assert isolation.contain(incident) == {"status": "contained"}
    [said] = item(incident)["containment"]["not_done"]
    assert said.startswith(f"whether {shop.quarantine} has rules is not known: ")


def test_when_an_attacker_gave_it_the_group_with_a_rule_then_all_else_is_changed_and_warnings_say_so(
    shop: Shop,
) -> None:
    rules = f"{open_up(shop)}. {how_to_delete(shop)}"
    interfaces = list(shop.groups(shop.database))
    for interface in interfaces:
        shop.give(interface, shop.quarantine)
    already = [
        f"{interface} has the quarantine group already, without a containment on record: it keeps it after the "
        "release, and connections from before it may continue"
        for interface in interfaces
    ]
    plan = ask("POST", f"/incidents/{opened(shop.database)}/contain", {"dry_run": True})[1]
    assert plan["refused"] is None
    assert sorted(plan["warnings"]) == sorted([*already, rules])
    before = shop.all()
    incident = contained(shop.database)
    assert shop.protected(shop.database) == (True, "stop", [False])
    assert sorted(item(incident)["containment"]["not_done"]) == sorted([*already, rules])
    quarantine.check()
    assert len(mails(shop, "contained, but NOT ISOLATED")) == 1
    assert release(incident) == "released"
    assert shop.changed_since(before) == []


def test_when_only_one_interface_has_the_group_already_then_the_other_one_is_isolated_and_restored(shop: Shop) -> None:
    first, *others = shop.groups(shop.database)
    assert others
    shop.give(first, shop.quarantine)
    before = shop.groups(shop.database)
    incident = contained(shop.database)
    assert shop.is_isolated(shop.database)
    [said] = item(incident)["containment"]["not_done"]
    assert said.startswith(f"{first} has the quarantine group already")
    assert release(incident) == "released"
    assert shop.groups(shop.database) == before


def not_done(incident: str) -> Any:
    return item(incident)["containment"]["not_done"]


def test_when_rules_come_and_go_after_the_containment_then_the_sweeper_keeps_what_the_incident_says(shop: Shop) -> None:
    incident = contained(shop.database)
    assert not_done(incident) == []
    said = open_up(shop)
    for _ in range(2):
        quarantine.check()
    [line] = not_done(incident)
    assert line.startswith(said)
    [rule] = [
        one["SecurityGroupRuleId"]
        for one in shop.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [shop.quarantine]}])[
            "SecurityGroupRules"
        ]
        if one["IsEgress"]
    ]
    shop.ec2.revoke_security_group_egress(GroupId=shop.quarantine, SecurityGroupRuleIds=[rule])
    for _ in range(2):
        quarantine.check()
    assert not_done(incident) == []
    told = [one["detail"] for one in incidents.timeline(incident) if one["by"] == "sweeper"]
    assert told == [line, "the quarantine group has no rules any more"]


def test_when_the_rules_could_not_be_read_then_the_sweeper_says_once_it_knows_that_there_are_none(shop: Shop) -> None:
    incident = contained(shop.database)
    other = "a Spot Instance cannot be protected from termination"
    unknown = f"whether {shop.quarantine} has rules is not known: throttled"
    change(incident, "SET containment.not_done = :lines", lines=[unknown, other])
    quarantine.check()
    assert not_done(incident) == [other]
