"""What a definition may be, before any of it runs.

Source: Step Functions API Reference, ValidateStateMachineDefinition and ValidateStateMachineDefinitionDiagnostic;
Amazon States Language specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.requests.documents import read_json
from strictmoto.stepfunctions import sdk

LONGEST: Final = 1_048_576
_TYPES: Final = ("Task", "Pass", "Wait", "Choice", "Parallel", "Map", "Succeed", "Fail")
_ENDS: Final = ("Succeed", "Fail")
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A fault of a definition.

    Attributes:
        code: one of AWS's codes.
        message: what is wrong.
        location: where, as a JSON pointer.
        severity: ERROR or WARNING.
    """

    code: str
    message: str
    location: str = ""
    severity: str = "ERROR"

    def as_dict(self) -> dict[str, str]:
        """Return it as the API does."""
        diagnostic = {"severity": self.severity, "code": self.code, "message": self.message}
        return {**diagnostic, "location": self.location} if self.location else diagnostic


def check(definition: str) -> list[Diagnostic]:
    """Return the faults of a definition."""
    if not definition:
        return [Diagnostic("MISSING_DESCRIPTION", "The definition is empty.")]
    try:
        machine = read_json(definition)
    except ValueError as error:
        return [Diagnostic("INVALID_JSON_DESCRIPTION", f"Invalid JSON description: {error}")]
    if not isinstance(machine, dict):
        return [Diagnostic("SCHEMA_VALIDATION_FAILED", "The definition must be an object")]
    faults = list(_machine(machine, "")) + list(_duplicates(machine))
    return faults or _grammar(definition)


def _grammar(definition: str) -> list[Diagnostic]:
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    try:
        AmazonStateLanguageParser.parse(definition)
    except Exception as error:
        # moto's interpreter raises all kinds of exceptions for what it does not understand.
        return [Diagnostic("SCHEMA_VALIDATION_FAILED", str(error))]
    return []


def _machine(machine: dict[str, Any], at: str) -> Iterator[Diagnostic]:
    if machine.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", _NO_JSONATA, f"{at}/QueryLanguage")
        return
    states = machine.get("States")
    if not isinstance(states, dict) or not states:
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", "These fields are required: [States]", at or "/")
        return
    start = machine.get("StartAt")
    if start is None:
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", "These fields are required: [StartAt]", at or "/")
    elif start not in states:
        yield Diagnostic("MISSING_TRANSITION_TARGET", f"Missing 'StartAt' target: {start}", f"{at}/StartAt")
    for name, state in states.items():
        yield from _state(name, state, states, f"{at}/States/{name}")
    if not any(state.get("End") is True or state.get("Type") in _ENDS for state in states.values() if _is(state)):
        yield Diagnostic("MISSING_END_STATE", "No terminal state was found", at or "/")
    for name in states:
        if start in states and name not in _reached(str(start), states):
            yield Diagnostic("MISSING_TRANSITION_TARGET", f'State "{name}" is not reachable.', f"{at}/States/{name}")


def _is(state: Any) -> bool:
    return isinstance(state, dict)


_NO_JSONATA: Final = "strictmoto runs JSONPath only; QueryLanguage JSONata is not supported here"


def _state(name: str, state: Any, states: dict[str, Any], at: str) -> Iterator[Diagnostic]:
    if not _is(state) or state.get("Type") not in _TYPES:
        found = state.get("Type") if _is(state) else state
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", f"Unknown state type: {found}", f"{at}/Type")
        return
    if len(name) > _LONGEST_NAME:
        yield Diagnostic("INVALID_STATE_NAME", "A state name has at most 80 characters", at)
    if state.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", _NO_JSONATA, f"{at}/QueryLanguage")
    kind = state["Type"]
    if kind not in (*_ENDS, "Choice") and ("Next" in state) == (state.get("End") is True):
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", "These fields are required: [End, Next], one of them", at)
    for field, target in _targets(state):
        if target not in states:
            yield Diagnostic("MISSING_TRANSITION_TARGET", f"Missing 'Next' target: {target}", f"{at}/{field}")
    if kind == "Task":
        yield from _task(state, at)
    for field, inner in _inner(state):
        yield from _machine(inner, f"{at}/{field}")


def _task(state: dict[str, Any], at: str) -> Iterator[Diagnostic]:
    resource = state.get("Resource")
    if not isinstance(resource, str):
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", "These fields are required: [Resource]", at)
        return
    parts = resource.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        yield Diagnostic("INVALID_RESOURCE", f"Value is not a valid resource ARN: {resource}", f"{at}/Resource")
        return
    if parts[2:3] + parts[5:6] != ["states", "aws-sdk"]:
        return
    api, action = (*parts[6:8], "")[:2]
    found = sdk.operation(api, action.partition(".")[0])
    if found is None:
        said = f"The resource provided {resource} is not recognized."
        yield Diagnostic("INVALID_RESOURCE", said, f"{at}/Resource")
        return
    given = {field.removesuffix(".$") for field in state.get("Parameters") or {}}
    for field in sdk.unknown_fields(given, found.input_shape):
        said = f'The field "{field}" is not supported by Step Functions'
        yield Diagnostic("SCHEMA_VALIDATION_FAILED", said, f"{at}/Parameters")


def _targets(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for position, rule in enumerate(state.get(field) or ()):
            if _is(rule) and "Next" in rule:
                yield f"{field}[{position}]/Next", rule["Next"]


def _inner(state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for position, branch in enumerate(state.get("Branches") or ()):
        yield f"Branches[{position}]", branch
    for field in ("ItemProcessor", "Iterator"):
        if _is(state.get(field)):
            yield field, state[field]


def _reached(start: str, states: dict[str, Any]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached and _is(states.get(name)):
            reached.add(name)
            waiting += [target for _, target in _targets(states[name])]
    return reached


def _names(machine: dict[str, Any]) -> Iterator[str]:
    states = machine.get("States")
    for name, state in states.items() if _is(states) else ():  # type: ignore[union-attr]
        yield name
        if _is(state):
            for _, inner in _inner(state):
                yield from _names(inner)


def _duplicates(machine: dict[str, Any]) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for name in _names(machine):
        if name in seen:
            yield Diagnostic("DUPLICATE_STATE_NAME", f"The state name {name!r} is used more than once")
        seen.add(name)
