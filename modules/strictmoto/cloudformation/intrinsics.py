"""Intrinsic functions and conditions: what a part of a template stands for when its stack is made.

moto's know no Fn::Cidr and no Region in Fn::GetAZs, keep AWS::NoValue in lists, cut Fn::GetAtt after the first dot,
and leave a property out whose attribute they do not know.

Source: CloudFormation Template Reference, "Intrinsic functions", "Pseudo parameters" and "Condition functions".
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import (
    ExportNotFound,
    UnformattedGetAttTemplateException,
    ValidationError,
)
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

from strictmoto.cloudformation.forms import requires
from strictmoto.cloudformation.templates import text

_SUBSTITUTED: Final = re.compile(r"\$\{([^}]*)\}")
_MOST_RANGES: Final = 256
_WRONG: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What Python says of values of other types than expected."""

# moto has types, but none for what is replaced at run time.
moto_parsing: Any = parsing


def install() -> None:
    """Replace how moto reads parts of a template."""
    moto_parsing.clean_json = resolve
    moto_parsing.parse_condition = holds


def resolve(part: Any, known: Any) -> Any:
    """Return what a part of a template stands for; None for AWS::NoValue.

    Args:
        part: of the template.
        known: moto's map of resources, parameters and pseudo parameters.

    Raises:
        ValidationError: a function cannot be evaluated.
    """
    if isinstance(part, list):
        # AWS::NoValue takes an item out of a list.
        return [value for value in (resolve(item, known) for item in part) if value is not None]
    if not isinstance(part, dict):
        return part
    if len(part) == 1:
        [(name, value)] = part.items()
        if function := _FUNCTIONS.get(name):
            try:
                return function(value, known)
            except _WRONG as error:
                # A parameter, or another function, gave something else than the function takes.
                raise requires(name) from error
    resolved = {key: resolve(value, known) for key, value in part.items()}
    return {key: value for key, value in resolved.items() if value is not None}


def holds(condition: Any, known: Any, conditions: Mapping[str, Any]) -> bool:
    """Return whether a condition is true.

    Args:
        condition: as the template has it.
        known: parameters and pseudo parameters.
        conditions: those of the template, by name.

    Raises:
        ValidationError: it is none, or names one that is not there.
    """
    if isinstance(condition, bool):
        return condition
    if isinstance(condition, dict) and len(condition) == 1:
        [(name, value)] = condition.items()
        if name == "Condition":
            if value not in conditions:
                raise ValidationError(message=f"Template error: unresolved condition dependency {value}")
            return bool(conditions[value])
        if name == "Fn::Equals" and isinstance(value, list) and len(value) == 2:
            first, second = (resolve(side, known) for side in value)
            return bool(_comparable(first) == _comparable(second))
        if name in ("Fn::Not", "Fn::And", "Fn::Or") and isinstance(value, list) and value:
            found = [holds(part, known, conditions) for part in value]
            return {"Fn::Not": not found[0], "Fn::And": all(found), "Fn::Or": any(found)}[name]
    raise ValidationError(message="Template error: every Condition member must be a boolean function")


def _comparable(value: Any) -> Any:
    return value if isinstance(value, dict | list) else text(value)


def _ref(name: Any, known: Any) -> Any:
    found = known[resolve(name, known)]
    return found.physical_resource_id if hasattr(found, "physical_resource_id") else found


def _get_att(arguments: list[Any], known: Any) -> Any:
    named, *rest = arguments
    name = resolve(named, known)
    attribute = ".".join(str(resolve(part, known)) for part in rest)
    resource = known.get(name)
    if resource is None:
        raise ValidationError(message=f"Template error: instance of Fn::GetAtt references undefined resource {name}")
    try:
        return resource.get_cfn_attribute(attribute)
    except UnformattedGetAttTemplateException:
        said = UnformattedGetAttTemplateException.description.format(name, attribute)
        raise ValidationError("Bad Request", said) from None
    except NotImplementedError:
        # Not AWS's words: AWS has the attribute, and this account does not.
        kind = getattr(resource, "cf_resource_type", type(resource).__name__)
        raise ValidationError(
            message=f"strictmoto has no attribute {attribute} of {kind} (Fn::GetAtt of {name})"
        ) from None


