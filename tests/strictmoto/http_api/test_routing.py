"""Which stage and route a request meets, and the API that manages them."""

import urllib.request
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.http_api.conftest import HttpApi, send

ROUTES = (
    "GET /pets/dog/1",
    "GET /pets/dog/{id}",
    "GET /pets/{proxy+}",
    "ANY /{proxy+}",
    "POST /pets/dog/1",
    "$default",
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", None),
        ("POST", "/pets/dog/1", "POST /pets/dog/1", None),
        ("PUT", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/dog/a%20b", "GET /pets/dog/{id}", {"id": "a b"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("GET", "/else", "ANY /{proxy+}", {"proxy": "else"}),
        ("GET", "/", "$default", None),
    ],
)
def test_when_several_routes_match_then_the_most_specific_one_is_met(
    api: HttpApi, method: str, path: str, key: str, parameters: dict[str, str] | None
) -> None:
    api.create("def handler(event, context):\n    return [event['routeKey'], event.get('pathParameters')]\n", *ROUTES)
    assert api.request(method, path).json == [key, parameters]


def test_fails_when_no_route_matches(api: HttpApi) -> None:
    api.create("", "GET /one/{id}")
    assert api.request("GET", "/one").message == (404, "Not Found")
    assert api.request("POST", "/one/1").message == (404, "Not Found")
    assert api.request("GET", "/one/1/2").message == (404, "Not Found")


def test_fails_when_the_api_is_unknown(api: HttpApi) -> None:
    request = urllib.request.Request(f"{api.account.endpoint}/execute-api/nothing/")
    assert send(request).message == (404, "Not Found")


def test_when_the_host_is_that_of_aws_then_the_api_answers_too(api: HttpApi) -> None:
    api.create()
    host = f"{api.id}.execute-api.eu-central-1.amazonaws.com"
    request = urllib.request.Request(f"{api.account.endpoint}/incidents", headers={"Host": host})
    assert send(request).json["rawPath"] == "/incidents"


class TestStages:
    def test_when_a_stage_has_a_name_then_it_is_the_first_part_of_the_path(self, api: HttpApi) -> None:
        api.create("", "GET /incidents")
        api.client.create_stage(ApiId=api.id, StageName="live", AutoDeploy=True, StageVariables={"colour": "blue"})
        code = "def handler(event, context):\n    return event\n"
        api.functions.client.delete_function(FunctionName="work")
        api.functions.create(code)
        api.functions.client.add_permission(
            FunctionName="work", StatementId="api", Action="lambda:*", Principal="apigateway.amazonaws.com"
        )
        event = api.request("GET", "/live/incidents").json
        assert (event["rawPath"], event["routeKey"]) == ("/live/incidents", "GET /incidents")
        assert event["requestContext"]["stage"] == "live"
        assert event["stageVariables"] == {"colour": "blue"}
        assert api.request("GET", "/incidents").json["requestContext"]["stage"] == "$default"

    def test_fails_when_there_is_no_stage(self, api: HttpApi) -> None:
        api.create()
        api.client.delete_stage(ApiId=api.id, StageName="$default")
        assert api.request("GET", "/").message == (404, "Not Found")

    def test_when_a_stage_does_not_deploy_itself_then_it_answers_after_a_deployment(self, api: HttpApi) -> None:
        api.create()
        api.client.update_stage(ApiId=api.id, StageName="$default", AutoDeploy=False)
        assert api.request("GET", "/").message == (404, "Not Found")
        made = api.client.create_deployment(ApiId=api.id, StageName="$default")
        assert made["DeploymentStatus"] == "DEPLOYED"
        assert api.request("GET", "/").status == 200
        assert api.client.get_stage(ApiId=api.id, StageName="$default")["DeploymentId"] == made["DeploymentId"]

    def test_when_a_deployment_is_deleted_then_it_is_not_found(self, api: HttpApi) -> None:
        made = api.client.create_deployment(ApiId=api.id)
        given = {"ApiId": api.id, "DeploymentId": made["DeploymentId"]}
        assert api.client.get_deployment(**given)["DeploymentId"] == made["DeploymentId"]
        api.client.delete_deployment(**given)
        with pytest.raises(ClientError, match="Invalid Deployment identifier") as error:
            api.client.get_deployment(**given)
        assert error.value.response["Error"]["Code"] == "NotFoundException"

    def test_when_a_stage_is_tagged_and_untagged_then_it_shows_the_tags_it_has(self, api: HttpApi) -> None:
        api.client.create_stage(ApiId=api.id, StageName="live", Tags={"owner": "soc"})
        arn = f"arn:aws:apigateway:eu-central-1::/apis/{api.id}/stages/live"
        api.client.tag_resource(ResourceArn=arn, Tags={"reviewed": "2026"})
        api.client.untag_resource(ResourceArn=arn, TagKeys=["owner"])
        assert api.client.get_tags(ResourceArn=arn)["Tags"] == {"reviewed": "2026"}
        assert api.client.get_stage(ApiId=api.id, StageName="live")["Tags"] == {"reviewed": "2026"}
        with pytest.raises(ClientError, match="NotFoundException"):
            api.client.tag_resource(ResourceArn=arn.replace("live", "none"), Tags={"a": "b"})

    def test_when_the_default_endpoint_is_disabled_then_it_does_not_answer(self, api: HttpApi) -> None:
        api.create()
        api.client.update_api(ApiId=api.id, DisableExecuteApiEndpoint=True)
        assert api.request("GET", "/").message == (404, "Not Found")

    def test_when_a_stage_limits_requests_then_more_are_refused(self, api: HttpApi) -> None:
        api.create()
        settings = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2}
        api.client.update_stage(ApiId=api.id, StageName="$default", DefaultRouteSettings=settings)
        assert [api.request("GET", "/").status for _ in range(2)] == [200, 200]
        assert api.request("GET", "/").message == (429, "Too Many Requests")

    def test_when_a_route_has_limits_of_its_own_then_those_count_for_it_and_the_stages_for_others(
        self, api: HttpApi
    ) -> None:
        api.create("", "POST /alerts/{source}", "$default")
        stage = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 1}
        own = {"POST /alerts/{source}": {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2}}
        api.client.update_stage(ApiId=api.id, StageName="$default", DefaultRouteSettings=stage, RouteSettings=own)
        # Whatever the source is, it is the same route.
        assert [api.request("POST", f"/alerts/{name}").status for name in "aba"] == [500, 500, 429]
        assert [api.request("GET", "/").status for _ in range(2)] == [500, 429]

    def test_when_a_stage_logs_then_each_request_is_a_line(self, api: HttpApi) -> None:
        api.create("", "GET /one")
        logs = api.account.client("logs")
        logs.create_log_group(logGroupName="access")
        settings = {
            "DestinationArn": "arn:aws:logs:eu-central-1:123456789012:log-group:access",
            "Format": "$context.httpMethod $context.routeKey $context.status $context.nothing",
        }
        api.client.update_stage(ApiId=api.id, StageName="$default", AccessLogSettings=settings)
        api.request("GET", "/one")
        [event] = logs.filter_log_events(logGroupName="access")["events"]
        assert event["message"] == "GET GET /one 500 -"


