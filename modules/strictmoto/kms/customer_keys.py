"""KMS keys: their policies are IAM's to evaluate, and they have a use from the start.

moto refuses whoever describes a key that denies anyone, and shows no use of a key that was made without one.

Source: KMS API Reference, CreateKey (KeyUsage).
"""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def install() -> None:
    """Leave the policies of moto's keys to IAM, and give them their use, once a process."""
    from moto.kms import models, responses

    module: Any = responses
    module.validate_policy = lambda _key, _action: None
    key: Any = models.Key
    initialize = key.__init__

    @functools.wraps(initialize)
    def with_use(self: Any, policy: Any, key_usage: str | None, *rest: Any, **more: Any) -> None:
        initialize(self, policy, key_usage or "ENCRYPT_DECRYPT", *rest, **more)

    key.__init__ = with_use
