"""Asynchronous invocations: retries, dead letters, destinations, and who may begin them."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.lambda_ import may_invoke, send
from strictmoto.lambda_.background import in_hand
from tests.strictmoto.lambda_.functions import Lambda, until

NOTE = """
import time
def handler(event, context):
    with open({notes!r}, "a") as notes:
        print(context.aws_request_id, file=notes)
    if event.get("fail"):
        raise ValueError("on purpose")
    return {{"done": event}}
"""


def noted(notes: Path) -> list[str]:
    return notes.read_text().split() if notes.exists() else []


def statement(functions: Lambda, name: str = "work", **given: str) -> None:
    given = {"Principal": "events.amazonaws.com", "StatementId": "one", **given}
    functions.client.add_permission(FunctionName=name, Action="lambda:InvokeFunction", **given)


class TestRetries:
    def test_when_an_event_is_sent_then_it_is_accepted_at_once_and_handled_later(
        self, functions: Lambda, notes: Path
    ) -> None:
        functions.create(NOTE.format(notes=str(notes)))
        answer = functions.invoke(InvocationType="Event").answer
        assert answer["StatusCode"] == 202
        assert until(lambda: noted(notes)) == [answer["ResponseMetadata"]["RequestId"]]

    def test_when_a_function_fails_then_its_event_is_tried_twice_again_with_the_same_id(
        self, functions: Lambda, notes: Path, waited: list[tuple[float, float]]
    ) -> None:
        functions.account.waits.scale = 0.002
        functions.create(NOTE.format(notes=str(notes)))
        functions.invoke({"fail": True}, InvocationType="Event")
        until(lambda: len(noted(notes)) == 3)
        assert [seconds for seconds, _lasts in waited] == [60, 120]
        time.sleep(0.3)
        assert len(noted(notes)) == 3
        assert len(set(noted(notes))) == 1

    def test_when_a_function_will_be_tried_again_then_its_event_is_in_hand(
        self, functions: Lambda, notes: Path
    ) -> None:
        functions.account.waits.scale = 0.002
        functions.create(NOTE.format(notes=str(notes)))
        functions.invoke({"fail": True}, InvocationType="Event")
        assert in_hand() == {"work"}
        until(lambda: not in_hand())
        assert len(noted(notes)) == 3

    def test_when_no_retries_are_configured_then_there_is_none(self, functions: Lambda, notes: Path) -> None:
        functions.account.waits.scale = 0.001
        functions.create(NOTE.format(notes=str(notes)))
        functions.client.put_function_event_invoke_config(FunctionName="work", MaximumRetryAttempts=0)
        functions.invoke({"fail": True}, InvocationType="Event")
        until(lambda: noted(notes))
        time.sleep(0.3)
        assert len(noted(notes)) == 1

    def test_when_a_function_is_throttled_then_its_events_wait(self, functions: Lambda, notes: Path) -> None:
        functions.account.waits.scale = 0.05
        functions.create(NOTE.format(notes=str(notes)))
        functions.client.put_function_concurrency(FunctionName="work", ReservedConcurrentExecutions=0)
        functions.invoke(InvocationType="Event")
        time.sleep(0.2)
        assert not noted(notes)
        functions.client.delete_function_concurrency(FunctionName="work")
        until(lambda: noted(notes))

    def test_when_the_account_is_reset_then_waiting_events_are_forgotten(self, functions: Lambda, notes: Path) -> None:
        functions.account.waits.scale = 0.01
        functions.create(NOTE.format(notes=str(notes)))
        functions.invoke({"fail": True}, InvocationType="Event")
        until(lambda: noted(notes))
        functions.account.reset()
        time.sleep(0.8)
        assert len(noted(notes)) == 1


class TestDestinations:
    def test_when_all_attempts_fail_then_the_dead_letter_queue_has_the_event(
        self, functions: Lambda, notes: Path
    ) -> None:
        functions.account.waits.scale = 0.0005
        url, arn = functions.queue("dead")
        functions.create(NOTE.format(notes=str(notes)), DeadLetterConfig={"TargetArn": arn})
        functions.invoke({"fail": "always"}, InvocationType="Event")
        message = functions.receive(url)
        assert json.loads(message["Body"]) == {"fail": "always"}
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        assert attributes == {"RequestID": noted(notes)[0], "ErrorCode": "200", "ErrorMessage": "on purpose"}

    def test_when_all_attempts_fail_then_the_destination_has_a_record(self, functions: Lambda, notes: Path) -> None:
        functions.account.waits.scale = 0.0005
        url, queue = functions.queue("failures")
        arn = functions.create(NOTE.format(notes=str(notes)))
        functions.client.put_function_event_invoke_config(
            FunctionName="work",
            MaximumRetryAttempts=1,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        functions.invoke({"fail": 1}, InvocationType="Event")
        record = json.loads(functions.receive(url)["Body"])
        assert record.pop("timestamp").endswith("Z")
        assert record.pop("responsePayload")["errorMessage"] == "on purpose"
        assert record == {
            "version": "1.0",
            "requestContext": {
                "requestId": noted(notes)[0],
                "functionArn": f"{arn}:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 2,
            },
            "requestPayload": {"fail": 1},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        }

    def test_when_an_event_gets_too_old_then_the_record_says_so(self, functions: Lambda) -> None:
        functions.account.waits.scale = 0.002
        url, queue = functions.queue("failures")
        functions.create("def handler(event, context): ...\n")
        functions.client.put_function_concurrency(FunctionName="work", ReservedConcurrentExecutions=0)
        functions.client.put_function_event_invoke_config(
            FunctionName="work",
            MaximumEventAgeInSeconds=60,
            DestinationConfig={"OnFailure": {"Destination": queue}},
        )
        functions.invoke(InvocationType="Event")
        context = json.loads(functions.receive(url)["Body"])["requestContext"]
        assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 0)

    def test_when_a_function_succeeds_then_the_next_one_has_a_record(self, functions: Lambda, notes: Path) -> None:
        code = "import json\ndef handler(event, context):\n    json.dump(event, open({notes!r}, 'w'))\n"
        after = functions.create(code.format(notes=str(notes)), name="after")
        functions.create("def handler(event, context):\n    return 'fine'\n")
        functions.client.put_function_event_invoke_config(
            FunctionName="work", DestinationConfig={"OnSuccess": {"Destination": after}}
        )
        functions.invoke({"a": 1}, InvocationType="Event")
        record = json.loads(until(lambda: notes.exists() and notes.read_text()))
        assert (record["requestPayload"], record["responsePayload"]) == ({"a": 1}, "fine")
        assert record["requestContext"]["condition"] == "Success"

    def test_when_the_destination_is_a_bucket_then_an_object_has_the_record(self, functions: Lambda) -> None:
        """Under the name of the function and the day."""
        functions.account.waits.scale = 0.0005
        s3 = functions.account.client("s3")
        s3.create_bucket(Bucket="failures", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        functions.create("def handler(event, context): raise ValueError('on purpose')")
        functions.client.put_function_event_invoke_config(
            FunctionName="work",
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
        )
        functions.invoke({"fail": 1}, InvocationType="Event")
        [kept] = until(lambda: s3.list_objects_v2(Bucket="failures").get("Contents"))
        assert re.fullmatch(r"aws/lambda/async/work/\d{4}/\d\d/\d\d/[\d-]+T[\d.]+-[0-9a-f-]{36}", kept["Key"])
        record = json.load(s3.get_object(Bucket="failures", Key=kept["Key"])["Body"])
        assert (record["requestPayload"], record["requestContext"]["condition"]) == ({"fail": 1}, "RetriesExhausted")

    def test_when_a_destination_is_invoked_then_the_call_is_made_as_the_functions_role(self, functions: Lambda) -> None:
        topic = functions.account.client("sns").create_topic(Name="results")["TopicArn"]
        functions.create("def handler(event, context): ...\n")
        functions.client.put_function_event_invoke_config(
            FunctionName="work", DestinationConfig={"OnSuccess": {"Destination": topic}}
        )
        functions.invoke(InvocationType="Event")
        [record] = until(lambda: functions.account.recorder.records(service="sns", action="Publish"))
        assert record.call.access_key.startswith("ASIA")


class TestPermissions:
    @pytest.mark.parametrize(
        ("given", "source", "allowed"),
        [
            ({}, "arn:aws:events:eu-central-1:123456789012:rule/a", True),
            ({"SourceArn": "arn:aws:events:eu-central-1:123456789012:rule/*"}, None, True),
            ({"SourceArn": "arn:aws:events:eu-central-1:123456789012:rule/b"}, None, False),
            ({"SourceArn": "arn:aws:events:*:123456789012:rule/?"}, None, True),
            ({"SourceAccount": "123456789012"}, None, True),
            ({"SourceAccount": "999999999999"}, None, False),
            ({"Principal": "sns.amazonaws.com"}, None, False),
        ],
    )
    def test_when_a_service_asks_then_the_functions_policy_decides(
        self, functions: Lambda, given: dict[str, str], source: str | None, allowed: bool
    ) -> None:
        arn = functions.create("")
        statement(functions, **given)
        rule = source or "arn:aws:events:eu-central-1:123456789012:rule/a"
        assert may_invoke(arn, "events.amazonaws.com", rule) is allowed

    def test_when_a_permission_is_an_alias_own_then_it_is_not_the_functions(self, functions: Lambda) -> None:
        arn = functions.create("")
        functions.client.publish_version(FunctionName="work")
        functions.client.create_alias(FunctionName="work", Name="live", FunctionVersion="1")
        statement(functions, Qualifier="live")
        rule = "arn:aws:events:eu-central-1:123456789012:rule/a"
        assert may_invoke(f"{arn}:live", "events.amazonaws.com", rule)
        assert not may_invoke(arn, "events.amazonaws.com", rule)

    def test_when_a_permission_is_missing_then_nothing_is_sent(self, functions: Lambda, notes: Path) -> None:
        arn = functions.create(NOTE.format(notes=str(notes)))
        rule = "arn:aws:events:eu-central-1:123456789012:rule/a"
        assert not send(arn, b"{}", principal="events.amazonaws.com", source_arn=rule)
        statement(functions)
        assert send(arn, b"{}", principal="events.amazonaws.com", source_arn=rule)
        until(lambda: len(noted(notes)) == 1)


class TestTopics:
    def subscribed(self, functions: Lambda, notes: Path) -> str:
        code = "import json\ndef handler(event, context):\n    json.dump(event, open({notes!r}, 'w'))\n"
        arn = functions.create(code.format(notes=str(notes)))
        sns = functions.account.client("sns")
        topic = str(sns.create_topic(Name="alarms")["TopicArn"])
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
        return topic

    def publish(self, functions: Lambda, topic: str) -> str:
        attributes = {"kind": {"DataType": "String", "StringValue": "test"}}
        return str(
            functions.account.client("sns").publish(
                TopicArn=topic, Message="fire", Subject="now", MessageAttributes=attributes
            )["MessageId"]
        )

    def test_when_a_message_is_published_then_the_function_has_it(self, functions: Lambda, notes: Path) -> None:
        topic = self.subscribed(functions, notes)
        statement(functions, Principal="sns.amazonaws.com", SourceArn=topic)
        message_id = self.publish(functions, topic)
        [record] = json.loads(until(lambda: notes.exists() and notes.read_text()))["Records"]
        sent: dict[str, Any] = record["Sns"]
        assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
        assert (sent["TopicArn"], sent["MessageId"]) == (topic, message_id)
        assert (sent["Message"], sent["Subject"]) == ("fire", "now")
        assert sent["MessageAttributes"] == {"kind": {"Type": "String", "Value": "test"}}

    def test_fails_when_the_topic_may_not_invoke_the_function(self, functions: Lambda, notes: Path) -> None:
        self.publish(functions, self.subscribed(functions, notes))
        time.sleep(0.3)
        assert not notes.exists()


def test_fails_when_an_event_is_no_json(functions: Lambda) -> None:
    functions.create("")
    with pytest.raises(ClientError, match="Could not parse request body into json"):
        functions.client.invoke(FunctionName="work", InvocationType="Event", Payload=b"{")
