"""The secrets of sources, read from Secrets Manager and kept for a few minutes.

How long an answer takes must not tell which names are sources. So all secrets are read together, whichever source is
asked for, and a secret that there is not is replaced by a random one: signatures are compared with it all the same, and
none is right.

Source: AWS Secrets Manager API Reference, "GetSecretValue" (CreatedDate is that of the version).
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.errors import RuleViolation
from tapstack.domain.webhook_secrets import CURRENT, PREVIOUS, SECRET_KEPT_SECONDS, webhook_secret_name
from tapstack.domain.webhook_signatures import read_secret
from tapstack.responder.alert_sources import alert_sources
from tapstack.responder.aws import parallel
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.observability import logger

_NO_SECRET: Final = secrets.token_bytes(32)
"""In place of a secret that there is not. It is new in each process, and nothing shows it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a source.

    Attributes:
        current: none as long as none was set.
        previous: the one before.
        previous_until: when that ends to be accepted, in seconds of the epoch.
        read_at: by the clock that `time.monotonic` is.
    """

    current: bytes | None = field(default=None, repr=False)
    previous: bytes | None = field(default=None, repr=False)
    previous_until: float = 0.0
    read_at: float = 0.0

    def accepted(self, now: float) -> tuple[bytes, bytes]:
        """Return the secrets that are accepted at a time, in seconds of the epoch; always two."""
        previous = self.previous if now < self.previous_until else None
        return self.current or _NO_SECRET, previous or _NO_SECRET


_kept: dict[str, Secrets] = {}


def secrets_of(source: str, *, younger_than: float = SECRET_KEPT_SECONDS) -> Secrets:
    """Return the secrets of a source; none of a name that is no source, or one without webhooks.

    Args:
        source: any name.
        younger_than: seconds; what was read before that is read again, for all sources.

    Raises:
        Exception: Secrets Manager refused, or could not be reached; of a name that is no source, where no secret could
            be read.
    """
    names = [name for name, one in alert_sources().items() if one.webhook]
    began = time.monotonic()
    due = [name for name in names if name not in _kept or began - _kept[name].read_at >= younger_than]
    failed = {}
    for name, found in zip(due, parallel.each(_read, due), strict=True):
        if isinstance(found, Secrets):
            _kept[name] = found
        else:
            failed[name] = found
    if source in failed:
        raise failed[source]
    if failed and source not in names and len(failed) == len(names):
        raise failed[names[0]]
    return _kept.get(source) or Secrets(read_at=began)


def forget() -> None:
    """Discard what is kept."""
    _kept.clear()


def _read(source: str) -> Secrets | Exception:
    """Return the secrets of a source, or why they could not be read: those of others are accepted all the same."""
    began = time.monotonic()
    try:
        current, created = _version(source, CURRENT)
        until = created + 3600 * environment().overlap_hours
        previous = _version(source, PREVIOUS)[0] if time.time() < until else None
    except Exception as error:
        return error
    return Secrets(current, previous, until, began)


def _version(source: str, stage: str) -> tuple[bytes | None, float]:
    """Return a version of a secret, and when it was set; none where there is none, or what is there is no secret."""
    named = environment()
    name = webhook_secret_name(named.deployment, named.site, source)
    try:
        found: dict[str, Any] = client("secretsmanager").get_secret_value(SecretId=name, VersionStage=stage)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        if stage == CURRENT:
            logger.warning("the source has no secret: tapstack xdr rotate-secret sets one", source=source)
        return None, 0.0
    try:
        return read_secret(str(found.get("SecretString") or "").strip()), found["CreatedDate"].timestamp()
    except RuleViolation as violation:
        logger.error("the value in Secrets Manager is none", source=source, stage=stage, reason=str(violation))
        return None, found["CreatedDate"].timestamp()
