"""The section `xdr` of a site: what is refused, where, and what would be right."""

from __future__ import annotations

import re

import pytest

from tapstack.settings.load import parse_deployment
from tapstack.settings.problems import DeploymentError
from tests.synth.ids import FILTER, TARGET


def deployment(xdr: str, project: str = "acme", more: str = "") -> str:
    """A file with one site, whose xdr begins in line 7."""
    return f"""project: {project}
sites:
  a:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    allowed_account_ids: ["111122223333"]
    xdr: {xdr}
{more}"""


def refused(text: str) -> list[str]:
    """Return the lines of the report about a file."""
    with pytest.raises(DeploymentError) as caught:
        parse_deployment(text, "deployment.yaml")
    return [line.strip() for line in str(caught.value).splitlines()]


def test_fails_when_the_policy_of_the_bucket_would_be_larger_than_s3_takes() -> None:
    accounts = ", ".join(f'"{number:012}"' for number in range(100))
    project = "incident-response-of-all-accounts"
    [line] = [
        line
        for line in refused(deployment(f"{{landing: {{flow_log_accounts: [{accounts}]}}}}", project))
        if "policy" in line
    ]
    assert f":7: sites.a.xdr.landing.flow_log_accounts: the policy of the bucket {project}-a-xdr-" in line
    assert re.search(r"expected \d+ accounts? fewer in flow_log_accounts, or fewer principals of feeds", line)


def test_fails_when_a_feed_is_of_the_role_that_deploys() -> None:
    role = "arn:aws:iam::111122223333:role"
    feed = f'{{feeds: {{edr: {{principals: ["{role}/edr", "{role}/tapstack-deploy"]}}}}}}'

    def file(deploys: str) -> str:
        return deployment(feed, more=f'    assume_role: {{role_arn: "{role}/{deploys}"}}\n')

    [line] = refused(file("tapstack-deploy"))
    assert line == (
        "deployment.yaml:7: sites.a.xdr.feeds.edr.principals[1]: is the role that deploys this site "
        "(assume_role.role_arn), and the policy of the bucket denies the principals of feeds listing, reading and "
        f"deleting: expected a role of the producer's own, got '{role}/tapstack-deploy'"
    )
    parse_deployment(file("another"))


def test_when_a_site_has_telemetry_only_then_the_file_is_right() -> None:
    parse_deployment(deployment("{}"))


@pytest.mark.parametrize(
    ("xdr", "said"),
    [
        ("{landing: {bucket: Lake}}", "7: sites.a.xdr.landing.bucket: 'Lake' is not the name of a bucket"),
        ("{landing: {keep_days: 0}}", "7: sites.a.xdr.landing.keep_days: expected at least 1"),
        ("{landing: {keep_days: 5}}", "7: sites.a.xdr.landing: unmatched_days must be at most keep_days, 5, got 90"),
        (
            "{landing: {bucket: lake, deletion_protection: false}}",
            "7: sites.a.xdr.landing: deletion_protection has no effect with bucket: leave it out",
        ),
        (
            '{landing: {bucket: lake, bucket_key_arn: "arn:aws:kms:eu-west-1:111122223333:key/a"}}',
            "7: sites.a.xdr.landing.bucket_key_arn: is in Region eu-west-1: expected eu-central-1",
        ),
        (
            '{landing: {flow_log_accounts: ["111122223333"]}}',
            "7: sites.a.xdr.landing.flow_log_accounts[0]: is the site's own account, whose flow logs are delivered "
            "anyway: leave it out",
        ),
        ("{lading: {}}", "7: sites.a.xdr.lading: unknown key; did you mean landing?"),
    ],
)
def test_fails_when_the_landing_is_wrong(xdr: str, said: str) -> None:
    assert any(said in line for line in refused(deployment(xdr))), refused(deployment(xdr))


def test_fails_when_s3_reserves_the_name_of_the_bucket() -> None:
    lines = refused(deployment("{}", project="sthree-acme"))
    assert any("7: sites.a.xdr.landing: 'sthree-acme-a-xdr-111122223333' is reserved" in line for line in lines), lines


