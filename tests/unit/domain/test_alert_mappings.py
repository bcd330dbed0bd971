"""Documents of other tools become alerts, or a reason why not."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapstack.domain.alert_mappings import (
    ALERTS_OF_A_DOCUMENT,
    PRESETS,
    AlertMapping,
    AlertPreset,
    AlertSource,
    Mapped,
    dump_sources,
    load_sources,
    map_alerts,
    map_security_hub,
    preset,
)
from tapstack.domain.alerts import Alert, Target
from tapstack.domain.errors import RuleViolation
from tapstack.domain.regions import AccountRegion
from tests.unit.domain.alerts import HOME, INSTANCE, sample
from tests.unit.refusals import refusal

MINE = AlertMapping(
    match="id",
    alert_id="id",
    severity="level",
    title="name",
    type="kind",
    time="at",
    technique="technique",
    tactics="tactics",
    account_id="account",
    region="region",
    instance_id="instance",
    instance_arn="arn",
    network_interface_id="eni",
    private_ip="ip",
    vpc_id="vpc",
    guardduty_finding="finding",
    archived="archived",
)
LEAST = {"id": "a-1", "level": "high", "instance": INSTANCE}


def mapped(document: Any, mapping: AlertMapping = MINE, name: str = "edr") -> Mapped:
    return map_alerts(name, AlertSource(mapping=mapping), document, home=HOME)


@pytest.mark.parametrize(
    ("technique", "tactic"),
    [
        ("T1071.001", "TA0011"),
        ("T1071.001 - Web Protocols", "TA0011 - Command and Control"),
        ("t1071.001", "Command and Control"),
    ],
)
def test_when_a_tool_writes_ids_with_their_names_then_the_ids_are_read(technique: str, tactic: str) -> None:
    found = alert(technique=[technique], tactics=[tactic])
    assert (found.techniques, found.tactics, found.left_out) == (("T1071.001",), ("CommandAndControl",), ())


def alert(mapping: AlertMapping = MINE, **values: Any) -> Alert:
    """The one alert of a document, which has the least besides what is given; None takes a key away."""
    document = {key: value for key, value in {**LEAST, **values}.items() if value is not None}
    found = mapped(document, mapping)
    assert found.unmatched == ()
    [one] = found.alerts
    return one


def reason(mapping: AlertMapping = MINE, **values: Any) -> str:
    document = {key: value for key, value in {**LEAST, **values}.items() if value is not None}
    found = mapped(document, mapping)
    assert found.alerts == ()
    [one] = found.unmatched
    return one


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_when_the_tools_own_document_comes_then_it_is_one_alert_about_the_instance(self, name: AlertPreset) -> None:
        found = map_alerts("tool", AlertSource(name), sample(name), home=AccountRegion("999999999999", "eu-central-1"))
        assert found.unmatched == ()
        [one] = found.alerts
        assert one.source == "tool"
        named = [each.id for each in one.instances] or list(one.target.instance_ids if one.target else ())
        assert named == [INSTANCE]
        expected = AccountRegion("111122223333", "eu-central-1")
        assert (one.where, one.severity >= 7.0, one.left_out) == (expected, True, ())
        assert one.title
        assert "CommandAndControl" in one.tactics
        assert one.last_seen is not None
        assert one.last_seen.startswith("2026-11-26T1")

    def test_when_guardduty_finding_comes_by_three_ways_then_it_is_one_alert(self) -> None:
        event = sample("guardduty")
        arn = event["detail"]["arn"]
        asff, ocsf, own = sample("securityhub"), sample("securityhub_ocsf"), sample("generic")
        asff["detail"]["findings"][0]["Id"] = arn
        ocsf["detail"]["findings"][0]["finding_info"]["uid"] = arn
        own["guardduty_finding"] = event["detail"]["id"]
        lead = {**sample("hunters"), "guardduty_finding": arn}
        found = [
            *map_alerts("forwarder", AlertSource("guardduty"), event, home=HOME).alerts,
            *map_security_hub(asff, home=HOME).alerts,
            *map_security_hub(ocsf, home=HOME).alerts,
            *map_alerts("xdr", AlertSource("generic"), own, home=HOME).alerts,
            *map_alerts("hunters", AlertSource("hunters"), lead, home=HOME).alerts,
        ]
        assert [one.source for one in found] == ["forwarder", "securityhub", "securityhub", "xdr", "hunters"]
        [instance] = found[0].instances
        assert {one.key(instance) for one in found} == {event["detail"]["id"]}
        # Security Hub spells the type otherwise; rules and tactics are GuardDuty's all the same.
        assert {one.type for one in found[:3]} == {"Backdoor:EC2/C&CActivity.B!DNS"}

    def test_when_two_tools_use_the_same_id_then_it_is_two_alerts(self) -> None:
        document = sample("generic")
        one, other = (
            map_alerts(name, AlertSource("generic"), document, home=HOME).alerts[0] for name in ("soc", "edr")
        )
        instance = map_alerts("x", AlertSource("guardduty"), sample("guardduty"), home=HOME).alerts[0].instances[0]
        assert (one.key(instance), other.key(instance)) == ("soc:soc-2026-000123", "edr:soc-2026-000123")

    def test_when_an_event_has_several_findings_then_each_is_an_alert_or_a_reason(self) -> None:
        event = sample("securityhub")
        [finding] = event["detail"]["findings"]
        broken = {**copy.deepcopy(finding), "Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::b"}]}
        two = {**copy.deepcopy(finding), "Id": "other"}
        event["detail"]["findings"] = [finding, broken, two]
        found = map_security_hub(event, home=HOME)
        assert [one.id for one in found.alerts] == ["f", "other"]
        assert found.unmatched == (
            "detail.findings[1]: it names no instance: preset securityhub reads Resources of the Type AwsEc2Instance, "
            "each with an Id; this alert has Resources of the Types 'AwsS3Bucket'",
        )

    def test_when_security_hub_names_several_techniques_and_tactics_then_all_are_kept(self) -> None:
        of_ocsf = sample("securityhub_ocsf")
        of_ocsf["detail"]["findings"][0]["finding_info"]["attacks"] = [
            {"technique": {"uid": "T1071"}, "sub_technique": {"uid": "T1071.004"}, "tactic": {"uid": "TA0011"}},
            {"technique": {"uid": "T1041"}, "tactic": {"name": "Exfiltration"}},
        ]
        [one] = map_security_hub(of_ocsf, home=HOME).alerts
        assert (one.techniques, one.tactics) == (("T1071.004", "T1041"), ("CommandAndControl", "Exfiltration"))
        of_asff = sample("securityhub")
        [finding] = of_asff["detail"]["findings"]
        finding["Types"] = ["TTPs/Initial Access/a/b", "TTPs/Command and Control", "Effects/Data Exposure", "TTPs/x"]
        # GuardDuty's type says its tactics, by whichever way it comes.
        assert map_security_hub(of_asff, home=HOME).alerts[0].left_out == ()
        finding |= {"Id": "x", "ProductArn": "arn:aws:securityhub:eu-central-1::product/aws/inspector"}
        [one] = map_security_hub(of_asff, home=HOME).alerts
        assert one.tactics == ("InitialAccess", "CommandAndControl")
        assert one.left_out[0].endswith("such as Reconnaissance or TA0043, got 'TTPs/x'")

    def test_when_security_hub_names_several_instances_then_the_alert_is_about_each(self) -> None:
        event = sample("securityhub")
        resources = event["detail"]["findings"][0]["Resources"]
        resources.append({**resources[0], "Id": resources[0]["Id"].replace("0001", "0002")})
        [one] = map_security_hub(event, home=HOME).alerts
        assert one.target == Target((INSTANCE, "i-0a000000000000002"))

    @pytest.mark.parametrize("unread", ["yesterday", "0001-01-01T00:00:00Z"])
    def test_when_security_hub_has_no_time_of_the_last_activity_that_can_be_read_then_the_next_one_counts(
        self, unread: str
    ) -> None:
        asff, ocsf = sample("securityhub"), sample("securityhub_ocsf")
        asff["detail"]["findings"][0] |= {"LastObservedAt": unread, "UpdatedAt": "2026-11-26T10:00:00Z"}
        info = ocsf["detail"]["findings"][0]["finding_info"]
        info |= {"last_seen_time": unread, "modified_time": 1795687200000}
        for event in (asff, ocsf):
            [one] = map_security_hub(event, home=HOME).alerts
            assert one.last_seen == "2026-11-26T10:00:00Z"
            assert len(one.left_out) == 1

    @pytest.mark.parametrize(
        "change",
        [{"RecordState": "ARCHIVED"}, {"Workflow": {"Status": "SUPPRESSED"}}, {"Workflow": {"Status": "RESOLVED"}}],
    )
    def test_when_security_hub_settled_a_finding_then_it_is_archived(self, change: dict[str, Any]) -> None:
        event = sample("securityhub")
        event["detail"]["findings"][0] |= change
        assert map_security_hub(event, home=HOME).alerts[0].archived
        assert not map_security_hub(sample("securityhub"), home=HOME).alerts[0].archived

    @pytest.mark.parametrize("change", [{"status_id": 3}, {"status_id": 4}, {"status_id": 5}, {"activity_id": 3}])
    def test_when_a_finding_of_ocsf_is_settled_then_it_is_archived(self, change: dict[str, Any]) -> None:
        event = sample("securityhub_ocsf")
        assert not map_security_hub(event, home=HOME).alerts[0].archived
        event["detail"]["findings"][0] |= change
        assert map_security_hub(event, home=HOME).alerts[0].archived

    @pytest.mark.parametrize("name", PRESETS)
    def test_fails_when_the_document_is_another_tools(self, name: AlertPreset) -> None:
        for other in PRESETS:
            if other != name:
                found = map_alerts("tool", AlertSource(name), sample(other), home=HOME)
                assert found.alerts == (), other
                assert len(found.unmatched) == 1

    @pytest.mark.parametrize("document", [None, [], "text", 5, {}, {"version": "1"}])
    @pytest.mark.parametrize("name", PRESETS)
    def test_fails_when_the_document_is_none_at_all(self, name: AlertPreset, document: Any) -> None:
        found = map_alerts("tool", AlertSource(name), document, home=HOME)
        assert found.alerts == ()
        assert len(found.unmatched) == 1

    def test_fails_when_there_is_no_such_preset(self) -> None:
        expected = (
            "no preset of this name: did you mean hunters? expected generic, guardduty, hunters, securityhub, "
            "securityhub_ocsf"
        )
        assert refusal(lambda: AlertSource("huntres")) == expected  # type: ignore[arg-type]


class TestValues:
    @pytest.mark.parametrize(
        ("given", "severity"),
        [
            ("informational", 0.0),
            ("low", 1.0),
            (" Medium ", 4.0),
            ("HIGH", 7.0),
            ("critical", 9.0),
            ("Fatal", 10.0),
            (0, 0.0),
            (8.2, 8.2),
            ("8.2", 8.2),
            (["high"], 7.0),
        ],
    )
    def test_when_a_severity_is_a_word_or_a_number_then_it_is_one_from_0_to_10(
        self, given: Any, severity: float
    ) -> None:
        assert alert(level=given).severity == severity

    def test_when_the_scale_is_100_then_numbers_are_of_it_and_words_are_not(self) -> None:
        mapping = replace(MINE, severity_scale=100)
        assert alert(mapping, level=70).severity == 7.0
        assert alert(mapping, level="high").severity == 7.0

    @pytest.mark.parametrize("given", ["awful", 11, -1, True, {"at": 1}, float("nan"), ["low", "high"], "1e3", None])
    def test_fails_when_a_severity_is_neither(self, given: Any) -> None:
        assert reason(level=given).startswith("severity: ")

    def test_when_words_come_from_outside_then_each_is_one_bounded_line(self) -> None:
        one = alert(name="a\n\x1b[31mb" + "x" * 999, kind="c\r\nd\u202e" + "y" * 999)
        assert (len(one.title), len(one.type)) == (300, 256)
        assert one.title.isprintable()
        assert one.type.isprintable()
        assert one.type.startswith("c d y")

    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            ("2026-11-26T12:00:00Z", "2026-11-26T12:00:00Z"),
            ("2026-11-26T13:00:00.5+01:00", "2026-11-26T12:00:00Z"),
            ("2026-11-26T12:00:00", "2026-11-26T12:00:00Z"),
            (1795694400, "2026-11-26T12:00:00Z"),
            (1795694400000, "2026-11-26T12:00:00Z"),
            ("yesterday", None),
            (-1, None),
            (1e300, None),
            ("0001-01-01T00:00:00+14:00", None),
            (True, None),
            # How programs write that there is no time.
            ("0001-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00Z", None),
            (0, None),
            (-62135596800, None),
            ("1999-12-31T23:59:59Z", None),
            ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
            # Of several events the last one.
            (["2026-11-26T11:00:00Z", "2026-11-26T12:00:00Z", 1795690800], "2026-11-26T12:00:00Z"),
        ],
    )
    def test_when_a_time_is_given_then_it_is_in_utc_or_left_out(self, given: Any, seen: str | None) -> None:
        one = alert(at=given)
        assert one.last_seen == seen
        assert bool(one.left_out) == (seen is None)

    @pytest.mark.parametrize("none", [0, "0001-01-01T00:00:00Z", [], [0, "yesterday"]])
    def test_when_there_are_alternatives_then_the_latest_time_of_the_first_that_has_any_counts(self, none: Any) -> None:
        mapping = replace(MINE, time="[events[].at, detected]")
        late, early = "2026-11-26T12:00:00Z", "2026-11-26T11:00:00Z"

        def seen(events: list[Any]) -> str | None:
            document = {**LEAST, "events": [{"at": at} for at in events], "detected": "2026-11-26T13:00:00Z"}
            [one] = mapped(document, mapping).alerts
            return one.last_seen

        assert seen([early, late]) == late
        assert seen([none, early]) == early
        assert seen([none]) == "2026-11-26T13:00:00Z"

    def test_when_techniques_and_tactics_are_given_then_those_of_attack_count(self) -> None:
        one = alert(technique=["t1071.004", "T1071", "beacon", 5], tactics=["Command and Control", "TA0010", "x"])
        assert (one.techniques, one.tactics) == (("T1071.004", "T1071"), ("CommandAndControl", "Exfiltration"))
        assert len(one.left_out) == 3

    @pytest.mark.parametrize("id_", ["x" * 201, "a\nb", "café", " a", "\ud800"])
    def test_when_an_id_is_long_or_of_other_signs_then_its_hash_stands_for_it(self, id_: str) -> None:
        one = alert(id=id_)
        assert one.id.startswith("sha256-")
        assert len(one.id) == 71
        assert alert(id=id_).id == one.id != alert(id=id_ + "y").id

    def test_when_an_id_is_a_number_then_it_is_taken_as_text(self) -> None:
        assert alert(id=4711).id == "4711"

    @pytest.mark.parametrize("title", ["[SAMPLE] x", None])
    def test_when_it_is_guardduty_sample_then_it_is_one(self, title: str | None) -> None:
        assert alert(name=title, finding="f", instance="i-99999999" if title is None else INSTANCE).sample
        assert not alert().sample

    def test_when_the_title_of_another_tool_begins_as_that_of_a_sample_then_it_is_none(self) -> None:
        assert not alert(name="[SAMPLE] beacon").sample


class TestTargets:
    def test_when_no_place_is_named_then_it_is_the_sites(self) -> None:
        assert alert().where == HOME
        assert alert(account="999999999999", region="eu-west-1").where == AccountRegion("999999999999", "eu-west-1")

    @pytest.mark.parametrize(
        ("values", "target"),
        [
            ({}, Target((INSTANCE,))),
            ({"instance": [INSTANCE, INSTANCE, None]}, Target((INSTANCE,))),
            ({"eni": "eni-0a000000000000001"}, Target((INSTANCE,), "eni-0a000000000000001")),
            ({"instance": None, "eni": "eni-0a000000000000001"}, Target((), "eni-0a000000000000001")),
            (
                {"ip": "10.0.1.10", "vpc": "vpc-0a1b2c3d4e5f60718"},
                Target((INSTANCE,), None, "10.0.1.10", "vpc-0a1b2c3d4e5f60718"),
            ),
            ({"ip": ["10.0.1.10", "10.0.1.11"], "vpc": "vpc-0a1b2c3d4e5f60718"}, Target((INSTANCE,))),
            ({"ip": "10.0.1.10"}, Target((INSTANCE,))),
            ({"arn": f"arn:aws:ec2:eu-central-1:111122223333:instance/{INSTANCE}"}, Target((INSTANCE,))),
            (
                {"instance": None, "ip": "10.0.1.10", "vpc": "vpc-0a1b2c3d4e5f60718"},
                Target((), None, "10.0.1.10", "vpc-0a1b2c3d4e5f60718"),
            ),
        ],
    )
    def test_when_it_names_an_instance_in_any_way_then_that_is_what_is_asked_for(
        self, values: dict[str, Any], target: Target
    ) -> None:
        assert alert(**values).target == target

    def test_when_an_arn_names_the_instance_then_it_names_the_place(self) -> None:
        one = alert(instance=None, arn=f"arn:aws:ec2:eu-west-1:999999999999:instance/{INSTANCE}")
        assert (one.target, one.where) == (Target((INSTANCE,)), AccountRegion("999999999999", "eu-west-1"))

    @pytest.mark.parametrize(
        ("values", "why"),
        [
            ({"instance": None}, "it names no instance: instance_id, instance_arn, network_interface_id, private_ip"),
            ({"instance": "web-1"}, "instance_id: expected the form i-0123456789abcdef0, got 'web-1'"),
            ({"instance": "${TfToken[TOKEN.1]}"}, "instance_id: expected the form"),
            ({"instance": [INSTANCE, "i-0a000000000000002"]}, "instance_id: names 2, "),
            ({"instance": None, "arn": "arn:aws:s3:::bucket"}, "instance_arn: expected the ARN of an instance"),
            ({"eni": "eth0"}, "network_interface_id: expected the form"),
            ({"instance": None, "ip": "10.0.1.10"}, "vpc_id: is missing"),
            ({"instance": None, "ip": "10.0.1.256", "vpc": "vpc-0a1b2c3d4e5f60718"}, "private_ip: expected an IPv4"),
            ({"instance": None, "ip": "10.0.1", "vpc": "vpc-0a1b2c3d4e5f60718"}, "private_ip: expected an IPv4"),
            ({"instance": None, "ip": ["10.0.1.1", "10.0.1.2"], "vpc": "vpc-0a1b2c3d"}, "private_ip: names 2, "),
            (
                {"arn": "arn:aws:ec2:eu-central-1:111122223333:instance/i-0a000000000000002"},
                f"instance_arn: names i-0a000000000000002, but instance_id {INSTANCE}",
            ),
            (
                {"arn": f"arn:aws:ec2:eu-central-1:111122223333:instance/{INSTANCE}", "account": "999999999999"},
                "instance_arn: is of account 111122223333 in eu-central-1, but account_id and region say account 9999",
            ),
            (
                {"arn": f"arn:aws:ec2:eu-west-1:111122223333:instance/{INSTANCE}", "region": "eu-central-1"},
                "instance_arn: is of account 111122223333 in eu-west-1, but account_id and region say account 1111",
            ),
            ({"account": "12"}, "account_id: expected the form"),
            ({"region": "mars"}, "region: expected the form"),
            ({"id": None, "x": 1}, "the mapping is for documents with id; this one has the keys 'level'"),
            ({"finding": "a/b"}, "guardduty_finding: expected the id or the ARN of a GuardDuty finding, got 'a/b'"),
        ],
    )
    def test_fails_when_the_instance_is_not_certain(self, values: dict[str, Any], why: str) -> None:
        assert reason(**values).startswith(why)

    def test_fails_when_an_expression_fails_on_this_alert(self) -> None:
        mapping = replace(MINE, instance_id="join('', instance)")
        assert reason(mapping).startswith("instance_id: the expression fails on this alert: ")

    def test_when_an_expression_of_what_may_be_absent_fails_then_it_is_left_out(self) -> None:
        one = alert(replace(MINE, title="join('', level)"))
        assert one.title == ""
        assert one.left_out[0].startswith("the expression fails") or one.left_out[0].startswith("title: ")

    def test_when_a_document_has_more_entries_than_are_read_then_the_reason_says_how_many(self) -> None:
        mapping = replace(MINE, match="rows", each="rows")
        found = mapped({"rows": [{**LEAST, "id": str(n)} for n in range(ALERTS_OF_A_DOCUMENT + 2)]}, mapping)
        assert len(found.alerts) == ALERTS_OF_A_DOCUMENT
        assert found.unmatched == ("2 further entries: at most 100 of a document are read",)

    def test_fails_when_an_alert_names_more_instances_than_are_read(self) -> None:
        mapping = replace(MINE, several_instances=True)
        ids = [f"i-{n:017x}" for n in range(101)]
        assert reason(mapping, instance=ids) == "instance_id: names 101 instances: at most 100 of one are read"
        target = alert(mapping, instance=ids[1:]).target
        assert target is not None
        assert target.instance_ids == tuple(ids[1:])

    @pytest.mark.parametrize("rows", [[], {}, "text", 5])
    def test_fails_when_there_is_no_list_of_entries(self, rows: Any) -> None:
        found = mapped({"rows": rows}, replace(MINE, match="keys(@)", each="rows"))
        assert found.alerts == ()
        assert found.unmatched[0].startswith("rows: expected a list of alerts, got ")


class TestMisspelledKinds:
    """Entities of a lead have the kinds that a workflow writes; a typing error there must not go unseen."""

    OTHER: Final[Mapping[str, str]] = {
        "aws_account_id": "444455556666",
        "aws_instance_id": "i-0b000000000000002",
        "aws_eni_id": "eni-0b000000000000002",
    }

    @staticmethod
    def lead(kind: str, value: object, *others: str) -> Mapped:
        """Return what becomes of a lead about the instance, with some other entities of the sample, and one more."""
        document = sample("hunters")
        kept = [one for one in document["entities"] if one["kind"] in ("aws_instance_id", *others)]
        document["entities"] = [*kept, {"kind": kind, "value": value}]
        return map_alerts("hunters", AlertSource("hunters"), document, home=HOME)

    @pytest.mark.parametrize(
        ("meant", "written"),
        [
            ("aws_account_id", "aws_acount_id"),
            ("aws_account_id", "aws_accuont_id"),
            ("aws_account_id", "aws_account"),
            ("aws_account_id", "account_id"),
            ("aws_account_id", "AWS-Account-Id"),
            ("aws_instance_id", "aws_instnace_id"),
            ("aws_instance_id", "instanceId"),
            ("aws_instance_id", "aws_ec2_instance"),
            ("aws_eni_id", "aws_eni"),
            ("aws_eni_id", "aws_nei_id"),
        ],
    )
    def test_fails_when_what_is_not_read_is_another_one_than_what_is(self, meant: str, written: str) -> None:
        value = self.OTHER[meant]
        said = f"entities: {written!r} with the value {value!r} is not read: did you mean {meant}?"
        assert self.lead(written, value) == Mapped(unmatched=(said,))

    def test_fails_when_the_account_is_a_number(self) -> None:
        [why] = self.lead("aws_acount_id", 444455556666).unmatched
        assert why.startswith("entities: 'aws_acount_id' with the value '444455556666' is not read")

    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("aws_acount_id", HOME.account_id),
            ("aws_instance", INSTANCE),
            ("aws_eni", "eni-0a000000000000001"),
        ],
    )
    def test_when_it_changes_nothing_then_it_is_only_left_out(self, written: str, value: str) -> None:
        found = self.lead(written, value, "aws_eni_id")
        assert found.unmatched == ()
        [left_out] = found.alerts[0].left_out
        assert left_out.startswith(f"entities: {written!r} with the value {value!r} is not read: did you mean ")

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("aws_account_name", "production"),
            ("aws_principal_account_id", "444455556666"),
            ("aws_caller_account_id", "444455556666"),
            ("aws_peer_instance_id", "i-0b000000000000002"),
            ("aws_instance_type", "m5.large"),
            ("aws_ami_id", "ami-0b000000000000002"),
            ("aws_account", "production"),
            ("phone", "444455556666"),
            ("host", "i-0b000000000000002"),
            ("", "444455556666"),
            ("aws_acount_id", None),
            ("aws_acount_id", True),
            ("aws_acount_id", ["444455556666"]),
        ],
    )
    def test_when_a_kind_is_none_of_ours_then_it_is_ignored(self, kind: str, value: object) -> None:
        found = self.lead(kind, value)
        assert found.unmatched == ()
        [read] = found.alerts
        assert read.target is not None
        assert (read.target.instance_ids, read.left_out) == ((INSTANCE,), ())


class TestMappings:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"match": "a ||"}, "match: 'a ||' is no expression of JMESPath: "),
            ({"alert_id": ""}, "alert_id: expected an expression of JMESPath with 1 to 1000 characters"),
            ({"title": "uper(a)"}, "title: 'uper(a)': JMESPath has no function uper: it has abs, "),
            ({"title": "contains(a)"}, "title: 'contains(a)': contains takes 2 arguments, got 1"),
            ({"severity_scale": 5}, "severity_scale must be 10 or 100, got 5"),
            ({"vpc_id": None}, "private_ip and vpc_id go together"),
            (
                dict.fromkeys(("instance_id", "instance_arn", "network_interface_id", "private_ip", "vpc_id")),
                "expected one of instance_id, instance_arn, network_interface_id, private_ip",
            ),
        ],
    )
    def test_fails_when_a_mapping_is_wrong(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(RuleViolation) as raised:
            replace(MINE, **changes)
        assert str(raised.value).startswith(message)

    @pytest.mark.parametrize("given", [{}, {"preset": "generic", "mapping": MINE}])
    def test_fails_when_a_source_has_none_or_two(self, given: dict[str, Any]) -> None:
        with pytest.raises(RuleViolation, match="^expected exactly one of preset, mapping$"):
            AlertSource(**given)

    def test_when_sources_are_dumped_then_loading_gives_the_same(self) -> None:
        sources = {
            "soc": AlertSource("generic", webhook=True),
            "edr": AlertSource(mapping=replace(MINE, severity_scale=100)),
        }
        assert load_sources(dump_sources(sources)) == sources
        assert dump_sources(sources) == dump_sources(dict(reversed(sources.items())))

    def test_when_a_preset_is_asked_for_then_its_expressions_are_compiled(self) -> None:
        assert all(preset(name).problem() is None for name in PRESETS if name != "guardduty")


class TestWhatPresetsSay:
    """Whoever uses a preset wrote no mapping: messages name what the preset reads, and what the document has."""

    @pytest.mark.parametrize(
        ("name", "path", "value", "why"),
        [
            (
                "hunters",
                ("detector",),
                "",
                "preset hunters reads leads with uuid and detector, neither of which is empty; this one has uuid "
                "'7f6f1c1e-4a5b-4a43-9c39-0d5f2f8f9b11', detector ''",
            ),
            (
                "hunters",
                ("uuid",),
                None,
                "preset hunters reads leads with uuid and detector, neither of which is empty; this one has detector "
                "'aws_vpc_flow_beaconing', but no uuid",
            ),
            (
                "hunters",
                ("entities",),
                [{"kind": "aws_account_id", "value": "111122223333"}, {"kind": "AWS_INSTANCE_ID", "value": INSTANCE}],
                "it names no instance: preset hunters reads entities of the kinds aws_instance_id, aws_eni_id, or ip "
                "with aws_vpc_id, each with a value; this alert has entities of the kinds 'aws_account_id', "
                "'AWS_INSTANCE_ID'",
            ),
            ("hunters", ("entities",), [], "with a value; this alert has no entities"),
            ("hunters", ("entities",), "i-1", "with a value; this alert has entities 'i-1'"),
            (
                "hunters",
                ("entities",),
                [{"kind": "ip", "value": "10.0.1.10"}, {"kind": "aws_vpc", "value": "vpc-0a1b2c3d4e5f60718"}],
                "entity of the kind aws_vpc_id: is missing: the address alone may be another instance's in another "
                "VPC; this alert has entities of the kinds 'ip', 'aws_vpc'",
            ),
            (
                "hunters",
                ("entities",),
                [{"kind": "aws_instance_id", "value": ""}],
                "entity of the kind aws_instance_id: expected a value, got ['']",
            ),
            (
                "hunters",
                ("entities",),
                [{"kind": "aws_account_id", "value": "12"}, {"kind": "aws_instance_id", "value": INSTANCE}],
                "entity of the kind aws_account_id: expected the form ",
            ),
            ("hunters", ("risk",), "urgent", "risk or score: expected informational, "),
            (
                "generic",
                ("version",),
                1,
                "preset generic reads alerts with version '1', a text, and an alert_id that is not empty; this one has "
                "version 1, alert_id 'soc-2026-000123'",
            ),
            (
                "generic",
                ("target",),
                {"instanceId": INSTANCE},
                "it names no instance: preset generic reads a target with instance_id, instance_arn, "
                "network_interface_id, or private_ip with vpc_id; this alert has a target with 'instanceId'",
            ),
            ("generic", ("target", "instance_id"), "x", "target.instance_id: expected the form i-0123456789abcdef0"),
            (
                "securityhub",
                ("detail-type",),
                "Security Hub Insight Results",
                "a detail-type that begins with 'Security Hub Findings - ', and findings with ProductArn in "
                "detail.findings; this one has source 'aws.securityhub', detail-type 'Security Hub Insight Results', ",
            ),
            (
                "securityhub",
                ("detail", "findings", 0, "Resources"),
                [{"Type": "AwsS3Bucket", "Id": "b"}],
                "detail.findings[0]: it names no instance: preset securityhub reads Resources of the Type "
                "AwsEc2Instance, each with an Id; this alert has Resources of the Types 'AwsS3Bucket'",
            ),
            (
                "securityhub",
                ("detail", "findings", 0, "Region"),
                "eu-west-1",
                "Id of the resource of the Type AwsEc2Instance: is of account 111122223333 in eu-central-1, but "
                "AwsAccountId and Region say account 111122223333 in eu-west-1",
            ),
            ("securityhub", ("detail", "findings", 0, "Id"), "", "detail.findings[0]: Id: is missing, so that"),
            ("securityhub", ("detail", "findings", 0, "ProductArn"), 5, "FindingProviderFields.Severity.Original): "),
            (
                "securityhub_ocsf",
                ("detail", "findings", 0, "resources"),
                [{"type": "AWS::S3::Bucket", "uid": "b"}],
                "detail.findings[0]: it names no instance: preset securityhub_ocsf reads resources of the type "
                "AWS::EC2::Instance, each with a uid; this alert has resources of the types 'AWS::S3::Bucket'",
            ),
        ],
    )
    def test_fails_in_words_of_the_document(
        self, name: AlertPreset, path: tuple[Any, ...], value: Any, why: str
    ) -> None:
        found = map_alerts("x", AlertSource(name), with_value(sample(name), path, value), home=HOME)
        assert found.alerts == ()
        assert why in found.unmatched[0]

    def test_when_a_document_is_of_neither_security_hub_then_both_forms_are_named(self) -> None:
        [why] = map_security_hub({"source": "aws.ec2"}, home=HOME).unmatched
        assert "preset securityhub reads events of Security Hub CSPM: " in why
        assert "; preset securityhub_ocsf reads events of Security Hub v2: " in why
        assert why.endswith("this one has source 'aws.ec2', but no detail-type and no detail.findings[].ProductArn")

    @pytest.mark.parametrize("name", [name for name in PRESETS if name != "guardduty"])
    def test_when_any_value_is_wrong_then_no_message_has_an_expression_or_a_key_of_the_mapping(
        self, name: AlertPreset
    ) -> None:
        mapping = preset(name)
        keys = {key for key, expression in mapping.expressions() if key != expression}
        said = set()
        for path in places(sample(name)):
            for wrong in (None, "", "?", -1, ["?", "!"]):
                found = map_alerts("x", AlertSource(name), with_value(sample(name), path, wrong), home=HOME)
                said |= {*found.unmatched, *(text for one in found.alerts for text in one.left_out)}
        assert len(said) > 20
        for message in said:
            ours = re.sub(r"'[^']*'|\"[^\"]*\"", "", message)
            assert not re.search(r"\|\||&&|\[\?|==|mapping|expression|answer", ours), message
            assert re.sub(r"^\S+\[\d+\]: ", "", ours).split(":")[0] not in keys, message


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A document with another value at a place; None takes it away."""
    *above, last = path
    holder = at(document, tuple(above))
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return document


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document that holds a value."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([INSTANCE, "i-0a000000000000002", "eni-0a000000000000001", "10.0.1.10", "high", "\n\x1b[0m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(PRESETS))
def test_when_a_document_is_changed_anywhere_then_every_value_is_bounded_or_the_reason_is_said(
    data: st.DataObject, name: AlertPreset
) -> None:
    document = sample(name)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(document))))
        at(document, path[:-1])[path[-1]] = data.draw(values)
    found = map_alerts("tool", AlertSource(name), json.loads(json.dumps(document)), home=HOME)
    assert found.alerts or found.unmatched
    for line in found.unmatched:
        assert line.isprintable()
        assert len(line) < 1000
    text = json.dumps(document)
    for one in found.alerts:
        assert 0.0 <= one.severity <= 10.0
        for shown in (one.id, one.title, one.type, *one.techniques, *one.tactics, *one.left_out):
            assert shown.isprintable()
            assert len(shown) <= 400
        # What is asked for stands in the document: nothing is made up.
        if one.target is not None:
            asked = (*one.target.instance_ids, one.target.network_interface_id, one.target.private_ip)
            assert any(asked)
            assert all(value in text for value in asked if value)


