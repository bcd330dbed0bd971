"""The bucket that telemetry lands in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tapstack import FeedSettings, LandingSettings, RuleViolation, TelemetryLanding
from tapstack.bindings import cdk
from tests.synth.template import Template, assert_equal, new_stack, rendering_hcl
from tests.synth.xdr.building import ACCOUNT, KEY, bucket_policy, key_policy, landed, statements


@pytest.fixture(scope="module")
def own() -> Template:
    return landed()


def test_when_a_landing_makes_its_buckets_then_each_is_private_of_one_owner_versioned_and_encrypted(
    own: Template,
) -> None:
    buckets = own.resources["aws_s3_bucket"]
    assert {body["bucket"] for body in buckets.values()} == {f"ir-a-xdr-{ACCOUNT}", f"ir-a-xdr-access-{ACCOUNT}"}
    assert not [body for body in buckets.values() if body["force_destroy"]]
    for type_, expected in {
        "aws_s3_bucket_ownership_controls": {"rule": [{"object_ownership": "BucketOwnerEnforced"}]},
        "aws_s3_bucket_public_access_block": dict.fromkeys(
            ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"), True
        ),
        "aws_s3_bucket_versioning": {"versioning_configuration": [{"status": "Enabled"}]},
    }.items():
        found = list(own.resources[type_].values())
        assert {body.pop("bucket") for body in found} == {f"${{aws_s3_bucket.{name}.bucket}}" for name in buckets}
        assert_equal(found, [expected, expected])


def test_when_a_landing_has_a_key_then_what_lands_is_encrypted_with_it_and_access_logs_by_s3(own: Template) -> None:
    key = own.resource("aws_kms_key")
    assert (key["enable_key_rotation"], key["deletion_window_in_days"]) == (True, 30)
    assert own.resource("aws_kms_alias")["name"] == "alias/ir-a-xdr-key"
    rules = {name.split("_")[1]: body["rule"] for name, body in own.resources[ENCRYPTION].items()}
    (key_name,) = own.names("aws_kms_key")
    by_key = {"sse_algorithm": "aws:kms", "kms_master_key_id": f"${{aws_kms_key.{key_name}.arn}}"}
    assert_equal(
        rules,
        {
            "Bucket": [{"apply_server_side_encryption_by_default": [by_key], "bucket_key_enabled": True}],
            "AccessLogBucket": [{"apply_server_side_encryption_by_default": [{"sse_algorithm": "AES256"}]}],
        },
    )


def test_when_a_bucket_cannot_be_deleted_then_the_key_of_its_objects_is_not_either(own: Template) -> None:
    (key,) = own.names("aws_kms_key")
    needed = {name.split("_")[1]: body.get("depends_on") for name, body in own.resources["aws_s3_bucket"].items()}
    assert needed == {"Bucket": [f"${{aws_kms_key.{key}}}"], "AccessLogBucket": None}


def test_when_a_landing_has_a_key_then_iam_of_the_account_and_what_delivers_encrypted_things_may_use_it(
    own: Template,
) -> None:
    assert_equal(
        key_policy(own),
        {
            "EnableIamPolicies": {
                "Sid": "EnableIamPolicies",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:<partition>:iam::<account>:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            "AllowLogGroups": {
                "Sid": "AllowLogGroups",
                "Effect": "Allow",
                "Principal": {"Service": "logs.<region>.amazonaws.com"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": {
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": "arn:<partition>:logs:<region>:<account>:log-group:*"
                    }
                },
            },
            "AllowAlarmsAndEvents": {
                "Sid": "AllowAlarmsAndEvents",
                "Effect": "Allow",
                "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": "<account>"}},
            },
        },
    )


ENCRYPTION = "aws_s3_bucket_server_side_encryption_configuration"


def test_when_what_landed_is_old_then_it_is_deleted_and_unmatched_alerts_sooner(own: Template) -> None:
    kept = ("flow/", "guardduty/AWSLogs/", "incidents/v1/", "incidents-ocsf/", "feeds/")
    assert_equal(
        {bucket: {rule["id"]: body_of(rule) for rule in rules} for bucket, rules in lifecycles(own).items()},
        {
            "Bucket": {
                "versions": CLEANED,
                **{prefix.strip("/").replace("/", "-"): expired(prefix, 400) for prefix in kept},
                "unmatched": expired("unmatched/", 90),
            },
            "AccessLogBucket": {"versions": CLEANED, "all": expired("", 400)},
        },
    )


def lifecycles(template: Template) -> dict[str, list[dict[str, Any]]]:
    """The rules of each bucket."""
    found = template.resources["aws_s3_bucket_lifecycle_configuration"]
    return {name.split("_")[1]: body["rule"] for name, body in found.items()}


def body_of(rule: dict[str, Any]) -> dict[str, Any]:
    assert rule["status"] == "Enabled"
    return {name: value for name, value in rule.items() if name not in ("id", "status")}


def expired(prefix: str, days: int) -> dict[str, Any]:
    return {"filter": [{"prefix": prefix}], "expiration": [{"days": days}]}


CLEANED = {
    "filter": [{"prefix": ""}],
    "noncurrent_version_expiration": [{"noncurrent_days": 30}],
    "abort_incomplete_multipart_upload": [{"days_after_initiation": 7}],
}


@pytest.mark.parametrize(
    ("key", "days"),
    [
        ("flow/AWSLogs/111122223333/vpcflowlogs/eu-central-1/2026/06/20/a.log.gz", [400]),
        ("guardduty/AWSLogs/111122223333/GuardDuty/eu-central-1/2026/06/20/a.jsonl.gz", [400]),
        ("incidents/v1/2026/06/20/a.json.gz", [400]),
        ("incidents-ocsf/2026/06/20/a.json.gz", [400]),
        ("feeds/edr/a", [400]),
        ("unmatched/soc/2026/06/20/a.json", [90]),
        # Terraform puts it, and GuardDuty asks for it: it stays.
        ("guardduty/", []),
    ],
)
def test_when_an_object_lands_then_one_rule_says_how_long_it_is_kept(own: Template, key: str, days: list[int]) -> None:
    rules = [rule for rule in lifecycles(own)["Bucket"] if key.startswith(rule["filter"][0]["prefix"])]
    assert [rule["expiration"][0]["days"] for rule in rules if "expiration" in rule] == days


def test_when_a_bucket_has_a_policy_then_it_is_one_and_refuses_plain_http(own: Template) -> None:
    policies = {name.split("_")[1]: body for name, body in own.resources["aws_s3_bucket_policy"].items()}
    assert set(policies) == {"Bucket", "AccessLogBucket"}
    assert_equal(
        bucket_policy(own),
        {
            "DenyInsecureTransport": {
                "Sid": "DenyInsecureTransport",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["<bucket>", "<bucket>/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        },
    )
    assert_equal(
        statements(policies["AccessLogBucket"]["policy"])["DenyInsecureTransport"],
        {
            "Sid": "DenyInsecureTransport",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [f"arn:<partition>:s3:::ir-a-xdr-access-<account>{objects}" for objects in ("", "/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )
    for name, body in policies.items():
        assert body["depends_on"] == [f"${{aws_s3_bucket_public_access_block.{public}}}" for public in names(own, name)]


def names(template: Template, bucket: str) -> list[str]:
    return [name for name in template.names("aws_s3_bucket_public_access_block") if name.split("_")[1] == bucket]


def test_when_access_is_logged_then_only_s3_puts_logs_of_this_bucket_and_is_allowed_to_first(own: Template) -> None:
    (logs,) = [b for n, b in own.resources["aws_s3_bucket_policy"].items() if n.split("_")[1] == "AccessLogBucket"]
    assert_equal(
        statements(logs["policy"])["AllowAccessLogs"],
        {
            "Sid": "AllowAccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:<partition>:s3:::ir-a-xdr-access-<account>/*",
            "Condition": {"ArnLike": {"aws:SourceArn": "<bucket>"}, "StringEquals": {"aws:SourceAccount": "<account>"}},
        },
    )
    logging = own.resource("aws_s3_bucket_logging")
    assert "_AccessLogBucket_" in logging["target_bucket"]
    (needed,) = logging["depends_on"]
    assert needed.startswith("${aws_s3_bucket_policy.landing_AccessLogBucket_")


def test_when_settings_are_given_then_they_arrive() -> None:
    settings = LandingSettings(keep_days=30, unmatched_days=7, access_log_bucket="logs", deletion_protection=False)
    found = landed(settings=settings)

    assert found.resource("aws_s3_bucket")["force_destroy"] is True
    assert found.resource("aws_s3_bucket")["tags"]["tapstack:deletion-protection"] == "off"
    rules = found.resource("aws_s3_bucket_lifecycle_configuration")["rule"]
    days = {rule["id"]: rule["expiration"][0]["days"] for rule in rules if "expiration" in rule}
    assert (days.pop("unmatched"), set(days.values())) == (7, {30})
    assert found.resource("aws_s3_bucket_logging")["target_bucket"] == "logs"


def test_when_the_bucket_exists_then_nothing_of_it_is_made_or_changed() -> None:
    stack = new_stack()
    with rendering_hcl():
        landing = TelemetryLanding(
            stack, "landing", deployment="ir", site="a", settings=LandingSettings(bucket="lake", bucket_key_arn=KEY)
        )
    found = Template(stack)

    assert set(found.resources) == {"aws_kms_key", "aws_kms_alias"}
    assert (landing.bucket_name, landing.key_arn) == ("lake", KEY)
    assert landing.bucket_arn.endswith(":s3:::lake")
    assert (
        TelemetryLanding(
            new_stack(), "landing", deployment="ir", site="a", settings=LandingSettings(bucket="lake")
        ).key_arn
        is None
    )


FEED = FeedSettings(principals=("arn:aws:iam::444455556666:role/edr",))


def test_when_others_put_feeds_then_each_puts_below_its_own_prefix_and_does_nothing_else() -> None:
    other = FeedSettings(principals=("arn:aws:iam::111122223333:user/dns", "arn:aws:iam::111122223333:role/dns"))
    found = landed(feeds={"edr": FEED, "dns-logs": other})

    put = {sid: each for sid, each in bucket_policy(found).items() if sid.startswith("AllowFeed")}
    assert_equal(
        put,
        {
            f"AllowFeed{number}": {
                "Sid": f"AllowFeed{number}",
                "Effect": "Allow",
                "Principal": {"AWS": list(feed.principals)},
                "Action": "s3:PutObject",
                "Resource": f"<bucket>/feeds/{name}/*",
            }
            for number, (name, feed) in enumerate({"edr": FEED, "dns-logs": other}.items(), 1)
        },
    )
    assert_equal(
        {sid: each for sid, each in key_policy(found).items() if sid.startswith("AllowFeed")},
        {
            sid: {
                **each,
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:ViaService": "s3.<region>.<partition.dns_suffix>"}},
            }
            for sid, each in put.items()
        },
    )


def test_when_others_put_feeds_then_no_policy_of_their_own_lets_them_read() -> None:
    other = FeedSettings(principals=(*FEED.principals, "arn:aws:iam::111122223333:user/dns"))
    denied = bucket_policy(landed(feeds={"edr": FEED, "dns-logs": other}))["DenyFeedsReading"]
    assert_equal(
        denied,
        {
            "Sid": "DenyFeedsReading",
            "Effect": "Deny",
            "Principal": {"AWS": list(other.principals)},
            "Action": ["s3:DeleteObject*", "s3:GetObject*", "s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": ["<bucket>", "<bucket>/*"],
        },
    )
    assert "DenyFeedsReading" not in bucket_policy(landed())


def test_when_others_put_feeds_then_no_policy_of_their_own_lets_them_put_elsewhere() -> None:
    both, dns = "arn:aws:iam::111122223333:role/both", "arn:aws:iam::111122223333:user/dns"
    feeds = {
        "edr": FeedSettings(principals=(*FEED.principals, both)),
        "dns-logs": FeedSettings(principals=(dns, both)),
        "edr-too": FeedSettings(principals=(dns,)),
    }
    policy = bucket_policy(landed(feeds=feeds))
    assert_equal(
        [each for sid, each in policy.items() if sid.startswith("DenyFeedPut")],
        [
            {
                "Sid": f"DenyFeedPutElsewhere{number}",
                "Effect": "Deny",
                "Principal": {"AWS": [principal]},
                "Action": "s3:PutObject*",
                "NotResource": [f"<bucket>/feeds/{producer}/*" for producer in producers],
            }
            for number, (principal, producers) in enumerate(
                ((FEED.principals[0], ["edr"]), (both, ["edr", "dns-logs"]), (dns, ["dns-logs", "edr-too"])), 1
            )
        ],
    )


def test_when_a_producer_has_several_principals_then_one_statement_denies_them_to_put_elsewhere() -> None:
    roles = tuple(f"arn:aws:iam::111122223333:role/{name}" for name in "ab")
    policy = bucket_policy(landed(feeds={"edr": FeedSettings(principals=roles)}))
    assert policy["DenyFeedPutElsewhere1"]["Principal"] == {"AWS": list(roles)}
    assert "DenyFeedPutElsewhere2" not in policy


def test_when_other_accounts_deliver_flow_logs_then_they_may_without_any_flow_log_here() -> None:
    found = landed(settings=LandingSettings(flow_log_accounts=("444455556666",)))
    assert bucket_policy(found)["AWSLogDeliveryWrite"]["Resource"] == ["<bucket>/flow/AWSLogs/444455556666/*"]
    assert set(key_policy(found)) >= {"AllowLogDelivery"}
    assert "aws_flow_log" not in found.resources


def test_when_all_is_tagged_then_deployment_and_site_are_named(own: Template) -> None:
    ours = {"tapstack:deployment": "ir", "tapstack:site": "a"}
    assert own.resource("aws_kms_key")["tags"] == ours
    tags = [body["tags"] for body in own.resources["aws_s3_bucket"].values()]
    assert_equal(tags, [{**ours, "tapstack:deletion-protection": "on"}] * 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"deployment": "Big"}, "site/landing: 'Big' is not a usable name"),
        ({"site": "1"}, "site/landing: '1' is not a usable name"),
        ({"deployment": "sthree-x"}, "site/landing: 'sthree-x-a-xdr-111122223333' is reserved"),
        ({"feeds": {"E": FEED}}, "site/landing: 'E' is not a usable name"),
        (
            {"feeds": {"edr": FEED}, "settings": LandingSettings(bucket="lake")},
            "site/landing: feeds has edr, and the policy of the existing bucket lake says who may put objects there",
        ),
        ({"settings": {}}, "settings must be LandingSettings(...), got {}"),
        ({"tags": {"Name": "x", "aws:x": "y"}}, "tag key 'aws:x' is reserved"),
    ],
)
def test_fails_when_an_argument_is_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleViolation, match=re.escape(said)):
        TelemetryLanding(new_stack(), "landing", **{"deployment": "ir", "site": "a", **given})


def test_fails_when_no_policy_of_the_bucket_holds_what_is_given() -> None:
    roles = tuple(f"arn:aws:iam::111122223333:role/tool-{number:02}" for number in range(20))
    feeds = {f"tool-{number}": FeedSettings(roles) for number in range(25)}
    with pytest.raises(RuleViolation, match="and Amazon S3 takes at most 20,480: expected fewer principals of feeds"):
        TelemetryLanding(new_stack(), "landing", deployment="ir", site="a", feeds=feeds)


def test_when_a_stack_has_several_providers_then_all_belongs_to_the_given_one() -> None:
    from tapstack.bindings import aws

    stack = new_stack()
    other = aws.AwsProvider(stack, "other", alias="other", region="eu-west-1")
    TelemetryLanding(stack, "landing", deployment="ir", site="a", provider=other)
    terraform = json.loads(cdk.Testing.synth(stack, True))
    found = [body for part in ("resource", "data") for named in terraform[part].values() for body in named.values()]
    assert {body["provider"] for body in found} == {"aws.other"}