def test_fails_when_another_site_has_the_name_of_the_stack() -> None:
    more = "  a-xdr: {region: eu-central-1, vpc_id: vpc-0b1b2c3d4e5f60718, targets: {x: {network_interface_id: "
    lines = refused(deployment("{}", more=f"{more}eni-0a1b2c3d4e5f60718}}}}}}\n"))
    assert any("7: sites.a.xdr: site a-xdr has a stack of this name: rename that site" in line for line in lines), lines


ID = "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"
HUNTERS = f'{{preset: hunters, prefixes: [flow], vendor: {{principal: "444455556666", external_id: {ID}}}}}'
SENTINEL = f"{{preset: sentinel, prefixes: [flow], oidc: {{session_name: MicrosoftSentinel_{ID}}}}}"
TOKENS_OF_MANY = "issuer: https://token.actions.githubusercontent.com, audience: sts.amazonaws.com"
PROVIDER = '"arn:aws:iam::444455556666:oidc-provider/x.example.com"'
SPLUNK = '{preset: splunk, prefixes: [flow], own: {principals: ["arn:aws:iam::111122223333:role/splunk"]}}'
LOGS = "flow_logs: {}"
RESPONSE = f"""
    response: {{appliance: {{target: {TARGET}, filter: {FILTER}}}}}"""
"""Ends the section xdr."""


def section(*lines: str) -> str:
    """Return an xdr section of several lines, the first of which is line 8 of the file."""
    return "".join(f"\n      {line}" for line in lines)


