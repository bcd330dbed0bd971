"""The reader of a rehearsal, where IAM is enforced: it reads what landed, and says what is missing or too much."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from strictmoto.account import ACCOUNT_ID, REGION, Account
from strictmoto.company import found_company
from tapstack.domain.regions import AccountRegion
from tapstack.rehearsal.errors import RehearsalFailedError
from tapstack.rehearsal.xdr import reader as module
from tapstack.rehearsal.xdr.actor import Xdr
from tapstack.rehearsal.xdr.reader import Reader, expected_events, find_reader
from tapstack.settings.load import parse_deployment
from tapstack.settings.xdr import Xdr as Telemetry
from tests.sampling import sampled

VENDOR = "777788889999"
ID = "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"
BUCKET = "landing"
ARN = f"arn:aws:s3:::{BUCKET}"
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/reader"
HERE = AccountRegion(ACCOUNT_ID, REGION)
HUNTERS = f'{{preset: hunters, prefixes: [flow, incidents], vendor: {{principal: "{VENDOR}", external_id: {ID}}}}}'
CORTEX = f'{{preset: cortex, prefixes: [incidents], vendor: {{principal: "{VENDOR}", external_id: {ID}}}}}'
OWN = f'{{prefixes: [incidents], own: {{principals: ["arn:aws:iam::{ACCOUNT_ID}:role/agent"]}}}}'
SENTINEL = f"{{preset: sentinel, prefixes: [incidents], oidc: {{session_name: MicrosoftSentinel_{ID}}}}}"
FLOWS_ONLY = HUNTERS.replace("[flow, incidents]", "[flow]").replace("hunters,", "hunters, notifications: none,")
INCIDENT = {
    "id": "inc-1",
    "containment": {"mode": "approval"},
    "timeline": [
        {"what": what}
        for what in (
            *("opened", "launching", "capturing", "joined", "packets seen", "containment requested"),
            *("containment approved", "contained", "release requested", "released", "close requested", "closed"),
        )
    ],
}
EVENTS = (
    *("opened", "mirroring", "joined", "packets_seen", "approval_asked", "decided", "contained", "released"),
    "closed",
)


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """IAM is what is tried."""
    return True


SITE = f"""
sites:
  a:
    region: {REGION}
    vpc_id: vpc-00000001
    response: {{appliance: {{target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}}}
"""


def xdr_of(readers: str) -> Telemetry:
    text = f"{SITE}    xdr: {{flow_logs: {{}}, readers: {readers}}}\n"
    found = parse_deployment(text).sites["a"].xdr
    assert found is not None
    return found


class Landing:
    """A landing with a reader, made by a few calls in place of Terraform."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.said: list[str] = []
        self.s3 = account.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self._number = 0

    def reader(self, text: str = HUNTERS, name: str = "hunters", **more: Any) -> Reader:
        """Return a reader that is connected, with a role that may do what is given besides reading."""
        reader = find_reader(self.account, xdr_of(f"{{{name}: {text}}}"), HERE, self.said.append)
        assert reader is not None
        reader.found()
        statements = [
            {"Action": "s3:GetObject", "Resource": [f"{ARN}/incidents/*", f"{ARN}/flow/*"]},
            {
                "Action": "s3:ListBucket",
                "Resource": ARN,
                "Condition": {"StringLike": {"s3:prefix": ["incidents/*", "flow/*"]}},
            },
            {"Action": ["s3:PutBucketNotification", "sns:*", "sqs:*"], "Resource": "*"},
            *([more["allowed"]] if "allowed" in more else []),
        ]
        trust = {"Action": "sts:AssumeRole", "Principal": {"AWS": more.get("trusted", VENDOR)}}
        if more.get("with_id", True):
            trust["Condition"] = {"StringEquals": {"sts:ExternalId": ID}}
        iam = self.account.client("iam")
        iam.create_role(RoleName="reader", AssumeRolePolicyDocument=_document([trust]))
        iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=_document(statements))
        urls = {"reader_queue_urls": {name: more["queue"]}} if "queue" in more else {}
        reader.connect({"landing_bucket": BUCKET, "reader_role_arns": {name: ROLE}, **urls})
        return reader

    def lands(self, *events: str, incident: str = "inc-1") -> None:
        """Have events land, one second after the other."""
        for what in events:
            self._number += 1
            time = f"2026-11-28T12:00:{self._number:02}.000Z"
            event = {"id": f"{incident}-{self._number}", "what": what, "time": time, "incident": {"id": incident}}
            key = f"incidents/v1/2026/11/28/{time}-{self._number}-{what}.json.gz"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(json.dumps(event).encode()))


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


