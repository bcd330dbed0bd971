"""Who calls: whose an access key is, and what proves it.

Sources: IAM User Guide, "AWS account root user", "Temporary security credentials in IAM", "IAM identifiers".
"""

from __future__ import annotations

import base64
import datetime
import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from strictmoto.identity.principals import Credentials, note_role

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose call it is.

    Attributes:
        access_key: that the call is signed with; empty where it is not signed.
        account_id: that the call is made in.
        user_id: the unique id; of a role, with the name of the session.
        user_arn: of the user, of the role's session, or of root.
        principal_arn: of the user or the role in IAM, or of root.
    """

    access_key: str
    account_id: str
    user_id: str
    user_arn: str
    principal_arn: str


ANONYMOUS: Final = Caller("", DEFAULT_ACCOUNT_ID, "", "", "")
"""Whoever makes a call that AWS takes without a signature."""


CALLER: Final[ContextVar[Caller | None]] = ContextVar("CALLER", default=None)
"""Whose call is being answered."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key that signs.

    Attributes:
        caller: whose it is.
        secret: that signs.
        session_token: without which it is none; empty for a long-term key.
        expires: when a session ends, UTC.
        role_id: of the role whose session it is: without it, it is none; empty where there was no such role.
    """

    caller: Caller
    secret: str
    session_token: str = ""
    expires: datetime.datetime | None = None
    role_id: str = ""


def make_root_credentials() -> Credentials:
    """Return a new access key for the root user of an account: it cannot be guessed."""
    name = "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16))
    return Credentials(name, base64.b64encode(secrets.token_bytes(30)).decode())


class AccessKeys:
    """The access keys of an account: the root user's, and those that IAM and STS have given; safe for many threads."""

    def __init__(self, root: Credentials) -> None:
        """Begin with the key of the root user."""
        self._root = root
        self._sessions: dict[str, AccessKey] = {}

    def find(self, name: str, region: str) -> AccessKey | None:
        """Return an access key; None where there is none, or it is not active.

        Args:
            name: its id.
            region: of the call, whose partition the root user is of.
        """
        if name == self._root.access_key_id:
            arn = f"arn:{get_partition(region)}:iam::{DEFAULT_ACCOUNT_ID}:root"
            caller = Caller(name, DEFAULT_ACCOUNT_ID, DEFAULT_ACCOUNT_ID, arn, arn)
            return AccessKey(caller, self._root.secret_access_key)
        # A session has its key as long as its role is there; a user's key may be deactivated.
        if found := self._sessions.get(name) or _session(name):
            self._sessions[name] = found
            return found if _is_there(found) else None
        return _of_a_user(name)

    def forget(self) -> None:
        """Forget what was found, because the account forgets it as well."""
        self._sessions.clear()


def _is_there(key: AccessKey) -> bool:
    """Return whether the role of a session is still there: another one of its name is another role."""
    if not key.role_id:
        return True
    parts = key.caller.principal_arn.split(":")
    return key.role_id in iam_backends[parts[4]][parts[1]].roles


def _session(name: str) -> AccessKey | None:
    for account_id, partitions in list(sts_backends.items()):
        for backend in list(partitions.values()):
            role: Any = backend.get_assumed_role_from_access_key(name)
            if role is not None:
                if not hasattr(role, "issued_to"):
                    note_role(role)
                caller = Caller(name, account_id, role.issued_to, role.arn, role.role_arn)
                expires = role.expiration.replace(tzinfo=datetime.UTC)
                return AccessKey(caller, role.secret_access_key, role.session_token, expires, role.role_id)
    return None


def _of_a_user(name: str) -> AccessKey | None:
    for account_id, partitions in list(iam_backends.items()):
        for backend in list(partitions.values()):
            key = backend.access_keys.get(name)
            session: AccessKey | None = getattr(key, "session", None)
            if session is not None:
                return session
            if key is not None and key.user_name and key.status == "Active" and key.user_name in backend.users:
                user = backend.users[key.user_name]
                return AccessKey(Caller(name, account_id, user.id, user.arn, user.arn), key.secret_access_key)
    return None
