"""What stands in the way of a destroy, found in the account before anything is destroyed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import jmespath
import pytest

from strictmoto.account import Account
from strictmoto.company import Company, found_company
from strictmoto.testing.checkpoint import made_once
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.settings.load import parse_deployment
from tapstack.settings.problems import DeploymentError
from tapstack.workspace import protections
from tapstack.workspace.credentials import try_credentials
from tapstack.workspace.protections import Found, find_dependents, find_protections
from tests.in_process import answered_in_process as answered_in_process
from tests.response_by_hand import create_table
from tests.sampling import sampled
from tests.strictmoto.test_shared_targets import MEMBER, Member
from tests.strictmoto.trusting import TRUST

URL = "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/a/b.template"
LAUNCH = f"{{template_url: '{URL}', subnet_id: subnet-0123456789abcdef0, remote_access_cidr: 10.0.0.0/8}}"
INCIDENT = "inc-20260102t030405-k3v9x0ab"
OURS = [{"Key": "tapstack:deployment", "Value": "tap"}, {"Key": "tapstack:site", "Value": "ward"}]
Find = Callable[..., Found]
BOTH = ("ward-response", "ward")
PROTECTED = {"Key": "tapstack:deletion-protection", "Value": "on"}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000001"
LANDING, ACCESS_LOGS = BUCKETS = ("tap-ward-xdr-123456789012", "tap-ward-xdr-access-123456789012")


@pytest.fixture
def company(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> Company:
    for name, value in aws_account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return made_once(aws_account, found_company)


def found(company: Company, *stacks: str, retire: str = "30", more: str = "") -> Found:
    interface = company.interfaces["web-1"][0]
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
        f"    targets: {{sensor: {{network_interface_id: {interface}}}, many: {{load_balancer: {{mirrored_from: "
        f"[10.0.0.0/8], subnet_ids: [{', '.join(company.shop.private[:2])}], instance_ids: [i-00000001]}}}}}}\n"
        f"    response: {{appliance: {{launch: {LAUNCH[:-1]}, retire_after_minutes: {retire}}}}}}}\n{more}"
    )
    tried = try_credentials(deployment, stacks)
    assert (tried.errors, tried.warnings) == ([], [])
    return find_protections(deployment, stacks, tried.access, "deployment.yaml")


def tagged(kind: str, *more: tuple[str, str], of: list[dict[str, str]] = OURS) -> dict[str, Any]:
    tags = [*of, *({"Key": key, "Value": value} for key, value in more)]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]}


def target_and_filter(account: Account, company: Company, of: list[dict[str, str]] = OURS) -> tuple[str, str]:
    ec2 = account.client("ec2")
    target = ec2.create_traffic_mirror_target(
        NetworkInterfaceId=company.interfaces["database"][0],
        Description="Tapstack tap/ward/sensor",
        **tagged("traffic-mirror-target", ("Name", "sensor"), of=of),
    )["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    made = ec2.create_traffic_mirror_filter(**tagged("traffic-mirror-filter", ("Name", "web"), of=of))[
        "TrafficMirrorFilter"
    ]
    return target, made["TrafficMirrorFilterId"]


def session(account: Account, company: Company, ids: tuple[str, str], **tags: Any) -> tuple[str, str]:
    interface = company.interfaces["web-2"][0]
    made = account.client("ec2").create_traffic_mirror_session(
        NetworkInterfaceId=interface,
        TrafficMirrorTargetId=ids[0],
        TrafficMirrorFilterId=ids[1],
        SessionNumber=7,
        **tags,
    )
    return made["TrafficMirrorSession"]["TrafficMirrorSessionId"], interface


def group(account: Account, company: Company, name: str, *more: tuple[str, str]) -> str:
    made = account.client("ec2").create_security_group(
        GroupName=name, Description="no rules", VpcId=company.shop.id, **tagged("security-group", *more)
    )
    return str(made["GroupId"])


def create_stack(
    account: Account, company: Company, name: str, role_arn: str = "", subnet: str = "", **tags: str
) -> None:
    values = {
        "VPCID": company.shop.id,
        "MgmtTrafficMirrorSubnetID": subnet or company.shop.private[0],
        "RemoteAccessCIDR": "10.0.0.0/8",
    }
    account.client("cloudformation").create_stack(
        StackName=name,
        TemplateURL=publish_template(account.client("s3")),
        **({"RoleARN": role_arn} if role_arn else {}),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        Tags=[{"Key": f"tapstack:{key.replace('_', '-')}", "Value": value} for key, value in tags.items()],
    )


def administrator(account: Account) -> str:
    """Make a role with which CloudFormation may do everything; return its ARN."""
    iam, name = account.client("iam"), "stacks"
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(
        RoleName=name,
        PolicyName="all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    return str(role["Arn"])


def test_when_nothing_was_deployed_then_nothing_protects_it(aws_account: Account, company: Company) -> None:
    assert found(company, *BOTH) == Found([], [])


@pytest.mark.parametrize("protection", ["on", "off"])
def test_when_the_file_lost_an_appliance_whose_stack_it_had_named_then_it_is_found_by_its_tags(
    aws_account: Account, company: Company, protection: str
) -> None:
    create_stack(aws_account, company, "named-by-hand", deployment="tap", site="ward", deletion_protection=protection)
    [reservation] = aws_account.client("ec2").describe_instances(
        Filters=[{"Name": "tag:aws:cloudformation:stack-name", "Values": ["named-by-hand"]}]
    )["Reservations"]
    said = (
        f"ward: the appliance {reservation['Instances'][0]['InstanceId']} keeps packets: put "
        "sites.ward.packet_basics back into deployment.yaml; or, if it is to be deleted with them, set "
        "sites.ward.remove_packet_basics to true there"
    )
    assert said in found(company, "ward").protections
    assert not found(company, "ward", more="    remove_packet_basics: true\n").protections


def forgotten(bucket: str) -> str:
    return (
        "or, where terraform state rm took the bucket out of the state, remove its tag tapstack:deletion-protection, "
        f'and no other: aws s3api put-bucket-tagging --bucket {bucket} --tagging "$(aws s3api get-bucket-tagging '
        f'--bucket {bucket} --query "{{TagSet: TagSet[?Key!=\'tapstack:deletion-protection\']}}" --output json)"'
    )


def telemetry(company: Company, landing: str, find: Find = find_protections) -> Found:
    """What protects the telemetry of a site with a landing, from its destruction or from a deploy."""
    deployment = parse_deployment(
        f"project: tap\nsites: {{ward: {{region: eu-central-1, vpc_id: {company.shop.id}, "
        f"xdr: {{landing: {{{landing}}}}}}}}}"
    )
    access = try_credentials(deployment, ["ward-xdr"]).access
    return find(deployment, ["ward-xdr"], access, "deployment.yaml")


def make_buckets(account: Account, *, with_objects: bool = True) -> None:
    s3 = account.client("s3")
    for name in BUCKETS:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [*OURS, PROTECTED]})
        if with_objects:
            s3.put_object(Bucket=name, Key="flow/a", Body=b"x")


def unprotect_buckets(account: Account) -> None:
    for name in BUCKETS:
        account.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{**PROTECTED, "Value": "off"}]})


def test_when_buckets_keep_telemetry_then_the_setting_that_protects_them_is_named(
    aws_account: Account, company: Company
) -> None:
    make_buckets(aws_account, with_objects=False)
    assert telemetry(company, "") == Found()
    for name in BUCKETS:
        aws_account.client("s3").put_object(Bucket=name, Key="flow/a", Body=b"x")
    assert telemetry(company, "") == Found(
        [
            f"ward-xdr: the bucket {name}, which holds objects, has deletion protection: set "
            "sites.ward.xdr.landing.deletion_protection to false in deployment.yaml, and run make deploy "
            f'ARGS="ward-xdr"; {forgotten(name)}'
            for name in BUCKETS
        ]
    )
    unprotect_buckets(aws_account)
    assert telemetry(company, "") == Found()


@pytest.mark.parametrize(
    ("landing", "out"),
    [
        ("bucket: lake", "bucket"),
        (f"bucket: {LANDING}", "bucket"),
        (f"bucket: lake, bucket_key_arn: {KEY}", "bucket and bucket_key_arn"),
        ("access_log_bucket: logs", "access_log_bucket"),
    ],
)
def test_when_the_file_names_other_buckets_then_a_destroy_is_refused_with_advice_that_the_deploy_takes(
    aws_account: Account, company: Company, landing: str, out: str
) -> None:
    make_buckets(aws_account)
    assert telemetry(company, landing) == Found(
        [
            f"ward-xdr: the bucket {name}, which holds objects, has deletion protection: set "
            f"sites.ward.xdr.landing.deletion_protection to false in deployment.yaml, take {out} out beside it, and "
            f'run make deploy ARGS="ward-xdr"; {forgotten(name)}'
            for name in BUCKETS
        ]
    )
    # With the other settings beside it the advice would not do: the file, or the deploy, is refused.
    if "access" in landing:
        assert telemetry(company, f"{landing}, deletion_protection: false", find_dependents).protections
    else:
        with pytest.raises(DeploymentError, match="deletion_protection has no effect with bucket"):
            telemetry(company, f"{landing}, deletion_protection: false")
    assert telemetry(company, "deletion_protection: false", find_dependents) == Found()


def test_when_the_file_names_other_buckets_and_only_the_landing_holds_objects_then_its_protection_alone_is_lifted(
    aws_account: Account, company: Company
) -> None:
    make_buckets(aws_account, with_objects=False)
    aws_account.client("s3").put_object(Bucket=LANDING, Key="flow/a", Body=b"x")
    [refused] = telemetry(company, "access_log_bucket: logs").protections
    assert "to false in deployment.yaml, and run make deploy" in refused
    assert telemetry(company, "access_log_bucket: logs, deletion_protection: false", find_dependents) == Found()


def test_when_terraform_has_forgotten_a_bucket_then_the_command_removes_its_protection_and_no_other_tag(
    aws_account: Account, company: Company
) -> None:
    make_buckets(aws_account)
    s3, landing = aws_account.client("s3"), f"bucket: {LANDING}"
    for refused in telemetry(company, landing, find_dependents).protections:
        [query] = re.findall(r'--query "(.+?)" ', refused)
        [bucket] = set(re.findall(r"--bucket (\S+)", refused))
        s3.put_bucket_tagging(Bucket=bucket, Tagging=jmespath.search(query, s3.get_bucket_tagging(Bucket=bucket)))
        assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == OURS
    assert telemetry(company, landing, find_dependents) == telemetry(company, landing) == Found()


def test_when_the_file_names_other_buckets_than_those_that_keep_telemetry_then_a_deploy_is_refused(
    aws_account: Account, company: Company
) -> None:
    def dependents(landing: str) -> Found:
        return telemetry(company, landing, find_dependents)

    def refused(name: str, setting: str) -> str:
        return (
            f"ward-xdr: the bucket {name}, which holds objects, has deletion protection, and this deploy would delete "
            f"it: take sites.ward.xdr.landing.{setting} out of deployment.yaml; if it is to be deleted with its "
            f'objects, first run make deploy ARGS="ward-xdr" without {setting}, and with '
            f"sites.ward.xdr.landing.deletion_protection set to false; {forgotten(name)}"
        )

    assert dependents("bucket: lake") == Found()
    make_buckets(aws_account, with_objects=False)
    assert dependents("bucket: lake") == Found()
    for name in BUCKETS:
        aws_account.client("s3").put_object(Bucket=name, Key="a", Body=b"x")
    assert dependents("") == dependents("keep_days: 90, deletion_protection: false") == Found()
    for bucket in ("lake", LANDING):
        assert dependents(f"bucket: {bucket}") == Found([refused(name, "bucket") for name in BUCKETS])
    both = Found([refused(name, "bucket and bucket_key_arn") for name in BUCKETS])
    assert dependents(f"bucket: lake, bucket_key_arn: {KEY}") == both
    only_logs = Found([refused(ACCESS_LOGS, "access_log_bucket")])
    assert dependents("access_log_bucket: logs") == only_logs
    assert dependents("access_log_bucket: logs, deletion_protection: false") == only_logs
    unprotect_buckets(aws_account)
    for landing in ("bucket: lake", f"bucket: {LANDING}", "access_log_bucket: logs"):
        assert dependents(landing) == Found()


def test_when_only_telemetry_is_destroyed_then_what_protects_the_response_does_not_matter(
    aws_account: Account, company: Company
) -> None:
    aws_account.client("dynamodb").create_table(
        TableName="tap-ward-response-incidents",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        DeletionProtectionEnabled=True,
    )
    assert found(company, "ward-xdr", more="    xdr: {}\n") == Found()


HUNTERS = (
    "response: {appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}, "
    "alerts: {sources: {hunters: {preset: hunters, webhook: true}}}}, xdr: {}"
)


@pytest.mark.parametrize("find", [find_protections, find_dependents], ids=["destroy", "deploy"])
def test_when_alerts_wait_that_were_answered_as_kept_then_their_queues_are_not_deleted(
    aws_account: Account, company: Company, find: Find
) -> None:
    sqs, names = aws_account.client("sqs"), ("tap-ward-response-alerts", "tap-ward-response-alerts-dead-letters")
    # A destroy deletes them with the response, a deploy without the last source.
    settings = HUNTERS if find is find_protections else GIVEN

    def said() -> Found:
        return of_file(company, settings, "ward-response", find=find)

    assert said() == Found()
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in names]
    assert said() == Found()
    for url, alerts in zip(urls, (2, 1), strict=True):
        for _ in range(alerts):
            sqs.send_message(QueueUrl=url, MessageBody="{}")
    # One that a function has just received is not lost either.
    sqs.receive_message(QueueUrl=urls[0])
    purge = [
        f"or, where they are not needed, delete them (aws sqs purge-queue --queue-url {url} --region eu-central-1)"
        for url in urls
    ]
    assert said() == Found(
        [
            f"ward-response: the queue {names[0]}, which would be deleted, holds 2 alerts: have their tools send no "
            f"more, and wait until tapstack xdr status shows none; {purge[0]}",
            f"ward-response: the queue {names[1]}, which would be deleted, holds 1 alert: have them decided about (aws "
            f"sqs start-message-move-task --source-arn arn:aws:sqs:eu-central-1:123456789012:{names[1]} --region "
            f"eu-central-1); {purge[1]}",
        ]
    )
    for url in urls:
        sqs.purge_queue(QueueUrl=url)
    assert said() == Found()


def test_when_a_deploy_keeps_a_source_then_alerts_may_wait(aws_account: Account, company: Company) -> None:
    sqs = aws_account.client("sqs")
    url = sqs.create_queue(QueueName="tap-ward-response-alerts")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert of_file(company, HUNTERS, "ward-response", find=find_dependents) == Found()


def test_when_a_queue_is_asked_how_many_alerts_wait_then_its_url_is_asked_for_once(
    aws_account: Account, company: Company
) -> None:
    sqs = aws_account.client("sqs")
    url = sqs.create_queue(QueueName="tap-ward-response-alerts")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    aws_account.recorder.clear()
    assert len(of_file(company, HUNTERS, "ward-response").protections) == 1
    asked = [found.requested["QueueName"] for found in aws_account.recorder.records(action="GetQueueUrl")]
    assert asked.count("tap-ward-response-alerts") == 1


def test_when_findings_and_sweeps_failed_then_a_destroy_does_not_delete_the_queue_that_keeps_them(
    aws_account: Account, company: Company
) -> None:
    sqs, name = aws_account.client("sqs"), "tap-ward-response-dead-letters"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert of_file(company, GIVEN, "ward-response") == Found()
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert of_file(company, GIVEN, "ward-response") == Found(
        [
            f"ward-response: the queue {name}, which would be deleted, holds 1 dead letter (findings and sweeps that "
            f"could not be delivered, or failed): read them (aws sqs receive-message --queue-url {url} "
            "--max-number-of-messages 10 --region eu-central-1), and open an incident about each instance that needs "
            f"one; or, where they are not needed, delete them (aws sqs purge-queue --queue-url {url} --region "
            "eu-central-1)"
        ]
    )
    # A deploy keeps it.
    assert of_file(company, GIVEN, "ward-response", find=find_dependents) == Found()
    sqs.purge_queue(QueueUrl=url)
    assert of_file(company, GIVEN, "ward-response") == Found()


SECRET = "tap-ward-response/webhooks/hunters"


def deploy_webhook(account: Account, *, with_value: bool = True) -> None:
    """Make what a response with the source hunters has of it: the secret, and a function's role that may read it."""
    secrets, iam = account.client("secretsmanager"), account.client("iam")
    arn = secrets.create_secret(Name=SECRET)["ARN"]
    if with_value:
        secrets.put_secret_value(SecretId=arn, SecretString="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    iam.create_role(RoleName="tap-ward-response-alerts", AssumeRolePolicyDocument=TRUST)
    keep = {"Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:eu-central-1:123456789012:tap-ward-response-alerts"}
    read = {"Action": "secretsmanager:GetSecretValue", "Resource": [arn]}
    statements = [{"Effect": "Allow", **one} for one in (keep, read)]
    iam.put_role_policy(
        RoleName="tap-ward-response-alerts",
        PolicyName="responder",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("hunters: {preset: hunters, webhook: true}", "hunters-xdr: {preset: hunters, webhook: true}"),
        (", webhook: true", ""),
        (", alerts: {sources: {hunters: {preset: hunters, webhook: true}}}", ""),
    ],
    ids=["renamed", "without webhooks", "taken out"],
)
def test_when_a_deploy_would_delete_the_secret_of_a_webhook_then_a_warning_says_what_to_do(
    aws_account: Account, company: Company, before: str, after: str
) -> None:
    settings = HUNTERS.replace(before, after)
    assert settings != HUNTERS
    assert of_file(company, settings, "ward-response", find=find_dependents) == Found()
    deploy_webhook(aws_account)
    assert of_file(company, HUNTERS, "ward-response", find=find_dependents) == Found()
    assert of_file(company, settings, "ward-response", find=find_dependents) == Found(
        [],
        [
            "ward-response: deployment.yaml has no source hunters with webhook: true any more: this deploy deletes the "
            f"secret {SECRET} for good, and the webhooks of its tool are then refused, and lost. To keep it, put "
            "sites.ward.response.alerts.sources.hunters back, with webhook: true; if it was renamed, afterwards run "
            "tapstack xdr rotate-secret --source NAME, and give the tool the new secret and the new address; if it is "
            "to go, first have the tool send no more"
        ],
    )
    aws_account.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert of_file(company, settings, "ward-response", find=find_dependents) == Found()


