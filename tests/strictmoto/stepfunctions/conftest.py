"""State machines of strictmoto, over HTTP."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from strictmoto.account import Account

ROLE = "arn:aws:iam::123456789012:role/workflow"


@dataclass
class Workflows:
    """What a test does with state machines."""

    account: Account
    states: Any

    def create(self, definition: dict[str, Any], name: str = "workflow", **options: Any) -> str:
        text = json.dumps(definition)
        created = self.states.create_state_machine(name=name, definition=text, roleArn=ROLE, **options)
        return str(created["stateMachineArn"])

    def start(self, machine: str, given: Any = None, **options: Any) -> str:
        text = json.dumps({} if given is None else given)
        return str(self.states.start_execution(stateMachineArn=machine, input=text, **options)["executionArn"])

    def end(self, execution: str, seconds: float = 10) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.states.describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.02)
        raise AssertionError("the execution did not end")

    def run(self, definition: dict[str, Any], given: Any = None) -> dict[str, Any]:
        return self.end(self.start(self.create(definition), given))

    def output(self, definition: dict[str, Any], given: Any = None) -> Any:
        ended = self.run(definition, given)
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    def types(self, execution: str) -> list[str]:
        return [event["type"] for event in self.states.get_execution_history(executionArn=execution)["events"]]

    def until(self, execution: str, kind: str) -> None:
        deadline = time.monotonic() + 10
        while kind not in self.types(execution):
            assert time.monotonic() < deadline, f"no {kind}"
            time.sleep(0.02)


def machine(**states: Any) -> dict[str, Any]:
    """A definition that begins with the first of the states."""
    return {"StartAt": next(iter(states)), "States": states}


def task(resource: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
    state: dict[str, Any] = {"Type": "Task", "Resource": resource, **more}
    if parameters is not None:
        state["Parameters"] = parameters
    return state if "Next" in more else {**state, "End": True}


# Making a client takes longer than most tests.
@functools.cache
def states_of(account: Account) -> Any:
    return account.client("stepfunctions")


@pytest.fixture
def workflows(aws_account: Account) -> Workflows:
    aws_account.waits.scale = 0.01
    return Workflows(aws_account, states_of(aws_account))
