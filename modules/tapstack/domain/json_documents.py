"""Reads JSON of others as strictly everywhere: what the command line reads, the API takes, and the other way round."""

from __future__ import annotations

import json
from typing import Any


def read_document(text: str) -> Any:
    """Return what JSON says; 60.0 is 60, as in JSON Schema.

    Raises:
        ValueError: it is none (JSONDecodeError), gives a property twice, or has NaN, Infinity or a number of thousands
            of digits.
        RecursionError: it is nested too deeply.
    """
    return json.loads(
        text,
        object_pairs_hook=_without_duplicates,
        parse_constant=_no_constant,
        parse_float=_number,
        parse_int=_integer,
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a property is given twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a number has more digits than any alert has") from None