@pytest.fixture
def landing(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> Landing:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    return Landing(aws_account)


def test_when_an_incident_ended_then_its_timeline_says_what_it_owes() -> None:
    assert sorted(expected_events(INCIDENT).elements()) == sorted(EVENTS)
    at_once = {**INCIDENT, "containment": {"mode": "now"}}
    assert set(expected_events(at_once)) == {*EVENTS} - {"approval_asked"}


@pytest.mark.parametrize(
    ("readers", "expected"),
    [
        (f"{{hunters: {HUNTERS}}}", ("hunters", VENDOR)),
        (f"{{sentinel: {SENTINEL}, agent: {OWN}}}", ("agent", ACCOUNT_ID)),
        (f"{{sentinel: {SENTINEL}}}", None),
        (f"{{hunters: {FLOWS_ONLY}}}", None),
        (f"{{agent: {OWN.replace(':role/', ':user/')}}}", None),
    ],
)
def test_when_a_reader_of_incidents_trusts_a_role_or_an_account_then_it_is_played(
    aws_account: Account, readers: str, expected: tuple[str, str] | None
) -> None:
    found = find_reader(aws_account, xdr_of(readers), HERE, print)
    assert (found and (found.name, found.account_id)) == expected


def test_when_all_has_landed_then_it_is_read_with_the_role_and_nothing_is_left(landing: Landing) -> None:
    company = found_company(landing.account)
    [eni, *_] = company.interfaces["web-1"]
    ec2 = landing.account.client("ec2")
    landing.account.enforces_iam = False
    ec2.create_flow_logs(
        ResourceIds=[company.shop.id],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=f"{ARN}/flow/",
    )
    landing.account.enforces_iam = True
    reader = landing.reader()
    landing.s3.put_bucket_policy(Bucket=BUCKET, Policy=DELIVERY)
    landing.lands(*EVENTS)
    landing.lands("opened", incident="inc-2")
    reader.log_flows([(eni, "10.0.0.10")])
    landing.s3.put_object(Bucket=BUCKET, Key="unmatched/hunters/a.json", Body=b"{}")

    assert [event["what"] for event in reader.read(INCIDENT)] == [*EVENTS]
    records = reader.read_flows([eni])
    reader.check_notified()
    refused = reader.check_refused("unmatched/hunters/a.json")
    reader.disconnect()

    assert [(record["dstaddr"], record["action"]) for record in records] == [
        ("203.0.113.7", "ACCEPT"),
        ("10.0.0.10", "REJECT"),
    ]
    assert refused[0] == "reading unmatched/hunters/a.json"
    assert "refused: another external id" in landing.said
    assert "the topic hunters-ingestion-rehearsal announced each of the 11 objects" in landing.said
    assert landing.account.client("sns").list_topics()["Topics"] == []
    assert "TopicConfigurations" not in landing.s3.get_bucket_notification_configuration(Bucket=BUCKET)


DELIVERY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["s3:PutObject", "s3:GetBucketAcl"],
                "Resource": [ARN, f"{ARN}/*"],
            }
        ],
    }
)


def test_when_the_role_may_not_list_then_its_queue_says_what_there_is(landing: Landing) -> None:
    sqs = landing.account.client("sqs")
    url = sqs.create_queue(QueueName="reader")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:reader"
    may = {"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _document([may])})
    notified = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    landing.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=notified)
    reader = landing.reader(CORTEX, "cortex", queue=url)
    landing.lands(*EVENTS)

    assert [event["what"] for event in reader.read(INCIDENT)] == [*EVENTS]
    reader.check_notified()
    assert "its queue announced each of the 9 objects" in landing.said


@sampled(
    ("events", "message"),
    [
        (EVENTS[:-1], "closed is missing"),
        ((*EVENTS, "contained"), "contained was not to be there, or not so often"),
        ((*EVENTS[1:],), "opened is missing"),
        ((*EVENTS, "failed"), "failed was not to be there, or not so often"),
    ],
    every=2,
)
def test_fails_when_an_event_is_missing_or_too_much(landing: Landing, events: tuple[str, ...], message: str) -> None:
    reader = landing.reader()
    landing.lands(*events)
    with pytest.raises(RehearsalFailedError, match=f"incidents/v1/ of landing: {message}$"):
        reader.read(INCIDENT)


def test_fails_when_the_role_is_assumed_with_another_external_id(landing: Landing) -> None:
    with pytest.raises(RehearsalFailedError, match="role/reader was not refused another external id"):
        landing.reader(with_id=False)


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ({"Action": "s3:ListBucket", "Resource": ARN}, "was not refused listing unmatched/ and listing all of the"),
        ({"Action": "s3:GetObject", "Resource": f"{ARN}/*"}, "was not refused reading unmatched/a"),
        ({"Action": "s3:PutObject", "Resource": f"{ARN}/*"}, "was not refused putting into incidents/v1/"),
    ],
)
def test_fails_when_the_role_may_do_more(landing: Landing, allowed: dict[str, str], message: str) -> None:
    reader = landing.reader(allowed=allowed)
    landing.s3.put_object(Bucket=BUCKET, Key="unmatched/a", Body=b"{}")
    with pytest.raises(RehearsalFailedError, match=message):
        reader.check_refused("unmatched/a")


def test_fails_when_the_reader_is_not_notified(landing: Landing) -> None:
    reader = landing.reader()
    landing.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    landing.lands("opened")
    with pytest.raises(RehearsalFailedError, match=r"hunters was not notified of incidents/v1/\S+-opened\.json\.gz$"):
        reader.check_notified()


def test_fails_when_the_flow_logs_of_the_vpc_deliver_nothing(landing: Landing) -> None:
    reader = landing.reader()
    [eni, *_] = found_company(landing.account).interfaces["web-1"]
    with pytest.raises(RehearsalFailedError, match="the flow logs of the VPC delivered nothing into landing"):
        reader.log_flows([(eni, "10.0.0.10")])


def test_when_iam_is_not_enforced_then_no_refusal_is_expected(landing: Landing) -> None:
    landing.account.enforces_iam = False
    try:
        assert landing.reader().check_refused(None) == []
    finally:
        landing.account.enforces_iam = True
    assert "not tried, because IAM is not enforced: another external id" in landing.said


def test_when_a_site_has_neither_a_reader_nor_a_webhook_then_the_xdr_does_nothing(landing: Landing) -> None:
    landing.account.recorder.clear()
    xdr = Xdr(landing.account, parse_deployment(SITE), "a", HERE, None, landing.said.append)
    xdr.begin()
    xdr.connect({}, "i-0a000000000000001", {})
    xdr.log_flows([("eni-00000001", "10.0.0.1")])
    assert xdr.webhook is None
    assert xdr.read(INCIDENT, []) is None
    xdr.disconnect()
    assert (landing.account.recorder.actions(), landing.said) == ([], [])
