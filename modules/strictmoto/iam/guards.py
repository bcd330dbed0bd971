"""The policies of resources: of buckets, queues, topics, event buses, keys, functions and secrets.

Sources: IAM User Guide, "AWS services that work with IAM", column resource-based policies; AWS KMS Developer Guide,
"Key policies in AWS KMS".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from strictmoto.iam.evaluation import Guard
from strictmoto.iam.policies import Statement, read_policy, read_text
from strictmoto.requests.arns import is_somewhere

_NOTHING: Final[tuple[Statement, ...]] = ()


def guard_of(arn: str) -> Guard:
    """Return whose a resource is, and what its policy says; a resource that is not there has none."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return Guard()
    find = _FINDERS.get(parts[2])
    if find is None or not is_somewhere(arn):
        return Guard(parts[4] if parts[4].isdigit() else "")
    return find(parts)


def _bucket(parts: list[str]) -> Guard:
    from moto.s3.models import s3_backends

    name = parts[5].partition("/")[0]
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None:
        return Guard()
    partition, account = owner
    bucket: Any = s3_backends[account][partition].buckets.get(name)
    policy = getattr(bucket, "policy", None)
    return Guard(account, read_text(policy.decode() if isinstance(policy, bytes) else policy) if policy else _NOTHING)


def _queue(parts: list[str]) -> Guard:
    from moto.sqs.models import sqs_backends

    queue: Any = sqs_backends[parts[4]][parts[3]].queues.get(parts[5])
    return _guard(parts, queue.policy if queue is not None else None)


def _topic(parts: list[str]) -> Guard:
    from moto.sns.models import sns_backends

    topic: Any = sns_backends[parts[4]][parts[3]].topics.get(":".join(parts))
    return _guard(parts, topic.policy if topic is not None else None)


def _bus(parts: list[str]) -> Guard:
    from moto.events.models import events_backends

    kind, _, name = parts[5].partition("/")
    if kind != "event-bus":
        return Guard(parts[4])
    bus: Any = events_backends[parts[4]][parts[3]].event_buses.get(name)
    return _guard(parts, bus.policy if bus is not None else None)


def _key(parts: list[str]) -> Guard:
    from moto.kms.models import kms_backends

    kind, _, name = parts[5].partition("/")
    backend: Any = kms_backends[parts[4]][parts[3]]
    if kind == "alias":
        name = next((key.id for key in list(backend.keys.values()) if parts[5] in key.aliases), "")
    key = backend.keys.get(name)
    return Guard(parts[4], read_text(key.policy), decides=True) if key is not None else Guard(parts[4])


def _function(parts: list[str]) -> Guard:
    from moto.awslambda.models import lambda_backends

    if not parts[5].startswith("function:"):
        return Guard(parts[4])
    backend: Any = lambda_backends[parts[4]][parts[3]]
    arn = ":".join([*parts[:5], *parts[5].split(":")[:2]])
    function = backend._lambdas.get_arn(arn)
    # moto keeps one policy for all versions; which one a statement is about stands in its resource.
    statements = function.policy.statements if function is not None else ()
    return Guard(parts[4], tuple(read_policy({"Version": "2012-10-17", "Statement": list(statements)})))


def _secret(parts: list[str]) -> Guard:
    from moto.secretsmanager.models import secretsmanager_backends

    backend: Any = secretsmanager_backends[parts[4]][parts[3]]
    name = parts[5].removeprefix("secret:")
    for secret in list(backend.secrets.values()):
        if (parts[5] in secret.arn and secret.arn.endswith(parts[5])) or name.removesuffix("-??????") == secret.name:
            return _guard(parts, getattr(secret, "policy", None))
    return Guard(parts[4])


def _guard(parts: list[str], policy: Any) -> Guard:
    if not policy:
        return Guard(parts[4])
    return Guard(parts[4], read_text(policy if isinstance(policy, str) else json.dumps(policy)))


_FINDERS: Final[Mapping[str, Callable[[list[str]], Guard]]] = {
    "s3": _bucket,
    "sqs": _queue,
    "sns": _topic,
    "events": _bus,
    "kms": _key,
    "lambda": _function,
    "secretsmanager": _secret,
}
GUARDED: Final = frozenset(_FINDERS)
"""The services whose resources may have a policy."""
