"""Statements of PartiQL in parts: what they compare, and in the form that moto's parser reads.

Source: Amazon DynamoDB Developer Guide, "PartiQL select statements for DynamoDB" and the pages about insert, update and
delete statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""\s+|('(?:[^']|'')*'|"(?:[^"]|"")*"|-?\d+(?:\.\d+)?|[\w.:/-]+|<>|<=|>=|!=|[=<>?,;(){}\[\]:]|.)""", re.DOTALL
)
_COMPARISONS: Final = frozenset({"=", "<", ">", "<>", "<=", ">=", "!="})
_OPEN, _CLOSE = frozenset("[("), frozenset("])")
_GOES_ON: Final = frozenset({"and", "from", "into", "or", "select", "set", "update", "value", "where"})
_WITHOUT_PARAMETERS: Final = ("delete", "insert")
"""Statements in which moto's parser knows no parameters."""


def compared_by(statement: str, parameters: Sequence[Any] = ()) -> dict[str, tuple[str, ...]]:
    """Return the values that a statement compares attributes with for equality, or inserts, by attribute.

    Args:
        statement: of PartiQL.
        parameters: in the place of its question marks, as DynamoDB writes values.
    """
    tokens, found = _tokens(statement), dict[str, list[str]]()
    given = iter(parameters)
    values = [_value(token, given) for token in tokens]
    begin = next((place for place, token in enumerate(tokens) if token.lower() in ("where", "value")), len(tokens))
    for place in range(begin + 1, len(tokens) - 1):
        name, operator = _name(tokens[place - 1]), tokens[place].lower()
        if operator in ("=", ":"):
            found.setdefault(name, []).extend(value for value in values[place + 1 : place + 2] if value is not None)
        elif operator == "in" and tokens[place + 1] in _OPEN:
            until = next((at for at in range(place, len(tokens)) if tokens[at] in _CLOSE), len(tokens))
            found.setdefault(name, []).extend(value for value in values[place:until] if value is not None)
    return {name: tuple(held) for name, held in found.items() if held}


def readable(statement: str, parameters: Sequence[Any] = ()) -> tuple[str, list[Any]]:
    """Return a statement and its parameters as moto's parser reads them: with spaces at comparisons.

    Raises:
        ValueError: the statement has no end.
    """
    left = list(parameters)
    pieces: list[str] = []
    text = statement.strip().rstrip(";").rstrip()
    literal = text.lower().startswith(_WITHOUT_PARAMETERS)
    for match in _TOKEN.finditer(text):
        token = match[1] or " "
        if token in _COMPARISONS:
            pieces[-1:] = [f"{pieces[-1].rstrip()} " if pieces else "", token, " "]
        elif token == "?" and literal and left:
            pieces.append(_literal(left.pop(0)))
        elif token != " " or pieces[-1:] != [" "]:
            pieces.append(token)
    if not pieces or pieces[-1].lower() in _GOES_ON:
        raise ValueError("it goes on")
    return "".join(pieces), left


def _tokens(statement: str) -> list[str]:
    return [token for token in _TOKEN.findall(statement) if token]


def _name(token: str) -> str:
    return token[1:-1] if token[:1] in "'\"" else token


def _value(token: str, given: Iterator[Any]) -> str | None:
    """Return the value of a literal or of a parameter; None for what is none."""
    if token == "?":
        value = next(given, None)
        return str(next(iter(value.values()))) if isinstance(value, dict) and value else None
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    return token if re.fullmatch(r"-?\d+(?:\.\d+)?", token) else None


def _literal(value: Any) -> str:
    kind, content = next(iter(value.items()))
    return str(content) if kind == "N" else "'" + str(content).replace("'", "''") + "'"