class TestCors:
    CONFIGURATION: ClassVar[dict[str, Any]] = {
        "AllowOrigins": ["https://console.example"],
        "AllowMethods": ["GET", "POST"],
        "AllowHeaders": ["authorization"],
        "MaxAge": 60,
    }

    def test_when_a_browser_asks_first_then_the_api_answers(self, api: HttpApi) -> None:
        api.create("", "GET /one")
        api.client.update_api(ApiId=api.id, CorsConfiguration=self.CONFIGURATION)
        api.account.origins.update({"https://console.example", "https://other.example"})
        asked = {"Origin": "https://console.example", "Access_Control_Request_Method": "GET"}
        answer = api.request("OPTIONS", "/one", **asked)
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "https://console.example"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET,POST"
        assert answer.headers["Access-Control-Max-Age"] == "60"
        other = api.request("OPTIONS", "/one", **{**asked, "Origin": "https://other.example"})
        assert (other.status, other.headers["Access-Control-Allow-Origin"]) == (204, None)

    def test_fails_when_the_account_does_not_know_the_origin_that_the_api_allows(self, api: HttpApi) -> None:
        api.create("", "GET /one")
        api.client.update_api(ApiId=api.id, CorsConfiguration=self.CONFIGURATION)
        origin = "https://console.example"
        asked = api.request("OPTIONS", "/one", Origin=origin, Access_Control_Request_Method="GET")
        simple = api.request("GET", "/one", Origin=origin)
        assert {(answer.status, answer.headers["Access-Control-Allow-Origin"]) for answer in (asked, simple)} == {
            (403, None)
        }

    def test_when_the_api_configures_cors_then_the_functions_own_headers_do_not_count(self, api: HttpApi) -> None:
        headers = {"Access-Control-Allow-Origin": "*", "x-own": "1"}
        api.create(f"def handler(event, context):\n    return {{'statusCode': 200, 'headers': {headers}}}\n")
        api.client.update_api(ApiId=api.id, CorsConfiguration=self.CONFIGURATION)
        api.account.origins.add("https://console.example")
        answer = api.request("GET", "/", Origin="https://console.example")
        assert answer.headers.get_all("Access-Control-Allow-Origin") == ["https://console.example"]
        assert answer.headers["x-own"] == "1"


def test_when_an_api_is_asked_then_no_aws_call_is_recorded(api: HttpApi) -> None:
    api.create()
    api.account.recorder.clear()
    send(api.signed("GET", "/"))
    assert api.account.recorder.actions() == []