def test_when_the_secret_of_a_webhook_never_had_a_value_then_no_tool_loses_it(
    aws_account: Account, company: Company
) -> None:
    deploy_webhook(aws_account, with_value=False)
    assert of_file(company, GIVEN, "ward-response", find=find_dependents) == Found()


@pytest.mark.parametrize("on", [True, False])
def test_when_the_table_is_protected_then_the_setting_is_named(
    aws_account: Account, company: Company, on: bool
) -> None:
    aws_account.client("dynamodb").create_table(
        TableName="tap-ward-response-incidents",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        DeletionProtectionEnabled=on,
    )
    said = (
        "ward-response: the table tap-ward-response-incidents has deletion protection: set "
        "sites.ward.response.deletion_protection to false in deployment.yaml, and run "
        'make deploy ARGS="ward-response"'
    )
    assert found(company, *BOTH).protections == ([said] if on else [])
    assert found(company, "ward").protections == []


@pytest.mark.parametrize(
    ("applied", "written", "protected"),
    [("on", "true", True), ("on", "false", True), ("off", "true", True), ("off", "false", False)],
)
def test_when_the_appliance_is_protected_then_the_setting_is_named_until_it_is_off_and_applied(
    aws_account: Account, company: Company, applied: str, written: str, protected: bool
) -> None:
    create_stack(aws_account, company, "tap-ward-packet-basics", deletion_protection=applied)
    more = f"    packet_basics: {LAUNCH[:-1]}, deletion_protection: {written}}}\n"
    said = (
        "ward: the appliance, in the CloudFormation stack tap-ward-packet-basics, keeps packets, and has deletion "
        "protection: set sites.ward.packet_basics.deletion_protection to false in deployment.yaml, and run "
        'make deploy ARGS="ward"'
    )
    assert found(company, "ward", more=more).protections == ([said] if protected else [])


