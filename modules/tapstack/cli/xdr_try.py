"""`tapstack xdr try`: what a mapping makes of a document of another tool, and what the policy does about that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from tapstack.cli.incident_explain import (
    Decided,
    WrongInputError,
    decision_as_json,
    decisions_of,
    read_json,
    reasons,
    rules_of,
)
from tapstack.cli.terminal import plain
from tapstack.domain.alert_mappings import PRESETS, AlertSource, Mapped, map_alerts, map_security_hub
from tapstack.domain.alerts import GUARDDUTY, SECURITY_HUB, Alert, AlertInstance, title_of
from tapstack.domain.counts import counted
from tapstack.domain.outside_text import quoted
from tapstack.domain.policy import needs_tags
from tapstack.domain.policy_rules import Rule
from tapstack.domain.regions import AccountRegion
from tapstack.domain.suggestions import did_you_mean
from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import Deployment, Site
from tapstack.settings.problems import DeploymentError

_Readers = Mapping[str, Callable[[object], Mapped]]
"""What reads a document, by the name of its source."""

_NO_TIME = "says no time that can be read: the moment at which it is received counts"
_ASKED = "when one arrives, EC2 says which instance that is; without one, or with several, it is unmatched"


def try_alert(
    file: str,
    source_name: str,
    deployment_file: Path | None,
    site_name: str | None,
    *,
    as_json: bool,
    source: TextIO,
    out: TextIO,
    err: TextIO,
) -> int:
    """Print what becomes of a document; return 0, or 2 when a file is wrong or the document holds no alert.

    Args:
        file: JSON, as the tool sends it; `-` for `source`.
        source_name: a source of the deployment file, `securityhub`, or a preset to try.
        deployment_file: the deployment file with the policy; by default as `deployment_path` finds it.
        site_name: the site whose policy decides; by default the only one that can.
        as_json: print JSON.
        source: standard input, read for `-`.
        out: receives the result.
        err: receives errors.
    """
    try:
        document = read_json(file, source, encoding="utf-8")
        path = deployment_file or deployment_path(Path.cwd())
        deployment = load_deployment(path)
        name = site_name or _site(deployment, source_name, shown(path))
        rules = rules_of(deployment, name, shown(path))
        site = deployment.sites[name]
        known = _known(site)
        mapped = _mapped(source_name, known, name, document, shown(path))
    except (WrongInputError, DeploymentError) as error:
        print(error, file=err)
        return 2
    alerts = [(alert, decisions_of(site, rules, _with_instances(alert))) for alert in mapped.alerts]
    notes = list(_notes(source_name, site, name, rules, mapped))
    if mapped.is_foreign:
        notes.append(_about_kind(known, document))
    if as_json:
        print(json.dumps(_as_json(source_name, name, rules, alerts, mapped, notes), indent=2), file=out)
    else:
        print("\n".join(_as_text(source_name, name, rules, alerts, mapped, notes)), file=out)
    return 0 if alerts else 2


def _site(deployment: Deployment, source: str, file: str) -> str:
    """Return the one site that has the source, or the one with a response."""
    responding = {name: site.response for name, site in deployment.sites.items() if site.response is not None}
    if not responding:
        raise WrongInputError(f"{file}: no site has a response, so nothing is done about alerts")
    having = [name for name, response in responding.items() if source in response.alerts.sources]
    for found in (having, list(responding)):
        if len(found) == 1:
            return str(found[0])
    raise WrongInputError(
        f"{file}: several sites could receive alerts of {source}: give --site {' or '.join(having or responding)}"
    )


def _mapped(source: str, known: _Readers, name: str, document: object, file: str) -> Mapped:
    if source in known:
        return known[source](document)
    raise WrongInputError(
        f"{file}: site {name} has no source {source}, and there is no such preset: {did_you_mean(source, known)}"
        f"expected {', '.join(known)}"
    )


def _known(site: Site) -> _Readers:
    """Return what reads documents: the sources of a site first, then the presets."""
    home = AccountRegion(next(iter(site.allowed_account_ids), ""), site.region)
    configured = site.response.alerts.to_domain().sources if site.response is not None else {}
    presets = {name: AlertSource(name) for name in PRESETS if name not in (*configured, SECURITY_HUB)}
    return {
        **{name: partial(map_alerts, name, one, home=home) for name, one in configured.items()},
        SECURITY_HUB: partial(map_security_hub, home=home),
        **{name: partial(map_alerts, name, one, home=home) for name, one in presets.items()},
    }


def _about_kind(known: _Readers, document: object) -> str:
    """Return which source or preset reads a document in which the chosen one found no alert."""
    if found := [name for name, read in known.items() if read(document).alerts]:
        return f"this document is of another kind: --source {' or '.join(found)} reads it"
    return (
        f"no source of the site and no preset reads this document; there are {', '.join(known)}. A document of another "
        "tool needs a source with a mapping of your own"
    )


def _with_instances(alert: Alert) -> Alert:
    """Return an alert with the instances that it names; with what EC2 is asked for in the place of others."""
    target = alert.target
    if target is None:
        return alert
    named = target.instance_ids or (_asked_for(alert),)
    return replace(alert, instances=tuple(AlertInstance(one, alert.where) for one in named))


def _asked_for(alert: Alert) -> str:
    target = alert.target
    if target is None or target.instance_ids:
        return ""
    if target.network_interface_id is not None:
        return f"the instance of {target.network_interface_id}"
    return f"the instance with {target.private_ip} in {target.vpc_id}"


def _notes(source: str, site: Site, name: str, rules: tuple[Rule, ...], mapped: Mapped) -> Iterator[str]:
    response = site.response
    alerts = response.alerts if response is not None else None
    if alerts is not None and source == SECURITY_HUB and not alerts.security_hub:
        yield f"site {name} does not receive findings of Security Hub: alerts.security_hub is off"
    elif alerts is not None and source not in (GUARDDUTY, SECURITY_HUB, *alerts.sources):
        yield f"site {name} has no source {source}: the preset of this name was tried"
    if any(_asked_for(alert) for alert in mapped.alerts):
        yield _ASKED
    if needs_tags(rules) and mapped.alerts:
        yield "an alert has no tags; when one arrives, the instance's tags of that moment count"
    for alert in mapped.alerts:
        yield from (f"left out: {value}" for value in alert.left_out)


def _as_text(
    source: str,
    site: str,
    rules: tuple[Rule, ...],
    alerts: list[tuple[Alert, list[Decided]]],
    mapped: Mapped,
    notes: list[str],
) -> Iterator[str]:
    yield f"source    {title_of(source)}: {counted(len(alerts), 'alert')}"
    yield f"site      {site}, {counted(len(rules), 'rule') if rules else 'no rules'}"
    for alert, decisions in alerts:
        attack = ", ".join((*alert.tactics, *alert.techniques)) or "no ATT&CK tactic or technique"
        yield ""
        yield f"alert     {plain(alert.shown_type)}, severity {alert.severity:g} ({alert.level})"
        yield from ([f"          {quoted(alert.title, 300)}"] if alert.title and alert.type else [])
        yield f"          {alert.shown_id}, {f'seen {alert.last_seen}' if alert.last_seen else _NO_TIME}"
        yield f"          {attack}"
        for instances, decision in decisions:
            yield f"instance  {', '.join(one.id for one in instances) or 'none'}"
            yield ""
            yield from reasons(rules, decision)
    for reason in mapped.unmatched:
        yield ""
        yield f"unmatched {plain(reason)}"
        yield "decision  none: it is kept below unmatched/ of the landing, and responders are notified"
    yield from (f"note      {plain(note)}" for note in notes)


def _as_json(
    source: str,
    site: str,
    rules: tuple[Rule, ...],
    alerts: list[tuple[Alert, list[Decided]]],
    mapped: Mapped,
    notes: list[str],
) -> Mapping[str, Any]:
    return {
        "source": source,
        "site": site,
        "alerts": [
            {
                "id": alert.id,
                "type": alert.type,
                "title": alert.title,
                "severity": alert.severity,
                "level": alert.level,
                "tactics": alert.tactics,
                "techniques": alert.techniques,
                "last_seen": alert.last_seen,
                **alert.where.as_dict(),
                "target": asdict(alert.target) if alert.target else None,
                "of_guardduty": alert.of_guardduty,
                "archived": alert.archived,
                "sample": alert.sample,
                "left_out": alert.left_out,
                "decisions": [decision_as_json(rules, *one) for one in decisions],
            }
            for alert, decisions in alerts
        ],
        "unmatched": mapped.unmatched,
        "notes": notes,
    }
