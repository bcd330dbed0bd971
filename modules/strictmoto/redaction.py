"""Keeps secrets out of the records: what a call hands over in confidence is not remembered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from strictmoto.requests.calls import Call

REDACTED: Final = "(not recorded)"
_SECRET_NAMES: Final = frozenset(
    {
        "AuthToken",
        "ClientSecret",
        "MasterUserPassword",
        "NewPassword",
        "OldPassword",
        "Password",
        "Plaintext",
        "PrivateKey",
        "SecretBinary",
        "SecretString",
    }
)
# Names that are secret in one action only.
_SECRET_IN: Final = {("ssm", "PutParameter"): frozenset({"Value"})}
# CloudFormation's parameters, and whatever else is a list of names and values.
_SECRET_KEYS: Final = re.compile(r"password|secret|token", re.IGNORECASE)
_KEY_VALUE: Final = {"ParameterKey": "ParameterValue"}


def redact(call: Call) -> Call:
    """Return a call without the secrets that it handed over; the same one where it handed over none."""
    names = _SECRET_NAMES | _SECRET_IN.get((call.service, call.action), frozenset())
    parameters = _without_secrets(call.parameters, names)
    return call if parameters is call.parameters else replace(call, parameters=parameters)


def _without_secrets(value: Any, names: frozenset[str]) -> Any:
    """Return the same object where nothing in it is secret, so that most calls cost no copy."""
    if isinstance(value, Mapping):
        changed = {
            name: kept
            for name, item in value.items()
            if (kept := REDACTED if _is_secret(name, value, names) else _without_secrets(item, names)) is not item
        }
        return {**value, **changed} if changed else value
    if isinstance(value, list):
        kept_items = [_without_secrets(item, names) for item in value]
        return value if all(map(_same, kept_items, value)) else kept_items
    return value


def _is_secret(name: str, among: Mapping[str, Any], names: frozenset[str]) -> bool:
    prefix, _, last = name.rpartition(".")
    if last in names:
        return True
    for key_name, value_name in _KEY_VALUE.items():
        if last == value_name:
            key = among.get(f"{prefix}.{key_name}" if prefix else key_name, "")
            return bool(_SECRET_KEYS.search(str(key)))
    return False


def _same(one: Any, other: Any) -> bool:
    return one is other
