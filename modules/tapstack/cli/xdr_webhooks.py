"""`tapstack xdr send`, `rotate-secret` and `status`: webhooks, their secrets, and what came of them."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TextIO

from tapstack.cli.incident_api import Headers, IncidentApi, UserError, check_url
from tapstack.cli.terminal import plain, table
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.json_documents import read_document
from tapstack.domain.operations import LARGEST_BODY, SEND_WEBHOOK
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.webhook_secrets import (
    ASKED_AGAIN_SECONDS,
    CURRENT,
    SECRET_KEPT_SECONDS,
    SECRET_VARIABLE,
    webhook_secret_name,
)
from tapstack.domain.webhook_signatures import (
    TOLERANCE_SECONDS,
    check_webhook_id,
    new_secret,
    read_secret,
    signed_headers,
    written_secret,
)
from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import Deployment, Site
from tapstack.workspace.credentials import CredentialsError, access_to, answers_of_aws
from tapstack.workspace.xdr_status import LAST_ALERTS, REFUSED_DAYS, Arrived, Refused, XdrStatus, read_status

_UNKNOWN: Final = "AWS did not say whether the new secret is set"


class _SupersededError(CredentialsError):
    """The secret that was set is not the current one any more."""


class _HalfRevokedError(CredentialsError):
    """A secret that no sender has is the current one, and AWS refuses to set the new one."""


def send(
    file: str,
    source_name: str,
    url: str,
    *,
    secret_file: str | None,
    webhook_id: str | None,
    as_json: bool,
    source: TextIO,
    out: TextIO,
    err: TextIO,
) -> int:
    """Sign a document and send it as a webhook, as a tool would; return 0.

    Args:
        file: JSON; `-` for `source`. Its bytes are sent as they are.
        source_name: a source of the deployment.
        url: of the API.
        secret_file: holds the secret; `-` for `source`. `$TAPSTACK_WEBHOOK_SECRET` by default.
        webhook_id: the same document sent again with the same id is the same delivery; a random one by default.
        as_json: print the answer of the API.
        source: standard input.
        out: receives the result.
        err: receives what is retried.

    Raises:
        UserError: what is given is wrong, or the API refuses it.
        ServiceError: the API failed, or could not be reached.
    """
    if file == secret_file == "-":
        raise UserError("both the document and the secret would come from standard input: give one of them as a file")
    secret = _secret(secret_file, source)
    body = _document(file, source)
    given = check_webhook_id(webhook_id) if webhook_id is not None else f"msg_{uuid.uuid4().hex}"

    def sign(_method: str, _url: str, data: bytes | None, headers: Headers) -> Headers:
        # Anew at each attempt, because the time is signed.
        return headers | signed_headers(secret, given, int(time.time()), data or b"")

    api = IncidentApi(check_url(url), sign, say=lambda line: print(line, file=err, flush=True))
    path = SEND_WEBHOOK.at_source(source_name)
    try:
        answer = api.send(path, body, holds="kept")
    except UserError as refused:
        if "HTTP 401" not in str(refused):
            raise
        raise UserError(
            f"{refused}\nThe API does not say which: the name of the source, its secret (a new one may take "
            f"{ASKED_AGAIN_SECONDS} seconds), or the clock of this machine ({as_text(utc_now())}, which may be "
            f"{TOLERANCE_SECONDS // 60} minutes wrong). The log of the function alerts does"
        ) from None
    if as_json:
        print(json.dumps(answer, indent=2), file=out, flush=True)
        return 0
    mapped = answer.get("mapped") is True
    print(f"kept    {plain(answer.get('id'))}", file=out)
    said = "yes: the policy decides about it; tapstack xdr status shows what came of it"
    # The file is not named: the commands that are proposed hold nothing that a shell would read otherwise.
    unmatched = "no: it is unmatched; tapstack xdr try says why"
    print(f"mapped  {said if mapped else unmatched}", file=out, flush=True)
    return 0


def rotate_secret(
    source_name: str,
    deployment_file: Path | None,
    site_name: str | None,
    *,
    output: str | None,
    revoke: bool,
    out: TextIO,
    err: TextIO,
) -> int:
    """Set a new random secret of a source, and show it once; return 0.

    Args:
        source_name: a source with webhooks.
        deployment_file: the deployment file; by default as `deployment_path` finds it.
        site_name: the site of the source; by default the only one that has it.
        output: a new file for the secret, which only its user may read; it is printed by default.
        revoke: accept no earlier secret any more.
        out: receives the secret.
        err: receives what follows from it.

    Raises:
        UserError: there is no such source, or the file exists or cannot be written.
        DeploymentError, CredentialsError, UnreachableError: the deployment file is wrong, or AWS refuses.
    """
    path = deployment_file or deployment_path(Path.cwd())
    deployment = load_deployment(path)
    site = site_name or _site_of(deployment, source_name, shown(path))
    _check_webhook(deployment, site, source_name, shown(path))
    name = webhook_secret_name(deployment.project, site, source_name)
    with _pending(output, name, ".revoking" if revoke else ".pending") as secret:
        client = access_to(deployment.sites[site]).client("secretsmanager")
        answer: Any = None
        try:
            with answers_of_aws(f"the secret {name} cannot be set: deploy the response with this source first"):
                # Of two, the one before the last is accepted no longer.
                for value in (_throwaway(secret), secret) if revoke else (secret,):
                    # Secrets Manager ignores the same value with the same token: nothing is rotated twice.
                    answer = client.put_secret_value(
                        SecretId=name, SecretString=value, ClientRequestToken=sha256(value.encode()).hexdigest()
                    )
            if CURRENT not in answer["VersionStages"]:
                raise _SupersededError(
                    f"{source_name} has got another secret since: run the command again for a new one"
                )
        except CredentialsError as refused:
            if answer is None or isinstance(refused, _SupersededError):
                raise
            raise _HalfRevokedError(
                f"{refused}. The current secret of {source_name} is now one that no sender has. "
                f"{_accepted_before(deployment.sites[site])}. Run the same command again once AWS allows it"
            ) from refused
        except BaseException:
            if output is None:
                print(secret, file=out, flush=True)
                print(f"{_UNKNOWN}: keep it. The next rotation makes it the one before", file=err, flush=True)
            else:
                print(f"{_UNKNOWN}: run the same command again, which sets no other one", file=err, flush=True)
            raise
    if output is None:
        print(secret, file=out, flush=True)
    where = f"It is in {output}" if output is not None else "It is shown only now"
    accepted = _accepted_before(deployment.sites[site], revoked=revoke)
    print(
        f"{source_name} of {site} has a new secret. {where}: give it to the sender. {accepted}.", file=err, flush=True
    )
    return 0


def _accepted_before(site: Site, *, revoked: bool = False) -> str:
    """Say how long the secret before the current one is accepted: not at all where it is revoked."""
    hours = site.response.alerts.overlap_hours if site.response is not None else 0
    if revoked or not hours:
        return f"No earlier one is accepted, {counted(SECRET_KEPT_SECONDS // 60, 'minute')} from now at the latest"
    until = as_text(utc_now() + timedelta(hours=hours))
    return f"The one before is accepted until {until} (alerts.overlap_hours); earlier ones are not"


def status(deployment_file: Path | None, site_name: str | None, *, as_json: bool, out: TextIO, err: TextIO) -> int:
    """Print what arrived of telemetry and alerts; return 0, or 2 where some of it could not be read.

    Args:
        deployment_file: the deployment file; by default as `deployment_path` finds it.
        site_name: the site; by default the only one with telemetry or a response.
        as_json: print JSON.
        out: receives the result.
        err: receives what could not be read.

    Raises:
        UserError: there are several sites, or none.
        DeploymentError, CredentialsError, UnreachableError: the deployment file is wrong, or AWS refuses.
    """
    path = deployment_file or deployment_path(Path.cwd())
    deployment = load_deployment(path)
    having = [name for name, one in deployment.sites.items() if one.xdr is not None or one.response is not None]
    site = site_name or _only(having, having, "has xdr or a response", shown(path))
    if site not in having:
        raise UserError(f"{shown(path)}: no site {site} with xdr or a response: expected {', '.join(having) or 'one'}")
    found = read_status(deployment, site, access_to(deployment.sites[site]))
    if as_json:
        print(json.dumps(_status_as_json(site, found), indent=2), file=out, flush=True)
    else:
        print("\n".join(_status_as_text(site, found)), file=out, flush=True)
    for problem in found.problems:
        print(plain(problem), file=err, flush=True)
    return 2 if found.problems else 0


def _document(file: str, source: TextIO) -> bytes:
    name = "standard input" if file == "-" else shown(Path(file))
    try:
        body = source.read().encode() if file == "-" else Path(file).read_bytes()
        read_document(body.decode("utf-8"))
    except RecursionError:
        raise UserError(f"{name}: is nested too deeply") from None
    except ValueError as error:  # UnicodeError and JSONDecodeError are such
        raise UserError(f"{name}: is no JSON: {error}") from None
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(body) > LARGEST_BODY:
        raise UserError(f"{name}: has {len(body):,} bytes: expected at most {LARGEST_BODY:,}")
    return body


def _secret(file: str | None, source: TextIO) -> bytes:
    """Return the secret that is given; no message shows it."""
    if file is None:
        where, text = f"${SECRET_VARIABLE}", os.environ.get(SECRET_VARIABLE)
        if not text:
            raise UserError(f"no secret: give --secret-file FILE (- for standard input), or set ${SECRET_VARIABLE}")
    else:
        where = f"--secret-file {plain(file)}"
        try:
            text = source.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{where}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"{where}: is not UTF-8 text, and so no secret") from None
    try:
        return read_secret(text.strip())
    except RuleViolation as violation:
        raise UserError(f"{where}: {violation}") from None


@contextmanager
def _pending(file: str | None, name: str, suffix: str) -> Iterator[str]:
    """Yield the secret to set: a new one, or that of the same command before, where it did not hear of the outcome.

    Until it is set, it is in a file beside, which only its user may read. Where AWS refuses a new one, or another was
    set since, that is removed. One of a command before stays: it may be the one that is set. So does one where AWS did
    the first of two steps: the same command does the second.

    Args:
        file: where the secret is once it is set; none where it is printed.
        name: of the secret in AWS: the file beside is of no other one.
        suffix: of the file beside.

    Raises:
        UserError: the file exists or cannot be written, or what is pending is no secret; or the secret is set, and the
            file beside could not be renamed.
        CredentialsError: AWS refuses it.
    """
    if file is None:
        yield new_secret()
        return
    if os.path.lexists(file):
        raise UserError(f"--output {plain(file)}: exists, and may hold the secret before")
    pending = Path(f"{file}.{name.replace('/', '.')}{suffix}")
    try:
        secret, is_new = _begun(pending)
    except RuleViolation as violation:
        raise UserError(f"{plain(str(pending))}: {violation}. It was never set: delete the file") from None
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "is no text"
        raise UserError(f"--output {plain(file)}: {said}") from None
    try:
        yield secret
    except _HalfRevokedError:
        raise
    except CredentialsError as error:
        if not is_new and not isinstance(error, _SupersededError):
            raise CredentialsError(
                f"{error}. {plain(str(pending))} stays: the secret in it may be the one that is set; run the same "
                "command again once AWS allows it"
            ) from error
        with suppress(OSError):
            pending.unlink()
        raise
    try:
        pending.rename(file)
    except OSError as error:
        raise UserError(
            f"--output {plain(file)}: {error.strerror}. The new secret is set, and is in {plain(str(pending))}: keep "
            "that file, and give the secret to the sender; or run the same command again once the file can be written, "
            "which sets no other one"
        ) from None


def _begun(pending: Path) -> tuple[str, bool]:
    """Return the secret in a file, or a new one that is written there; and whether it is new."""
    try:
        opened = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = pending.read_text(encoding="utf-8").strip()
        read_secret(secret)
        return secret, False
    secret = new_secret()
    with os.fdopen(opened, "w", encoding="utf-8") as written:
        written.write(f"{secret}\n")
        written.flush()
        os.fsync(opened)
    return secret, True


def _throwaway(secret: str) -> str:
    """Return a secret that no sender gets; the same for the same secret, so that it is set once as well."""
    return written_secret(sha256(f"throwaway {secret}".encode()).digest())


def _sources(deployment: Deployment) -> dict[str, Mapping[str, AlertSource]]:
    return {
        name: site.response.alerts.to_domain().sources
        for name, site in deployment.sites.items()
        if site.response is not None
    }


def _site_of(deployment: Deployment, source: str, file: str) -> str:
    sources = _sources(deployment)
    having = [name for name, its in sources.items() if source in its]
    if not having:
        known = sorted({one for its in sources.values() for one in its})
        listed = f"{did_you_mean(source, known)}expected {', '.join(known)}" if known else "it has none"
        raise UserError(f"{file}: no site has a source {plain(source)}: {listed}")
    return _only(having, having, f"has a source {source}", file)


def _only(found: list[str], known: list[str], what: str, file: str) -> str:
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"{file}: no site {what}")
    raise UserError(f"{file}: more than one site {what}: give --site with one of {', '.join(known)}")


def _check_webhook(deployment: Deployment, site: str, source: str, file: str) -> None:
    """Refuse a source that has no secret."""
    its = _sources(deployment).get(site)
    if its is None:
        raise UserError(f"{file}: no site {plain(site)} with a response: expected {', '.join(_sources(deployment))}")
    if source not in its:
        known = ", ".join(its) or "none"
        raise UserError(f"{file}: the site {site} has no source {plain(source)}: it has {known}")
    if not its[source].webhook:
        raise UserError(
            f"{file}: {source} has no secret, because it takes no webhooks: give it webhook: true, and deploy"
        )


def _status_as_json(site: str, found: XdrStatus) -> dict[str, Any]:
    return {
        "site": site,
        "bucket": found.bucket,
        "arrived": [
            {
                "prefix": one.prefix,
                "last": as_text(one.last) if one.last else None,
                "objects": one.objects,
                "left_out": one.left_out,
            }
            for one in found.arrived
        ],
        "queues": found.queues,
        "refused_webhooks": found.refused
        and {
            "days": REFUSED_DAYS,
            "count": found.refused.count,
            "last": as_text(found.refused.last) if found.refused.last else None,
        },
        "alerts": found.alerts,
        "problems": found.problems,
    }


def _status_as_text(site: str, found: XdrStatus) -> Iterator[str]:
    yield f"site     {site}"
    if found.bucket is not None:
        yield f"landing  s3://{plain(found.bucket)}"
        yield ""
        rows = [_arrival(one) for one in found.arrived]
        yield from table(("prefix", "last", "objects with it"), rows, "  ")
    if found.queues:
        yield ""
        yield from table(("queue", "messages"), [(name, str(count)) for name, count in found.queues.items()], "  ")
    if found.refused is not None:
        yield ""
        yield from _refused(found.refused)
    yield ""
    if not found.alerts:
        yield "no alert of another tool came in the last 30 days"
        return
    yield f"the last alerts of other tools, {LAST_ALERTS} at most"
    yield ""
    header = ("received", "source", "delivery", "caller", "what came of it")
    yield from table(header, [_alert(one) for one in found.alerts], "  ")


def _refused(refused: Refused) -> Iterator[str]:
    if refused.last is None:
        yield f"no webhook of a source was refused in the last {REFUSED_DAYS} days"
        return
    yield (
        f"{counted(refused.count, 'webhook')} of sources refused in the last {REFUSED_DAYS} days, the last within 5 "
        f"minutes from {as_text(refused.last)}"
    )
    yield "  Likely: a tool signs with a secret that was replaced or is wrong (tapstack xdr rotate-secret sets a new"
    yield f"  one), or its clock is more than {TOLERANCE_SECONDS // 60} minutes wrong. The number is of all sources:"
    yield '  source and reason of each are in the log of the function alerts, in lines with "webhook refused".'


def _arrival(one: Arrived) -> tuple[str, str, str]:
    last = as_text(one.last) if one.last else "nothing found" if one.left_out else "nothing yet"
    if one.left_out:
        last += f", without {counted(one.left_out, 'folder')} of too many"
    return plain(one.prefix), last, str(one.objects or "")


def _alert(outcome: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Return the row of an alert; its texts are of others."""
    said = [
        f"{plain(decision.get('action'))} {plain(decision.get('incident_id') or '')}".strip()
        for alert in outcome.get("alerts") or ()
        for decision in alert.get("decisions") or ()
    ]
    said += [f"unmatched: {plain(reason)}" for reason in outcome.get("unmatched") or ()]
    if left_out := outcome.get("left_out"):
        said.append(f"{plain(left_out)} more decisions")
    return (
        plain(outcome.get("received_at")),
        plain(outcome.get("source")),
        plain(outcome.get("delivery")),
        plain(outcome.get("caller") or "-"),
        "; ".join(dict.fromkeys(said)) or "nothing",
    )
