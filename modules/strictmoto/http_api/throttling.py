"""Too many requests: a bucket of tokens for each route, filled at its rate, as large as its burst.

Source: API Gateway Developer Guide, "Throttle requests to your HTTP APIs for better throughput in API Gateway".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from strictmoto.http_api.exchange import Denied
from strictmoto.http_api.routing import Place

_lock = threading.Lock()


def take(place: Place, route_key: str) -> None:
    """Count a request against the limits of its route.

    Raises:
        Denied: 429, too many.
    """
    own: Mapping[str, Any] = (place.stage.route_settings or {}).get(route_key) or {}
    settings = {**(place.stage.default_route_settings or {}), **own}
    rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
    # Terraform writes 0 for a limit that is not set.
    if not rate and not burst:
        return
    # The stage carries its buckets, so that they go with it.
    buckets: dict[str, tuple[float, float]] = place.stage.__dict__.setdefault("buckets", {})
    size = float(burst or rate or 0)
    with _lock:
        now = time.monotonic()
        tokens, filled = buckets.get(route_key, (size, now))
        tokens = min(size, tokens + (now - filled) * float(rate or 0))
        buckets[route_key] = (tokens - 1 if tokens >= 1 else tokens, now)
    if tokens < 1:
        raise Denied(429, "Too Many Requests", f"more than {rate} a second or {burst} at once")
