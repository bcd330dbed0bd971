"""Reads values out of JSON of others, each with its place in the document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier, example_of
from tapstack.domain.incidents import as_moment
from tapstack.domain.outside_text import quoted
from tapstack.domain.tokens import is_token

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A value in the document, with the place it stands at. None, an empty text and absence are the same.

    The methods that are named after a form (`text`, `number`, ...) raise where the value has another one;
    `or_else` reads with one of them, and leaves out what it refuses.

    Attributes:
        value: as parsed JSON has it.
        where: the place, such as `detail.service.count`; empty for the document as a whole.
        left_out: what `or_else` left out, each with its place; one for the whole document.
    """

    value: Any
    where: str = ""
    left_out: dict[str, None] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Return the place of a key, in the form that the document uses."""
        spelled = self._spelling(key)
        return f"{self.where}.{spelled}" if self.where else spelled

    def required(self, key: str) -> Part:
        """Return the value of a key.

        Raises:
            RuleViolation: it is missing.
        """
        found = self.optional(key)
        if found.value is None:
            raise RuleViolation(f"{self.place(key)}: is missing: a GuardDuty finding has it")
        return found

    def optional(self, key: str) -> Part:
        """Return the value of a key, which may be absent; where this is no object, all its keys are."""
        keys: dict[str, Any] = {}
        value = self.or_else(Part.mapping, keys).get(self._spelling(key))
        return Part(None if value == "" else value, self.place(key), self.left_out)

    def list_of(self, key: str) -> list[Part]:
        """Return the items of a list, which may be absent."""
        return self.optional(key).or_else(Part.items, [])

    def or_else(self, read: Callable[[Part], T], default: T) -> T:
        """Return what `read` reads, and the default where the value is absent, or is left out."""
        if self.value is None:
            return default
        try:
            return read(self)
        except RuleViolation as violation:
            self.left_out[str(violation)] = None
            return default

    def mapping(self) -> dict[str, Any]:
        """Return a JSON object."""
        if isinstance(self.value, dict):
            return self.value
        raise self.refusal("a JSON object")

    def items(self) -> list[Part]:
        """Return the items of a list, each with its place."""
        if isinstance(self.value, list):
            return [Part(item, f"{self.where}[{position}]", self.left_out) for position, item in enumerate(self.value)]
        raise self.refusal("a list")

    def text(self) -> str:
        """Return text that is not empty."""
        if isinstance(self.value, str) and self.value:
            return self.value
        raise self.refusal("text")

    def moment(self) -> str:
        """Return a time as the document has it, which is in ISO 8601."""
        if not isinstance(self.value, str) or as_moment(self.value) is None:
            raise self.refusal("a time such as 2026-01-02T03:04:05Z")
        return self.value

    def truth(self) -> bool:
        """Return true or false."""
        if isinstance(self.value, bool):
            return self.value
        raise self.refusal("true or false")

    def number(self, low: float, high: float) -> float:
        """Return a number within bounds."""
        value = self.value
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise self.refusal(f"a number from {low:g} to {high:g}")

    def whole_number(self, low: int, high: int) -> int:
        """Return a whole number within bounds."""
        value = self.value
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise self.refusal(f"a whole number from {low} to {high}")

    def identifier(self, kind: str) -> str:
        """Return the id of a resource of AWS."""
        text = self.text()
        try:
            # Which the deployment's own ids may be, and those of a finding never.
            if not is_token(text):
                return check_identifier(kind, text)
        except RuleViolation:
            pass
        raise self.refusal(f"the form {example_of(kind)}")

    def refusal(self, expected: str) -> RuleViolation:
        """Return what is wrong with the value, for others to raise."""
        where = f"{self.where}: " if self.where else ""
        return RuleViolation(f"{where}expected {expected}, got {quoted(self.value)}")

    def _spelling(self, key: str) -> str:
        upper = key[:1].upper() + key[1:]
        keys = self.value if isinstance(self.value, dict) else {}
        if key in keys:
            return key
        return upper if upper in keys or any(name[:1].isupper() for name in keys) else key