def test_when_all_is_right_then_the_file_is_taken() -> None:
    file = parse_deployment(
        deployment(
            section(
                "flow_logs: {file_format: parquet, record_format: extended, aggregation_seconds: 60}",
                "guardduty: {detector_id: 12abc34d567e8fa901bc2d34e56789f0}",
                'feeds: {edr: {principals: ["arn:aws:iam::444455556666:role/edr"]}}',
                "readers:",
                f"  splunk: {SPLUNK}",
                '  own: {prefixes: [guardduty, feeds/edr], own: {principals: ["arn:aws:iam::444455556666:user/x"]}}',
            )
        )
    )
    assert file.sites["a"].xdr is not None
    assert file.warnings() == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["flow_logs: {vpc_ids: [eni-0123abcd]}"], "8: sites.a.xdr.flow_logs.vpc_ids[0]: 'eni-0123abcd' is not the id"),
        (["flow_logs: {aggregation_seconds: 300}"], "8: sites.a.xdr.flow_logs.aggregation_seconds: expected 60 or 600"),
        (["guardduty: {detector_id: mine}"], "8: sites.a.xdr.guardduty.detector_id: 'mine' is not the id of a"),
        (
            ["guardduty: {}"],
            "8: sites.a.xdr.guardduty.detector_id: is missing: the detector of the account",
        ),
        (["feeds: {edr: {principals: []}}"], "8: sites.a.xdr.feeds.edr.principals: expected at least 1 entry"),
        (
            ['feeds: {edr: {principals: ["arn:aws-cn:iam::444455556666:role/edr"]}}'],
            "8: sites.a.xdr.feeds.edr.principals[0]: is of partition aws-cn, which Region eu-central-1 cannot reach",
        ),
        (
            ["landing: {bucket: lake}", 'feeds: {edr: {principals: ["arn:aws:iam::444455556666:role/edr"]}}'],
            "9: sites.a.xdr.feeds.edr: has no effect: the policy of the existing bucket lake says who may put objects",
        ),
        (
            ["landing: {bucket: lake}", "guardduty: {detector_id: 12abc34d567e8fa901bc2d34e56789f0}"],
            "9: sites.a.xdr.guardduty: GuardDuty exports with a KMS key: expected landing.bucket_key_arn beside bucket",
        ),
        (
            [LOGS, "readers:", "  h: {preset: hunters, prefixes: [flow]}"],
            "10: sites.a.xdr.readers.h: expected exactly one of vendor, oidc, own; found none",
        ),
        (
            [LOGS, "readers:", '  h: {preset: hunters, prefixes: [flow], vendor: {principal: "444455556666"}}'],
            "10: sites.a.xdr.readers.h.vendor.external_id: is missing: the external id. 16 or more of its characters",
        ),
        (
            [LOGS, "readers:", f"  h: {HUNTERS.replace(ID, 'hunters-acme')}"],
            "10: sites.a.xdr.readers.h.vendor.external_id: 'hunters-acme' is too short for an external id: expected a",
        ),
        (
            [LOGS, "readers:", f"  oceanography: {HUNTERS.replace(ID, 'oceanography-7d41b')}"],
            "10: sites.a.xdr.readers.oceanography.vendor.external_id: 'oceanography-7d41b' is too easy to guess",
        ),
        (
            [LOGS, "readers:", f"  h: {HUNTERS.replace('444455556666', '183905527416')}"],
            f"10: sites.a.xdr.readers.h.vendor.external_id: '{ID}' is published in the documentation of Tapstack",
        ),
        (
            [LOGS, "readers:", f"  s: {SENTINEL.replace('preset: sentinel, ', '')[:-2]}, {TOKENS_OF_MANY}}}}}"],
            "10: sites.a.xdr.readers.s: oidc.subject is missing: whoever assumes the role chooses session_name",
        ),
        (
            [LOGS, "readers:", f"  h: {HUNTERS.replace('444455556666', '111122223333')}"],
            "10: sites.a.xdr.readers.h.vendor.principal: is the site's own account: expected own in place of vendor",
        ),
        (
            [LOGS, "readers:", f"  h: {HUNTERS.replace('hunters,', 'huntres,')}"],
            "10: sites.a.xdr.readers.h.preset: did you mean hunters? expected 'hunters', 'cortex', 'sentinel',",
        ),
        (
            ["readers:", f"  h: {HUNTERS}"],
            "9: sites.a.xdr.readers.h.prefixes[0]: nothing lands there: expected flow_logs, or landing",
        ),
        (
            ["readers:", f"  h: {HUNTERS.replace('[flow]', '[guardduty, incidents, feeds/edr]')}"],
            "9: sites.a.xdr.readers.h.prefixes[0]: nothing lands there: expected guardduty in xdr",
        ),
        (
            ["readers:", f"  h: {HUNTERS.replace('[flow]', '[guardduty, incidents, feeds/edr]')}"],
            "9: sites.a.xdr.readers.h.prefixes[1]: nothing lands there: expected a response in this site",
        ),
        (
            ["readers:", f"  h: {HUNTERS.replace('[flow]', '[incidents-ocsf]')}", RESPONSE],
            "9: sites.a.xdr.readers.h.prefixes[0]: nothing lands there: expected incidents: {ocsf: true} in xdr",
        ),
        (
            ["incidents: {ocsf: true}"],
            "8: sites.a.xdr.incidents.ocsf: has no effect: this site has no response, whose incidents these would be",
        ),
        (["incidents: {ocsf: 1}"], "8: sites.a.xdr.incidents.ocsf: expected true or false"),
        (
            ["readers:", f"  h: {HUNTERS.replace('[flow]', '[guardduty, incidents, feeds/edr]')}"],
            "9: sites.a.xdr.readers.h.prefixes[2]: nothing lands there: expected edr under feeds",
        ),
        (
            [LOGS, "readers:", f"  h: {HUNTERS}", f"  s: {SPLUNK}"],
            "11: sites.a.xdr.readers.s.queue: h makes the notifications of the bucket itself, which would replace "
            "those for this queue: set notifications: none for h",
        ),
        (
            [LOGS, "readers:", f"  h: {HUNTERS}", f"  i: {HUNTERS}"],
            "11: sites.a.xdr.readers.i.preset: makes the notifications of the bucket itself, as h does",
        ),
        (
            ["landing: {bucket: lake}", "readers:", f"  s: {SPLUNK}"],
            "10: sites.a.xdr.readers.s.queue: needs notifications of the bucket, and those of an existing bucket stay",
        ),
        (
            ["flow_logs: {file_format: parquet}", "readers:", f"  h: {HUNTERS}"],
            "10: sites.a.xdr.readers.h.prefixes[0]: Hunters reads no Parquet: set flow_logs.file_format: text",
        ),
        (
            [LOGS, "readers:", f"  s: {SPLUNK.replace('[flow]', '[flow, unmatched]')}"],
            "10: sites.a.xdr.readers.s.prefixes[1]: 'unmatched' is no prefix that a reader can be given",
        ),
        (
            [
                LOGS,
                "readers:",
                f"  s: {SENTINEL[:-2]}, provider_arn: {PROVIDER}}}}}",
            ],
            "10: sites.a.xdr.readers.s.oidc.provider_arn: belongs to account 444455556666: expected 111122223333",
        ),
    ],
)
def test_fails_when_a_part_is_wrong_and_says_where_and_what_would_be_right(lines: list[str], said: str) -> None:
    report = refused(deployment(section(*lines)))
    assert any(said in line for line in report), report