OTHER_INSTANCE = "i-0a000000000000002"
LOOK_ALIKES: dict[str, Callable[[str], str]] = {
    "cyrillic": lambda text: text.replace("i-", "\u0456-", 1),
    "full width": lambda text: "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in text),
    "other digits": lambda text: "".join(chr(0x0660 + int(sign)) if sign.isdigit() else sign for sign in text),
    "other hyphen": lambda text: text.replace("-", "\u2010"),
    "no width": lambda text: f"{text[:4]}\u200b{text[4:]}",
    "other direction": lambda text: f"\u202e{text}",
    "combining": lambda text: f"{text}\u0301",
    "upper case": str.upper,
    "blank": lambda text: f"{text} ",
    "line": lambda text: f"{text}\n",
    "nothing": lambda text: f"{text}\x00",
    "longer": lambda text: f"{text}0",
    "half": lambda text: f"{text}\ud800",
}


def instance_places(name: str, document: Any) -> list[Any]:
    """What stands where a preset's documents name the instance, found without JMESPath."""

    def of(holder: Any, *keys: str) -> Any:
        for key in keys:
            holder = holder.get(key) if isinstance(holder, dict) else None
        return holder

    def those(holder: Any, key: str, kind: str, value: str) -> list[Any]:
        listed = holder if isinstance(holder, list) else []
        return [of(one, value) for one in listed if isinstance(one, dict) and one.get(key) == kind]

    if name == "generic":
        return [of(document, "target", "instance_id"), of(document, "target", "instance_arn")]
    if name == "hunters":
        return those(of(document, "entities"), "kind", "aws_instance_id", "value")
    if name == "guardduty":
        return [of(document, "detail", "resource", "instanceDetails", "instanceId")]
    findings = of(document, "detail", "findings")
    listed = findings if isinstance(findings, list) else []
    if name == "securityhub":
        return [found for one in listed for found in those(of(one, "Resources"), "Type", "AwsEc2Instance", "Id")]
    return [found for one in listed for found in those(of(one, "resources"), "type", "AWS::EC2::Instance", "uid")]


