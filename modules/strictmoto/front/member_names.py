"""Under which names moto looks for a member of an answer, kept for the next answer.

moto works the names out again for each value that it writes, by six classes that it makes for it, though they follow
from the member and from the class of what has it. That is a fifth of the time of a Describe call of EC2.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final

from moto.core.serialize import DEFAULT_ALIAS_PROVIDERS, XFormedAttributePicker

# moto has types, but none for what is replaced at run time.
_picker: Any = XFormedAttributePicker
worked_out: Final = _picker.get_possible_keys
_NAMES: Final = "strict_member_names"


@functools.cache
def install() -> None:
    """Make the moto of this process keep them. A second call changes nothing."""
    _picker.get_possible_keys = _names


def _names(self: Any, context: Any) -> Iterable[str]:
    if context.shape is None or self.alias_providers is not DEFAULT_ALIAS_PROVIDERS:
        names: Iterable[str] = worked_out(self, context)
        return names
    # With the shape, which lives as long as the model of the service.
    known = vars(context.shape).setdefault(_NAMES, {})
    of = (type(context.obj), context.key)
    if of not in known:
        known[of] = tuple(dict.fromkeys(worked_out(self, context)))
    kept: tuple[str, ...] = known[of]
    return kept
