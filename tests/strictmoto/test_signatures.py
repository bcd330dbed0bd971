"""Who may call the account: only who signs with a key of it, as AWS asks."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import boto3
import botocore.auth
import hypothesis
import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import strategies as st

from strictmoto.account import REGION, Account
from tests.strictmoto.signing import keys_of

# By protocol: ec2, query, JSON 1.0 and 1.1, rest-json, rest-xml of S3 and of others.
CALLS = {
    "ec2": "describe_vpcs",
    "sts": "get_caller_identity",
    "cloudformation": "list_stacks",
    "dynamodb": "list_tables",
    "logs": "describe_log_groups",
    "lambda": "list_functions",
    "apigatewayv2": "get_apis",
    "s3": "list_buckets",
    "route53": "list_hosted_zones",
}
JSON = ("dynamodb", "logs", "lambda", "apigatewayv2")
INVALID = "The security token included in the request is invalid."


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes


def send(account: Account, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    """Send a request as it is: no library adds to it."""
    address = urlsplit(account.endpoint)
    connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 80), timeout=30)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        named = {"Host": address.netloc, **headers}
        for name, value in named.items():
            connection.putheader(name, value)
        if "Content-Length" not in named:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        found = connection.getresponse()
        return Answer(found.status, found.headers, found.read())
    finally:
        connection.close()


def refused(account: Account, service: str, **options: Any) -> tuple[int, str, str]:
    """Status, code and text with which a call is refused."""
    config = Config(retries={"total_max_attempts": 1}, proxies={}, **options.pop("config", {}))
    given = {**account.credentials.as_arguments(), **options}
    client = boto3.client(service, region_name=REGION, endpoint_url=account.endpoint, config=config, **given)
    with pytest.raises(ClientError) as error:
        getattr(client, CALLS[service])()
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def session_of(account: Account, name: str = "analyst") -> Any:
    sts = account.client("sts")
    found = sts.assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{name}", RoleSessionName="ada")["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


def at(moment: datetime.timedelta) -> Any:
    return mock.patch.object(
        botocore.auth, "get_current_datetime", return_value=datetime.datetime.now(datetime.UTC) + moment
    )


def bucket_of(account: Account) -> Any:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


class TestKeys:
    def test_when_an_account_is_made_then_its_key_is_like_no_others(self) -> None:
        made = [Account().credentials for _ in range(3)]
        assert len({key.access_key_id for key in made}) == len({key.secret_access_key for key in made}) == 3
        for key in made:
            assert key.access_key_id.startswith("AKIA")
            assert (len(key.access_key_id), len(key.secret_access_key)) == (20, 40)
            assert key.secret_access_key not in repr(key)

    @pytest.mark.parametrize("service", CALLS)
    def test_when_root_signs_then_every_protocol_answers(self, aws_account: Account, service: str) -> None:
        getattr(aws_account.client(service), CALLS[service])()
        [record] = aws_account.recorder.records()
        assert (record.status, record.principal) == (200, "arn:aws:iam::123456789012:root")

    @pytest.mark.parametrize("service", CALLS)
    @pytest.mark.parametrize(
        "wrong",
        [
            {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"},
            {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"},
            {"aws_secret_access_key": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"},
            {"aws_session_token": "made-up"},
            {"config": {"signature_version": UNSIGNED}},
        ],
        ids=["moto's", "key", "secret", "token", "none"],
    )
    def test_fails_when_a_program_does_not_have_the_credentials(
        self, aws_account: Account, service: str, wrong: dict[str, Any]
    ) -> None:
        status, code, _ = refused(aws_account, service, **wrong)
        assert status in (400, 401, 403)
        assert code
        assert aws_account.recorder.records() == []

    @pytest.mark.parametrize(
        ("service", "wrong", "expected"),
        [
            ("ec2", "key", (401, "AuthFailure", "AWS was not able to validate the provided access credentials")),
            ("ec2", "secret", (401, "AuthFailure", "AWS was not able to validate the provided access credentials")),
            ("ec2", "none", (403, "MissingAuthenticationToken", "Request is missing Authentication Token")),
            ("sts", "key", (403, "InvalidClientTokenId", INVALID)),
            ("sts", "secret", (403, "SignatureDoesNotMatch", "The request signature we calculated does not match")),
            ("sts", "none", (403, "MissingAuthenticationToken", "Request is missing Authentication Token")),
            ("dynamodb", "key", (400, "UnrecognizedClientException", INVALID)),
            ("dynamodb", "secret", (400, "InvalidSignatureException", "The request signature we calculated")),
            ("dynamodb", "none", (400, "MissingAuthenticationTokenException", "Request is missing")),
            ("lambda", "key", (403, "UnrecognizedClientException", INVALID)),
            ("lambda", "secret", (403, "InvalidSignatureException", "The request signature we calculated")),
            ("lambda", "none", (403, "MissingAuthenticationTokenException", "Request is missing")),
            ("s3", "key", (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist")),
            ("s3", "secret", (403, "SignatureDoesNotMatch", "The request signature we calculated")),
            ("s3", "none", (403, "AccessDenied", "Access Denied")),
            ("route53", "key", (403, "InvalidClientTokenId", INVALID)),
        ],
    )
    def test_fails_when_credentials_are_wrong_with_the_services_own_error(
        self, aws_account: Account, service: str, wrong: str, expected: tuple[int, str, str]
    ) -> None:
        ways: dict[str, dict[str, Any]] = {
            "key": {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"},
            "secret": {"aws_secret_access_key": "wrong"},
            "none": {"config": {"signature_version": UNSIGNED}},
        }
        status, code, text = refused(aws_account, service, **ways[wrong])
        assert (status, code) == expected[:2]
        assert text.startswith(expected[2])

    def test_when_a_user_has_a_key_then_it_signs_until_it_is_inactive(self, aws_account: Account) -> None:
        iam = aws_account.client("iam")
        iam.create_user(UserName="ada")
        made = iam.create_access_key(UserName="ada")["AccessKey"]
        keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
        ec2 = boto3.client("ec2", region_name=REGION, endpoint_url=aws_account.endpoint, **keys)
        ec2.describe_vpcs()
        [record] = aws_account.recorder.records(service="ec2")
        assert record.principal == "arn:aws:iam::123456789012:user/ada"
        assert refused(aws_account, "sts", **{**keys, "aws_secret_access_key": "x"})[1] == "SignatureDoesNotMatch"
        iam.update_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"], Status="Inactive")
        assert refused(aws_account, "sts", **keys)[1] == "InvalidClientTokenId"
        iam.update_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"], Status="Active")
        ec2.describe_vpcs()
        iam.delete_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"])
        assert refused(aws_account, "sts", **keys)[1] == "InvalidClientTokenId"

    @pytest.mark.parametrize("service", CALLS)
    def test_when_a_role_is_assumed_then_its_session_signs(self, aws_account: Account, service: str) -> None:
        keys = session_of(aws_account)
        aws_account.recorder.clear()
        client = boto3.client(service, region_name=REGION, endpoint_url=aws_account.endpoint, **keys)
        getattr(client, CALLS[service])()
        [record] = aws_account.recorder.records()
        assert record.principal == "arn:aws:iam::123456789012:role/analyst"

    @pytest.mark.parametrize(
        ("service", "code"),
        [
            ("ec2", "AuthFailure"),
            ("sts", "InvalidClientTokenId"),
            ("lambda", "UnrecognizedClientException"),
            ("s3", "InvalidToken"),
        ],
    )
    @pytest.mark.parametrize("token", [None, "another"])
    def test_fails_when_the_session_token_is_wrong(
        self, aws_account: Account, service: str, code: str, token: str | None
    ) -> None:
        keys = {**session_of(aws_account), "aws_session_token": token}
        assert refused(aws_account, service, **keys)[1] == code

    @pytest.mark.parametrize(
        ("service", "expected"),
        [
            ("ec2", (400, "RequestExpired")),
            ("sts", (403, "ExpiredToken")),
            ("dynamodb", (400, "ExpiredTokenException")),
            ("lambda", (403, "ExpiredTokenException")),
            ("s3", (400, "ExpiredToken")),
        ],
    )
    def test_fails_when_the_session_has_ended(
        self, aws_account: Account, service: str, expected: tuple[int, str]
    ) -> None:
        from moto.sts.models import sts_backends

        keys = session_of(aws_account)
        [session] = sts_backends["123456789012"]["aws"].assumed_roles
        session.expiration -= datetime.timedelta(hours=2)
        assert refused(aws_account, service, **keys)[:2] == expected

    def test_when_the_account_is_reset_then_sessions_end(self, aws_account: Account) -> None:
        keys = session_of(aws_account)
        boto3.client("sts", region_name=REGION, endpoint_url=aws_account.endpoint, **keys).get_caller_identity()
        aws_account.reset()
        assert refused(aws_account, "sts", **keys)[1] == "InvalidClientTokenId"

    def test_when_a_header_names_another_account_then_the_key_decides(self, aws_account: Account) -> None:
        ec2 = boto3.client(
            "ec2",
            region_name=REGION,
            endpoint_url=aws_account.endpoint,
            **aws_account.credentials.as_arguments(),
        )
        ec2.meta.events.register(
            "before-call", lambda params, **_: params["headers"].update({"x-moto-account-id": "111122223333"})
        )
        vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]
        assert vpc["OwnerId"] == "123456789012"


class TestTime:
    @pytest.mark.parametrize(
        ("service", "minutes", "expected"),
        [
            ("sts", -6, (403, "SignatureDoesNotMatch", "Signature expired: ")),
            ("sts", 6, (403, "SignatureDoesNotMatch", "Signature not yet current: ")),
            ("ec2", -6, (400, "RequestExpired", "Request has expired.")),
            ("ec2", 6, (401, "AuthFailure", "")),
            ("dynamodb", -6, (400, "InvalidSignatureException", "Signature expired: ")),
            ("lambda", -6, (403, "InvalidSignatureException", "Signature expired: ")),
            ("s3", -16, (403, "RequestTimeTooSkewed", "The difference between the request time and")),
            ("s3", 16, (403, "RequestTimeTooSkewed", "The difference between the request time and")),
        ],
    )
    def test_fails_when_it_was_signed_at_another_time(
        self, aws_account: Account, service: str, minutes: int, expected: tuple[int, str, str]
    ) -> None:
        with at(datetime.timedelta(minutes=minutes)):
            status, code, text = refused(aws_account, service)
        assert (status, code) == expected[:2]
        assert text.startswith(expected[2])

    @pytest.mark.parametrize(("service", "minutes"), [("sts", -4), ("sts", 4), ("s3", -14), ("s3", 14)])
    def test_when_clocks_differ_a_little_then_it_is_answered(
        self, aws_account: Account, service: str, minutes: int
    ) -> None:
        with at(datetime.timedelta(minutes=minutes)):
            getattr(aws_account.client(service), CALLS[service])()


class TestPresigned:
    def url(self, account: Account, operation: str, expires: int = 60, **options: Any) -> str:
        s3 = boto3.client(
            "s3",
            region_name=REGION,
            endpoint_url=account.endpoint,
            config=Config(signature_version="s3v4"),
            **account.credentials.as_arguments(),
            **options,
        )
        return str(s3.generate_presigned_url(operation, {"Bucket": "evidence", "Key": "a b/ü.txt"}, ExpiresIn=expires))

    def send(self, account: Account, url: str, method: str = "GET", body: bytes = b"") -> Answer:
        address = urlsplit(url)
        return send(account, method, f"{address.path}?{address.query}", {}, body)

    def test_when_urls_are_presigned_then_they_put_and_get(self, aws_account: Account) -> None:
        bucket_of(aws_account)
        put = self.send(aws_account, self.url(aws_account, "put_object"), "PUT", b"packets")
        got = self.send(aws_account, self.url(aws_account, "get_object"))
        assert (put.status, got.status, got.body) == (200, 200, b"packets")
        _, *records = aws_account.recorder.records(service="s3")
        assert [(record.call.action, record.principal) for record in records] == [
            ("PutObject", "arn:aws:iam::123456789012:root"),
            ("GetObject", "arn:aws:iam::123456789012:root"),
        ]
        assert all("X-Amz-Signature" not in record.call.parameters for record in records)

    def test_when_a_role_of_another_account_presigns_then_it_is_its_call(self, aws_account: Account) -> None:
        sts = aws_account.client("sts", role_arn="arn:aws:iam::111122223333:role/reader")
        url = sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")
        answer = self.send(aws_account, url)
        assert answer.status == 200
        assert b"<Account>111122223333</Account>" in answer.body
        assert aws_account.recorder.records()[-1].principal == "arn:aws:iam::111122223333:role/reader"

    def test_fails_when_the_url_has_expired(self, aws_account: Account) -> None:
        with at(datetime.timedelta(seconds=-90)):
            url = self.url(aws_account, "get_object")
        answer = self.send(aws_account, url)
        assert answer.status == 403
        assert b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in answer.body

    @pytest.mark.parametrize("expires", [0, 604_801])
    def test_fails_when_it_is_good_for_no_time_or_longer_than_a_week(self, aws_account: Account, expires: int) -> None:
        answer = self.send(aws_account, self.url(aws_account, "get_object", expires))
        assert (answer.status, b"<Code>AuthorizationQueryParametersError</Code>" in answer.body) == (400, True)

    @pytest.mark.parametrize(
        ("written", "instead"),
        [
            ("X-Amz-Expires=60", "X-Amz-Expires=6000"),
            ("evidence", "payments"),
            ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host&versionId=1"),
        ],
    )
    def test_fails_when_the_url_is_changed(self, aws_account: Account, written: str, instead: str) -> None:
        url = self.url(aws_account, "get_object").replace(written, instead)
        answer = self.send(aws_account, url)
        assert (answer.status, b"<Code>SignatureDoesNotMatch</Code>" in answer.body) == (403, True)

    def test_fails_when_it_is_used_for_another_method(self, aws_account: Account) -> None:
        url = self.url(aws_account, "get_object")
        assert self.send(aws_account, url, "DELETE").status == 403

    def test_fails_when_it_is_signed_with_version_two(self, aws_account: Account) -> None:
        config, keys = Config(signature_version="s3"), aws_account.credentials.as_arguments()
        client = boto3.client("s3", region_name=REGION, endpoint_url=aws_account.endpoint, config=config, **keys)
        url = client.generate_presigned_url("get_object", {"Bucket": "evidence", "Key": "a"})
        assert "AWSAccessKeyId=" in url
        answer = self.send(aws_account, url)
        assert (answer.status, b"Please use AWS4-HMAC-SHA256." in answer.body) == (400, True)

    @pytest.mark.parametrize("kind", ["AWS KEY:c2lnbmF0dXJl", "AWS4-ECDSA-P256-SHA256 Credential=KEY/20260101/s3/x"])
    def test_fails_when_it_is_signed_in_another_way(self, aws_account: Account, kind: str) -> None:
        header = {"Authorization": kind.replace("KEY", aws_account.credentials.access_key_id)}
        answer = send(aws_account, "GET", "/", header)
        assert (answer.status, b"Please use AWS4-HMAC-SHA256." in answer.body) == (400, True)

    def test_fails_when_the_hash_of_the_payload_is_missing_for_s3(self, aws_account: Account) -> None:
        signing = AWSRequest("GET", f"{aws_account.endpoint}/")
        SigV4Auth(keys_of(aws_account), "s3", REGION).add_auth(signing)
        answer = send(aws_account, "GET", "/", dict(signing.headers.items()))
        assert (answer.status, b"<Code>InvalidRequest</Code>" in answer.body) == (400, True)


class TestPayloads:
    """What S3's clients send: hashes, no hashes, chunks with and without signatures, trailers."""

    BODY = bytes(range(256)) * 300

    def put(self, account: Account, kind: str, change: Callable[[bytes], bytes] = bytes) -> Answer:
        """Put an object as SDKs do; `change` what is sent after signing."""
        keys = keys_of(account)
        target = f"{account.endpoint}/evidence/capture.pcap"
        headers = {"x-amz-content-sha256": kind}
        chunked = kind.startswith("STREAMING")
        if chunked:
            headers |= {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(self.BODY))}
        checksum = base64.b64encode(hashlib.sha256(self.BODY).digest()).decode()
        if kind.endswith("-TRAILER"):
            headers["x-amz-trailer"] = "x-amz-checksum-sha256"
        signing = AWSRequest("PUT", target, headers)
        auth = _AsGiven(keys, "s3", REGION)
        auth.add_auth(signing)
        body = self.BODY
        if chunked:
            seed = signing.headers["Authorization"].rpartition("=")[2]
            body = _chunks(keys, signing.context["timestamp"], seed, self.BODY, checksum, kind)
        sent = dict(signing.headers.items())
        return send(account, "PUT", "/evidence/capture.pcap", sent, change(body))

    @pytest.mark.parametrize(
        "kind",
        [
            hashlib.sha256(BODY).hexdigest(),
            "UNSIGNED-PAYLOAD",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        ],
    )
    def test_when_the_payload_is_signed_in_any_way_then_it_is_stored(self, aws_account: Account, kind: str) -> None:
        s3 = bucket_of(aws_account)
        answer = self.put(aws_account, kind)
        assert answer.status == 200, answer.body
        assert s3.get_object(Bucket="evidence", Key="capture.pcap")["Body"].read() == self.BODY

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            (hashlib.sha256(BODY).hexdigest(), "XAmzContentSHA256Mismatch"),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "SignatureDoesNotMatch"),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "SignatureDoesNotMatch"),
        ],
    )
    @pytest.mark.parametrize("position", [1000, 70_000])
    def test_fails_when_the_payload_is_changed(self, aws_account: Account, kind: str, code: str, position: int) -> None:
        bucket_of(aws_account)

        def change(body: bytes) -> bytes:
            return body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]

        answer = self.put(aws_account, kind, change)
        assert f"<Code>{code}</Code>".encode() in answer.body
        assert aws_account.recorder.records(action="PutObject") == []

    @pytest.mark.parametrize(
        "change",
        [
            lambda body: body[:-200],
            lambda body: body.replace(b"chunk-signature=", b"chunk-signature=0", 1),
            lambda body: body.replace(b"x-amz-checksum-sha256:", b"x-amz-checksum-sha256:A"),
            lambda body: body.replace(b"x-amz-checksum-sha256:", b"x-amz-checksum-crc32:"),
            lambda body: b"zz" + body,
        ],
        ids=["cut short", "chunk's signature", "trailer's value", "trailer's name", "no size"],
    )
    def test_fails_when_the_chunks_are_changed(self, aws_account: Account, change: Callable[[bytes], bytes]) -> None:
        bucket_of(aws_account)
        answer = self.put(aws_account, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", change)
        assert answer.status in (400, 403)
        assert aws_account.recorder.records(action="PutObject") == []

    def test_fails_when_the_payload_is_not_signed_where_the_service_asks_for_it(self, aws_account: Account) -> None:
        headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        signing = AWSRequest("POST", f"{aws_account.endpoint}/", headers, b"{}")
        _AsGiven(keys_of(aws_account), "dynamodb", REGION).add_auth(signing)
        answer = send(aws_account, "POST", "/", dict(signing.headers.items()), b"{}")
        assert (answer.status, json.loads(answer.body)["__type"]) == (400, "InvalidSignatureException")


class _AsGiven(S3SigV4Auth):  # type: ignore[misc]
    """Signs with the hash of the payload that the headers say."""

    def payload(self, request: Any) -> str:
        return str(self.given)

    def _modify_request_before_signing(self, request: Any) -> None:
        self.given = request.headers["x-amz-content-sha256"]
        super()._modify_request_before_signing(request)


def _chunks(keys: Any, timestamp: str, seed: str, body: bytes, checksum: str, kind: str) -> bytes:
    """What a body is in chunks of 64 KiB; written out from S3's page on chunked uploads."""
    scope = f"{timestamp[:8]}/{REGION}/s3/aws4_request"
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    empty, sent, previous = hashlib.sha256().hexdigest(), b"", seed
    for position in [*range(0, len(body), 65_536), len(body)]:
        data = body[position : position + 65_536]
        head = f"{len(data):x}"
        if "UNSIGNED" not in kind:
            digest = hashlib.sha256(data).hexdigest()
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", timestamp, scope, previous, empty, digest])
            previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
            head += f";chunk-signature={previous}"
        sent += head.encode() + b"\r\n" + data + (b"\r\n" if data else b"")
    if kind.endswith("-TRAILER"):
        trailer = f"x-amz-checksum-sha256:{checksum}\n"
        sent += trailer.strip().encode() + b"\r\n"
        if "UNSIGNED" not in kind:
            digest = hashlib.sha256(trailer.encode()).hexdigest()
            text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", timestamp, scope, previous, digest])
            signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
            sent += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return sent + b"\r\n"


class TestAnonymous:
    """The calls that AWS takes: tests/strictmoto/iam/test_trust.py has those of STS with IAM enforced."""

    def test_when_aws_takes_a_call_without_a_signature_then_the_account_does(self, aws_account: Account) -> None:
        client = boto3.client("cognito-idp", region_name=REGION, endpoint_url=aws_account.endpoint)
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            client.sign_up(ClientId="none", Username="ada", Password="Analyst-1!")
        [record] = aws_account.recorder.records()
        assert (record.call.action, record.call.access_key, record.principal) == ("SignUp", "", "")

    def test_fails_when_nothing_would_check_the_token_that_a_program_shows(self, aws_account: Account) -> None:
        sts = boto3.client("sts", region_name=REGION, endpoint_url=aws_account.endpoint)
        with pytest.raises(ClientError, match="MissingAuthenticationToken"):
            sts.assume_role_with_web_identity(
                RoleArn="arn:aws:iam::123456789012:role/ci", RoleSessionName="ci", WebIdentityToken="token.of.issuer"
            )
        assert aws_account.recorder.records() == []

    @pytest.mark.parametrize("path", ["/evidence/a.txt", "/evidence", "/2015-03-31/functions", "/v2/apis"])
    @pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"])
    def test_fails_when_a_request_bears_no_signature(self, aws_account: Account, method: str, path: str) -> None:
        answer = send(aws_account, method, path, {})
        assert answer.status == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


class TestControl:
    """The account's own API, for other processes."""

    def test_fails_when_its_own_api_is_asked_without_the_credentials(self, aws_account: Account) -> None:
        url = f"{aws_account.endpoint}/strictmoto/faults"
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(url, data=b'{"action": "*", "kind": "throttled", "call": 0}')
        with error.value:
            assert error.value.code == 403
        aws_account.client("sts").get_caller_identity()

    def test_fails_when_a_role_asks_the_accounts_own_api(self, aws_account: Account) -> None:
        keys = Credentials(*session_of(aws_account).values())
        signing = AWSRequest("GET", f"{aws_account.endpoint}/strictmoto/calls")
        SigV4Auth(keys, "execute-api", REGION).add_auth(signing)
        answer = send(aws_account, "GET", "/strictmoto/calls", dict(signing.headers.items()))
        assert (answer.status, b"only the account's root user" in answer.body) == (403, True)

    @pytest.mark.parametrize(
        "path", ["/moto-api/", "/moto-api/reset", "/moto-api/data.json", "/favicon.ico", "/latest/meta-data/iam/"]
    )
    @pytest.mark.parametrize("signed", [True, False])
    def test_fails_when_motos_own_paths_are_asked_for(self, aws_account: Account, path: str, signed: bool) -> None:
        aws_account.client("ec2").create_vpc(CidrBlock="10.99.0.0/16")
        signing = AWSRequest("POST", f"{aws_account.endpoint}{path}")
        if signed:
            S3SigV4Auth(keys_of(aws_account), "s3", REGION).add_auth(signing)
        assert send(aws_account, "POST", path, dict(signing.headers.items())).status == 403
        assert len(aws_account.client("ec2").describe_vpcs()["Vpcs"]) == 2


@pytest.fixture
def a_signed_request(aws_account: Account) -> tuple[str, dict[str, str], bytes]:
    body = b"Action=DescribeVpcs&Version=2016-11-15&MaxResults=5"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    signing = AWSRequest("POST", f"{aws_account.endpoint}/?a=1", headers, body)
    SigV4Auth(keys_of(aws_account), "ec2", REGION).add_auth(signing)
    return "/?a=1", dict(signing.headers.items()), body


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(data=st.data())
def test_fails_when_anything_of_a_signed_request_is_changed(
    aws_account: Account, a_signed_request: tuple[str, dict[str, str], bytes], data: st.DataObject
) -> None:
    target, headers, body = a_signed_request
    kind = data.draw(st.sampled_from(["target", "body", "header", "drop", "add", "method"]))
    method = "POST"
    if kind == "target":
        target += data.draw(st.sampled_from(["&b=2", "#x", "&", "0", "%20", ";"]))
    elif kind == "body":
        position = data.draw(st.integers(0, len(body) - 1))
        body = body[:position] + bytes([body[position] ^ data.draw(st.integers(1, 255))]) + body[position + 1 :]
    elif kind == "add":
        headers = {**headers, data.draw(st.sampled_from(["X-Amz-Target", "X-Amz-Security-Token", "x-amz-a"])): "x"}
    elif kind == "method":
        method = data.draw(st.sampled_from(["GET", "PUT", "DELETE", "PATCH"]))
    else:
        name = data.draw(st.sampled_from(sorted(headers)))
        if kind == "drop":
            headers = {key: value for key, value in headers.items() if key != name}
        else:
            letters = st.characters(min_codepoint=33, max_codepoint=126)
            position = data.draw(st.integers(0, len(headers[name]) - 1))
            changed = headers[name][:position] + data.draw(letters) + headers[name][position + 1 :]
            hypothesis.assume(changed != headers[name])
            headers = {**headers, name: changed}
    answer = send(aws_account, method, target, headers, body)
    assert answer.status in (400, 401, 403), (kind, answer.body)
    assert aws_account.recorder.records() == []


def test_when_a_signed_request_is_sent_as_it_is_then_it_is_answered(
    aws_account: Account, a_signed_request: tuple[str, dict[str, str], bytes]
) -> None:
    target, headers, body = a_signed_request
    assert send(aws_account, "POST", target, headers, body).status == 200


class TestUserSessions:
    """GetSessionToken, GetFederationToken and GetCallerIdentity, which say and give what moto makes up."""

    def user(self, account: Account) -> dict[str, str]:
        iam = account.client("iam")
        iam.create_user(UserName="ada")
        made = iam.create_access_key(UserName="ada")["AccessKey"]
        return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}

    def sts(self, account: Account, keys: dict[str, str]) -> Any:
        return boto3.client("sts", region_name=REGION, endpoint_url=account.endpoint, **keys)

    def keys(self, answer: Any) -> dict[str, str]:
        found = answer["Credentials"]
        return {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }

    def test_when_root_asks_who_it_is_then_it_is_root(self, aws_account: Account) -> None:
        found = aws_account.client("sts").get_caller_identity()
        assert (found["Arn"], found["UserId"]) == ("arn:aws:iam::123456789012:root", "123456789012")
        china = aws_account.client("sts", region="cn-north-1").get_caller_identity()
        assert china["Arn"] == "arn:aws-cn:iam::123456789012:root"

    @pytest.mark.parametrize("of_root", [True, False])
    def test_when_a_session_token_is_got_then_it_signs_for_the_user(self, aws_account: Account, of_root: bool) -> None:
        keys = aws_account.credentials.as_arguments() if of_root else self.user(aws_account)
        session = self.keys(self.sts(aws_account, keys).get_session_token())
        found = self.sts(aws_account, session).get_caller_identity()
        name = "root" if of_root else "user/ada"
        assert found["Arn"] == f"arn:aws:iam::123456789012:{name}"
        assert aws_account.recorder.records()[-1].principal == f"arn:aws:iam::123456789012:{name}"
        without = {**session, "aws_session_token": None}
        assert refused(aws_account, "sts", **without)[1] == "InvalidClientTokenId"
        with pytest.raises(ClientError, match="Cannot call GetSessionToken with session credentials"):
            self.sts(aws_account, session).get_session_token()

    def test_when_a_federation_token_is_got_then_it_signs_for_the_federated_user(self, aws_account: Account) -> None:
        answer = self.sts(aws_account, self.user(aws_account)).get_federation_token(Name="bob")
        arn = "arn:aws:sts::123456789012:federated-user/bob"
        assert answer["FederatedUser"] == {"Arn": arn, "FederatedUserId": "123456789012:bob"}
        assert self.sts(aws_account, self.keys(answer)).get_caller_identity()["Arn"] == arn