@pytest.mark.parametrize("value", ["true", "false"])
def test_when_a_load_balancer_is_protected_then_the_setting_is_named(
    aws_account: Account, company: Company, value: str
) -> None:
    load_balancer(aws_account, company.shop.private[:2], protected=value == "true")
    said = (
        "ward: the load balancer many has deletion protection: set "
        "sites.ward.targets.many.load_balancer.deletion_protection to false in deployment.yaml, and run "
        'make deploy ARGS="ward"'
    )
    assert found(company, *BOTH).protections == ([said] if value == "true" else [])


def test_when_an_incident_captures_then_it_is_named_with_its_interfaces(aws_account: Account, company: Company) -> None:
    ids = target_and_filter(aws_account, company, of=[{"Key": "team", "Value": "network"}])
    _, interface = session(
        aws_account, company, ids, **tagged("traffic-mirror-session", ("tapstack:incident", INCIDENT))
    )
    said = f"ward-response: {INCIDENT} captures {interface}: close it (tapstack incident close {INCIDENT})"
    assert found(company, *BOTH).protections == [said]


@sampled("whose", ["of others", "of an incident", "its own"], every=3)
def test_when_other_sessions_use_what_the_capture_made_then_they_are_named_once(
    aws_account: Account, company: Company, whose: str
) -> None:
    ids = target_and_filter(aws_account, company)
    tags = tags_of(whose)
    name, _ = session(aws_account, company, ids, **tags)
    used = f"ward: the target {ids[0]} is used by the session {name}"
    said = {
        "its own": [],
        "of an incident": [f"{used} of {INCIDENT}: close it (tapstack incident close {INCIDENT})"],
        "of others": [
            f"{used}, which is not of this site: delete it (aws ec2 delete-traffic-mirror-session "
            f"--traffic-mirror-session-id {name} --region eu-central-1)"
        ],
    }
    assert found(company, "ward").protections == said[whose]


def test_when_another_account_mirrors_to_a_shared_target_then_its_owner_is_named(
    aws_account: Account, company: Company
) -> None:
    target, _ = target_and_filter(aws_account, company)
    aws_account.client("ram").create_resource_share(
        name="sensor",
        allowExternalPrincipals=True,
        principals=[MEMBER],
        resourceArns=[f"arn:aws:ec2:eu-central-1:123456789012:traffic-mirror-target/{target}"],
    )
    member = Member(aws_account, MEMBER)
    member.accept()
    name = member.mirror(target)["TrafficMirrorSessionId"]
    assert found(company, "ward").protections == [
        f"ward: the target {target} is used by the session {name}, which is not of this site: ask its owner, the "
        f"account {MEMBER}, to delete it"
    ]


def test_when_an_instance_is_contained_then_it_is_named(aws_account: Account, company: Company) -> None:
    worn = group(aws_account, company, "q", ("tapstack:purpose", "quarantine"))
    interface = company.interfaces["web-2"][0]
    aws_account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[worn])
    assert found(company, *BOTH).protections == [
        f"ward-response: the security group {worn} is on {interface} of {company.instances['web-2']}: "
        "release the instance (tapstack incident release ID)"
    ]


@pytest.mark.parametrize("name", ["tap-ward-quarantine", "tapstack-quarantine"])
def test_when_the_quarantine_group_is_on_an_interface_then_that_is_named(
    aws_account: Account, company: Company, name: str
) -> None:
    worn = group(aws_account, company, name)
    interface = company.interfaces["web-2"][0]
    aws_account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[worn])
    said = f"ward: the security group {worn} is on {interface} of {company.instances['web-2']}: give it another group"
    assert found(company, *BOTH).protections == [said]


@pytest.mark.parametrize(
    ("retire", "how"),
    [
        ("30", "wait until it is deleted, 30 minutes after the last incident, or delete it now"),
        ("null", "nothing deletes it (retire_after_minutes: null): delete it"),
    ],
)
def test_when_a_launched_appliance_exists_then_it_is_named(
    aws_account: Account, company: Company, retire: str, how: str
) -> None:
    create_stack(aws_account, company, "tap-ward-epb", deployment="tap", site="ward", incident=INCIDENT)
    [line] = found(company, *BOTH, retire=retire).protections
    assert line.startswith("ward-response: the CloudFormation stack tap-ward-epb (CREATE_")
    assert (
        f"), launched by an incident, would be left behind: {how}, with its packets "
        "(aws cloudformation delete-stack --stack-name tap-ward-epb --region eu-central-1)"
    ) in line


