"""A template is read with the permissions of who names its address, or of who signed that."""

from __future__ import annotations

import json
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from strictmoto.identity.principals import found_role
from tests.strictmoto.iam.conftest import HERE, THERE, Enforcing, policy, refusal

BODY: Final = json.dumps({"Resources": {"Wait": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}})
OLD: Final = json.dumps({"Resources": {"Old": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}})
URL: Final = "https://templates.s3.eu-central-1.amazonaws.com/dir/good.json"
OBJECT: Final = "arn:aws:s3:::templates/dir/good.json"
DENIED: Final = "S3 error: Access Denied"
ROLE: Final = f"arn:aws:iam::{HERE}:role"


@pytest.fixture
def s3(enforcing: Enforcing) -> Any:
    return put(enforcing.client("s3"))


def put(s3: Any) -> Any:
    s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="templates", Key="dir/good.json", Body=BODY.encode())
    return s3


STACKS: Final = {"Action": "cloudformation:*"}
READ: Final = {"Action": "s3:GetObject", "Resource": OBJECT}


METHODS: Final = [
    ("create_stack", {"StackName": "tap"}),
    ("get_template_summary", {}),
    ("validate_template", {}),
    ("create_change_set", {"StackName": "tap", "ChangeSetName": "c", "ChangeSetType": "CREATE"}),
]


@pytest.mark.parametrize(("method", "given"), METHODS)
def test_fails_when_the_caller_may_not_read_the_template(
    enforcing: Enforcing, s3: Any, method: str, given: dict[str, Any]
) -> None:
    refused = enforcing.worker("cloudformation", STACKS)
    code, message = refusal(getattr(refused, method), TemplateURL=URL, **given)
    assert (code, message.partition("\n")[0]) == ("ValidationError", DENIED)
    getattr(enforcing.worker("cloudformation", STACKS, READ), method)(TemplateURL=URL, **given)


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Principal": {"AWS": f"{ROLE}/worker-0"}, **READ},
        {"Effect": "Deny", "Principal": "*", **READ, "Condition": {"Bool": {"aws:ViaAWSService": "true"}}},
        {
            "Effect": "Deny",
            "Principal": "*",
            **READ,
            "Condition": {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}},
        },
    ],
    ids=["the role", "via a service", "via CloudFormation"],
)
def test_fails_when_the_policy_of_the_bucket_denies(enforcing: Enforcing, s3: Any, statement: dict[str, Any]) -> None:
    worker = enforcing.worker("cloudformation", STACKS, READ)
    worker.validate_template(TemplateURL=URL)
    s3.put_bucket_policy(Bucket="templates", Policy=policy(statement))
    assert refusal(worker.validate_template, TemplateURL=URL)[1].startswith(DENIED)


def test_when_the_policy_of_the_bucket_allows_then_the_caller_needs_nothing(enforcing: Enforcing, s3: Any) -> None:
    allow = {"Principal": {"AWS": HERE}, **READ}
    worker = enforcing.worker("cloudformation", STACKS)
    s3.put_bucket_policy(Bucket="templates", Policy=policy(allow))
    # To let the account in leaves it to the policies of its roles.
    assert refusal(worker.validate_template, TemplateURL=URL)[1].startswith(DENIED)
    s3.put_bucket_policy(Bucket="templates", Policy=policy({**allow, "Principal": "*"}))
    worker.validate_template(TemplateURL=URL)


class TestOfAnotherAccount:
    """The bucket's policy and the caller's own must both allow it, even where every principal may read the bucket."""

    @pytest.fixture
    def theirs(self, enforcing: Enforcing) -> Any:
        found_role(f"arn:aws:iam::{THERE}:role/owner")
        return put(enforcing.client("s3", role_arn=f"arn:aws:iam::{THERE}:role/owner"))

    def open_to_all(self, theirs: Any) -> None:
        theirs.put_bucket_policy(Bucket="templates", Policy=policy({"Principal": "*", **READ}))

    @pytest.mark.parametrize(("method", "given"), METHODS)
    def test_when_a_template_is_read_then_both_must_allow(
        self, enforcing: Enforcing, theirs: Any, method: str, given: dict[str, Any]
    ) -> None:
        may, may_not = enforcing.worker("cloudformation", STACKS, READ), enforcing.worker("cloudformation", STACKS)
        assert refusal(getattr(may, method), TemplateURL=URL, **given)[1].startswith(DENIED)
        self.open_to_all(theirs)
        assert refusal(getattr(may_not, method), TemplateURL=URL, **given)[1].startswith(DENIED)
        getattr(may, method)(TemplateURL=URL, **given)

    def test_when_a_stack_is_updated_then_both_must_allow(self, enforcing: Enforcing, theirs: Any) -> None:
        self.open_to_all(theirs)
        enforcing.client("cloudformation").create_stack(StackName="tap", TemplateBody=OLD)
        given = {"StackName": "tap", "TemplateURL": URL}
        may_not = enforcing.worker("cloudformation", STACKS)
        assert refusal(may_not.update_stack, **given)[1].startswith(DENIED)
        enforcing.worker("cloudformation", STACKS, READ).update_stack(**given)

    def test_when_a_stack_has_a_role_then_the_caller_still_reads_the_template(
        self, enforcing: Enforcing, theirs: Any
    ) -> None:
        self.open_to_all(theirs)
        role = enforcing.role("service", READ, trust={"Service": "cloudformation.amazonaws.com"})
        given = {"StackName": "tap", "TemplateURL": URL, "RoleARN": role}
        pass_it = {"Action": "iam:PassRole", "Resource": role}
        may_not = enforcing.worker("cloudformation", STACKS, pass_it)
        assert refusal(may_not.create_stack, **given)[1].startswith(DENIED)
        enforcing.worker("cloudformation", STACKS, pass_it, READ).create_stack(**given)

    def test_when_an_object_is_read_then_both_must_allow(self, enforcing: Enforcing, theirs: Any) -> None:
        wanted = {"Bucket": "templates", "Key": "dir/good.json"}
        may, may_not = enforcing.worker("s3", READ), enforcing.worker("s3")
        assert refusal(may.get_object, **wanted)[1].endswith("no resource-based policy allows the s3:GetObject action")
        self.open_to_all(theirs)
        code, message = refusal(may_not.get_object, **wanted)
        assert code == "AccessDenied"
        assert message.endswith("because no identity-based policy allows the s3:GetObject action")
        assert may.get_object(**wanted)["Body"].read() == BODY.encode()


