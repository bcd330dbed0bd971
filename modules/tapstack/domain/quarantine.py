"""The security group with which an operator isolates an instance by hand."""

from __future__ import annotations

from typing import Final

DEFAULT_NAME: Final = "tapstack-quarantine"
"""Of a library's group by default, and of those that sites made before each had a name of its own."""