@pytest.mark.parametrize("tags", [{}, {"deployment": "tap", "site": "other", "incident": INCIDENT}])
def test_when_a_stack_of_the_launched_name_is_not_of_this_site_then_it_stays(
    aws_account: Account, company: Company, tags: dict[str, str]
) -> None:
    create_stack(aws_account, company, "tap-ward-epb", **tags)
    assert found(company, *BOTH) == Found([], [])


SPARE = "targets: {spare: {network_interface_id: eni-0fedcba9876543210}}"
"""A site captures something."""


def of_file(company: Company, settings: str, *stacks: str, find: Find = find_protections) -> Found:
    """What is found where the file has only these settings of the site."""
    deployment = parse_deployment(
        f"project: tap\nsites: {{ward: {{region: eu-central-1, vpc_id: {company.shop.id}, {settings}}}}}\n"
    )
    tried = try_credentials(deployment, stacks)
    assert (tried.errors, tried.warnings) == ([], [])
    return find(deployment, stacks, tried.access, "deployment.yaml")


GIVEN = "response: {appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}"


def test_when_the_file_lost_the_launch_then_the_launched_appliance_is_found_by_its_tags(
    aws_account: Account, company: Company
) -> None:
    create_stack(aws_account, company, "tap-ward-epb", deployment="tap", site="ward", incident=INCIDENT)
    assert of_file(company, GIVEN, "ward-response").protections == [
        "ward-response: the CloudFormation stack tap-ward-epb (CREATE_COMPLETE), launched by an incident, would be "
        "left behind: close the incidents and wait until it is deleted, or delete it now, with its packets (aws "
        "cloudformation delete-stack --stack-name tap-ward-epb --region eu-central-1)"
    ]


@pytest.mark.parametrize(("applied", "written", "protected"), [("on", "false", True), ("off", "false", False)])
def test_when_the_file_gives_the_appliance_another_stack_name_then_it_is_found_by_its_tags(
    aws_account: Account, company: Company, applied: str, written: str, protected: bool
) -> None:
    create_stack(aws_account, company, "as-it-was", deployment="tap", site="ward", deletion_protection=applied)
    settings = f"packet_basics: {LAUNCH[:-1]}, stack_name: another, deletion_protection: {written}}}"
    said = (
        "keeps packets, and has deletion protection: set sites.ward.packet_basics.stack_name to as-it-was, as it was, "
        "and sites.ward.packet_basics.deletion_protection to false in deployment.yaml, and run make deploy "
        'ARGS="ward"'
    )
    protections = of_file(company, settings, "ward").protections
    assert [line.partition(" keeps")[0][:20] for line in protections] == (["ward: the appliance "] if protected else [])
    assert all(line.endswith(said) for line in protections)


def test_when_the_file_lost_the_response_then_the_capture_waits_for_it(aws_account: Account, company: Company) -> None:
    create_table(aws_account.client("dynamodb"), "tap-ward-response-incidents")
    assert of_file(company, SPARE, "ward").protections == [
        "ward: the response of this site, with the table tap-ward-response-incidents, still exists, and may use this "
        "capture: put sites.ward.response back into deployment.yaml, and destroy both, the response first (make "
        'destroy ARGS="ward-response ward")'
    ]
    assert of_file(company, GIVEN, "ward").protections == []


def load_balancer(account: Account, subnets: Sequence[str], *, protected: bool = True, of: Any = OURS) -> str:
    client = account.client("elbv2")
    made = client.create_load_balancer(
        Name="nlb",
        Type="network",
        Scheme="internal",
        Subnets=list(subnets),
        Tags=[*of, {"Key": "Name", "Value": "many"}],
    )["LoadBalancers"][0]["LoadBalancerArn"]
    client.modify_load_balancer_attributes(
        LoadBalancerArn=made,
        Attributes=[{"Key": "deletion_protection.enabled", "Value": "true" if protected else "false"}],
    )
    return str(made)


@pytest.mark.parametrize("targets", [SPARE, "targets: {many: {network_interface_id: eni-0123456789abcdef0}}"])
def test_when_the_file_lost_a_protected_load_balancer_then_it_is_found_by_its_tags(
    aws_account: Account, company: Company, targets: str
) -> None:
    load_balancer(aws_account, company.shop.private[:2])
    assert of_file(company, targets, "ward").protections == [
        "ward: the load balancer many has deletion protection: put sites.ward.targets.many.load_balancer back into "
        'deployment.yaml, with deletion_protection: false, and run make deploy ARGS="ward"'
    ]
    [said] = of_file(company, targets, "ward", find=find_dependents).protections
    assert said == (
        "ward: the load balancer many has deletion protection, and this deploy would delete it: put "
        "sites.ward.targets.many.load_balancer back into deployment.yaml; if it is to be deleted, first set "
        "sites.ward.targets.many.load_balancer.deletion_protection to false there, and run make deploy "
        'ARGS="ward", in a deploy of its own'
    )


def test_when_a_deploy_would_take_a_subnet_from_a_protected_load_balancer_then_it_is_found(
    aws_account: Account, company: Company
) -> None:
    kept, gone = company.shop.private[:2]
    load_balancer(aws_account, [kept, gone])

    def dependents(*subnets: str) -> list[str]:
        many = f"{{load_balancer: {{subnet_ids: [{', '.join(subnets)}], instance_ids: [i-00000001]}}}}"
        return of_file(company, f"targets: {{many: {many}}}", "ward", find=find_dependents).protections

    assert dependents(kept, gone, "subnet-0123456789abcdef0") == []
    [said] = dependents(kept, "subnet-0123456789abcdef0")
    assert said.startswith(
        "ward: the load balancer many has deletion protection, and this deploy would replace it: put "
        f"{gone} in sites.ward.targets.many.load_balancer.subnet_ids back into deployment.yaml; if it"
    )


@pytest.mark.parametrize("whose", ["unprotected", "of another site"])
def test_when_a_load_balancer_is_not_protected_or_of_another_site_then_it_does_not_stop_a_destroy(
    aws_account: Account, company: Company, whose: str
) -> None:
    other = [{"Key": "tapstack:deployment", "Value": "tap"}, {"Key": "tapstack:site", "Value": "other"}]
    subnets = company.shop.private[:2]
    load_balancer(aws_account, subnets, protected=whose != "unprotected", of=OURS if whose == "unprotected" else other)
    for find in (find_protections, find_dependents):
        assert of_file(company, SPARE, "ward", find=find) == Found([], [])


def test_when_the_file_lost_the_quarantine_group_then_what_has_it_is_found_by_its_tags(
    aws_account: Account, company: Company
) -> None:
    worn = group(aws_account, company, "tap-ward-quarantine")
    interface = company.interfaces["web-2"][0]
    aws_account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[worn])
    said = f"ward: the security group {worn} is on {interface} of {company.instances['web-2']}: "
    off = f"{SPARE}, quarantine_security_group: false"
    assert of_file(company, off, "ward").protections == [f"{said}give it another group"]
    assert of_file(company, SPARE, "ward", find=find_dependents).protections == []
    assert of_file(company, off, "ward", find=find_dependents).protections == [
        f"{said}this deploy would delete it: set sites.ward.quarantine_security_group to true in deployment.yaml; or "
        "first give it another group"
    ]
    moved = parse_deployment(
        "project: tap\nsites: {ward: {region: eu-central-1, vpc_id: vpc-0123456789abcdef0, " + SPARE + "}}\n"
    )
    access = try_credentials(moved, ["ward"]).access
    assert find_dependents(moved, ["ward"], access, "deployment.yaml").protections == [
        f"{said}this deploy would delete it: set sites.ward.vpc_id to {company.shop.id} in deployment.yaml; or first "
        "give it another group"
    ]


