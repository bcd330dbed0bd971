import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import Finding, parse_finding, severity_level
from tests.unit.domain.findings import DETAIL, as_the_api_writes_it, detail, event
from tests.unit.refusals import refusal

EXPECTED = Finding(
    id="60c1f0f2a5e94b1c8f5f0e6d7c8b9a01",
    type="UnauthorizedAccess:EC2/TorClient",
    severity=8.0,
    account_id="111122223333",
    region="eu-central-1",
    instance_id="i-0a000000000000001",
    network_interface_ids=("eni-0a000000000000001", "eni-0a000000000000002"),
    tags={"tier": "web", "empty": ""},
    title="EC2 instance i-0a000000000000001 is communicating with a Tor entry node.",
    resource_role="ACTOR",
    count=3,
    first_seen="2026-01-02T03:04:05Z",
    last_seen="2026-01-02T04:04:05Z",
    arn=DETAIL["arn"],
)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(event(), id="event"),
        pytest.param(detail(), id="detail"),
        pytest.param(as_the_api_writes_it(detail()), id="API"),
        pytest.param({"Findings": [as_the_api_writes_it(detail())]}, id="GetFindings"),
        pytest.param({**event(), "detail": as_the_api_writes_it(detail())}, id="event with the API's keys"),
    ],
)
def test_when_a_finding_comes_in_any_of_its_forms_then_it_is_the_same(document: Any) -> None:
    assert parse_finding(document) == EXPECTED


def test_when_a_finding_holds_the_least_then_the_rest_has_defaults() -> None:
    finding = parse_finding(
        {key: DETAIL[key] for key in ("id", "type", "severity", "accountId", "region")} | {"resource": {}}
    )
    assert finding == Finding(EXPECTED.id, EXPECTED.type, 8.0, "111122223333", "eu-central-1")
    assert not finding.sample
    assert not finding.archived


def test_when_a_finding_is_about_credentials_then_it_has_no_instance() -> None:
    finding = parse_finding(event(resource={"resourceType": "AccessKey", "accessKeyDetails": {}}))
    assert finding.instance_id is None
    assert finding.network_interface_ids == ()
    assert finding.tags == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "[SAMPLE] EC2 instance i-99999999 is communicating with a Tor entry node."},
        {"resource__instanceDetails__instanceId": "i-99999999"},
        {"service__additionalInfo": {"sample": True}},
        {"service__additionalInfo": {"value": '{"sample": true}', "type": "default"}},
    ],
)
def test_when_a_finding_is_a_sample_then_it_is_known_as_one(changes: dict[str, Any]) -> None:
    assert parse_finding(event(**changes)).sample
    assert parse_finding(as_the_api_writes_it(detail(**changes))).sample


def test_when_a_title_holds_control_characters_then_they_are_left_out() -> None:
    assert parse_finding(event(title="a\x1b[2J\u202eb\n")).title == "a[2Jb"


@pytest.mark.parametrize("value", ["no JSON", "[1]", '{"sample": "true"}', "[" * 100_000])
def test_when_additional_information_says_something_else_then_it_is_no_sample(value: str) -> None:
    assert not parse_finding(event(service__additionalInfo={"value": value})).sample


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        *((severity, "low") for severity in (0, 1.0, 3.9)),
        *((severity, "medium") for severity in (4.0, 6.9)),
        *((severity, "high") for severity in (7, 8.9)),
        *((severity, "critical") for severity in (9.0, 10.0)),
    ],
)
def test_when_a_severity_is_given_then_its_level_is_guarddutys(severity: float, level: str) -> None:
    assert severity_level(severity) == level
    assert parse_finding(event(severity=severity)).level == level


