"""Alerts of other tools: verified where their sender signs them, and kept in a queue before the answer.

This function decides about nothing and may do nothing else: it is the only one that answers callers whom the gateway
does not know. Its answers never say which instance is meant.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from typing import Any, Final

from tapstack.domain.alert_mappings import map_alerts
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.kept_alerts import KeptAlert
from tapstack.domain.operations import LARGEST_BODY, SEND_ALERT, SEND_WEBHOOK
from tapstack.domain.outside_text import quoted, word
from tapstack.domain.own_names import ALERTS_KEPT, WEBHOOKS_REFUSED, WEBHOOKS_UNKNOWN
from tapstack.domain.webhook_secrets import ASKED_AGAIN_SECONDS, SECRET_KEPT_SECONDS
from tapstack.domain.webhook_signatures import TOLERANCE_SECONDS, check_webhook_id, is_signed, verify
from tapstack.responder.alert_sources import alert_sources
from tapstack.responder.api.answers import Answer, answered
from tapstack.responder.api.problems import Problem
from tapstack.responder.api.requests import body_of, caller_of, parsed, path_of
from tapstack.responder.api.webhook_secrets import secrets_of
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import said_by
from tapstack.responder.environment import environment
from tapstack.responder.observability import count, logger, observed

REFUSED: Final = (
    f"expected a source of this deployment, a Standard Webhooks signature of the last {TOLERANCE_SECONDS // 60} "
    f"minutes, and a JSON document of at most {LARGEST_BODY:,} bytes"
)
"""What is said of every wrong webhook: its sender does not learn which part was right."""


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Answer an event of payload format 2.0; whatever happens, it is an answer."""
    return answered(path_of(event), lambda: _routed(event))


def _routed(event: dict[str, Any]) -> Answer:
    # What the gateway let in, and not what the path looks like, says whether the caller is known to it.
    take = {SEND_ALERT.route: _send_alert, SEND_WEBHOOK.route: _send_webhook}.get(str(event.get("routeKey")))
    if take is not None:
        try:
            return take(event)
        except Problem:
            raise
        except Exception as error:
            # The log has what went wrong; the sender gets no internals.
            logger.exception("unexpected")
            raise Problem("internal-error", "send the same request again") from error
    raise Problem("no-such-resource", "expected /alerts/{source} or /webhooks/{source}")


def _send_alert(event: dict[str, Any]) -> Answer:
    """POST /alerts/{source}: an alert of a caller that the gateway knows."""
    caller = caller_of(event)
    source, sources = _source(event), alert_sources()
    if source not in sources:
        known = f"expected {', '.join(open_to)}" if (open_to := _of_callers()) else "it has none for callers of the API"
        raise Problem("no-such-resource", f"the deployment has no source {quoted(source)}: {known}")
    if sources[source].webhook:
        # A rule that names the source relies on who may send under it.
        raise Problem(
            "no-such-resource",
            f"the source {source} takes signed webhooks only: expected {SEND_WEBHOOK.at_source(source)}, or a source "
            "without webhook: true",
        )
    body = body_of(event)
    document = parsed(body)
    given = _headers(event).get("idempotency-key")
    try:
        sent_as = f"msg_{uuid.uuid4().hex}" if given is None else check_webhook_id(given)
    except RuleViolation:
        said = "must have 1 to 256 printable characters of ASCII, without blanks and full stops"
        where = "Idempotency-Key"
        raise Problem("invalid-request", f"{where} {said}", [{"where": where, "problem": said}]) from None
    delivery = _delivery("alerts", sent_as, body)
    alert = KeptAlert(source, delivery, as_text(utc_now()), body.decode(), caller.name, caller.person)
    return _kept(alert, sent_as, document)


