"""The only module that imports cdktf and the AWS bindings, and what makes that fast.

Two cores are known: `cdktf` (archived in December 2025) and `cdktn`, CDK Terrain, its
maintained fork. `$TAPSTACK_CDK` names one; otherwise the one that is installed is used,
cdktf first. Nothing else in tapstack knows the difference.

Importing any one AWS binding ordinarily imports all 2,200 of them, in Python and in
Node. Here neither happens: see `tapstack.kernel`.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tapstack import kernel
from tapstack.domain.arguments import is_whole_token
from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_key, check_template
from tapstack.kernel.classes import AWS_CLASSES
from tapstack.kernel.cores import CORES, MissingBindingsError, choose_core
from tapstack.kernel.importing import importing

if TYPE_CHECKING:
    import cdktf as cdk
    from constructs import Construct

__all__ = [
    "AwsConstruct",
    "Construct",
    "MissingBindingsError",
    "add_condition",
    "address",
    "aws",
    "cdk",
    "core",
    "json_text",
    "provider_of",
    "rendered",
    "renders_hcl",
    "set_lifecycle",
    "terraform_data",
]

core = choose_core()
"""The core in use: `cdktf` or `cdktn`."""

with importing(kernel.begin(), CORES[core]):
    # The kernel starts with the first assembly that is loaded, which is this import's.
    _cdk = importlib.import_module(core)
    if not TYPE_CHECKING:
        cdk = _cdk
        Construct = importlib.import_module("constructs").Construct


class _Aws:
    """The AWS bindings that tapstack uses, each imported on first use.

    What they are given is rendered (see `rendered`), and resources and data sources belong to the
    provider of their scope, where that has one (`AwsConstruct`).
    """

    def __getattr__(self, name: str) -> Any:
        try:
            module = importlib.import_module(f"{CORES[core]}.{AWS_CLASSES[name]}")
        except KeyError:
            raise AttributeError(name) from None
        found = _rendering(getattr(module, name))
        setattr(self, name, found)
        return found


aws = _Aws()
"""The classes of the AWS bindings: `aws.Ec2TrafficMirrorSession(...)`."""


class AwsConstruct(Construct):
    """A construct whose resources and data sources belong to one AWS provider.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        provider: an `AwsProvider` of the stack; that of `scope` by default, and in the end the stack's
            one provider without an alias.
    """

    def __init__(self, scope: Construct, id_: str, *, provider: cdk.TerraformProvider | None = None) -> None:
        """Create the construct; children created in it belong to the same provider."""
        super().__init__(scope, id_)
        # Kept here as well: asking the kernel for what was just handed over takes a round trip each.
        self.within = scope
        self.own_id = id_
        self.provider = provider_of(scope) if provider is None else provider


def provider_of(scope: Construct) -> cdk.TerraformProvider | None:
    """Return the provider that what is created in `scope` belongs to, where it is not the stack's usual one."""
    return scope.provider if isinstance(scope, AwsConstruct) else None


def _rendering(binding: Callable[..., Any]) -> Callable[..., Any]:
    """Return a binding that renders what it is given."""

    @functools.wraps(binding, updated=())
    def make(*args: Any, **arguments: Any) -> Any:
        given = {}
        for name, value in arguments.items():
            try:
                given[name] = rendered(value)
            except RuleViolation as violation:
                where = "/".join(part for part in (args[0].node.path, args[1]) if part) + ": " if args else ""
                raise RuleViolation(f"{where}{name}: {violation}") from None
        if args and "provider" not in given and (provider := provider_of(args[0])) is not None:
            given["provider"] = provider
        # cdktf's HCL quotes what is depended on, which Terraform deprecates.
        needed = given.pop("depends_on", None) if renders_hcl() else None
        made = binding(*args, **given)
        if needed:
            depend_on(made, needed)
        return made

    return make


def rendered(value: Any, *, typed: bool = True) -> Any:
    """Return a value as cdktf has to be given it, so that Terraform reads what it is.

    cdktf escapes in HCL neither backslashes nor quotes beside expressions and in keys, and ends a text
    of several lines in a heredoc, from which the text can break out. Everything that is not text, and
    structs, which are rendered when they are made, stay as they are.

    Args:
        value: texts, lists and maps of them.
        typed: whether cdktf knows the type of the argument. Otherwise (locals, overrides, backends) it
            takes a text that begins with a bracket for an expression in HCL.

    Raises:
        RuleViolation: a text or a key that cannot stand in Terraform.
    """
    return _rendered(value, typed, renders_hcl())


def _rendered(value: Any, typed: bool, hcl: bool) -> Any:
    if isinstance(value, str):
        text = check_template(value, hcl=hcl)
        if typed or not hcl or "${" in value or value[:1] not in ("[", "{"):
            return text
        return f"\\u{ord(value[0]):04x}{text[1:]}"
    if isinstance(value, Mapping):
        if is_whole_token(value):
            return value
        return {check_key(key, hcl=hcl): _rendered(inner, typed, hcl) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rendered(inner, typed, hcl) for inner in value]
    return value


