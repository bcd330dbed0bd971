"""Malformed policies are refused when they are set, with the error of the service; what has one stays of use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from strictmoto.iam.grammar import Kind, MalformedPolicyError, check_policy
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal

REGION: Final = "eu-central-1"
STATEMENT: Final = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
MALFORMED: Final = [
    "garbage",
    "[]",
    "{}",
    "[" * 200_000,
    '{"Version": "2012-10-17", "Statement": "x"}',
    '{"Version": "2012-10-17", "Statement": []}',
    '{"Version": "2013-01-01", "Statement": [{}]}',
    json.dumps({"Statement": [{**STATEMENT, "Effect": "allow"}]}),
    json.dumps({"Statement": [{**STATEMENT, "Action": "GetObject"}]}),
    json.dumps({"Statement": [{**STATEMENT, "Action": []}]}),
    json.dumps({"Statement": [{**STATEMENT, "NotAction": "s3:*"}]}),
    json.dumps({"Statement": [{**STATEMENT, "Principal": {"Who": "x"}}]}),
    json.dumps({"Statement": [{**STATEMENT, "Principals": "*"}]}),
    json.dumps({"Statement": [{**STATEMENT, "Resource": "b"}]}),
    json.dumps({"Statement": [{**STATEMENT, "Condition": {"StringIs": {"a": "b"}}}]}),
    json.dumps({"Statement": [{**STATEMENT, "Condition": {"StringEquals": "b"}}]}),
    json.dumps({"Statement": [{key: value for key, value in STATEMENT.items() if key != "Principal"}]}),
]


@pytest.mark.parametrize("text", MALFORMED, ids=[text[:30] for text in MALFORMED])
def test_fails_when_a_policy_of_a_resource_is_malformed(text: str) -> None:
    with pytest.raises(MalformedPolicyError):
        check_policy(text, "resource")


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        (STATEMENT, "resource"),
        (
            {**STATEMENT, "Sid": "a", "Condition": {"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a"]}}},
            "resource",
        ),
        ({**STATEMENT, "Condition": {"Bool": {"aws:SecureTransport": False}, "Null": {"a": True}}}, "resource"),
        ({"Effect": "Deny", "NotAction": ["iam:*"], "NotResource": "*"}, "identity"),
        ({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}, "trust"),
    ],
)
def test_when_a_policy_is_well_formed_then_it_is_taken(statement: dict[str, Any], kind: Kind) -> None:
    check_policy(json.dumps({"Version": "2012-10-17", "Id": "i", "Statement": statement}), kind)


Set = Callable[[Enforcing, str], Any]


def _sqs(enforcing: Enforcing, text: str) -> Any:
    sqs = enforcing.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    return refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes={"Policy": text})


def _sns(enforcing: Enforcing, text: str) -> Any:
    sns = enforcing.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    return refusal(sns.set_topic_attributes, TopicArn=topic, AttributeName="Policy", AttributeValue=text)


def _secret(enforcing: Enforcing, text: str) -> Any:
    secrets = enforcing.client("secretsmanager")
    secrets.create_secret(Name="s", SecretString="x")
    return refusal(secrets.put_resource_policy, SecretId="s", ResourcePolicy=text)


def _bucket(enforcing: Enforcing, text: str) -> Any:
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket="vic", CreateBucketConfiguration={"LocationConstraint": REGION})
    found = refusal(s3.put_bucket_policy, Bucket="vic", Policy=text)
    s3.delete_bucket(Bucket="vic")
    return found


def _trust(enforcing: Enforcing, text: str) -> Any:
    enforcing.role("r")
    iam = enforcing.client("iam")
    refusal(iam.update_assume_role_policy, RoleName="r", PolicyDocument=text)
    return refusal(iam.create_role, RoleName="s", AssumeRolePolicyDocument=text)


def _session(enforcing: Enforcing, text: str) -> Any:
    sts = enforcing.signed("sts", enforcing.user("u", {"Action": "sts:*"}))
    return refusal(sts.assume_role, RoleArn=enforcing.role("r"), RoleSessionName="session", Policy=text)


@pytest.mark.parametrize("text", ["garbage", '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}'])
@pytest.mark.parametrize(
    ("set_policy", "code"),
    [
        (_bucket, "MalformedPolicy"),
        (_sqs, "InvalidAttributeValue"),
        (_sns, "InvalidParameter"),
        (
            lambda enforcing, text: refusal(enforcing.client("kms").create_key, Policy=text),
            "MalformedPolicyDocumentException",
        ),
        (_secret, "MalformedPolicyDocumentException"),
        (_trust, "MalformedPolicyDocument"),
        (_session, "MalformedPolicyDocument"),
        (
            lambda enforcing, text: refusal(enforcing.client("events").put_permission, Policy=text),
            "ValidationException",
        ),
    ],
)
def test_fails_when_a_malformed_policy_is_set(enforcing: Enforcing, set_policy: Set, code: str, text: str) -> None:
    assert set_policy(enforcing, text)[0] == code


@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}])
def test_when_a_policy_is_of_an_older_version_then_only_managed_ones_are_refused(
    enforcing: Enforcing, version: dict[str, str]
) -> None:
    enforcing.role("r")
    enforcing.user("u")
    iam = enforcing.client("iam")
    text = json.dumps({**version, "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}})
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=text)
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=text)
    trust = {"Effect": "Allow", "Principal": {"AWS": HERE}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps({**version, "Statement": trust}))
    assert enforcing.client("ec2", role_arn=f"arn:aws:iam::{HERE}:role/r").describe_vpcs()
    managed = iam.create_policy(PolicyName="m", PolicyDocument=policy({"Action": "*"}))["Policy"]["Arn"]
    refused = "MalformedPolicyDocument", "Policy document must be version 2012-10-17 or greater."
    assert refusal(iam.create_policy, PolicyName="n", PolicyDocument=text) == refused
    assert refusal(iam.create_policy_version, PolicyArn=managed, PolicyDocument=text) == refused


@pytest.mark.parametrize("size", [100, "100", [100, 200], 100.5])
def test_when_a_condition_compares_numbers_then_they_may_be_no_texts(enforcing: Enforcing, size: Any) -> None:
    condition = {"NumericLessThan": {"ec2:VolumeSize": size}}
    ec2 = enforcing.worker("ec2", {"Action": "ec2:CreateVolume", "Condition": condition})
    assert ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    assert refusal(ec2.create_volume, AvailabilityZone=f"{REGION}a", Size=201)[0] == "UnauthorizedOperation"
    dated = {"DateGreaterThan": {"aws:EpochTime": 1_700_000_000}, "NumericLessThan": {"aws:MultiFactorAuthAge": 3600}}
    trusted = policy({"Principal": {"AWS": HERE}, "Action": "sts:AssumeRole", "Condition": dated})
    enforcing.client("iam").update_assume_role_policy(RoleName="worker-0", PolicyDocument=trusted)


@pytest.mark.parametrize("action", ["ec2:*", "*", "iam:PassRole"])
def test_fails_when_a_trust_policy_is_about_more_than_sessions(enforcing: Enforcing, action: str) -> None:
    trust = policy({"Principal": {"AWS": HERE}, "Action": ["sts:AssumeRole", action]})
    refused = "MalformedPolicyDocument", "AssumeRole policy may only specify STS AssumeRole actions."
    iam = enforcing.client("iam")
    assert refusal(iam.create_role, RoleName="s", AssumeRolePolicyDocument=trust) == refused
    enforcing.role("r")
    assert refusal(iam.update_assume_role_policy, RoleName="r", PolicyDocument=trust) == refused


def test_when_a_malformed_policy_is_there_all_the_same_then_calls_are_answered(enforcing: Enforcing) -> None:
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket="vic", CreateBucketConfiguration={"LocationConstraint": REGION})
    from moto.s3.models import s3_backends

    s3_backends[HERE]["aws"].buckets["vic"].policy = b"garbage"
    assert s3.list_objects_v2(Bucket="vic")["KeyCount"] == 0
    s3.delete_bucket(Bucket="vic")


class TestSessions:
    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            ({"Policy": "x" * 3000}, "ValidationError", "length less than or equal to 2048"),
            (
                {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}] * 11},
                "ValidationError",
                "equal to 10",
            ),
            ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/Nope"}]}, "MalformedPolicyDocument", "does not exist"),
            ({"Tags": [{"Key": "aws:x", "Value": "b"}]}, "ValidationError", "reserved"),
            ({"Tags": [{"Key": "a", "Value": "b"}, {"Key": "A", "Value": "c"}]}, "ValidationError", "Duplicate"),
            ({"TransitiveTagKeys": ["zz"]}, "ValidationError", "zz"),
        ],
    )
    def test_fails_when_a_session_is_asked_for_what_it_cannot_have(
        self, enforcing: Enforcing, arguments: dict[str, Any], code: str, message: str
    ) -> None:
        arn = enforcing.role("r")
        enforcing.client("iam").update_role(RoleName="r", MaxSessionDuration=43_200)
        sts = enforcing.signed("sts", enforcing.user("u", {"Action": "sts:*"}))
        found = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="session", **arguments)
        assert found[0] == code
        assert message in found[1]

    def test_fails_when_a_token_lasts_too_long(self, enforcing: Enforcing) -> None:
        sts = enforcing.signed("sts", enforcing.user("u"))
        assert refusal(sts.get_session_token, DurationSeconds=200_000)[0] == "ValidationError"


def test_when_a_policy_of_a_session_is_right_then_it_limits(enforcing: Enforcing) -> None:
    arn = enforcing.role("r", {"Action": "*"})
    given = policy({"Action": "s3:*"})
    sts = enforcing.signed("sts", enforcing.user("u", {"Action": "sts:*"}))
    assert sts.assume_role(RoleArn=arn, RoleSessionName="session", Policy=given)["Credentials"]
