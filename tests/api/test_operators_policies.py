"""The policies of docs/iam/operators: with each its command works, without any action of it the command fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import ACCOUNT_ID, REGION, Account
from strictmoto.faults import Fault
from strictmoto.identity.principals import Credentials
from tapstack.cli import main
from tapstack.domain.names import dead_letters_name, incidents_table_name
from tapstack.domain.own_names import METRICS_NAMESPACE, WEBHOOKS_REFUSED, metric_dimensions
from tapstack.domain.table_names import CONTAINED
from tapstack.domain.telemetry import (
    event_dead_letters_name,
    event_queue_name,
    landing_bucket_name,
    reader_dead_letters_name,
    reader_queue_name,
)
from tapstack.domain.webhook_secrets import alert_dead_letters_name, alert_queue_name, webhook_secret_name
from tapstack.responder.store.items import of_listing
from tests.response_by_hand import create_table
from tests.strictmoto.trusting import TRUST

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/iam/operators"
PROJECT, SITE = "tapstack", "production"
FILE: Final = f"""\
project: {PROJECT}
sites:
  {SITE}:
    region: {REGION}
    vpc_id: vpc-0a1b2c3d4e5f60718
    xdr:
      flow_logs: {{}}
      readers:
        siem: {{preset: elastic, own: {{principals: ["arn:aws:iam::{ACCOUNT_ID}:role/siem"]}}, prefixes: [flow]}}
    response:
      appliance: {{target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}
      alerts: {{sources: {{hunters: {{preset: hunters, webhook: true}}}}}}
"""
COMMANDS: Final = {
    "rotate-secret": ["rotate-secret", "--source", "hunters", "--output", "secret"],
    "xdr-status": ["status"],
}
UNMATCHED: Final = "xdr-unmatched"
"""Of the command that the notification of an unmatched alert has: `aws s3 cp`, of the AWS CLI."""
TABLE: Final = incidents_table_name(PROJECT, SITE)
SECRET: Final = webhook_secret_name(PROJECT, SITE, "hunters")
BUCKET: Final = landing_bucket_name(PROJECT, SITE, ACCOUNT_ID)
QUEUES: Final = (
    alert_queue_name(PROJECT, SITE),
    alert_dead_letters_name(PROJECT, SITE),
    dead_letters_name(PROJECT, SITE),
    event_queue_name(PROJECT, SITE),
    event_dead_letters_name(PROJECT, SITE),
    reader_queue_name(PROJECT, SITE, "siem"),
    reader_dead_letters_name(PROJECT, SITE, "siem"),
)


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """What is tried here is what IAM refuses."""
    return True


@pytest.fixture(scope="module")
def account(aws_account_server: Account) -> Iterator[Account]:
    """An account with what the commands read and write of a site, encrypted as its stacks encrypt it."""
    aws_account_server.reset()
    key = aws_account_server.client("kms").create_key(
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                },
            }
        ),
        Tags=[{"TagKey": "tapstack:deployment", "TagValue": PROJECT}],
    )["KeyMetadata"]["Arn"]
    encrypted = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    create_table(aws_account_server.client("dynamodb"), TABLE, SSESpecification=encrypted)
    aws_account_server.client("secretsmanager").create_secret(Name=SECRET, KmsKeyId=key)
    for name in QUEUES:
        aws_account_server.client("sqs").create_queue(QueueName=name)
    aws_account_server.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    yield aws_account_server
    aws_account_server.reset()


def policy(name: str) -> dict[str, Any]:
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.replace("111122223333", ACCOUNT_ID))
    return found


def actions_of(statement: dict[str, Any]) -> list[str]:
    given = statement["Action"]
    return [given] if isinstance(given, str) else list(given)


def without_each(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each action that a policy has, and the policy without it."""
    statements = whole["Statement"]
    for index, statement in enumerate(statements):
        for action in actions_of(statement):
            left = [one for one in actions_of(statement) if one != action]
            changed = [{**statement, "Action": left}] if left else []
            yield action, {**whole, "Statement": [*statements[:index], *changed, *statements[index + 1 :]]}


@pytest.fixture
def session(account: Account) -> Callable[[dict[str, Any]], Credentials]:
    """Gives the credentials of a new role that has a policy alone."""

    def made(document: dict[str, Any]) -> Credentials:
        iam = account.client("iam")
        name = f"operator-{len(iam.list_roles()['Roles'])}"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="command", PolicyDocument=json.dumps(document))
        return account.assume(role)

    return made


