"""One reading of a request: IAM is asked about what moto does, and that is recorded, whatever the request says."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from typing import Any, Final
from urllib.parse import urlencode

import hypothesis
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import strategies as st
from moto.core.utils import camelcase_to_underscores

from strictmoto.account import REGION, Account, extend
from strictmoto.front.unknown_calls import OF_S3
from strictmoto.iam.enforcement import refusal_of
from strictmoto.requests.calls import operation_named
from strictmoto.requests.services import models_of, signing_name
from tests.strictmoto.signing import keys_of
from tests.strictmoto.test_signatures import Answer, send

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
JSON: Final = {"Content-Type": "application/x-amz-json-1.0"}
WEB: Final = "arn:aws:iam::123456789012:role/web"


def ask(
    account: Account,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    keys: Any = None,
    region: str = REGION,
) -> Answer:
    given = dict(headers or {})
    if "s3" in service:
        given["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    signing = AWSRequest(method, account.endpoint + path, given, body)
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys or keys_of(account), service, region).add_auth(signing)
    return send(account, method, path, dict(signing.headers.items()), body)


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """What IAM is asked about is part of it."""
    return True


@pytest.fixture
def worker(aws_account: Account) -> Any:
    """Keys of a user who may list and describe, and read and delete tags."""
    iam = aws_account.client("iam")
    iam.create_user(UserName="worker")
    may = ["s3:ListAllMyBuckets", "s3:*ObjectTagging", "ec2:DescribeVpcs", "iam:GetUser", "states:List*", "sqs:List*"]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": may, "Resource": "*"}]}
    iam.put_user_policy(UserName="worker", PolicyName="work", PolicyDocument=json.dumps(document))
    made = iam.create_access_key(UserName="worker")["AccessKey"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture
def bucket(aws_account: Account) -> Any:
    """Return a client; the bucket has an object."""
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="evidence", Key="capture", Body=b"packets")
    return s3


@pytest.mark.parametrize(
    ("target", "action"),
    [
        ("AWSCognitoIdentityProviderService.InitiateAuth", "CreateUserPool"),
        ("AWSCognitoIdentityProviderService.InitiateAuth", "ListUserPools"),
        ("AWSCognitoIdentityService.GetId", "CreateIdentityPool"),
    ],
)
def test_fails_where_the_request_is_not_signed_and_the_query_names_another_action(
    aws_account: Account, target: str, action: str
) -> None:
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    body = b'{"PoolName": "stranger", "IdentityPoolName": "stranger", "AllowUnauthenticatedIdentities": true}'
    send(aws_account, "POST", f"/?Action={action}", headers, body)

    assert aws_account.client("cognito-idp", region="us-east-1").list_user_pools(MaxResults=9)["UserPools"] == []
    pools = aws_account.client("cognito-identity", region="us-east-1").list_identity_pools(MaxResults=9)
    assert pools["IdentityPools"] == []
    assert aws_account.recorder.records()[0].call.action == target.partition(".")[2]


@pytest.mark.parametrize(("method", "path"), [("PUT", "/evidence"), ("GET", "/x"), ("PUT", "/evidence/capture")])
def test_fails_where_a_token_is_shown_to_another_service(aws_account: Account, method: str, path: str) -> None:
    query = urlencode({"Action": "AssumeRoleWithWebIdentity", "RoleArn": WEB, "WebIdentityToken": "a.b.c"})
    answer = send(aws_account, method, f"{path}?{query}", {})

    assert answer.status == 403
    assert aws_account.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/evidence/capture?Action=ListBuckets", {}),
        ("/evidence/capture?%41ction=ListBuckets", {}),
        ("/evidence/capture", {"X-Amz-Target": "a.ListBuckets"}),
        ("/evidence/capture", {"Action": "ListBuckets"}),
        ("/evidence/capture", {"tagging": "1"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.usefixtures("bucket")
def test_fails_where_a_request_to_s3_also_says_what_is_allowed(
    aws_account: Account, worker: Any, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = ask(aws_account, "s3", method, path, headers, keys=worker)

    assert (answer.status, b"AccessDenied" in answer.body) == (403, True)
    assert aws_account.recorder.records()[-1].call.action == f"{method.title()}Object"
    assert aws_account.client("s3").get_object(Bucket="evidence", Key="capture")["Body"].read() == b"packets"


@pytest.mark.parametrize("query", ["acl&policy", "cors&policy", "policy&acl", "versioning&lifecycle"])
@pytest.mark.usefixtures("bucket")
def test_fails_where_a_query_names_two_parts_of_a_bucket(aws_account: Account, query: str) -> None:
    answer = ask(aws_account, "s3", "GET", f"/evidence?{query}")

    assert answer.status == 400
    all_ = ", ".join(sorted(query.split("&")))
    assert f"<Code>InvalidArgument</Code><Message>Conflicting query string parameters: {all_}<" in answer.body.decode()


@pytest.mark.parametrize(
    ("service", "path", "headers", "body"),
    [
        ("ec2", "/", FORM | {"X-Amz-Target": "a.DescribeVpcs"}, b"Action=CreateVpc&CidrBlock=10.0.0.0/16"),
        ("ec2", "/?Action=DescribeVpcs", FORM, b"Action=CreateVpc&CidrBlock=10.0.0.0/16"),
        (
            "ec2",
            "/?Action=DescribeVpcs",
            {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"},
            b"Action=CreateVpc&CidrBlock=10.0.0.0/16",
        ),
        ("iam", "/", FORM | {"X-Amz-Target": "a.GetUser"}, b"Action=CreateUser&UserName=stranger&Version=2010-05-08"),
        (
            "states",
            "/?Action=CreateActivity",
            JSON | {"X-Amz-Target": "AWSStepFunctions.ListActivities"},
            b'{"name": "stranger"}',
        ),
        ("sqs", "/?Action=CreateQueue", JSON | {"X-Amz-Target": "AmazonSQS.ListQueues"}, b'{"QueueName": "stranger"}'),
        (
            "sqs",
            "/",
            JSON | {"X-Amz-Target": "AmazonSQS.ListQueues"},
            b'{"QueueNamePrefix": "&Action=CreateQueue&QueueName=stranger&"}',
        ),
        ("sqs", "/", FORM | {"X-Amz-Target": "AmazonSQS.ListQueues"}, b"Action=CreateQueue&QueueName=stranger"),
    ],
)
def test_fails_where_a_call_is_named_twice_and_one_name_is_allowed(
    aws_account: Account, worker: Any, service: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    vpcs = len(aws_account.client("ec2").describe_vpcs()["Vpcs"])
    answer = ask(aws_account, service, "POST", path, headers, body, keys=worker)
    record = aws_account.recorder.records()[-1]

    assert (answer.status < 300) == record.call.action.startswith("List")
    assert len(aws_account.client("ec2").describe_vpcs()["Vpcs"]) == vpcs
    assert len(aws_account.client("iam").list_users()["Users"]) == 1
    assert aws_account.client("sqs").list_queues().get("QueueUrls", []) == []
    assert aws_account.client("stepfunctions").list_activities()["activities"] == []


def test_a_body_of_another_type_is_no_form(aws_account: Account) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="Action"\r\n\r\nDescribeVpcs\r\n--B--\r\n'
    answer = ask(aws_account, "ec2", "POST", "/", {"Content-Type": "multipart/form-data; boundary=B"}, part)

    assert (answer.status, b"MissingAction" in answer.body) == (400, True)


def test_parameters_of_the_path_are_nowhere_else(aws_account: Account) -> None:
    answer = ask(
        aws_account,
        "lambda",
        "GET",
        "/2015-03-31/functions/one/policy?FunctionName=other&functionName=other",
        {"FunctionName": "other", "Action": "DeleteFunction"},
    )
    record = aws_account.recorder.records()[-1]

    assert (record.call.action, record.call.parameters) == ("GetPolicy", {"FunctionName": "one"})
    assert b"function:one" in answer.body


def test_the_region_is_that_of_the_signature(aws_account: Account) -> None:
    headers = JSON | {"X-Amz-Target": "AmazonSQS.CreateQueue", "User-Agent": "x region/us-west-2"}
    ask(aws_account, "sqs", "POST", "/?x=.us-west-2.amazonaws.com", headers, b'{"QueueName": "work"}')

    assert len(aws_account.client("sqs").list_queues()["QueueUrls"]) == 1
    assert "QueueUrls" not in aws_account.client("sqs", region="us-west-2").list_queues()


def test_a_compressed_document_is_read(aws_account: Account) -> None:
    headers = JSON | {"X-Amz-Target": "AmazonSQS.CreateQueue", "Content-Encoding": "gzip"}
    answer = ask(aws_account, "sqs", "POST", "/", headers, gzip.compress(b'{"QueueName": "work"}'))

    assert answer.status == 200
    assert aws_account.recorder.records()[-1].call.parameters == {"QueueName": "work"}


@pytest.mark.parametrize("body", [b"not compressed", gzip.compress(b"\0" * (65 << 20))])
def test_fails_where_a_compressed_document_is_none_or_too_long(aws_account: Account, body: bytes) -> None:
    headers = JSON | {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Encoding": "gzip"}
    answer = ask(aws_account, "sqs", "POST", "/", headers, body)

    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize("body", [b"\xff", b"[]", b"5", b"{", b"[" * 100_000, b'{"a":' * 200 + b"1" + b"}" * 200])
@pytest.mark.parametrize(
    ("service", "path", "headers"),
    [
        ("sqs", "/", JSON | {"X-Amz-Target": "AmazonSQS.ListQueues"}),
        ("dynamodb", "/", JSON | {"X-Amz-Target": "DynamoDB_20120810.ListTables"}),
        ("lambda", "/2015-03-31/functions", {"Content-Type": "application/json"}),
        ("scheduler", "/schedules/work", {"Content-Type": "application/json"}),
    ],
)
def test_fails_where_a_body_is_no_document(
    aws_account: Account, service: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = ask(aws_account, service, "POST", path, headers, body)

    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize("body", [b"garbage", b"\xff\xfe", b"<a>", b"<a/>", b"<a>" * 10_000])
@pytest.mark.parametrize("part", ["lifecycle", "cors", "tagging", "versioning", "encryption", "publicAccessBlock"])
@pytest.mark.usefixtures("bucket")
def test_fails_where_a_body_is_not_the_document_of_the_call(aws_account: Account, part: str, body: bytes) -> None:
    answer = ask(aws_account, "s3", "PUT", f"/evidence?{part}", {}, body)

    assert (answer.status, b"<Code>MalformedXML</Code>" in answer.body) == (400, True)


class TestScope:
    @pytest.mark.parametrize("service", ["s3xyz", "s3-accelerate", "S3", "eventbridge", "Events", "made-up"])
    @pytest.mark.usefixtures("bucket")
    def test_fails_where_the_service_is_none(self, aws_account: Account, service: str) -> None:
        event = json.dumps({"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}).encode()
        answer = ask(aws_account, service, "GET", "/evidence/capture")
        other = ask(aws_account, service, "POST", "/", JSON | {"X-Amz-Target": "AWSEvents.PutEvents"}, event)

        assert (answer.status, b"AuthorizationHeaderMalformed" in answer.body) == (400, True)
        assert (other.status, json.loads(other.body)["__type"]) == (400, "InvalidSignatureException")
        assert f"correct service, not '{service}'" in answer.body.decode()

    @pytest.mark.parametrize("service", ["s3-outposts", "s3files", "execute-api", "lambda"])
    @pytest.mark.usefixtures("bucket")
    def test_fails_where_another_service_would_answer(self, aws_account: Account, service: str) -> None:
        answer = ask(aws_account, service, "GET", "/evidence/capture")

        assert answer.status in (400, 404)
        assert b"packets" not in answer.body

    @pytest.mark.parametrize("region", ["mars-1", "us-east-1a", "aws-global", "x"])
    def test_fails_where_the_region_is_none(self, aws_account: Account, region: str) -> None:
        form = b"Action=DescribeVpcs&Version=2016-11-15"
        ec2 = ask(aws_account, "ec2", "POST", "/", FORM, form, region=region)
        sts = ask(aws_account, "sts", "POST", "/", FORM, b"Action=GetCallerIdentity", region=region)
        s3 = ask(aws_account, "s3", "GET", "/", region=region)

        assert (ec2.status, b"AuthFailure" in ec2.body) == (401, True)
        assert (sts.status, b"SignatureDoesNotMatch" in sts.body) == (403, True)
        assert (s3.status, b"AuthorizationHeaderMalformed" in s3.body) == (400, True)

    @pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "us-east-1", "ap-south-2"])
    def test_other_partitions_and_regions_are_some(self, aws_account: Account, region: str) -> None:
        assert aws_account.client("ec2", region=region).describe_vpcs()["Vpcs"]

    @pytest.mark.parametrize(
        "service", ["ec2", "states", "monitoring", "tagging", "elasticloadbalancing", "ses", "es", "geo"]
    )
    def test_the_models_of_a_service_are_signed_for_it(self, service: str) -> None:
        assert {signing_name(model) for model in models_of(service)} == {service}


# What moto calls, where it is not the name of the operation.
OTHERWISE: Final = {
    "GetBucketTagging": "get_bucket_tags",
    "GetBucketLifecycleConfiguration": "get_bucket_lifecycle",
    "GetBucketNotificationConfiguration": "get_bucket_notification",
    "ListBuckets": "all_buckets",
    "DeleteObjects": "_bucket_response_delete_keys",
    "PutBucketLifecycleConfiguration": "put_bucket_lifecycle",
}
REQUIRED: Final = {"x-amz-copy-source": "/evidence/capture", "x-amz-object-attributes": "ETag"}
VALUES: Final = {"uploadId": "u", "partNumber": "1", "id": "1"}


@pytest.mark.parametrize("name", sorted(OF_S3))
@pytest.mark.usefixtures("bucket")
def test_moto_does_what_was_read_of_a_request_to_s3(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from moto.s3.models import S3Backend
    from moto.s3.responses import S3Response

    wanted = OTHERWISE.get(name, camelcase_to_underscores(name))
    done: list[str] = []
    others = {OTHERWISE.get(one, camelcase_to_underscores(one)) for one in OF_S3}
    for owner in (S3Backend, S3Response):
        for method in others & set(vars(owner)):
            if owner is S3Response or not re.match("get_|list_|head_", method):
                monkeypatch.setattr(owner, method, noting(done, method, vars(owner)[method]))
    operation = operation_named("s3", name)
    path = operation.http_trait.path.replace("{Bucket}", "evidence").replace("{Key+}", "capture")
    arguments = {one: value or VALUES.get(one, "") for one, value in operation.http_trait.query_args.items()}
    shape = operation.input_shape
    needed = shape.required_query_args if shape else ()
    arguments = {one: VALUES.get(one, "1") for one in needed} | arguments
    headers = {one: REQUIRED[one.lower()] for one in (shape.required_headers if shape else ())}

    ask(aws_account, "s3", operation.http_trait.method, f"{path}?{urlencode(arguments)}", headers)

    assert aws_account.recorder.records()[-1].call.action == name
    assert set(done[:1]) <= {wanted}


@pytest.mark.parametrize("query", ["metrics&id=1", "analytics&id=1", "intelligent-tiering&id=1", "requestPayment"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_fails_where_moto_would_do_something_else(aws_account: Account, bucket: Any, method: str, query: str) -> None:
    answer = ask(aws_account, "s3", method, f"/evidence?{query}")

    assert answer.status in (501, 405, 400)
    assert bucket.head_bucket(Bucket="evidence")


def noting(done: list[str], name: str, original: Any) -> Any:
    """Return a method that also notes that it was called."""

    def noted(*args: Any, **given: Any) -> Any:
        done.append(name)
        return original(*args, **given)

    return noted


ACTIONS: Final = {
    "ec2": ("DescribeVpcs", "CreateVpc", "DeleteVpc"),
    "iam": ("ListUsers", "CreateUser", "DeleteUser"),
    "sqs": ("ListQueues", "CreateQueue", "DeleteQueue"),
    "dynamodb": ("ListTables", "DeleteTable", "DescribeTable"),
    "secretsmanager": ("ListSecrets", "GetSecretValue", "DeleteSecret"),
    "lambda": ("ListFunctions", "GetFunction", "DeleteFunction"),
    "scheduler": ("ListSchedules", "GetSchedule", "DeleteSchedule"),
}
PREFIXES: Final = {"sqs": "AmazonSQS", "dynamodb": "DynamoDB_20120810", "secretsmanager": "secretsmanager"}
PATHS: Final = {"lambda": "/2015-03-31/functions/work", "scheduler": "/schedules/work"}
TYPES: Final = (
    "application/x-www-form-urlencoded",
    "Application/X-WWW-Form-URLEncoded; charset=utf-8",
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1; charset=utf-8",
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=B",
    "",
)


@pytest.fixture
def done(aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """What moto does, and what IAM is asked about, call by call."""
    from moto.awslambda.responses import LambdaResponse
    from moto.dynamodb.responses import DynamoHandler
    from moto.ec2.responses import EC2Response
    from moto.iam.responses import IamResponse
    from moto.scheduler.responses import EventBridgeSchedulerResponse
    from moto.secretsmanager.responses import SecretsManagerResponse
    from moto.sqs.responses import SQSResponse

    owners: dict[str, Any] = {
        "ec2": EC2Response,
        "iam": IamResponse,
        "sqs": SQSResponse,
        "dynamodb": DynamoHandler,
        "secretsmanager": SecretsManagerResponse,
        "lambda": LambdaResponse,
        "scheduler": EventBridgeSchedulerResponse,
    }
    executed: list[str] = []
    asked: list[str] = []
    for service, owner in owners.items():
        # Installs what replaces methods.
        extend(service)
        for action in ACTIONS[service]:
            name = camelcase_to_underscores(action)
            monkeypatch.setattr(owner, name, noting(executed, action, getattr(owner, name)), raising=True)

    def noted(call: Any, *args: Any) -> Any:
        asked.append(call.action)
        return refusal_of(call, *args)

    monkeypatch.setattr("strictmoto.front.front.refusal_of", noted)
    return executed, asked


def test_what_moto_does_is_noted(aws_account: Account, done: tuple[list[str], list[str]]) -> None:
    aws_account.client("ec2").describe_vpcs()
    aws_account.client("sqs").list_queues()
    aws_account.client("lambda").list_functions()

    assert done == (["DescribeVpcs", "ListQueues", "ListFunctions"], ["DescribeVpcs", "ListQueues", "ListFunctions"])


@hypothesis.settings(
    max_examples=150, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(data=st.data())
def test_moto_does_what_iam_was_asked_about_and_what_is_recorded(
    aws_account: Account, done: tuple[list[str], list[str]], data: st.DataObject
) -> None:
    service = data.draw(st.sampled_from(sorted(ACTIONS)))
    action = st.sampled_from((*ACTIONS[service], *(one for names in ACTIONS.values() for one in names)))
    named = st.none() | action
    headers = {}
    if target := data.draw(named):
        headers["X-Amz-Target"] = f"{data.draw(st.sampled_from((PREFIXES.get(service, 'a'), 'a')))}.{target}"
    if content_type := data.draw(st.sampled_from(TYPES)):
        headers["Content-Type"] = content_type
    if said := data.draw(named):
        headers["Action"] = said
    query = {"Action": one} if (one := data.draw(named)) else {}
    inside = data.draw(named)
    body = data.draw(
        st.sampled_from(
            (
                urlencode({"Action": inside, "UserName": "a", "VpcId": "vpc-1"}).encode() if inside else b"",
                json.dumps({"SecretId": "a", "x": f"&Action={inside}&SecretId=b&"}).encode(),
                f'--B\r\nContent-Disposition: form-data; name="Action"\r\n\r\n{inside}\r\n--B--\r\n'.encode(),
            )
        )
    )
    method = data.draw(st.sampled_from(("GET", "POST", "PUT", "DELETE")))
    path = PATHS.get(service, "/") + (f"?{urlencode(query)}" if query else "")
    executed, asked = done
    executed.clear()
    asked.clear()
    aws_account.recorder.clear()

    ask(aws_account, service, method, path, headers, body)

    [record] = aws_account.recorder.records()
    assert asked in ([], [record.call.action])
    assert executed in ([], [record.call.action])
    assert not executed or asked
