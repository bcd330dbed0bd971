"""Audiences of identity providers can be added and removed: moto's IAM has them as the provider was made.

Source: IAM API Reference, AddClientIDToOpenIDConnectProvider and RemoveClientIDFromOpenIDConnectProvider: both are
idempotent; IAM User Guide, "IAM and AWS STS quotas" (100 audiences of a provider).
"""

from __future__ import annotations

import functools
from typing import Any, Final

_MOST: Final = 100


@functools.cache
def install() -> None:
    """Extend moto's IAM, once a process."""
    from moto.core.responses import EmptyResult
    from moto.iam.exceptions import LimitExceededException
    from moto.iam.responses import IamResponse

    response: Any = IamResponse

    def audiences_of(self: Any) -> tuple[list[str], str]:
        provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
        # A list of its own: moto keeps that of the request.
        provider.client_id_list = list(provider.client_id_list or ())
        return provider.client_id_list, str(self._get_param("ClientID"))

    def add_client_id_to_open_id_connect_provider(self: Any) -> Any:
        """AddClientIDToOpenIDConnectProvider."""
        audiences, one = audiences_of(self)
        if one not in audiences:
            if len(audiences) >= _MOST:
                raise LimitExceededException(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {_MOST}")
            audiences.append(one)
        return EmptyResult()

    def remove_client_id_from_open_id_connect_provider(self: Any) -> Any:
        """RemoveClientIDFromOpenIDConnectProvider."""
        audiences, one = audiences_of(self)
        if one in audiences:
            audiences.remove(one)
        return EmptyResult()

    response.add_client_id_to_open_id_connect_provider = add_client_id_to_open_id_connect_provider
    response.remove_client_id_from_open_id_connect_provider = remove_client_id_from_open_id_connect_provider
