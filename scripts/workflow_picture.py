"""Draw a Step Functions definition as a Mermaid state diagram: one box a state, one arrow a way on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

State = Mapping[str, Any]

_FUNCTION = re.compile(r"_(\w+?)Function_")


def definition_in(terraform: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of the one state machine in a stack's Terraform JSON."""
    (machine,) = terraform["resource"]["aws_sfn_state_machine"].values()
    found: dict[str, Any] = json.loads(machine["definition"])
    return found


def draw_workflow(definition: Mapping[str, Any]) -> str:
    """Return the Mermaid text of a definition.

    What every task has, the way to the state that catches everything, is drawn once.
    """
    states: Mapping[str, State] = definition["States"]
    lines = ["stateDiagram-v2", f"  [*] --> {definition['StartAt']}"]
    for name, state in states.items():
        lines.extend(f"  {line}" for line in _box(name, state))
    for name, state in states.items():
        lines.extend(f"  {name} --> {there}{f': {when}' if when else ''}" for there, when in _ways(state))
    caught: dict[str, list[str]] = {}
    for name, state in states.items():
        for there in (catch["Next"] for catch in state.get("Catch", ()) if _catches_all(catch)):
            caught.setdefault(there, []).append(name)
    for there, names in sorted(caught.items()):
        if states[there]["Type"] == "Fail":
            continue
        if len(names) == 1:
            lines.append(f"  {names[0]} --> {there}: fails")
        else:
            lines.append(f"  any_step --> {there}: fails")
            lines.append("  any_step: any step")
    lines.extend(f"  {name} --> [*]" for name, state in states.items() if state["Type"] in ("Succeed", "Fail"))
    return "\n".join(lines) + "\n"


def _box(name: str, state: State) -> Iterator[str]:
    if state["Type"] == "Choice":
        yield f"state {name} <<choice>>"
    elif detail := _detail(state):
        yield f"{name}: {name}<br/>{detail}"


def _detail(state: State) -> str:
    if state["Type"] == "Task":
        payload = state["Parameters"]["Payload"]
        function = _FUNCTION.search(state["Parameters"]["FunctionName"])
        words = f"{function[1].lower()}, {payload['action']}" if function else str(payload["action"])
        return f"{words}, until its task token is returned" if "token.$" in payload else words
    if state["Type"] == "Wait":
        return f"{state['Seconds']} s" if "Seconds" in state else f"for {state['SecondsPath'].rpartition('.')[2]}"
    return ""


def _ways(state: State) -> Iterator[tuple[str, str]]:
    for choice in state.get("Choices", ()):
        yield choice["Next"], _condition(choice)
    if "Default" in state:
        yield state["Default"], "otherwise"
    if "Next" in state:
        yield state["Next"], ""
    for catch in state.get("Catch", ()):
        if not _catches_all(catch):
            yield catch["Next"], " or ".join(error.rpartition(".")[2].lower() for error in catch["ErrorEquals"])


def _condition(choice: Mapping[str, Any]) -> str:
    what = choice["Variable"].rpartition(".")[2]
    if "StringEquals" in choice:
        return str(choice["StringEquals"])
    return f"{what} is present" if choice.get("IsPresent") else str(what)


def _catches_all(catch: Mapping[str, Any]) -> bool:
    return list(catch["ErrorEquals"]) == ["States.ALL"]
