"""How a function becomes a class method of a class of moto's."""

from __future__ import annotations

from typing import Any


def as_classmethod(function: Any) -> Any:
    """The class method of a function; mypy asks of `classmethod` more than moto's own signatures give."""
    return classmethod(function)
