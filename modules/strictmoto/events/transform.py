"""What a rule's target gets of an event.

Source: Amazon EventBridge User Guide, "Amazon EventBridge input transformation"; API Reference, Target.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_STEP: Final = re.compile(r"\.([\w\-/]+)|\[(\d+)\]|\[\*\]|\.\*|\['([^']+)'\]|\[\"([^\"]+)\"\]")
_PLACE: Final = re.compile(r"<([\w.\-]+)>")
_MISSING: Final = object()


def payload(target: dict[str, Any], event: dict[str, Any], rule: dict[str, str]) -> str:
    """Return the text that a target gets.

    Args:
        target: as PutTargets takes it.
        event: as EventBridge shows it.
        rule: its `arn`, its `name`, and the `ingestion-time` of the event.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath") is not None:
        found = select(event, target["InputPath"])
        return json.dumps(None if found is _MISSING else found)
    if "InputTransformer" in target:
        return _transformed(target["InputTransformer"], event, rule)
    return json.dumps(event)


def select(event: Any, path: str) -> Any:
    """Return what a JSON path names."""
    found, position = event, 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return _MISSING
        position = step.end()
        key = step[1] or step[3] or step[4]
        if key is not None and isinstance(found, dict) and key in found:
            found = found[key]
        elif step[2] is not None and isinstance(found, list) and int(step[2]) < len(found):
            found = found[int(step[2])]
        elif key is None and step[2] is None and isinstance(found, list | dict):
            rest = "$" + path[position:]
            inner = [select(item, rest) for item in (found if isinstance(found, list) else found.values())]
            return [item for item in inner if item is not _MISSING]
        else:
            return _MISSING
    return found


def _transformed(transformer: dict[str, Any], event: dict[str, Any], rule: dict[str, str]) -> str:
    variables = {name: select(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    variables |= {
        "aws.events.rule-arn": rule["arn"],
        "aws.events.rule-name": rule["name"],
        "aws.events.event.ingestion-time": rule["ingestion-time"],
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
    }
    return _fill(transformer.get("InputTemplate", ""), variables)


def _fill(template: str, variables: dict[str, Any]) -> str:
    """Put values into a template: as JSON, or as text where the place stands between quotation marks."""
    # What begins like JSON is JSON; anything else is text.
    as_json = template.lstrip()[:1] in ("{", "[", '"', "<")
    written: list[str] = []
    quoted, position = False, 0
    while position < len(template):
        place = _PLACE.match(template, position)
        if place and place[1] in variables:
            written.append(_value(variables[place[1]], quoted=quoted, as_json=as_json))
            position = place.end()
            continue
        if template[position] == "\\" and quoted:
            written.append(template[position : position + 2])
            position += 2
            continue
        if template[position] == '"':
            quoted = not quoted
        written.append(template[position])
        position += 1
    return "".join(written)


def _value(value: Any, *, quoted: bool, as_json: bool) -> str:
    if value is _MISSING:
        return "" if quoted or not as_json else "null"
    text = value if isinstance(value, str) else json.dumps(value)
    if quoted:
        return json.dumps(text)[1:-1]
    return json.dumps(value) if as_json else text
