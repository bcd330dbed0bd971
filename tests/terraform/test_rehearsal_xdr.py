"""The telemetry of a site, deployed with real Terraform into the rehearsal account, from nothing to nothing.

One preset of each shape of trust, with queues that share a prefix. test_rehearsal_connecting_hunters.py has the preset
that makes the notifications itself.
"""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from joserfc import jwk, jwt

from stacks.synthesis import synthesize
from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.company import found_company
from strictmoto.ec2.flow_records import Flow
from strictmoto.identity.principals import Credentials, assume, found_role
from strictmoto.testing.snapshot import differences, take_snapshot
from tapstack.rehearsal.deployment import DeploymentFailedError, SiteDeployment
from tapstack.settings.load import parse_deployment
from tests.terraform.conftest import Terraform, as_the_role_that_applies

pytestmark = [pytest.mark.terraform, pytest.mark.rehearsal, pytest.mark.long]

REGION = "eu-central-1"
ID = "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"
AGENT = f"arn:aws:iam::{ACCOUNT_ID}:role/agent"
VENDOR = "444455556666"
"""An account that reads, and whose flow logs the landing takes; from another one it takes none."""
STRANGER = "777788889999"
SESSION = f"MicrosoftSentinel_{ID}"
ISSUER = "https://sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/"
AUDIENCE = "api://1462b192-27f7-4cb9-8523-0f4ecb54b47e"
SIGNER = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
ASSUME = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
READERS = f"""
        vendor: {{preset: cortex, prefixes: [flow], vendor: {{principal: "{VENDOR}", external_id: {ID}}}}}
        sentinel: {{preset: sentinel, prefixes: [flow, guardduty],
                   oidc: {{session_name: {SESSION},
                           thumbprints: [626d44e704d1ceabe3bf0d53397464ac8080142c]}}}}
        agent: {{preset: elastic, prefixes: [flow, feeds/edr], own: {{principals: ["{AGENT}"]}}}}
"""
RESPONSE = """
    response: {appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}
"""


def owner_of(account_id: str) -> str:
    """Return the ARN of an administrator of another account."""
    return f"arn:aws:iam::{account_id}:role/owner"


