"""Random passwords: of the characters that are left, and refused where none are.

moto fails where a kind of characters is excluded as a whole, and refuses short passwords that need not have each kind.

Source: AWS Secrets Manager API Reference, GetRandomPassword (its parameters, InvalidParameterException). Which error a
password without characters gets, and the text, is inferred.
"""

from __future__ import annotations

import functools
import json
import secrets
import string
from typing import Any, Final

from moto.secretsmanager.exceptions import InvalidParameterException
from moto.secretsmanager.models import SecretsManagerBackend as _Backend

# moto has types, but none for what is replaced at run time.
Backend: Any = _Backend
_KINDS: Final = {
    "exclude_lowercase": string.ascii_lowercase,
    "exclude_uppercase": string.ascii_uppercase,
    "exclude_numbers": string.digits,
    "exclude_punctuation": string.punctuation,
}
"""The characters of each kind, by the parameter that excludes it."""


@functools.cache
def install() -> None:
    """Make the moto of this process make them so. A second call changes nothing."""
    Backend.get_random_password = _get_random_password


def _get_random_password(
    _: Any,
    password_length: int,
    exclude_characters: str,
    *,
    include_space: bool,
    require_each_included_type: bool,
    **excluded: bool,
) -> str:
    kinds = [characters for name, characters in _KINDS.items() if not excluded[name]] + [" "] * bool(include_space)
    left = ["".join(sorted(set(kind) - set(exclude_characters))) for kind in kinds]
    required = left if require_each_included_type else []
    if not any(left) or not all(required):
        raise InvalidParameterException(
            "The password cannot be generated: no characters are left of a type that it must have."
        )
    if password_length < len(required):
        raise InvalidParameterException("Password length is too short based on the required types.")
    chosen = [secrets.choice(kind) for kind in required]
    every = "".join(left)
    chosen += [secrets.choice(every) for _ in range(password_length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return json.dumps({"RandomPassword": "".join(chosen)})
