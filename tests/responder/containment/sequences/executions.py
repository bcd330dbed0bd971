"""The workflow as the stack deploys it, one state at a time: a test says what happens between any two, and within one.

Step Functions of the rehearsal account runs an execution in threads of its own, as AWS does. Here the same definition
is taken by hand. What the account knows of an execution stays true: it was started there, its task tokens are the
account's, and it has ended there when it has ended here.

Source: Amazon States Language specification; AWS Step Functions Developer Guide, "Handling errors in Step Functions
workflows". Only what the definition uses is here: any other field is refused.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.stepfunctions.parser.asl.eval.states import ContextObject

from strictmoto.stepfunctions import tokens
from tapstack.response import workflow

Event = dict[str, Any]
Handler = Callable[[Event, object], Any]

FUNCTIONS: Final = (*workflow.FUNCTIONS, *workflow.CONTAINMENT_FUNCTIONS)
DEFINITION: Final = workflow.definition({name: name for name in FUNCTIONS})
_INVOKE: Final = "arn:aws:states:::lambda:invoke"
_INVOKE_AND_WAIT: Final = f"{_INVOKE}.waitForTaskToken"
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "Pass": frozenset({"Type", "Parameters", "InputPath", "ResultPath", "Next"}),
    "Choice": frozenset({"Type", "Choices", "Default"}),
    "Wait": frozenset({"Type", "Seconds", "SecondsPath", "Next"}),
    "Task": frozenset(
        {"Type", "Resource", "Parameters", "ResultSelector", "ResultPath", "TimeoutSeconds", "TimeoutSecondsPath"}
        | {"Retry", "Catch", "Next"}
    ),
    "Succeed": frozenset({"Type"}),
    "Fail": frozenset({"Type", "Error", "Cause"}),
}


class Killed(BaseException):
    """The process of a function is no more."""


def handlers() -> dict[str, Handler]:
    """The functions that the workflow invokes, by name."""
    modules = {name: importlib.import_module(f"tapstack.responder.handlers.{name}") for name in FUNCTIONS}
    return {name: module.handler for name, module in modules.items()}


class Execution:
    """An execution, and where it stands.

    Attributes:
        name: its name.
        given: its input.
        state: the state that comes next, or that it waits in.
        due: until when it waits, in seconds of the clock; None while it does not.
        token: the task token that it waits for.
        status: as DescribeExecution has it.
    """

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        self.name, self.given = name, given
        self.state = str(DEFINITION["StartAt"])
        self.due: float | None = None
        self.token: str | None = None
        self.status = "RUNNING"
        self._data = given
        self._resumed: dict[str, Any] | None = None
        self._late = False
        self._wait_began = False
        self._attempts: Counter[tuple[str, int]] = Counter()

    @property
    def running(self) -> bool:
        return self.status == "RUNNING"

    @property
    def ready(self) -> bool:
        """Whether it goes on by itself now."""
        return self.running and self.due is None

    def hear(self, token: str, output: str) -> None:
        """Take what was sent for a token."""
        if self.running and token == self.token and not self._late:
            self._resumed, self.due = json.loads(output), None

    def pass_time(self, now: float) -> None:
        """End a wait whose time is up."""
        if self.running and self.due is not None and self.due <= now:
            self.due = None
            if self.token is not None:
                self._late = True
                tokens.find(self.token).close()

    def abort(self) -> None:
        """End it, wherever it is."""
        self._close_token()
        self.status, self.due = "ABORTED", None

    def advance(self, functions: Mapping[str, Handler], now: float) -> None:
        """Go on to the end of the next task, or to where it waits."""
        while self.running and self.due is None:
            state = DEFINITION["States"][self.state]
            unknown = set(state) - _FIELDS[state["Type"]]
            assert not unknown, f"{self.state} has {unknown}, which is not known here"
            match state["Type"]:
                case "Task":
                    self._task(state, functions, now)
                    return
                case "Wait":
                    if self._waited(state, now):
                        self._go(state["Next"])
                case "Succeed":
                    self.status = "SUCCEEDED"
                case "Fail":
                    self.status = "FAILED"
                case "Pass":
                    given = self._resolve(state["InputPath"]) if "InputPath" in state else self._data
                    result = self._filled(state["Parameters"]) if "Parameters" in state else given
                    self._put(state.get("ResultPath", "$"), result)
                    self._go(state["Next"])
                case "Choice":
                    self._go(next((one["Next"] for one in state["Choices"] if self._holds(one)), state["Default"]))

    def _waited(self, state: Mapping[str, Any], now: float) -> bool:
        """Begin a wait; True where it has ended."""
        if self._wait_began:
            self._wait_began = False
            return True
        self._wait_began = True
        self.due = now + (state["Seconds"] if "Seconds" in state else self._resolve(state["SecondsPath"]))
        return False

    def _task(self, state: Mapping[str, Any], functions: Mapping[str, Handler], now: float) -> None:
        waits = state["Resource"] == _INVOKE_AND_WAIT
        assert waits or state["Resource"] == _INVOKE
        if waits and self.token is not None:
            self._after_wait(state)
            return
        if waits:
            self.token = ContextObject({"StateMachine": {"Id": "steps"}}).update_task_token()  # type: ignore[typeddict-item]
            self._late, self._resumed = False, None
        invoked = self._filled(state["Parameters"])
        try:
            answer = functions[invoked["FunctionName"]](json.loads(json.dumps(invoked["Payload"])), None)
        except Killed:
            self._failed(state, "Runtime.ExitError", "the process ended")
        except Exception as error:
            failure = {"errorMessage": str(error), "errorType": type(error).__name__}
            self._failed(state, type(error).__name__, json.dumps(failure))
        else:
            if not waits:
                self._succeeded(state, {"Payload": json.loads(json.dumps(answer))})
            elif self._resumed is None:
                self.due = now + self._resolve(state["TimeoutSecondsPath"])

    def _after_wait(self, state: Mapping[str, Any]) -> None:
        if self._late:
            self._failed(state, "States.Timeout", "")
        else:
            self._close_token()
            self._succeeded(state, self._resumed)

    def _succeeded(self, state: Mapping[str, Any], result: Any) -> None:
        if "ResultSelector" in state:
            result = self._filled(state["ResultSelector"], result)
        self._put(state["ResultPath"], result)
        self._go(state["Next"])

    def _failed(self, state: Mapping[str, Any], error: str, cause: str) -> None:
        self._close_token()
        for number, retrier in enumerate(state["Retry"]):
            if error in retrier["ErrorEquals"]:
                if self._attempts[self.state, number] < retrier["MaxAttempts"]:
                    self._attempts[self.state, number] += 1
                    return
                break
        caught = next(one for one in state["Catch"] if {error, "States.ALL"} & set(one["ErrorEquals"]))
        self._put(caught["ResultPath"], {"Error": error, "Cause": cause})
        self._go(caught["Next"])

    def _go(self, state: str) -> None:
        for key in [key for key in self._attempts if key[0] == self.state]:
            del self._attempts[key]
        self.state = state

    def _close_token(self) -> None:
        if self.token is not None:
            tokens.find(self.token).close()
        self.token, self._resumed, self._late = None, None, False

    def _holds(self, choice: Mapping[str, Any]) -> bool:
        match {name: value for name, value in choice.items() if name not in ("Variable", "Next")}:
            case {"IsPresent": wanted}:
                return self._is_there(choice["Variable"]) is wanted
            case {"StringEquals": wanted} | {"BooleanEquals": wanted}:
                return bool(self._resolve(choice["Variable"]) == wanted)
            case other:
                raise AssertionError(f"a choice by {other} is not known here")

    def _is_there(self, path: str) -> bool:
        try:
            self._resolve(path)
        except KeyError:
            return False
        return True

    def _filled(self, template: Any, data: Any = None) -> Any:
        if not isinstance(template, dict):
            return template
        return {
            key.removesuffix(".$"): self._resolve(value, data) if key.endswith(".$") else self._filled(value, data)
            for key, value in template.items()
        }

    def _resolve(self, path: str, data: Any = None) -> Any:
        if path.startswith("States.JsonMerge("):
            first, second, deep = path.removeprefix("States.JsonMerge(").removesuffix(")").split(", ")
            assert deep == "false"
            return {**self._resolve(first), **self._resolve(second)}
        found = self._data if data is None else data
        if path.startswith("$$"):
            found = {"Execution": {"Input": self.given, "Name": self.name}, "Task": {"Token": self.token}}
        for name in path.lstrip("$").split(".")[1:]:
            found = found[name]
        return found

    def _put(self, path: str, result: Any) -> None:
        name = path.removeprefix("$").removeprefix(".")
        assert "." not in name, f"{path} is not known here"
        self._data = {**self._data, name: result} if name else result