@pytest.mark.parametrize(
    ("settings", "back"),
    [
        ("targets: {sensor: {network_interface_id: DATABASE}}", None),
        (SPARE, "put sites.ward.targets.sensor back into"),
        (
            "targets: {sensor: {network_interface_id: eni-0123456789abcdef0}}",
            "set sites.ward.targets.sensor.network_interface_id to DATABASE in",
        ),
        (
            "targets: {sensor: {network_load_balancer_arn: 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:"
            "loadbalancer/net/nlb/0123456789abcdef'}}",
            "set sites.ward.targets.sensor.network_interface_id to DATABASE in",
        ),
        (
            "targets: {sensor: {network_interface_id: DATABASE, description: new}}",
            "take sites.ward.targets.sensor.description out of",
        ),
    ],
)
@sampled("whose", ["of others", "of an incident", "its own"], every=2)
def test_when_a_deploy_would_delete_the_target_of_a_session_then_it_is_found(
    aws_account: Account, company: Company, settings: str, back: str | None, whose: str
) -> None:
    ec2, database = aws_account.client("ec2"), company.interfaces["database"][0]
    target = ec2.create_traffic_mirror_target(
        NetworkInterfaceId=database,
        Description="Tapstack tap/ward/sensor",
        **tagged("traffic-mirror-target", ("Name", "sensor")),
    )["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    rules = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    tags = tags_of(whose)
    name, _ = session(aws_account, company, (target, rules), **tags)

    result = of_file(company, settings.replace("DATABASE", database), "ward", find=find_dependents)

    used = f"ward: the target {target} is used by the session {name}"
    lift = f"and this deploy would delete it: {(back or '').replace('DATABASE', database)} deployment.yaml; or first"
    assert result == Found(said_of(whose, name, used, lift) if back else [], [])


def tags_of(whose: str) -> dict[str, Any]:
    """Return the tags of a session that the stack, an incident or others made."""
    incident = tagged("traffic-mirror-session", ("tapstack:incident", INCIDENT))
    return {"its own": tagged("traffic-mirror-session"), "of an incident": incident, "of others": {}}[whose]


def said_of(whose: str, name: str, used: str, lift: str) -> list[str]:
    """Return what a deploy says of such a session on what it would delete."""
    return {
        "its own": [],
        "of an incident": [f"{used} of {INCIDENT}, {lift} close it (tapstack incident close {INCIDENT})"],
        "of others": [
            f"{used}, which is not of this site, {lift} delete it (aws ec2 delete-traffic-mirror-session "
            f"--traffic-mirror-session-id {name} --region eu-central-1)"
        ],
    }[whose]


def of_appliance(account: Account, stack: str) -> tuple[str, str]:
    """Return the target and the filter that the stack of an appliance made."""
    ec2 = account.client("ec2")
    of_stack = [{"Name": "tag:aws:cloudformation:stack-name", "Values": [stack]}]
    [target] = ec2.describe_traffic_mirror_targets(Filters=of_stack)["TrafficMirrorTargets"]
    [rules] = ec2.describe_traffic_mirror_filters(Filters=of_stack)["TrafficMirrorFilters"]
    return target["TrafficMirrorTargetId"], rules["TrafficMirrorFilterId"]


@pytest.mark.parametrize("whose", ["of others", "of an incident", "its own"])
@pytest.mark.parametrize(
    ("settings", "back"),
    [
        (f"packet_basics: {LAUNCH}", None),
        (f"{SPARE}, remove_packet_basics: true", "put sites.ward.packet_basics back into"),
        (
            f"packet_basics: {LAUNCH[:-1]}, stack_name: another, deletion_protection: false}}",
            "set sites.ward.packet_basics.stack_name to tap-ward-packet-basics, as it was, in",
        ),
        (
            f"packet_basics: {LAUNCH[:-1]}, stack_name: tap-ward, deletion_protection: false}}",
            "set sites.ward.packet_basics.stack_name to tap-ward-packet-basics, as it was, in",
        ),
    ],
)
def test_when_a_deploy_would_delete_the_appliance_of_a_session_then_it_is_found(
    aws_account: Account, company: Company, settings: str, back: str | None, whose: str
) -> None:
    create_stack(
        aws_account, company, "tap-ward-packet-basics", deployment="tap", site="ward", deletion_protection="off"
    )
    ids = of_appliance(aws_account, "tap-ward-packet-basics")
    tags = tags_of(whose)
    name, _ = session(aws_account, company, ids, **tags)

    result = of_file(company, settings, "ward", find=find_dependents)

    used = f"ward: the target {ids[0]} is used by the session {name}"
    lift = f"and this deploy would delete it: {back} deployment.yaml; or first"
    assert result == Found(said_of(whose, name, used, lift) if back else [], [])


def test_when_an_incident_launched_the_appliance_of_its_session_then_a_deploy_of_the_capture_keeps_it(
    aws_account: Account, company: Company
) -> None:
    create_stack(aws_account, company, "tap-ward-epb", deployment="tap", site="ward", incident=INCIDENT)
    ids = of_appliance(aws_account, "tap-ward-epb")
    session(aws_account, company, ids, **tagged("traffic-mirror-session", ("tapstack:incident", INCIDENT)))
    for settings in (SPARE, f"packet_basics: {LAUNCH}"):
        assert of_file(company, settings, "ward", find=find_dependents) == Found([], [])


def test_when_the_target_of_a_session_is_in_a_stack_of_the_appliances_then_it_stays_with_it(
    aws_account: Account, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, nested = protections._cloudformation_stack, "tap-ward-packet-basics-Mirror-1ABCDEF"

    def with_root(place: Any, name: str) -> dict[str, Any] | None:
        """AWS answers the stack that a nested one belongs to."""
        root = "arn:aws:cloudformation:eu-central-1:123456789012:stack/tap-ward-packet-basics/0a1b"
        return (stack := find(place, name)) and {**stack, "RootId": root}

    create_stack(aws_account, company, nested, deployment="tap", site="ward", deletion_protection="off")
    incident = tagged("traffic-mirror-session", ("tapstack:incident", INCIDENT))
    session(aws_account, company, of_appliance(aws_account, nested), **incident)
    settings = f"packet_basics: {LAUNCH}"
    [said] = of_file(company, settings, "ward", find=find_dependents).protections
    assert f"set sites.ward.packet_basics.stack_name to {nested}, as it was, in" in said

    monkeypatch.setattr(protections, "_cloudformation_stack", with_root)

    assert of_file(company, settings, "ward", find=find_dependents) == Found([], [])


@sampled("whose", ["of others", "of an incident", "its own"], every=2)
@sampled("made", ["by the site", "by others"], every=2)
@pytest.mark.parametrize("change", ["none", "added", "replaced"])
def test_when_a_deploy_would_replace_the_load_balancer_of_a_session_then_it_is_found(
    aws_account: Account, company: Company, change: str, made: str, whose: str
) -> None:
    kept, gone = company.shop.private[:2]
    arn = load_balancer(aws_account, [kept, gone], protected=False, of=OURS if made == "by the site" else [])
    target = aws_account.client("ec2").create_traffic_mirror_target(
        NetworkLoadBalancerArn=arn, **tagged("traffic-mirror-target", ("Name", "many"))
    )["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    rules = aws_account.client("ec2").create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    tags = tags_of(whose)
    name, _ = session(aws_account, company, (target, rules), **tags)
    new = "subnet-0123456789abcdef0"
    subnets = {"none": (gone, kept), "added": (kept, gone, new), "replaced": (kept, new)}[change]
    many = f"{{load_balancer: {{subnet_ids: [{', '.join(subnets)}], instance_ids: [i-00000001]}}}}"

    result = of_file(company, f"targets: {{many: {many}}}", "ward", find=find_dependents)

    assert len(aws_account.recorder.records(service="elasticloadbalancing", action="DescribeLoadBalancers")) == 1
    if made == "by others":
        back = f"put the load balancer {arn} back behind sites.ward.targets.many in"
    elif change == "replaced":
        back = f"put {gone} in sites.ward.targets.many.load_balancer.subnet_ids back into"
    else:
        back = ""
    assert result.warnings == []
    if not back or whose == "its own":
        assert result.protections == []
    else:
        [said] = result.protections
        assert said.startswith(f"ward: the target {target} is used by the session {name}")
        assert f", and this deploy would delete it: {back} deployment.yaml; or first " in said


@pytest.mark.parametrize("settings", [SPARE, f"{SPARE}, filters: {{web: {{preset: web}}}}"])
def test_when_a_deploy_would_delete_the_filter_of_an_incident_then_it_is_found(
    aws_account: Account, company: Company, settings: str
) -> None:
    ec2 = aws_account.client("ec2")
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=company.interfaces["database"][0])
    rules = ec2.create_traffic_mirror_filter(**tagged("traffic-mirror-filter", ("Name", "web")))["TrafficMirrorFilter"]
    ids = target["TrafficMirrorTarget"]["TrafficMirrorTargetId"], rules["TrafficMirrorFilterId"]
    name, _ = session(aws_account, company, ids, **tagged("traffic-mirror-session", ("tapstack:incident", INCIDENT)))

    said = of_file(company, settings, "ward", find=find_dependents).protections

    assert said == (
        []
        if settings != SPARE
        else [
            f"ward: the filter {ids[1]} is used by the session {name} of {INCIDENT}, and this deploy would delete it: "
            "put sites.ward.filters.web back into deployment.yaml; or first close it (tapstack incident close "
            f"{INCIDENT})"
        ]
    )


def test_when_something_may_not_be_asked_then_it_warns_and_asks_the_rest(
    aws_account: Account, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    allowed = BaseClient._make_api_call

    def call(client: Any, operation: str, arguments: Any) -> Any:
        if operation == "DescribeTrafficMirrorSessions":
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "not authorized"}}, operation)
        return allowed(client, operation, arguments)

    worn = group(aws_account, company, "q", ("tapstack:purpose", "quarantine"))
    interface = company.interfaces["web-2"][0]
    aws_account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[worn])
    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    asked = found(company, "ward-response")
    assert len(asked.protections) == 1
    [warning] = asked.warnings
    assert warning.startswith("ward-response: not checked: open incidents: 'An error occurred (UnauthorizedOperation)")