def asked_for(found: Mapped) -> set[str]:
    """The instances that alerts are about, named by their ids."""
    return {
        id_
        for one in found.alerts
        for id_ in (*(each.id for each in one.instances), *(one.target.instance_ids if one.target else ()))
    }


def named_at(places: list[Any]) -> set[str]:
    """The ids that stand in places, alone, in a list or at the end of an ARN; nothing is folded or trimmed."""
    texts = [text for one in places for text in (one if isinstance(one, list) else [one]) if isinstance(text, str)]
    return {text.rpartition("/")[2] if text.startswith("arn:") else text for text in texts}


@pytest.mark.parametrize("change", LOOK_ALIKES)
@pytest.mark.parametrize("name", PRESETS)
def test_when_the_id_of_the_instance_only_looks_like_one_then_no_instance_is_meant(
    name: AlertPreset, change: str
) -> None:
    document = sample(name)
    [path] = [path for path in places(document) if at(document, path) in instance_places(name, document)]
    place = at(document, path[:-1])
    before, _, id_ = place[path[-1]].rpartition("/")
    changed = LOOK_ALIKES[change](id_)
    place[path[-1]] = f"{before}/{changed}" if before else changed
    found = map_alerts("tool", AlertSource(name), json.loads(json.dumps(document)), home=HOME)
    # One digit more makes another instance's id, for which EC2 is asked.
    assert asked_for(found) <= ({changed} if change == "longer" else set())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(PRESETS))