def test_fails_when_a_site_of_an_account_of_its_own_has_the_external_id_of_the_example() -> None:
    example = deployment(section(LOGS, "readers:", f"  h: {HUNTERS}"))
    parse_deployment(example)
    report = refused(example.replace('"111122223333"', '"183905527416"'))
    said = f"10: sites.a.xdr.readers.h.vendor.external_id: '{ID}' is published in the documentation of Tapstack"
    assert any(said in line for line in report), report


def test_when_notifications_are_none_then_other_readers_may_have_queues() -> None:
    quiet = HUNTERS.replace("preset: hunters,", "preset: hunters, notifications: none,")
    parse_deployment(deployment(section(LOGS, "readers:", f"  h: {quiet}", f"  s: {SPLUNK}")))


def test_when_a_reader_expects_fewer_fields_then_a_warning_says_so() -> None:
    file = parse_deployment(deployment(section("flow_logs: {record_format: extended}", "readers:", f"  h: {HUNTERS}")))
    (warning,) = file.warnings()
    assert "10: sites.a.xdr.readers.h.prefixes[0]: Hunters expects flow logs with the fields of version 2" in warning


def test_when_a_trust_policy_is_larger_than_iam_takes_by_default_then_a_warning_names_the_quota() -> None:
    roles = ", ".join(f'"arn:aws:iam::111122223333:role/{"p" * 100}/{number}"' for number in range(16))
    own = SPLUNK.replace('"arn:aws:iam::111122223333:role/splunk"', roles)
    file = parse_deployment(deployment(section(LOGS, "readers:", f"  s: {own}")))
    (warning,) = file.warnings()
    assert "10: sites.a.xdr.readers.s.own.principals: the trust policy of the reader's role would have 2," in warning
    assert 'quota "Role trust policy length" of IAM raised' in warning
    assert file.warnings(before_synthesis=True) == [], "the construct says so"


TWO = """
  b:
    region: eu-west-1
    vpc_id: vpc-0b1b2c3d4e5f60718
    allowed_account_ids: ["{account}"]
    xdr: {{flow_logs: {{}}, readers: {{s: {sentinel}}}}}
"""


def test_fails_when_two_sites_of_an_account_make_the_provider_of_one_issuer() -> None:
    def text(account: str) -> str:
        lines = section(LOGS, "readers:", f"  s: {SENTINEL}")
        return deployment(lines, more=TWO.format(account=account, sentinel=SENTINEL))

    parse_deployment(text("444455556666"))
    (line,) = [line for line in refused(text("111122223333")) if "provider_arn" in line]
    assert "sites.b.xdr.readers.s.oidc: site a makes the IAM provider of https://sts.windows.net/" in line


def test_fails_when_two_sites_export_one_detector() -> None:
    detector = "guardduty: {detector_id: 12abc34d567e8fa901bc2d34e56789f0}"
    more = f"""
  b: {{region: eu-central-1, vpc_id: vpc-0b1b2c3d4e5f60718, xdr: {{{detector}}}}}
"""
    (line,) = [line for line in refused(deployment(section(detector), more=more)) if "b.xdr" in line]
    assert (
        "sites.b.xdr.guardduty.detector_id: site a exports the findings of this detector, which can export to" in line
    )
