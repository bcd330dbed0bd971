"""Where GuardDuty exports findings to, and what bucket, key and caller must allow."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import HERE, ROOT, THERE, Enforcing, policy, refusal

REGION: Final = "eu-central-1"
BUCKET: Final = "landing"
ARN: Final = f"arn:aws:s3:::{BUCKET}"
SERVICE: Final = "guardduty.amazonaws.com"
REFUSED: Final = (
    "The request failed because the GuardDuty service principal does not have permission to the KMS key or the "
    "resource specified by the destinationArn parameter. Refer to "
    "https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_exportfindings.html"
)
OWNER: Final = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}


@dataclass
class Export:
    """A detector, a bucket and a key whose policies are those of the GuardDuty User Guide."""

    enforcing: Enforcing
    region: str = REGION
    service: str = SERVICE

    def __post_init__(self) -> None:
        client = functools.partial(self.enforcing.client, region=self.region)
        self.guardduty, self.s3, self.kms = client("guardduty"), client("s3"), client("kms")
        self.detector = self.guardduty.create_detector(Enable=True)["DetectorId"]
        self.detector_arn = f"arn:aws:guardduty:{self.region}:{HERE}:detector/{self.detector}"
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": self.region})
        self.key = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.allow_bucket(*self.bucket_statements())
        self.allow_key(self.key_statement())

    @property
    def principal(self) -> dict[str, str]:
        return {"Service": self.service}

    def condition(self, **other: Any) -> dict[str, Any]:
        return {"StringEquals": {"aws:SourceAccount": HERE, "aws:SourceArn": self.detector_arn, **other}}

    def bucket_statements(self, prefix: str = "", **condition: Any) -> list[dict[str, Any]]:
        common = {"Principal": self.principal, "Condition": self.condition(**condition)}
        unencrypted = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
        wrong_key = {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": self.key}}
        put = {"Principal": self.principal, "Action": "s3:PutObject", "Resource": f"{ARN}/{prefix}*"}
        return [
            {**common, "Action": "s3:GetBucketLocation", "Resource": ARN},
            {**common, **put},
            {**put, "Effect": "Deny", "Condition": unencrypted},
            {**put, "Effect": "Deny", "Condition": wrong_key},
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [ARN, f"{ARN}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]

    def key_statement(self, **condition: Any) -> dict[str, Any]:
        allowed = {"Principal": self.principal, "Action": "kms:GenerateDataKey", "Resource": "*"}
        return {**allowed, "Condition": self.condition(**condition)}

    def allow_bucket(self, *statements: dict[str, Any]) -> None:
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(*statements))

    def allow_key(self, *statements: dict[str, Any]) -> None:
        self.kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=policy(OWNER, *statements))

    def asked(self, prefix: str = "", **other: Any) -> dict[str, Any]:
        properties = {"DestinationArn": f"{ARN}{prefix}", "KmsKeyArn": self.key, **other}
        return {"DetectorId": self.detector, "DestinationType": "S3", "DestinationProperties": properties}

    def create(self, prefix: str = "", **other: Any) -> str:
        return str(self.guardduty.create_publishing_destination(**self.asked(prefix, **other))["DestinationId"])

    def refused(self, prefix: str = "", **other: Any) -> str:
        code, message = refusal(self.guardduty.create_publishing_destination, **self.asked(prefix, **other))
        assert code == "BadRequestException"
        assert self.listed() == []
        return message

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.guardduty.list_publishing_destinations(DetectorId=self.detector)[
            "Destinations"
        ]
        return found

    def described(self, identity: str) -> dict[str, Any]:
        found = self.guardduty.describe_publishing_destination(DetectorId=self.detector, DestinationId=identity)
        return {key: value for key, value in found.items() if key != "ResponseMetadata"}

    def stored(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


@pytest.fixture
def export(enforcing: Enforcing) -> Export:
    return Export(enforcing)


def test_when_a_destination_is_made_changed_and_deleted_then_that_is_shown(export: Export) -> None:
    identity = export.create()
    properties = {"DestinationArn": ARN, "KmsKeyArn": export.key}
    shown = {"DestinationId": identity, "DestinationType": "S3", "Status": "PUBLISHING"}
    assert export.listed() == [shown]
    assert export.described(identity) == {**shown, "DestinationProperties": properties, "Tags": {}}
    assert export.stored() == ["AWSLogs/"]
    assert export.s3.head_object(Bucket=BUCKET, Key="AWSLogs/")["SSEKMSKeyId"] == export.key
    export.s3.put_object(Bucket=BUCKET, Key="guardduty/", Body=b"")
    named = {"DetectorId": export.detector, "DestinationId": identity}
    moved = {"DestinationArn": f"{ARN}/guardduty"}
    export.guardduty.update_publishing_destination(**named, DestinationProperties=moved)
    assert export.described(identity)["DestinationProperties"] == {**properties, **moved}
    assert export.stored() == ["AWSLogs/", "guardduty/", "guardduty/AWSLogs/"]
    export.guardduty.delete_publishing_destination(**named)
    assert export.listed() == []
    for call in ("describe_publishing_destination", "delete_publishing_destination"):
        code, message = refusal(getattr(export.guardduty, call), **named)
        # Terraform takes this text for a destination that is gone.
        assert message == "The request is rejected because the one or more input parameters have invalid values."
        assert code == "BadRequestException"


def test_fails_when_a_detector_has_one_already(export: Export) -> None:
    token = {"ClientToken": "once", "Tags": {"company": "northwind"}}
    made = export.guardduty.create_publishing_destination(**export.asked(), **token)["DestinationId"]
    again = export.guardduty.create_publishing_destination(**export.asked(), ClientToken="once")["DestinationId"]
    assert (again, export.described(made)["Tags"]) == (made, {"company": "northwind"})
    message = refusal(export.guardduty.create_publishing_destination, **export.asked())[1]
    assert message.startswith("The request failed because a publishingDestination already exists with the destination")


def test_fails_when_a_region_has_a_detector_already(export: Export) -> None:
    message = refusal(export.guardduty.create_detector, Enable=True)[1]
    assert message == "The request is rejected because a detector already exists for the current account."
    elsewhere = export.enforcing.client("guardduty", region="eu-west-1")
    assert elsewhere.create_detector(Enable=True)["DetectorId"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"DestinationArn": "landing"}, "value specified for the destinationArn parameter is not valid"),
        (
            {"DestinationArn": "arn:aws:s3:::absent"},
            "resource specified in the destinationArn parameter does not exist",
        ),
        ({"KmsKeyArn": "alias/guardduty"}, "value specified for the kmsKeyArn parameter is not valid"),
        ({"KmsKeyArn": f"arn:aws:kms:eu-west-1:{HERE}:key/1"}, "value specified for the kmsKeyArn parameter is not"),
        ({"KmsKeyArn": f"arn:aws:kms:{REGION}:{HERE}:key/1"}, REFUSED),
    ],
)
def test_fails_when_bucket_or_key_cannot_be(export: Export, given: dict[str, str], message: str) -> None:
    assert message in export.refused(**given)


def test_fails_when_the_type_is_another(export: Export) -> None:
    asked = {**export.asked(), "DestinationType": "SQS"}
    assert refusal(export.guardduty.create_publishing_destination, **asked)[0] == "BadRequestException"


@pytest.mark.parametrize("missing", range(2))
def test_fails_when_the_bucket_does_not_let_guardduty_in(export: Export, missing: int) -> None:
    statements = export.bucket_statements()
    export.allow_bucket(*statements[:missing], *statements[missing + 1 :])
    assert export.refused() == REFUSED
    assert export.stored() == []


# Amazon GuardDuty User Guide, "Exporting findings": in a Region that was enabled manually its Regional endpoint.
def test_when_the_region_was_enabled_manually_then_the_principal_is_the_regional_one(enforcing: Enforcing) -> None:
    export = Export(enforcing, region="me-south-1")
    assert export.refused() == REFUSED
    export.service = "guardduty.me-south-1.amazonaws.com"
    export.allow_bucket(*export.bucket_statements())
    assert export.refused() == REFUSED
    export.allow_key(export.key_statement())
    assert export.create()


def test_fails_when_the_principal_is_that_of_a_region_and_the_region_has_none(enforcing: Enforcing) -> None:
    assert Export(enforcing, service=f"guardduty.{REGION}.amazonaws.com").refused() == REFUSED


@pytest.mark.parametrize(
    "other",
    [{"aws:SourceAccount": THERE}, {"aws:SourceArn": f"arn:aws:guardduty:{REGION}:{HERE}:detector/1"}],
    ids=["account", "detector"],
)
def test_fails_when_bucket_or_key_are_for_another(export: Export, other: dict[str, str]) -> None:
    export.allow_bucket(*export.bucket_statements(**other))
    assert export.refused() == REFUSED
    export.allow_bucket(*export.bucket_statements())
    export.allow_key(export.key_statement(**other))
    assert export.refused() == REFUSED
    export.allow_key(export.key_statement())
    assert export.create()


def test_fails_when_the_key_is_not_the_one_that_the_bucket_takes(export: Export) -> None:
    taken = export.key
    export.key = export.kms.create_key()["KeyMetadata"]["Arn"]
    export.allow_key(export.key_statement())
    assert export.refused() == REFUSED
    export.key = taken
    assert export.create()


def test_fails_when_the_key_is_disabled(export: Export) -> None:
    export.kms.disable_key(KeyId=export.key.rpartition("/")[2])
    assert export.refused() == REFUSED


def test_fails_when_the_folder_of_the_prefix_is_not_there(export: Export) -> None:
    absent = "The request failed because the resource folder specified in the destinationArn parameter does not exist."
    assert export.refused("/guardduty") == absent
    # What lies in it does not make it: a lifecycle rule that expires the object of the folder breaks the next update.
    export.s3.put_object(Bucket=BUCKET, Key="guardduty/AWSLogs/one", Body=b"")
    assert export.refused("/guardduty/") == absent
    export.s3.put_object(Bucket=BUCKET, Key="guardduty/", Body=b"")
    identity = export.create("/guardduty/")
    assert "guardduty/AWSLogs/" in export.stored()
    export.s3.delete_object(Bucket=BUCKET, Key="guardduty/")
    named = {"DetectorId": export.detector, "DestinationId": identity}
    changed = {"KmsKeyArn": export.key}
    refused = refusal(export.guardduty.update_publishing_destination, **named, DestinationProperties=changed)
    assert refused == ("BadRequestException", absent)


@pytest.mark.parametrize("missing", ["s3:GetObject", "s3:ListBucket"])
def test_fails_when_the_caller_may_not_look_for_the_folder(export: Export, missing: str) -> None:
    export.s3.put_object(Bucket=BUCKET, Key="guardduty/", Body=b"")
    [other] = {"s3:GetObject", "s3:ListBucket"} - {missing}
    able = {"Action": "guardduty:*"}
    caller = export.enforcing.worker("guardduty", able, {"Action": other})
    message = refusal(caller.create_publishing_destination, **export.asked("/guardduty"))[1]
    assert message == (
        "The request failed because you do not have the required permissions for the s3:GetObject or s3:ListBucket "
        "actions."
    )
    caller = export.enforcing.worker("guardduty", able, {"Action": ["s3:GetObject", "s3:ListBucket"]})
    assert caller.create_publishing_destination(**export.asked("/guardduty"))["DestinationId"]
    [put] = [one for one in export.enforcing.account.recorder.records(action="HeadObject") if one.status == 200]
    assert (put.invoked_by, put.call.parameters["Key"]) == (SERVICE, "guardduty/")


def test_when_a_policy_names_the_resource_then_calls_are_about_it(export: Export) -> None:
    identity = export.create()
    named = {"DetectorId": export.detector, "DestinationId": identity}
    mine = f"{export.detector_arn}/publishingDestination/{identity}"
    actions = ["guardduty:DescribePublishingDestination", "guardduty:DeletePublishingDestination"]
    other = export.enforcing.worker("guardduty", {"Action": actions, "Resource": f"{export.detector_arn}/*/other"})
    for call in (other.describe_publishing_destination, other.delete_publishing_destination):
        code, message = refusal(call, **named)
        assert (code, mine in message) == ("AccessDeniedException", True)
    # To make one and to list them is about no resource.
    broad = {"Action": ["guardduty:CreatePublishingDestination", "guardduty:ListPublishingDestinations"]}
    narrow = export.enforcing.worker("guardduty", {**broad, "Resource": export.detector_arn})
    assert refusal(narrow.list_publishing_destinations, DetectorId=export.detector)[0] == "AccessDeniedException"
    able = export.enforcing.worker("guardduty", {"Action": actions, "Resource": mine}, broad)
    assert able.describe_publishing_destination(**named)["Status"] == "PUBLISHING"
    able.delete_publishing_destination(**named)
    assert able.create_publishing_destination(**export.asked())["DestinationId"]
    assert len(able.list_publishing_destinations(DetectorId=export.detector)["Destinations"]) == 1
