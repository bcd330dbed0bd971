"""Public keys of identity providers, with which the signatures of their tokens are verified.

AWS fetches them from the provider. Nothing of this account need leave the machine, so whoever uses it registers them.

Source: IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM"; RFC 7517, "JSON Web Key (JWK)".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from joserfc.jwk import KeySet


class Issuers:
    """The identity providers whose keys are registered, by their URL."""

    def __init__(self) -> None:
        """Begin with none."""
        self._keys: dict[str, KeySet] = {}

    def add(self, url: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Register the public keys of a provider, in place of those that it had.

        Args:
            url: of the issuer, as its tokens name it, for example https://token.actions.githubusercontent.com.
            keys: JSON Web Keys, as the member `keys` of a key set has them.

        Raises:
            ValueError: a key is none.
        """
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        try:
            self._keys[_named(url)] = KeySet.import_key_set({"keys": [dict(key) for key in keys]})
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the keys of {url} are no JSON Web Keys: {error}") from error

    def keys_of(self, url: str) -> KeySet | None:
        """Return the keys of a provider; None where none are registered."""
        return self._keys.get(_named(url))

    def clear(self) -> None:
        """Forget all."""
        self._keys.clear()


def _named(url: str) -> str:
    return url.removeprefix("https://").rstrip("/")
