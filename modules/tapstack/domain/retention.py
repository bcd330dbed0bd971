"""How long a response keeps what it records, each setting with its default and its range.

The deployment file and the construct take them from here.
"""

from __future__ import annotations

from typing import Final, Literal

RETENTION_DAYS: Final = (1, 3653)
INCIDENTS_KEPT_DAYS: Final = 365
"""How long closed incidents are kept by default."""
LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""What CloudWatch Logs takes (API Reference, PutRetentionPolicy)."""
LOGS_KEPT_DAYS: Final[LogRetentionDays] = 90
"""How long logs are kept by default."""
DELETION_PROTECTION: Final = True
"""Of the table of incidents, by default."""
