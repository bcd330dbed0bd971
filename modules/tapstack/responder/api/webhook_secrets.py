"""The secrets of sources, read from Secrets Manager and kept for a few minutes.

Source: AWS Secrets Manager API Reference, "GetSecretValue" (CreatedDate is that of the version).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.errors import RuleViolation
from tapstack.domain.webhook_secrets import CURRENT, PREVIOUS, SECRET_KEPT_SECONDS, webhook_secret_name
from tapstack.domain.webhook_signatures import read_secret
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.observability import logger

ASKED_AGAIN_SECONDS: Final = 10
"""How old what is kept must be to be read again because a signature is wrong: the secret may be a new one. Whoever
sends wrong signatures has it read so often at most."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a source.

    Attributes:
        current: none as long as none was set.
        previous: the one before.
        previous_until: when that ends to be accepted, in seconds of the epoch.
        read_at: by the clock that `time.monotonic` is.
    """

    current: bytes | None = field(repr=False)
    previous: bytes | None = field(repr=False)
    previous_until: float
    read_at: float

    def accepted(self, now: float) -> Iterator[bytes]:
        """Yield the secrets that are accepted at a time, in seconds of the epoch."""
        if self.current is not None:
            yield self.current
        if self.previous is not None and now < self.previous_until:
            yield self.previous


_kept: dict[str, Secrets] = {}


def secrets_of(source: str, *, younger_than: float = SECRET_KEPT_SECONDS) -> Secrets:
    """Return the secrets of a source.

    Args:
        source: that has a secret in Secrets Manager.
        younger_than: seconds; what was read before that is read again.

    Raises:
        ClientError: Secrets Manager refused; also what its client raises where it cannot be reached.
    """
    found = _kept.get(source)
    if found is None or time.monotonic() - found.read_at >= younger_than:
        found = _kept[source] = _read(source)
    return found


def forget() -> None:
    """Discard what is kept."""
    _kept.clear()


def _read(source: str) -> Secrets:
    began = time.monotonic()
    current, created = _version(source, CURRENT)
    until = created + 3600 * environment().overlap_hours
    previous = _version(source, PREVIOUS)[0] if time.time() < until else None
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