@pytest.mark.parametrize(
    ("appliance", "change", "back"),
    [
        ("{target: sensor, filter: tmf-0123456789abcdef0}", "this deploy would delete its role", "launch"),
        (f"{{launch: {LAUNCH}}}", "this deploy would take CAPABILITY_IAM from its role", "launch.capabilities"),
    ],
)
def test_when_a_launched_appliance_needs_the_role_that_a_deploy_changes_then_it_is_found(
    aws_account: Account,
    company: Company,
    appliance: str,
    change: str,
    back: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = protections._cloudformation_stack

    def with_capabilities(*arguments: Any) -> dict[str, Any] | None:
        """AWS answers the capabilities with which a stack was made, moto does not."""
        found = find(*arguments)
        return found and {**found, "Capabilities": ["CAPABILITY_IAM"]}

    monkeypatch.setattr(protections, "_cloudformation_stack", with_capabilities)

    def dependents(appliance: str) -> list[str]:
        interface = company.interfaces["web-1"][0]
        deployment = parse_deployment(
            f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
            f"    targets: {{sensor: {{network_interface_id: {interface}}}}}\n"
            f"    response: {{appliance: {appliance}}}\n"
        )
        tried = try_credentials(deployment, ["ward-response"])
        result = find_dependents(deployment, BOTH, tried.access, "deployment.yaml")
        assert result.warnings == []
        return result.protections

    assert dependents(appliance) == []
    create_stack(aws_account, company, "tap-ward-epb", deployment="tap", site="ward", incident="i")
    assert dependents(appliance) == [
        "ward-response: the CloudFormation stack tap-ward-epb (CREATE_COMPLETE), launched by an incident, still "
        f"exists, and {change}, without which CloudFormation cannot delete it: put "
        f"sites.ward.response.appliance.{back} back into deployment.yaml; or close the incidents and wait until it is "
        "deleted, or delete it now, with its packets "
        "(aws cloudformation delete-stack --stack-name tap-ward-epb --region eu-central-1)"
    ]
    assert dependents(f"{{launch: {LAUNCH[:-1]}, capabilities: [CAPABILITY_IAM]}}}}") == []


MADE = "arn:aws:iam::123456789012:policy/tap-ward-response-epb-boundary"
OTHER = "arn:aws:iam::123456789012:policy/other"


def deploying(company: Company, response: str, vpc_id: str | None = None) -> Found:
    interface = company.interfaces["web-1"][0]
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {vpc_id or company.shop.id}\n"
        f"    targets: {{sensor: {{network_interface_id: {interface}}}}}\n    response: {response}\n"
    )
    tried = try_credentials(deployment, ["ward-response"])
    return find_dependents(deployment, BOTH, tried.access, "deployment.yaml")


@sampled(
    ("had", "wanted", "back"),
    [
        (MADE, OTHER, "take sites.ward.response.appliance.launch.permissions_boundary out of"),
        (OTHER, "", "put sites.ward.response.appliance.launch.permissions_boundary back into"),
        (OTHER, MADE, "put sites.ward.response.appliance.launch.permissions_boundary back into"),
        (MADE, "", None),
        (OTHER, OTHER, None),
    ],
    every=2,
)
def test_when_a_launched_appliance_needs_the_boundary_that_a_deploy_changes_then_it_is_found(
    aws_account: Account, company: Company, had: str, wanted: str, back: str | None
) -> None:
    iam = aws_account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="tap-ward-response-epb",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]
    demand = {
        "Effect": "Deny",
        "Action": "iam:CreateRole",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"iam:PermissionsBoundary": had}},
    }
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, demand]
    iam.put_role_policy(
        RoleName="tap-ward-response-epb",
        PolicyName="appliance",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    create_stack(aws_account, company, "tap-ward-epb", role["Arn"], deployment="tap", site="ward", incident="i")
    boundary = f", permissions_boundary: '{wanted}'" if wanted else ""
    launch = f"{LAUNCH[:-1]}, capabilities: [CAPABILITY_IAM]{boundary}}}"

    result = deploying(company, f"{{appliance: {{launch: {launch}}}}}")

    assert result.warnings == []
    if back is None:
        assert result.protections == []
    else:
        [said] = result.protections
        assert f"this deploy would take the permissions boundary {had} from its role, without which" in said
        assert f"CloudFormation cannot delete it: {back} deployment.yaml; or close the incidents" in said


@pytest.mark.parametrize(
    ("containment", "elsewhere", "back"),
    [
        ("", False, "sites.ward.response.containment"),
        (", containment: {}", False, None),
        (", containment: {two_step: {enabled: true}}", False, None),
        (", containment: {}", True, "{vpc} in sites.ward.response.containment.vpc_ids"),
        (", containment: {vpc_ids: [vpc-0123456789abcdef0]}", True, "{vpc} in sites.ward.response.containment.vpc_ids"),
    ],
)
def test_when_a_deploy_would_delete_the_group_of_a_contained_instance_then_it_is_found(
    aws_account: Account, company: Company, containment: str, elsewhere: bool, back: str | None
) -> None:
    worn = group(aws_account, company, "q", ("tapstack:purpose", "quarantine"))
    group(aws_account, company, "worn by none", ("tapstack:purpose", "quarantine"))
    interface = company.interfaces["web-2"][0]
    aws_account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[worn])
    vpc_id = "vpc-0fedcba9876543210" if elsewhere else None

    result = deploying(company, f"{{appliance: {{launch: {LAUNCH}}}{containment}}}", vpc_id)

    said = (
        f"ward-response: the security group {worn} is on {interface} of {company.instances['web-2']}: this deploy "
        f"would delete it: put {(back or '').format(vpc=company.shop.id)} back into deployment.yaml; or release the "
        "instance first (tapstack incident release ID)"
    )
    assert result == Found([said] if back else [], [])


@pytest.mark.parametrize("two_step", ["true", "false"])
def test_when_a_deploy_would_delete_the_open_group_that_an_instance_has_then_it_is_found(
    aws_account: Account, company: Company, two_step: str
) -> None:
    worn = group(aws_account, company, "u", ("tapstack:purpose", "untrack"))
    interface = company.interfaces["web-2"][0]
    aws_account.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[worn])

    result = deploying(
        company, f"{{appliance: {{launch: {LAUNCH}}}, containment: {{two_step: {{enabled: {two_step}}}}}}}"
    )

    assert [f"the security group {worn} is on {interface}" in line for line in result.protections] == (
        [True] if two_step == "false" else []
    )
    assert all("put sites.ward.response.containment.two_step.enabled back" in line for line in result.protections)


def test_when_a_stack_of_that_name_is_not_the_deployments_then_nothing_depends_on_the_role(
    aws_account: Account, company: Company
) -> None:
    create_stack(aws_account, company, "tap-ward-epb")
    text = (
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
        "    response: {appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}\n"
    )
    deployment = parse_deployment(text)
    tried = try_credentials(deployment, ["ward-response"])
    assert find_dependents(deployment, BOTH, tried.access, "deployment.yaml") == Found([], [])