@pytest.fixture
def run(
    account: Account,
    session: Callable[[dict[str, Any]], Credentials],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str, dict[str, Any]], int]:
    """Runs the command of a policy with the credentials of a role that has another one."""
    monkeypatch.chdir(tmp_path)
    Path("deployment.yaml").write_text(FILE)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def ran(command: str, document: dict[str, Any]) -> int:
        Path("secret").unlink(missing_ok=True)
        for name, value in {**account.environment, **session(document).as_environment()}.items():
            monkeypatch.setenv(name, value)
        # The answer is lost: the client repeats the call, and Secrets Manager compares both values.
        account.faults.add(Fault("PutSecretValue", "lost after", call=1))
        try:
            return main(["xdr", *COMMANDS[command]])
        finally:
            account.faults.clear()

    return ran


def test_every_policy_has_a_command() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == {*COMMANDS, UNMATCHED}


@pytest.mark.parametrize("name", COMMANDS)
def test_when_an_operator_has_a_policy_then_its_command_works_and_without_any_action_it_fails(
    name: str, run: Callable[[str, dict[str, Any]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, policy(name)) == 0, capsys.readouterr().err

    for action, rest in without_each(policy(name)):
        capsys.readouterr()
        assert run(name, rest) == 2, action
        assert f"is not authorized to perform: {action}" in capsys.readouterr().err


def test_when_an_operator_has_the_policy_for_unmatched_alerts_then_it_reads_one_and_without_any_action_it_does_not(
    account: Account, session: Callable[[dict[str, Any]], Credentials]
) -> None:
    key = account.client("secretsmanager").describe_secret(SecretId=SECRET)["KmsKeyId"]
    one, other = "unmatched/hunters/a.json", "flow/a"
    for name in (one, other):
        account.client("s3").put_object(
            Bucket=BUCKET, Key=name, Body=b"{}", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
        )

    def read(document: dict[str, Any], name: str) -> bytes:
        client = account.client_with(session(document), "s3")
        # As `aws s3 cp` does.
        client.head_object(Bucket=BUCKET, Key=name)
        found: bytes = client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return found

    whole = policy(UNMATCHED)
    assert read(whole, one) == b"{}"
    for name, document in ((other, whole), *((one, rest) for _, rest in without_each(whole))):
        with pytest.raises(ClientError, match="403|not authorized|AccessDenied"):
            read(document, name)


def test_when_webhooks_were_refused_then_status_says_how_many_and_when_the_last_one(
    account: Account, run: Callable[[str, dict[str, Any]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(site: str, at: datetime) -> dict[str, Any]:
        dimensions = metric_dimensions(PROJECT, site)
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        return {"MetricName": WEBHOOKS_REFUSED, "Dimensions": named, "Value": 1, "Unit": "Count", "Timestamp": at}

    assert run("xdr-status", policy("xdr-status")) == 0
    assert "no webhook of a source was refused in the last 7 days" in capsys.readouterr().out
    last = datetime.now(UTC) - timedelta(hours=1)
    account.client("cloudwatch").put_metric_data(
        Namespace=METRICS_NAMESPACE,
        MetricData=[
            refused(SITE, last),
            refused(SITE, last - timedelta(days=3)),
            refused(SITE, last - timedelta(days=7)),
            refused("another", last),
        ],
    )

    assert run("xdr-status", policy("xdr-status")) == 0
    said = re.search(r"2 webhooks of sources refused in the last 7 days, .* from (\S+)Z\n", capsys.readouterr().out)
    assert said is not None
    begin = datetime.fromisoformat(f"{said[1]}+00:00")
    assert timedelta(0) <= last - begin < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("name", "service", "method", "given"),
    [
        ("rotate-secret", "secretsmanager", "get_secret_value", {"SecretId": SECRET}),
        ("xdr-status", "dynamodb", "query", {"TableName": TABLE, **of_listing(CONTAINED)}),
        ("xdr-status", "dynamodb", "get_item", {"TableName": TABLE, "Key": {"pk": {"S": "a"}, "sk": {"S": "a"}}}),
        ("xdr-status", "s3", "get_object", {"Bucket": BUCKET, "Key": "unmatched/a"}),
    ],
)
def test_fails_when_an_operator_reads_what_its_command_does_not(
    account: Account,
    session: Callable[[dict[str, Any]], Credentials],
    name: str,
    service: str,
    method: str,
    given: dict[str, Any],
) -> None:
    client = account.client_with(session(policy(name)), service)
    with pytest.raises(ClientError, match="is not authorized to perform"):
        getattr(client, method)(**given)