def _find_in_map(arguments: list[Any], known: Any) -> Any:
    default: dict[str, Any] = {}
    if len(arguments) == 4 and isinstance(arguments[3], dict):
        default = arguments[3]
    name, first, second = (resolve(part, known) for part in arguments[:3])
    try:
        found = known[name]
        if "Fn::Transform" in found:
            return known[first][second]
        return resolve(found[text(first)][text(second)], known)
    except KeyError:
        if "DefaultValue" in default:
            return resolve(default["DefaultValue"], known)
        raise ValidationError(message=f"Template error: Unable to get mapping for {name}::{first}::{second}") from None


def _if(arguments: list[Any], known: Any) -> Any:
    condition, then, otherwise = arguments
    if condition not in known.lazy_condition_map:
        raise ValidationError(message=f"Template error: unresolved condition dependency {condition} in Fn::If")
    return resolve(then if known.lazy_condition_map[condition] else otherwise, known)


def _join(arguments: list[Any], known: Any) -> str:
    delimiter, values = arguments[0], resolve(arguments[1], known)
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        raise requires("Fn::Join")
    return str(delimiter).join(text(value) for value in values)


def _split(arguments: list[Any], known: Any) -> list[str]:
    delimiter, value = arguments
    return text(resolve(value, known)).split(delimiter)


def _select(arguments: list[Any], known: Any) -> Any:
    index, values = int(resolve(arguments[0], known)), resolve(arguments[1], known)
    if not isinstance(values, list):
        raise requires("Fn::Select")
    if not 0 <= index < len(values):
        raise ValidationError(message=f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return values[index]


def _sub(arguments: Any, known: Any) -> str:
    template, given = (arguments, {}) if isinstance(arguments, str) else arguments
    values = {name: resolve(value, known) for name, value in given.items()}

    def value_of(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        if name in values:
            return text(values[name])
        return text(_get_att(name.split(".", 1), known) if "." in name else _ref(name, known))

    return _SUBSTITUTED.sub(value_of, template)


def _import(name: Any, known: Any) -> Any:
    wanted = resolve(name, known)
    exports = known.cross_stack_resources or {}
    for export in exports.values():
        if export.name == wanted:
            return export.value
    raise ExportNotFound(wanted)


def _zones(region: Any, known: Any) -> list[str]:
    wanted = resolve(region, known) or known["AWS::Region"]
    return [zone.name for zone in RegionsAndZonesBackend.zones.get(wanted, [])]


def _base64(value: Any, known: Any) -> str:
    return base64.b64encode(text(resolve(value, known)).encode()).decode()


def _cidr(arguments: list[Any], known: Any) -> list[str]:
    block, count, *bits = (resolve(part, known) for part in arguments)
    network = ipaddress.ip_network(str(block))
    prefix = network.max_prefixlen - int(bits[0] if bits else 8)
    if (
        not 1 <= int(count) <= _MOST_RANGES
        or prefix < network.prefixlen
        or 2 ** (prefix - network.prefixlen) < int(count)
    ):
        raise ValidationError(message=f"Template error: Fn::Cidr cannot split {block} into {count} ranges")
    ranges = network.subnets(new_prefix=prefix)
    return [str(next(ranges)) for _ in range(int(count))]


def _length(value: Any, known: Any) -> int:
    return len(resolve(value, known))


def _to_json(value: Any, known: Any) -> str:
    return json.dumps(resolve(value, known))


def _transform(value: Any, known: Any) -> Any:
    # Not AWS's words: AWS runs macros, and this account does not.
    name = value.get("Name") if isinstance(value, dict) else value
    raise ValidationError(message=f"strictmoto runs no transform {name}")


_FUNCTIONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "Ref": _ref,
    "Fn::Base64": _base64,
    "Fn::Cidr": _cidr,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAtt": _get_att,
    "Fn::GetAZs": _zones,
    "Fn::If": _if,
    "Fn::ImportValue": _import,
    "Fn::Join": _join,
    "Fn::Length": _length,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
    "Fn::ToJsonString": _to_json,
    "Fn::Transform": _transform,
}