@sampled(
    ("order", "deployed", "names", "number"),
    [
        (("a", "b"), {"a": 1, "b": 2}, "", 0),
        (("b", "a"), {"a": 1, "b": 2}, "a and b", 3),
        (("b", "c", "a"), {"a": 1, "b": 2, "c": 3}, "a and b and c", 4),
        (("c", "b", "a"), {"c": 1, "a": 2, "b": 3}, "a and b", 4),
        # Somewhere to go: a second apply completes it.
        (("c", "a", "b"), {"a": 1, "b": 2}, "", 0),
        (("b", "a"), {"a": 1, "b": 2, "incident": 3}, "a and b", 4),
        (("b", "a"), {"a": 1, "another": 2}, "", 0),
    ],
    every=2,
)
def test_when_groups_of_sessions_would_exchange_their_numbers_then_it_is_found(
    aws_account: Account, company: Company, order: tuple[str, ...], deployed: dict[str, int], names: str, number: int
) -> None:
    ec2 = aws_account.client("ec2")
    target, mirror_filter = target_and_filter(aws_account, company)
    interface, sensor = company.interfaces["web-2"][0], company.interfaces["database"][0]
    for group, had in deployed.items():
        of_incident = [("tapstack:incident", INCIDENT)] if group == "incident" else []
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=interface,
            TrafficMirrorTargetId=target,
            TrafficMirrorFilterId=mirror_filter,
            SessionNumber=had,
            Description=f"Tapstack tap/ward/{group}",
            **tagged("traffic-mirror-session", *of_incident),
        )
    groups = ", ".join(f"{name}: {{target: sensor, filter: web, sources: [{interface}]}}" for name in order)
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
        f"    targets: {{sensor: {{network_interface_id: {sensor}}}}}\n    filters: {{web: {{preset: web}}}}\n"
        f"    sessions: {{{groups}}}\n"
    )
    result = find_dependents(deployment, ["ward"], try_credentials(deployment, ["ward"]).access, "deployment.yaml")

    said = (
        f"ward: the groups of sessions {names} would exchange their numbers on {interface}, which AWS refuses (Session "
        "number N is in use): restore their order in deployment.yaml; or give sites.ward.sessions.a "
        f"session_number: {number}, and apply again where AWS says in use"
    )
    assert result == Found([said] if names else [], [])


def test_when_a_group_in_front_leaves_the_interface_then_nothing_is_exchanged(
    aws_account: Account, company: Company
) -> None:
    ec2 = aws_account.client("ec2")
    target, mirror_filter = target_and_filter(aws_account, company)
    shared, elsewhere = company.interfaces["web-2"][0], company.interfaces["web-1"][0]
    for interface, number, name in ((shared, 1, "a"), (shared, 2, "b"), (elsewhere, 2, "b")):
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=interface,
            TrafficMirrorTargetId=target,
            TrafficMirrorFilterId=mirror_filter,
            SessionNumber=number,
            Description=f"Tapstack tap/ward/{name}",
            **tagged("traffic-mirror-session"),
        )
    group = "{{target: sensor, filter: web, sources: [{}]}}".format
    settings = (
        f"targets: {{sensor: {{network_interface_id: {company.interfaces['database'][0]}}}}}, "
        f"filters: {{web: {{preset: web}}}}, sessions: {{b: {group(elsewhere)}, a: {group(shared)}}}"
    )
    assert of_file(company, settings, "ward", find=find_dependents) == Found([], [])


@sampled(
    ("groups", "said"),
    [
        (
            {"a": (None, 2), "b": (None, 1)},
            "restore their numbers in deployment.yaml; or give the source {interface} of "
            "sites.ward.sessions.a session_number: 3",
        ),
        (
            {"a": (2, None), "b": (None, 1)},
            "restore their numbers in deployment.yaml; or give sites.ward.sessions.a session_number: 3",
        ),
        (
            {"a": (None, 2), "b": (32766, 1)},
            "restore their numbers in deployment.yaml; or give the source {interface} of "
            "sites.ward.sessions.a session_number: 32765",
        ),
        ({"a": (None, 1), "b": (None, 2)}, None),
        ({"a": (2, 1), "b": (1, 2)}, None),
        ({"a": (None, 2), "b": (None, 3)}, None),
        ({"a": (None, 2)}, None),
        ({"b": (1, None)}, None),
    ],
    every=2,
)
def test_when_sources_with_numbers_of_their_own_would_exchange_them_then_it_is_found(
    aws_account: Account, company: Company, groups: dict[str, tuple[int | None, int | None]], said: str | None
) -> None:
    ec2 = aws_account.client("ec2")
    target, mirror_filter = target_and_filter(aws_account, company)
    interface, sensor = company.interfaces["web-2"][0], company.interfaces["database"][0]
    elsewhere = company.interfaces["web-1"][0]
    for number, group in enumerate(("a", "b"), start=1):
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=interface,
            TrafficMirrorTargetId=target,
            TrafficMirrorFilterId=mirror_filter,
            SessionNumber=number,
            Description=f"Tapstack tap/ward/{group}",
            **tagged("traffic-mirror-session"),
        )
    sessions = {
        name: {
            "target": "sensor",
            "filter": "web",
            **({"session_number": of_group} if of_group else {}),
            "sources": [
                {"network_interface_id": interface, **({"session_number": of_source} if of_source else {})},
                *([elsewhere] if of_group == 32766 else []),
            ],
        }
        for name, (of_group, of_source) in groups.items()
    }
    site = {
        "region": "eu-central-1",
        "vpc_id": company.shop.id,
        "targets": {"sensor": {"network_interface_id": sensor}},
        "filters": {"web": {"preset": "web"}},
        "sessions": sessions,
    }
    deployment = parse_deployment(json.dumps({"project": "tap", "sites": {"ward": site}}))
    result = find_dependents(deployment, ["ward"], try_credentials(deployment, ["ward"]).access, "deployment.yaml")

    assert result.warnings == []
    assert [line for line in result.protections if "exchange" in line] == (
        [
            f"ward: the groups of sessions a and b would exchange their numbers on {interface}, which AWS refuses "
            f"(Session number N is in use): {said.format(interface=interface)}, and apply again where AWS says in use"
        ]
        if said
        else []
    )


def with_appliance(company: Company, find: Find = find_dependents, protection: str = "true") -> Found:
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
        f"    packet_basics: {LAUNCH[:-1]}, deletion_protection: {protection}}}\n"
    )
    return find(deployment, ["ward"], try_credentials(deployment, ["ward"]).access, "deployment.yaml")


def fail_to_create(account: Account, company: Company, role_arn: str = "", **tags: str) -> dict[str, Any]:
    create_stack(account, company, "tap-ward-packet-basics", role_arn, subnet="subnet-0123456789abcdef0", **tags)
    stack = account.client("cloudformation").describe_stacks(StackName="tap-ward-packet-basics")["Stacks"][0]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    return dict(stack)


@pytest.mark.parametrize("role", [False, True])
def test_when_the_creation_of_the_appliance_failed_then_a_deploy_names_the_commands_that_lead_on(
    aws_account: Account, company: Company, role: bool
) -> None:
    arn = administrator(aws_account) if role else ""
    stack = fail_to_create(aws_account, company, arn, deployment="tap", site="ward", deletion_protection="on")
    records = "terraform_data.packet-basics_Place_F57E90B9" + (
        " terraform_data.packet-basics_PlaceWithRole_4723AFC7" if role else ""
    )
    options = "--stack-name tap-ward-packet-basics --region eu-central-1"
    assert with_appliance(company) == Found(
        [
            "ward: the appliance was never created, and its CloudFormation stack tap-ward-packet-basics can only be "
            f"deleted (ROLLBACK_COMPLETE: {stack['StackStatusReason']}): remove the cause, delete the stack, and the "
            f"record of the place (aws cloudformation delete-stack {options} && aws cloudformation wait "
            f"stack-delete-complete {options} && terraform -chdir=cdktf.out/stacks/ward state rm {records}); then run "
            "the same command again"
        ],
        [],
    )


def test_when_the_creation_of_the_appliance_failed_then_nothing_but_the_setting_protects_it(
    aws_account: Account, company: Company
) -> None:
    fail_to_create(aws_account, company, deployment="tap", site="ward", deletion_protection="on")
    assert with_appliance(company, find_protections).protections == [
        "ward: the appliance was never created (CloudFormation stack tap-ward-packet-basics, ROLLBACK_COMPLETE), and "
        "Terraform keeps what it recorded of it: set sites.ward.packet_basics.deletion_protection to false in "
        "deployment.yaml"
    ]
    assert with_appliance(company, find_protections, "false") == Found([], [])


