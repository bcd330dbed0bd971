"""Policies of KMS keys are IAM's to evaluate: moto refuses whoever describes a key that denies anyone."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def install() -> None:
    """Leave the policies of moto's keys to IAM, once a process."""
    from moto.kms import responses

    module: Any = responses
    module.validate_policy = lambda _key, _action: None
