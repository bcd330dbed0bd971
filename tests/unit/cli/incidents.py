"""An incident as the API has it."""

from typing import Any

ID = "inc-20260102T030405-k3v9x0ab"
ANA = "arn:aws:sts::111122223333:assumed-role/responders/ana"


def incident(**changes: Any) -> dict[str, Any]:
    """An incident that captures, with what is given in place."""
    return {
        "id": ID,
        "state": "capturing",
        "reason": "beacons every minute",
        "severity": "high",
        "technique": "T1071.004",
        "alert_id": "xdr-4711",
        "source": "api",
        "opened_at": "2026-01-02T03:04:05Z",
        "opened_by": ANA,
        "expires_at": "2026-01-02T05:05:00Z",
        "extendable_until": "2026-01-03T03:05:00Z",
        "minutes": 120,
        "instance_id": "i-0a000000000000001",
        "network_interface_ids": ["eni-0a000000000000001", "eni-0a000000000000002"],
        "interfaces": [
            {
                "network_interface_id": "eni-0a000000000000001",
                "state": "mirrored",
                "session_id": "tms-0a000000000000001",
                "session_number": 1,
                "owned": True,
                "note": "",
            },
            {
                "network_interface_id": "eni-0a000000000000002",
                "state": "waiting",
                "session_id": None,
                "session_number": None,
                "owned": False,
                "note": "it is in 3 other mirror sessions already, which is the most AWS allows",
            },
        ],
        "appliance": {
            "stack_name": "tapstack-production-epb",
            "state": "ready",
            "portal_url": "https://10.0.0.10",
        },
        "in_place": [],
        "timeline": [
            {"at": "2026-01-02T03:04:05Z", "by": ANA, "what": "opened", "detail": "beacons every minute"},
            {
                "at": "2026-01-02T03:05:00Z",
                "by": "capture",
                "what": "capturing",
                "detail": "1 network interface mirrored, 1 waiting",
            },
        ],
        **changes,
    }