def test_when_the_failed_stack_is_another_ones_or_the_appliance_exists_then_a_deploy_goes_on(
    aws_account: Account, company: Company
) -> None:
    fail_to_create(aws_account, company)
    assert with_appliance(company) == Found([], [])
    aws_account.client("cloudformation").delete_stack(StackName="tap-ward-packet-basics")
    create_stack(aws_account, company, "tap-ward-packet-basics", deployment="tap", site="ward")
    assert with_appliance(company) == Found([], [])


@pytest.mark.parametrize("status", ["ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_when_a_failed_stack_has_not_ended_then_a_deploy_waits(
    aws_account: Account, company: Company, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    stack = fail_to_create(aws_account, company, deployment="tap", site="ward")
    monkeypatch.setattr(protections, "_cloudformation_stack", lambda *_: {**stack, "StackStatus": status})
    assert with_appliance(company) == Found(
        [
            f"ward: the CloudFormation stack tap-ward-packet-basics is in {status}: wait until that has ended (aws "
            "cloudformation describe-stacks --stack-name tap-ward-packet-basics --region eu-central-1), and run the "
            "same command again"
        ],
        [],
    )


ANOTHER = (
    "give sites.ward.filters.web another name wherever deployment.yaml names it, so that it is made anew before "
    "sessions leave this one"
)


def filter_with(account: Account, *numbers: int, direction: str = "egress") -> str:
    """Make the filter `web`, whose rule of number N is about TCP to port N."""
    ec2 = account.client("ec2")
    made = ec2.create_traffic_mirror_filter(**tagged("traffic-mirror-filter", ("Name", "web")))["TrafficMirrorFilter"]
    for number in numbers:
        ec2.create_traffic_mirror_filter_rule(
            TrafficMirrorFilterId=made["TrafficMirrorFilterId"],
            TrafficDirection=direction,
            RuleNumber=number,
            RuleAction="accept",
            Protocol=6,
            DestinationPortRange={"FromPort": number, "ToPort": number},
            SourceCidrBlock="0.0.0.0/0",
            DestinationCidrBlock="0.0.0.0/0",
        )
    return str(made["TrafficMirrorFilterId"])


def changing_rules(company: Company, *rules: str, name: str = "web") -> Found:
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
        f"    targets: {{sensor: {{network_interface_id: {company.interfaces['database'][0]}}}}}\n"
        f"    filters: {{{name}: {{rules: [{', '.join(rules)}]}}}}\n"
    )
    return find_dependents(deployment, ["ward"], try_credentials(deployment, ["ward"]).access, "deployment.yaml")


def tcp(port: int, number: int | None = None) -> str:
    given = "" if number is None else f", number: {number}"
    return f"{{direction: egress, protocol: tcp, destination_ports: {port}{given}}}"


def test_when_rules_would_change_with_a_loss_of_packets_then_both_remedies_are_shown(
    aws_account: Account, company: Company
) -> None:
    target, _ = target_and_filter(aws_account, company)
    made = filter_with(aws_account, 100, 200, 300)
    taken_out = (tcp(200), tcp(300))
    assert changing_rules(company, *taken_out) == Found([], []), "no session uses the filter"

    session(aws_account, company, (target, made), **tagged("traffic-mirror-session"))

    assert changing_rules(company, *taken_out) == Found(
        [
            f"ward: the filter web ({made}) would not mirror egress packets while this deploy changes its rules, which "
            f"rule 200 mirrors now and rule 100 afterwards: {ANOTHER}; or, where rules are only taken out, write at "
            "each of the others the number that it has now"
        ],
        [],
    )
    assert changing_rules(company, tcp(200, 200), tcp(300, 300)) == Found([], [])
    assert changing_rules(company, *taken_out, name="renamed") == Found([], [])
    assert changing_rules(company, tcp(80), tcp(100), tcp(200), tcp(300)) == Found([], [])


@pytest.mark.parametrize(("new", "most"), [(4, 0), (5, 11)])
def test_when_old_and_new_rules_are_too_many_together_then_that_is_reported_before_a_rule_is_created(
    aws_account: Account, company: Company, new: int, most: int
) -> None:
    made = filter_with(aws_account, *range(1, 5), direction="ingress")
    ec2 = aws_account.client("ec2")
    for number in (50, 60):
        ec2.create_traffic_mirror_filter_rule(
            TrafficMirrorFilterId=made,
            TrafficDirection="egress",
            RuleNumber=number,
            RuleAction="reject",
            SourceCidrBlock="::/0",
            DestinationCidrBlock="::/0",
        )
    said = (
        f"ward: the filter web ({made}) would need {most} rules while this deploy changes them, because new ones are "
        f"made before old ones are deleted, and AWS takes 10: {ANOTHER}"
    )
    assert changing_rules(company, *(tcp(port, port) for port in range(1, new + 1))) == Found(
        [said] if most else [], []
    )


def using(company: Company, appliance: str, *stacks: str, target: str = "sensor", source: str = "database") -> Found:
    """What is found before a deploy of a site whose response uses its capture."""
    basics = f"{LAUNCH[:-1]}, stack_name: basics}}"
    deployment = parse_deployment(
        f"project: tap\nsites:\n  ward:\n    region: eu-central-1\n    vpc_id: {company.shop.id}\n"
        f"    packet_basics: {basics}\n    filters: {{web: {{preset: web}}}}\n"
        f"    targets: {{{target}: {{network_interface_id: {company.interfaces[source][0]}}}}}\n"
        f"    response: {{appliance: {appliance}}}\n"
    )
    return find_dependents(deployment, stacks, try_credentials(deployment, stacks).access, "deployment.yaml")


@sampled(
    ("appliance", "missing"),
    [
        ("{}", "packet_basics (the CloudFormation stack basics)"),
        ("{target: sensor, filter: web}", "target sensor and filter web"),
        (
            "{target: sensor, filter: packet_basics}",
            "packet_basics (the CloudFormation stack basics) and target sensor",
        ),
    ],
    every=3,
)
def test_when_a_response_is_deployed_without_the_capture_that_it_uses_then_the_command_that_comes_first_is_named(
    company: Company, appliance: str, missing: str
) -> None:
    assert using(company, appliance, "ward-response") == Found(
        [
            f"ward-response: it uses {missing} of ward, not found in account 123456789012: deploy the capture first "
            '(make deploy ARGS="ward")'
        ],
        [],
    )
    assert using(company, appliance, "ward", "ward-response") == Found([], [])


def test_when_the_capture_that_a_response_uses_was_deployed_then_nothing_is_said(
    aws_account: Account, company: Company
) -> None:
    target_and_filter(aws_account, company)
    assert using(company, "{target: sensor, filter: web}", "ward-response") == Found([], [])


@pytest.mark.parametrize("deployed", [True, False])
def test_when_a_target_is_renamed_by_a_deploy_of_the_capture_alone_then_the_response_is_named(
    aws_account: Account, company: Company, deployed: bool
) -> None:
    target_and_filter(aws_account, company)
    if deployed:
        create_table(aws_account.client("dynamodb"), "tap-ward-response-incidents")
    renamed = using(company, "{target: probe, filter: web}", "ward", target="probe")
    said = (
        "ward: ward-response uses target probe, which this deploy makes, once it is deployed as well, and until then "
        'what it used before, which this deploy may delete: run make deploy ARGS="ward-response" right afterwards'
    )
    assert renamed == Found([], [said] if deployed else [])
    assert using(company, "{target: probe, filter: web}", "ward", "ward-response", target="probe") == Found([], [])


def test_when_a_deploy_of_the_capture_alone_replaces_a_target_under_its_name_then_the_response_is_named(
    aws_account: Account, company: Company
) -> None:
    target_and_filter(aws_account, company)
    create_table(aws_account.client("dynamodb"), "tap-ward-response-incidents")
    appliance = "{target: sensor, filter: web}"
    assert using(company, appliance, "ward") == Found([], [])
    assert using(company, appliance, "ward", source="web-1") == Found(
        [],
        [
            "ward: ward-response uses target sensor, which this deploy makes, once it is deployed as well, and until "
            'then what it used before, which this deploy may delete: run make deploy ARGS="ward-response" right '
            "afterwards"
        ],
    )
    assert using(company, appliance, "ward", "ward-response", source="web-1") == Found([], [])
