"""The form of a template, part by part: what AWS refuses before there is a stack, and moto fails at.

Sources: CloudFormation Template Reference, "Template sections", "Resource attributes" and "Intrinsic functions", at
each function. AWS's pages have few of the texts: docs/cloudformation.md says which are inferred.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from moto.cloudformation.exceptions import ValidationError

_MAPPED: Final = ("Conditions", "Mappings", "Outputs", "Parameters", "Resources", "Rules")
_PSEUDO: Final = "AWS::"
_TYPES: Final = re.compile(
    r"String|Number|List<(Number|String)>|CommaDelimitedList|(List<)?AWS::[A-Za-z0-9]+::[A-Za-z0-9:]+>?"
    r"|AWS::SSM::Parameter::(Name|Value<(String|CommaDelimitedList|List<[A-Za-z0-9:]+>|AWS::[A-Za-z0-9:]+)>)"
)
_POLICIES: Final[Mapping[str, tuple[str, ...]]] = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
_GIVING_LISTS: Final = frozenset({"Fn::Cidr", "Fn::GetAZs", "Fn::Split"})
_SNAPSHOTS: Final = frozenset(
    {
        "AWS::DocDB::DBCluster",
        "AWS::EC2::Volume",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::Neptune::DBCluster",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
    }
)


def check_nulls(part: Any, path: str = "") -> None:
    """Refuse null, wherever it is: AWS::NoValue leaves out what is not wanted.

    Args:
        part: of a template.
        path: where it is in the template.

    Raises:
        ValidationError: the first null.
    """
    if part is None:
        raise ValidationError(message=f"[{path or '/'}] 'null' values are not allowed in templates")
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        check_nulls(value, f"{path}/{name}")


def check_form(template: dict[str, Any], *, extended: bool) -> None:
    """Refuse what has another form than its place asks for.

    Args:
        template: as data, with resources that have a type each.
        extended: whether `AWS::LanguageExtensions` takes functions in more places.

    Raises:
        ValidationError: the first part that has.
    """
    for section in _MAPPED:
        if not isinstance(template.get(section) or {}, dict):
            raise _format_error(f"[/{section}] is not an object")
    _check_parameters(template.get("Parameters") or {})
    for section in ("Mappings", "Outputs", "Rules"):
        for name, part in (template.get(section) or {}).items():
            if not isinstance(part, dict):
                raise _format_error(f"Every {section} member must be an object, and {name} is none.")
    for name, output in (template.get("Outputs") or {}).items():
        _check_output(name, output)
    for name, resource in template["Resources"].items():
        _check_resource(name, resource, extended=extended)
    for block in ("Conditions", "Resources", "Outputs", "Rules"):
        _check_functions(template.get(block) or {}, template.get("Mappings") or {}, extended=extended)
    _check_conditions(template)
    _check_rules(template)


def requires(function: str) -> ValidationError:
    """Return AWS's refusal of a function that is given something else than it takes."""
    return ValidationError(message=f"Template error: {_REQUIRED[function]}")


def unnamed_export(name: str) -> ValidationError:
    """Return AWS's refusal of an output whose export has no name that it may have."""
    return _format_error(
        f"Output {name} is malformed. The Name field of every Export member must be specified and consist only of "
        "alphanumeric characters, colons, or hyphens."
    )


def _format_error(message: str) -> ValidationError:
    return ValidationError(message=f"Template format error: {message}")


def _check_parameters(parameters: dict[str, Any]) -> None:
    for name, slot in parameters.items():
        if not isinstance(slot, dict):
            raise _format_error(f"Every Parameters object must contain a Type member, and {name} is no object.")
        if "Type" not in slot:
            raise _format_error("Every Parameters object must contain a Type member.")
        if not isinstance(slot["Type"], str) or not _TYPES.fullmatch(slot["Type"]):
            raise _format_error(f"Unrecognized parameter type: {slot['Type']}")
        if isinstance(slot.get("Default"), dict | list):
            raise _format_error("Every Default member must be a string.")
        if not isinstance(slot.get("AllowedValues", []), list):
            raise _format_error("Every AllowedValues member must be a list.")
        for bound in ("MinLength", "MaxLength", "MinValue", "MaxValue"):
            if bound in slot and not _is_number(slot[bound]):
                raise _format_error(f"Every {bound} member must be a number.")
        if not _is_pattern(slot.get("AllowedPattern", "")):
            raise _format_error(f"AllowedPattern of parameter {name} is not a valid regular expression.")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (TypeError, re.error):
        return False
    return True


