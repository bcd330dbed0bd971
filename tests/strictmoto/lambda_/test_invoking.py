"""Invoke: what a function is given, what comes back, and how it fails."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.lambda_.service import service
from tests.strictmoto.lambda_.functions import Lambda, until, zipped

ECHO = "def handler(event, context):\n    return event\n"
COUNT = """
import os, time
served = 0

def handler(event, context):
    global served
    served += 1
    time.sleep(event.get("for", 0))
    return {"served": served, "process": os.getpid()}
"""


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestAnswers:
    def test_when_a_function_is_invoked_then_it_returns_what_its_handler_does(self, functions: Lambda) -> None:
        functions.create(ECHO)
        result = functions.invoke({"a": [1, "ü"]})
        assert result.payload == {"a": [1, "ü"]}
        assert result.error is None
        assert (result.answer["StatusCode"], result.answer["ExecutedVersion"]) == (200, "$LATEST")

    def test_when_the_payload_is_empty_then_the_event_is_an_empty_object(self, functions: Lambda) -> None:
        functions.create(ECHO)
        assert json.load(functions.client.invoke(FunctionName="work")["Payload"]) == {}

    def test_when_numbers_are_decimals_then_they_return_as_numbers(self, functions: Lambda) -> None:
        functions.create("from decimal import Decimal\ndef handler(event, context):\n    return Decimal('1.5')\n")
        assert functions.invoke().payload == 1.5

    def test_when_the_code_is_in_s3_then_it_runs(self, functions: Lambda) -> None:
        s3 = functions.account.client("s3", region="us-east-1")
        s3.create_bucket(Bucket="code")
        s3.put_object(Bucket="code", Key="app.zip", Body=zipped(ECHO))
        functions.create({}, Code={"S3Bucket": "code", "S3Key": "app.zip"})
        assert functions.invoke({"from": "s3"}).payload == {"from": "s3"}

    def test_when_the_type_is_dry_run_then_nothing_runs(self, functions: Lambda, notes: Path) -> None:
        functions.create(f"def handler(event, context):\n    open({str(notes)!r}, 'w').close()\n")
        assert functions.invoke(InvocationType="DryRun").answer["StatusCode"] == 204
        assert not notes.exists()

    def test_when_the_log_is_asked_for_then_its_end_is_returned(self, functions: Lambda) -> None:
        functions.create("def handler(event, context):\n    print('x' * 5000)\n    print('last')\n")
        tail = base64.b64decode(functions.invoke(LogType="Tail").answer["LogResult"]).decode()
        assert len(tail) == 4096
        assert "last\n" in tail
        assert "LogResult" not in functions.invoke().answer

    def test_when_a_version_is_asked_for_then_its_code_runs(self, functions: Lambda) -> None:
        arn = functions.create("def handler(event, context):\n    return ['one', context.invoked_function_arn]\n")
        functions.client.publish_version(FunctionName="work")
        functions.client.create_alias(FunctionName="work", Name="live", FunctionVersion="1")
        new = "def handler(event, context):\n    return ['two', context.function_version]\n"
        functions.client.update_function_code(FunctionName="work", ZipFile=zipped(new))
        assert functions.invoke().payload == ["two", "$LATEST"]
        by_version, by_alias = functions.invoke(Qualifier="1"), functions.invoke(Qualifier="live")
        assert by_version.payload == ["one", f"{arn}:1"]
        assert by_alias.payload == ["one", f"{arn}:live"]
        assert by_alias.answer["ExecutedVersion"] == "1"


class TestFailures:
    def test_when_the_handler_raises_then_the_error_is_unhandled_with_its_stack(self, functions: Lambda) -> None:
        functions.create("def handler(event, context):\n    raise LookupError('nothing there')\n")
        result = functions.invoke()
        assert result.error == "Unhandled"
        request_id = result.payload.pop("requestId")
        assert request_id == result.answer["ResponseMetadata"]["RequestId"]
        assert result.payload == {
            "errorMessage": "nothing there",
            "errorType": "LookupError",
            "stackTrace": ["  File \"/var/task/app.py\", line 2, in handler\n    raise LookupError('nothing there')\n"],
        }

    @pytest.mark.parametrize(
        ("code", "handler", "kind", "message"),
        [
            ("import nowhere\n", "app.handler", "Runtime.ImportModuleError", "No module named 'nowhere'"),
            (ECHO, "other.handler", "Runtime.ImportModuleError", "Unable to import module 'other'"),
            (ECHO, "app.other", "Runtime.HandlerNotFound", "Handler 'other' missing on module 'app'"),
            ("def handler(:\n", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
            (ECHO, "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
            ("import os\nos.environ['NOT_SET']\n", "app.handler", "KeyError", "'NOT_SET'"),
            (
                "def handler(event, context):\n    return {1}\n",
                "app.handler",
                "Runtime.MarshalError",
                "Unable to marshal",
            ),
            (
                "import sys\ndef handler(event, context):\n    sys.exit(4)\n",
                "app.handler",
                "Runtime.ExitError",
                "status 4",
            ),
            (
                "import os\ndef handler(event, context):\n    os._exit(0)\n",
                "app.handler",
                "Runtime.ExitError",
                "without",
            ),
        ],
    )
    def test_fails_when_the_code_is_wrong(
        self, functions: Lambda, code: str, handler: str, kind: str, message: str
    ) -> None:
        functions.create(code, Handler=handler)
        result = functions.invoke()
        assert (result.error, result.payload["errorType"]) == ("Unhandled", kind)
        assert message in result.payload["errorMessage"]

    def test_fails_when_the_function_takes_longer_than_its_timeout(self, functions: Lambda, notes: Path) -> None:
        # A process that the function started ends with it.
        code = f"""
