"""The steps of "Connect Hunters" in docs/xdr.md one after the other, with real Terraform in an account that IAM guards.

What the page has as code is what is done here. What it says that Hunters does, or its console, is done as Hunters, with
the reader's role. Step 7, the way back, is what `make rehearse` and tests/unit/test_webhook_of_xdr.py show.
"""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import ClientError

from stacks.synthesis import synthesize
from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.company import Company, found_company
from strictmoto.identity.principals import Credentials, found_role
from strictmoto.testing.snapshot import differences, take_snapshot
from tapstack.cli import main
from tapstack.domain.regions import AccountRegion
from tapstack.rehearsal.deployment import SiteDeployment
from tapstack.rehearsal.xdr.reader import Reader, find_reader
from tapstack.settings.load import parse_deployment
from tests.terraform.conftest import Terraform, as_the_role_that_applies, clean_environment

pytestmark = [pytest.mark.terraform, pytest.mark.rehearsal, pytest.mark.long]

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/xdr.md").read_text(encoding="utf-8")
STEPS: Final = re.split(
    r"^\d\. ", PAGE.partition("### Connect Hunters\n")[2].partition("\n### ")[0], flags=re.MULTILINE
)[1:]
REGION: Final = "eu-central-1"
VENDOR: Final = "777788889999"
COLLECTOR: Final = f"arn:aws:iam::{ACCOUNT_ID}:role/edr-collector"
SECONDS: Final = 60


def code(text: str, begin: str) -> str:
    """Return the one piece of code of a text that begins so, in one line."""
    [found] = {" ".join(one.split()) for one in re.findall(r"`([^`]+)`", text) if one.startswith(begin)}
    return found


