"""What the fields of the deployment file are for: the texts below them in the models' source, or the docstring of the
dataclass that a model validates into.

Read where they are needed, for the schema and for what is missing in a file: pydantic would parse the source of every
model at each start (`use_attribute_docstrings`).
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap

from pydantic import BaseModel


@functools.cache
def descriptions_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field of a model, inherited ones included; a field's own description wins."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _below_fields(base)
            if domain := getattr(base, "domain_type", None):
                found |= _attributes_of(domain)
    own = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {**found, **own}


def _below_fields(model: type[BaseModel]) -> dict[str, str]:
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str() as text)):
                    found[statement.target.id] = inspect.cleandoc(text)
    return found


def _attributes_of(domain: type) -> dict[str, str]:
    """Return what the docstring of a dataclass says of its attributes."""
    _, _, section = inspect.cleandoc(domain.__doc__ or "").partition("Attributes:\n")
    section = section.split("\n\n")[0]
    entries = re.split(r"^    (?=\w+: )", section, flags=re.MULTILINE)[1:]
    named = (entry.partition(": ") for entry in entries)
    return {name: " ".join(text.split()) for name, _, text in named}
