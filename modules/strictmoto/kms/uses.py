"""Whether a service may use a key by itself, to encrypt what it stores or sends: the key's policy decides.

Sources: AWS KMS Developer Guide, "Key policies in AWS KMS" and "AWS managed keys" (their policies let only principals
of the account); Amazon SQS Developer Guide, "Configure KMS permissions for AWS services", and Amazon SNS Developer
Guide, "Enable compatibility between event sources from AWS services and encrypted topics" (kms:GenerateDataKey and
kms:Decrypt).
"""

from __future__ import annotations

from typing import Final

from strictmoto.iam.access import service_may
from strictmoto.iam.policies import Context
from strictmoto.kms.keys import customer_key, key_of

_SENDING: Final = ("kms:GenerateDataKey", "kms:Decrypt")


def service_may_use(
    service: str, actions: tuple[str, ...], key: str, place: str, source_arn: str, more: Context | None = None
) -> bool:
    """Return whether the policy of a key lets a service use it; not if the key is AWS's, disabled or not there.

    Args:
        service: for example events.amazonaws.com.
        actions: for example kms:GenerateDataKey; all of them are needed.
        key: its id, its alias, or the ARN of either.
        place: ARN that has the partition, the Region and the account of a key without an ARN.
        source_arn: of the rule, the bucket or the detector on whose behalf it is used.
        more: condition keys of the use, such as kms:EncryptionContext:aws:s3:arn.
    """
    found = customer_key(key, place)
    if found is None or not found.enabled:
        return False
    return all(service_may(service, action, found.arn, source_arn, more) for action in actions)


def service_may_send(service: str, action: str, arn: str, source_arn: str) -> bool:
    """Return whether the policies of a queue or a topic, and of its key if it has one, let a service send to it.

    Args:
        service: for example events.amazonaws.com.
        action: sqs:SendMessage or sns:Publish.
        arn: of the queue or the topic.
        source_arn: of the rule, the topic, the bucket on whose behalf it sends.
    """
    if not service_may(service, action, arn, source_arn):
        return False
    key = key_of(arn)
    return not key or service_may_use(service, _SENDING, key, arn, source_arn)
