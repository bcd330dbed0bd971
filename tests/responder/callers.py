"""Callers of the API in these tests: two persons."""

from __future__ import annotations

from typing import Final

from tapstack.domain.callers import Caller, iam_caller

CALLER: Final[Caller] = iam_caller("arn:aws:iam::123456789012:user/ann", "AIDAANN")
"""Who opens incidents."""
OTHER: Final[Caller] = iam_caller("arn:aws:iam::123456789012:user/ben", "AIDABEN")
"""Who approves what the first one requests."""
