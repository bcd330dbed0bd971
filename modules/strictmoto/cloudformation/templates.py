"""What CloudFormation reads from a template before it makes anything.

Sources: CloudFormation User Guide, "Template anatomy"; API Reference, GetTemplateSummary and ValidateTemplate.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.cloudformation.exceptions import ValidationError

from strictmoto.cloudformation import schemas, transforms
from strictmoto.cloudformation.forms import check_form, check_nulls
from strictmoto.cloudformation.yaml_templates import read

_IAM: Final = "AWS::IAM::"
# A resource with a name of one's own needs the stronger capability.
_IAM_NAMES: Final = frozenset({"RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName"})
_NAMED_TYPES: Final = frozenset(
    {f"{_IAM}{kind}" for kind in ("Role", "User", "Group", "ManagedPolicy", "InstanceProfile")}
)
_VERSION: Final = "2010-09-09"
_SECTIONS: Final = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Hooks",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    }
)
_ATTRIBUTES: Final = frozenset(
    {
        "Condition",
        "CreationPolicy",
        "DeletionPolicy",
        "DependsOn",
        "Metadata",
        "Properties",
        "Type",
        "UpdatePolicy",
        "UpdateReplacePolicy",
    }
)
_NAMED_SECTIONS: Final = (("Parameters", "Parameter"), ("Resources", "Resource"), ("Outputs", "Output"))
_EMBEDDED: Final = "Fn::Transform"
_NAME: Final = re.compile(r"[A-Za-z0-9]+")
_SUBSTITUTED: Final = re.compile(r"\$\{([^!}][^}]*)\}")


def parse(body: str) -> dict[str, Any]:
    """The template as data, refused where its form is wrong.

    Raises:
        ValidationError: not YAML or JSON, without resources, or with references that lead nowhere or in circles.
    """
    template = read(body)
    if not isinstance(template, dict):
        raise ValidationError(message="Template format error: unsupported structure.")
    check_nulls(template)
    resources = template.get("Resources")
    if not isinstance(resources, dict | None):
        raise ValidationError(message="Template format error: [/Resources] is not an object")
    _check_form(template)
    if not resources:
        raise ValidationError(message="Template format error: At least one Resources member must be defined.")
    transforms.check_functions(template)
    for name, resource in resources.items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise ValidationError(
                message=f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
            )
        if not transforms.is_expanded(template) and (extra := set(resource) - _ATTRIBUTES - {_EMBEDDED}):
            raise ValidationError(message=f"Invalid template resource property '{min(map(str, extra))}'")
    transforms.check_policies(template)
    if not transforms.is_expanded(template):
        check_form(template, extended=transforms.EXTENSIONS in transforms.declared(template))
    # A macro may add what is missing.
    if "Transform" not in template:
        known = {*resources, *(template.get("Parameters") or {})}
        for block in ("Resources", "Outputs"):
            _check_attributes(template.get(block) or {}, resources)
            unknown = sorted({name for name in references(template.get(block) or {}) if name not in known})
            if unknown := [name for name in unknown if not name.startswith("AWS::")]:
                raise ValidationError(
                    message=f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] "
                    f"in the {block} block of the template"
                )
    creation_order(resources)
    return template


def _check_form(template: dict[str, Any]) -> None:
    """Refuse sections, a version and names that no template has; a macro takes what it knows."""
    if transforms.is_expanded(template):
        return
    if unknown := sorted(str(name) for name in template if name not in _SECTIONS):
        raise ValidationError(message=f"Invalid template property or properties [{', '.join(unknown)}]")
    version = str(template.get("AWSTemplateFormatVersion", _VERSION))
    if version != _VERSION:
        raise ValidationError(message=f"Template format error: Unsupported AWSTemplateFormatVersion: {version}")
    for section, kind in _NAMED_SECTIONS:
        names = map(str, template.get(section) or ())
        if bad := [name for name in names if not _NAME.fullmatch(name) and not name.startswith("Fn::")]:
            raise ValidationError(message=f"Template format error: {kind} name {bad[0]} is non alphanumeric.")


def check_makeable(template: dict[str, Any], region: str, account_id: str) -> None:
    """Refuse what no stack is made of: transforms that nothing runs, and types that AWS does not have in a Region."""
    transforms.check(template, account_id)
    check_types(template, region)


def check_types(template: dict[str, Any], region: str) -> None:
    """Refuse types that AWS does not have in a Region; which those are, a macro may change."""
    if transforms.is_expanded(template):
        return
    types = dict.fromkeys(resource["Type"] for resource in template["Resources"].values())
    if unknown := [kind for kind in types if not schemas.known(kind, region)]:
        raise ValidationError(message=f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")


def check_wanted(template: dict[str, Any], conditions: Mapping[str, Any]) -> None:
    """Refuse resources that need others whose conditions do not hold; DependsOn of such ones is passed over.

    Args:
        template: whose macros are expanded.
        conditions: what each of its conditions says.
    """
    resources = template.get("Resources") or {}
    unwanted = {name for name, json in resources.items() if "Condition" in json and not conditions[json["Condition"]]}
    if not unwanted or "Transform" in template:
        return
    for block in ("Resources", "Outputs"):
        parts = (template.get(block) or {}).items()
        wanted = {
            name: {key: value for key, value in json.items() if key != "DependsOn"}
            for name, json in parts
            if "Condition" not in json or conditions[json["Condition"]]
        }
        if found := sorted(unwanted & set(references(_chosen(wanted, conditions)))):
            raise ValidationError(
                message=f"Template format error: Unresolved resource dependencies [{', '.join(found)}] "
                f"in the {block} block of the template"
            )


def _chosen(part: Any, conditions: Mapping[str, Any]) -> Any:
    """A part of a template with what Fn::If chooses in its place."""
    if isinstance(part, list):
        return [_chosen(item, conditions) for item in part]
    if not isinstance(part, dict):
        return part
    if isinstance(arguments := part.get("Fn::If"), list) and len(arguments) == 3 and arguments[0] in conditions:
        return _chosen(arguments[1 if conditions[arguments[0]] else 2], conditions)
    return {key: _chosen(value, conditions) for key, value in part.items()}


def _check_attributes(part: Any, resources: dict[str, Any]) -> None:
    """Refuse Fn::GetAtt of a resource that the template does not have, or of an attribute that its type has not."""
    if isinstance(part, list):
        for item in part:
            _check_attributes(item, resources)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key == "Fn::GetAtt" and isinstance(value, list) and isinstance(value[-1], str):
            name, attribute = value[0], ".".join(value[1:])
            if name not in resources:
                raise ValidationError(
                    message=f"Template error: instance of Fn::GetAtt references undefined resource {name}"
                )
            if not schemas.has_attribute(resources[name]["Type"], attribute):
                raise ValidationError(
                    message=f"Template error: resource {name} does not support attribute type {attribute} in Fn::GetAtt"
                )
        else:
            _check_attributes(value, resources)


def references(part: Any) -> Iterator[str]:
    """The logical names that a part of a template refers to, with Ref, GetAtt, Sub or DependsOn."""
    if isinstance(part, list):
        for item in part:
            yield from references(item)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key == "Ref" and isinstance(value, str):
            yield value
        elif key == "Fn::GetAtt":
            name = value.partition(".")[0] if isinstance(value, str) else value[0]
            yield from [name] if isinstance(name, str) else references(name)
        elif key == "Fn::Sub":
            text, given = (value, {}) if isinstance(value, str) else value
            yield from references(given)
            names = (name.strip().partition(".")[0] for name in _SUBSTITUTED.findall(text))
            yield from (name for name in names if name not in given)
        elif key == "DependsOn":
            yield from [value] if isinstance(value, str) else value
        else:
            yield from references(value)


def creation_order(resources: dict[str, Any]) -> list[str]:
    """The logical names of the resources, each after those that it needs; deletion goes the other way."""
    needs = {name: [other for other in references(json) if other in resources] for name, json in resources.items()}
    try:
        return list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as problem:
        circle = ", ".join(sorted(set(problem.args[1])))
        raise ValidationError(message=f"Circular dependency between resources: [{circle}]") from problem


def capabilities(template: dict[str, Any]) -> tuple[list[str], str | None]:
    """The capabilities that a stack of the template needs, and why it needs those of IAM."""
    expanding = transforms.capability(template)
    resources = [json for json in template["Resources"].values() if json["Type"].startswith(_IAM)]
    if not resources:
        return expanding, None
    types = ", ".join(sorted({json["Type"] for json in resources}))
    named = any(json["Type"] in _NAMED_TYPES and _IAM_NAMES & set(json.get("Properties") or {}) for json in resources)
    needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
    return [needed, *expanding], f"The following resource(s) require capabilities: [{types}]"


def text(value: Any) -> str:
    """A scalar of a template as CloudFormation compares and shows it: YAML's true is the text "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def summary(template: dict[str, Any]) -> dict[str, Any]:
    """The answer of GetTemplateSummary."""
    parameters = []
    for name, declared in (template.get("Parameters") or {}).items():
        allowed = declared.get("AllowedValues")
        parameters.append(
            {
                **_declaration(name, declared),
                "ParameterType": declared.get("Type", "String"),
                "ParameterConstraints": {"AllowedValues": [text(value) for value in allowed]} if allowed else {},
            }
        )
    answer = {
        **_common(template),
        "Parameters": parameters,
        "ResourceTypes": sorted({json["Type"] for json in template["Resources"].values()}),
    }
    if "AWSTemplateFormatVersion" in template:
        answer["Version"] = str(template["AWSTemplateFormatVersion"])
    return answer


def validation(template: dict[str, Any]) -> dict[str, Any]:
    """The answer of ValidateTemplate."""
    declared = (template.get("Parameters") or {}).items()
    return {**_common(template), "Parameters": [_declaration(name, parameter) for name, parameter in declared]}


def _common(template: dict[str, Any]) -> dict[str, Any]:
    needed, reason = capabilities(template)
    answer: dict[str, Any] = {"DeclaredTransforms": transforms.declared(template)}
    if "Description" in template:
        answer["Description"] = template["Description"]
    if needed:
        answer["Capabilities"] = needed
    if reason:
        answer["CapabilitiesReason"] = reason
    return answer


def _declaration(name: str, declared: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"ParameterKey": name, "NoEcho": text(declared.get("NoEcho", False)) == "true"}
    if "Default" in declared:
        answer["DefaultValue"] = text(declared["Default"])
    if "Description" in declared:
        answer["Description"] = declared["Description"]
    return answer
