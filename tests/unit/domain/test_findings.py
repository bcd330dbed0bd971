import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.alerts import Alert, AlertInstance, severity_level
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import parse_finding
from tapstack.domain.regions import AccountRegion
from tests.unit.domain.findings import DETAIL, as_the_api_writes_it, detail, document, event
from tests.unit.refusals import refusal

HOME = AccountRegion("111122223333", "eu-central-1")
EXPECTED = Alert(
    source="guardduty",
    id="60c1f0f2a5e94b1c8f5f0e6d7c8b9a01",
    type="UnauthorizedAccess:EC2/TorClient",
    severity=8.0,
    where=HOME,
    instances=(
        AlertInstance(
            "i-0a000000000000001",
            HOME,
            network_interface_ids=("eni-0a000000000000001", "eni-0a000000000000002"),
            tags={"tier": "web", "empty": ""},
        ),
    ),
    tactics=("InitialAccess", "CommandAndControl"),
    title="EC2 instance i-0a000000000000001 is communicating with a Tor entry node.",
    resource_role="ACTOR",
    count=3,
    last_seen="2026-01-02T04:04:05Z",
    of_guardduty=True,
    detected_in=HOME,
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
    finding = parse_finding({key: DETAIL[key] for key in ("id", "type", "severity", "accountId", "region")})
    assert finding == Alert(
        "guardduty",
        EXPECTED.id,
        EXPECTED.type,
        8.0,
        HOME,
        tactics=EXPECTED.tactics,
        of_guardduty=True,
        detected_in=HOME,
    )
    assert not finding.sample
    assert not finding.archived


def test_when_a_finding_is_about_credentials_then_it_has_no_instance() -> None:
    finding = parse_finding(event(resource={"resourceType": "AccessKey", "accessKeyDetails": {}}))
    assert (finding.instances, finding.left_out) == ((), ())


class TestAttackSequences:
    def test_when_a_sequence_is_about_a_group_of_instances_then_each_is_found(self) -> None:
        finding = parse_finding(document("attack-sequence-ec2"))
        assert finding.instances == (
            AlertInstance("i-0a00000000000aaa1", HOME, ("eni-0a00000000000bbb1",)),
            AlertInstance("i-0a00000000000aaa2", HOME, ("eni-0a00000000000bbb2",)),
        )
        assert finding.tactics == ("CommandAndControl", "Impact")
        assert (finding.level, finding.left_out) == ("critical", ())

    def test_when_the_api_writes_it_then_it_is_the_same(self) -> None:
        event = document("attack-sequence-ec2")
        assert parse_finding(as_the_api_writes_it(event["detail"])) == parse_finding(event)

    @pytest.mark.parametrize("kind", ["EKS/CompromisedCluster", "ECS/CompromisedCluster"])
    def test_when_a_sequence_is_about_a_cluster_then_its_instances_are_those_among_the_resources(
        self, kind: str
    ) -> None:
        cluster = "arn:aws:eks:eu-central-1:111122223333:cluster/prod"
        listed = ["arn:aws:ec2:eu-central-1:111122223333:instance/i-0a00000000000ccc1"]
        resources = [
            {"uid": cluster, "resourceType": "EKS_CLUSTER", "data": {"eksCluster": {"ec2InstanceUids": listed}}},
            resource(),
        ]
        finding = parse_finding(sequence(type=f"AttackSequence:{kind}", resources=resources))
        assert [instance.id for instance in finding.instances] == ["i-0a00000000000aaa1"]

    def test_when_an_interface_is_named_by_its_arn_then_its_id_is_the_end(self) -> None:
        arn = "arn:aws:ec2:eu-central-1:111122223333:network-interface/eni-0a00000000000bbb1"
        [instance] = parse_finding(sequence(resources=[resource(interfaces=[arn])])).instances
        assert instance.network_interface_ids == ("eni-0a00000000000bbb1",)

    def test_when_the_uid_is_no_arn_then_the_name_counts(self) -> None:
        arn = resource()["uid"]
        [instance] = parse_finding(sequence(resources=[resource(uid="x", name=arn)])).instances
        assert instance.id == "i-0a00000000000aaa1"

    def test_when_an_instance_is_elsewhere_then_its_arn_says_where(self) -> None:
        arn = "arn:aws-cn:ec2:cn-north-1:444455556666:instance/i-0a00000000000aaa1"
        tags = [{"key": "tier", "value": "web"}]
        [instance] = parse_finding(sequence(resources=[resource(uid=arn, tags=tags), resource(uid=arn)])).instances
        assert instance.where == AccountRegion("444455556666", "cn-north-1")
        assert instance.tags == {"tier": "web"}

    @pytest.mark.parametrize(("number", "severity"), [(None, 9.0), (2, 9.0), ("high", 9.0), (9.5, 9.5)])
    def test_when_its_severity_is_missing_or_lower_then_it_is_critical(self, number: Any, severity: float) -> None:
        finding = parse_finding(sequence(severity=number))
        assert (finding.severity, finding.level) == (severity, "critical")

    def test_when_signals_have_tactics_then_the_finding_has_them(self) -> None:
        signals = [
            {"name": "Discovery:S3/TorIPCaller", "signalIndicators": []},
            {"name": "RunInstances", "signalIndicators": [indicator("Privilege Escalation", "TA0006")]},
            {"name": "x", "signalIndicators": [{"key": "HIGH_RISK_API", "values": ["Impact"]}]},
        ]
        finding = parse_finding(sequence(signals=signals, sequenceIndicators=[indicator("Defense Impairment")]))
        assert finding.tactics == ("DefenseEvasion", "PrivilegeEscalation", "CredentialAccess", "Discovery")

    def test_when_a_tactic_is_unknown_then_it_is_left_out(self) -> None:
        finding = parse_finding(sequence(signals=[], sequenceIndicators=[indicator("Impact", "Astrology")]))
        assert finding.tactics == ("Impact",)
        [left_out] = finding.left_out
        assert left_out == (
            "detail.service.detection.sequence.sequenceIndicators[0].values[1]: expected a tactic of ATT&CK, "
            "got 'Astrology'"
        )

    def test_when_another_finding_has_a_sequence_then_it_is_not_read(self) -> None:
        """Its instances would share an alert id."""
        finding = parse_finding(sequence(type="Impact:EC2/Thing"))
        assert (finding.instances, finding.tactics) == ((), ("Impact",))

    def test_when_an_instance_joins_a_sequence_then_the_others_keep_their_alert_ids(self) -> None:
        one = parse_finding(sequence(resources=[resource()]))
        two = parse_finding(document("attack-sequence-ec2"))
        assert one.key(one.instances[0]) == two.key(two.instances[0])
        assert two.key(two.instances[0]) != two.key(two.instances[1])


def sequence(**changes: Any) -> Any:
    """An attack sequence with other parts."""
    made = document("attack-sequence-ec2")
    for key, value in changes.items():
        holder = made["detail"] if key in ("type", "severity") else made["detail"]["service"]["detection"]["sequence"]
        holder[key] = value
    return made


def resource(interfaces: tuple[str, ...] | list[str] = (), **changes: Any) -> dict[str, Any]:
    """An instance as a resource of a sequence."""
    return {
        "uid": "arn:aws:ec2:eu-central-1:111122223333:instance/i-0a00000000000aaa1",
        "resourceType": "EC2_INSTANCE",
        "data": {"ec2Instance": {"ec2NetworkInterfaceUids": list(interfaces)}},
        **changes,
    }


def indicator(*tactics: str) -> dict[str, Any]:
    return {"key": "ATTACK_TACTIC", "values": list(tactics)}


class TestPrincipals:
    def test_when_credentials_of_an_instance_were_used_elsewhere_then_it_is_found(self) -> None:
        finding = parse_finding(document("instance-credentials"))
        assert finding.instances == (AlertInstance("i-0a00000000000aaa1", HOME),)

    def test_when_the_session_of_another_finding_has_the_name_of_an_instance_then_it_is_not_taken(self) -> None:
        """A session's name is the caller's own choice."""
        event = document("instance-credentials")
        event["detail"]["type"] = "UnauthorizedAccess:IAMUser/TorIPCaller"
        assert parse_finding(event).instances == ()

    @pytest.mark.parametrize("principal", ["AROAEXAMPLE", "AROAEXAMPLE:ann", "i-0a00000000000aaa1", ""])
    def test_when_the_principal_is_no_instance_then_there_is_none(self, principal: str) -> None:
        event = document("instance-credentials")
        event["detail"]["resource"]["accessKeyDetails"]["principalId"] = principal
        finding = parse_finding(event)
        assert (finding.instances, finding.left_out) == ((), ())


def test_when_texts_are_empty_then_they_are_absent() -> None:
    finding = parse_finding(document("empty-instance-id"))
    assert (finding.instances, finding.left_out) == ((), ())


@pytest.mark.parametrize(
    ("name", "region", "instances"),
    [
        ("runtime-on-fargate", "eu-central-1", 0),
        ("runtime-on-eks", "eu-central-1", 1),
        ("member-account", "eu-central-1", 1),
        ("sovereign-cloud", "eusc-de-east-1", 1),
    ],
)
def test_when_a_finding_is_of_another_kind_then_it_is_read(name: str, region: str, instances: int) -> None:
    finding = parse_finding(document(name))
    assert (finding.where.region, len(finding.instances), finding.left_out) == (region, instances, ())
    assert finding.of_runtime_monitoring == name.startswith("runtime")


def test_when_purpose_and_resource_type_are_unknown_then_the_finding_is_read() -> None:
    finding = parse_finding(event(type="NewPurpose:Toaster/Burnt", resource__resourceType="Toaster"))
    assert (len(finding.instances), finding.tactics, finding.left_out) == (1, (), ())


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


FORMS = (
    "expected the event that EventBridge delivers (source aws.guardduty, detail-type GuardDuty Finding), the finding "
    "in it (its detail), or the output of aws guardduty get-findings"
)
HUB = f"{FORMS}; tapstack xdr try --source securityhub takes its events"
IN_IT = "expected the finding in it"


@pytest.mark.parametrize(
    ("came", "message"),
    [
        (None, "expected a JSON object, got null"),
        ([], "expected a JSON object, got []"),
        ({}, f"this is JSON of another kind, with no id, type, severity, accountId, region: {FORMS}"),
        ({"Id": "x"}, "Type: is missing: a GuardDuty finding has it"),
        ({"detail": {}}, "detail-type: is missing: an event of GuardDuty has it, 'GuardDuty Finding'"),
        ({"detail": {}, "detail-type": None}, f"this is an event of GuardDuty that is no finding, null: {FORMS}"),
        (
            {"detail-type": "GuardDuty Malware Protection Object Scan Result", "source": "aws.guardduty", "detail": {}},
            "this is an event of GuardDuty that is no finding, 'GuardDuty Malware Protection Object Scan Result': "
            + FORMS,
        ),
        ({**event(), "source": "mine"}, f"this is an event of another source, 'mine': {FORMS}"),
        ({**event(), "detail": []}, "detail: expected a JSON object, got []"),
        ({**event(), "detail": None}, "detail: is missing: a GuardDuty finding has it"),
        (
            document("sns-notification"),
            f"this is a message of Amazon SNS, which has its content as text: {IN_IT} (jq -r .Message FILE)",
        ),
        (
            {"Records": [{"Sns": document("sns-notification")}]},
            "this is a batch of records, as Amazon SNS and SQS give them to functions: "
            f"{IN_IT}, in a message or a body",
        ),
        (
            document("security-hub-event"),
            "this is an event of Security Hub, 'Security Hub Findings - Imported', not GuardDuty's own: " + HUB,
        ),
        (
            document("security-hub-event")["detail"],
            f"this is a finding in a form of Security Hub (ASFF or OCSF), not GuardDuty's own: {HUB}",
        ),
        (
            document("security-hub-event")["detail"]["findings"][0],
            f"this is a finding in a form of Security Hub (ASFF or OCSF), not GuardDuty's own: {HUB}",
        ),
        (
            {"class_uid": 2004},
            f"this is a finding in a form of Security Hub (ASFF or OCSF), not GuardDuty's own: {HUB}",
        ),
        ({"Findings": []}, "Findings: expected exactly one finding, got 0"),
        ({"findings": [{}, {}]}, "findings: expected exactly one finding, got 2"),
        ({"findings": 5}, "findings: expected a list, got 5"),
        ({"Findings": ["x"]}, "Findings[0]: expected a JSON object, got 'x'"),
        (event(id=None), "detail.id: is missing: a GuardDuty finding has it"),
        (event(id=5), "detail.id: expected text, got 5"),
        (event(id=""), "detail.id: is missing: a GuardDuty finding has it"),
        (
            event(id="x'; rm"),
            "detail.id: expected letters, digits and hyphens, as GuardDuty's 32 hexadecimal digits, got \"x'; rm\"",
        ),
        *(
            (
                event(type=wrong),
                "detail.type: expected the form ThreatPurpose:Resource/Family, such as "
                f"UnauthorizedAccess:EC2/TorClient, got {wrong!r}",
            )
            for wrong in ("TorClient", ":x", "x:", "Trojan:EC2/X\nDecision: capture", "Trojan:\u0415C2/X")
        ),
        (event(severity=None), "detail.severity: is missing: a GuardDuty finding has it"),
        (event(severity="8"), "detail.severity: expected a number from 0 to 10, got '8'"),
        (event(severity=True), "detail.severity: expected a number from 0 to 10, got True"),
        (event(severity=10.5), "detail.severity: expected a number from 0 to 10, got 10.5"),
        (event(severity=float("nan")), "detail.severity: expected a number from 0 to 10, got nan"),
        (event(accountId="1"), "detail.accountId: expected the form \"111122223333\" (12 digits, quoted), got '1'"),
        (event(region="Frankfurt"), "detail.region: expected the form eu-central-1, got 'Frankfurt'"),
    ],
)
def test_fails_when_it_is_no_finding_and_says_what_it_is_or_where(came: Any, message: str) -> None:
    assert refusal(lambda: parse_finding(came)) == message


@pytest.mark.parametrize(
    ("came", "left_out"),
    [
        (
            event(resource__instanceDetails__instanceId="i-1"),
            "detail.resource.instanceDetails.instanceId: expected the form i-0123456789abcdef0, got 'i-1'",
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
            event(resource__instanceDetails__tags=["x", {"value": "x"}]),
            "detail.resource.instanceDetails.tags[0]: expected a JSON object, got 'x'",
        ),
        (event(resource="x"), "detail.resource: expected a JSON object, got 'x'"),
        (event(service="x"), "detail.service: expected a JSON object, got 'x'"),
        (event(service__archived="no"), "detail.service.archived: expected true or false, got 'no'"),
        (event(service__count=-1), "detail.service.count: expected a whole number from 0 to 2147483647, got -1"),
        (event(service__resourceRole="BOSS"), "detail.service.resourceRole: expected TARGET or ACTOR, got 'BOSS'"),
        (
            event(service__eventLastSeen="today"),
            "detail.service.eventLastSeen: expected a time such as 2026-01-02T03:04:05Z, got 'today'",
        ),
        (
            event(service__eventLastSeen="0001-01-01T00:00:00Z"),
            "detail.service.eventLastSeen: expected a time such as 2026-01-02T03:04:05Z, got '0001-01-01T00:00:00Z'",
        ),
        (event(title=["x" * 200]), f"detail.title: expected text, got ['{'x' * 98}..."),
        (
            sequence(resources=[resource(uid="i-0a00000000000aaa1")]),
            "detail.service.detection.sequence.resources[0].uid: expected the ARN of an instance, "
            "got 'i-0a00000000000aaa1'",
        ),
        (
            sequence(resources=[resource(interfaces=["eni"])]),
            "detail.service.detection.sequence.resources[0].data.ec2Instance.ec2NetworkInterfaceUids[0]: expected the "
            "form eni-0123456789abcdef0, got 'eni'",
        ),
    ],
)
def test_when_something_optional_is_odd_then_it_is_left_out_and_named(came: Any, left_out: str) -> None:
    finding = parse_finding(came)
    assert finding.left_out == (left_out,)
    assert (finding.where, finding.level) == (HOME, "critical" if finding.is_attack_sequence else "high")


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


ESSENTIALS = {"id", "type", "severity", "accountId", "region"}
DOCUMENTS = (event(), document("attack-sequence-ec2"), document("runtime-on-eks"), document("instance-credentials"))


def with_one_place_replaced(data: st.DataObject, value: Any) -> tuple[Any, tuple[str | int, ...]]:
    """Any document with a value of any other form somewhere, and where."""
    changed: Any = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    if data.draw(st.booleans()):
        changed = as_the_api_writes_it(changed["detail"])
    holder = changed
    path: tuple[str | int, ...] = ()
    while True:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        place = data.draw(st.sampled_from(places))
        path += (place,)
        inner = holder[place]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            break
        holder = inner
    holder[place] = value
    return changed, path


@given(st.data(), anything)
def test_when_anything_is_replaced_then_it_is_read_unless_it_is_essential(data: st.DataObject, value: Any) -> None:
    changed, path = with_one_place_replaced(data, value)
    last = str(path[-1])
    essential = path in {("detail",), ("detail-type",), ("source",)} or (
        len(path) == (2 if path[0] == "detail" else 1) and last[:1].lower() + last[1:] in ESSENTIALS
    )
    try:
        finding = parse_finding(changed)
    except RuleViolation as violation:
        assert essential
        shown = [str(violation)]
    else:
        shown = [finding.title, finding.type, finding.id, *finding.left_out]
    # One line of printable characters, whatever it quotes.
    assert all(text.isprintable() and len(text) < 600 for text in shown)


@given(anything)
def test_when_any_json_comes_then_it_is_read_or_refused(value: Any) -> None:
    for came in (value, {**event(), "detail": value}):
        with contextlib.suppress(RuleViolation):
            parse_finding(came)