def test_when_a_type_is_given_then_its_purpose_is_the_part_before_the_colon() -> None:
    assert parse_finding(event()).threat_purpose == "UnauthorizedAccess"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "expected a JSON object, got null"),
        ([], "expected a JSON object, got []"),
        ({}, "resource: is missing: a GuardDuty finding has it"),
        ({"Id": "x"}, "Resource: is missing: a GuardDuty finding has it"),
        ({"detail": {}}, "detail-type: is missing: an event of GuardDuty has it, 'GuardDuty Finding'"),
        ({"detail": {}, "detail-type": None}, "detail-type: expected 'GuardDuty Finding', got null"),
        (
            {"detail-type": "AWS API Call via CloudTrail", "detail": {}},
            "detail-type: expected 'GuardDuty Finding', got 'AWS API Call via CloudTrail'",
        ),
        ({**event(), "source": "mine"}, "source: expected 'aws.guardduty', got 'mine'"),
        ({**event(), "detail": []}, "detail: expected a JSON object, got []"),
        ({"Findings": []}, "Findings: expected exactly one finding, got 0"),
        ({"findings": [{}, {}]}, "findings: expected exactly one finding, got 2"),
        ({"Findings": ["x"]}, "Findings[0]: expected a JSON object, got 'x'"),
        (event(id=None), "detail.id: is missing: a GuardDuty finding has it"),
        (event(id=5), "detail.id: expected text, got 5"),
        (event(id=""), "detail.id: expected text, got ''"),
        (
            event(type="TorClient"),
            "detail.type: expected the form ThreatPurpose:Resource/Family, such as UnauthorizedAccess:EC2/TorClient, "
            "got 'TorClient'",
        ),
        (event(severity="8"), "detail.severity: expected a number from 0 to 10, got '8'"),
        (event(severity=True), "detail.severity: expected a number from 0 to 10, got True"),
        (event(severity=10.5), "detail.severity: expected a number from 0 to 10, got 10.5"),
        (event(severity=float("nan")), "detail.severity: expected a number from 0 to 10, got nan"),
        (
            event(accountId="1"),
            "detail.accountId: '1' is not the id of an account: expected the form \"111122223333\" (12 digits, quoted)",
        ),
        (
            event(resource__instanceDetails__instanceId="i-1"),
            "detail.resource.instanceDetails.instanceId: 'i-1' is not the id of an instance: expected the form "
            "i-0123456789abcdef0",
        ),
        (
            event(resource__instanceDetails__instanceId="${self.id}"),
            "detail.resource.instanceDetails.instanceId: expected the form i-0123456789abcdef0, got '${self.id}'",
        ),
        (
            as_the_api_writes_it(detail(resource__instanceDetails__networkInterfaces={})),
            "Resource.InstanceDetails.NetworkInterfaces: expected a list, got {}",
        ),
        (
            event(resource__instanceDetails__networkInterfaces=[{}, {"networkInterfaceId": 7}]),
            "detail.resource.instanceDetails.networkInterfaces[1].networkInterfaceId: expected text, got 7",
        ),
        (
            event(resource__instanceDetails__tags=[{"value": "x"}]),
            "detail.resource.instanceDetails.tags[0].key: is missing: a GuardDuty finding has it",
        ),
        (event(resource="x"), "detail.resource: expected a JSON object, got 'x'"),
        (event(service="x"), "detail.service: expected a JSON object, got 'x'"),
        (event(service__archived="no"), "detail.service.archived: expected true or false, got 'no'"),
        (event(service__count=-1), "detail.service.count: expected a whole number, 0 or more, got -1"),
        (event(title=["x" * 200]), f"detail.title: expected text, got ['{'x' * 98}..."),
    ],
)
def test_fails_when_it_is_no_finding_and_names_the_place(document: Any, message: str) -> None:
    assert refusal(lambda: parse_finding(document)) == message


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(st.data(), anything)
def test_when_anything_in_a_finding_is_replaced_then_it_is_read_or_refused(data: st.DataObject, value: Any) -> None:
    document: Any = event()
    holder = document
    while True:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        place = data.draw(st.sampled_from(places))
        inner = holder[place]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            break
        holder = inner
    holder[place] = value
    with contextlib.suppress(RuleViolation):
        assert isinstance(parse_finding(document), Finding)