import subprocess, time
def handler(event, context):
    child = subprocess.Popen(["sleep", "60"])
    open({str(notes)!r}, "w").write(str(child.pid))
    time.sleep(60)
"""
        functions.create(code, Timeout=1)
        result = functions.invoke()
        assert result.payload["errorType"] == "Sandbox.Timedout"
        request_id = result.answer["ResponseMetadata"]["RequestId"]
        assert result.payload["errorMessage"] == f"RequestId: {request_id} Error: Task timed out after 1.00 seconds"
        until(lambda: not alive(int(notes.read_text())))

    def test_fails_when_the_function_uses_more_memory_than_it_has(self, functions: Lambda) -> None:
        functions.create("def handler(event, context):\n    return len(b'x' * 200_000_000)\n", MemorySize=128)
        result = functions.invoke()
        assert (result.error, result.payload["errorType"]) == ("Unhandled", "Runtime.OutOfMemory")
        assert result.payload["errorMessage"].endswith("Runtime exited with error: signal: killed")

    def test_fails_when_the_payload_is_too_large(self, functions: Lambda) -> None:
        functions.create(ECHO)
        with pytest.raises(ClientError) as large:
            functions.invoke("x" * 6_291_456)
        assert refused(large) == (413, "RequestTooLargeException")
        with pytest.raises(ClientError) as event:
            functions.invoke("x" * 1_048_576, InvocationType="Event")
        assert refused(event) == (413, "RequestTooLargeException")
        assert len(functions.invoke("x" * 1_048_576).payload) == 1_048_576

    def test_fails_when_the_response_is_too_large(self, functions: Lambda) -> None:
        functions.create("def handler(event, context):\n    return 'x' * 6_291_600\n", MemorySize=512)
        result = functions.invoke()
        assert (result.error, result.payload["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")

    def test_fails_when_the_payload_is_no_json(self, functions: Lambda) -> None:
        functions.create(ECHO)
        with pytest.raises(ClientError) as error:
            functions.client.invoke(FunctionName="work", Payload=b"{")
        assert refused(error) == (400, "InvalidRequestContentException")

    def test_fails_when_the_runtime_is_no_python(self, functions: Lambda) -> None:
        functions.create(ECHO, Runtime="nodejs22.x")
        with pytest.raises(ClientError, match="runs zip packages with a python3.x runtime, not nodejs22.x") as error:
            functions.invoke()
        assert refused(error) == (502, "InvalidRuntimeException")

    def test_fails_when_the_function_does_not_exist(self, functions: Lambda) -> None:
        with pytest.raises(ClientError) as error:
            functions.invoke()
        assert refused(error) == (404, "ResourceNotFoundException")


class TestEnvironment:
    def test_when_a_function_runs_then_its_environment_is_that_of_lambda(
        self, functions: Lambda, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        code = "import os\ndef handler(event, context):\n    return dict(os.environ, cwd=os.getcwd())\n"
        functions.create(code, Environment={"Variables": {"STAGE": "test"}}, MemorySize=256)
        found = functions.invoke().payload
        stream = found.pop("AWS_LAMBDA_LOG_STREAM_NAME")
        assert stream.startswith(time.strftime("%Y/%m/%d/[$LATEST]"))
        assert found.pop("_X_AMZN_TRACE_ID").startswith("Root=1-")
        assert found.pop("cwd") == found.pop("LAMBDA_TASK_ROOT")
        assert found.pop("TMPDIR") == found.pop("HOME")
        assert found.pop("AWS_ACCESS_KEY_ID").startswith("ASIA")
        for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PATH", "LANG"):
            assert found.pop(name)
        found.pop("LC_CTYPE", None)
        assert found == {
            "STAGE": "test",
            "TZ": ":UTC",
            "_HANDLER": "app.handler",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": functions.account.endpoint,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_LAMBDA_FUNCTION_NAME": "work",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "Text",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/work",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def test_when_a_function_calls_aws_then_it_does_so_as_its_role(self, functions: Lambda) -> None:
        code = (
            "import boto3\ndef handler(event, context):\n    return boto3.client('sts').get_caller_identity()['Arn']\n"
        )
        functions.create(code, Timeout=30, MemorySize=256)
        assert functions.invoke().payload == "arn:aws:sts::123456789012:assumed-role/function/work"

    @pytest.mark.parametrize("package", ["strictmoto", "moto", "yaml", "pip"])
    def test_fails_when_a_function_imports_what_only_this_machine_has(self, functions: Lambda, package: str) -> None:
        functions.create(f"import {package}\n")
        assert functions.invoke().payload["errorMessage"] == (
            f"Unable to import module 'app': No module named '{package}'"
        )

    def test_when_a_function_has_layers_then_it_imports_from_them_a_later_one_first(self, functions: Lambda) -> None:
        arns = []
        for name, text in (("one", "name = 'one'"), ("two", "name = 'two'")):
            content = {
                "ZipFile": zipped({"python/shared.py": text, f"python/lib/python3.12/site-packages/{name}.py": ""})
            }
            made = functions.client.publish_layer_version(LayerName=name, Content=content)
            arns.append(made["LayerVersionArn"])
        functions.create("import shared, one, two\ndef handler(event, context):\n    return shared.name\n", Layers=arns)
        assert functions.invoke().payload == "two"

    def test_when_a_handler_asks_its_context_then_it_knows_the_invocation(self, functions: Lambda) -> None:
        code = """
