"""Transforms and macros of a template, and what may stand in it with them only.

Sources: CloudFormation User Guide, "Perform custom processing on CloudFormation templates with template macros";
Template Reference, "Transforms", "AWS::LanguageExtensions transform" and "Intrinsic function reference"; API
Reference, CreateStack and CreateChangeSet (Capabilities).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from moto.cloudformation.exceptions import ValidationError

EXTENSIONS: Final = "AWS::LanguageExtensions"
CAPABILITY: Final = "CAPABILITY_AUTO_EXPAND"
_OF_AWS: Final = "AWS::"
_EMBEDDED: Final = "Fn::Transform"
_LOOP: Final = "Fn::ForEach"
_INCLUDE: Final = "AWS::Include"
"""The one that this account does, where a mapping has it."""
_FUNCTIONS: Final = (
    "Fn::And",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::GetAZs",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    _EMBEDDED,
)
"""Those that need no transform."""
_EXTENDED: Final = ("Fn::Length", "Fn::ToJsonString")
_LACKING: Final = frozenset({"Fn::GetStackOutput"})
_BLOCKS: Final = ("Conditions", "Resources", "Outputs")
_POLICIES: Final = ("DeletionPolicy", "UpdateReplacePolicy")


def declared(template: dict[str, Any]) -> list[str]:
    """Return the names of the transforms of a whole template, in its order."""
    given = template.get("Transform") or []
    return [str(one.get("Name", "")) if isinstance(one, dict) else str(one) for one in _listed(given)]


def is_expanded(template: dict[str, Any]) -> bool:
    """Return whether macros may add to a template, or change what it says, before AWS reads the rest of it."""
    return bool(set(declared(template)) - {EXTENSIONS})


def capability(template: dict[str, Any]) -> list[str]:
    """Return the capability that a stack needs which is made of a template with macros, without a change set."""
    return [CAPABILITY] if declared(template) or any(_embedded(template)) else []


def check(template: dict[str, Any], account_id: str) -> None:
    """Refuse transforms that nothing runs: macros that do not exist, and those of AWS that this account lacks.

    Args:
        template: as data.
        account_id: whose macros would be meant.

    Raises:
        ValidationError: there is one.
    """
    mapped = {id(part) for part in (template.get("Mappings") or {}).values()}
    for name, where in (*((name, None) for name in declared(template)), *_embedded(template)):
        if (name == EXTENSIONS and where is None) or (name == _INCLUDE and id(where) in mapped):
            continue
        if name.startswith(_OF_AWS):
            # Not AWS's words: AWS runs it.
            raise ValidationError(message=f"strictmoto runs no transform {name}")
        raise ValidationError(message=f"No transform named {account_id}::{name} found.")


def check_functions(template: dict[str, Any]) -> None:
    """Refuse functions that AWS does not have, or has with a transform only that the template does not declare.

    Raises:
        ValidationError: there is one, or one that this account does not have.
    """
    if is_expanded(template):
        return
    extended = EXTENSIONS in declared(template)
    known = (*_FUNCTIONS, *_EXTENDED) if extended else _FUNCTIONS
    for name in (name for block in _BLOCKS for name in _functions(template.get(block))):
        if name in _LACKING or (extended and name.startswith(_LOOP)):
            # Not AWS's words: AWS evaluates it.
            raise ValidationError(message=f"strictmoto does not evaluate {name}")
        if name not in known:
            raise ValidationError(
                message=f"Template error: Encountered unsupported function: {name} Supported functions are: "
                f"[{', '.join(known)}]"
            )


def check_policies(template: dict[str, Any]) -> None:
    """Refuse functions in policies of deletion, which only a transform evaluates.

    Raises:
        ValidationError: there is one.
    """
    if declared(template):
        return
    for resource in template["Resources"].values():
        for policy in _POLICIES:
            if not isinstance(resource.get(policy, ""), str):
                raise ValidationError(message=f"Template format error: Every {policy} member must be a string.")


def _functions(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _functions(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if isinstance(key, str) and key.startswith("Fn::"):
                yield key
            yield from _functions(value)


def _embedded(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield the transforms of parts of a template, each with what it stands in."""
    if isinstance(part, list):
        for item in part:
            yield from _embedded(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == _EMBEDDED:
                yield from ((str(one.get("Name", "")), part) for one in _listed(value) if isinstance(one, dict))
            else:
                yield from _embedded(value)


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
