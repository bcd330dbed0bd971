"""Keys that are disabled, are to be deleted, or are not there: what KMS does with them, and what it refuses.

moto uses them as others, and answers nothing of use where the waiting period cannot be. It fails at an alias that no
key has.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys"; KMS API Reference, ScheduleKeyDeletion.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterator
from typing import Any, Final

from moto.core.exceptions import JsonRESTError
from moto.kms import responses
from moto.kms.exceptions import NotFoundException
from moto.kms.models import KmsBackend as _Backend

# moto has types, but none for what is replaced at run time.
KmsResponse: Any = responses.KmsResponse
KmsBackend: Any = _Backend

_USES: Final = frozenset(
    {
        "create_grant",
        "decrypt",
        "disable_key_rotation",
        "enable_key_rotation",
        "encrypt",
        "generate_data_key",
        "generate_data_key_without_plaintext",
        "generate_mac",
        "get_public_key",
        "re_encrypt",
        "rotate_key_on_demand",
        "sign",
        "verify",
        "verify_mac",
    }
)
"""What needs a key that is enabled."""
_CHANGES: Final = frozenset(
    {
        "create_alias",
        "disable_key",
        "enable_key",
        "replicate_key",
        "schedule_key_deletion",
        "tag_resource",
        "untag_resource",
        "update_alias",
        "update_key_description",
    }
)
"""What needs one that is not to be deleted, besides."""
_KEYS: Final = ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId")
_KEY_ID_LENGTH: Final = 36
_PENDING: Final = "PendingDeletion"
_WAITING: Final = range(7, 31)


@functools.cache
def install() -> None:
    """Make the KMS of this process's moto refuse so. A second call changes nothing."""
    for name in (*_USES, *_CHANGES, "cancel_key_deletion"):
        setattr(KmsResponse, name, _in_states(name, getattr(KmsResponse, name)))
    find = KmsBackend.any_id_to_key_id

    @functools.wraps(find)
    def any_id_to_key_id(self: Any, key_id: str) -> Any:
        alias = key_id.rpartition(":")[2]
        if alias.startswith("alias/") and not self.alias_exists(alias):
            arn = f"arn:{self.partition}:kms:{self.region_name}:{self.account_id}:{alias}"
            raise NotFoundException(f"Alias {arn} is not found.")
        return find(self, key_id)

    KmsBackend.any_id_to_key_id = any_id_to_key_id


def _in_states(name: str, action: Any) -> Any:
    @functools.wraps(action)
    def answered(self: Any) -> Any:
        for key in _named(self):
            _check(name, key)
        days = self._get_param("PendingWindowInDays")
        if name == "schedule_key_deletion" and days is not None and days not in _WAITING:
            raise JsonRESTError(
                "ValidationException", f"PendingWindowInDays must be between {_WAITING.start} and {_WAITING.stop - 1}."
            )
        return action(self)

    return answered


def _check(name: str, key: Any) -> None:
    pending = key.key_state == _PENDING
    if name == "cancel_key_deletion":
        if not pending:
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
        return
    if pending:
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if name in _USES and not key.enabled:
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")


def _named(response: Any) -> Iterator[Any]:
    """Yield the keys of moto that a request names, and the one that its ciphertext was made with."""
    backend = response.kms_backend
    given = [response._get_param(name) for name in _KEYS]
    if (ciphertext := response._get_param("CiphertextBlob")) is not None:
        given.append(_key_of(ciphertext))
    for identifier in given:
        # Aliases, ARNs and ids; what is not there is refused by the action.
        key_id = backend.any_id_to_key_id(identifier) if identifier else None
        if key_id in backend.keys:
            yield backend.keys[key_id]


def _key_of(ciphertext: Any) -> str:
    """Return the id of the key that moto writes at the beginning of a ciphertext; "" where there is none."""
    try:
        content = ciphertext if isinstance(ciphertext, bytes) else base64.b64decode(ciphertext)
        return content[:_KEY_ID_LENGTH].decode()
    except (binascii.Error, ValueError):
        return ""