def block(language: str, begin: str) -> str:
    """Return the first block of code of the page that begins so."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return next(one for one in found if one.startswith(begin))


class Operator:
    """Who follows the steps."""

    def __init__(self, account: Account, directory: Path) -> None:
        self.account, self.directory = account, directory
        self.company: Company = found_company(account)
        self.detector = account.client("guardduty", region=REGION).create_detector(Enable=True)["DetectorId"]
        found_role(COLLECTOR)
        self.file = directory / "deployment.yaml"
        # The example of the page, with what is the operator's own.
        self.document = yaml.safe_load(block("yaml", "sites:\n  production:\n    xdr:\n"))
        site = self.document["sites"]["production"]
        site |= {
            "region": REGION,
            "vpc_id": self.company.shop.id,
            "filters": {"web": {"preset": "web"}},
            "response": {
                "appliance": {"target": "tmt-0123456789abcdef0", "filter": "tmf-0123456789abcdef0"},
                "alerts": {"sources": {"hunters": {"preset": "hunters", "webhook": True}}},
            },
        }
        self.xdr: dict[str, Any] = site["xdr"]
        self.xdr["landing"]["deletion_protection"] = False
        self.xdr["guardduty"]["detector_id"] = self.detector
        self.xdr["feeds"]["edr"]["principals"] = [COLLECTOR]
        # All that a deployment needs is in the policies of docs/iam.
        self._deploys: Credentials = as_the_role_that_applies(account)

    @property
    def hunters(self) -> dict[str, Any]:
        """The reader in the file."""
        reader: dict[str, Any] = self.xdr["readers"]["hunters"]
        return reader

    def write(self) -> None:
        self.file.write_text(yaml.safe_dump(self.document), encoding="utf-8")

    def deploy(self, command: str) -> dict[str, SiteDeployment]:
        """Apply what `make deploy ARGS="..."` names; return the stacks by name."""
        found = re.fullmatch(r'make deploy ARGS="([^"]+)"', command)
        assert found is not None
        deployment = parse_deployment(self.file.read_text(encoding="utf-8"))
        out = self.directory / "cdktf.out"
        assert synthesize(deployment, self.directory, out) == []
        stacks = {
            name: SiteDeployment(out / "stacks" / name, self.account, lambda _: None, credentials=self._deploys)
            for name in found[1].split()
        }
        for stack in stacks.values():
            stack.apply()
        return stacks

    def shell(self, command: str) -> str:
        """Return what a command prints."""
        return subprocess.run(
            shlex.split(command),
            cwd=self.directory,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout

    def aws(self, command: str, **values: str) -> Any:
        """Do what a command of the AWS CLI does, with values in place of words in capitals; return AWS's answer."""
        _, service, action, *options = (values.get(word, word) for word in shlex.split(command))
        client = self.account.client({"s3api": "s3"}.get(service, service), region=REGION)
        [operation] = [one for one in client.meta.service_model.operation_names if xform_name(one, "-") == action]
        members = {
            xform_name(one, "-"): one
            for one in client.meta.service_model.operation_model(operation).input_shape.members
        }
        given = zip(options[::2], options[1::2], strict=True)
        return getattr(client, xform_name(operation))(
            **{members[name[2:]]: json.loads(value) if value.startswith("{") else value for name, value in given}
        )

    def as_hunters(self, service: str, role: str, external_id: str) -> Any:
        """Return a client with the role of the reader, which Hunters assumes."""
        sts = self.account.client("sts", region=REGION, role_arn=f"arn:aws:iam::{VENDOR}:role/ingestion")
        asked = {"RoleArn": role, "RoleSessionName": "hunters", "ExternalId": external_id}
        keys = sts.assume_role(**asked)["Credentials"]
        return boto3.client(
            service,
            REGION,
            endpoint_url=self.account.endpoint,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    def until_landed(self, bucket: str, prefix: str) -> str:
        """Return the key of the first object below a prefix, once it is there."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            found = self.account.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())
            if keys := [one["Key"] for one in found if not one["Key"].endswith("/")]:
                return str(keys[0])
            time.sleep(0.2)
        raise AssertionError(f"nothing landed below {prefix}")


@pytest.fixture
def operator(terraform: Terraform, aws_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    assert terraform
    found = Operator(aws_account, tmp_path)
    for name, value in aws_account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("TAPSTACK_DEPLOYMENT", str(found.file))
    return found


def test_when_the_steps_are_followed_then_hunters_reads_what_lands_and_nothing_else(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    account = operator.account

    def tapstack(command: str) -> str:
        capsys.readouterr()
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr()
        return capsys.readouterr().out

    # 1. The portal shows an account and an external id.
    external_id = str(uuid.uuid4())
    operator.hunters["vendor"] = {"principal": VENDOR, "external_id": external_id}
    reader = reader_of(operator)
    reader.found()
    before = take_snapshot(account, region=REGION)

    # 2. The reader is in the file.
    operator.write()
    tapstack(code(STEPS[1], "tapstack check"))
    stacks = operator.deploy(code(STEPS[1], "make deploy "))

    # 3. The outputs, as they are printed.
    printed = operator.shell(code(STEPS[2], "terraform "))
    bucket, role = (
        re.search(pattern, printed, re.MULTILINE)[1]  # type: ignore[index]
        for pattern in (r'^landing_bucket = "(.+)"$', r'^reader_role_arns = \{\n +"hunters" = "(.+)"\n\}')
    )

    # 4. and 5. Hunters gets both, assumes the role, and makes its topics and the notifications.
    reader.connect({"landing_bucket": bucket, "reader_role_arns": {"hunters": role}})
    [topic] = [one["TopicArn"] for one in account.client("sns", region=REGION).list_topics()["Topics"]]
    assert f":{code(STEPS[4], 'hunters-ingestion').rstrip('.')}" in topic
    with pytest.raises(ClientError, match="AuthorizationError"):
        operator.as_hunters("sns", role, external_id).create_topic(Name="others")
    assert [stack.changes() for stack in stacks.values()] == [{}, {}]
    with_notifications = account.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    assert with_notifications["TopicConfigurations"][0]["TopicArn"] == topic

    # 6. Something lands below each prefix. What GuardDuty and the response would send is made here.
    [interface, *_] = operator.company.interfaces["web-1"]
    reader.log_flows([(interface, "10.0.0.10")])
    sample = shlex.split(code(STEPS[5], "aws guardduty create-sample-findings"))
    assert sample[3:6:2] == ["--detector-id", "--finding-types"]
    resource = {"resourceType": "Instance", "instanceDetails": {"instanceId": operator.company.instances["web-1"]}}
    account.findings.publish({"type": sample[6], "severity": 5, "resource": resource}, region=REGION)
    event = json.loads(block("json", '{\n  "version": 1,')) | {"deployment": "tapstack"}
    entry = {"Source": "tapstack", "DetailType": "Tapstack Incident Telemetry", "Detail": json.dumps(event)}
    assert account.client("events", region=REGION).put_events(Entries=[entry])["FailedEntryCount"] == 0
    collector = account.client("s3", region=REGION, role_arn=COLLECTOR)
    collector.put_object(Bucket=bucket, Key="feeds/edr/a.json.gz", Body=gzip.compress(b'{"a": 1}\n'))
    account.client("s3").put_object(Bucket=bucket, Key="unmatched/hunters/a.json", Body=b"{}")
    landed = {
        prefix: operator.until_landed(bucket, prefix)
        for prefix in ("flow/AWSLogs/", "guardduty/AWSLogs/", "incidents/v1/", "feeds/edr/")
    }
    status = shlex.split(code(STEPS[5], "tapstack xdr status"))[1:]
    assert main(status) == 2
    shown, unread = capsys.readouterr()
    assert "the table tapstack-production-response-incidents cannot be read" in unread
    for prefix in ("flow/", "guardduty/", "incidents/v1/", "feeds/edr/"):
        assert re.search(rf"^\s*{prefix}\s+.*\d{{4}}-\d\d-\d\d", shown, re.MULTILINE), shown

    # Hunters gets each, in the form that the step names; the schema of an event is published.
    s3 = operator.as_hunters("s3", role, external_id)
    for prefix, key in landed.items():
        assert key in [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
        lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).decode().splitlines()
        assert lines
        if prefix.startswith("flow"):
            assert lines[0].startswith("version account-id interface-id ")
        else:
            assert all(isinstance(json.loads(line), dict) for line in lines), prefix
    assert len(reader.read_flows([interface])) == 2
    reader.check_notified()
    assert reader.check_refused("unmatched/hunters/a.json")[0] == "reading unmatched/hunters/a.json"
    assumed = account.recorder.records(service="sts", action="AssumeRole")
    assert [one for one in assumed if VENDOR in one.principal and one.requested["RoleArn"] == role]

    # 5., set later: it leaves what Hunters made, and the commands remove that.
    operator.hunters["notifications"] = "none"
    operator.write()
    stacks = operator.deploy(code(STEPS[1], "make deploy "))
    assert "TopicConfigurations" in account.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    with pytest.raises(ClientError, match="AccessDenied"):
        operator.as_hunters("s3", role, external_id).put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={}
        )
    account.client("sns", region=REGION).delete_topic(TopicArn=topic)
    operator.aws(code(STEPS[4], "aws s3api put-bucket-notification-configuration"), BUCKET=bucket)
    assert "TopicConfigurations" not in account.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    assert [stack.changes() for stack in stacks.values()] == [{}, {}]

    for stack in reversed(stacks.values()):
        stack.destroy()
    assert differences(before, take_snapshot(account, region=REGION)) == []


def reader_of(operator: Operator) -> Reader:
    """Return Hunters, as far as AWS sees it."""
    operator.write()
    xdr = parse_deployment(operator.file.read_text(encoding="utf-8")).sites["production"].xdr
    assert xdr is not None
    found = find_reader(operator.account, xdr, AccountRegion(ACCOUNT_ID, REGION), lambda _: None)
    assert found is not None
    return found