def handler(event, context):
    names = ("function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb", "log_group_name")
    return {name: getattr(context, name) for name in names} | {
        "left": context.get_remaining_time_in_millis(),
        "custom": context.client_context.custom,
        "identity": context.identity.cognito_identity_id,
        "request": context.aws_request_id,
    }
"""
        arn = functions.create(code, Timeout=10)
        context = base64.b64encode(json.dumps({"custom": {"who": "me"}}).encode()).decode()
        result = functions.invoke(ClientContext=context)
        assert 9000 < result.payload.pop("left") <= 10_000
        assert result.payload == {
            "function_name": "work",
            "function_version": "$LATEST",
            "invoked_function_arn": arn,
            "memory_limit_in_mb": "128",
            "log_group_name": "/aws/lambda/work",
            "custom": {"who": "me"},
            "identity": None,
            "request": result.answer["ResponseMetadata"]["RequestId"],
        }


class TestWarmth:
    def test_when_a_function_is_invoked_again_then_its_process_serves_again(self, functions: Lambda) -> None:
        functions.create(COUNT)
        one, two = functions.invoke().payload, functions.invoke().payload
        assert (one["served"], two["served"]) == (1, 2)
        assert one["process"] == two["process"]

    def test_when_invocations_overlap_then_each_has_a_process(self, functions: Lambda) -> None:
        functions.create(COUNT)
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda: found.append(functions.invoke({"for": 0.3}).payload)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {one["served"] for one in found} == {1}
        assert len({one["process"] for one in found}) == 3

    @pytest.mark.parametrize("change", ["code", "configuration", "failure"])
    def test_when_something_changes_then_the_next_process_is_new(self, functions: Lambda, change: str) -> None:
        functions.create(COUNT)
        before = functions.invoke().payload["process"]
        match change:
            case "code":
                functions.client.update_function_code(FunctionName="work", ZipFile=zipped(COUNT + "\n"))
            case "configuration":
                variables = {"Variables": {"NEW": "1"}}
                functions.client.update_function_configuration(FunctionName="work", Environment=variables)
            case "failure":
                os.kill(before, 9)
                # Until it is dead it may still take the next invocation.
                os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
        after = functions.invoke().payload
        assert after["served"] == 1
        assert after["process"] != before
        until(lambda: not alive(before))

    @pytest.mark.parametrize("end", ["delete", "reset"])
    def test_when_a_function_or_the_account_ends_then_its_processes_do(self, functions: Lambda, end: str) -> None:
        functions.create(COUNT)
        process = functions.invoke().payload["process"]
        if end == "delete":
            functions.client.delete_function(FunctionName="work")
        else:
            functions.account.reset()
        until(lambda: not alive(process))

    def test_when_a_function_is_deleted_at_work_then_its_process_serves_no_more(self, functions: Lambda) -> None:
        functions.create(COUNT)
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(functions.invoke({"for": 0.4}).payload))
        thread.start()
        time.sleep(0.2)
        functions.client.delete_function(FunctionName="work")
        thread.join()
        functions.create(COUNT)
        assert found[0]["served"] == functions.invoke().payload["served"] == 1

    def test_when_a_function_is_paused_at_work_then_another_process_serves_until_it_goes_on(
        self, functions: Lambda, notes: Path
    ) -> None:
        begin = f"    if 'for' in event: open({str(notes)!r}, 'w').close()\n    time.sleep"
        functions.create(COUNT.replace("    time.sleep", begin))
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(functions.invoke({"for": 0.3}).payload))
        thread.start()
        until(notes.exists)
        with service().paused(ACCOUNT_ID, REGION, "work"):
            other = functions.invoke().payload
            thread.join(0.6)
            assert not found
        thread.join()
        assert (found[0]["served"], other["served"]) == (1, 1)
        assert found[0]["process"] != other["process"]

    def test_when_the_account_is_killed_then_its_processes_end(self, notes: Path) -> None:
        spin = f"import os\nopen({str(notes)!r}, 'w').write(str(os.getpid()))\nwhile True: pass\n"
        program = f"""
