"""Calls that AWS does not know, and calls and services that the account does not have."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import botocore.parsers
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from strictmoto.account import REGION, Account
from strictmoto.front.refusals import refusal
from tests.strictmoto.signing import keys_of
from tests.strictmoto.test_signatures import Answer, send

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NONE = "strictmoto has no"


def ask(
    account: Account, service: str, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    signing = AWSRequest(method, account.endpoint + path, headers or {}, body)
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys_of(account), service, REGION).add_auth(signing)
    return send(account, method, path, dict(signing.headers.items()), body)


def target(name: str) -> dict[str, str]:
    return {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": name}


class TestRest:
    @pytest.mark.parametrize(
        ("service", "method", "path"),
        [
            ("lambda", "GET", "/nothing"),
            ("lambda", "GET", "/2015-03-31/nothing"),
            ("lambda", "PATCH", "/2015-03-31/functions"),
            ("apigateway", "GET", "/v2/nothing"),
            ("apigateway", "GET", "/nothing"),
            ("scheduler", "GET", "/nothing"),
            ("scheduler", "PATCH", "/schedules"),
            ("ram", "POST", "/nothing"),
            ("xray", "POST", "/nothing"),
            ("guardduty", "GET", "/nothing"),
            ("iot", "GET", "/nothing"),
        ],
    )
    def test_fails_when_a_json_service_has_no_such_path(
        self, aws_account: Account, service: str, method: str, path: str
    ) -> None:
        answer = ask(aws_account, service, method, path)
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/json")
        assert answer.headers["x-amzn-ErrorType"] == "UnknownOperationException"
        assert answer.headers["x-amzn-RequestId"]
        assert json.loads(answer.body)["message"]
        [record] = aws_account.recorder.records()
        assert (record.status, record.error) == (404, "UnknownOperationException")

    @pytest.mark.parametrize("service", ["route53", "cloudfront"])
    def test_fails_when_an_xml_service_has_no_such_path(self, aws_account: Account, service: str) -> None:
        answer = ask(aws_account, service, "GET", "/2013-04-01/nothing")
        found = ET.fromstring(answer.body)
        assert (answer.status, found.tag) == (404, "ErrorResponse")
        assert found.findtext("Error/Code") == "UnknownOperationException"
        assert found.findtext("RequestId") == answer.headers["x-amzn-RequestId"]

    @pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("PATCH", "/evidence/a"), ("PUT", "/")])
    def test_fails_when_s3_has_no_such_method(self, aws_account: Account, method: str, path: str) -> None:
        answer = ask(aws_account, "s3", method, path)
        found = ET.fromstring(answer.body)
        assert (answer.status, found.tag, found.findtext("Code")) == (405, "Error", "MethodNotAllowed")
        assert found.findtext("RequestId") == answer.headers["x-amz-request-id"]

    @pytest.mark.parametrize(
        ("service", "operation", "arguments", "action"),
        [
            ("apigatewayv2", "export_api", {"ApiId": "a", "OutputType": "JSON", "Specification": "OAS30"}, "ExportApi"),
            ("ram", "list_permission_versions", {"permissionArn": "a"}, "ListPermissionVersions"),
            ("xray", "get_groups", {}, "GetGroups"),
            ("detective", "list_graphs", {}, "ListGraphs"),
            ("accessanalyzer", "list_analyzers", {}, "ListAnalyzers"),
        ],
    )
    def test_fails_when_the_account_does_not_have_what_aws_has(
        self, aws_account: Account, service: str, operation: str, arguments: dict[str, Any], action: str
    ) -> None:
        client = aws_account.client(service, retries=3)
        with pytest.raises(ClientError, match=rf"\(InvalidAction\).*{NONE} [\w-]+:{action}"):
            getattr(client, operation)(**arguments)
        [record] = aws_account.recorder.records()
        assert (record.call.action, record.status, record.error) == (action, 400, "InvalidAction")


class TestQuery:
    @pytest.mark.parametrize("service", ["ec2", "sts", "iam", "cloudformation", "elasticloadbalancing", "sns", "rds"])
    @pytest.mark.parametrize(
        ("sent", "code"), [(b"Action=Nothing&Version=2015-12-01", "InvalidAction"), (b"A=1", "MissingAction")]
    )
    def test_fails_when_there_is_no_such_action(
        self, aws_account: Account, service: str, sent: bytes, code: str
    ) -> None:
        answer = ask(aws_account, service, "POST", "/", sent, FORM)
        found = ET.fromstring(answer.body)
        assert answer.status == 400
        assert found.findtext(".//Code") == code
        assert found.tag == ("Response" if service == "ec2" else "ErrorResponse")

    @pytest.mark.parametrize(
        ("service", "status", "code"),
        [("made-up", 403, "SignatureDoesNotMatch"), ("cloudsearch", 400, "InvalidAction")],
    )
    def test_fails_when_the_account_does_not_have_the_service(
        self, aws_account: Account, service: str, status: int, code: str
    ) -> None:
        answer = ask(aws_account, service, "POST", "/", b"Action=Nothing&Version=2010-03-31", FORM)
        assert (answer.status, ET.fromstring(answer.body).findtext(".//Code")) == (status, code)


class TestJson:
    @pytest.mark.parametrize(
        ("service", "name"),
        [
            ("dynamodb", "DynamoDB_20120810.Nothing"),
            ("logs", "Logs_20140328.Nothing"),
            ("states", "AWSStepFunctions.Nothing"),
            ("events", "AWSEvents.Nothing"),
            ("tagging", "ResourceGroupsTaggingAPI_20170126.Nothing"),
            ("kms", "TrentService.Nothing"),
            ("sqs", "AmazonSQS.Nothing"),
            ("dynamodb", ""),
        ],
    )
    def test_fails_when_there_is_no_such_target(self, aws_account: Account, service: str, name: str) -> None:
        answer = ask(aws_account, service, "POST", "/", b"{}", target(name) if name else {})
        assert (answer.status, json.loads(answer.body)["__type"]) == (400, "UnknownOperationException")

    def test_fails_when_the_account_does_not_have_the_service(self, aws_account: Account) -> None:
        service = "inspector"
        answer = ask(aws_account, service, "POST", "/", b"{}", target("InspectorService.ListFindings"))
        found = json.loads(answer.body)
        assert (answer.status, found["__type"]) == (400, "InvalidAction")
        assert f"{NONE} {service}:ListFindings" in found["message"]


def test_when_a_client_speaks_cbor_then_it_can_read_a_refusal() -> None:
    headers, body = refusal("smithy-rpc-v2-cbor", "UnrecognizedClientException", "ü" * 200)
    parser = botocore.parsers.create_parser("smithy-rpc-v2-cbor")
    found = parser.parse(
        {"headers": {**headers, "smithy-protocol": "rpc-v2-cbor"}, "body": body, "status_code": 400}, None
    )
    assert found["Error"] == {"Code": "UnrecognizedClientException", "Message": "ü" * 200}


def test_when_the_account_itself_fails_then_the_answer_is_the_services_own(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from moto.ec2.models import EC2Backend

    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("a mistake of ours")

    ec2 = aws_account.client("ec2")
    ec2.describe_vpcs()
    monkeypatch.setattr(EC2Backend, "describe_vpcs", fail)
    with pytest.raises(ClientError, match=r"\(InternalFailure\)") as failed:
        ec2.describe_vpcs()
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "a mistake of ours" in caplog.text
    assert aws_account.recorder.records()[-1].error == "InternalFailure"


class TestRequestIds:
    UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

    @pytest.mark.parametrize(
        ("service", "operation"),
        [
            ("ec2", "describe_vpcs"),
            ("ec2", "describe_traffic_mirror_filters"),
            ("sts", "get_caller_identity"),
            ("iam", "list_roles"),
            ("cloudformation", "list_stacks"),
            ("elbv2", "describe_load_balancers"),
            ("elb", "describe_load_balancers"),
            ("autoscaling", "describe_auto_scaling_groups"),
            ("sns", "list_topics"),
            ("rds", "describe_db_instances"),
        ],
    )
    def test_when_answers_have_an_id_then_each_has_its_own(
        self, aws_account: Account, service: str, operation: str
    ) -> None:
        client = aws_account.client(service)
        answers = [getattr(client, operation)()["ResponseMetadata"] for _ in range(3)]
        assert len({answer["RequestId"] for answer in answers}) == 3
        for answer in answers:
            assert answer["RequestId"] == answer["HTTPHeaders"]["x-amzn-requestid"]

    def test_when_ec2_refuses_then_the_error_has_an_id_of_its_own(self, aws_account: Account) -> None:
        ec2 = aws_account.client("ec2")
        found = set()
        for _ in range(3):
            with pytest.raises(ClientError) as refused:
                ec2.describe_subnets(SubnetIds=["subnet-00000001"])
            found.add(refused.value.response["ResponseMetadata"]["RequestId"])
        assert len(found) == 3
        assert all(self.UUID.fullmatch(one) for one in found)

    def test_when_a_tag_says_request_id_then_it_stays(self, aws_account: Account) -> None:
        ec2 = aws_account.client("ec2")
        [vpc] = ec2.describe_vpcs()["Vpcs"]
        ec2.create_tags(Resources=[vpc["VpcId"]], Tags=[{"Key": "request-id", "Value": "request-id"}])
        answer = ec2.describe_vpcs()
        assert answer["Vpcs"][0]["Tags"] == [{"Key": "request-id", "Value": "request-id"}]
        assert self.UUID.fullmatch(answer["ResponseMetadata"]["RequestId"])
