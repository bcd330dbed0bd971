"""The properties that a template gives a resource, and which of them its making took over.

What is read of them while a resource is made or changed is taken over; what is not would be lost, and a stack that
says CREATE_COMPLETE would promise what is not there. So each property is either read, or it fails its resource.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from moto.cloudformation import parsing

# moto has types, but none for what is replaced at run time.
moto_parsing: Any = parsing
_GIVEN: Final[ContextVar[list[Given] | None]] = ContextVar("_GIVEN", default=None)
WITHOUT_EFFECT: Final[Mapping[str, Mapping[str, str]]] = {
    "AWS::ApiGatewayV2::Api": {"FailOnWarnings": "an import of a definition reads it, and there is none"},
    "AWS::CDK::Metadata": {
        "Analytics": "it is for statistics only",
        "Modules": "it is for statistics only",
    },
    "AWS::EC2::EIP": {"Domain": "every address is one of a VPC"},
    "AWS::KMS::Key": {
        "BypassPolicyLockoutSafetyCheck": "no key policy is refused for locking its principal out",
        "PendingWindowInDays": "the deletion reads it",
    },
}
"""Properties that nothing needs to read while a resource is made, by type, with the reason."""


class Given(dict[str, Any]):
    """Properties that remember which of them were read.

    Attributes:
        read: their names.
    """

    __slots__ = ("read",)

    def __init__(self, properties: Mapping[str, Any], read: set[str] | None = None) -> None:
        """Take properties; none is read yet."""
        super().__init__(properties)
        self.read: set[str] = set() if read is None else read

    def __getitem__(self, name: str) -> Any:
        """Read one."""
        self.read.add(name)
        return super().__getitem__(name)

    # `{**given}` and `dict(given)` go by the names and read each, but only where a class has an iterator of its own.
    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """Read one, if it is there."""
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Read one, and take it out."""
        self.read.add(name)
        return super().pop(name, *default)

    def items(self) -> Any:
        """Read all."""
        self.read.update(super().keys())
        return super().items()

    def values(self) -> Any:
        """Read all."""
        self.read.update(super().keys())
        return super().values()

    def copy(self) -> Given:
        """Return a copy; what is read of it counts here."""
        return Given(dict(super().items()), self.read)

    def __deepcopy__(self, memo: Any) -> Given:
        """Return a copy; what is read of it counts here."""
        import copy

        return Given({name: copy.deepcopy(value, memo) for name, value in super().items()}, self.read)

    def __reduce__(self) -> Any:
        """Be kept as plain properties."""
        return dict, (dict(super().items()),)


def install() -> None:
    """Let moto hand over properties that remember."""
    parse = moto_parsing.parse_resource_and_generate_name

    @functools.wraps(parse)
    def parse_resource_and_generate_name(*args: Any, **kwargs: Any) -> Any:
        parsed = parse(*args, **kwargs)
        recorded = _GIVEN.get()
        if parsed and recorded is not None:
            resource_class, json, name = parsed
            given = Given(json["Properties"])
            recorded.append(given)
            parsed = resource_class, {**json, "Properties": given}, name
        return parsed

    moto_parsing.parse_resource_and_generate_name = parse_resource_and_generate_name


@contextmanager
def recorded() -> Iterator[list[Given]]:
    """Collect the properties that moto hands over meanwhile."""
    found: list[Given] = []
    token = _GIVEN.set(found)
    try:
        yield found
    finally:
        _GIVEN.reset(token)


def lost(kind: str, names: Iterable[str], found: list[Given]) -> list[str]:
    """Return those of some properties of a resource that nothing has read.

    Args:
        kind: its type.
        names: of the properties that are in question.
        found: its properties, as they were handed over.
    """
    read = {name for given in found for name in given.read}
    there = {name for given in found for name in given}
    # What is left out is taken over, too, where all that is there was: a call that replaces everything got it.
    gone = set() if there - read else set(names) - there
    named = {moto_parsing.resource_name_property_from_type(kind), *WITHOUT_EFFECT.get(kind, ())}
    return sorted(set(names) - read - gone - named)