def _send_webhook(event: dict[str, Any]) -> Answer:
    """POST /webhooks/{source}: an alert that its sender signed."""
    source = _source(event)
    try:
        body = body_of(event)
        webhook_id = _verified(source, _headers(event), body)
        document = parsed(body)
    except (Problem, RuleViolation) as refused:
        if isinstance(refused, Problem) and refused.status >= 500:
            raise
        why = refused.detail if isinstance(refused, Problem) else str(refused)
        known = source in alert_sources() and alert_sources()[source].webhook
        if not known:
            why = f"no source of this name takes webhooks; {why}"
        logger.warning("webhook refused", source=word(source), reason=why)
        # What the internet tries is no alert that a tool has lost: a tool signs, if with a wrong secret or time.
        count(WEBHOOKS_REFUSED if known and is_signed(_headers(event)) else WEBHOOKS_UNKNOWN)
        kind = refused.kind if isinstance(refused, Problem) else "not-authenticated"
        raise Problem(kind, REFUSED) from None
    kept = KeptAlert(source, _delivery("webhooks", webhook_id, body), as_text(utc_now()), body.decode())
    return _kept(kept, webhook_id, document)


def _delivery(way: str, sent_as: str, body: bytes) -> str:
    """Return by what a delivery is known when it comes again.

    Another body under the same id is another delivery, because the answer says of each that it is kept: senders use the
    id of an alert for its updates, too. What it reports again changes nothing.

    Args:
        way: by which it came; no caller takes an id of a webhook.
        sent_as: the id of its sender.
        body: its bytes.
    """
    return f"{way}/{sent_as}/{hashlib.sha256(body).hexdigest()[:16]}"


def _of_callers() -> list[str]:
    """Return the names of the sources that callers of the API send to."""
    return sorted(name for name, one in alert_sources().items() if not one.webhook)


def _verified(source: str, headers: dict[str, str], body: bytes) -> str:
    """Return the id of a webhook that is signed with a secret of its source.

    The same is done for any name: how long it takes does not say whether it is that of a source.

    Raises:
        RuleViolation: it is not.
        Problem: the secret could not be read.
    """
    for younger_than in (SECRET_KEPT_SECONDS, ASKED_AGAIN_SECONDS):
        try:
            known = secrets_of(source, younger_than=younger_than)
        except Exception as error:
            logger.exception("the secret could not be read", source=source, reason=said_by(error))
            raise _try_again() from error
        now = time.time()
        try:
            return verify(headers, body, known.accepted(now), now=now)
        except RuleViolation as violation:
            refusal = violation
    raise refusal


def _kept(alert: KeptAlert, sent_as: str, document: Any) -> Answer:
    """Keep an alert and answer so.

    Args:
        alert: as it came.
        sent_as: the id of its sender.
        document: what it says.
    """
    source = alert.source
    with observed("alerts.keep"):
        try:
            client("sqs").send_message(QueueUrl=environment().alert_queue_url, MessageBody=alert.as_json())
        except Exception as error:
            logger.exception("the alert could not be kept", source=source, reason=said_by(error))
            raise _try_again() from error
    count(ALERTS_KEPT)
    mapped = _is_mapped(source, document)
    about = {"source": source, "delivery": alert.delivery, "caller": alert.caller}
    logger.info({"message": "alert kept", **about, "mapped": mapped})
    return 202, {"kept": True, "mapped": mapped, "id": sent_as}, {}


def _is_mapped(source: str, document: Any) -> bool:
    """Return whether a document has an alert; whatever goes wrong, it is kept already, and the answer must say so."""
    try:
        return bool(map_alerts(source, alert_sources()[source], document, home=environment().home).alerts)
    except Exception:
        logger.exception("what is kept could not be mapped", source=source)
        return False


def _try_again() -> Problem:
    return Problem("try-again", "the alert is not kept: send the same request again", headers={"retry-after": "5"})


def _source(event: dict[str, Any]) -> str:
    return str((event.get("pathParameters") or {}).get("source", ""))


def _headers(event: dict[str, Any]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
