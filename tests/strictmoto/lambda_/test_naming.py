"""Names of functions: plain ones, ARNs and parts of ARNs, with and without a version or an alias."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.requests.function_names import Function, function_named_by
from tests.strictmoto.lambda_.functions import Lambda

ARN = f"arn:aws:lambda:eu-central-1:{ACCOUNT_ID}:function:work"
UNQUALIFIED = ("work", "function:work", f"{ACCOUNT_ID}:function:work", f"eu-central-1:{ACCOUNT_ID}:function:work", ARN)
ARNS = "def handler(event, context):\n    return context.invoked_function_arn\n"


@pytest.fixture
def versioned(functions: Lambda) -> Lambda:
    """A function with a version, and an alias of it."""
    functions.create(ARNS)
    functions.client.publish_version(FunctionName="work")
    functions.client.create_alias(FunctionName="work", Name="live", FunctionVersion="1")
    return functions


def refused(client: Any, method: str, **given: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as error:
        getattr(client, method)(**given)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


@pytest.mark.parametrize("qualifier", ["", "1", "live", "$LATEST"])
@pytest.mark.parametrize("name", UNQUALIFIED)
def test_when_a_name_has_any_form_then_it_means_the_function(versioned: Lambda, name: str, qualifier: str) -> None:
    ending = f":{qualifier}" if qualifier else ""
    assert versioned.invoke(name=f"{name}{ending}").payload == f"{ARN}{ending}"
    shown = versioned.client.get_function_configuration(FunctionName=f"{name}{ending}")
    assert shown["Version"] == {"": "$LATEST", "live": "1"}.get(qualifier, qualifier)
    [asked] = versioned.account.recorder.records(action="GetFunctionConfiguration")
    assert asked.resources == (f"{ARN}{ending}",)


@pytest.mark.parametrize("name", UNQUALIFIED)
def test_when_an_action_takes_the_function_only_then_any_form_means_it(versioned: Lambda, name: str) -> None:
    client = versioned.client
    client.update_function_configuration(FunctionName=name, Description="changed")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    assert client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 1
    assert [alias["Name"] for alias in client.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    versions = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1"]
    client.add_permission(
        FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com"
    )
    client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    client.delete_function_event_invoke_config(FunctionName=name)
    client.delete_function(FunctionName=name)
    assert client.list_functions()["Functions"] == []


@pytest.mark.parametrize("name", UNQUALIFIED)
def test_when_a_function_is_made_by_an_arn_then_it_has_the_plain_name(functions: Lambda, name: str) -> None:
    functions.create(ARNS, name)
    [made] = functions.client.list_functions()["Functions"]
    assert (made["FunctionName"], made["FunctionArn"]) == ("work", ARN)


@pytest.mark.parametrize("name", UNQUALIFIED)
def test_when_a_mapping_names_its_function_in_any_form_then_it_is_listed_by_any(functions: Lambda, name: str) -> None:
    functions.create(ARNS)
    functions.allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    _url, queue = functions.queue("jobs")
    functions.client.create_event_source_mapping(EventSourceArn=queue, FunctionName=name)
    for asked in UNQUALIFIED:
        [found] = functions.client.list_event_source_mappings(FunctionName=asked)["EventSourceMappings"]
        assert found["FunctionArn"] == ARN


@pytest.mark.parametrize("name", ["work:1", f"{ACCOUNT_ID}:function:work:live", f"{ARN}:$LATEST"])
@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("update_function_configuration", {"Description": "changed"}),
        ("publish_version", {}),
        ("list_aliases", {}),
        ("put_function_concurrency", {"ReservedConcurrentExecutions": 1}),
    ],
)
def test_fails_when_an_action_takes_the_function_only_and_a_version_is_named(
    versioned: Lambda, method: str, given: dict[str, Any], name: str
) -> None:
    status, code, said = refused(versioned.client, method, FunctionName=name, **given)
    assert (status, code) == (400, "InvalidParameterValueException")
    assert said.startswith("This operation is permitted on Lambda functions only.")


def test_fails_when_the_name_and_the_request_say_another_version(versioned: Lambda) -> None:
    status, code, said = refused(versioned.client, "invoke", FunctionName=f"{ARN}:live", Qualifier="1")
    assert (status, code) == (400, "InvalidParameterValueException")
    assert said == "The derived qualifier from the function name does not match the specified qualifier."
    assert versioned.invoke(name=f"{ARN}:live", Qualifier="live").payload == f"{ARN}:live"


@pytest.mark.parametrize(
    "name", ["none", f"{ACCOUNT_ID}:function:none", "work:9", "work:none", f"{ARN}:none", ARN.replace("1234", "9876")]
)
def test_fails_when_a_name_of_any_form_means_nothing(versioned: Lambda, name: str) -> None:
    assert refused(versioned.client, "invoke", FunctionName=name)[:2] == (404, "ResourceNotFoundException")


def test_fails_when_an_arn_is_of_another_region(versioned: Lambda) -> None:
    status, code, said = refused(versioned.client, "invoke", FunctionName=ARN.replace("eu-central-1", "us-east-1"))
    assert (status, code) == (404, "ResourceNotFoundException")
    assert said == "Functions from 'us-east-1' are not reachable in this region ('eu-central-1')"


def test_when_an_arn_is_of_another_account_then_its_function_is_meant(aws_account: Account) -> None:
    """Both have a function of this name; the other account lets it be invoked."""
    aws_account.enforces_iam = False
    mine = Lambda(aws_account)
    mine.create(ARNS)
    other = aws_account.client("lambda", role_arn="arn:aws:iam::210987654321:role/other")
    theirs = ARN.replace(ACCOUNT_ID, "210987654321")
    assert refused(mine.client, "invoke", FunctionName=theirs)[:2] == (404, "ResourceNotFoundException")
    assert refused(other, "invoke", FunctionName="work")[:2] == (404, "ResourceNotFoundException")
    assert Lambda.invoke(mine, name=ARN).payload == ARN


@pytest.mark.parametrize("text", ["", ":", "a:b:c:d", "arn:aws:s3:::bucket", "12345:function:work", "work:", "w k"])
def test_when_a_text_is_no_name_then_it_means_no_function(text: str) -> None:
    assert function_named_by(text) is None


def test_when_a_name_has_all_parts_then_all_are_read() -> None:
    named = "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:a_b-c:live"
    assert function_named_by(named) == Function("a_b-c", "live", "111122223333", "us-gov-west-1")