def document(actions: str | list[str], principal: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Site:
    """A site with telemetry, in an account that enforces IAM."""

    def __init__(self, account: Account, directory: Path) -> None:
        self.account, self._directory = account, directory
        self.company = found_company(account)
        iam = account.client("iam")
        trust = document("sts:AssumeRole", {"AWS": ACCOUNT_ID})
        iam.create_role(RoleName="agent", AssumeRolePolicyDocument=trust)
        # Another account's roles are made by whom its own policies would not let in.
        account.enforces_iam = False
        vendor = account.client("iam", role_arn=f"arn:aws:iam::{VENDOR}:role/founder")
        vendor.create_role(RoleName="ingest", AssumeRolePolicyDocument=trust)
        vendor.put_role_policy(
            RoleName="ingest",
            PolicyName="assume",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [ASSUME]}),
        )
        account.issuers.add(ISSUER, [SIGNER.as_dict(private=False)])
        self.detector = account.client("guardduty", region=REGION).create_detector(Enable=True)["DetectorId"]
        # Everything that a deployment of telemetry needs is in the policies of docs/iam.
        self._credentials = as_the_role_that_applies(account, "apply-xdr*.json")
        self.before = take_snapshot(account, region=REGION)

    def deploy(
        self, readers: str, flow_logs: str = "{}", *, protected: bool = False, with_response: bool = False
    ) -> SiteDeployment:
        """Synthesize, and return what Terraform deploys: of a response what writes the events of its incidents."""
        text = f"""
sites:
  ward:
    region: {REGION}
    vpc_id: {self.company.shop.id}
    quarantine_security_group: false
    xdr:
      landing: {{flow_log_accounts: ["444455556666"], deletion_protection: {str(protected).lower()}}}
      flow_logs: {flow_logs}
      guardduty: {{detector_id: {self.detector}}}
      feeds: {{edr: {{principals: ["{AGENT}"]}}}}
      readers:{readers}
{RESPONSE if with_response else ""}"""
        return self._synthesized(text, "ward-xdr", self._credentials)

    def deploy_elsewhere(self, vpc_id: str, outputs: dict[str, Any]) -> SiteDeployment:
        """Synthesize a site of the other account, whose flow logs go into this landing, as its outputs name it."""
        text = f"""
sites:
  annex:
    region: {REGION}
    vpc_id: {vpc_id}
    quarantine_security_group: false
    xdr:
      landing: {{bucket: {outputs["landing_bucket"]}, bucket_key_arn: "{outputs["landing_key_arn"]}"}}
      flow_logs: {{}}
"""
        return self._synthesized(text, "annex-xdr", assume(owner_of(VENDOR), "terraform", REGION))

    def _synthesized(self, text: str, stack: str, credentials: Credentials) -> SiteDeployment:
        out = self._directory / stack
        assert synthesize(parse_deployment(text), self._directory, out) == []
        return SiteDeployment(out / "stacks" / stack, self.account, lambda _: None, credentials=credentials)

    def network_of(self, account_id: str) -> tuple[str, str]:
        """Return a VPC of another account, with an interface in it."""
        found_role(owner_of(account_id))
        ec2 = self.account.client("ec2", region=REGION, role_arn=owner_of(account_id))
        [vpc] = ec2.describe_vpcs()["Vpcs"]
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        made = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        return vpc["VpcId"], made

    def client(self, service: str, credentials: dict[str, str] | None = None) -> Any:
        """Return a client with an answer of STS, or without credentials."""
        keys: dict[str, Any] = (
            {"config": Config(signature_version=UNSIGNED)}
            if credentials is None
            else {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        )
        return boto3.client(service, REGION, endpoint_url=self.account.endpoint, **keys)

    def as_vendor(self, role: str, external_id: str = ID) -> dict[str, str]:
        """Assume a role from the vendor's account."""
        sts = self.account.client("sts", region=REGION, role_arn=f"arn:aws:iam::{VENDOR}:role/ingest")
        return dict(sts.assume_role(RoleArn=role, RoleSessionName="reader", ExternalId=external_id)["Credentials"])

    def as_sentinel(self, role: str, session_name: str = SESSION) -> dict[str, str]:
        """Assume a role with a token of Sentinel's provider."""
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "any", "exp": int(time.time()) + 300}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, SIGNER, algorithms=["RS256"])
        asked = {"RoleArn": role, "RoleSessionName": session_name, "WebIdentityToken": token}
        return dict(self.client("sts").assume_role_with_web_identity(**asked)["Credentials"])

    def as_agent(self, role: str, by: str = "agent") -> dict[str, str]:
        """Assume a role as a role of the account's own."""
        sts = self.account.client("sts", region=REGION, role_arn=f"arn:aws:iam::{ACCOUNT_ID}:role/{by}")
        return dict(sts.assume_role(RoleArn=role, RoleSessionName="reader")["Credentials"])


