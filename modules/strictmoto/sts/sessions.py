"""What a role's session keeps of the call that made it: its policies, tags and source identity, which moto forgets.

Source: STS API Reference, AssumeRole.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from strictmoto.iam.identities import Session, identity_of
from strictmoto.iam.trust import session_of
from strictmoto.identity.callers import CALLER
from strictmoto.identity.principals import note_role


@functools.cache
def install() -> None:
    """Extend moto's STS, once a process."""
    from moto.sts.models import STSBackend
    from moto.sts.responses import TokenResponse

    response, backend = _as_any(TokenResponse), _as_any(STSBackend)
    asked = threading.local()
    assume = backend.assume_role

    @functools.wraps(assume)
    def assume_role(self: Any, **given: Any) -> Any:
        role = assume(self, **given)
        role.strict_session = getattr(asked, "session", None) or Session()
        note_role(role)
        return role

    backend.assume_role = assume_role
    for name, action in (
        ("assume_role", "AssumeRole"),
        ("assume_role_with_web_identity", "AssumeRoleWithWebIdentity"),
    ):
        setattr(response, name, _keeping(getattr(response, name), action, asked))


def _keeping(method: Any, action: str, asked: threading.local) -> Any:
    @functools.wraps(method)
    def keeping(self: Any) -> Any:
        caller = CALLER.get()
        former = identity_of(caller.principal_arn, caller.access_key).session if caller and caller.access_key else None
        asked.session = session_of(action, self._get_params(), former)
        try:
            return method(self)
        finally:
            del asked.session

    return keeping


def _as_any(cls: Any) -> Any:
    return cls
