"""The four mirror types: what a stack's update changes in place, and what it replaces."""

import copy
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.cloudformation.conftest import Account


def template(target: str, source: str) -> dict[str, Any]:
    ref = {name: {"Ref": name} for name in ("Target", "Filter")}
    resources = {
        # Named first, and made last: what it refers to comes before it.
        "Session": (
            "Session",
            {
                "NetworkInterfaceId": source,
                "TrafficMirrorTargetId": ref["Target"],
                "TrafficMirrorFilterId": ref["Filter"],
                "SessionNumber": "1",
                "PacketLength": 128,
                "Description": "one",
                "Tags": [{"Key": "Name", "Value": "session"}],
            },
        ),
        "Rule": (
            "FilterRule",
            {
                "TrafficMirrorFilterId": ref["Filter"],
                "TrafficDirection": "ingress",
                "RuleNumber": 1,
                "RuleAction": "accept",
                "Protocol": "6",
                "SourceCidrBlock": "0.0.0.0/0",
                "DestinationCidrBlock": "10.0.0.0/8",
                "DestinationPortRange": {"FromPort": "443", "ToPort": "443"},
            },
        ),
        "Target": ("Target", {"NetworkInterfaceId": target, "Description": "one"}),
        "Filter": ("Filter", {"Description": "one", "NetworkServices": ["amazon-dns"]}),
    }
    return {
        "Resources": {
            name: {"Type": f"AWS::EC2::TrafficMirror{kind}", "Properties": properties}
            for name, (kind, properties) in resources.items()
        },
        "Outputs": {
            name: {"Value": {"Fn::GetAtt": [name, "Id"]} if name in ref else {"Ref": name}} for name in resources
        },
    }


