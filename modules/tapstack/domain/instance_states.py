"""States of EC2 instances, and what they mean here.

Source: Amazon EC2 API Reference, InstanceState; Amazon EC2 User Guide, "Amazon EC2 instance state changes".
"""

from __future__ import annotations

from typing import Final

RUNNING_STATES: Final = ("pending", "running")
PRESENT_STATES: Final = (*RUNNING_STATES, "stopping", "stopped")
"""Of instances that exist."""
GONE_STATES: Final = frozenset({"shutting-down", "terminated"})
"""Of instances that have no packets any more; EC2 describes a terminated one for about an hour."""
