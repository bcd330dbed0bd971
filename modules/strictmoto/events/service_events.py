"""Events of AWS services, on demand: most of what services report does not happen here.

Source: Amazon EventBridge User Guide, "Events from AWS services".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from moto.core.models import DEFAULT_ACCOUNT_ID

RESERVED: Final = "aws."
"""How the sources of services begin. PutEvents refuses them, whoever calls it."""
_REQUIRED: Final = ("source", "detail-type", "detail")


class ServiceEvents:
    """What AWS services put on the default bus of an account."""

    def __init__(self, region: str) -> None:
        """Begin without an event.

        Args:
            region: for events of no other Region.
        """
        self._region = region

    def publish(self, event: Mapping[str, Any], *, region: str = "", account: str = DEFAULT_ACCOUNT_ID) -> str:
        """Let a service put an event on the default bus; return the id of the event.

        Args:
            event: `source`, `detail-type` and `detail`, and `resources` where it names any. EventBridge adds the rest.
            region: of the bus; the account's default Region by default.
            account: of the bus; that of whoever assumes no role by default.

        Raises:
            ValueError: the event lacks something, or its source is not one of AWS's.
        """
        if missing := [name for name in _REQUIRED if not event.get(name)]:
            raise ValueError(f"an event has {', '.join(_REQUIRED)}: {', '.join(missing)} missing")
        if not str(event["source"]).startswith(RESERVED):
            raise ValueError(f"the source of a service begins with {RESERVED}, got {event['source']!r}: use PutEvents")
        # Late: most accounts have no such events.
        from strictmoto.events import bus

        return bus.publish(
            account,
            region or self._region,
            source=event["source"],
            detail_type=event["detail-type"],
            # A copy: targets get it later.
            detail=json.loads(json.dumps(event["detail"])),
            resources=list(event.get("resources", ())),
        )
