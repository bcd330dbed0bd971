"""What the tests of functions share: zips made of text, functions, and waiting."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from strictmoto.account import Account
from tests.strictmoto.trusting import TRUST


def zipped(files: Mapping[str, str] | str) -> bytes:
    """A zip of files by their names; of app.py where only text is given."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in ({"app.py": files} if isinstance(files, str) else files).items():
            archive.writestr(name, text)
    return made.getvalue()


def until(done: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `done` returns as soon as it is something."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)
    return found


@dataclass
class Result:
    """What an invocation returned."""

    answer: dict[str, Any]
    payload: Any = field(init=False)

    def __post_init__(self) -> None:
        text = self.answer["Payload"].read()
        self.payload = json.loads(text) if text else None

    @property
    def error(self) -> str | None:
        found: str | None = self.answer.get("FunctionError")
        return found


@dataclass
class Lambda:
    """Functions of an account."""

    account: Account

    def __post_init__(self) -> None:
        self.client = self.account.client("lambda")
        self.iam = self.account.client("iam")
        self.sqs = self.account.client("sqs")
        self.role = str(self.iam.create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"])

    def allow(self, *actions: str) -> None:
        """Let the functions' role do something."""
        document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": "*"}}
        self.iam.put_role_policy(RoleName="function", PolicyName=actions[0][:3], PolicyDocument=json.dumps(document))

    def create(self, code: Mapping[str, str] | str, name: str = "work", **options: Any) -> str:
        given = {"Runtime": "python3.12", "Handler": "app.handler", "Role": self.role, **options}
        made = self.client.create_function(FunctionName=name, **{"Code": {"ZipFile": zipped(code)}, **given})
        return str(made["FunctionArn"])

    def invoke(self, event: Any = None, name: str = "work", **options: Any) -> Result:
        return Result(self.client.invoke(FunctionName=name, Payload=json.dumps(event or {}), **options))

    def queue(self, name: str, **attributes: str) -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def receive(self, url: str) -> dict[str, Any]:
        """The next message of a queue, within some seconds."""

        def read() -> Any:
            return self.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")

        found: dict[str, Any] = until(read)[0]
        return found

    def log(self, name: str = "work") -> list[str]:
        """All lines that a function has logged."""
        logs = self.account.client("logs")
        group = f"/aws/lambda/{name}"
        return [
            event["message"]
            for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]