from strictmoto.account import Account
from tests.strictmoto.lambda_.functions import Lambda
with Account(enforce_iam=False) as account:
    functions = Lambda(account)
    functions.create({spin!r})
    functions.invoke()
"""
        # What a killed account cannot clear away, pytest does.
        environment = {**os.environ, "TMPDIR": str(notes.parent)}
        account = subprocess.Popen([sys.executable, "-c", program], env=environment)
        process = int(until(lambda: notes.exists() and notes.read_text(), 20))
        account.kill()
        account.wait()
        until(lambda: not alive(process))

    def test_when_concurrency_is_reserved_then_no_more_run_at_a_time(self, functions: Lambda) -> None:
        functions.create(COUNT)
        functions.client.put_function_concurrency(FunctionName="work", ReservedConcurrentExecutions=1)
        thread = threading.Thread(target=lambda: functions.invoke({"for": 1}))
        thread.start()
        time.sleep(0.4)
        with pytest.raises(ClientError) as error:
            functions.invoke()
        assert refused(error) == (429, "TooManyRequestsException")
        assert error.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        thread.join()
        assert functions.invoke().error is None

    def test_when_none_is_reserved_then_nothing_runs(self, functions: Lambda) -> None:
        functions.create(COUNT)
        functions.client.put_function_concurrency(FunctionName="work", ReservedConcurrentExecutions=0)
        with pytest.raises(ClientError, match="Rate Exceeded"):
            functions.invoke()


class TestLogs:
    def test_when_a_function_runs_then_its_lines_are_between_those_of_lambda(self, functions: Lambda) -> None:
        code = "import logging\ndef handler(event, context):\n    print('said')\n    logging.warning('warned')\n"
        functions.create(code)
        request_id = functions.invoke().answer["ResponseMetadata"]["RequestId"]
        init, start, said, warned, end, report = functions.log()
        assert init.startswith("INIT_START Runtime Version: python:")
        assert start == f"START RequestId: {request_id} Version: $LATEST\n"
        assert said == "said\n"
        assert warned.startswith("[WARNING]\t")
        assert warned.endswith(f"Z\t{request_id}\twarned\n")
        assert end == f"END RequestId: {request_id}\n"
        assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")
        assert "\tMemory Size: 128 MB\tMax Memory Used: " in report
        assert "\tInit Duration: " in report

    def test_when_a_handler_raises_then_its_traceback_is_one_event(self, functions: Lambda) -> None:
        functions.create("def handler(event, context):\n    raise ValueError('wrong')\n")
        functions.invoke()
        [error] = [line for line in functions.log() if line.startswith("[ERROR]")]
        assert error.startswith("[ERROR] ValueError: wrong\nTraceback (most recent call last):\n")

    def test_when_the_format_is_json_then_all_lines_are(self, functions: Lambda) -> None:
        code = "import logging\ndef handler(event, context):\n    logging.getLogger().info('said')\n"
        functions.create(code, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"})
        functions.invoke()
        lines = [json.loads(line) for line in functions.log()]
        assert [line.get("type") or line["message"] for line in lines] == [
            "platform.initStart",
            "platform.start",
            "said",
            "platform.report",
        ]
        assert lines[-1]["record"]["status"] == "success"


class TestConfiguration:
    def test_when_a_function_is_created_then_all_of_its_configuration_is_shown(self, functions: Lambda) -> None:
        _, dead = functions.queue("dead")
        functions.create(ECHO, DeadLetterConfig={"TargetArn": dead})
        shown = functions.client.get_function_configuration(FunctionName="work")
        assert shown["DeadLetterConfig"] == {"TargetArn": dead}
        assert shown["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/work"}
        assert shown["State"] == "Active"
        functions.client.update_function_configuration(FunctionName="work", TracingConfig={"Mode": "Active"})
        functions.client.update_function_configuration(FunctionName="work", DeadLetterConfig={"TargetArn": ""})
        shown = functions.client.get_function_configuration(FunctionName="work")
        assert shown["TracingConfig"] == {"Mode": "Active"}
        assert "DeadLetterConfig" not in shown

    def test_when_the_event_invoke_config_is_put_again_then_the_new_one_is_shown(self, functions: Lambda) -> None:
        functions.create(ECHO)
        functions.client.put_function_event_invoke_config(FunctionName="work", MaximumRetryAttempts=2)
        functions.client.put_function_event_invoke_config(FunctionName="work", MaximumRetryAttempts=1)
        functions.client.update_function_event_invoke_config(FunctionName="work", MaximumEventAgeInSeconds=60)
        shown = functions.client.get_function_event_invoke_config(FunctionName="work")
        assert (shown["MaximumRetryAttempts"], shown["MaximumEventAgeInSeconds"]) == (1, 60)
