"""What services refuse whoever asks: parameters that their models do not allow, and what their documents rule out."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from strictmoto.account import REGION, Account
from strictmoto.call_rules.constraints import refusal_of_constraints
from strictmoto.iam.public import is_public
from strictmoto.requests.calls import Call, operation_named
from strictmoto.s3.digests import refusal_of_digests
from tests.strictmoto.test_readings import JSON, ask

HERE: Final = "123456789012"
ROLE: Final = f"arn:aws:iam::{HERE}:role/worker"
PATTERN: Final = json.dumps({"source": ["northwind"]})
MD5: Final = base64.b64encode(hashlib.md5(b"others").digest()).decode()
# What a service says of a value that its model does not allow.
BROKEN: Final = "1 validation error detected: Value {} failed to satisfy constraint: Member must {}"


def unchecked(account: Account, service: str) -> Any:
    """A client that sends what it is given."""
    keys = account.credentials
    return boto3.client(
        service,
        REGION,
        endpoint_url=account.endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def refusal(call: Callable[..., Any], **given: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as raised:
        call(**given)
    answer: Any = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def packed(name: str = "answer.py") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(name, "def handle(event, context): return event")
    return held.getvalue()


@pytest.fixture
def functions(aws_account: Account) -> Any:
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    aws_account.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=policy(trusted))
    return unchecked(aws_account, "lambda")


def create(functions: Any, **given: Any) -> Any:
    made = {"FunctionName": "answer", "Runtime": "python3.12", "Role": ROLE, "Handler": "answer.handle"}
    return functions.create_function(**{**made, "Code": {"ZipFile": packed()}, **given})


class TestFunctions:
    @pytest.mark.parametrize(
        ("given", "code", "message"),
        [
            (
                {"Timeout": 901},
                "ValidationException",
                BROKEN.format("'901' at 'timeout'", "have value less than or equal to 900"),
            ),
            (
                {"Timeout": 0},
                "ValidationException",
                BROKEN.format("'0' at 'timeout'", "have value greater than or equal to 1"),
            ),
            (
                {"MemorySize": 64},
                "ValidationException",
                BROKEN.format("'64' at 'memorySize'", "have value greater than or equal to 128"),
            ),
            (
                {"MemorySize": 10_241},
                "ValidationException",
                BROKEN.format("'10241' at 'memorySize'", "have value less than or equal to 10240"),
            ),
            ({"FunctionName": "a b"}, "ValidationException", "regular expression pattern"),
            ({"Role": None}, "ValidationException", BROKEN.format("null at 'role'", "not be null")),
            ({"Runtime": "python9"}, "InvalidParameterValueException", "Value python9 at 'runtime'"),
            ({"Handler": None}, "InvalidParameterValueException", "Runtime and Handler are mandatory"),
            (
                {"Environment": {"Variables": {"AWS_REGION": "x"}}},
                "InvalidParameterValueException",
                "Reserved keys used in this request: AWS_REGION",
            ),
            (
                {"Environment": {"Variables": {"TEXT": "x" * 4096}}},
                "InvalidParameterValueException",
                "exceeded the 4KB limit",
            ),
            ({"Environment": {"Variables": {"1-A": "x"}}}, "ValidationException", "'environment.variables.1-A.key'"),
            ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "Could not unzip uploaded file"),
        ],
    )
    def test_fails_when_a_function_cannot_be(self, functions: Any, given: Any, code: str, message: str) -> None:
        status, said, text = refusal(lambda: create(functions, **given))
        assert (status, said) == (400, code)
        assert message in text

    def test_fails_when_a_function_is_changed_so(self, functions: Any) -> None:
        create(functions)
        name = {"FunctionName": "answer"}
        assert refusal(functions.update_function_configuration, **name, Timeout=901)[1] == "ValidationException"
        reserved = {"Variables": {"AWS_REGION": "x"}}
        said = refusal(functions.update_function_configuration, **name, Environment=reserved)[1]
        assert said == "InvalidParameterValueException"
        assert refusal(functions.update_function_code, **name, ZipFile=b"no zip")[1] == "InvalidParameterValueException"
        # It is as it was.
        assert functions.get_function(**name)["Configuration"]["CodeSize"] == len(packed())

    def test_fails_when_code_in_a_bucket_or_a_layer_is_no_zip(self, aws_account: Account, functions: Any) -> None:
        s3 = aws_account.client("s3")
        s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="code", Key="x", Body=b"no zip")
        stored = {"S3Bucket": "code", "S3Key": "x"}
        assert refusal(lambda: create(functions, Code=stored))[1] == "InvalidParameterValueException"
        said = refusal(functions.publish_layer_version, LayerName="layer", Content={"ZipFile": b"no zip"})[1]
        assert said == "InvalidParameterValueException"

    def test_when_values_are_at_their_ends_then_they_are_taken(self, functions: Any) -> None:
        create(functions, Timeout=900, MemorySize=10_240)
        create(functions, FunctionName="small", Timeout=1, MemorySize=128)
        assert functions.get_function(FunctionName="answer")["Configuration"]["Timeout"] == 900

    def test_fails_when_a_permission_has_the_id_of_another(self, functions: Any) -> None:
        create(functions)
        functions.publish_version(FunctionName="answer")
        given = {
            "FunctionName": "answer",
            "StatementId": "rule",
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
        }
        functions.add_permission(**given)
        status, code, message = refusal(functions.add_permission, **given)
        assert (status, code) == (409, "ResourceConflictException")
        assert message.startswith("The statement id (rule) provided already exists.")
        # Each version has a policy of its own.
        functions.add_permission(**given, Qualifier="1")
        functions.remove_permission(FunctionName="answer", StatementId="rule")


class TestQueues:
    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("DelaySeconds", ("-1", "901", "x")),
            ("KmsDataKeyReusePeriodSeconds", ("59", "86401")),
            ("MaximumMessageSize", ("1023", "1048577")),
            ("MessageRetentionPeriod", ("59", "1209601")),
            ("ReceiveMessageWaitTimeSeconds", ("21",)),
            ("VisibilityTimeout", ("43201", "²")),
            ("ContentBasedDeduplication", ("perhaps",)),
        ],
    )
    def test_fails_when_an_attribute_is_out_of_its_range(
        self, aws_account: Account, name: str, values: tuple[str, ...]
    ) -> None:
        queues = unchecked(aws_account, "sqs")
        url = queues.create_queue(QueueName="queue")["QueueUrl"]
        for value in values:
            refused = (400, "InvalidAttributeValue", f"Invalid value for the parameter {name}.")
            assert refusal(queues.set_queue_attributes, QueueUrl=url, Attributes={name: value}) == refused
            assert refusal(queues.create_queue, QueueName="other", Attributes={name: value}) == refused

    def test_when_attributes_are_at_their_ends_then_they_are_taken(self, aws_account: Account) -> None:
        queues = unchecked(aws_account, "sqs")
        ends = {
            "DelaySeconds": "900",
            "MaximumMessageSize": "1048576",
            "MessageRetentionPeriod": "1209600",
            "ReceiveMessageWaitTimeSeconds": "20",
            "VisibilityTimeout": "43200",
        }
        url = queues.create_queue(QueueName="queue", Attributes=ends)["QueueUrl"]
        kept = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert {name: kept[name] for name in ends} == ends
        queues.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0", "Policy": "", "RedrivePolicy": ""})

    def test_fails_when_an_attribute_is_unknown(self, aws_account: Account) -> None:
        queues = unchecked(aws_account, "sqs")
        url = queues.create_queue(QueueName="queue")["QueueUrl"]
        said = refusal(queues.set_queue_attributes, QueueUrl=url, Attributes={"Colour": "red"})
        assert said == (400, "InvalidAttributeName", "Unknown Attribute Colour.")

    @pytest.mark.parametrize(
        ("body", "code"), [("", "MissingParameter"), ("a\x01", "InvalidMessageContents"), ("\ufffe", "InvalidMessage")]
    )
    def test_fails_when_a_message_cannot_be(self, aws_account: Account, body: str, code: str) -> None:
        queues = unchecked(aws_account, "sqs")
        url = queues.create_queue(QueueName="queue")["QueueUrl"]
        assert refusal(queues.send_message, QueueUrl=url, MessageBody=body)[1].startswith(code)
        entries = [{"Id": "1", "MessageBody": body}]
        assert refusal(queues.send_message_batch, QueueUrl=url, Entries=entries)[1].startswith(code)
        text = "tab\tline\n\r end \ud7ff\ue000\ufffd\U0001f4e6"
        queues.send_message(QueueUrl=url, MessageBody=text)
        assert queues.receive_message(QueueUrl=url)["Messages"][0]["Body"] == text


class TestTopics:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"Message": ""}, "Empty message"),
            ({"Message": "x", "Subject": "a\nb"}, "Subject"),
            ({"Message": "x", "Subject": "s" * 101}, "Subject"),
            ({"Message": "x", "MessageStructure": "json"}, "Message Structure - JSON message body failed to parse"),
            (
                {"Message": '{"sqs": "x"}', "MessageStructure": "json"},
                "Message Structure - No default entry in JSON message body",
            ),
            ({"Message": "x", "MessageStructure": "xml"}, "Invalid Message Structure parameter"),
        ],
    )
    def test_fails_when_a_message_cannot_be(self, aws_account: Account, given: Any, message: str) -> None:
        topics = unchecked(aws_account, "sns")
        arn = topics.create_topic(Name="alarms")["TopicArn"]
        refused = (400, "InvalidParameter", f"Invalid parameter: {message}")
        assert refusal(topics.publish, TopicArn=arn, **given) == refused
        entries = [{"Id": "1", **given}]
        assert refusal(topics.publish_batch, TopicArn=arn, PublishBatchRequestEntries=entries) == refused

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"Protocol": "pigeon", "Endpoint": "x"}, "Does not support this protocol string: pigeon"),
            ({"Protocol": "https", "Endpoint": "http://x"}, "Endpoint must match the specified protocol"),
            ({"Protocol": "sqs", "Endpoint": "x"}, "Endpoint"),
            ({"Protocol": "email", "Endpoint": "x"}, "Endpoint"),
            (
                {
                    "Protocol": "sqs",
                    "Endpoint": f"arn:aws:sqs:{REGION}:{HERE}:queue",
                    "Attributes": {"FilterPolicy": "x"},
                },
                "FilterPolicy: failed to parse JSON. ",
            ),
        ],
    )
    def test_fails_when_a_subscription_cannot_be(self, aws_account: Account, given: Any, message: str) -> None:
        topics = unchecked(aws_account, "sns")
        arn = topics.create_topic(Name="alarms")["TopicArn"]
        said = refusal(topics.subscribe, TopicArn=arn, **given)
        assert said == (400, "InvalidParameter", f"Invalid parameter: {message}")
        assert topics.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []

    def test_fails_when_an_attribute_is_unknown(self, aws_account: Account) -> None:
        topics = unchecked(aws_account, "sns")
        given = {"TopicArn": topics.create_topic(Name="alarms")["TopicArn"], "AttributeValue": "x"}
        said = refusal(topics.set_topic_attributes, AttributeName="Colour", **given)
        assert said == (400, "InvalidParameter", "Invalid parameter: AttributeName")
        topics.set_topic_attributes(AttributeName="SQSSuccessFeedbackSampleRate", **{**given, "AttributeValue": "5"})

    def test_when_a_message_is_for_protocols_then_it_is_published(self, aws_account: Account) -> None:
        topics = unchecked(aws_account, "sns")
        arn = topics.create_topic(Name="alarms")["TopicArn"]
        topics.publish(TopicArn=arn, Message='{"default": "x", "sqs": "y"}', MessageStructure="json", Subject="s" * 100)


class TestTargetsOfRules:
    def test_fails_when_a_rule_would_have_a_sixth_target(self, aws_account: Account) -> None:
        events = unchecked(aws_account, "events")
        events.put_rule(Name="rule", EventPattern=PATTERN)

        def put(*numbers: int) -> Any:
            arn = f"arn:aws:sqs:{REGION}:{HERE}:queue"
            return events.put_targets(Rule="rule", Targets=[{"Id": str(number), "Arn": arn} for number in numbers])

        put(1, 2, 3)
        assert refusal(lambda: put(4, 5, 6))[:2] == (400, "LimitExceededException")
        put(1, 4, 5)
        assert refusal(lambda: put(6))[1] == "LimitExceededException"
        assert len(events.list_targets_by_rule(Rule="rule")["Targets"]) == 5

    @pytest.mark.parametrize(
        ("arn", "message"),
        [
            (f"arn:aws:states:{REGION}:{HERE}:stateMachine:capture", "RoleArn is required for target {}."),
            (f"arn:aws:kinesis:{REGION}:{HERE}:stream/packets", "RoleArn is required for target {}."),
            ("arn:aws:sqs:mars-1:1:x", "Parameter {} is not valid. Reason: Provided Arn is not in correct format."),
            ("queue", "Parameter {} is not valid. Reason: Provided Arn is not in correct format."),
        ],
    )
    def test_fails_when_a_target_cannot_be(self, aws_account: Account, arn: str, message: str) -> None:
        events = unchecked(aws_account, "events")
        events.put_rule(Name="rule", EventPattern=PATTERN)
        said = refusal(events.put_targets, Rule="rule", Targets=[{"Id": "1", "Arn": arn}])
        assert said == (400, "ValidationException", message.format(arn))

    @pytest.mark.parametrize(
        ("resource", "role"),
        [
            ("firehose:{}:deliverystream/packets", "write"),
            ("kinesis:{}:stream/packets", "write"),
            ("ecs:{}:cluster/work", "run"),
            ("events:{}:api-destination/siem/1", "call"),
            ("execute-api:{}:api/prod/POST/alerts", ""),
            ("states:{}:activity:capture", "run"),
            ("ssm:{}:document/isolate", "run"),
        ],
    )
    def test_fails_when_the_account_could_not_deliver(self, aws_account: Account, resource: str, role: str) -> None:
        arn = f"arn:aws:{resource.format(f'{REGION}:{HERE}')}"
        events, scheduler = unchecked(aws_account, "events"), unchecked(aws_account, "scheduler")
        trust = {"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "scheduler.amazonaws.com"]}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]})
        made = aws_account.client("iam").create_role(RoleName="send", AssumeRolePolicyDocument=document)
        send = made["Role"]["Arn"]
        events.put_rule(Name="rule", EventPattern=PATTERN)
        target = {"Arn": arn, **({"RoleArn": send} if role else {})}
        status, code, message = refusal(events.put_targets, Rule="rule", Targets=[{"Id": "1", **target}])
        assert (status, code) == (400, "ValidationException")
        assert message.startswith(f"strictmoto cannot deliver to {arn}: ")
        assert events.list_targets_by_rule(Rule="rule")["Targets"] == []
        said = refusal(
            scheduler.create_schedule,
            Name="one",
            ScheduleExpression="rate(1 hour)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn, "RoleArn": send},
        )
        assert said == (400, "ValidationException", message)


class TestConstraints:
    @pytest.mark.parametrize(
        ("service", "call", "code", "message"),
        [
            (
                "events",
                lambda events: events.put_rule(Name="a b", EventPattern=PATTERN),
                "ValidationException",
                BROKEN.format("'a b' at 'name'", r"satisfy regular expression pattern: [\.\-_A-Za-z0-9]+"),
            ),
            (
                "events",
                lambda events: events.put_targets(Rule="rule", Targets=[]),
                "ValidationException",
                BROKEN.format("'[]' at 'targets'", "have length greater than or equal to 1"),
            ),
            (
                "kms",
                lambda kms: kms.schedule_key_deletion(KeyId=""),
                "ValidationException",
                BROKEN.format("'' at 'keyId'", "have length greater than or equal to 1"),
            ),
            (
                "secretsmanager",
                lambda secrets: secrets.create_secret(Name="n" * 513),
                "ValidationException",
                BROKEN.format(f"'{'n' * 513}' at 'name'", "have length less than or equal to 512"),
            ),
            (
                "logs",
                lambda logs: logs.create_log_group(logGroupName="a b"),
                "InvalidParameterException",
                BROKEN.format("'a b' at 'logGroupName'", r"satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"),
            ),
            (
                "scheduler",
                lambda scheduler: scheduler.create_schedule_group(Name="a b"),
                "ValidationException",
                BROKEN.format("'a b' at 'name'", "satisfy regular expression pattern: [0-9a-zA-Z-_.]+"),
            ),
        ],
    )
    def test_fails_when_a_model_does_not_allow_a_value(
        self, aws_account: Account, service: str, call: Callable[[Any], Any], code: str, message: str
    ) -> None:
        client = unchecked(aws_account, service)
        assert refusal(lambda: call(client)) == (400, code, message)

    def test_all_problems_are_in_one_error(self) -> None:
        parameters = {"Targets": [{"Id": "a b", "Arn": "x"}, {"Id": "1"}]}
        refused = refusal_of_constraints(Call("events", "PutTargets", REGION, "", parameters, "json", "events"))
        assert refused is not None
        assert refused.message == (
            "3 validation errors detected: "
            "Value null at 'rule' failed to satisfy constraint: Member must not be null; "
            "Value 'a b' at 'targets.1.member.id' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+; "
            "Value null at 'targets.2.member.arn' failed to satisfy constraint: Member must not be null"
        )

    def test_no_error_contains_a_secret(self) -> None:
        parameters = {"Name": "secret", "SecretString": "s" * 65_537}
        call = Call("secretsmanager", "CreateSecret", REGION, "", parameters, "json", "secretsmanager")
        refused = refusal_of_constraints(call)
        assert refused is not None
        assert "Value at 'secretString'" in refused.message
        assert "sss" not in refused.message


class TestTypes:
    @pytest.mark.parametrize(
        ("service", "target", "body", "message"),
        [
            (
                "dynamodb",
                "DynamoDB_20120810.DescribeTable",
                {"TableName": 5},
                "NUMBER_VALUE can not be converted to a String",
            ),
            (
                "dynamodb",
                "DynamoDB_20120810.GetItem",
                {"TableName": "t", "Key": {"id": {"N": 5}}},
                "NUMBER_VALUE can not be converted to a String",
            ),
            (
                "dynamodb",
                "DynamoDB_20120810.Scan",
                {"TableName": "t", "ConsistentRead": "yes"},
                "STRING_VALUE can not be converted to a Boolean",
            ),
            (
                "dynamodb",
                "DynamoDB_20120810.Scan",
                {"TableName": "t", "Limit": True},
                "TRUE_VALUE can not be converted to an Integer",
            ),
            (
                "sqs",
                "AmazonSQS.SendMessage",
                {"QueueUrl": "q", "MessageBody": ["x"]},
                "Start of list found where not expected",
            ),
            ("sqs", "AmazonSQS.ReceiveMessage", {"QueueUrl": "q", "MaxNumberOfMessages": "x"}, "STRING_VALUE"),
            ("kms", "TrentService.CreateKey", {"Tags": {"TagKey": "a"}}, "Start of structure or map found"),
            ("events", "AWSEvents.PutTargets", {"Rule": "rule", "Targets": [5]}, "Unexpected field type"),
            ("events", "AWSEvents.PutEvents", {"Entries": [5]}, "Unexpected field type"),
            ("states", "AWSStepFunctions.DescribeStateMachine", {"stateMachineArn": 5}, "NUMBER_VALUE"),
            ("lambda", "/2015-03-31/functions", {"FunctionName": "f", "Role": ROLE, "Timeout": "long"}, "STRING_VALUE"),
            ("scheduler", "/schedules/s", {"FlexibleTimeWindow": "OFF"}, "Unexpected field type"),
        ],
    )
    def test_fails_when_a_value_is_of_another_type(
        self, aws_account: Account, service: str, target: str, body: Any, message: str
    ) -> None:
        path = target if target.startswith("/") else "/"
        headers = JSON if path != "/" else JSON | {"X-Amz-Target": target}
        answer = ask(aws_account, service, "POST", path, headers, json.dumps(body).encode())
        said = json.loads(answer.body)
        assert (answer.status, said["__type"]) == (400, "SerializationException")
        assert said["message"].startswith(message)

    def test_when_values_are_of_other_forms_of_their_type_then_they_are_taken(self, aws_account: Account) -> None:
        tables = aws_account.client("dynamodb")
        key = {"AttributeName": "id", "KeyType": "HASH"}
        kind = {"AttributeName": "id", "AttributeType": "S"}
        tables.create_table(TableName="t", KeySchema=[key], AttributeDefinitions=[kind], BillingMode="PAY_PER_REQUEST")
        headers = JSON | {"X-Amz-Target": "DynamoDB_20120810.Scan"}
        # What is null is absent, and what no model names is passed over.
        body = json.dumps({"TableName": "t", "Limit": 5.0, "IndexName": None, "Colour": 5}).encode()
        assert ask(aws_account, "dynamodb", "POST", "/", headers, body).status == 200


class TestDigests:
    @pytest.fixture
    def s3(self, aws_account: Account) -> Any:
        client = unchecked(aws_account, "s3")
        client.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": REGION})
        return client

    @pytest.mark.parametrize(
        ("given", "code", "message"),
        [
            ({"ContentMD5": MD5}, "BadDigest", "The Content-MD5 you specified did not match what we received."),
            ({"ContentMD5": "eA=="}, "InvalidDigest", "The Content-MD5 you specified was invalid."),
            ({"ContentMD5": "?"}, "InvalidDigest", "The Content-MD5 you specified was invalid."),
            (
                {"ChecksumCRC32": "AAAAAA=="},
                "BadDigest",
                "The CRC32 you specified did not match the calculated checksum.",
            ),
            ({"ChecksumSHA256": "x"}, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid."),
            ({"ChecksumCRC64NVME": "AAAA"}, "InvalidRequest", "Value for x-amz-checksum-crc64nvme header is invalid."),
        ],
    )
    def test_fails_when_a_body_is_not_what_its_digest_says(
        self, s3: Any, given: dict[str, str], code: str, message: str
    ) -> None:
        assert refusal(s3.put_object, Bucket="evidence", Key="capture", Body=b"packets", **given) == (
            400,
            code,
            message,
        )
        assert s3.list_objects_v2(Bucket="evidence")["KeyCount"] == 0

    @pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
    def test_when_a_digest_is_right_then_the_object_is_kept(self, s3: Any, algorithm: str) -> None:
        s3.put_object(Bucket="evidence", Key="capture", Body=b"packets", ChecksumAlgorithm=algorithm)
        right = base64.b64encode(hashlib.md5(b"packets").digest()).decode()
        s3.put_object(Bucket="evidence", Key="other", Body=b"packets", ContentMD5=right)
        assert s3.get_object(Bucket="evidence", Key="capture")["Body"].read() == b"packets"
        # The checksum of a whole object is none of the body that completes it.
        upload = s3.create_multipart_upload(Bucket="evidence", Key="large", ChecksumAlgorithm=algorithm)["UploadId"]
        part = s3.upload_part(
            Bucket="evidence", Key="large", UploadId=upload, PartNumber=1, Body=b"p", ChecksumAlgorithm=algorithm
        )
        s3.complete_multipart_upload(
            Bucket="evidence",
            Key="large",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )

    def test_fails_when_a_trailer_says_otherwise(self) -> None:
        operation = operation_named("s3", "PutObject")
        headers = {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        body = b"4\r\npack\r\n3\r\nets\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n"
        right = base64.b64encode(zlib.crc32(b"packets").to_bytes(4, "big"))
        assert refusal_of_digests(operation, headers, body % right) is None
        refused = refusal_of_digests(operation, headers, body % b"AAAAAA==")
        assert refused is not None
        assert refused.code == "BadDigest"


class TestPublicPolicies:
    def test_fails_when_a_policy_lets_in_the_public_where_that_is_blocked(self, aws_account: Account) -> None:
        s3 = unchecked(aws_account, "s3")
        s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": REGION})
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::evidence/*",
        }
        public = policy(statement)
        s3.put_bucket_policy(Bucket="evidence", Policy=public)
        s3.delete_bucket_policy(Bucket="evidence")
        s3.put_public_access_block(
            Bucket="evidence", PublicAccessBlockConfiguration={"BlockPublicPolicy": True, "BlockPublicAcls": False}
        )
        status, code, message = refusal(s3.put_bucket_policy, Bucket="evidence", Policy=public)
        assert (status, code) == (403, "AccessDenied")
        assert "because public policies are prevented by the BlockPublicPolicy setting" in message
        assert refusal(s3.get_bucket_policy, Bucket="evidence")[1] == "NoSuchBucketPolicy"
        s3.put_bucket_policy(
            Bucket="evidence", Policy=policy({**statement, "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}})
        )

    @pytest.mark.parametrize(
        ("changed", "public"),
        [
            ({}, True),
            ({"Principal": {"AWS": ["*"]}}, True),
            ({"Principal": None, "NotPrincipal": {"AWS": ROLE}}, True),
            ({"Principal": {"AWS": ROLE}}, False),
            ({"Principal": {"Service": "logs.amazonaws.com"}}, False),
            ({"Effect": "Deny"}, False),
            ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
            ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
            ({"Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*"}}}, True),
            ({"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}, True),
            ({"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}}, True),
            ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
            ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/1"]}}}, True),
        ],
    )
    def test_a_policy_is_public_where_everyone_may(self, changed: dict[str, Any], public: bool) -> None:
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*", **changed}
        assert is_public(policy({name: value for name, value in statement.items() if value is not None})) is public


@pytest.mark.parametrize(("days", "kept"), [(8, None), (0, None), (7, 7), (3653, 3653)])
def test_when_log_events_are_kept_then_it_is_for_days_that_there_are(
    aws_account: Account, days: int, kept: int | None
) -> None:
    """Source: CloudWatch Logs API Reference, PutRetentionPolicy."""
    logs = aws_account.client("logs")
    logs.create_log_group(logGroupName="g")
    if kept is None:
        status, code, message = refusal(logs.put_retention_policy, logGroupName="g", retentionInDays=days)
        assert (status, code) == (400, "InvalidParameterException")
        assert f"'{days}' at 'retentionInDays'" in message
    else:
        logs.put_retention_policy(logGroupName="g", retentionInDays=days)
    [group] = logs.describe_log_groups()["logGroups"]
    assert group.get("retentionInDays") == kept


def test_fails_when_nothing_of_asynchronous_invocations_is_configured(aws_account: Account) -> None:
    """Source: Lambda API Reference, PutFunctionEventInvokeConfig."""
    put = aws_account.client("lambda").put_function_event_invoke_config
    status, code, message = refusal(put, FunctionName="work")
    assert (status, code) == (400, "InvalidParameterValueException")
    assert message == "You must specify at least one of error handling or destination setting."
    assert refusal(put, FunctionName="work", MaximumRetryAttempts=0)[1] == "ResourceNotFoundException"
