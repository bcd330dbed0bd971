"""Where a template may come from: S3 by its names and by the account's own, presigned or not, and nowhere else."""

import json
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from strictmoto.s3 import uploads
from tests.strictmoto.cloudformation.conftest import REGION, Account
from tests.strictmoto.cloudformation.test_stacks import GOOD

BODY = json.dumps({"Description": "from a bucket", "Resources": {"Good": GOOD}})
PLACE = {"LocationConstraint": REGION}


@pytest.fixture
def s3(account: Account) -> Any:
    client = account.client("s3")
    client.create_bucket(Bucket="templates", CreateBucketConfiguration=PLACE)
    client.put_object(Bucket="templates", Key="dir/good.json", Body=BODY.encode())
    return client


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.amazonaws.com/templates/dir/good.json",
        "https://s3.eu-central-1.amazonaws.com/templates/dir/good.json",
        "https://s3-eu-central-1.amazonaws.com/templates/dir/good.json",
        "https://templates.s3.amazonaws.com/dir/good.json",
        "https://templates.s3.eu-central-1.amazonaws.com/dir/good.json",
        "https://templates.s3.dualstack.eu-central-1.amazonaws.com/dir/good.json",
        "https://templates.s3.amazonaws.com/dir%2Fgood.json",
        "{endpoint}/templates/dir/good.json",
    ],
)
def test_when_a_template_is_in_s3_then_every_form_of_its_address_works(account: Account, s3: Any, url: str) -> None:
    url = url.format(endpoint=account.endpoint)
    assert account.stacks.get_template_summary(TemplateURL=url)["Description"] == "from a bucket"
    account.stacks.create_stack(StackName="tap", TemplateURL=url)
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_when_a_change_set_is_of_a_template_in_s3_then_it_makes_the_stack(account: Account, s3: Any) -> None:
    """As `aws cloudformation deploy --s3-bucket` does."""
    url = f"{account.endpoint}/templates/dir/good.json"
    assert account.stacks.validate_template(TemplateURL=url)["Description"] == "from a bucket"
    account.stacks.create_change_set(StackName="tap", ChangeSetName="first", ChangeSetType="CREATE", TemplateURL=url)
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_when_a_version_is_named_then_that_one_is_read(account: Account, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="templates", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="templates", Key="dir/good.json", Body=BODY.encode())["VersionId"]
    s3.put_object(Bucket="templates", Key="dir/good.json", Body=b"{}")
    url = f"{account.endpoint}/templates/dir/good.json?versionId={version}"
    assert account.stacks.validate_template(TemplateURL=url)["Description"] == "from a bucket"


@pytest.mark.parametrize(
    "url",
    [
        "http://s3.amazonaws.com/templates/dir/good.json",
        "https://example.com/templates/dir/good.json",
        "https://templates.s3.amazonaws.com.example.com/dir/good.json",
        "https://templates.s3-website.eu-central-1.amazonaws.com/dir/good.json",
        "https://s3.amazonaws.com/templates",
        "s3://templates/dir/good.json",
        "https://[/templates",
    ],
)
def test_fails_when_the_address_is_none_of_s3(account: Account, s3: Any, url: str) -> None:
    with pytest.raises(ClientError, match="TemplateURL must be a supported URL.") as refused:
        account.stacks.create_stack(StackName="tap", TemplateURL=url)
    assert refused.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("key", "said"), [("templates/none", "The specified key does not exist."), ("none/none", "bucket does not exist")]
)
def test_fails_when_nothing_is_there(account: Account, s3: Any, key: str, said: str) -> None:
    with pytest.raises(ClientError, match=f"S3 error: .*{said}"):
        account.stacks.create_stack(StackName="tap", TemplateURL=f"https://s3.amazonaws.com/{key}")


def test_when_the_bucket_is_another_accounts_then_its_policy_decides(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in an account that enforces IAM, whose buckets leave it to that.
    bucket: Any = FakeBucket
    monkeypatch.setattr(bucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)
    assumed = account.client("sts").assume_role(RoleArn="arn:aws:iam::444455556666:role/x", RoleSessionName="xyz")
    keys = assumed["Credentials"]
    other = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=account.endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    other.create_bucket(Bucket="theirs", CreateBucketConfiguration=PLACE)
    other.put_object(Bucket="theirs", Key="good.json", Body=BODY.encode())
    url = "https://theirs.s3.amazonaws.com/good.json"
    with pytest.raises(ClientError, match="S3 error: Access Denied"):
        account.stacks.create_stack(StackName="tap", TemplateURL=url)
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::theirs/*"}
    other.put_bucket_policy(Bucket="theirs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    account.stacks.create_stack(StackName="tap", TemplateURL=url)
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_fails_when_a_body_is_longer_than_a_request_may_be_and_works_from_s3(account: Account, s3: Any) -> None:
    body = json.dumps({"Metadata": {"Long": "x" * 51_200}, "Resources": {"Good": GOOD}})
    with pytest.raises(ClientError, match="Member must have length less than or equal to 51200"):
        account.stacks.create_stack(StackName="tap", TemplateBody=body)
    s3.put_object(Bucket="templates", Key="long.json", Body=body.encode())
    account.stacks.create_stack(StackName="tap", TemplateURL=f"{account.endpoint}/templates/long.json")
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_when_an_object_is_put_as_a_form_then_it_is_what_was_sent(account: Account, s3: Any) -> None:
    uploads.install()
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "templates", "Key": "put"}, ExpiresIn=60)
    # urllib sends a form where nothing else is said.
    with urllib.request.urlopen(urllib.request.Request(url, data=b'{"a=b&c": 1}', method="PUT")):
        pass
    found = s3.get_object(Bucket="templates", Key="put")
    assert (found["Body"].read(), found["ContentType"]) == (b'{"a=b&c": 1}', "application/x-www-form-urlencoded")