def _check_resource(name: str, resource: dict[str, Any], *, extended: bool) -> None:
    if not isinstance(resource["Type"], str):
        raise _format_error(f"[/Resources/{name}/Type] 'Type' must be a string.")
    for attribute in ("Properties", "Metadata"):
        if not isinstance(resource.get(attribute) or {}, dict):
            raise _format_error(f"[/Resources/{name}/{attribute}] is not an object")
    needs = resource.get("DependsOn", [])
    if not isinstance(needs, str) and not (isinstance(needs, list) and all(isinstance(one, str) for one in needs)):
        raise _format_error(f"[/Resources/{name}/DependsOn] Every DependsOn value must be a string.")
    if not isinstance(resource.get("Condition", ""), str):
        raise _format_error(f"[/Resources/{name}/Condition] Every Condition member must be a string.")
    for attribute, allowed in _POLICIES.items():
        policy = resource.get(attribute)
        if not isinstance(policy, str):
            # Functions are refused, or evaluated, elsewhere.
            continue
        if policy not in allowed:
            raise _format_error(f"Unrecognized {attribute} {policy} for resource {name}")
        if policy == "Snapshot" and resource["Type"] not in _SNAPSHOTS:
            raise ValidationError(
                message=f"Template error: resource type {resource['Type']} does not support deletion policy Snapshot"
            )


def _check_output(name: str, output: dict[str, Any]) -> None:
    if not isinstance(output.get("Description", ""), str | int | float):
        raise _format_error("Every Description member must be a string.")
    if "Value" not in output:
        if any(key.startswith("Fn::") for key in output):
            return
        raise _format_error(f"Output {name} is malformed. The Value field of every Outputs member must be specified.")
    value, must = output["Value"], "The Value field of every Outputs member must evaluate to a String"
    if isinstance(value, list):
        raise _format_error(f"{must} and not a List.")
    if isinstance(value, dict) and not _is_function(value):
        raise _format_error(f"{must} and not a Map.")
    if isinstance(value, dict) and value.keys() & _GIVING_LISTS:
        raise _format_error(f"{must}.")
    export = output.get("Export")
    if export is not None and not (isinstance(export, dict) and _is_text(export.get("Name"))):
        raise unnamed_export(name)


def _check_functions(part: Any, mappings: dict[str, Any], *, extended: bool) -> None:
    if isinstance(part, list):
        for item in part:
            _check_functions(item, mappings, extended=extended)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        is_right = _FORMS.get(name)
        # With others beside it, it is no function.
        if is_right and len(part) == 1 and not is_right(value) and not (extended and isinstance(value, dict | list)):
            raise requires(name)
        if name == "Fn::FindInMap" and isinstance(value, list) and len(part) == 1:
            _check_mapping(value, mappings)
        _check_functions(value, mappings, extended=extended)


def _check_mapping(arguments: list[Any], mappings: dict[str, Any]) -> None:
    """Refuse what a mapping does not have, where the template says it without a function."""
    name, first, second = arguments[:3]
    if len(arguments) > 3 or not isinstance(name, str):
        return
    if name not in mappings:
        raise ValidationError(
            message=f"Template error: Mapping named '{name}' is not present in the 'Mappings' section of template."
        )
    if isinstance(first, dict) or "Fn::Transform" in mappings[name]:
        return
    found = mappings[name].get(str(first), {})
    if not isinstance(found, dict) or not found or not (isinstance(second, dict) or str(second) in found):
        raise ValidationError(message=f"Template error: Unable to get mapping for {name}::{first}::{second}")


