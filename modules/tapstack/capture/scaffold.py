"""Helpers of all constructs of a capture: errors with paths, warnings, the session book of a stack."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final, TypeVar, cast

from tapstack.bindings import (
    AwsConstruct,
    Construct,
    address,
    cdk,
    depend_on,
    instances_of,
    provider_of,
    renders_hcl,
    terraform_data,
)
from tapstack.domain.arguments import check_arguments, public_name
from tapstack.domain.destinations import Kind
from tapstack.domain.errors import RuleViolation
from tapstack.domain.sessions import SessionBook
from tapstack.domain.tokens import is_token

# By jsii reference, which names an object for as long as its kernel lives: the Python object
# that stands for it is not always the same one.
CREATE_FIRST: Final = cdk.TerraformResourceLifecycle(create_before_destroy=True)
"""The lifecycle of resources that packets pass: see docs/decisions/0040."""

_books: dict[tuple[str, str | None], SessionBook] = {}
_app_books: dict[str, SessionBook] = {}
_blocks: dict[str, dict[str, Any]] = {}
_quarantined_vpcs: dict[str, set[str]] = {}


Init = TypeVar("Init", bound=Callable[..., None])


def checks_arguments(*, whole: Collection[str] = ()) -> Callable[[Init], Init]:
    """Make a construct refuse arguments that do not fit its signature, with its path in the message.

    Args:
        whole: names of lists and maps that may be one token, which are handed on as they are.
    """

    def decorate(init: Init) -> Init:
        @functools.wraps(init)
        def checking(self: Construct, scope: Construct, id_: str, *args: Any, **keywords: Any) -> None:
            if not isinstance(scope, Construct):
                raise RuleViolation(f"{public_name(type(self))}: scope must be a construct, got {scope!r}")
            with located(scope, str(id_)):
                _check_stack(scope)
                check_arguments(init, {"id_": id_, **keywords}, whole)
            init(self, scope, id_, *args, **keywords)

        return cast(Init, checking)

    return decorate


def _check_stack(scope: Construct) -> None:
    """Refuse a scope that is in no stack; cdktf says so later, of a part that the user does not know."""
    while isinstance(scope, AwsConstruct):
        scope = scope.within
    if isinstance(scope, cdk.TerraformStack):
        return
    try:
        cdk.TerraformStack.of(scope)
    except RuntimeError:
        raise RuleViolation(
            f"scope must be a TerraformStack or a construct in one, got {type(scope).__name__} "
            f"{scope.node.path or 'at the root'}"
        ) from None


@contextmanager
def located(scope: Construct, id_: str) -> Iterator[None]:
    """Add the path of a construct to the message of a broken rule."""
    try:
        yield
    except RuleViolation as violation:
        path = "/".join(part for part in (scope.node.path, id_) if part)
        raise RuleViolation(f"{path}: {violation}") from None


def warn(construct: Construct, message: str) -> None:
    """Attach a warning that cdktf prints when it synthesizes."""
    cdk.Annotations.of(construct).add_warning(message)


def book_of(scope: Construct, provider: cdk.TerraformProvider | None = None) -> SessionBook:
    """Return the session book of the stack and the provider, and so the account and Region, of what is created.

    Args:
        scope: what it is created in.
        provider: the one that was given for it.
    """
    chosen = provider_of(scope) if provider is None else provider
    alias = None if chosen is None else chosen.alias
    return _books.setdefault((_reference(cdk.TerraformStack.of(scope)), alias), SessionBook())


def record_target(
    scope: Construct, id_: str, kind: Kind, value: str, provider: cdk.TerraformProvider | None
) -> list[str]:
    """Write what receives the packets of a target into the books; return what is to be warned of.

    A load balancer or an interface is one thing in all stacks of an app: its name says its account and Region.

    Raises:
        RuleViolation: a Network Load Balancer that has another target, or an interface that is a source.
    """
    if kind == "gateway load balancer endpoint":
        return []
    app = _app_books.setdefault(_reference(scope.node.root), SessionBook())
    path = "/".join(part for part in (scope.node.path, id_) if part)
    if kind == "network load balancer":
        app.add_target_load_balancer(_identity(scope, value), path)
        return []
    if not is_token(value):
        book_of(scope, provider).add_target_interface(value, label_of(scope, id_))
    also = app.add_target_interface(_identity(scope, value), path)
    if also is None:
        return []
    return [f"its network interface is that of {also} as well: the sources of both count towards the number it takes"]


def _identity(scope: Construct, value: str) -> str:
    """Return what distinguishes a value from others in the app: each time an attribute is read, it is another token."""
    if not is_token(value):
        return value
    resolver = cdk.DefaultTokenResolver(cdk.StringConcat())
    return f"{_stack_of(scope)} {cdk.Tokenization.resolve(value, resolver=resolver, scope=scope)}"


def label_of(scope: Construct, id_: str) -> str:
    """Return the path of a construct below its stack, which no other one has."""
    parts = [id_]
    while isinstance(scope, AwsConstruct):
        parts.append(scope.own_id)
        scope = scope.within
    if not isinstance(scope, cdk.TerraformStack):
        above = len(cdk.TerraformStack.of(scope).node.path.split("/"))
        parts += reversed(scope.node.path.split("/")[above:])
    return "/".join(reversed(parts))


def needs_of(scope: Construct, *needy: Any) -> list[Any] | None:
    """Return what the given need (their `needs`) in the stack of `scope`: Terraform orders nothing beyond it."""
    found: list[Any] = []
    for each in needy:
        needs = getattr(each, "needs", ())
        if needs and _stack_of(each if isinstance(each, AwsConstruct) else needs[0]) == _stack_of(scope):
            found += needs
    return found or None


def _stack_of(scope: Any) -> str:
    """Return the reference of a stack, where possible without a question to the kernel."""
    while isinstance(scope, AwsConstruct):
        scope = scope.within
    return _reference(scope if isinstance(scope, cdk.TerraformStack) else cdk.TerraformStack.of(scope))


def quarantined_vpcs_of(scope: Construct) -> set[str]:
    """Return the VPCs that have a quarantine group in the app that `scope` belongs to."""
    return _quarantined_vpcs.setdefault(_reference(scope.node.root), set())


def _reference(construct: Any) -> str:
    return str(construct.__jsii_ref__.ref)


def warn_at_plan(scope: Construct, name: str, assertions: Sequence[tuple[str, str]]) -> None:
    """Have Terraform warn, when it plans and applies, where a condition does not hold; nothing is refused.

    Args:
        scope: whose stack gets the `check` block.
        name: of the block, unique in the stack.
        assertions: conditions, as expressions in `${}`, each with what Terraform says where it is false.
    """
    block = {"assert": [{"condition": condition, "error_message": message} for condition, message in assertions]}
    stack, blocks = _blocks_of_stack(scope)
    blocks.setdefault("check", {})[name] = block
    _override_block(stack, f"check.{name}", block)


def keep_moved(scope: Construct, *addresses: str) -> None:
    """Have Terraform keep what the state has at one of the addresses, from the oldest to the one that is in use."""
    stack, blocks = _blocks_of_stack(scope)
    moved = blocks.setdefault("moved", [])
    # Each in a list of its own, as JSON's syntax allows for a body: checkov reads no file with a plain `moved`.
    moved += ([{"from": old, "to": new}] for old, new in pairwise(addresses))
    _override_block(stack, "moved", list(moved))


def former_address(scope: Construct, id_: str, resource_type: str) -> str:
    """Return the address of a resource that a child of `scope` with this id had in older versions."""
    return f"{resource_type}.{cdk.TerraformElement(scope, id_).friendly_unique_id}"


def blocks_of(stack: Construct) -> dict[str, Any]:
    """Return the blocks of a stack that cdktf does not know, `check` and `moved`, as Terraform's JSON has them.

    In JSON they are overrides of the stack. In HCL cdktf writes no blocks of these kinds: the synthesis writes
    them to a file beside the stack's.
    """
    return dict(_blocks.get(_reference(stack), {}))


def _blocks_of_stack(scope: Construct) -> tuple[cdk.TerraformStack, dict[str, Any]]:
    stack = cdk.TerraformStack.of(scope)
    return stack, _blocks.setdefault(_reference(stack), {})


def _override_block(stack: cdk.TerraformStack, path: str, block: Any) -> None:
    if not renders_hcl():
        stack.add_override(path, block)


def delete_last(scope: Construct, id_: str, resources: Sequence[Any]) -> None:
    """Have Terraform delete those of the resources that are taken out when all others are created and changed.

    It keeps their addresses and instances in the state, which changes after them and before what is not needed goes.
    They need `CREATE_FIRST`, which Terraform remembers of what is taken out.
    """
    kept = terraform_data(scope, id_, input={address(each): instances_of(each) for each in resources})
    depend_on(kept, resources)


def distinct_id(value: str, id_: str, taken: set[str]) -> str:
    """Return the id of the construct for `value`, `id_`, and note it in `taken`: ids that there are do not change.

    Where an earlier value has that id, part of a hash of this one follows.
    """
    if id_ in taken:
        id_ += f"-{hashlib.sha256(value.encode()).hexdigest()[:8]}"
    taken.add(id_)
    return id_


def name_main_child(construct: AwsConstruct, resource: Any, logical_id: str | None = None) -> None:
    """Choose the name in the Terraform address of a construct's main child.

    A `logical_id` that was asked for wins. Otherwise a direct child of a stack gives its
    plain id: `MirrorSessions(stack, "web", ...)` becomes
    `aws_ec2_traffic_mirror_session.web`. Ids below one scope differ, so no two addresses
    can meet; deeper constructs keep cdktf's ids, which end in a hash for that reason.

    To be called at once: cdktf fixes the name when the first attribute is read.

    Raises:
        RuleViolation: Terraform takes no such name.
    """
    if logical_id is None and isinstance(construct.within, cdk.TerraformStack):
        logical_id = construct.own_id
    if logical_id is not None:
        if logical_id.startswith("-") or not logical_id.replace("-", "_").isidentifier():
            raise RuleViolation(
                f"{construct.node.path}: {logical_id!r} cannot be a name in a Terraform address: expected letters, "
                "digits, underscores or hyphens, beginning with a letter or an underscore"
            )
        resource.override_logical_id(logical_id)


def name_tag(name: str, tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return `tags` with a Name tag, unless they bring their own."""
    return {"Name": name, **(tags or {})}


def as_text(number: float) -> str:
    """Return a number as text where AWS wants text; a token stays a token."""
    return str(cdk.Token.as_string(number)) if is_token(number) else str(number)


def suppress_checkov(resource: Any, reasons: Mapping[str, str]) -> None:
    """Suppress checkov checks in place, each with the reason a reviewer needs.

    The reasons stand beside the resource in the synthesized Terraform. checkov reads them
    with the plug-in in policy/checkov; Terraform ignores them. Call it once a resource:
    a second call would replace the first.
    """
    skips = [{"id": check, "comment": reason} for check, reason in reasons.items()]
    resource.add_override("//.checkov", {"skip": skips})
