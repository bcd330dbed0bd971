"""What is asked before a deploy, a destroy or a diff is allowed to the roles of docs/iam."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from scripts import deploying_policies as deploying
from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.company import IMAGE, found_company
from strictmoto.identity.principals import assume
from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.workspace.credentials import Access, try_credentials
from tapstack.workspace.protections import Found, find_dependents, find_protections
from tests.response_by_hand import create_table
from tests.strictmoto.trusting import TRUST

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/iam"
STACKS: Final = ("production-response", "production")
PLANNING: Final = tuple(sorted(file.name for file in FOLDER.glob("plan*.json")))
APPLYING: Final = tuple(sorted(file.name for file in FOLDER.glob("apply-*.json")))


@pytest.fixture
def deployment(aws_account: Account) -> Deployment:
    """The names of the example, in the account."""
    create_table(aws_account.client("dynamodb"), "tapstack-production-response-incidents")
    company = found_company(aws_account)
    tags = {"tapstack:deployment": "tapstack", "tapstack:site": "production", "Name": "many"}
    aws_account.client("elbv2").create_load_balancer(
        Name="nlb",
        Type="network",
        Scheme="internal",
        Subnets=list(company.shop.private[:2]),
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    return parse_deployment(
        f"project: tapstack\nsites:\n  production:\n    region: eu-central-1\n"
        f"    vpc_id: {company.shop.id}\n    response:\n      containment: {{}}\n"
        "      appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}\n"
    )


def access(
    account: Account,
    deployment: Deployment,
    policies: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    stacks: Sequence[str] = STACKS,
) -> dict[str, Access]:
    """The account as a role with these policies reaches it, IAM enforced."""
    iam = account.client("iam")
    role = iam.create_role(RoleName="deploying", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    for name in policies:
        document = (FOLDER / name).read_text(encoding="utf-8").replace("111122223333", ACCOUNT_ID)
        iam.put_role_policy(RoleName="deploying", PolicyName=name.removesuffix(".json"), PolicyDocument=document)
    keys = assume(role, "terraform", "eu-central-1")
    environment = {
        **account.environment,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_SESSION_TOKEN": keys.session_token,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(account, "enforces_iam", True)
    tried = try_credentials(deployment, stacks)
    assert tried.errors == []
    return dict(tried.access)


@pytest.mark.parametrize("find", [find_dependents, find_protections])
def test_when_the_role_that_applies_checks_protections_then_it_is_allowed(
    find: Callable[..., Found], aws_account: Account, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = access(aws_account, deployment, [*PLANNING, *APPLYING], monkeypatch)
    assert find(deployment, STACKS, reached, "deployment.yaml").warnings == []


@pytest.mark.parametrize(
    ("find", "landing"), [(find_protections, ""), (find_dependents, "bucket: lake")], ids=["destroy", "deploy"]
)
def test_when_a_bucket_of_telemetry_is_to_be_deleted_then_the_role_that_applies_finds_that_it_is_protected(
    find: Callable[..., Found],
    landing: str,
    aws_account: Account,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3, bucket = aws_account.client("s3"), f"tapstack-production-xdr-{ACCOUNT_ID}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    protected = {"TagSet": [{"Key": "tapstack:deletion-protection", "Value": "on"}]}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=protected)
    s3.put_object(Bucket=bucket, Key="flow/a.gz", Body=b"x")
    vpc_id = deployment.sites["production"].vpc_id
    telemetry = parse_deployment(
        f"project: tapstack\nsites: {{production: {{region: eu-central-1, vpc_id: {vpc_id}, "
        f"xdr: {{landing: {{{landing}}}}}}}}}"
    )
    reached = access(aws_account, telemetry, [*PLANNING, *APPLYING], monkeypatch, stacks=("production-xdr",))

    found = find(telemetry, ["production-xdr"], reached, "deployment.yaml")

    assert found.warnings == []
    (protection,) = found.protections
    assert f"the bucket {bucket}, which holds objects, has deletion protection" in protection


@pytest.mark.parametrize("policies", [[*PLANNING, *APPLYING], ["plan.json"]], ids=["applies", "plans"])
def test_when_the_secret_of_a_webhook_is_to_be_deleted_then_both_roles_find_it(
    policies: Sequence[str], aws_account: Account, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets, iam = aws_account.client("secretsmanager"), aws_account.client("iam")
    name = "tapstack-production-response/webhooks/hunters"
    arn = secrets.create_secret(Name=name, SecretString="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")["ARN"]
    iam.create_role(RoleName="tapstack-production-response-alerts", AssumeRolePolicyDocument=TRUST)
    read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": [arn]}
    iam.put_role_policy(
        RoleName="tapstack-production-response-alerts",
        PolicyName="responder",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [read]}),
    )
    reached = access(aws_account, deployment, policies, monkeypatch)
    warnings = find_dependents(deployment, STACKS, reached, "deployment.yaml").warnings
    assert [one for one in warnings if f"deletes the secret {name} for good" in one]
    assert not [one for one in warnings if "not checked: secrets" in one]


def test_when_the_role_that_plans_asks_then_it_warns_of_the_two_that_it_may_not_ask(
    aws_account: Account, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = access(aws_account, deployment, ["plan.json"], monkeypatch)
    found = find_dependents(deployment, STACKS, reached, "deployment.yaml")
    assert [warning.split(": ")[2] for warning in found.warnings] == [
        "prior states of contained instances",
        "launched appliances",
    ]


def test_when_the_role_that_plans_reads_user_data_then_it_may_only_that_of_the_deployments_instances(
    aws_account: Account, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = aws_account.client("ec2")
    launched = [
        ec2.run_instances(
            ImageId=IMAGE,
            MinCount=1,
            MaxCount=1,
            UserData="secret",
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "tapstack:deployment", "Value": project}]}
            ],
        )["Instances"][0]["InstanceId"]
        for project in ("tapstack", "another")
    ]
    # Both attributes that Terraform's data source of an instance reads apart from user data, and that one.
    attributes: tuple[Any, ...] = ("disableApiStop", "disableApiTermination", "userData")
    session = access(aws_account, deployment, ["plan.json"], monkeypatch)["production"].session
    planning = session.client("ec2", region_name="eu-central-1")

    before = len(aws_account.recorder.records())
    for attribute in attributes:
        planning.describe_instance_attribute(InstanceId=launched[0], Attribute=attribute)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        planning.describe_instance_attribute(InstanceId=launched[1], Attribute="userData")

    allowed = [call for call in aws_account.recorder.records()[before:] if not call.error]
    recording = deploying.Recording(
        [("plan", "production", call) for call in allowed], {launched[0]: {"tapstack:deployment": "tapstack"}}
    )
    [rendered] = json.loads(deploying.render(deploying.by_policy(recording))["plan.json"])["Statement"]
    written = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))["Statement"]
    assert rendered in written
    assert deploying.refusals(recording, {"plan.json": {"Statement": written}}) == []


@pytest.mark.parametrize(("policies", "incident"), [([*PLANNING, *APPLYING], "inc-1"), (["plan.json"], "ID")])
def test_when_an_instance_is_contained_then_the_role_that_applies_finds_the_incident_to_release(
    policies: Sequence[str],
    incident: str,
    aws_account: Account,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ec2 = aws_account.client("ec2")
    vpc_id = deployment.sites["production"].vpc_id
    tags = {"tapstack:deployment": "tapstack", "tapstack:site": "production", "tapstack:purpose": "quarantine"}
    group = ec2.create_security_group(
        GroupName="isolated",
        Description="isolated",
        VpcId=vpc_id,
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )["GroupId"]
    instances = ec2.describe_instances(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Reservations"]
    instance = instances[0]["Instances"][0]
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    aws_account.client("dynamodb").put_item(
        TableName="tapstack-production-response-incidents",
        Item={
            "pk": {"S": f"CONTAINMENT#{instance['InstanceId']}"},
            "sk": {"S": "CONTAINMENT"},
            "listing": {"S": "containment"},
            "opened_at": {"S": "2026-01-02T03:04:05Z"},
            "instance_id": {"S": instance["InstanceId"]},
            "holders": {"SS": ["inc-1"]},
        },
    )
    reached = access(aws_account, deployment, policies, monkeypatch)
    found = find_protections(deployment, STACKS, reached, "deployment.yaml").protections
    assert (
        f"production-response: the security group {group} is on {interface} of {instance['InstanceId']}: release the "
        f"instance (tapstack incident release {incident})"
    ) in found