@pytest.mark.parametrize("enforces", [True, False])
def test_when_a_template_is_read_then_it_is_recorded_as_a_call_of_cloudformation_for_the_caller(
    enforcing: Enforcing, s3: Any, enforces: bool
) -> None:
    worker = enforcing.worker("cloudformation", STACKS, READ)
    enforcing.account.enforces_iam = enforces
    worker.validate_template(TemplateURL=URL)
    [made] = [one for one in enforcing.account.recorder.records() if one.invoked_by]
    assert (made.call.action, made.status, made.invoked_by) == ("GetObject", 200, "cloudformation.amazonaws.com")
    assert made.principal.startswith(f"{ROLE}/worker-")
    [needed] = made.authorizations
    assert (needed.action, needed.resources) == ("s3:GetObject", (OBJECT,))


def test_when_iam_is_not_enforced_then_every_caller_may_read(enforcing: Enforcing, s3: Any) -> None:
    worker = enforcing.worker("cloudformation")
    enforcing.account.enforces_iam = False
    worker.validate_template(TemplateURL=URL)


class TestPresigned:
    """The rights are those of who signed, and the signature must be true."""

    def signed(self, client: Any, **changes: str) -> str:
        url = str(client.generate_presigned_url("get_object", Params={"Bucket": "templates", "Key": "dir/good.json"}))
        for old, new in changes.items():
            url = url.replace(old, new)
        return url

    def client(self, enforcing: Enforcing, *statements: dict[str, Any]) -> Any:
        """A client of S3 of a new role, which presigns with version 4."""
        made = enforcing.worker("s3", *statements)
        keys = made._request_signer._credentials.get_frozen_credentials()
        return boto3.client(
            "s3",
            region_name="eu-central-1",
            endpoint_url=enforcing.account.endpoint,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            config=Config(signature_version="s3v4", proxies={}),
        )

    def test_when_its_signer_may_read_then_the_caller_need_not(self, enforcing: Enforcing, s3: Any) -> None:
        url = self.signed(self.client(enforcing, READ))
        enforcing.worker("cloudformation", STACKS).validate_template(TemplateURL=url)

    def test_fails_when_it_has_expired(self, enforcing: Enforcing, s3: Any) -> None:
        wanted = {"Bucket": "templates", "Key": "dir/good.json"}
        url = self.client(enforcing, READ).generate_presigned_url("get_object", Params=wanted, ExpiresIn=-60)
        _, message = refusal(enforcing.client("cloudformation").validate_template, TemplateURL=url)
        assert message.startswith("S3 error: Request has expired")

    def test_fails_when_its_signer_may_not_read(self, enforcing: Enforcing, s3: Any) -> None:
        url = self.signed(self.client(enforcing))
        caller = enforcing.worker("cloudformation", STACKS, READ)
        assert refusal(caller.validate_template, TemplateURL=url)[1].startswith(DENIED)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"good.json": "other.json"}, "The request signature we calculated does not match"),
            ({"X-Amz-Expires=3600": "X-Amz-Expires=3601"}, "The request signature we calculated does not match"),
            ({"X-Amz-Credential=": "X-Amz-Credential=A"}, "The AWS Access Key Id you provided does not exist"),
            ({"X-Amz-Security-Token=": "X-Amz-Security-Token=a"}, "The provided token is malformed"),
            ({"X-Amz-Signature": "x-signature"}, "Signature"),
            ({"%2Fs3%2F": "%2Fec2%2F"}, "Error parsing the X-Amz-Credential parameter"),
        ],
        ids=["object", "expiry", "key", "token", "none", "service"],
    )
    @pytest.mark.parametrize("enforces", [True, False])
    def test_fails_when_the_signature_is_not_true(
        self, enforcing: Enforcing, s3: Any, changes: dict[str, str], said: str, enforces: bool
    ) -> None:
        s3.put_object(Bucket="templates", Key="dir/other.json", Body=BODY.encode())
        url = self.signed(self.client(enforcing, {"Action": "s3:*"}), **changes)
        enforcing.account.enforces_iam = enforces
        code, message = refusal(enforcing.client("cloudformation").validate_template, TemplateURL=url)
        assert code == "ValidationError"
        assert message.startswith("S3 error: ")
        assert said in message

    def test_fails_when_it_is_signed_with_version_2(self, enforcing: Enforcing, s3: Any) -> None:
        url = f"{URL}?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=4102444800&Signature=vjbyPxybdZaNmGa"
        _, message = refusal(enforcing.client("cloudformation").validate_template, TemplateURL=url)
        assert message.startswith("S3 error: The authorization mechanism you have provided is not supported.")
