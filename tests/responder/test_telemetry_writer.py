"""An event becomes one object, however often it is delivered, and nothing of it chooses where the object goes."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from strictmoto.account import REGION, Account
from strictmoto.faults import Fault
from tapstack.domain.ocsf import detection_finding
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers import telemetry
from tapstack.responder.telemetry import writer

BUCKET = "ir-a-xdr"
INCIDENT = "inc-20260102T030405-k3v9x0ab"
KEY = f"incidents/v1/2026/01/02/20260102T030406.789Z-{INCIDENT}-0a1b2c3d-opened.json.gz"
EVENT: dict[str, Any] = {
    "version": 1,
    "id": f"{INCIDENT}-0a1b2c3d",
    "what": "opened",
    "time": "2026-01-02T03:04:06.789Z",
    "by": "arn:aws:iam::111122223333:user/ann",
    "message": "An incident about i-0a000000000000001 was opened",
    "detail": 'text of others:\n{"what": "closed"}\r\x1b[2J\u2028 ${jndi:ldap://x} <b>',
    "severity": "high",
    "deployment": "ir",
    "site": "a",
    "account_id": "111122223333",
    "region": "eu-central-1",
    "part": None,
    "decision": None,
    "techniques": ["T1071.004"],
    "tactics": [{"id": "TA0011", "name": "Command and Control"}],
    "alert": {"source": "api", "id": "../../unmatched/x"},
    "incident": {"id": INCIDENT, "reason": "beacons", "opened_at": "2026-01-02T03:04:05Z"},
    "entities": {"instance": None, "network_interfaces": [], "addresses": ["10.0.1.5"], "vpc_ids": []},
    "packets": None,
    "containment": None,
    "links": {"console": None, "appliance": None},
}


def message(event: dict[str, Any] | None = None, number: int = 1, other: Any = None) -> dict[str, Any]:
    """A message as SQS delivers an event of EventBridge."""
    body = {
        "source": "tapstack",
        "detail-type": "Tapstack Incident Telemetry",
        "detail": event or EVENT,
        **(other or {}),
    }
    return {"messageId": f"m-{number}", "body": json.dumps(body)}


def received(*messages: dict[str, Any]) -> list[str]:
    """Let the function receive messages; return those that are to be delivered again."""
    try:
        answered = telemetry.handler({"Records": list(messages)}, None)
    except Exception:
        # Lambda then delivers the whole batch again, and counts an error, which an alarm watches.
        return [one["messageId"] for one in messages]
    assert set(answered) == {"batchItemFailures"}
    return [one["itemIdentifier"] for one in answered["batchItemFailures"]]


@pytest.fixture
def bucket(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in aws_account.environment.items():
        monkeypatch.setenv(name, value)
    given(monkeypatch, ocsf=False)
    client = aws_account.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    aws_account.recorder.clear()
    return client


def given(monkeypatch: pytest.MonkeyPatch, *, ocsf: bool) -> None:
    monkeypatch.setenv("TAPSTACK_TELEMETRY_BUCKET", BUCKET)
    monkeypatch.setenv("TAPSTACK_TELEMETRY_OCSF", "true" if ocsf else "false")
    writer.landing.cache_clear()
    writer._s3.cache_clear()


def objects(client: Any) -> dict[str, bytes]:
    """All versions of all objects."""
    listed = client.list_object_versions(Bucket=BUCKET).get("Versions", [])
    assert len({one["Key"] for one in listed}) == len(listed)
    return {one["Key"]: client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed}


def test_when_an_event_is_delivered_again_then_it_is_one_object_of_one_version_with_one_line(bucket: Any) -> None:
    assert received(message()) == []
    [(key, content)] = objects(bucket).items()
    assert key == KEY
    assert content[4:8] == b"\0\0\0\0"  # gzip has no time of its own
    text = gzip.decompress(content)
    assert text.endswith(b"\n")
    assert text.isascii()
    assert len(text.splitlines()) == 1
    assert json.loads(text) == EVENT
    # As it is emitted again by the next function: the incident has another state by then.
    later = {**EVENT, "incident": {**EVENT["incident"], "state": "closed"}}
    assert received(message(), message(number=2), message(later, 3)) == []
    assert objects(bucket) == {KEY: content}
    assert writer.line(EVENT) == writer.line(dict(reversed(EVENT.items()))) == content


def test_when_ocsf_is_chosen_then_it_is_an_object_beside_it(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, ocsf=True)
    for _ in range(2):
        assert received(message()) == []
    found = objects(bucket)
    ocsf = KEY.replace("incidents/v1/", "incidents-ocsf/")
    assert set(found) == {KEY, ocsf}
    assert json.loads(gzip.decompress(found[ocsf])) == detection_finding(EVENT)


def test_when_events_are_sorted_by_key_then_by_time(bucket: Any) -> None:
    times = [
        "2026-01-02T03:04:06.789Z",
        "2026-01-02T03:04:06.790Z",
        "2026-01-02T13:00:00.000Z",
        "2026-11-01T00:00:00.000Z",
    ]
    events = [{**EVENT, "time": time, "id": f"{INCIDENT}-{number:08x}"} for number, time in enumerate(times)]
    assert received(*(message(event, number) for number, event in enumerate(reversed(events)))) == []
    assert [json.loads(gzip.decompress(content))["time"] for _, content in sorted(objects(bucket).items())] == times


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "../../unmatched/x-0a1b2c3d"},
        {"id": f"{INCIDENT}-0a1b2c3d\n"},
        {"time": "2026-01-02"},
        {"time": "2026-01-02T03:04:06.789Z/../.."},
        {"what": "closed/../../x"},
        {"what": None},
        {"version": 2},
    ],
    ids=str,
)
def test_when_a_part_of_the_key_is_another_text_then_nothing_is_written_and_the_others_are(
    bucket: Any, wrong: dict[str, Any]
) -> None:
    assert received(message({**EVENT, **wrong}, 1), message(number=2)) == ["m-1"]
    assert list(objects(bucket)) == [KEY]


@pytest.mark.parametrize("body", ["", "[]", "[" * 100_000, "{}", "null", '{"detail": 1}', '{"source": 1}'])
def test_when_a_message_is_no_event_then_it_is_left_to_the_dead_letters(bucket: Any, body: str) -> None:
    assert received({"messageId": "m-1", "body": body}) == ["m-1"]
    assert received(
        message(other={"detail-type": "Tapstack Incident"}), message(number=2, other={"source": "aws.ec2"})
    ) == [
        "m-1",
        "m-2",
    ]
    assert objects(bucket) == {}


@pytest.mark.parametrize("kind", ["server error", "throttled", "lost before", "lost after"])
def test_when_s3_does_not_answer_then_the_message_is_delivered_again(
    bucket: Any, aws_account: Account, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    aws_account.faults.add(Fault("PutObject", kind, times=9))
    assert received(message()) == ["m-1"]
    with pytest.raises(TryAgain):
        telemetry.handler({"Records": [message(), message(number=2)]}, None)
    aws_account.faults.clear()
    assert received(message()) == []
    assert list(objects(bucket)) == [KEY]
