"""Whether a service may use a key by itself, to encrypt what it stores or sends: the key's policy decides.

Source: AWS KMS Developer Guide, "Key policies in AWS KMS" and "AWS managed keys" (their policies let only principals
of the account, by way of the service that stores).
"""

from __future__ import annotations

from typing import Final

from strictmoto.iam.access import service_may
from strictmoto.iam.policies import Context

_MANAGED: Final = "alias/aws/"


def service_may_use(
    service: str, actions: tuple[str, ...], key: str, place: str, source_arn: str, more: Context | None = None
) -> bool:
    """Return whether the policy of a key lets a service use it; not if the key is AWS's, disabled or not there.

    Args:
        service: for example events.amazonaws.com.
        actions: for example kms:GenerateDataKey; all of them are needed.
        key: its id, its alias, or the ARN of either.
        place: ARN of what is encrypted, or `arn:aws:kms:<region>:<account>:`: where a key without an ARN is.
        source_arn: of the rule, the bucket or the detector on whose behalf it is used.
        more: condition keys of the use, such as kms:EncryptionContext:aws:s3:arn.
    """
    arn = key_arn(key, place)
    return bool(arn) and all(service_may(service, action, arn, source_arn, more) for action in actions)


def key_arn(key: str, place: str) -> str:
    """Return the ARN of an enabled customer managed key; empty where there is none of that name.

    Args:
        key: its id, its alias, or the ARN of either.
        place: ARN that has the partition, the Region and the account of a key without an ARN.
    """
    from moto.kms.models import kms_backends

    from strictmoto.requests.arns import is_somewhere

    partition, region, account = (place.split(":")[index] for index in (1, 3, 4))
    name = key if key.startswith("arn:") else f"arn:{partition}:kms:{region}:{account}:{key}"
    if not is_somewhere(name):
        return ""
    parts = name.split(":", 5)
    backend = kms_backends[parts[4]][parts[3]]
    short = parts[5].removeprefix("key/")
    for one in list(backend.keys.values()):
        if short == one.id or (short in one.aliases and not short.startswith(_MANAGED)):
            return str(one.arn) if one.enabled else ""
    return ""