class Mirror:
    """A stack of all four types."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.template = template(account.interface(), account.interface())
        account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(self.template))
        assert account.stack()["StackStatus"] == "CREATE_COMPLETE", account.events("tap")

    def change(self, resource: str, *, remove: str = "", **properties: Any) -> str:
        """Update one resource's properties; the stack's status afterwards."""
        changed = copy.deepcopy(self.template)
        changed["Resources"][resource]["Properties"].update(properties)
        changed["Resources"][resource]["Properties"].pop(remove, None)
        return self.update(changed)

    def update(self, changed: dict[str, Any]) -> str:
        self.account.stacks.update_stack(StackName="tap", TemplateBody=json.dumps(changed))
        return str(self.account.stack()["StackStatus"])

    def ids(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self.account.stack()["Outputs"]}

    def session(self) -> dict[str, Any]:
        [session] = self.account.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
        return dict(session)

    def filter(self) -> dict[str, Any]:
        [found] = self.account.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
        return dict(found)


@pytest.fixture
def mirror(account: Account) -> Mirror:
    return Mirror(account)


def test_when_the_stack_is_made_then_all_four_are_real(mirror: Mirror) -> None:
    ids = mirror.ids()
    session, mirror_filter = mirror.session(), mirror.filter()
    assert session["TrafficMirrorSessionId"] == ids["Session"]
    assert session["TrafficMirrorTargetId"] == ids["Target"]
    assert session["TrafficMirrorFilterId"] == ids["Filter"] == mirror_filter["TrafficMirrorFilterId"]
    assert (session["PacketLength"], session["SessionNumber"]) == (128, 1)
    assert mirror_filter["NetworkServices"] == ["amazon-dns"]
    [rule] = mirror_filter["IngressFilterRules"]
    assert rule["TrafficMirrorFilterRuleId"] == ids["Rule"]
    assert (rule["Protocol"], rule["DestinationPortRange"]) == (6, {"FromPort": 443, "ToPort": 443})


def test_when_a_session_changes_then_it_stays_the_same_session(mirror: Mirror) -> None:
    before = mirror.session()
    status = mirror.change("Session", SessionNumber=5, remove="PacketLength")
    after = mirror.session()
    assert status == "UPDATE_COMPLETE"
    assert after["TrafficMirrorSessionId"] == before["TrafficMirrorSessionId"]
    assert after["VirtualNetworkId"] == before["VirtualNetworkId"]
    assert after["SessionNumber"] == 5
    assert after.get("PacketLength") != 128


def test_when_only_tags_change_then_nothing_is_replaced(mirror: Mirror) -> None:
    before = mirror.ids()
    mirror.change("Session", Tags=[{"Key": "case", "Value": "17"}])
    tags = {tag["Key"]: tag["Value"] for tag in mirror.session()["Tags"]}
    assert mirror.ids() == before
    assert tags["case"] == "17"
    assert tags["aws:cloudformation:stack-name"] == "tap"
    assert "Name" not in tags


def test_when_a_rule_or_its_services_change_then_the_filter_stays(mirror: Mirror) -> None:
    before = mirror.ids()
    mirror.change("Rule", RuleAction="reject", remove="DestinationPortRange")
    assert mirror.filter()["IngressFilterRules"][0]["RuleAction"] == "reject"
    assert "DestinationPortRange" not in mirror.filter()["IngressFilterRules"][0]
    mirror.change("Filter", remove="NetworkServices")
    assert mirror.filter()["NetworkServices"] == []
    assert mirror.ids() == before


def test_when_a_target_is_replaced_then_the_session_follows_and_the_old_one_is_deleted(mirror: Mirror) -> None:
    before = mirror.ids()
    status = mirror.change("Target", NetworkInterfaceId=mirror.account.interface())
    after = mirror.ids()
    assert status == "UPDATE_COMPLETE"
    assert {name for name in before if before[name] != after[name]} == {"Target"}
    [target] = mirror.account.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
    assert target["TrafficMirrorTargetId"] == after["Target"] == mirror.session()["TrafficMirrorTargetId"]


def test_when_a_filter_is_replaced_then_its_rules_are_too(mirror: Mirror) -> None:
    before = mirror.ids()
    status = mirror.change("Filter", Description="two")
    after = mirror.ids()
    assert status == "UPDATE_COMPLETE"
    assert {name for name in before if before[name] != after[name]} == {"Filter", "Rule"}
    assert mirror.filter()["TrafficMirrorFilterId"] == after["Filter"] == mirror.session()["TrafficMirrorFilterId"]


def test_when_a_source_changes_then_the_session_is_replaced(mirror: Mirror) -> None:
    before = mirror.ids()
    source = mirror.account.interface()
    assert mirror.change("Session", NetworkInterfaceId=source) == "UPDATE_COMPLETE"
    assert mirror.ids()["Session"] != before["Session"]
    assert mirror.session()["NetworkInterfaceId"] == source


def test_when_a_resource_leaves_the_template_then_it_is_deleted(mirror: Mirror) -> None:
    smaller = copy.deepcopy(mirror.template)
    for name in ("Session", "Target"):
        del smaller["Resources"][name]
        del smaller["Outputs"][name]
    assert mirror.update(smaller) == "UPDATE_COMPLETE"
    assert mirror.account.left_behind().keys() & {"sessions", "targets", "filters"} == {"filters"}


def test_fails_when_an_update_cannot_be_and_the_stack_goes_back(mirror: Mirror) -> None:
    before = mirror.ids()
    changed = copy.deepcopy(mirror.template)
    changed["Resources"]["Target"]["Properties"]["Description"] = "two"
    changed["Resources"]["Session"]["Properties"]["SessionNumber"] = 40000
    changed["Resources"]["Other"] = {"Type": "AWS::EC2::TrafficMirrorFilter", "Properties": {}}
    assert mirror.update(changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert mirror.ids() == before
    assert mirror.session()["TrafficMirrorTargetId"] == before["Target"]
    assert [len(mirror.account.left_behind()[kind]) for kind in ("targets", "filters", "sessions")] == [1, 1, 1]
    assert ("Session", "UPDATE_FAILED") in [event[:2] for event in mirror.account.events("tap")]
    mirror.account.stacks.delete_stack(StackName="tap")
    assert not mirror.account.left_behind().keys() & {"targets", "filters", "sessions"}


def test_fails_when_an_update_breaks_a_parameter_and_nothing_changes(mirror: Mirror) -> None:
    changed = {**mirror.template, "Parameters": {"P": {"Type": "String"}}}
    with pytest.raises(ClientError, match=r"Parameters: \[P\] must have values"):
        mirror.update(changed)
    assert mirror.account.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_when_the_source_is_gone_then_the_stack_can_still_be_deleted(mirror: Mirror) -> None:
    interface = mirror.session()["NetworkInterfaceId"]
    described = mirror.account.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])
    instance = described["NetworkInterfaces"][0]["Attachment"]["InstanceId"]
    mirror.account.ec2.terminate_instances(InstanceIds=[instance])
    mirror.account.stacks.delete_stack(StackName="tap")
    assert not mirror.account.left_behind().keys() & {"targets", "filters", "sessions"}


def test_when_a_parameter_of_a_group_changes_then_its_rules_change_in_place(account: Account) -> None:
    body = {
        "Parameters": {"Range": {"Type": "String"}},
        "Resources": {
            "Group": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {
                    "GroupDescription": "portal",
                    "VpcId": account.vpc,
                    "SecurityGroupIngress": [
                        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": {"Ref": "Range"}}
                    ],
                },
            },
            "Interface": {
                "Type": "AWS::EC2::NetworkInterface",
                "Properties": {"SubnetId": account.subnet, "GroupSet": [{"Ref": "Group"}]},
            },
        },
    }
    given = [{"ParameterKey": "Range", "ParameterValue": "192.0.2.0/24"}]
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(body), Parameters=given)
    [before] = account.left_behind()["groups"]
    given = [{"ParameterKey": "Range", "ParameterValue": "198.51.100.0/24"}]
    account.stacks.update_stack(StackName="tap", UsePreviousTemplate=True, Parameters=given)
    assert account.left_behind()["groups"] == [before]
    [group] = account.ec2.describe_security_groups(GroupIds=[before])["SecurityGroups"]
    [rule] = group["IpPermissions"]
    assert [r["CidrIp"] for r in rule["IpRanges"]] == ["198.51.100.0/24"]
    assert [p["IpProtocol"] for p in group["IpPermissionsEgress"]] == ["-1"]
