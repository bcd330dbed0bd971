"""What the fields of the deployment file are for: the texts below them in the models' source.

Read where they are needed, for the schema and for what is missing in a file: pydantic would parse the source of every
model at each start (`use_attribute_docstrings`).
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap

from pydantic import BaseModel


@functools.cache
def descriptions_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field of a model, inherited ones included; a field's own description wins."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _below_fields(base)
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
