"""A template as data: JSON, or YAML with the short forms of the intrinsic functions.

moto's reader leaves what is nested in a short form unread, and takes a date for a date.

Source: CloudFormation User Guide, "CloudFormation template format" (YAML 1.1 without binary, omap, pairs, set and
timestamp tags, aliases and hash merges) and the Template Reference, "Intrinsic functions".
"""

from __future__ import annotations

from typing import Any, Final

import yaml
from moto.cloudformation.exceptions import ValidationError

from strictmoto.requests.documents import DEEPEST, TooDeepError, read_json

_PLAIN: Final = frozenset({"Ref", "Condition"})
"""The functions whose full name has no Fn:: before it."""
_FUNCTIONS: Final = (
    "Ref",
    "Condition",
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
)
# The parser in C is ten times as fast; not every build of PyYAML has it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """YAML as CloudFormation reads it."""


def _function(name: str) -> Any:
    full = name if name in _PLAIN else f"Fn::{name}"

    def construct(loader: Any, node: Any) -> dict[str, Any]:
        if isinstance(node, yaml.MappingNode):
            return {full: loader.construct_mapping(node, deep=True)}
        if isinstance(node, yaml.SequenceNode):
            return {full: loader.construct_sequence(node, deep=True)}
        return {full: loader.construct_scalar(node)}

    return construct


for _name in _FUNCTIONS:
    _Loader.add_constructor(f"!{_name}", _function(_name))
# A date is a text, such as the version of a policy or of the template.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def read(body: str) -> Any:
    """Return a template as dicts, lists and scalars; Fn::GetAtt always as a list of name and attribute.

    Raises:
        ValidationError: neither JSON nor the YAML that CloudFormation reads.
    """
    return _with_lists(_load(body))


def _load(body: str) -> Any:
    if body.lstrip().startswith("{"):
        try:
            return read_json(body)
        except TooDeepError as problem:
            raise ValidationError(message=f"Template format error: {problem}") from None
        except ValueError:
            # YAML may begin so, too.
            pass
    try:
        _refuse_unreadable(body)
        return yaml.load(body, Loader=_Loader)
    except yaml.constructor.ConstructorError as problem:
        raise ValidationError(message=f"Template format error: {problem.problem}") from problem
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValidationError(message=f"Template format error: YAML not well-formed.{where}") from problem
    except yaml.YAMLError as problem:
        raise ValidationError(message="Template format error: YAML not well-formed.") from problem


def _refuse_unreadable(body: str) -> None:
    """Refuse aliases, and what the composer would recurse into until the process dies: both show while it is parsed."""
    levels = 0
    for event in yaml.parse(body, Loader=_Base):
        if isinstance(event, yaml.AliasEvent):
            raise ValidationError(message="Template error: YAML aliases are not allowed in CloudFormation templates")
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
            if levels > DEEPEST:
                raise ValidationError(message=f"Template format error: {TooDeepError()}")
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1


def _with_lists(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_lists(item) for item in part]
    if not isinstance(part, dict):
        return part
    if isinstance(named := part.get("Fn::GetAtt"), str):
        return {**part, "Fn::GetAtt": named.split(".", 1)}
    return {key: _with_lists(value) for key, value in part.items()}
