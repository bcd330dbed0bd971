"""What a rehearsal ends with where something else happened than it expects."""

from __future__ import annotations


class RehearsalFailedError(Exception):
    """The incident did not go as expected; the message says what differed."""
