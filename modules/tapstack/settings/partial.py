"""Checks the valid parts of a file that has problems, so that one report has all of them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from tapstack.settings.checking import Checker
from tapstack.settings.fields import Settings, accepts_null
from tapstack.settings.problems import Path
from tapstack.settings.unknown import UNKNOWN


def build_part(model: type[Settings], data: Any, path: Path, checker: Checker) -> Any:
    """Return `data` as a `model`, with `UNKNOWN` in place of what is wrong or missing.

    Rules of a part (`Settings.check`) are asked of it as well, as far as they can be answered.

    Args:
        model: what the data should be.
        data: as the file has it; may hold `UNKNOWN` itself.
        path: where it stands in the file.
        checker: gathers what is wrong, and forgives what cannot be known.
    """
    if not isinstance(data, dict):
        return UNKNOWN
    if not _holds_unknown(data):
        try:
            return model.model_validate(data)
        except ValidationError:
            pass
    doubtful = _doubtful(model, data)
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        annotation = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        if name in data and data[name] is None and not accepts_null(info):
            values[name] = UNKNOWN
        elif name in data:
            values[name] = _build(annotation, data[name], (*path, name), checker)
        elif info.is_required() or name in doubtful:
            values[name] = UNKNOWN
        else:
            default = info.get_default(call_default_factory=True)
            values[name] = _leaf(annotation, default) if info.validate_default else default
    part = model.model_construct(_fields_set=set(data) & set(model.model_fields), **values)
    before = len(checker.problems)
    checker.ask(path, part.check)
    return part if len(checker.problems) == before else UNKNOWN


def _doubtful(model: type[BaseModel], data: dict[str, Any]) -> set[str]:
    """Return the absent fields that a key which is like none of them may have been meant for."""
    if data.keys() <= model.model_fields.keys():
        return set()
    return {
        name
        for name, info in model.model_fields.items()
        if name not in data and not isinstance(info.get_default(call_default_factory=True), bool | int | str)
    }


def without_unknown(data: Any) -> Any:
    """Return `data` with nothing (None) in place of what cannot be used."""
    return rebuilt(data, lambda leaf: None if leaf is UNKNOWN else leaf)


def rebuilt(data: Any, leaf: Callable[[Any], Any]) -> Any:
    """Return a copy of `data`, in which no part is shared, with what `leaf` makes of what holds nothing else."""
    if isinstance(data, dict):
        return {key: rebuilt(value, leaf) for key, value in data.items()}
    if isinstance(data, list):
        return [rebuilt(item, leaf) for item in data]
    return leaf(data)


def _holds_unknown(data: Any) -> bool:
    if isinstance(data, dict):
        return any(map(_holds_unknown, data.values()))
    if isinstance(data, list):
        return any(map(_holds_unknown, data))
    return data is UNKNOWN


def _build(annotation: Any, data: Any, path: Path, checker: Checker) -> Any:
    if data is UNKNOWN or (data is None and _is_optional(annotation)):
        return data
    bare, metadata = _without_metadata(annotation)
    if model := next(_models(bare), None):
        for step in metadata:
            if isinstance(step, BeforeValidator):
                try:
                    data = step.func(data)  # type: ignore[call-arg]
                except ValueError:
                    return UNKNOWN
        return build_part(model, data, path, checker)
    members = get_args(bare)
    if get_origin(bare) is list and isinstance(data, list):
        return [_build(members[0], item, (*path, position), checker) for position, item in enumerate(data)]
    if get_origin(bare) is dict and isinstance(data, dict):
        return {key: _build(members[1], value, (*path, key), checker) for key, value in data.items()}
    return _leaf(annotation, data)


def _leaf(annotation: Any, data: Any) -> Any:
    try:
        return _adapter(annotation).validate_python(data)
    except ValidationError:
        return UNKNOWN


@lru_cache(maxsize=256)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def _without_metadata(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        bare, *metadata = get_args(annotation)
        inner, more = _without_metadata(bare)
        return inner, (*more, *metadata)
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _without_metadata(members[0])
    return annotation, ()


def _is_optional(annotation: Any) -> bool:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return type(None) in get_args(annotation)


def _models(bare: Any) -> Iterator[type[Settings]]:
    if isinstance(bare, type) and not isinstance(bare, types.GenericAlias) and issubclass(bare, Settings):
        yield bare
