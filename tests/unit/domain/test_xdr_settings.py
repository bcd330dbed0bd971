"""Flow logs, feeds and readers of a landing: what is refused, and what the settings mean."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tapstack.domain.errors import RuleViolation
from tapstack.domain.telemetry import prefix_of, reader_dead_letters_name, reader_queue_name
from tapstack.domain.xdr_presets import PRESETS
from tapstack.domain.xdr_settings import (
    FeedSettings,
    FlowLogSettings,
    OidcTrust,
    OwnTrust,
    ReaderSettings,
    VendorTrust,
    check_readers,
)

ID = "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"
ROLE = "arn:aws:iam::111122223333:role/agent"
VENDOR = VendorTrust("444455556666", ID)
OWN = OwnTrust((ROLE,))
ANALYSTS = tuple(
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Containment"
    f"{number:02}_0123456789abcdef"
    for number in range(16)
)
"""Roles of Identity Center."""
SENTINEL = OidcTrust(session_name=f"MicrosoftSentinel_{ID}")
MANY: dict[str, Any] = {"issuer": "https://token.actions.githubusercontent.com", "audience": "sts.amazonaws.com"}
"""Of the tokens that every workflow of every customer of GitHub gets."""
TOKEN = OidcTrust(issuer="https://login.example.com/t", audience="a", subject="s")


def reader(**given: Any) -> ReaderSettings:
    return ReaderSettings(**{"prefixes": ("flow",), **given})


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("flow", "flow/"),
        ("guardduty", "guardduty/"),
        ("incidents", "incidents/v1/"),
        ("incidents-ocsf", "incidents-ocsf/"),
        ("feeds/edr", "feeds/edr/"),
    ],
)
def test_when_a_prefix_has_a_name_then_objects_are_there(name: str, prefix: str) -> None:
    assert prefix_of(name) == prefix


@pytest.mark.parametrize("name", ["flows", "unmatched", "feeds", "feeds/", "feeds/E", "feeds/a/b", "feed/edr", "", "*"])
def test_fails_when_no_prefix_has_the_name(name: str) -> None:
    with pytest.raises(RuleViolation):
        prefix_of(name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FlowLogSettings(vpc_ids=("eni-0123abcd",)), "'eni-0123abcd' is not the id of a VPC"),
        (lambda: FlowLogSettings(subnet_ids=("vpc-0123abcd",)), "'vpc-0123abcd' is not the id of a subnet"),
        (lambda: FlowLogSettings(vpc_ids=("vpc-0123abcd",) * 101), "101 flow logs: expected at most 100"),
        (lambda: FlowLogSettings(traffic="SOME"), "traffic must be ALL, ACCEPT or REJECT, got 'SOME'"),  # type: ignore[arg-type]
        (lambda: FlowLogSettings(aggregation_seconds=5), "aggregation_seconds must be 60 or 600, got 5"),  # type: ignore[arg-type]
        (lambda: FeedSettings(()), "principals has 0 entries: expected 1 to 20"),
        (lambda: FeedSettings((ROLE,) * 21), "principals has 21 entries"),
        (lambda: FeedSettings(("*",)), "'*' is not the ARN of an IAM role or user"),
        (lambda: VendorTrust("hunters", ID), "'hunters' is no account and no role: expected the id of the vendor's"),
        (lambda: VendorTrust("1234", ID), "'1234' is no account and no role"),
        (lambda: VendorTrust("444455556666", "short"), "'short' is too short for an external id"),
        (lambda: OwnTrust((ROLE,), "short"), "'short' is too short for an external id"),
        (lambda: OwnTrust(("arn:aws:iam::111122223333:root",)), "is not the ARN of an IAM role or user"),
        (
            lambda: OwnTrust(tuple(f"arn:aws:iam::111122223333:role/{'p' * 500}/{number:02}" for number in range(16))),
            "the trust policy of the reader's role would have 8,717 characters for 16 principals, and IAM takes 8,192 "
            "at most: expected fewer principals, or ones with shorter names",
        ),
        (
            lambda: OidcTrust(issuer="https://login.example.com"),
            "expected subject, or session_name with preset sentinel: any",
        ),
        (lambda: OidcTrust(subject="s", issuer="http://x.example.com"), "is no issuer of tokens"),
        (lambda: OidcTrust(subject="a b"), "subject 'a b' is none"),
        (lambda: OidcTrust(session_name="*"), "session_name '*' is none"),
        (lambda: OidcTrust(subject="s", thumbprints=("ab",)), "'ab' is no thumbprint: expected 40 hexadecimal digits"),
        (lambda: OidcTrust(subject="s", thumbprints=("ab" * 20,) * 6), "thumbprints has 6 entries: expected at most 5"),
        (lambda: OidcTrust(subject="s", provider_arn=ROLE), "is not the ARN of an OpenID Connect provider of IAM"),
        (
            lambda: OidcTrust(
                subject="s",
                thumbprints=("ab" * 20,),
                provider_arn="arn:aws:iam::111122223333:oidc-provider/login.example.com",
            ),
            "thumbprints has no effect with provider_arn: leave it out",
        ),
    ],
)
def test_fails_when_a_setting_is_wrong(make: Any, said: str) -> None:
    with pytest.raises(RuleViolation, match=re.escape(said)):
        make()


def test_when_a_trust_policy_is_larger_than_iam_takes_by_default_then_a_warning_names_the_quota() -> None:
    assert OwnTrust(ANALYSTS[:15]).warnings() == []
    assert OwnTrust(ANALYSTS).warnings() == [
        "the trust policy of the reader's role would have 2,093 characters for 16 principals, and IAM takes 2,048 by "
        'default: before the deploy have the quota "Role trust policy length" of IAM raised in this account (Service '
        "Quotas, in partition aws in us-east-1; AWS grants up to 8,192), or give fewer principals"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "expected exactly one of vendor, oidc, own; found none"),
        ({"vendor": VENDOR, "own": OWN}, "expected exactly one of vendor, oidc, own; found vendor, own"),
        ({"own": OWN, "prefixes": ()}, "prefixes has 0 entries: expected 1 to 20"),
        ({"own": OWN, "prefixes": ("flows",)}, "'flows' is no prefix that a reader can be given: did you mean flow?"),
        ({"own": OWN, "preset": "wazuh"}, "preset must be hunters, cortex, sentinel, elastic, splunk or crowdstrike"),
        ({"own": OWN, "preset": "hunters"}, "Hunters reads with vendor, not with own"),
        ({"vendor": VENDOR, "preset": "sentinel"}, "Microsoft Sentinel reads with oidc, not with vendor"),
        ({"vendor": VENDOR, "preset": "elastic"}, "Elastic reads with own, not with vendor"),
        (
            {"vendor": VENDOR, "preset": "hunters", "queue": True},
            "queue true does not fit: Hunters makes its own notifications and needs no queue; leave it out",
        ),
        (
            {"own": OWN, "preset": "splunk", "queue": False},
            "queue false does not fit: Splunk always reads from a queue; leave it out",
        ),
        (
            {"own": OWN, "preset": "elastic", "notifications": "none"},
            "notifications has no effect: Elastic makes none itself; leave it out",
        ),
        ({"oidc": SENTINEL}, "oidc.issuer is missing: without a preset it has no default"),
        (
            {"oidc": OidcTrust(issuer="https://x.example.com", subject="s")},
            "oidc.audience is missing: without a preset it has no default",
        ),
        (
            {"oidc": OidcTrust(session_name="MicrosoftSentinel_mine"), "preset": "sentinel"},
            "session_name 'MicrosoftSentinel_mine' is none of Microsoft Sentinel: expected MicrosoftSentinel_ and the",
        ),
        (
            {"oidc": OidcTrust(subject="s"), "preset": "sentinel"},
            "session_name None is none of Microsoft Sentinel",
        ),
        ({"oidc": OidcTrust(**MANY, session_name="reader")}, "oidc.subject is missing: whoever assumes the role"),
        *(
            (
                {"oidc": OidcTrust(**other, session_name=SENTINEL.session_name), "preset": "sentinel"},
                "oidc.subject is missing: whoever assumes the role chooses session_name",
            )
            for other in ({"issuer": MANY["issuer"]}, {"audience": MANY["audience"]})
        ),
        (
            {"vendor": VendorTrust("444455556666", "c41f9a07e6b83d5207fa"), "preset": "cortex"},
            "external_id 'c41f9a07e6b83d5207fa' is none of Cortex XDR and XSIAM: expected a UUID of version 4",
        ),
    ],
)
def test_fails_when_a_reader_does_not_fit_together(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleViolation, match=re.escape(said)):
        reader(**given)


@pytest.mark.parametrize(
    ("given", "queue", "manages"),
    [
        ({"vendor": VENDOR, "preset": "hunters"}, False, True),
        ({"vendor": VENDOR, "preset": "hunters", "notifications": "none"}, False, False),
        ({"vendor": VENDOR, "preset": "cortex"}, True, False),
        ({"vendor": VENDOR, "preset": "crowdstrike", "queue": True}, True, False),
        ({"oidc": SENTINEL, "preset": "sentinel"}, True, False),
        ({"own": OWN, "preset": "elastic"}, True, False),
        ({"own": OWN, "preset": "elastic", "queue": False}, False, False),
        ({"own": OWN, "preset": "splunk"}, True, False),
        ({"oidc": OidcTrust(**MANY, subject="s", session_name="reader")}, False, False),
        (
            {"oidc": OidcTrust(**MANY, subject="s", session_name=SENTINEL.session_name), "preset": "sentinel"},
            True,
            False,
        ),
        ({"own": OWN}, False, False),
        ({"oidc": TOKEN, "queue": True}, True, False),
        ({"vendor": VENDOR, "queue": False}, False, False),
    ],
)
def test_when_a_reader_is_given_then_it_is_known_how_it_hears_of_objects(
    given: dict[str, Any], queue: bool, manages: bool
) -> None:
    assert (reader(**given).has_queue, reader(**given).manages_notifications) == (queue, manages)


def test_when_readers_go_together_then_nothing_is_said() -> None:
    hunters = reader(vendor=VENDOR, preset="hunters")
    quiet = reader(vendor=VENDOR, preset="hunters", notifications="none")
    queued, polling = reader(own=OWN, preset="splunk"), reader(own=OWN)
    assert list(check_readers({"a": hunters, "b": polling, "c": quiet})) == []
    assert list(check_readers({"a": quiet, "b": queued, "c": queued})) == []
    assert list(check_readers({"a": quiet, "b": polling}, existing=True)) == []


def test_when_readers_replace_each_others_notifications_then_each_is_named() -> None:
    hunters, queued = reader(vendor=VENDOR, preset="hunters"), reader(own=OWN, preset="splunk")
    found = list(check_readers({"q": queued, "a": hunters, "b": hunters}))
    assert [(name, setting) for name, setting, _ in found] == [("q", "queue"), ("b", "preset")]
    assert "set notifications: none for a" in found[0][2]
    assert "as a does" in found[1][2]
    assert [each[:2] for each in check_readers({"q": queued}, existing=True)] == [("q", "queue")]
    assert [each[:2] for each in check_readers({"a": hunters}, existing=True)] == [("a", "preset")]


def test_fails_when_the_queue_of_a_reader_would_be_that_of_another_one_s_dead_letters() -> None:
    queued, polling = reader(own=OWN, preset="splunk"), reader(own=OWN)
    names = ("x", "x-dead-letters", "x-dead-letters-dead-letters", "y-dead-letters", "-dead-letters")
    found = {name: said for name, setting, said in check_readers(dict.fromkeys(names, queued)) if setting == "queue"}
    assert list(found) == ["x-dead-letters", "x-dead-letters-dead-letters"]
    assert found["x-dead-letters"].startswith("would have the name of the queue of x's dead letters: expected another")
    for readers in ({"x": polling, "x-dead-letters": queued}, {"x": queued, "x-dead-letters": polling}):
        assert list(check_readers(readers)) == []
    dead_letters = {reader_dead_letters_name("d", "s", name) for name in names}
    assert [name for name in names if reader_queue_name("d", "s", name) in dead_letters] == list(found)


def test_when_readers_share_the_provider_of_an_issuer_then_all_give_it_or_none() -> None:
    provider = "arn:aws:iam::111122223333:oidc-provider/login.example.com/t"
    makes, gives = reader(oidc=TOKEN), reader(oidc=replace(TOKEN, provider_arn=provider))
    other = reader(oidc=replace(TOKEN, issuer="https://login.example.org"))
    assert list(check_readers({"a": makes, "b": makes, "c": other})) == []
    assert list(check_readers({"a": gives, "b": gives, "c": other})) == []
    for readers in ({"m": makes, "g": gives}, {"g": gives, "m": makes}):
        [(name, setting, said)] = check_readers(readers)
        assert (name, setting) == ("m", "oidc")
        assert said.startswith("g gives the IAM provider of https://login.example.com/t as provider_arn, and an accou")
    # What one reader does not name, another does: the provider has all of them.
    many = [
        reader(oidc=replace(TOKEN, thumbprints=tuple(f"{number:040x}" for number in few)))
        for few in (range(3), range(2, 6))
    ]
    [(name, setting, said)] = check_readers(dict(zip("ab", many, strict=True)))
    assert (name, setting) == ("b", "oidc")
    assert "would have 6 thumbprints: expected at most 5" in said


def test_when_a_preset_is_read_then_no_vendor_s_account_or_secret_is_in_it() -> None:
    assert not re.search(r"\d{12}", repr(PRESETS).replace("-4d64-4f8c-a055-5bdaffd5e33d", ""))
