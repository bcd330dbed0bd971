"""Findings that GuardDuty makes on demand: the event, the exported file, and what keeps it out."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import HERE, Enforcing, policy
from tests.strictmoto.iam.test_publishing_destinations import BUCKET, REGION, Export
from tests.strictmoto.signing import own_api

FINDING: Final[dict[str, Any]] = {
    "type": "Backdoor:EC2/C&CActivity.B!DNS",
    "severity": 8,
    "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0123456789abcdef0"}},
}


@pytest.fixture
def export(enforcing: Enforcing) -> Export:
    return Export(enforcing)


def watch(export: Export) -> str:
    """Send findings to a queue; return its URL."""
    sqs, events = export.enforcing.client("sqs"), export.enforcing.client("events")
    letting = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
    url: str = sqs.create_queue(QueueName="found", Attributes={"Policy": policy(letting)})["QueueUrl"]
    pattern = {"source": ["aws.guardduty"], "detail-type": ["GuardDuty Finding"]}
    events.put_rule(Name="found", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="found", Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{HERE}:found"}])
    return url


def received(export: Export, url: str, seconds: int) -> list[dict[str, Any]]:
    answer = export.enforcing.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=seconds)
    return [json.loads(one["Body"]) for one in answer.get("Messages", ())]


def read(export: Export, name: str) -> dict[str, Any]:
    bucket, _, key = name.partition("/")
    lines = gzip.decompress(export.s3.get_object(Bucket=bucket, Key=key)["Body"].read()).decode().splitlines()
    [line] = lines
    found: dict[str, Any] = json.loads(line)
    return found


def test_when_something_is_found_then_it_is_an_event_and_a_file_of_the_destination(export: Export) -> None:
    url = watch(export)
    export.s3.put_object(Bucket=BUCKET, Key="guardduty/", Body=b"")
    export.create("/guardduty")
    [name] = export.enforcing.account.findings.publish(FINDING)
    day = datetime.now(UTC).strftime("%Y/%m/%d")
    folder = f"{BUCKET}/guardduty/AWSLogs/{HERE}/GuardDuty/{REGION}/{day}"
    assert re.fullmatch(rf"{folder}/[0-9a-f-]{{36}}\.jsonl\.gz", name)
    found = read(export, name)
    assert {key: found[key] for key in FINDING} == FINDING
    assert found["arn"] == f"{export.detector_arn}/finding/{found['id']}"
    assert (found["accountId"], found["region"], found["service"]["detectorId"]) == (HERE, REGION, export.detector)
    assert export.s3.head_object(Bucket=BUCKET, Key=name.partition("/")[2])["SSEKMSKeyId"] == export.key
    [event] = received(export, url, 5)
    assert (event["source"], event["detail"]) == ("aws.guardduty", found)


def test_when_a_finding_has_an_id_and_a_title_then_they_stay(export: Export) -> None:
    export.create()
    given = {**FINDING, "id": "one", "title": "Two", "service": {"count": 3}}
    found = read(export, export.enforcing.account.findings.publish(given)[0])
    assert (found["id"], found["title"], found["service"]["count"]) == ("one", "Two", 3)
    assert found["service"]["serviceName"] == "guardduty"


def test_when_a_finding_is_archived_then_it_goes_nowhere(export: Export) -> None:
    url = watch(export)
    export.create()
    assert export.enforcing.account.findings.publish({**FINDING, "service": {"archived": True}}) == ()
    assert export.stored() == ["AWSLogs/"]
    assert received(export, url, 1) == []


@pytest.mark.parametrize("lost", ["bucket", "key"])
def test_fails_when_bucket_or_key_do_not_let_guardduty_in_any_more(export: Export, lost: str) -> None:
    identity = export.create()
    if lost == "bucket":
        export.s3.delete_bucket_policy(Bucket=BUCKET)
    else:
        export.allow_key()
    findings = export.enforcing.account.findings
    assert findings.publish(FINDING) == ()
    first = export.described(identity)
    assert first["Status"] == "UNABLE_TO_PUBLISH_FIX_DESTINATION_PROPERTY"
    assert findings.publish(FINDING) == ()
    assert export.described(identity)["PublishingFailureStartTimestamp"] == first["PublishingFailureStartTimestamp"]
    export.allow_bucket(*export.bucket_statements())
    export.allow_key(export.key_statement())
    assert len(findings.publish(FINDING)) == 1
    mended = export.described(identity)
    assert mended["Status"] == "PUBLISHING"
    assert "PublishingFailureStartTimestamp" not in mended


def test_when_there_is_no_destination_then_a_finding_is_an_event_alone(export: Export) -> None:
    url = watch(export)
    assert export.enforcing.account.findings.publish(FINDING) == ()
    assert received(export, url, 5)[0]["detail"]["type"] == FINDING["type"]


def test_fails_when_an_instance_forges_a_finding(export: Export) -> None:
    url = watch(export)
    # As strong as a role of an instance can be.
    instance = export.enforcing.worker("events", {"Action": "*"})
    entry = {"Source": "aws.guardduty", "DetailType": "GuardDuty Finding", "Detail": json.dumps(FINDING)}
    answer = instance.put_events(Entries=[entry])
    assert [one["ErrorCode"] for one in answer["Entries"]] == ["NotAuthorizedForSourceException"]
    assert received(export, url, 1) == []
    export.enforcing.account.findings.publish(FINDING)
    assert received(export, url, 5)[0]["detail"]["type"] == FINDING["type"]


def test_fails_when_nothing_could_have_found_it(export: Export) -> None:
    findings = export.enforcing.account.findings
    with pytest.raises(ValueError, match="no enabled GuardDuty detector in account 123456789012, eu-west-1"):
        findings.publish(FINDING, region="eu-west-1")
    with pytest.raises(ValueError, match="severity missing"):
        findings.publish({"type": "x", "resource": {}})
    export.guardduty.update_detector(DetectorId=export.detector, Enable=False)
    with pytest.raises(ValueError, match="no enabled GuardDuty detector"):
        findings.publish(FINDING)


def test_when_another_process_asks_then_something_is_found_too(export: Export) -> None:
    export.create()
    status, answer = own_api(export.enforcing.account, "POST", "/findings", {"finding": FINDING})
    assert status == 200
    assert isinstance(answer, dict)
    assert read(export, answer["objects"][0])["type"] == FINDING["type"]
    wrongs: tuple[Any, ...] = ({"finding": {"type": "x"}}, {}, [])
    for wrong in wrongs:
        assert own_api(export.enforcing.account, "POST", "/findings", wrong)[0] == 400
