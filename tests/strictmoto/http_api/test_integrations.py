"""What a function is given of a request, and what is made of its answer."""

import base64
import re
from typing import Any

import pytest

from tests.strictmoto.http_api.conftest import HttpApi


def returns(value: Any) -> str:
    return f"def handler(event, context):\n    return {value!r}\n"


class TestEvents:
    def test_when_a_request_comes_then_the_function_has_it_in_format_2(self, api: HttpApi) -> None:
        api.create("def handler(event, context):\n    return event\n", "POST /incidents/{id}")
        answer = api.request(
            "POST",
            "/incidents/i%201?a=1&a=2&b=x%26y&c=",
            b'{"k": "\xc3\xbc"}',
            Content_Type="application/json",
            User_Agent="tests",
            Cookie="one=1; two=2",
            X_Own="Value",
        )
        event = answer.json
        context, headers = event.pop("requestContext"), event.pop("headers")
        assert event == {
            "version": "2.0",
            "routeKey": "POST /incidents/{id}",
            "rawPath": "/incidents/i 1",
            "rawQueryString": "a=1&a=2&b=x%26y&c=",
            "queryStringParameters": {"a": "1,2", "b": "x&y", "c": ""},
            "pathParameters": {"id": "i 1"},
            "cookies": ["one=1", "two=2"],
            "body": '{"k": "ü"}',
            "isBase64Encoded": False,
        }
        assert headers["x-own"] == "Value"
        assert headers["content-length"] == "11"
        assert "cookie" not in headers
        assert {"host", "x-forwarded-for", "x-amzn-trace-id"} <= set(headers)
        assert context.pop("requestId") == answer.headers["apigw-requestid"]
        assert isinstance(context.pop("timeEpoch"), int)
        assert re.fullmatch(r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
        domain = f"{api.id}.execute-api.eu-central-1.amazonaws.com"
        assert context == {
            "accountId": "123456789012",
            "apiId": api.id,
            "domainName": domain,
            "domainPrefix": api.id,
            "http": {
                "method": "POST",
                "path": "/incidents/i 1",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "tests",
            },
            "routeKey": "POST /incidents/{id}",
            "stage": "$default",
        }

    def test_when_a_body_is_no_text_then_it_is_in_base64(self, api: HttpApi) -> None:
        api.create()
        event = api.request("POST", "/", b"\x00\xff", Content_Type="application/octet-stream").json
        assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\x00\xff", True)

    def test_when_there_is_neither_body_nor_query_then_the_event_has_none(self, api: HttpApi) -> None:
        api.create()
        event = api.request("GET", "/").json
        assert not {"body", "queryStringParameters", "pathParameters", "cookies", "stageVariables"} & set(event)
        assert event["rawQueryString"] == ""


class TestAnswers:
    @pytest.mark.parametrize(
        ("value", "body"),
        [({"a": 1}, b'{"a": 1}'), ("text", b"text"), (["a"], b'["a"]'), (None, b"null")],
    )
    def test_when_there_is_no_status_then_it_is_200_and_json(self, api: HttpApi, value: Any, body: bytes) -> None:
        api.create(returns(value))
        answer = api.request("GET", "/")
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["content-type"] == "application/json"

    def test_when_the_function_says_all_then_the_client_gets_it(self, api: HttpApi) -> None:
        value = {
            "statusCode": 201,
            "headers": {"Content-Type": "image/png", "x-own": 7},
            "cookies": ["a=1", "b=2; Secure"],
            "body": base64.b64encode(b"\x89PNG").decode(),
            "isBase64Encoded": True,
        }
        api.create(returns(value))
        answer = api.request("GET", "/")
        assert (answer.status, answer.body) == (201, b"\x89PNG")
        assert (answer.headers["content-type"], answer.headers["x-own"]) == ("image/png", "7")
        assert answer.headers.get_all("set-cookie") == ["a=1", "b=2; Secure"]

    def test_when_the_method_is_head_then_there_is_no_body(self, api: HttpApi) -> None:
        api.create(returns({"statusCode": 200, "body": "four"}))
        answer = api.request("HEAD", "/")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "4")

    @pytest.mark.parametrize(
        "value",
        [{"statusCode": "no"}, {"statusCode": 200, "body": {}}, {"statusCode": 200, "headers": {"a": []}}],
    )
    def test_fails_when_the_answer_is_malformed(self, api: HttpApi, value: Any) -> None:
        api.create(returns(value))
        assert api.request("GET", "/").message == (500, "Internal Server Error")

    def test_fails_when_the_function_fails(self, api: HttpApi) -> None:
        api.create("def handler(event, context):\n    raise ValueError\n")
        assert api.request("GET", "/").message == (500, "Internal Server Error")

    def test_fails_when_the_integration_takes_too_long(self, api: HttpApi) -> None:
        api.create("import time\ndef handler(event, context):\n    time.sleep(2)\n", TimeoutInMillis=200)
        assert api.request("GET", "/").message == (503, "Service Unavailable")

    def test_fails_when_the_request_is_too_large(self, api: HttpApi) -> None:
        api.create()
        answer = api.request("POST", "/", b"x" * (10 * 1024 * 1024 + 1), Content_Type="text/plain")
        assert answer.message == (413, "Request Entity Too Large")


class TestPermissions:
    @pytest.mark.parametrize("permission", ["*/*", "$default/POST/incidents/{id}", "*/*/incidents/*"])
    def test_when_the_functions_policy_allows_the_route_then_it_is_invoked(self, api: HttpApi, permission: str) -> None:
        api.create(returns(1), "POST /incidents/{id}", permission=permission)
        assert api.request("POST", "/incidents/7").status == 200

    @pytest.mark.parametrize("permission", [None, "*/GET/*", "live/*/*"])
    def test_fails_when_the_functions_policy_does_not_allow_the_route(
        self, api: HttpApi, permission: str | None
    ) -> None:
        api.create(returns(1), "POST /incidents/{id}", permission=permission)
        answer = api.request("POST", "/incidents/7")
        assert answer.message == (500, "Internal Server Error")
        assert "apigateway.amazonaws.com may not invoke" in answer.headers["x-strictmoto"]

    def test_when_an_alias_is_integrated_then_its_own_permission_counts(self, api: HttpApi) -> None:
        api.create(returns(1))
        api.functions.client.publish_version(FunctionName="work")
        api.functions.client.create_alias(FunctionName="work", Name="live", FunctionVersion="1")
        api.client.update_integration(
            ApiId=api.id, IntegrationId=api.integration, IntegrationUri=f"{api.function}:live"
        )
        assert api.request("GET", "/").status == 500
        api.functions.client.add_permission(
            FunctionName="work",
            Qualifier="live",
            StatementId="alias",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        assert api.request("GET", "/").status == 200