@pytest.fixture
def site(terraform: Terraform, aws_account: Account, tmp_path: Path) -> Site:
    assert terraform
    return Site(aws_account, tmp_path)


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_when_telemetry_is_deployed_then_a_second_plan_is_empty_readers_read_and_destroy_deletes_all(
    site: Site,
) -> None:
    # With what writes events of incidents: its rule, its queue, its function.
    deployed = site.deploy(READERS, with_response=True)
    outputs = deployed.apply()
    [rule] = site.account.client("events", region=REGION).list_rules(NamePrefix="tapstack-ward-xdr")["Rules"]
    assert rule["State"] == "ENABLED"
    bucket = outputs["landing_bucket"]
    assert bucket == f"tapstack-ward-xdr-{ACCOUNT_ID}"
    assert set(outputs["reader_role_arns"]) == set(outputs["reader_queue_urls"]) == {"vendor", "sentinel", "agent"}
    assert deployed.changes() == {}

    # AWS added nothing to the policy, because it found what it needs.
    policy = json.loads(site.account.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == [
        "DenyInsecureTransport",
        "AWSLogDeliveryWrite",
        "AWSLogDeliveryAclCheck",
        "AllowFeed1",
        "DenyFeedsReading",
        "DenyFeedPutElsewhere1",
        "AllowGuardDutyLocation",
        "AllowGuardDutyPut",
    ]
    _readers_read(site, outputs)
    _other_accounts_deliver(site, outputs)
    deployed.destroy()
    assert differences(site.before, take_snapshot(site.account, region=REGION)) == []


def _readers_read(site: Site, outputs: dict[str, Any]) -> None:
    """What each role may do, it does; the queue of each hears of what landed below its prefixes."""
    bucket, s3 = outputs["landing_bucket"], site.account.client("s3")
    for key in ("flow/a.gz", "guardduty/b.gz", "feeds/edr/c.gz", "unmatched/d", "incidents/v1/e.gz"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    roles, urls = outputs["reader_role_arns"], outputs["reader_queue_urls"]
    reads = {
        "vendor": (site.as_vendor(roles["vendor"]), ("flow/a.gz",)),
        "sentinel": (site.as_sentinel(roles["sentinel"]), ("flow/a.gz", "guardduty/b.gz")),
        "agent": (site.as_agent(roles["agent"]), ("flow/a.gz", "feeds/edr/c.gz")),
    }
    # Nobody else assumes them.
    guess = "9d41c07a-5be2-4f36-8c1d-07a2f6e3b594"
    assert refused(site.as_vendor, role=roles["vendor"], external_id=guess) == "AccessDenied"
    assert (
        refused(site.as_sentinel, role=roles["sentinel"], session_name=f"MicrosoftSentinel_{guess}") == "AccessDenied"
    )
    assert refused(site.as_agent, role=roles["vendor"]) == "AccessDenied"
    for name, (credentials, keys) in reads.items():
        reader, sqs = site.client("s3", credentials), site.client("sqs", credentials)
        for key in keys:
            assert reader.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
        for key in ("unmatched/d", "incidents/v1/e.gz"):
            assert refused(reader.get_object, Bucket=bucket, Key=key) == "AccessDenied"
        assert refused(reader.put_object, Bucket=bucket, Key=keys[0], Body=b"y") == "AccessDenied"
        assert refused(reader.list_objects_v2, Bucket=bucket) == "AccessDenied"
        assert refused(reader.list_objects_v2, Bucket=bucket, Prefix="unmatched/") == "AccessDenied"
        url = urls[name]
        heard = set()
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                records = json.loads(message["Body"]).get("Records", ())
                heard |= {record["s3"]["object"]["key"] for record in records}
        assert heard - {"guardduty/", "guardduty/AWSLogs/"} == set(keys), name
    lists = site.client("s3", reads["sentinel"][0])
    assert [each["Key"] for each in lists.list_objects_v2(Bucket=bucket, Prefix="flow/")["Contents"]] == ["flow/a.gz"]
    # What produces a feed puts it, and reads nothing.
    producer = site.account.client("s3", region=REGION, role_arn=AGENT)
    producer.put_object(Bucket=bucket, Key="feeds/edr/new.gz", Body=b"z")
    assert refused(producer.put_object, Bucket=bucket, Key="feeds/other/new.gz", Body=b"z") == "AccessDenied"
    assert refused(producer.get_object, Bucket=bucket, Key="feeds/edr/new.gz") == "AccessDenied"
    # Not with a policy of its own account, either; only with the reader's role. Nor does that let it put elsewhere.
    iam = site.account.client("iam")
    own = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="agent",
        PolicyName="everything",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [own]}),
    )
    for key in ("feeds/edr/new.gz", "flow/a.gz"):
        assert refused(producer.get_object, Bucket=bucket, Key=key) == "AccessDenied"
        assert refused(producer.delete_object, Bucket=bucket, Key=key) == "AccessDenied"
    assert refused(producer.list_objects_v2, Bucket=bucket, Prefix="flow/") == "AccessDenied"
    for key in ("incidents/v1/forged.gz", "feeds/other/new.gz", "feeds/edr-other/new.gz"):
        assert refused(producer.put_object, Bucket=bucket, Key=key, Body=b"z") == "AccessDenied"
    producer.put_object(Bucket=bucket, Key="feeds/edr/more.gz", Body=b"z")
    iam.delete_role_policy(RoleName="agent", PolicyName="everything")
    reader = site.client("s3", site.as_agent(roles["agent"]))
    assert reader.get_object(Bucket=bucket, Key="feeds/edr/new.gz")["Body"].read() == b"z"


