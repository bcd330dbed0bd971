"""Assertions over the HCL that a stack synthesizes to."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable
from typing import Any
from unittest import mock

import hcl2
from hcl2 import SerializationOptions

from tapstack.bindings import aws, cdk

CREATE_FIRST = [{"create_before_destroy": True}]
"""The lifecycle of what packets need on their way."""

_OPTIONS = SerializationOptions(strip_string_quotes=True, explicit_blocks=False)


class Template:
    """The parsed HCL of one stack: `resource`, `data`, `output`, `local` by type and name."""

    def __init__(self, stack: cdk.TerraformStack) -> None:
        """Synthesize and parse `stack`; validations of cdktf run too."""
        self.hcl: str = cdk.Testing.synth_hcl(stack, True)
        parsed = hcl2.loads(self.hcl, serialization_options=_OPTIONS)
        self.resources = _by_type(parsed.get("resource", []))
        self.data = _by_type(parsed.get("data", []))
        self.outputs = {name: body for block in parsed.get("output", []) for name, body in block.items()}
        self.locals = {name: value for block in parsed.get("locals", []) for name, value in block.items()}
        self.terraform: dict[str, Any] = parsed.get("terraform", [{}])[0]
        self.providers = _by_type([{k: {"": v}} for block in parsed.get("provider", []) for k, v in block.items()])
        self.warnings = _warnings(stack)

    def resource(self, type_: str, name: str | None = None) -> dict[str, Any]:
        """Return the arguments of a resource: the one of its type, or the one named."""
        return _one(self.resources, type_, name)

    def datum(self, type_: str, name: str | None = None) -> dict[str, Any]:
        """Return the arguments of a data source: the one of its type, or the one named."""
        return _one(self.data, type_, name)

    def count(self, type_: str) -> int:
        """Return how many resources of a type there are."""
        return len(self.resources.get(type_, {}))

    def names(self, type_: str) -> set[str]:
        """Return the names of the resources of a type."""
        return set(self.resources.get(type_, {}))


def assert_equal(found: Any, expected: Any) -> None:
    """Compare two structures; the failure shows a line-by-line difference."""
    if found != expected:
        left, right = (json.dumps(x, indent=2, sort_keys=True, default=repr).splitlines() for x in (expected, found))
        raise AssertionError("\n".join(difflib.unified_diff(left, right, "expected", "found", lineterm="")))


def synthesize(build: Callable[[cdk.TerraformStack], object], name: str = "site") -> Template:
    """Build into a new stack with a provider, as any user would, and return its template."""
    stack = new_stack(name)
    with rendering_hcl():
        build(stack)
    return Template(stack)


def rendering_hcl() -> Any:
    """Say for a while that stacks are synthesized as HCL: constructs ask when they are built."""
    return mock.patch.dict(os.environ, {"SYNTH_HCL_OUTPUT": "true"})


def new_stack(name: str = "site") -> cdk.TerraformStack:
    """Return an empty stack with a provider."""
    stack = cdk.TerraformStack(cdk.Testing.app(), name)
    aws.AwsProvider(stack, "aws", region="eu-central-1")
    return stack


def _by_type(blocks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for block in blocks:
        for type_, named in block.items():
            for name, body in named.items():
                assert name not in found.get(type_, {}), f"{type_}.{name} appears twice"
                found.setdefault(type_, {})[name] = body
    return found


def _one(found: dict[str, dict[str, Any]], type_: str, name: str | None) -> dict[str, Any]:
    of_type = found.get(type_, {})
    if name is None:
        assert len(of_type) == 1, f"expected one {type_}, found {sorted(of_type) or 'none'} ({sorted(found)})"
        return dict(next(iter(of_type.values())))
    assert name in of_type, f"no {type_}.{name}, found {sorted(of_type) or 'none'}"
    return dict(of_type[name])


def _warnings(stack: cdk.TerraformStack) -> list[str]:
    return [
        str(entry.data)
        for construct in stack.node.find_all()
        for entry in construct.node.metadata
        if entry.type == "@cdktf/warn"
    ]
