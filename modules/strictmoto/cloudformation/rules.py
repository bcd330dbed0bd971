"""Rules of a template: what they assert of the parameters, before anything is made or changed.

Sources: CloudFormation User Guide, "CloudFormation template Rules syntax"; Template Reference, "Rule functions", with
the attributes of parameters that they know.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.parsing import ResourceMap as _ResourceMap
from moto.ec2.models import ec2_backends

from strictmoto.cloudformation.forms import requires
from strictmoto.cloudformation.templates import text

# moto has types, but none for what is replaced at run time.
ResourceMap: Any = _ResourceMap

_TAGS: Final = "Tags."
_GROUP, _SUBNET, _VPC = "AWS::EC2::SecurityGroup::Id", "AWS::EC2::Subnet::Id", "AWS::EC2::VPC::Id"


def install() -> None:
    """Let moto's stacks be refused for the rules of their templates, once a process."""
    load = ResourceMap.load

    @functools.wraps(load)
    def loaded(self: Any) -> None:
        load(self)
        check(self)

    ResourceMap.load = loaded


def check(known: Any) -> None:
    """Refuse parameters of which a rule asserts something else.

    Args:
        known: moto's map of a stack, with its parameters.

    Raises:
        ValidationError: an assertion does not hold, or cannot be evaluated.
    """
    reader = _Reader(known)
    for name, rule in (known._template.get("Rules") or {}).items():
        if "RuleCondition" in rule and not reader.holds(rule["RuleCondition"]):
            continue
        for assertion in rule["Assertions"]:
            if not reader.holds(assertion["Assert"]):
                said = assertion.get("AssertDescription", "an assertion does not hold")
                raise ValidationError(message=f"Template error: Rule {name} failed: {said}")


def check_update(stack: Any, template: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Refuse an update for the rules of its template, of which nothing is made.

    Args:
        stack: as it is.
        template: the new one.
        parameters: the new ones, by name.

    Raises:
        ValidationError: as `check`.
    """
    if not template.get("Rules"):
        return
    known = copy.copy(stack.resource_map)
    known._template, known.input_parameters = copy.deepcopy(dict(template)), dict(parameters)
    known._parsed_resources = dict(known._parsed_resources)
    known.load_parameters()
    check(known)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the functions of rules give.

    Attributes:
        known: moto's map of a stack, with its parameters.
    """

    known: Any

    def holds(self, part: Any) -> bool:
        """Return whether a function of a rule is true."""
        found = self._value(part)
        if isinstance(found, bool):
            return found
        raise ValidationError(message="Template error: every Assert and RuleCondition must be a boolean function")

    def _value(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._value(item) for item in part]
        if not isinstance(part, dict):
            return part
        [(name, given)] = part.items()
        if name == "Ref":
            return self.known[given]
        if name in _VALUES:
            return _VALUES[name](self, given)
        if name in _COMBINED:
            return _COMBINED[name]([self.holds(one) for one in given])
        try:
            return _COMPARED[name](*map(_texts, self._value(given)))
        except TypeError as error:
            # A parameter gave a list where a text belongs, or a text where a list does.
            raise requires(name) from error

    def all_of(self, kind: str) -> list[str]:
        """Return the values of all parameters of a type, those of lists of it too."""
        return [value for name in self._of_type(kind) for value in self._values(name)]

    def value_of(self, given: list[str]) -> Any:
        """Return an attribute of what a parameter names; of each, where it is a list."""
        name, attribute = given
        kind = self._declared()[name]["Type"]
        found = [self._attribute(name, value, attribute) for value in self._values(name)]
        return found if kind.startswith("List<") else found[0]

    def value_of_all(self, given: list[str]) -> list[str]:
        """Return an attribute of what all parameters of a type name."""
        kind, attribute = given
        return [self._attribute(name, value, attribute) for name in self._of_type(kind) for value in self._values(name)]

    def _declared(self) -> dict[str, Any]:
        found: dict[str, Any] = self.known._template.get("Parameters") or {}
        return found

    def _of_type(self, kind: str) -> list[str]:
        return [name for name, slot in self._declared().items() if slot["Type"] in (kind, f"List<{kind}>")]

    def _values(self, name: str) -> list[str]:
        value = self.known.resolved_parameters[name]
        return [text(one) for one in (value if isinstance(value, list) else [value])]

    def _attribute(self, name: str, value: str, attribute: str) -> str:
        kind = self._declared()[name]["Type"].removeprefix("List<").removesuffix(">")
        backend: Any = ec2_backends[self.known._account_id][self.known._region_name]
        find = _FOUND.get(kind)
        read = _ATTRIBUTES.get((kind, attribute))
        if find is None or not (read or attribute.startswith(_TAGS)):
            # Not AWS's words: its page may list more.
            raise ValidationError(message=f"strictmoto has no attribute {attribute} of parameters of type {kind}")
        if (resource := find(backend, value)) is None:
            raise ValidationError(
                message=f"Parameter validation failed: parameter value {value} for parameter name {name} does not exist"
            )
        if read:
            return str(read(backend, resource))
        return str(backend.tags.get(value, {}).get(attribute.removeprefix(_TAGS), ""))


def _texts(value: Any) -> Any:
    """A value with texts instead of other scalars: rules compare nothing else."""
    return [text(one) for one in value] if isinstance(value, list) else text(value)


def _is_in(values: Any, value: Any) -> bool:
    if not isinstance(values, list) or isinstance(value, list):
        raise TypeError
    return value in values


def _all_equal(values: Any, value: Any) -> bool:
    if not isinstance(values, list) or isinstance(value, list):
        raise TypeError
    return all(one == value for one in values)


def _all_in(values: Any, others: Any) -> bool:
    if not isinstance(values, list) or not isinstance(others, list):
        raise TypeError
    return all(one in others for one in values)


def _subnet(backend: Any, subnet_id: str) -> Any:
    return next((part[subnet_id] for part in list(backend.subnets.values()) if subnet_id in part), None)


_VALUES: Final[Mapping[str, Callable[[_Reader, Any], Any]]] = {
    "Fn::RefAll": _Reader.all_of,
    "Fn::ValueOf": _Reader.value_of,
    "Fn::ValueOfAll": _Reader.value_of_all,
}
_COMBINED: Final[Mapping[str, Callable[[list[bool]], bool]]] = {
    "Fn::And": all,
    "Fn::Not": lambda found: not found[0],
    "Fn::Or": any,
}
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Fn::Contains": _is_in,
    "Fn::EachMemberEquals": _all_equal,
    "Fn::EachMemberIn": _all_in,
    "Fn::Equals": lambda one, other: one == other,
}
_FOUND: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    _GROUP: lambda backend, value: backend.get_security_group_from_id(value),
    _SUBNET: _subnet,
    _VPC: lambda backend, value: backend.vpcs.get(value),
}
_ATTRIBUTES: Final[Mapping[tuple[str, str], Callable[[Any, Any], str]]] = {
    (_SUBNET, "AvailabilityZone"): lambda _backend, subnet: subnet.availability_zone,
    (_SUBNET, "VpcId"): lambda _backend, subnet: subnet.vpc_id,
    (_VPC, "DefaultNetworkAcl"): lambda backend, vpc: next(
        acl.id for acl in list(backend.network_acls.values()) if acl.vpc_id == vpc.id and acl.default
    ),
    (_VPC, "DefaultSecurityGroup"): lambda backend, vpc: backend.get_default_security_group(vpc.id).id,
}
