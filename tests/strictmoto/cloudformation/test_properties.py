"""Properties of templates: each is really made and really changed, or fails its stack."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.cloudformation import given
from strictmoto.cloudformation.given import Given
from tests.strictmoto.cloudformation.conftest import Account
from tests.strictmoto.cloudformation.test_types import (
    Resources,
    failures,
    physical_ids,
    ref,
    resource,
    stacked,  # noqa: F401
    template,
)

Read = Callable[[Account], Any]
AUTH = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
TAGS = [{"Key": "team", "Value": "soc"}]
PUBLIC = {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": False}
RULES = [
    {"Id": "a", "Status": "Enabled", "ExpirationInDays": 3, "Prefix": "logs/"},
    {
        "Id": "b",
        "Status": "Disabled",
        "TagFilters": TAGS,
        "Prefix": "p",
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 30}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
]
ENCRYPTION = [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/a"}}]
OWNED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def bucket(**properties: Any) -> Resources:
    return {"B": resource("AWS::S3::Bucket", BucketName="evidence", **properties)}


def of_bucket(operation: str, part: str) -> Read:
    return lambda account: getattr(account.client("s3"), operation)(Bucket="evidence").get(part)


def user(**properties: Any) -> Resources:
    group = resource("AWS::IAM::Group", GroupName="group")
    boundary = resource("AWS::IAM::ManagedPolicy", ManagedPolicyName="own", PolicyDocument=ALLOW)
    return {"G": group, "P": boundary, "U": resource("AWS::IAM::User", UserName="user", **properties)}


def of_user(operation: str, part: str) -> Read:
    return lambda account: getattr(account.client("iam"), operation)(UserName="user").get(part)


def queue_attribute(name: str) -> Read:
    def read(account: Account) -> Any:
        sqs = account.client("sqs")
        url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"].get(name)

    return read


def topic_attribute(name: str) -> Read:
    def read(account: Account) -> Any:
        sns = account.client("sns")
        return sns.get_topic_attributes(TopicArn=sns.list_topics()["Topics"][0]["TopicArn"])["Attributes"].get(name)

    return read


def role(account: Account) -> Any:
    attached = account.client("iam").list_attached_role_policies(RoleName="role")["AttachedPolicies"]
    return [one["PolicyArn"] for one in attached]


def queue(**properties: Any) -> Resources:
    return {"Q": resource("AWS::SQS::Queue", QueueName="queue", **properties)}


def topic(**properties: Any) -> Resources:
    return {"T": resource("AWS::SNS::Topic", TopicName="topic", **properties)}


def parameter(**properties: Any) -> Resources:
    return {"P": resource("AWS::SSM::Parameter", Name="/a", Type="String", Value="v", **properties)}


def parameter_tags(account: Account) -> Any:
    return account.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId="/a")["TagList"]


READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OWN = "arn:aws:iam::123456789012:policy/own"
CASES: dict[str, tuple[Resources, Read, Any]] = {
    "bucket versioning": (
        bucket(VersioningConfiguration={"Status": "Enabled"}),
        of_bucket("get_bucket_versioning", "Status"),
        "Enabled",
    ),
    "bucket public access": (
        bucket(PublicAccessBlockConfiguration=PUBLIC),
        of_bucket("get_public_access_block", "PublicAccessBlockConfiguration"),
        PUBLIC,
    ),
    "bucket encryption": (
        bucket(BucketEncryption={"ServerSideEncryptionConfiguration": ENCRYPTION}),
        lambda account: account.client("s3").get_bucket_encryption(Bucket="evidence")[
            "ServerSideEncryptionConfiguration"
        ]["Rules"][0]["ApplyServerSideEncryptionByDefault"],
        ENCRYPTION[0]["ServerSideEncryptionByDefault"],
    ),
    "bucket lifecycle": (
        bucket(LifecycleConfiguration={"Rules": RULES}),
        of_bucket("get_bucket_lifecycle_configuration", "Rules"),
        [
            {"ID": "a", "Status": "Enabled", "Expiration": {"Days": 3}, "Filter": {"Prefix": "logs/"}},
            {
                "ID": "b",
                "Status": "Disabled",
                "Filter": {"And": {"Prefix": "p", "Tags": TAGS}},
                "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
                "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
            },
        ],
    ),
    "bucket ownership": (
        bucket(OwnershipControls=OWNED),
        of_bucket("get_bucket_ownership_controls", "OwnershipControls"),
        OWNED,
    ),
    "bucket tags": (bucket(Tags=TAGS), of_bucket("get_bucket_tagging", "TagSet"), TAGS),
    "bucket CORS": (
        bucket(CorsConfiguration={"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 5}]}),
        of_bucket("get_bucket_cors", "CORSRules"),
        [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}],
    ),
    "bucket website": (
        bucket(WebsiteConfiguration={"IndexDocument": "index.html"}),
        of_bucket("get_bucket_website", "IndexDocument"),
        {"Suffix": "index.html"},
    ),
    "bucket notifications": (
        {
            **queue(),
            "B": resource(
                "AWS::S3::Bucket",
                BucketName="evidence",
                NotificationConfiguration={
                    "QueueConfigurations": [
                        {
                            "Event": "s3:ObjectCreated:*",
                            "Queue": ref("Q", "Arn"),
                            "Filter": {"S3Key": {"Rules": [{"Name": "suffix", "Value": ".pcap"}]}},
                        }
                    ]
                },
            ),
        },
        lambda account: [
            (one["QueueArn"], one["Events"], one["Filter"]["Key"]["FilterRules"][0]["Value"])
            for one in account.client("s3").get_bucket_notification_configuration(Bucket="evidence")[
                "QueueConfigurations"
            ]
        ],
        [("arn:aws:sqs:eu-central-1:123456789012:queue", ["s3:ObjectCreated:*"], ".pcap")],
    ),
    "bucket lock": (
        bucket(
            ObjectLockEnabled=True,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
            },
        ),
        lambda account: account.client("s3").get_object_lock_configuration(Bucket="evidence")[
            "ObjectLockConfiguration"
        ]["Rule"]["DefaultRetention"]["Mode"],
        "GOVERNANCE",
    ),
    "user groups": (
        user(Groups=[ref("G")]),
        lambda account: account.client("iam").list_groups_for_user(UserName="user")["Groups"][0]["GroupName"],
        "group",
    ),
    "user policies": (
        user(Policies=[{"PolicyName": "p", "PolicyDocument": ALLOW}]),
        of_user("list_user_policies", "PolicyNames"),
        ["p"],
    ),
    "user managed policies": (
        user(ManagedPolicyArns=[READ_ONLY]),
        lambda account: account.client("iam").list_attached_user_policies(UserName="user")["AttachedPolicies"],
        [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}],
    ),
    "user boundary": (
        user(PermissionsBoundary=ref("P")),
        lambda account: account.client("iam").get_user(UserName="user")["User"]["PermissionsBoundary"][
            "PermissionsBoundaryArn"
        ],
        OWN,
    ),
    "user tags": (user(Tags=TAGS), of_user("list_user_tags", "Tags"), TAGS),
    "user password": (
        user(LoginProfile={"Password": "Abc12345!", "PasswordResetRequired": "true"}),
        lambda account: account.client("iam").get_login_profile(UserName="user")["LoginProfile"][
            "PasswordResetRequired"
        ],
        True,
    ),
    "role managed policies": (
        {
            "R": resource(
                "AWS::IAM::Role", RoleName="role", AssumeRolePolicyDocument=AUTH, ManagedPolicyArns=[READ_ONLY]
            )
        },
        role,
        [READ_ONLY],
    ),
    "queue redrive": (
        queue(RedriveAllowPolicy={"redrivePermission": "denyAll"}),
        queue_attribute("RedriveAllowPolicy"),
        '{"redrivePermission":"denyAll"}',
    ),
    "queue timeout": (queue(VisibilityTimeout=77), queue_attribute("VisibilityTimeout"), "77"),
    "topic signature": (topic(SignatureVersion="2"), topic_attribute("SignatureVersion"), "2"),
    "topic name": (topic(DisplayName="Findings"), topic_attribute("DisplayName"), "Findings"),
    "topic subscriptions": (
        {**queue(), **topic(Subscription=[{"Protocol": "sqs", "Endpoint": ref("Q", "Arn")}])},
        lambda account: [one["Protocol"] for one in account.client("sns").list_subscriptions()["Subscriptions"]],
        ["sqs"],
    ),
    "parameter tags": (parameter(Tags={"team": "soc"}), parameter_tags, TAGS),
}


@pytest.mark.parametrize(("resources", "read", "shown"), CASES.values(), ids=CASES)
def test_when_a_template_gives_a_property_then_it_is_made_and_a_change_takes_it_away(
    stacked: Account,  # noqa: F811
    resources: Resources,
    read: Read,
    shown: Any,
) -> None:
    account = stacked
    account.stacks.create_stack(**template(resources))
    assert failures(account) == []
    assert read(account) == shown
    before = physical_ids(account)
    required = {"AssumeRolePolicyDocument", "Type", "Value", "ObjectLockEnabled"}
    plain = {
        name: {
            **one,
            "Properties": {
                key: value
                for key, value in one["Properties"].items()
                if (key.endswith("Name") and key != "DisplayName") or key in required | {"PolicyDocument", "Name"}
            },
        }
        for name, one in resources.items()
    }
    account.stacks.update_stack(**template(plain))
    assert account.stack()["StackStatus"] == "UPDATE_COMPLETE"
    assert physical_ids(account) == before
    # Or there is nothing to read any more.
    with contextlib.suppress(ClientError, IndexError, KeyError):
        assert read(account) != shown
    account.stacks.update_stack(**template(resources))
    assert read(account) == shown
    stack_id = account.stack()["StackId"]
    account.stacks.delete_stack(StackName="tap")
    assert account.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"


LOST: dict[str, tuple[Resources, str, str]] = {
    "bucket": (bucket(MetricsConfigurations=[{"Id": "m"}]), "AWS::S3::Bucket", "MetricsConfigurations"),
    "log group": (
        {"G": resource("AWS::Logs::LogGroup", LogGroupName="g", DataProtectionPolicy={"Name": "p"})},
        "AWS::Logs::LogGroup",
        "DataProtectionPolicy",
    ),
    "key": (
        {"K": resource("AWS::KMS::Key", RotationPeriodInDays=90, EnableKeyRotation=True)},
        "AWS::KMS::Key",
        "RotationPeriodInDays",
    ),
    "stream": (
        {
            "S": resource(
                "AWS::Kinesis::Stream",
                Name="s",
                StreamEncryption={"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
            )
        },
        "AWS::Kinesis::Stream",
        "StreamEncryption",
    ),
    "repository": (
        {"R": resource("AWS::ECR::Repository", RepositoryName="r", RepositoryPolicyText=AUTH)},
        "AWS::ECR::Repository",
        "RepositoryPolicyText",
    ),
    "zone": (
        {
            "Z": resource(
                "AWS::Route53::HostedZone", Name="example.com.", HostedZoneFeatures={"EnableAcceleratedRecovery": True}
            )
        },
        "AWS::Route53::HostedZone",
        "HostedZoneFeatures",
    ),
}


@pytest.mark.parametrize(("resources", "kind", "name"), LOST.values(), ids=LOST)
def test_fails_when_the_account_would_lose_a_property(
    stacked: Account,  # noqa: F811
    resources: Resources,
    kind: str,
    name: str,
) -> None:
    stacked.stacks.create_stack(**template(resources))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    [logical_id] = resources
    assert (logical_id, "CREATE_FAILED", f"strictmoto does not make {name} of {kind}") in failures(stacked)


def test_when_a_property_has_no_effect_then_its_resource_is_made(stacked: Account) -> None:  # noqa: F811
    made = {"M": resource("AWS::CDK::Metadata", Analytics="v2"), "A": resource("AWS::EC2::EIP", Domain="vpc")}
    stacked.stacks.create_stack(**template(made))
    assert failures(stacked) == []


def test_fails_when_an_update_would_lose_a_property_and_the_stack_goes_back(stacked: Account) -> None:  # noqa: F811
    stacked.stacks.create_stack(**template({**bucket(), **queue(DelaySeconds=1)}))
    before = physical_ids(stacked)
    changed = bucket(MetricsConfigurations=[{"Id": "m"}], VersioningConfiguration={"Status": "Enabled"})
    stacked.stacks.update_stack(**template({**changed, **queue(DelaySeconds=2)}))
    assert stacked.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    said = "strictmoto does not change MetricsConfigurations of AWS::S3::Bucket"
    assert ("B", "UPDATE_FAILED", said) in stacked.events("tap")
    assert physical_ids(stacked) == before
    assert stacked.client("s3").get_bucket_versioning(Bucket="evidence").get("Status") != "Enabled"
    assert queue_attribute("DelaySeconds")(stacked) == "1"


def test_fails_when_what_takes_anothers_place_would_lose_a_property(stacked: Account) -> None:  # noqa: F811
    stacked.stacks.create_stack(**template(bucket()))
    other = {"B": resource("AWS::S3::Bucket", BucketName="other", MetricsConfigurations=[{"Id": "m"}])}
    stacked.stacks.update_stack(**template(other))
    assert stacked.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert [one["Name"] for one in stacked.client("s3").list_buckets()["Buckets"]] == ["evidence"]


@pytest.mark.parametrize("kind", ["Role", "User", "Group"])
def test_fails_when_a_policy_that_is_to_be_attached_is_absent(stacked: Account, kind: str) -> None:  # noqa: F811
    trust = {"AssumeRolePolicyDocument": AUTH} if kind == "Role" else {}
    absent = "arn:aws:iam::123456789012:policy/absent"
    made = resource(f"AWS::IAM::{kind}", **{f"{kind}Name": "one"}, **trust, ManagedPolicyArns=[absent])
    stacked.stacks.create_stack(**template({"One": made}))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    [(name, _status, reason)] = [event for event in stacked.events("tap") if event[1] == "CREATE_FAILED"]
    assert (name, absent in reason) == ("One", True)
    listed = getattr(stacked.client("iam"), f"list_{kind.lower()}s")()[f"{kind}s"]
    assert "one" not in [found[f"{kind}Name"] for found in listed]


def test_fails_when_a_users_group_is_absent(stacked: Account) -> None:  # noqa: F811
    stacked.stacks.create_stack(**template({"U": resource("AWS::IAM::User", UserName="user", Groups=["absent"])}))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacked.client("iam").list_users()["Users"] == []


@pytest.mark.parametrize(
    "resources",
    [
        queue(),
        topic(),
        parameter(),
        bucket(),
        {"R": resource("AWS::Events::Rule", Name="rule", ScheduleExpression="rate(1 day)")},
    ],
    ids=["queue", "topic", "parameter", "bucket", "rule"],
)
def test_fails_when_another_stack_has_the_name(stacked: Account, resources: Resources) -> None:  # noqa: F811
    stacked.stacks.create_stack(**{**template(resources), "StackName": "first"})
    stacked.stacks.create_stack(**template(resources))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = [reason for _name, status, reason in stacked.events("tap") if status == "CREATE_FAILED"]
    assert "already" in reason
    # What the first has is there still.
    stack_id = stacked.stack("first")["StackId"]
    stacked.stacks.delete_stack(StackName="first")
    deleted = [event for event in stacked.events(stack_id) if event[1] == "DELETE_COMPLETE"]
    assert len(deleted) == len(resources) + 1


def test_when_a_fifo_queue_and_topic_have_no_names_then_theirs_end_in_fifo(stacked: Account) -> None:  # noqa: F811
    made = {"Q": resource("AWS::SQS::Queue", FifoQueue=True), "T": resource("AWS::SNS::Topic", FifoTopic=True)}
    stacked.stacks.create_stack(**template(made))
    assert failures(stacked) == []
    assert all(found.endswith(".fifo") for found in physical_ids(stacked).values())


ONE: list[Callable[[Given], Any]] = [
    lambda it: it["a"],
    lambda it: it.get("a"),
    lambda it: it.pop("a"),
    lambda it: copy.deepcopy(it)["a"],
    lambda it: it.copy().get("a"),
]
ALL: list[Callable[[Given], Any]] = [
    lambda it: {**it},
    lambda it: dict(it),
    lambda it: json.dumps(it),
    lambda it: list(it.items()),
    lambda it: list(it.values()),
]


class TestGiven:
    @pytest.mark.parametrize("read", ONE)
    def test_when_a_property_is_read_then_it_is_known(self, read: Callable[[Given], Any]) -> None:
        properties = Given({"a": 1, "b": 2})
        read(properties)
        assert properties.read == {"a"}

    @pytest.mark.parametrize("read", ALL)
    def test_when_all_are_read_then_all_are_known(self, read: Callable[[Given], Any]) -> None:
        properties = Given({"a": 1, "b": 2})
        read(properties)
        assert properties.read == {"a", "b"}

    def test_when_names_alone_are_asked_for_then_nothing_is_read(self) -> None:
        properties = Given({"a": 1})
        assert (list(properties), "a" in properties, list(properties.keys())) == (["a"], True, ["a"])
        assert properties.read == set()

    def test_when_it_is_kept_then_it_is_plain(self) -> None:
        assert type(pickle.loads(pickle.dumps(Given({"a": 1})))) is dict

    def test_when_a_property_has_no_effect_then_it_is_not_lost(self) -> None:
        for kind, names in given.WITHOUT_EFFECT.items():
            assert given.lost(kind, [*names, "Other"], [Given({"Other": 1})]) == ["Other"]

    def test_when_a_property_is_left_out_then_it_is_lost_unless_all_others_were_read(self) -> None:
        properties = Given({"a": 1, "b": 2})
        assert given.lost("AWS::KMS::Key", ["gone"], [properties]) == ["gone"]
        json.dumps(properties)
        assert given.lost("AWS::KMS::Key", ["gone"], [properties]) == []
