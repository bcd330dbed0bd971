"""Names of version 0.2.0 that have changed, with the new ones, for messages."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final, TypeVar

T = TypeVar("T")

OLD_NAMES: Final[Mapping[str, str]] = {
    "CaptureDefaults": "CaptureSettings",
    "Containment": "ContainmentSettings",
    "StandingAppliance": "ExistingAppliance",
}
"""Public names of the library."""
OLD_ARGUMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "ContainmentSettings": {
        "approval_minutes": "approval=Approval(minutes=...)",
        "decrement_desired_capacity": "auto_scaling=AutoScaling(decrement_desired_capacity=...)",
        "deregister": "load_balancers=LoadBalancers(deregister=...)",
        "protected_instance_ids": "protect=Protect(instance_ids=...)",
        "protected_tags": "protect=Protect(tags=...)",
        "restrict_instance_profile": 'instance_profile="restrict" for True, and None for False',
        "shutdown_behavior": 'stop_on_shutdown=True for "stop"',
        "standby": "auto_scaling=AutoScaling(standby=...)",
        "two_step_seconds": "two_step=TwoStep(enabled=True, seconds=...)",
        "without_answer": "approval=Approval(default=...)",
    },
}
"""Arguments of a class of the library, by its present name."""
OLD_KEYS: Final[Mapping[str, str]] = {"shutdown_behavior": "stop_on_shutdown"}
"""Keys of the deployment file."""


def names_old_arguments(cls: type[T]) -> type[T]:
    """Make a class refuse old arguments, with the new ones in the message."""
    init: Any = cls.__init__
    old = OLD_ARGUMENTS[cls.__name__]

    @functools.wraps(init)
    def checking(self: T, *args: Any, **keywords: Any) -> None:
        for name in old.keys() & keywords.keys():
            raise TypeError(f"{cls.__name__} has no argument {name} any more: write {old[name]}")
        init(self, *args, **keywords)

    cls.__init__ = checking  # type: ignore[assignment]
    return cls