def test_when_places_are_removed_swapped_and_filled_then_only_what_stands_in_the_instances_place_is_meant(
    data: st.DataObject, name: AlertPreset
) -> None:
    document = sample(name)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(document))))
        holder, key = at(document, path[:-1]), path[-1]
        how = data.draw(st.sampled_from(("remove", "swap", "fill", "list", "look alike", "nest")))
        if how == "remove":
            del holder[key]
        elif how == "swap":
            other = data.draw(st.sampled_from(list(places(document))))
            if path[: len(other)] != other and other[: len(path)] != path:
                there = at(document, other[:-1])
                holder[key], there[other[-1]] = there[other[-1]], holder[key]
        elif how == "fill":
            holder[key] = data.draw(values)
        elif how == "list":
            holder[key] = [holder[key], *data.draw(st.lists(st.sampled_from([INSTANCE, OTHER_INSTANCE]), max_size=2))]
        elif how == "nest":
            holder[key] = {"value": holder[key]}
        elif isinstance(holder[key], str):
            holder[key] = LOOK_ALIKES[data.draw(st.sampled_from(sorted(LOOK_ALIKES)))](holder[key])
    document = json.loads(json.dumps(document))
    found = map_alerts("tool", AlertSource(name), document, home=HOME)
    there = named_at(instance_places(name, document))
    assert asked_for(found) <= there
    # Where one is meant, which one is certain.
    if name in ("generic", "hunters"):
        assert len(asked_for(found)) <= 1


@pytest.mark.parametrize("each", [None, "alerts"])
def test_when_a_value_is_nested_deeper_than_python_goes_then_it_is_unmatched_and_others_are_not(
    each: str | None,
) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    fine = {"id": "a-1", "s": "high", "host": INSTANCE}
    broken = {"id": "a-2", "s": "high", "host": [deep]}
    mapping = AlertMapping(match="v", alert_id="id", severity="s", instance_id="host", each=each)
    document = {"v": 1, "alerts": [fine, broken]} if each else {"v": 1, **broken}
    found = map_alerts("soc", AlertSource(mapping=mapping), document, home=HOME)
    assert found.unmatched == (f"{'alerts[1]: ' if each else ''}it is nested too deeply",)
    assert len(found.alerts) == (1 if each else 0)
