"""Who reads a landing: roles, queues and notifications."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tapstack import (
    FeedSettings,
    LandingSettings,
    OidcTrust,
    OwnTrust,
    ReaderSettings,
    RuleViolation,
    TelemetryLanding,
    VendorTrust,
    XdrReader,
)
from tests.synth.template import Template, assert_equal, new_stack
from tests.synth.xdr.building import EXTERNAL_ID, KEY, Statements, key_policy, landed, short, statements

VENDOR = VendorTrust("444455556666", EXTERNAL_ID)
OWN = OwnTrust(("arn:aws:iam::111122223333:role/agent", "arn:aws:iam::111122223333:user/agent"))
OIDC = OidcTrust(session_name=f"MicrosoftSentinel_{EXTERNAL_ID}")
FLOW = ("flow",)


def read(readers: dict[str, ReaderSettings], **arguments: Any) -> Template:
    def build(stack: Any, landing: TelemetryLanding) -> None:
        for name, settings in readers.items():
            XdrReader(stack, name, landing=landing, name=name, settings=settings)

    return landed(build, **arguments)


def trust(template: Template, reader: str) -> dict[str, Any]:
    (statement,) = statements(role(template, reader)["assume_role_policy"]).values()
    return statement


def role(template: Template, reader: str) -> dict[str, Any]:
    return dict(of(template, "aws_iam_role", reader))


def of(template: Template, type_: str, reader: str) -> dict[str, Any]:
    (found,) = [body for name, body in template.resources[type_].items() if name.startswith(f"{reader}_")]
    return dict(found)


def allowed(template: Template, reader: str) -> Statements:
    return statements(of(template, "aws_iam_role_policy", reader)["policy"])


def test_when_a_trust_policy_is_larger_than_iam_takes_by_default_then_a_warning_says_so() -> None:
    own = OwnTrust(tuple(f"arn:aws:iam::111122223333:role/{'p' * 100}/{number}" for number in range(16)))
    template = read({"agent": ReaderSettings(prefixes=FLOW, own=own)})
    assert template.warnings == own.warnings() != []


# Three generic shapes of trust, each with a queue and without one.


@pytest.fixture(scope="module")
def generic() -> Template:
    token = OidcTrust(issuer="https://login.example.com/t", audience="a", subject="s")
    shapes: dict[str, dict[str, Any]] = {"vendor": {"vendor": VENDOR}, "oidc": {"oidc": token}, "own": {"own": OWN}}
    prefixes = ("incidents", "feeds/edr")
    return read(
        {
            f"{name}-{how}": ReaderSettings(prefixes=prefixes, queue=how == "queue", **trust)
            for name, trust in shapes.items()
            for how in ("queue", "list")
        }
    )


@pytest.mark.parametrize("how", ["queue", "list"])
def test_when_a_vendor_reads_then_its_account_assumes_the_role_with_the_external_id(
    generic: Template, how: str
) -> None:
    assert_equal(
        trust(generic, f"vendor-{how}"),
        {
            "Sid": "AllowReader",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:<partition>:iam::444455556666:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
        },
    )


@pytest.mark.parametrize("how", ["queue", "list"])
def test_when_tokens_are_shown_then_issuer_audience_and_subject_must_be_right(generic: Template, how: str) -> None:
    assert_equal(
        trust(generic, f"oidc-{how}"),
        {
            "Sid": "AllowReader",
            "Effect": "Allow",
            "Principal": {"Federated": "<iam_openid_connect_provider.arn>"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"login.example.com/t:aud": "a", "login.example.com/t:sub": "s"}},
        },
    )
    provider = generic.resource("aws_iam_openid_connect_provider")
    assert (provider["url"], provider["client_id_list"]) == ("https://login.example.com/t", ["a"])
    assert "thumbprint_list" not in provider


@pytest.mark.parametrize("how", ["queue", "list"])
def test_when_own_principals_read_then_they_and_nobody_else_assume_the_role(generic: Template, how: str) -> None:
    assert_equal(
        trust(generic, f"own-{how}"),
        {
            "Sid": "AllowReader",
            "Effect": "Allow",
            "Principal": {"AWS": list(OWN.principals)},
            "Action": "sts:AssumeRole",
        },
    )


@pytest.mark.parametrize("shape", ["vendor", "oidc", "own"])
@pytest.mark.parametrize("how", ["queue", "list"])
def test_when_a_reader_has_no_preset_then_it_lists_and_gets_objects_of_its_prefixes_only(
    generic: Template, shape: str, how: str
) -> None:
    prefixes = ["incidents/v1/*", "feeds/edr/*"]
    bucket = "arn:<partition>:s3:::<s3_bucket.bucket>"
    expected: dict[str, dict[str, Any]] = {
        "GetObjects": {"Action": ["s3:GetObject"], "Resource": [f"{bucket}/{prefix}" for prefix in prefixes]},
        "ListObjects": {
            "Action": ["s3:ListBucket"],
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": prefixes}},
        },
        "DescribeBucket": {"Action": ["s3:GetBucketLocation"], "Resource": bucket},
        "DecryptObjects": {
            "Action": ["kms:Decrypt"],
            "Resource": "<kms_key.arn>",
            "Condition": {"StringEquals": {"kms:ViaService": "s3.<region>.<partition.dns_suffix>"}},
        },
    }
    if how == "queue":
        expected["ReadQueue"] = {
            "Action": [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueUrl",
                "sqs:GetQueueAttributes",
            ],
            "Resource": "<sqs_queue.arn>",
        }
    assert_equal(
        allowed(generic, f"{shape}-{how}"),
        {sid: {"Sid": sid, "Effect": "Allow", **each} for sid, each in expected.items()},
    )


def test_when_readers_have_queues_then_each_has_one_with_dead_letters_of_its_own(generic: Template) -> None:
    queues = generic.resources["aws_sqs_queue"]
    assert {body["name"] for body in queues.values()} == {
        f"ir-a-xdr-reader-{shape}-queue{end}" for shape in ("vendor", "oidc", "own") for end in ("", "-dead-letters")
    }
    assert {body["sqs_managed_sse_enabled"] for body in queues.values()} == {True}
    assert {body["message_retention_seconds"] for body in queues.values()} == {14 * 24 * 3600}
    redriven = {body["name"]: body["redrive_policy"] for body in queues.values() if "redrive_policy" in body}
    assert set(redriven) == {f"ir-a-xdr-reader-{shape}-queue" for shape in ("vendor", "oidc", "own")}
    for text in redriven.values():
        assert "_DeadLetters_" in text
        assert json.loads(text.replace('\\"', '"'))["maxReceiveCount"] == 5
    policies = [statements(body["policy"]) for body in generic.resources["aws_sqs_queue_policy"].values()]
    assert len(policies) == 6
    for policy in policies:
        assert policy["DenyInsecureTransport"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


TOPIC = "arn:aws:sns:eu-central-1:111122223333:notices"


def test_when_a_reader_leaves_messages_then_an_alarm_of_its_dead_letters_notifies() -> None:
    def build(stack: Any, landing: TelemetryLanding) -> None:
        for name, settings in {
            "cortex": ReaderSettings(prefixes=FLOW, preset="cortex", vendor=VENDOR),
            "polling": ReaderSettings(prefixes=FLOW, own=OWN, queue=False),
        }.items():
            XdrReader(stack, name, landing=landing, name=name, settings=settings, topic_arns=[TOPIC])

    found = landed(build)

    alarms = {each["alarm_name"]: each for each in found.resources["aws_cloudwatch_metric_alarm"].values()}
    assert set(alarms) == {"ir-a-xdr-reader-cortex-age", "ir-a-xdr-reader-cortex-dead-letters"}
    alarm = alarms["ir-a-xdr-reader-cortex-dead-letters"]
    (dead_letters,) = [name for name in found.names("aws_sqs_queue") if "DeadLetters" in name]
    assert alarm["alarm_description"].startswith("Cortex XDR and XSIAM received messages about new objects five times")
    assert alarm["dimensions"] == {"QueueName": f"${{aws_sqs_queue.{dead_letters}.name}}"}
    assert (alarm["namespace"], alarm["metric_name"], alarm["statistic"]) == (
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        "Maximum",
    )
    # It begins with the first message and ends with the last one.
    assert (alarm["comparison_operator"], alarm["threshold"], alarm["period"], alarm["evaluation_periods"]) == (
        "GreaterThanThreshold",
        0,
        60,
        1,
    )
    assert alarm["treat_missing_data"] == "notBreaching"
    assert alarm["alarm_actions"] == alarm["ok_actions"] == [TOPIC]
    assert alarm["tags"] == {"tapstack:deployment": "ir", "tapstack:site": "a"}


def test_when_a_reader_does_not_read_then_an_alarm_of_its_queue_notifies() -> None:
    def build(stack: Any, landing: TelemetryLanding) -> None:
        settings = ReaderSettings(prefixes=FLOW, preset="cortex", vendor=VENDOR)
        XdrReader(stack, "cortex", landing=landing, name="cortex", settings=settings, topic_arns=[TOPIC])

    found = landed(build)

    (alarm,) = (
        each
        for each in found.resources["aws_cloudwatch_metric_alarm"].values()
        if each["alarm_name"] == "ir-a-xdr-reader-cortex-age"
    )
    (queue,) = [name for name in found.names("aws_sqs_queue") if "DeadLetters" not in name]
    assert alarm["alarm_description"].startswith("Cortex XDR and XSIAM has left messages about new objects")
    assert alarm["dimensions"] == {"QueueName": f"${{aws_sqs_queue.{queue}.name}}"}
    assert (alarm["metric_name"], alarm["threshold"]) == ("ApproximateAgeOfOldestMessage", 3600)
    assert alarm["alarm_actions"] == alarm["ok_actions"] == [TOPIC]


def test_when_no_topic_is_given_then_each_reader_with_a_queue_has_alarms_that_are_only_shown(
    generic: Template,
) -> None:
    alarms = generic.resources["aws_cloudwatch_metric_alarm"].values()
    assert {alarm["alarm_name"] for alarm in alarms} == {
        f"ir-a-xdr-reader-{shape}-queue-{what}"
        for shape in ("vendor", "oidc", "own")
        for what in ("age", "dead-letters")
    }
    assert not [alarm for alarm in alarms if "alarm_actions" in alarm or "ok_actions" in alarm]


def test_fails_when_a_topic_of_a_reader_is_none() -> None:
    reader = ReaderSettings(prefixes=FLOW, preset="cortex", vendor=VENDOR)
    with pytest.raises(RuleViolation, match=r"^site/x: 'mail' is not the ARN of an SNS topic"):
        landed(
            lambda stack, landing: XdrReader(
                stack, "x", landing=landing, name="x", settings=reader, topic_arns=["mail"]
            )
        )


# What tells the queues.


def test_when_one_queue_waits_for_a_prefix_then_the_bucket_sends_to_it_and_may_first() -> None:
    found = read({"splunk": ReaderSettings(prefixes=("flow", "incidents"), preset="splunk", own=OWN)})

    notification = found.resource("aws_s3_bucket_notification")
    (queue,) = [f"${{aws_sqs_queue.{name}.arn}}" for name in found.names("aws_sqs_queue") if "Dead" not in name]
    assert_equal(
        notification["queue"],
        [
            {"id": slug, "queue_arn": queue, "events": ["s3:ObjectCreated:*"], "filter_prefix": prefix}
            for slug, prefix in (("flow", "flow/"), ("incidents-v1", "incidents/v1/"))
        ],
    )
    assert "topic" not in notification
    assert [each for each in notification["depends_on"] if "splunk_Queue_Policy" in each] == notification["depends_on"]
    policy = of_queue(found, "splunk")
    assert_equal(
        policy["AllowBucket"],
        {
            "Sid": "AllowBucket",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "<sqs_queue.arn>",
            "Condition": {
                "ArnLike": {"aws:SourceArn": "<bucket>"},
                "StringEquals": {"aws:SourceAccount": "<account>"},
            },
        },
    )
    assert set(policy) == {"AllowBucket", "DenyInsecureTransport"}
    assert "aws_sns_topic" not in found.resources


def of_queue(template: Template, reader: str) -> Statements:
    (body,) = [
        body
        for name, body in template.resources["aws_sqs_queue_policy"].items()
        if name.startswith(f"{reader}_Queue_Policy_")
    ]
    return statements(body["policy"])


@pytest.mark.parametrize("turned", [False, True])
def test_when_several_queues_wait_for_a_prefix_then_a_topic_passes_the_message_on_to_each(turned: bool) -> None:
    readers = {
        "elastic": ReaderSettings(prefixes=("flow", "incidents"), preset="elastic", own=OWN),
        "cortex": ReaderSettings(prefixes=FLOW, preset="cortex", vendor=VENDOR),
        "sentinel": ReaderSettings(prefixes=("flow", "guardduty"), preset="sentinel", oidc=OIDC),
    }
    found = read(dict(reversed(readers.items())) if turned else readers)

    notification = found.resource("aws_s3_bucket_notification")
    assert {(each["id"], each["filter_prefix"]) for each in notification["queue"]} == {
        ("incidents-v1", "incidents/v1/"),
        ("guardduty", "guardduty/"),
    }
    (topic,) = notification["topic"]
    assert (topic["id"], topic["filter_prefix"], topic["events"]) == ("flow", "flow/", ["s3:ObjectCreated:*"])
    assert found.resource("aws_sns_topic")["name"] == "ir-a-xdr-flow"
    assert short(found.resource("aws_sns_topic")["kms_master_key_id"]) == "<kms_key.arn>"
    from_bucket = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Condition": {
            "ArnLike": {"aws:SourceArn": "<bucket>"},
            "StringEquals": {"aws:SourceAccount": "<account>"},
        },
    }
    topic_policy = statements(found.resource("aws_sns_topic_policy")["policy"])
    assert set(topic_policy) == {"AllowBucket", "DenyInsecureTransport"}
    assert_equal(
        [topic_policy["AllowBucket"], key_policy(found)["AllowNotifications"]],
        [
            {**from_bucket, "Sid": "AllowBucket", "Action": "sns:Publish", "Resource": "<sns_topic.arn>"},
            {
                **from_bucket,
                "Sid": "AllowNotifications",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
            },
        ],
    )
    subscriptions = found.resources["aws_sns_topic_subscription"]
    assert len(subscriptions) == 3
    for body in subscriptions.values():
        assert (body["protocol"], body["raw_message_delivery"]) == ("sqs", True)
        (needed,) = body["depends_on"]
        assert "_Queue_Policy_" in needed
    assert {re.sub(r".*\.(\w+)_Queue.*", r"\1", body["endpoint"]) for body in subscriptions.values()} == set(readers)
    assert {name: set(of_queue(found, name)) - {"DenyInsecureTransport"} for name in readers} == {
        "elastic": {"AllowBucket", "AllowTopics"},
        # While a topic takes its place, the bucket still sends to it: what is sent then is not lost.
        "cortex": {"AllowBucket", "AllowTopics"},
        "sentinel": {"AllowBucket", "AllowTopics"},
    }
    where = of_queue(found, "cortex")["AllowTopics"]["Condition"]
    assert where == {"ArnEquals": {"aws:SourceArn": ["<sns_topic.arn>"]}}
    needed = {each.split(".")[0].removeprefix("${") for each in notification["depends_on"]}
    assert needed == {"aws_sns_topic_policy", "aws_sns_topic_subscription", "aws_sqs_queue_policy"}
    assert {each for each in notification["depends_on"] if "_subscription." in each} == {
        f"${{aws_sns_topic_subscription.{name}}}" for name in subscriptions
    }


def _subscribed(template: Template) -> dict[str, tuple[str, str, list[str]]]:
    """Return the prefix, the reader and the needed subscriptions of each subscription, by its address."""
    topics = {
        f"${{aws_sns_topic.{name}.arn}}": body["name"].removeprefix("ir-a-xdr-")
        for name, body in template.resources["aws_sns_topic"].items()
    }
    queues = {
        f"${{aws_sqs_queue.{name}.arn}}": body["name"].removeprefix("ir-a-xdr-reader-")
        for name, body in template.resources["aws_sqs_queue"].items()
    }
    return {
        f"${{aws_sns_topic_subscription.{name}}}": (
            topics[body["topic_arn"]],
            queues[body["endpoint"]],
            [each for each in body["depends_on"] if "_subscription." in each],
        )
        for name, body in template.resources["aws_sns_topic_subscription"].items()
    }


@pytest.mark.parametrize("turned", [False, True])
def test_when_names_of_feeds_and_readers_have_hyphens_then_each_reader_has_the_messages_of_each_feed(
    turned: bool,
) -> None:
    feeds = ("edr", "edr-eu", "edr-eu-west")
    readers = {
        name: ReaderSettings(prefixes=tuple(f"feeds/{feed}" for feed in feeds), own=OWN, queue=True)
        for name in ("soc", "eu-west-soc", "eu-soc", "west-soc")
    }
    principals = FeedSettings(("arn:aws:iam::111122223333:role/edr",))
    found = read(dict(reversed(readers.items())) if turned else readers, feeds=dict.fromkeys(feeds, principals))

    subscriptions = _subscribed(found)
    assert sorted((prefix, reader) for prefix, reader, _ in subscriptions.values()) == sorted(
        (f"feeds-{feed}", reader) for feed in feeds for reader in readers
    )
    assert set(subscriptions) <= set(found.resource("aws_s3_bucket_notification")["depends_on"])
    by_id: dict[str, list[str]] = {}
    for address, (prefix, reader, _) in subscriptions.items():
        by_id.setdefault(f"{prefix}-{reader}", []).append(address)
    shared = {id_: addresses for id_, addresses in by_id.items() if len(addresses) > 1}
    assert set(shared) == {"feeds-edr-eu-soc", "feeds-edr-eu-west-soc"}
    for id_, addresses in by_id.items():
        # One of them has the id that it always had, and those that have another one are created after it.
        (plain,) = [address for address in addresses if f"Subscription-{id_}_" in address]
        assert [subscriptions[each][2] for each in addresses if each != plain] == [[plain]] * (len(addresses) - 1)
        assert subscriptions[plain][2] == []


def test_when_no_reader_has_a_queue_then_the_notifications_of_the_bucket_are_not_terraform_s() -> None:
    found = read(
        {
            "hunters": ReaderSettings(prefixes=FLOW, preset="hunters", vendor=VENDOR),
            "elastic": ReaderSettings(prefixes=FLOW, preset="elastic", own=OWN, queue=False),
        }
    )
    assert not {"aws_s3_bucket_notification", "aws_sqs_queue", "aws_sns_topic"} & set(found.resources)


# What readers of one landing share.


def test_when_readers_have_tokens_of_one_issuer_then_they_share_its_provider() -> None:
    token = OidcTrust(issuer="https://login.example.com/t", audience="a", subject="s", thumbprints=("ab" * 20,))
    more = ("AB" * 20, "cd" * 20)
    other = OidcTrust(issuer="https://login.example.com/t", audience="b", subject="s", thumbprints=more)
    found = read(
        {name: ReaderSettings(prefixes=FLOW, oidc=each) for name, each in (("a", token), ("b", other), ("c", token))}
    )
    provider = found.resource("aws_iam_openid_connect_provider")
    assert (provider["client_id_list"], provider["thumbprint_list"]) == (["a", "b"], ["ab" * 20, "cd" * 20])


def test_when_the_account_has_a_provider_then_none_is_made() -> None:
    arn = "arn:aws:iam::111122223333:oidc-provider/sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/"
    trusted = OidcTrust(session_name=OIDC.session_name, provider_arn=arn)
    found = read({"sentinel": ReaderSettings(prefixes=FLOW, preset="sentinel", oidc=trusted)})
    assert trust(found, "sentinel")["Principal"] == {"Federated": arn}
    assert "aws_iam_openid_connect_provider" not in found.resources


def test_when_the_bucket_exists_then_a_reader_decrypts_with_its_key_or_not_at_all() -> None:
    reader = ReaderSettings(prefixes=FLOW, vendor=VENDOR)
    with_key = read({"x": reader}, settings=LandingSettings(bucket="lake", bucket_key_arn=KEY))
    assert allowed(with_key, "x")["DecryptObjects"]["Resource"] == KEY
    assert allowed(with_key, "x")["GetObjects"]["Resource"] == ["arn:<partition>:s3:::lake/flow/*"]
    without = read({"x": reader}, settings=LandingSettings(bucket="lake"))
    assert set(allowed(without, "x")) == {"GetObjects", "ListObjects", "DescribeBucket"}


@pytest.mark.thorough
def test_when_names_are_long_then_those_of_roles_and_queues_are_short_enough() -> None:
    long = "x" * 40
    settings = ReaderSettings(prefixes=FLOW, preset="sentinel", oidc=OIDC)
    found = read({long: settings, "y" * 40: settings}, deployment="d" * 40, site="s" * 40)
    names = [body["name"] for body in found.resources["aws_iam_role"].values()]
    assert len(set(names)) == 2
    assert all(name.startswith("OIDC_") and len(name) <= 64 for name in names)
    queues = [body["name"] for body in found.resources["aws_sqs_queue"].values()]
    assert len(set(queues)) == 4
    assert max(map(len, queues)) <= 80


def test_when_a_reader_is_given_any_prefix_then_unmatched_alerts_are_never_among_them() -> None:
    with pytest.raises(RuleViolation, match="^'unmatched' is no prefix that a reader can be given"):
        ReaderSettings(prefixes=("unmatched",), own=OWN)
    found = read(
        {"x": ReaderSettings(prefixes=("flow", "guardduty", "incidents", "incidents-ocsf", "feeds/a"), own=OWN)}
    )
    assert "unmatched" not in json.dumps(allowed(found, "x"))
    assert not [each for each in allowed(found, "x")["GetObjects"]["Resource"] if each.endswith(">/*")]


READER = ReaderSettings(prefixes=FLOW, preset="hunters", vendor=VENDOR)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("H", READER, "site/x: 'H' is not a usable name"),
        ("first", READER, "site/x: the landing has a reader first already: expected another name"),
        (
            "second",
            READER,
            "site/x: reader second: preset: makes the notifications of the bucket itself, as first does",
        ),
        (
            "splunk",
            ReaderSettings(prefixes=FLOW, preset="splunk", own=OWN),
            "site/x: reader splunk: queue: first makes the notifications of the bucket itself, which would replace",
        ),
        (
            "blue",
            ReaderSettings(prefixes=FLOW, vendor=VendorTrust("183905527416", "183905527416-9f3b7c1d8e")),
            "site/x: '183905527416-9f3b7c1d8e' is too easy to guess for an external id",
        ),
        ("x", "hunters", "site/x: settings must be ReaderSettings(...), got 'hunters'"),
    ],
)
def test_fails_when_a_reader_does_not_fit_the_landing(name: str, settings: Any, said: str) -> None:
    stack = new_stack()
    landing = TelemetryLanding(stack, "landing", deployment="ir", site="a")
    XdrReader(stack, "first", landing=landing, name="first", settings=READER)
    with pytest.raises(RuleViolation, match=re.escape(said)):
        XdrReader(stack, "x", landing=landing, name=name, settings=settings)


def test_fails_when_a_queue_needs_notifications_of_an_existing_bucket() -> None:
    stack = new_stack()
    landing = TelemetryLanding(stack, "landing", deployment="ir", site="a", settings=LandingSettings(bucket="lake"))
    with pytest.raises(RuleViolation, match="reader x: queue: needs notifications of the bucket, and those of an"):
        XdrReader(
            stack, "x", landing=landing, name="x", settings=ReaderSettings(prefixes=FLOW, preset="splunk", own=OWN)
        )
