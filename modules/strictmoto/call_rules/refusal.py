"""How a service refuses a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of a service.

    Attributes:
        code: of the error.
        message: for the reader.
        status: of the HTTP answer.
    """

    code: str
    message: str
    status: int = 400
