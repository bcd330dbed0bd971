"""The condition keys that every request has: when it comes, how, to which Region, and whose each of its resources is.

Calls from outside have them, and so do those that a service makes as itself or with a role.

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

from strictmoto.iam.facts import facts_of
from strictmoto.iam.guards import guard_of
from strictmoto.iam.identities import organization_keys
from strictmoto.iam.lazy import Lazy
from strictmoto.iam.policies import Context

_OF_SERVICES: Final[Mapping[str, Context]] = {
    "s3": {"s3:TlsVersion": ("1.3",), "s3:signatureversion": ("AWS4-HMAC-SHA256",)},
}
"""What one service has besides, of how a request comes."""


def request_keys(service: str, region: str = "", called_via: tuple[str, ...] = ()) -> Context:
    """Return the keys of a request. What comes by the loopback interface counts as TLS.

    Args:
        service: that is called, as the prefix of its actions.
        region: that is called; empty where others say it.
        called_via: services that call with the caller's own credentials, in their order.
    """
    now = datetime.datetime.now(datetime.UTC)
    via = {"CalledVia": called_via, "CalledViaFirst": called_via[:1], "CalledViaLast": called_via[-1:]}
    return {
        "aws:CurrentTime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:EpochTime": (str(int(now.timestamp())),),
        "aws:SecureTransport": ("true",),
        "aws:ViaAWSService": ("true" if called_via else "false",),
        **({f"aws:{name}": values for name, values in via.items()} if called_via else {}),
        **({"aws:RequestedRegion": (region,)} if region else {}),
        **_OF_SERVICES.get(service, {}),
    }


def resource_keys(arn: str) -> Context:
    """Return what conditions compare of a resource, and whose it is. Looked up when asked for."""
    return Lazy(lambda: {**facts_of(arn), **_owner_keys(guard_of(arn).account)})


def region_of(arn: str) -> str:
    """Return the Region that an ARN names; empty where it names none."""
    parts = arn.split(":", 5)
    return parts[3] if len(parts) == 6 else ""


def _owner_keys(account: str) -> Context:
    return {"aws:ResourceAccount": (account,), **organization_keys("Resource", account)} if account else {}