def address(element: Any) -> str:
    """Return the Terraform address of a resource, data source or local, for use inside an expression.

    Plain text on purpose: cdktf guesses from the text around a token whether it stands
    inside `${}` already, and guesses wrong after a nested brace. Like reading any attribute
    this fixes the element's logical id.
    """
    name = str(element.friendly_unique_id)
    if isinstance(element, cdk.TerraformLocal):
        return f"local.{name}"
    prefix = "data." if isinstance(element, cdk.TerraformDataSource) else ""
    return f"{prefix}{_resource_type(element)}.{name}"


def _resource_type(element: Any) -> str:
    """Return the Terraform type of an element; all of a class of the bindings have one, which is asked for once."""
    kind = type(element)
    if not kind.__module__.startswith(f"{CORES[core]}."):
        return str(element.terraform_resource_type)
    if kind not in _resource_types:
        _resource_types[kind] = str(element.terraform_resource_type)
    return _resource_types[kind]


_resource_types: dict[type, str] = {}


def renders_hcl() -> bool:
    """Return whether stacks are synthesized as HCL; the very question cdktf asks."""
    return os.environ.get("SYNTH_HCL_OUTPUT") in ("true", "1")


def json_text(value: Any) -> str:
    """Return JSON for an argument that takes it as text: a policy, a pattern, a definition.

    An expression inside must hold no quotes: JSON escapes them.
    """
    return json.dumps(value, separators=(",", ":"))


def terraform_data(scope: Construct, id_: str, **arguments: Any) -> Any:
    """Create a `terraform_data` resource, which keeps values in the state.

    Not cdktf's own class for it, which runs the terraform binary at every synthesis to ask for its version.
    """
    resource = cdk.TerraformResource(scope, id_, terraform_resource_type="terraform_data")
    for name, value in arguments.items():
        resource.add_override(name, value)
    return resource


def depend_on(resource: Any, needed: Sequence[Any]) -> None:
    """Have Terraform make a resource after others; cdktf's HCL quotes them where they are an argument."""
    addresses = [address(each) for each in needed]
    resource.add_override("depends_on", _references(addresses) if renders_hcl() else addresses)


def set_instances(resource: Any, for_each: str) -> None:
    """Give a resource an instance for each value of a set, an expression in `${}`."""
    resource.add_override("for_each", for_each)
    _instances[resource] = for_each


def instances_of(resource: Any) -> str:
    """Return the values that a resource has an instance for; an empty text where it has one without a key."""
    return _instances.get(resource, "")


_instances: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def set_lifecycle(
    resource: Any,
    *,
    prevent_destroy: bool = False,
    create_before_destroy: bool = False,
    ignore_changes: Sequence[str] = (),
    replace_triggered_by: Sequence[str] = (),
) -> None:
    """Give a resource its lifecycle arguments.

    As overrides, because cdktf's HCL quotes the references among them, which Terraform deprecates.

    Args:
        resource: the resource.
        prevent_destroy: refuse every plan that would destroy it.
        create_before_destroy: destroy it, replaced or taken out, only when nothing that is in use needs it.
        ignore_changes: arguments whose changes change nothing.
        replace_triggered_by: addresses of what takes it along when it is changed or replaced.
    """
    references = {"ignore_changes": ignore_changes, "replace_triggered_by": replace_triggered_by}
    flags = {"prevent_destroy": prevent_destroy, "create_before_destroy": create_before_destroy}
    arguments: dict[str, Any] = {name: True for name, wanted in flags.items() if wanted}
    for name, given in references.items():
        if given:
            arguments[name] = _references(given) if renders_hcl() else list(given)
    if arguments:
        _override_lifecycle(resource, arguments)


def _references(addresses: Sequence[str]) -> dict[str, str]:
    """Return a list of addresses as cdktf's HCL has to be given it, so that it quotes none of them."""
    return {"value": f"[{', '.join(addresses)}]", "type": "reference"}


def add_condition(element: Any, kind: str, condition: str, error_message: str) -> None:
    """Give a resource or data source a `precondition` or `postcondition`.

    cdktf renders conditions as an argument in HCL, which Terraform refuses ("an
    argument named precondition is not expected here"). In HCL the blocks are therefore
    described in the renderer's own terms; in JSON they are plain.

    Args:
        element: the resource or data source.
        kind: `precondition` or `postcondition`.
        condition: a Terraform expression in `${}`.
        error_message: what Terraform prints; whole sentences, as Terraform demands.
    """
    block = {"condition": condition, "error_message": rendered(error_message)}
    given = _lifecycles.get(element, {}).get(kind)
    if renders_hcl():
        blocks = [*(given["value"] if given else ()), block]
        typed = {"value": blocks, "isBlock": True, "type": "list", "storageClassType": "objectList"}
        _override_lifecycle(element, {kind: typed})
    else:
        _override_lifecycle(element, {kind: [*(given or ()), block]})


_lifecycles: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""What is in the lifecycle of each element: an override replaces the one before."""


def _override_lifecycle(element: Any, arguments: dict[str, Any]) -> None:
    lifecycle = _lifecycles.setdefault(element, {})
    lifecycle.update(arguments)
    element.add_override("lifecycle", {"value": lifecycle} if renders_hcl() else lifecycle)
