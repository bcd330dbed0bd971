"""Who may call the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapstack.domain.arguments import check_fields, checked
from tapstack.domain.contacts import check_issuer
from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token


@dataclass(frozen=True)
class Authorization:
    """How callers of the API are authenticated: `Authorization.iam()` or `Authorization.jwt(...)`.

    Attributes:
        issuer: of the tokens; none where callers sign with AWS credentials.
        audience: one of which a token must be meant for.
        scopes: one of which a token must have; any token will do where there are none.

    Raises:
        RuleViolation: not an issuer, an issuer without an audience, or one of the others without an issuer.
    """

    issuer: str | None = None
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every field."""
        check_fields(self)
        if self.issuer is None:
            if self.audience or self.scopes:
                raise RuleViolation("audience and scopes go with issuer: expected Authorization.jwt(...)")
            return
        if not is_token(self.issuer):
            check_issuer(self.issuer)
        if not self.audience:
            raise RuleViolation("audience is empty: tokens that the provider issued to other clients would be accepted")

    @staticmethod
    def iam() -> Authorization:
        """Callers sign their requests with AWS credentials (SigV4); IAM policies decide who may call."""
        return Authorization()

    @staticmethod
    @checked
    def jwt(issuer: str, *, audience: Sequence[str], scopes: Sequence[str] = ()) -> Authorization:
        """Callers send a token of an OpenID Connect provider.

        Args:
            issuer: https URL of the provider, as in the token's `iss`.
            audience: one of them must be the token's `aud` or `client_id`.
            scopes: one of them has to be in the token's `scope`; none needed by default.

        Raises:
            RuleViolation: not an issuer, or no audience.
        """
        return Authorization(issuer, tuple(audience), tuple(scopes))
