"""Tags of each kind of resource decide: a statement that denies by a tag refuses, one that allows by it allows."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, Final

import pytest

from strictmoto.iam.facts import FINDERS, UNTAGGED
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal

REGION: Final = "eu-central-1"
TAG: Final = {"Key": "lock", "Value": "1"}
LOWER: Final = {"key": "lock", "value": "1"}
MAP: Final = {"lock": "1"}
DEFINITION: Final = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
NONE: Final = {"Action": "none:None"}

Made = tuple[str, str, dict[str, Any]]
"""Service, method and arguments of a call about what was made."""


def _group(enforcing: Enforcing) -> Made:
    ec2, scaling = enforcing.client("ec2"), enforcing.client("autoscaling")
    ec2.create_launch_template(
        LaunchTemplateName="template", LaunchTemplateData={"ImageId": "ami-12345678", "InstanceType": "t3.micro"}
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="g",
        LaunchTemplate={"LaunchTemplateName": "template"},
        MinSize=0,
        MaxSize=1,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        Tags=[{**TAG, "ResourceId": "g", "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}],
    )
    return "autoscaling", "update_auto_scaling_group", {"AutoScalingGroupName": "g", "MaxSize": 2}


def _stack(enforcing: Enforcing) -> Made:
    body = json.dumps({"Resources": {"Q": {"Type": "AWS::SNS::Topic"}}})
    enforcing.client("cloudformation").create_stack(StackName="s", TemplateBody=body, Tags=[TAG])
    return "cloudformation", "describe_stack_resources", {"StackName": "s"}


def _table(enforcing: Enforcing) -> Made:
    enforcing.client("dynamodb").create_table(
        TableName="tab",
        KeySchema=[{"AttributeName": "i", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "i", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[TAG],
    )
    return "dynamodb", "describe_table", {"TableName": "tab"}


def _subnet(enforcing: Enforcing) -> Made:
    ec2 = enforcing.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.create_tags(Resources=[subnet], Tags=[TAG])
    return "ec2", "modify_subnet_attribute", {"SubnetId": subnet, "MapPublicIpOnLaunch": {"Value": False}}


def _mirror_filter(enforcing: Enforcing) -> Made:
    tags = [{"ResourceType": "traffic-mirror-filter", "Tags": [TAG]}]
    made = enforcing.client("ec2").create_traffic_mirror_filter(TagSpecifications=tags)["TrafficMirrorFilter"]
    return "ec2", "delete_traffic_mirror_filter", {"TrafficMirrorFilterId": made["TrafficMirrorFilterId"]}


def _balanced(enforcing: Enforcing, kind: str) -> dict[str, str]:
    """Make a load balancer of each layer below which listeners are; only what is named has the tag."""
    elbv2, ec2 = enforcing.client("elbv2"), enforcing.client("ec2")
    subnets = ec2.describe_subnets()["Subnets"][:2]

    def tags(of: str) -> dict[str, Any]:
        return {"Tags": [TAG]} if of == kind else {}

    balancer = elbv2.create_load_balancer(
        Name="b", Type="application", Subnets=[one["SubnetId"] for one in subnets], **tags("balancer")
    )["LoadBalancers"][0]["LoadBalancerArn"]
    group = elbv2.create_target_group(Name="t", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], **tags("targets"))[
        "TargetGroups"
    ][0]["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer, Port=80, Protocol="HTTP", DefaultActions=forward, **tags("listener")
    )["Listeners"][0]["ListenerArn"]
    rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a"]}}],
        Actions=forward,
        **tags("rule"),
    )["Rules"][0]["RuleArn"]
    return {"balancer": balancer, "targets": group, "listener": listener, "rule": rule}


def _balancer(enforcing: Enforcing) -> Made:
    arn = _balanced(enforcing, "balancer")["balancer"]
    attributes = [{"Key": "deletion_protection.enabled", "Value": "false"}]
    return "elbv2", "modify_load_balancer_attributes", {"LoadBalancerArn": arn, "Attributes": attributes}


def _targets(enforcing: Enforcing) -> Made:
    arn = _balanced(enforcing, "targets")["targets"]
    return "elbv2", "modify_target_group", {"TargetGroupArn": arn, "HealthCheckIntervalSeconds": 30}


def _listener(enforcing: Enforcing) -> Made:
    return "elbv2", "delete_listener", {"ListenerArn": _balanced(enforcing, "listener")["listener"]}


def _rule_of_listener(enforcing: Enforcing) -> Made:
    return "elbv2", "delete_rule", {"RuleArn": _balanced(enforcing, "rule")["rule"]}


def _classic(enforcing: Enforcing) -> Made:
    enforcing.client("elb").create_load_balancer(
        LoadBalancerName="classic",
        Listeners=[{"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}],
        AvailabilityZones=[f"{REGION}a"],
        Tags=[TAG],
    )
    return "elb", "delete_load_balancer", {"LoadBalancerName": "classic"}


def _rule(enforcing: Enforcing) -> Made:
    enforcing.client("events").put_rule(Name="r", ScheduleExpression="rate(1 day)", Tags=[TAG])
    return "events", "disable_rule", {"Name": "r"}


def _bus(enforcing: Enforcing) -> Made:
    enforcing.client("events").create_event_bus(Name="b", Tags=[TAG])
    return "events", "describe_event_bus", {"Name": "b"}


def _role(enforcing: Enforcing) -> Made:
    enforcing.role("r", Tags=[TAG])
    return "iam", "get_role", {"RoleName": "r"}


def _user(enforcing: Enforcing) -> Made:
    enforcing.client("iam").create_user(UserName="u", Tags=[TAG])
    return "iam", "get_user", {"UserName": "u"}


def _policy(enforcing: Enforcing) -> Made:
    made = enforcing.client("iam").create_policy(PolicyName="p", PolicyDocument=policy(NONE), Tags=[TAG])
    return "iam", "create_policy_version", {"PolicyArn": made["Policy"]["Arn"], "PolicyDocument": policy(NONE)}


def _profile(enforcing: Enforcing) -> Made:
    enforcing.client("iam").create_instance_profile(InstanceProfileName="p", Path="/a/", Tags=[TAG])
    return "iam", "delete_instance_profile", {"InstanceProfileName": "p"}


def _provider(enforcing: Enforcing) -> Made:
    made = enforcing.client("iam").create_open_id_connect_provider(
        Url="https://a.example.com", ClientIDList=["a"], Tags=[TAG]
    )
    arn = made["OpenIDConnectProviderArn"]
    return "iam", "delete_open_id_connect_provider", {"OpenIDConnectProviderArn": arn}


def _key(enforcing: Enforcing) -> Made:
    tags = [{"TagKey": "lock", "TagValue": "1"}]
    return "kms", "describe_key", {"KeyId": enforcing.client("kms").create_key(Tags=tags)["KeyMetadata"]["KeyId"]}


def _made_function(enforcing: Enforcing, **more: Any) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("m.py", "def h(event, context): return 1")
    role = enforcing.role("f", {"Action": "sqs:*"}, trust={"Service": "lambda.amazonaws.com"})
    enforcing.client("lambda").create_function(
        FunctionName="f", Role=role, Runtime="python3.12", Handler="m.h", Code={"ZipFile": code.getvalue()}, **more
    )


def _function(enforcing: Enforcing) -> Made:
    _made_function(enforcing, Tags=MAP)
    return "lambda", "delete_function", {"FunctionName": "f"}


def _mapping(enforcing: Enforcing) -> Made:
    _made_function(enforcing)
    enforcing.client("sqs").create_queue(QueueName="q")
    made = enforcing.client("lambda").create_event_source_mapping(
        FunctionName="f", EventSourceArn=f"arn:aws:sqs:{REGION}:{HERE}:q", Tags=MAP
    )
    return "lambda", "get_event_source_mapping", {"UUID": made["UUID"]}


def _log_group(enforcing: Enforcing) -> Made:
    enforcing.client("logs").create_log_group(logGroupName="g", tags=MAP)
    return "logs", "put_retention_policy", {"logGroupName": "g", "retentionInDays": 7}


def _schedules(enforcing: Enforcing) -> Made:
    enforcing.client("scheduler").create_schedule_group(Name="g", Tags=[TAG])
    return "scheduler", "get_schedule_group", {"Name": "g"}


def _secret(enforcing: Enforcing) -> Made:
    enforcing.client("secretsmanager").create_secret(Name="s", SecretString="x", Tags=[TAG])
    return "secretsmanager", "get_secret_value", {"SecretId": "s"}


def _topic(enforcing: Enforcing) -> Made:
    made = enforcing.client("sns").create_topic(Name="t", Tags=[TAG])
    return "sns", "list_tags_for_resource", {"ResourceArn": made["TopicArn"]}


def _queue(enforcing: Enforcing) -> Made:
    made = enforcing.client("sqs").create_queue(QueueName="q", tags=MAP)
    return "sqs", "receive_message", {"QueueUrl": made["QueueUrl"]}


def _activity(enforcing: Enforcing) -> Made:
    made = enforcing.client("stepfunctions").create_activity(name="a", tags=[LOWER])
    return "stepfunctions", "describe_activity", {"activityArn": made["activityArn"]}


def _machine(enforcing: Enforcing) -> Made:
    return "stepfunctions", "start_execution", {"stateMachineArn": _made_machine(enforcing, tags=[LOWER])}


def _machine_later(enforcing: Enforcing) -> Made:
    arn = _made_machine(enforcing)
    enforcing.client("stepfunctions").tag_resource(resourceArn=arn, tags=[LOWER])
    return "stepfunctions", "start_execution", {"stateMachineArn": arn}


def _made_machine(enforcing: Enforcing, **more: Any) -> str:
    role = enforcing.role("m", trust={"Service": "states.amazonaws.com"})
    made = enforcing.client("stepfunctions").create_state_machine(name="m", roleArn=role, definition=DEFINITION, **more)
    return str(made["stateMachineArn"])


KINDS: Final[dict[str, Callable[[Enforcing], Made]]] = {
    "autoscaling:autoScalingGroup": _group,
    "cloudformation:stack": _stack,
    "dynamodb:table": _table,
    "ec2": _subnet,
    "ec2 (mirroring)": _mirror_filter,
    "elasticloadbalancing:listener": _listener,
    "elasticloadbalancing:listener-rule": _rule_of_listener,
    "elasticloadbalancing:loadbalancer": _balancer,
    "elasticloadbalancing:loadbalancer (classic)": _classic,
    "elasticloadbalancing:targetgroup": _targets,
    "events:event-bus": _bus,
    "events:rule": _rule,
    "iam:instance-profile": _profile,
    "iam:oidc-provider": _provider,
    "iam:policy": _policy,
    "iam:role": _role,
    "iam:user": _user,
    "kms:key": _key,
    "lambda:event-source-mapping": _mapping,
    "lambda:function": _function,
    "logs:log-group": _log_group,
    "scheduler:schedule-group": _schedules,
    "secretsmanager:secret": _secret,
    "sns": _topic,
    "sqs": _queue,
    "states:activity": _activity,
    "states:stateMachine": _machine,
    "states:stateMachine (tagged later)": _machine_later,
}


def _by_tag(effect: str, value: str) -> list[dict[str, Any]]:
    found = {"Effect": effect, "Action": "*", "Condition": {"StringEquals": {"aws:ResourceTag/lock": value}}}
    return [found] if effect == "Allow" else [{"Action": "*"}, found]


@pytest.mark.parametrize("kind", KINDS)
def test_when_a_resource_has_a_tag_then_it_decides(enforcing: Enforcing, kind: str) -> None:
    service, name, given = KINDS[kind](enforcing)

    def call(*statements: dict[str, Any]) -> Any:
        return getattr(enforcing.worker(service, *statements), name)

    assert "with an explicit deny" in refusal(call(*_by_tag("Deny", "1")), **given)[1]
    assert refusal(call(*_by_tag("Allow", "2")), **given)
    call(*_by_tag("Allow", "1"))(**given)


@pytest.mark.parametrize("kind", KINDS)
def test_when_the_tag_is_another_then_a_deny_does_not_count(enforcing: Enforcing, kind: str) -> None:
    service, name, given = KINDS[kind](enforcing)
    getattr(enforcing.worker(service, *_by_tag("Deny", "2")), name)(**given)


def test_when_the_account_reads_tags_of_a_kind_then_a_row_has_it() -> None:
    read = {kind for kind, find in FINDERS.items() if kind not in UNTAGGED}
    # Objects have another key; destinations of logs are named by no call that asks about them.
    assert read - {kind.partition(" ")[0] for kind in KINDS} == {"logs:destination", "s3"}


@pytest.mark.parametrize("effect", ["Deny", "Allow"])
def test_fails_when_the_account_keeps_no_tags_of_a_kind(enforcing: Enforcing, effect: str) -> None:
    iam = enforcing.client("iam")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="d", Tags=[TAG])["VirtualMFADevice"]["SerialNumber"]
    worker = enforcing.worker("iam", *_by_tag(effect, "1"))
    assert (
        "strictmoto gives no value to aws:ResourceTag/lock"
        in refusal(worker.delete_virtual_mfa_device, SerialNumber=device)[1]
    )


@pytest.mark.parametrize(
    ("key", "make"),
    [
        ("autoscaling", _group),
        ("elasticloadbalancing", _targets),
        ("elasticloadbalancing", _listener),
        ("iam", _policy),
    ],
)
def test_when_a_service_has_a_key_of_its_own_then_it_decides_too(
    enforcing: Enforcing, key: str, make: Callable[[Enforcing], Made]
) -> None:
    service, name, given = make(enforcing)

    def denying(value: str) -> Any:
        condition = {"StringEquals": {f"{key}:ResourceTag/lock": value}}
        deny = {"Effect": "Deny", "Action": "*", "Condition": condition}
        return getattr(enforcing.worker(service, {"Action": "*"}, deny), name)

    assert "with an explicit deny" in refusal(denying("1"), **given)[1]
    denying("2")(**given)