def _check_conditions(template: dict[str, Any]) -> None:
    """Refuse conditions that are not there, that need one another, and those that ask about resources."""
    conditions = template.get("Conditions") or {}
    for block in ("Resources", "Outputs"):
        for name, part in (template.get(block) or {}).items():
            if (condition := part.get("Condition")) is not None and condition not in conditions:
                raise _format_error(
                    f"Unresolved condition dependency {condition} of {name} in the {block} block of the template"
                )
        for condition in _asked(template.get(block) or {}):
            if condition not in conditions:
                raise ValidationError(message=f"Template error: unresolved condition dependency {condition} in Fn::If")
    parameters = template.get("Parameters") or {}
    refs = [name for name in _referred(conditions) if name not in parameters and not name.startswith(_PSEUDO)]
    if refs:
        raise _format_error(
            f"Unresolved dependencies [{', '.join(sorted(set(refs)))}]. Cannot reference resources in the Conditions "
            "block of the template"
        )
    needs = {name: list(_named(part)) for name, part in conditions.items()}
    for part in conditions.values():
        if not isinstance(part, dict | bool):
            raise ValidationError(message="Template error: every Condition member must be a boolean function")
    if unknown := [one for named in needs.values() for one in named if one not in conditions]:
        raise ValidationError(message=f"Template error: unresolved condition dependency {unknown[0]}")
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as problem:
        circle = ", ".join(sorted(set(problem.args[1])))
        raise ValidationError(message=f"Template error: Found circular condition dependency: [{circle}]") from problem


def _check_rules(template: dict[str, Any]) -> None:
    """Refuse rules that assert nothing, by other functions than those of rules, and of what is no parameter."""
    rules = template.get("Rules") or {}
    for name, rule in rules.items():
        assertions = rule.get("Assertions")
        if not isinstance(assertions, list) or not assertions or rule.keys() - {"Assertions", "RuleCondition"}:
            raise _format_error(f"Rule {name} must have a list of Assertions, and may have a RuleCondition.")
        if not all(isinstance(one, dict) and {"Assert"} <= one.keys() <= _ASSERTED for one in assertions):
            raise _format_error(
                f"Every assertion of rule {name} must have an Assert, and may have an AssertDescription."
            )
        for part in (rule.get("RuleCondition"), *(one["Assert"] for one in assertions)):
            _check_rule_functions(part)
    parameters = template.get("Parameters") or {}
    refs = [name for name in _referred(rules) if name not in parameters and not name.startswith(_PSEUDO)]
    if refs := refs + [name for name in _valued(rules) if name not in parameters]:
        raise _format_error(
            f"Unresolved dependencies [{', '.join(sorted(set(refs)))}]. Cannot reference resources in the Rules block "
            "of the template"
        )


def _check_rule_functions(part: Any) -> None:
    for value in part if isinstance(part, list) else ():
        _check_rule_functions(value)
    if isinstance(part, dict):
        if len(part) != 1 or next(iter(part)) not in _OF_RULES:
            found = next((name for name in part if name not in _OF_RULES), "")
            raise ValidationError(
                message=f"Template error: Encountered unsupported function: {found} Supported functions are: "
                f"[{', '.join(_OF_RULES)}]"
            )
        _check_rule_functions(next(iter(part.values())))


def _valued(part: Any) -> Iterator[str]:
    """Yield the parameters that Fn::ValueOf asks about."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _valued(value)
    if isinstance(part, dict) and "Fn::ValueOf" in part:
        yield part["Fn::ValueOf"][0]


def _asked(part: Any) -> Iterator[str]:
    """Yield the conditions that Fn::If asks about in a part of a template."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _asked(value)
    if isinstance(part, dict) and isinstance(arguments := part.get("Fn::If"), list) and isinstance(arguments[0], str):
        yield arguments[0]


def _referred(part: Any) -> Iterator[str]:
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _referred(value)
    if isinstance(part, dict) and isinstance(named := part.get("Ref"), str):
        yield named