def _other_accounts_deliver(site: Site, outputs: dict[str, Any]) -> None:
    """Flow logs of an account that the landing lists land and are read; those of another one are refused by AWS."""
    bucket, (vpc_id, interface) = outputs["landing_bucket"], site.network_of(VENDOR)
    theirs = site.deploy_elsewhere(vpc_id, outputs)
    theirs.apply()
    assert theirs.changes() == {}
    flow = Flow(interface, "198.51.100.9", "172.31.0.9", 50_000, 443)
    [name] = site.account.flow_records.write(flow, region=REGION, account=VENDOR)
    key = name.removeprefix(f"{bucket}/")
    assert key.startswith(f"flow/AWSLogs/{VENDOR}/vpcflowlogs/{REGION}/")

    credentials = site.as_sentinel(outputs["reader_role_arns"]["sentinel"])
    reader, sqs = (site.client(service, credentials) for service in ("s3", "sqs"))
    assert key in [each["Key"] for each in reader.list_objects_v2(Bucket=bucket, Prefix="flow/")["Contents"]]
    found = reader.get_object(Bucket=bucket, Key=key)
    assert found["SSEKMSKeyId"] == outputs["landing_key_arn"]
    [_, record] = gzip.decompress(found["Body"].read()).decode().splitlines()
    assert record.split()[:4] == ["2", VENDOR, interface, "198.51.100.9"]
    [message] = sqs.receive_message(QueueUrl=outputs["reader_queue_urls"]["sentinel"])["Messages"]
    assert key in message["Body"]

    vpc_id, _ = site.network_of(STRANGER)
    asked = {"TrafficType": "ALL", "LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{bucket}/flow"}
    stranger = site.account.client("ec2", region=REGION, role_arn=owner_of(STRANGER))
    refusals = stranger.create_flow_logs(ResourceType="VPC", ResourceIds=[vpc_id], **asked)["Unsuccessful"]
    assert [each["Error"]["Message"] for each in refusals] == [
        f"Access Denied for LogDestination: {bucket}. Please check LogDestination permission"
    ]
    theirs.destroy()


def test_fails_when_a_protected_bucket_holds_objects_and_their_key_stays(site: Site) -> None:
    deployed = site.deploy(" {}", protected=True)
    bucket = deployed.apply()["landing_bucket"]
    s3, kms = site.account.client("s3"), site.account.client("kms", region=REGION)
    s3.put_object(Bucket=bucket, Key="flow/a.gz", Body=b"x")
    # Terraform alone: nothing asks before it begins.
    with pytest.raises(DeploymentFailedError, match="BucketNotEmpty"):
        deployed.destroy()
    key = kms.describe_key(KeyId=s3.head_object(Bucket=bucket, Key="flow/a.gz")["SSEKMSKeyId"])["KeyMetadata"]
    assert key["KeyState"] == "Enabled"

    deployed = site.deploy(" {}")
    deployed.apply()
    deployed.destroy()
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert differences(site.before, take_snapshot(site.account, region=REGION)) == []


def test_when_records_and_files_go_back_to_the_default_then_the_flow_logs_are_replaced(site: Site) -> None:
    deployed = site.deploy(" {}", "{traffic: REJECT, file_format: parquet, record_format: extended}")
    deployed.apply()
    for given, changed in (
        ("{traffic: REJECT, file_format: parquet}", "log_format"),
        ("{traffic: REJECT, file_format: text}", "destination_options"),
    ):
        deployed = site.deploy(" {}", given)
        [(address, actions)] = deployed.changes().items()
        assert (address.split(".")[0], sorted(actions)) == ("aws_flow_log", ["create", "delete"]), changed
        deployed.apply_planned()
        assert deployed.changes() == {}
    [log] = site.account.client("ec2", region=REGION).describe_flow_logs()["FlowLogs"]
    assert (len(log["LogFormat"].split()), log["DestinationOptions"]["FileFormat"]) == (14, "plain-text")
    assert log["TrafficType"] == "REJECT"
    deployed.destroy()
    assert differences(site.before, take_snapshot(site.account, region=REGION)) == []
