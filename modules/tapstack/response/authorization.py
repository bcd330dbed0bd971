"""Who may call the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tapstack.domain.arguments import check_fields, checked
from tapstack.domain.contacts import check_issuer
from tapstack.domain.errors import RuleViolation
from tapstack.domain.operations import RIGHTS, Right
from tapstack.domain.tokens import is_token


@dataclass(frozen=True)
class Authorization:
    """How callers of the API are authenticated: `Authorization.iam()` or `Authorization.jwt(...)`.

    Attributes:
        issuer: of the tokens; none where callers sign with AWS credentials.
        audience: one of which a token must be meant for.
        scopes: one of which a token must have; any token will do where there are none.
        scopes_of: those of a right, in place of `scopes`.

    Raises:
        RuleViolation: not an issuer, an issuer without an audience, or one of the others without an issuer.
    """

    issuer: str | None = None
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    scopes_of: Mapping[Right, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every field."""
        check_fields(self)
        if self.issuer is None:
            if self.audience or self.scopes or self.scopes_of:
                raise RuleViolation("audience and scopes go with issuer: expected Authorization.jwt(...)")
            return
        if not is_token(self.issuer):
            check_issuer(self.issuer)
        if not self.audience:
            raise RuleViolation("audience is empty: tokens that the provider issued to other clients would be accepted")
        for right, scopes in self.scopes_of.items():
            if right not in RIGHTS:
                raise RuleViolation(f"scopes_of has {right!r}: expected rights, {', '.join(RIGHTS)}")
            if not scopes:
                raise RuleViolation(f"scopes_of {right} is empty: every token would have this right")

    def scopes_for(self, right: Right | None) -> tuple[str, ...]:
        """Return the scopes of which a token needs one for a right; of any right where none is named."""
        if right is not None:
            return tuple(self.scopes_of.get(right, self.scopes))
        own = (scope for scopes in self.scopes_of.values() for scope in scopes)
        # Without `scopes` there are rights that need none.
        return tuple(dict.fromkeys([*self.scopes, *own])) if self.scopes else ()

    @staticmethod
    def iam() -> Authorization:
        """Callers sign their requests with AWS credentials (SigV4); IAM policies decide who may call."""
        return Authorization()

    @staticmethod
    @checked
    def jwt(
        issuer: str,
        *,
        audience: Sequence[str],
        scopes: Sequence[str] = (),
        scopes_of: Mapping[Right, Sequence[str]] | None = None,
    ) -> Authorization:
        """Callers send a token of an OpenID Connect provider.

        Args:
            issuer: https URL of the provider, as in the token's `iss`.
            audience: one of them must be the token's `aud` or `client_id`.
            scopes: one of them has to be in the token's `scope`; none needed by default.
            scopes_of: those of a right, in place of `scopes`: of `read`, `open`, `extend`, `close`, `contain`,
                `contain_now`, `decide`, `override`, `release` or `alert`. A request that opens and contains needs
                one of both.

        Raises:
            RuleViolation: not an issuer, or no audience.
        """
        return Authorization(issuer, tuple(audience), tuple(scopes), dict(scopes_of or {}))