def _named(part: Any) -> Iterator[str]:
    """Yield the conditions that a condition is made of."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _named(value)
    if isinstance(part, dict) and isinstance(named := part.get("Condition"), str):
        yield named


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _is_text(value: Any) -> bool:
    """Whether something is a text, or a function that may give one."""
    return _is_scalar(value) or _is_function(value)


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _REQUIRED


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or _is_function(value)


def _is_list_of(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and least <= len(value) <= most


def _is_join(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and _is_list(value[1])


def _is_split(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and _is_text(value[1])


def _is_select(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not _is_list(value[1]):
        return False
    return _is_function(value[0]) or re.fullmatch(r"\d+", str(value[0])) is not None


def _is_sub(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)
    return isinstance(value, str)


def _is_get_att(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 2 and all(_is_text(part) and part != "" for part in value)


def _is_find_in_map(value: Any) -> bool:
    return isinstance(value, list) and 3 <= len(value) <= 4 and all(map(_is_text, value[:3]))


def _is_if(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)


def _are_two_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)


_ASSERTED: Final = {"Assert", "AssertDescription"}
_OF_RULES: Final = (
    "Fn::And",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::Equals",
    "Fn::Not",
    "Fn::Or",
    "Fn::RefAll",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
    "Ref",
)
_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "Ref": lambda value: isinstance(value, str),
    "Fn::And": _is_list_of(2, 10),
    "Fn::Base64": _is_text,
    "Fn::Cidr": _is_list_of(2, 3),
    "Fn::Contains": _is_list_of(2, 2),
    "Fn::EachMemberEquals": _is_list_of(2, 2),
    "Fn::EachMemberIn": _is_list_of(2, 2),
    "Fn::Equals": _is_list_of(2, 2),
    "Fn::FindInMap": _is_find_in_map,
    "Fn::GetAtt": _is_get_att,
    "Fn::GetAZs": _is_text,
    "Fn::If": _is_if,
    "Fn::ImportValue": _is_text,
    "Fn::Join": _is_join,
    "Fn::Not": _is_list_of(1, 1),
    "Fn::Or": _is_list_of(2, 10),
    "Fn::RefAll": lambda value: isinstance(value, str),
    "Fn::Select": _is_select,
    "Fn::Split": _is_split,
    "Fn::Sub": _is_sub,
    "Fn::ValueOf": _are_two_texts,
    "Fn::ValueOfAll": _are_two_texts,
}
_REQUIRED: Final[Mapping[str, str]] = {
    "Ref": "every Ref object must have a single String value.",
    "Fn::And": "every Fn::And object requires a list of at least 2 and at most 10 boolean parameters.",
    "Fn::Base64": "every Fn::Base64 object must have a String-typed value.",
    "Fn::Cidr": "every Fn::Cidr object requires two or three parameters, (1) an address block, (2) a count of blocks "
    "and (3) the number of bits of each.",
    "Fn::Contains": "every Fn::Contains object requires two parameters, (1) a list of strings and (2) a string.",
    "Fn::EachMemberEquals": "every Fn::EachMemberEquals object requires two parameters, (1) a list of strings and "
    "(2) a string.",
    "Fn::EachMemberIn": "every Fn::EachMemberIn object requires two parameters, which are lists of strings.",
    "Fn::Equals": "every Fn::Equals object requires a list of 2 string parameters.",
    "Fn::FindInMap": "every Fn::FindInMap object requires three parameters, the map name, map key and the attribute "
    "for return value",
    "Fn::GetAtt": "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource "
    "attribute",
    "Fn::GetAZs": "every Fn::GetAZs object must have a String-typed value.",
    "Fn::If": "every Fn::If object requires a list of a condition and of two values.",
    "Fn::ImportValue": "every Fn::ImportValue object must have a String-typed value.",
    "Fn::Join": "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be "
    "joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
    "Fn::Length": "every Fn::Length object requires a list.",
    "Fn::Not": "every Fn::Not object requires a list of 1 boolean parameter.",
    "Fn::Or": "every Fn::Or object requires a list of at least 2 and at most 10 boolean parameters.",
    "Fn::RefAll": "every Fn::RefAll object must have a type of parameters.",
    "Fn::Select": "every Fn::Select object requires two parameters, the first being an index and the second being a "
    "list of objects to index.",
    "Fn::Split": "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split "
    "or a function that returns a string to be split.",
    "Fn::Sub": "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first "
    "argument, and an optional second argument to specify a mapping of values to replace in the string",
    "Fn::ToJsonString": "every Fn::ToJsonString object requires an object or a list.",
    "Fn::ValueOf": "every Fn::ValueOf object requires two parameters, the name of a parameter and an attribute.",
    "Fn::ValueOfAll": "every Fn::ValueOfAll object requires two parameters, a type of parameters and an attribute.",
    "Fn::Transform": "every Fn::Transform object requires a name and parameters.",
}
