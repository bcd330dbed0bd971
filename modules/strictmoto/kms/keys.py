"""Which customer managed key a name means, and which one encrypts a queue, a topic, a table or a secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from strictmoto.requests.arns import is_somewhere

_MANAGED: Final = "alias/aws/"


def customer_key(name: str, place: str) -> Any:
    """Return moto's customer managed key; None where there is none of that name, or it is AWS's own.

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
        if any(alias.startswith(_MANAGED) for alias in one.aliases):
            continue
        if short == one.id or short in one.aliases:
            return one
    return None


def key_of(arn: str) -> str:
    """Return the key that encrypts a queue, a topic, a table or a secret, as that names it; empty where none does."""
    find = _KEYS.get(arn.split(":")[2]) if is_somewhere(arn) else None
    return find(arn) if find else ""


def versions_of(arn: str) -> frozenset[str]:
    """Return the ids of the versions of a secret; none where there is no such secret."""
    found = _secret(arn) if is_somewhere(arn) else None
    return frozenset(found.versions) if found is not None else frozenset()


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


def _of_table(arn: str) -> str:
    from moto.dynamodb.models import dynamodb_backends

    _, _, _, region, account, named = arn.split(":", 5)
    table: Any = dynamodb_backends[account][region].tables.get(named.split("/")[1])
    asked = getattr(table, "sse_specification", None) or {}
    return str(asked.get("KMSMasterKeyId") or "") if asked.get("Enabled") else ""


def _of_secret(arn: str) -> str:
    return str(getattr(_secret(arn), "kms_key_id", None) or "")


def _secret(arn: str) -> Any:
    from moto.secretsmanager.models import secretsmanager_backends

    _, _, _, region, account, _ = arn.split(":", 5)
    found = list(secretsmanager_backends[account][region].secrets.values())
    return next((secret for secret in found if secret.arn == arn), None)


_KEYS: Final[Mapping[str, Callable[[str], str]]] = {
    "dynamodb": _of_table,
    "secretsmanager": _of_secret,
    "sns": _of_topic,
    "sqs": _of_queue,
}
