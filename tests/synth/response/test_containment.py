"""Containment as Terraform: its groups, its functions, their settings and permissions; and nothing of it by default."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast

import pytest

from tapstack import (
    Approval,
    Authorization,
    AutoScaling,
    ContainmentSettings,
    LoadBalancers,
    PolicyRule,
    Protect,
    TwoStep,
)
from tapstack.domain.containment_settings import DeployedContainment, QuarantineGroups
from tapstack.domain.errors import RuleViolation
from tapstack.domain.operations import gateway_routes
from tapstack.responder.environment import read_environment
from tapstack.response import workflow
from tests.synth.ids import OTHER_VPC, VPC
from tests.synth.response.building import Response, existing
from tests.synth.template import assert_equal

PLACE = "<region.id>:<caller_identity.account_id>"
IN_SCOPE = {
    "ArnLike": {"ec2:Vpc": [f"arn:<partition.partition>:ec2:<region.id>:*:vpc/{vpc}" for vpc in (VPC, OTHER_VPC)]}
}
CHANGES = {
    "containment": [
        "autoscaling:EnterStandby",
        "ec2:CreateSnapshots",
        "ec2:CreateTags",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyNetworkInterfaceAttribute",
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        "elasticloadbalancing:DeregisterTargets",
        "iam:PutRolePolicy",
    ],
    "release": [
        "autoscaling:ExitStandby",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyNetworkInterfaceAttribute",
        "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
        "elasticloadbalancing:RegisterTargets",
        "iam:DeleteRolePolicy",
    ],
}
NOT_OF_INTERFACES = ("AssociatePublicIpAddress", "Description", "EnablePrimaryIpv6", "SourceDestCheck")
NOT_OF_INSTANCES = (
    "DisableApiStop",
    "EbsOptimized",
    "EnaSupport",
    "InstanceType",
    "Kernel",
    "Ramdisk",
    "SourceDestCheck",
    "SriovNetSupport",
    "UserData",
)
CHANGING = ("Enter", "Exit", "Create", "Modify", "Deregister", "Register", "Put", "Delete")


def none_of(*attributes: str) -> dict[str, Any]:
    """The conditions of a request that modifies none of these attributes."""
    return {
        "Null": {f"ec2:Attribute/{name}": "true" for name in attributes},
        "StringNotEqualsIgnoreCase": {"ec2:Attribute": sorted(attributes)},
    }


def changing(statements: dict[str, dict[str, Any]]) -> list[str]:
    """The actions that change something of AWS besides the table, the logs and the traces."""
    found = set()
    for statement in statements.values():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        services = ("ec2", "autoscaling", "elasticloadbalancing", "iam")
        named = [action.partition(":") for action in actions]
        found |= {"".join(parts) for parts in named if parts[0] in services and parts[2].startswith(CHANGING)}
    return sorted(found)


def test_when_it_is_not_asked_for_then_nothing_of_it_is_deployed(with_existing: Response) -> None:
    assert "aws_security_group" not in with_existing.terraform["resource"]
    assert len(with_existing.all("aws_lambda_function")) == 7
    assert {route["route_key"] for route in with_existing.all("aws_apigatewayv2_route")} == set(
        gateway_routes(contains=False)
    )
    assert "containment" not in with_existing.settings()
    assert not any("contain" in alarm["alarm_name"] for alarm in with_existing.all("aws_cloudwatch_metric_alarm"))
    policies = [body["policy"] for body in with_existing.all("aws_iam_role_policy")]
    assert not any("ModifyNetworkInterfaceAttribute" in policy or "CONTAINMENT" in policy for policy in policies)


@pytest.mark.thorough
def test_when_contained_in_several_vpcs_then_each_has_its_groups(containing: Response) -> None:
    groups = {
        (group["vpc_id"], group["tags"]["tapstack:purpose"]): group for group in containing.all("aws_security_group")
    }
    assert set(groups) == {(vpc, purpose) for vpc in (VPC, OTHER_VPC) for purpose in ("quarantine", "untrack")}
    for (_, purpose), group in groups.items():
        assert group["name"] == f"ir-a-response-{purpose}"
        if purpose == "quarantine":
            assert (group["ingress"], group["egress"]) == ([], [])
        else:
            for direction in ("ingress", "egress"):
                [rule] = group[direction]
                assert (rule["protocol"], rule["cidr_blocks"], rule["ipv6_cidr_blocks"]) == (
                    "-1",
                    ["0.0.0.0/0"],
                    ["::/0"],
                )


def test_when_isolation_has_one_step_then_no_group_is_open() -> None:
    made = Response(containment=ContainmentSettings())
    [group] = made.all("aws_security_group")
    assert group["tags"]["tapstack:purpose"] == "quarantine"


def test_when_settings_are_written_then_the_functions_can_read_them(containing: Response) -> None:
    settings = read_environment(containing.variables("containment")).containment
    assert settings is not None
    assert settings.modes == ("approval", "now")
    pair = QuarantineGroups("<security_group.id>", "<security_group.id>")
    assert dict(settings.groups) == {VPC: pair, OTHER_VPC: pair}
    assert (settings.two_step.enabled, settings.two_step.seconds) == (True, 30)
    assert (settings.snapshots, settings.instance_profile) == (True, "restrict")
    assert (settings.protect.tags, settings.approval.minutes, settings.per_hour) == ({"tapstack-protected": "*"}, 15, 5)


def test_when_everything_is_as_usual_then_all_of_it_is_said(containing: Response) -> None:
    made = Response(containment=ContainmentSettings())
    # Null is always the default, and takes room.
    without = {"tcp_established_seconds", "instance_profile", "wait_for_packets"}
    assert set(made.settings()["containment"]) == {field.name for field in fields(DeployedContainment)} - without
    settings = read_environment(made.variables("api")).containment
    assert settings is not None
    assert (settings.approval.default, settings.auto_scaling.standby, settings.load_balancers.deregister) == (
        "leave",
        True,
        True,
    )
    for name in ("api", "findings", "containment", "release"):
        assert len(json.dumps(containing.variables(name))) < 4096, "AWS Lambda Developer Guide, quotas"


def test_when_it_may_contain_then_the_workflow_and_the_api_know(containing: Response) -> None:
    functions = dict.fromkeys((*workflow.FUNCTIONS, *workflow.CONTAINMENT_FUNCTIONS), "<lambda_function.arn>")
    machine = json.loads(containing.one("aws_sfn_state_machine")["definition"])
    assert_equal(machine, workflow.definition(functions, partition="<partition.partition>"))
    routes = {route["route_key"] for route in containing.all("aws_apigatewayv2_route")}
    assert routes == set(gateway_routes(contains=True))
    alarms = {alarm["alarm_name"] for alarm in containing.all("aws_cloudwatch_metric_alarm")}
    assert {"ir-a-response-containment-failed", "ir-a-response-release-blocked"} <= alarms


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_when_a_function_contains_or_releases_then_it_changes_this_and_no_more(containing: Response, name: str) -> None:
    statements = containing.statements(f"{name.capitalize()}Function")
    assert_equal(changing(statements), CHANGES[name])
    for sid, statement in statements.items():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert all("*" not in action for action in actions), sid
        if statement["Resource"] == "*":
            assert list(statement["Condition"]) == ["StringEquals"], sid
            assert not changing({sid: statement}), sid


def test_when_an_instance_is_isolated_then_only_quarantine_groups_may_be_set(containing: Response) -> None:
    statements = containing.statements("ContainmentFunction")
    groups = statements["AssignQuarantineGroups"]
    assert groups["Resource"] == [f"arn:<partition.partition>:ec2:{PLACE}:security-group/<security_group.id>"] * 4
    interfaces = statements["ModifyInterfacesInScope"]
    assert interfaces["Resource"] == f"arn:<partition.partition>:ec2:{PLACE}:network-interface/*"
    assert_equal(interfaces["Condition"], {**IN_SCOPE, **none_of(*NOT_OF_INTERFACES)})


@pytest.mark.thorough
def test_when_an_instance_is_protected_then_containment_may_not_change_it_and_a_release_may() -> None:
    protected = {"tier": "crown-*", "owner": "board"}
    made = Response(
        containment=ContainmentSettings(
            protect=Protect(tags=protected, instance_ids=("i-0123456789abcdef0",)), stop_on_shutdown=False
        )
    )
    unmodified = none_of(*NOT_OF_INSTANCES, "InstanceInitiatedShutdownBehavior")
    contained, released = (made.statements(f"{name}Function")["ModifyInstances"] for name in ("Containment", "Release"))
    for statement in (contained, released):
        assert statement["Action"] == ["ec2:ModifyNetworkInterfaceAttribute", "ec2:ModifyInstanceAttribute"]
        assert statement["Resource"] == f"arn:<partition.partition>:ec2:{PLACE}:instance/*"
    assert_equal(
        contained["Condition"],
        {
            **unmodified,
            # Tags are no condition: two persons may override them.
            "StringNotEquals": {"ec2:InstanceID": ["i-0123456789abcdef0"]},
            "StringEqualsIgnoreCaseIfExists": {"ec2:Attribute/DisableApiTermination": "true"},
        },
    )
    assert_equal(released["Condition"], unmodified)


def test_when_all_may_be_contained_then_their_evidence_is_kept_all_the_same() -> None:
    made = Response(containment=ContainmentSettings(protect=Protect(tags={})))
    condition = made.statements("ContainmentFunction")["ModifyInstances"]["Condition"]
    kept = {"ec2:Attribute/DisableApiTermination": "true", "ec2:Attribute/InstanceInitiatedShutdownBehavior": "stop"}
    assert_equal(condition, {**none_of(*NOT_OF_INSTANCES), "StringEqualsIgnoreCaseIfExists": kept})


@pytest.mark.parametrize("name", ["containment", "release"])
def test_when_everything_may_be_done_then_the_policy_fits_into_a_role(containing: Response, name: str) -> None:
    statements = containing.statements(f"{name.capitalize()}Function")
    # IAM User Guide, "IAM and AWS STS quotas": 10,240 characters for all inline policies of a role, without whitespace.
    assert len(json.dumps(list(statements.values()), separators=(",", ":"))) < 9_000


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["api", "containment", "release"])
def test_when_as_much_is_protected_and_in_scope_as_can_be_then_the_policy_fits_into_a_role(name: str) -> None:
    containment = ContainmentSettings(
        vpc_ids=[f"vpc-{n:017x}" for n in range(9)],
        protect=Protect(
            tags={f"tapstack-protected-{n}": "*" for n in range(10)}, instance_ids=[f"i-{n:017x}" for n in range(40)]
        ),
        two_step=TwoStep(enabled=True),
        snapshots=True,
        instance_profile="restrict",
    )
    made = Response(deployment="d" * 40, site="s" * 40, appliance=existing(), containment=containment)
    text = json.dumps(list(made.statements(f"{name.capitalize()}Function").values()), separators=(",", ":"))
    policy = text.replace("<partition.partition>", "aws-us-gov").replace("<region.id>", "us-gov-east-1")
    policy = policy.replace("<caller_identity.account_id>", "1" * 12).replace("<security_group.id>", "sg-" + "0" * 17)
    assert len(policy) + 50 < 10_240, "IAM User Guide, IAM and AWS STS quotas"


def test_fails_when_more_is_protected_than_the_functions_environment_holds() -> None:
    containment = ContainmentSettings(
        vpc_ids=[f"vpc-{n:017x}" for n in range(9)],
        protect=Protect(instance_ids=[f"i-{n:017x}" for n in range(80)]),
        two_step=TwoStep(enabled=True),
    )
    with pytest.raises(RuleViolation) as raised:
        Response(containment=containment)
    assert re.fullmatch(
        r"site/response: the functions' environment would have 4,\d{3} bytes, and AWS Lambda accepts 4,096: shorten "
        r"what takes most of it: containment.protect takes 1,982, containment.vpc_ids takes 1,053, appliance takes "
        r"\d{3}",
        str(raised.value),
    )


def test_when_it_is_released_then_any_group_of_the_vpcs_may_be_set(containing: Response) -> None:
    groups = containing.statements("ReleaseFunction")["AssignGroupsInScope"]
    assert groups["Resource"] == f"arn:<partition.partition>:ec2:{PLACE}:security-group/*"
    assert groups["Condition"] == IN_SCOPE


@pytest.mark.parametrize("name", ["api", "findings", "incident", "sweeper", "prepare", "capture", "appliance"])
def test_when_a_function_does_neither_then_it_changes_nothing_of_an_instance(containing: Response, name: str) -> None:
    found = changing(containing.statements(f"{name.capitalize()}Function"))
    assert not [action for action in found if "TrafficMirror" not in action and action != "ec2:CreateTags"]


@pytest.mark.thorough
def test_when_a_change_is_switched_off_then_no_function_may_make_it() -> None:
    containment = ContainmentSettings(
        auto_scaling=AutoScaling(standby=False),
        load_balancers=LoadBalancers(deregister=False),
        termination_protection=False,
        stop_on_shutdown=False,
        keep_volumes=False,
    )
    made = Response(containment=containment)
    for name in ("containment", "release"):
        assert changing(made.statements(f"{name.capitalize()}Function")) == ["ec2:ModifyNetworkInterfaceAttribute"]


def test_when_it_may_contain_now_then_a_rule_may_ask_for_it() -> None:
    rule = PolicyRule(name="c2", action="contain_now", at_least=8.0)
    assert (
        "contain_now"
        in Response(containment=ContainmentSettings(modes=("now",)), policy=[rule]).variables("findings")[
            "TAPSTACK_POLICY"
        ]
    )
    with pytest.raises(RuleViolation, match="contain_now needs the mode now: containment.modes has approval"):
        Response(containment=ContainmentSettings(), policy=[rule])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContainmentSettings(modes=()), "modes is empty: expected one or both of approval, now"),
        (lambda: ContainmentSettings(modes=cast(Any, ("later",))), "modes[0] must be approval or now, got 'later'"),
        (lambda: Approval(minutes=0), "approval.minutes must be a whole number from 1 to 1440, got 0"),
        (lambda: Approval(default=cast(Any, "ask")), "default must be leave or contain, got 'ask'"),
        (
            lambda: Approval(source_identity_roles=("ana", "Ana")),
            "approval.source_identity_roles has ana and Ana, which IAM takes for one name: keep one",
        ),
        (
            lambda: Approval(source_identity_roles=("ana", "ana")),
            "approval.source_identity_roles has ana and ana, which IAM takes for one name: keep one",
        ),
        (lambda: Protect(instance_ids=("web",)), "'web' is not the id of an instance"),
        (lambda: ContainmentSettings(vpc_ids=("vpc",)), "'vpc' is not the id of a VPC"),
        (lambda: ContainmentSettings(vpc_ids=[VPC] * 10), "at most 9 further VPCs can be in scope, got 10"),
        (lambda: ContainmentSettings(per_hour=True), "per_hour must be a whole number, got True"),
        (lambda: ContainmentSettings(modes=("now", "now")), "modes has now twice: keep one"),
        (lambda: ContainmentSettings(vpc_ids=[VPC, VPC]), f"vpc_ids has {VPC} twice: keep one"),
        (
            lambda: ContainmentSettings(per_hour=int(-8.1e298)),
            "per_hour must be a whole number from 1 to 1000, got a token",
        ),
        (lambda: TwoStep(seconds=0), "two_step.seconds must be a whole number from 1 to 3600, got 0"),
        (
            lambda: ContainmentSettings(tcp_established_seconds=59),
            "tcp_established_seconds must be a whole number from 60 to 432000, got 59",
        ),
        (
            lambda: AutoScaling(standby=False, decrement_desired_capacity=True),
            "decrement_desired_capacity needs standby true, got false",
        ),
    ],
)
def test_fails_when_a_setting_is_wrong(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_fails_when_roles_have_source_identities_and_callers_have_tokens() -> None:
    approval = Approval(source_identity_roles=("responders",))
    authorization = Authorization.jwt("https://login.example.com/t", audience=["tapstack"])
    said = (
        "containment.approval.source_identity_roles has no effect with authorization.jwt: a token names its person by "
        "issuer and subject"
    )
    with pytest.raises(RuleViolation, match=re.escape(said)):
        Response(containment=ContainmentSettings(approval=approval), authorization=authorization)
