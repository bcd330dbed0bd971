"""The placeholder for a value of the file that cannot be used: nothing can be concluded from it.

The rules of a file are asked even when parts of it are wrong, so that one report names
everything. A rule that reads such a part cannot be evaluated: any use of it raises an error.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn


class UnknownValueError(Exception):
    """Something was to be concluded from a value that is not known."""


class _Unknown:
    """Can be passed on and compared by identity; anything else raises."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise UnknownValueError

    __bool__ = __hash__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __str__ = __repr__ = __format__ = _refuse

    def __getattr__(self, name: str) -> NoReturn:
        """Have no attribute of the language, and no other that could be known."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnknownValueError


UNKNOWN: Final = _Unknown()
