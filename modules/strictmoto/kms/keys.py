"""Which customer managed key a name means, and which one encrypts a queue or a topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def key_of(arn: str) -> str:
    """Return the key that encrypts a queue or a topic, as that names it; empty for others, and where there is none."""
    find = _KEYS.get(arn.split(":")[2]) if is_somewhere(arn) else None
    return find(arn) if find else ""


def _of_queue(arn: str) -> str:
    from moto.sqs.models import sqs_backends

    _, _, _, region, account, name = arn.split(":", 5)
    queue: Any = sqs_backends[account][region].queues.get(name)
    return str(getattr(queue, "kms_master_key_id", None) or "")


def _of_topic(arn: str) -> str:
    from moto.sns.models import sns_backends

    _, _, _, region, account, _ = arn.split(":", 5)
    topic: Any = sns_backends[account][region].topics.get(arn)
    return str(getattr(topic, "kms_master_key_id", None) or "")


_KEYS: Final[Mapping[str, Callable[[str], str]]] = {"sqs": _of_queue, "sns": _of_topic}
