"""Which customer managed key a name means."""

from __future__ import annotations

from typing import Any, Final

from strictmoto.requests.arns import is_somewhere

_MANAGED: Final = "alias/aws/"


def customer_key(name: str, place: str) -> Any:
    """Return moto's customer managed key; None where there is none of that name.

    Args:
        name: its id, its alias, or the ARN of either.
        place: ARN that has the partition, the Region and the account of a key without an ARN.
    """
    from moto.kms.models import kms_backends

    partition, region, account = (place.split(":")[index] for index in (1, 3, 4))
    arn = name if name.startswith("arn:") else f"arn:{partition}:kms:{region}:{account}:{name}"
    if not is_somewhere(arn):
        return None
    parts = arn.split(":", 5)
    backend = kms_backends[parts[4]][parts[3]]
    short = parts[5].removeprefix("key/")
    for one in list(backend.keys.values()):
        if short == one.id or (short in one.aliases and not short.startswith(_MANAGED)):
            return one
    return None
