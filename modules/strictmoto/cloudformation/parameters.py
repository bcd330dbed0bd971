"""The parameters of a stack, held to what its template declares.

Source: CloudFormation User Guide, "Parameters". AWS refuses a value that breaks a constraint before there is a stack;
a value of an AWS-specific type that names nothing in the account fails the stack.
"""

from __future__ import annotations

import re
from typing import Any

from moto.cloudformation.exceptions import ValidationError

from strictmoto.cloudformation.templates import text


def check(declared: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse parameters that are unknown, missing, or outside of their constraints."""
    if unknown := [name for name in given if name not in declared]:
        raise ValidationError(message=f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    if missing := [name for name, slot in declared.items() if name not in given and "Default" not in slot]:
        raise ValidationError(message=f"Parameters: [{', '.join(missing)}] must have values")
    for name, slot in declared.items():
        value = text(given.get(name, slot.get("Default")))
        kind = slot.get("Type", "String")
        # The value of an SSM parameter type is a name; the constraints are for that name only.
        many = kind == "CommaDelimitedList" or kind.startswith("List<")
        for item in [item.strip() for item in value.split(",")] if many else [value]:
            if problem := _problem(slot, item):
                _refuse(name, slot, problem)


def _problem(slot: dict[str, Any], value: str) -> str | None:
    """What is wrong with one value, as AWS words it; None when it will do."""
    allowed = slot.get("AllowedValues")
    if allowed is not None and value not in [text(item) for item in allowed]:
        return "must be one of AllowedValues"
    pattern = slot.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        return f"must match pattern {pattern}"
    if slot.get("Type") in ("Number", "List<Number>"):
        return _number_problem(slot, value)
    if "MinLength" in slot and len(value) < int(slot["MinLength"]):
        return f"must contain at least {slot['MinLength']} characters"
    if "MaxLength" in slot and len(value) > int(slot["MaxLength"]):
        return f"must contain at most {slot['MaxLength']} characters"
    return None


def _number_problem(slot: dict[str, Any], value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "must be a number"
    if "MinValue" in slot and number < float(slot["MinValue"]):
        return f"must be a number not less than {slot['MinValue']}"
    if "MaxValue" in slot and number > float(slot["MaxValue"]):
        return f"must be a number not greater than {slot['MaxValue']}"
    return None


def _refuse(name: str, slot: dict[str, Any], problem: str) -> None:
    if "ConstraintDescription" in slot:
        raise ValidationError(message=f"Parameter {name} failed to satisfy constraint: {slot['ConstraintDescription']}")
    raise ValidationError(message=f"Parameter '{name}' {problem}")


def absent(backend: Any, declared: dict[str, Any], values: dict[str, Any]) -> str | None:
    """Why the stack cannot be: the first value of an AWS-specific type that the account does not hold."""
    finders = {
        "AWS::EC2::VPC::Id": lambda value: value in backend.vpcs,
        "AWS::EC2::Subnet::Id": lambda value: any(value in subnets for subnets in backend.subnets.values()),
        "AWS::EC2::SecurityGroup::Id": lambda value: backend.get_security_group_from_id(value) is not None,
        "AWS::EC2::Instance::Id": lambda value: backend.get_instance_by_id(value) is not None,
        "AWS::EC2::KeyPair::KeyName": lambda value: value in backend.key_pairs,
    }
    for name, slot in declared.items():
        kind = slot.get("Type", "String")
        finder = finders.get(kind.removeprefix("List<").removesuffix(">"))
        value = values.get(name)
        for item in value if isinstance(value, list) else [value]:
            if finder and not finder(item):
                return f"Parameter validation failed: parameter value {item} for parameter name {name} does not exist"
    return None
