"""`tapstack incident explain`: what the policy does about a GuardDuty finding, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from tapstack.cli.terminal import plain
from tapstack.domain.alerts import Alert, AlertInstance
from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import parse_finding
from tapstack.domain.json_documents import read_document
from tapstack.domain.policy import Decision, decide, needs_tags
from tapstack.domain.policy_rules import Rule
from tapstack.domain.regions import AccountRegion
from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import Deployment, Site
from tapstack.settings.problems import DeploymentError

Decided = tuple[list[AlertInstance], Decision]
"""Instances, and what is decided of each of them."""


class WrongInputError(Exception):
    """The message says which file, where, and what."""


def explain(
    file: str,
    deployment_file: Path | None,
    site_name: str | None,
    *,
    as_json: bool,
    source: TextIO,
    out: TextIO,
    err: TextIO,
) -> int:
    """Print the decision about a finding with its reasons; return 0, or 2 when a file is wrong.

    Args:
        file: JSON with the finding; `-` for `source`.
        deployment_file: the deployment file with the policy; by default as `deployment_path` finds it.
        site_name: the site whose policy decides; by default the one that would receive the finding.
        as_json: print JSON.
        source: standard input, read for `-`.
        out: receives the explanation.
        err: receives errors.
    """
    try:
        finding = _read(file, source)
        path = deployment_file or deployment_path(Path.cwd())
        deployment = load_deployment(path)
        name = site_name or _receiving_site(deployment, finding, shown(path))
        rules = rules_of(deployment, name, shown(path))
    except (WrongInputError, DeploymentError) as error:
        print(error, file=err)
        return 2
    site = deployment.sites[name]
    decisions = decisions_of(site, rules, finding)
    notes = list(_notes(site, name, rules, finding))
    if as_json:
        print(json.dumps(_as_json(finding, name, rules, decisions, notes), indent=2), file=out)
    else:
        print(_as_text(finding, name, rules, decisions, notes), file=out)
    return 0


def _read(file: str, source: TextIO) -> Alert:
    document = read_json(file, source)
    try:
        return parse_finding(document)
    except RuleViolation as violation:
        raise WrongInputError(f"{_named_file(file)}: {plain(violation)}") from None


def read_json(file: str, source: TextIO, *, encoding: str = "utf-8-sig") -> Any:
    """Return what a file of JSON holds.

    Args:
        file: its path; `-` for `source`.
        source: standard input.
        encoding: of the file; by default a byte order mark may begin it.

    Raises:
        WrongInputError: it cannot be read, or is no JSON.
    """
    name = _named_file(file)
    try:
        text = source.read() if file == "-" else Path(file).read_text(encoding=encoding)
        return read_document(text)
    except UnicodeDecodeError as error:
        raise WrongInputError(f"{name}: is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise WrongInputError(f"{name}:{error.lineno}: this is not JSON (column {error.colno}): {error.msg}") from None
    except RecursionError:
        raise WrongInputError(f"{name}: is nested too deep") from None
    except ValueError as error:
        raise WrongInputError(f"{name}: this is not JSON: {error}") from None
    except OSError as error:
        raise WrongInputError(f"{name}: cannot be read: {os.strerror(error.errno or 0)}") from None


def _named_file(file: str) -> str:
    return "standard input" if file == "-" else shown(Path(file))


def _acts_in(site: Site, finding: Alert, where: AccountRegion) -> bool:
    """Return whether a place is the site's; a site without allowed accounts may be of the finding's."""
    return site.region == where.region and where.account_id in (site.allowed_account_ids or [finding.where.account_id])


def _receives(site: Site, finding: Alert) -> bool:
    return _acts_in(site, finding, finding.where)


def decisions_of(site: Site, rules: tuple[Rule, ...], finding: Alert) -> list[Decided]:
    """Return what is decided of each instance, those together of which it is the same."""
    decided: list[Decided] = []
    for instance in finding.instances or (None,):
        here = instance is not None and _acts_in(site, finding, instance.where)
        decision = decide(rules, finding, instance, here=here)
        for those, same in decided:
            if same == decision and instance is not None:
                those.append(instance)
                break
        else:
            decided.append(([instance] if instance is not None else [], decision))
    return decided


def _receiving_site(deployment: Deployment, finding: Alert, file: str) -> str:
    """Return the one site whose response receives the finding, by account and Region."""
    responding = [name for name, site in deployment.sites.items() if site.response is not None]
    if not responding:
        raise WrongInputError(f"{file}: no site has a response, so nothing is done about findings")
    found = [name for name in responding if _receives(deployment.sites[name], finding)]
    if len(found) == 1:
        return str(found[0])
    fitting = f"sites {', '.join(found)} receive" if found else "no site with a response receives"
    raise WrongInputError(
        f"{file}: {fitting} findings of account {finding.where.account_id} in {finding.where.region}: "
        f"give --site {' or '.join(found or responding)}"
    )


def rules_of(deployment: Deployment, name: str, file: str) -> tuple[Rule, ...]:
    """Return the policy of a site.

    Raises:
        WrongInputError: there is no such site, or it has no response.
    """
    if name not in deployment.sites:
        raise WrongInputError(f"{file}: no site of this name: expected {', '.join(deployment.sites)}, got {name!r}")
    response = deployment.sites[name].response
    if response is None:
        raise WrongInputError(f"{file}: site {name} has no response, so nothing is done about findings")
    return response.rules()


def _notes(site: Site, name: str, rules: tuple[Rule, ...], finding: Alert) -> Iterator[str]:
    if not _receives(site, finding):
        yield (
            f"the finding is of account {finding.where.account_id} in {finding.where.region}: site {name} would not "
            f"receive it ({', '.join(site.allowed_account_ids) or 'any account'} in {site.region})"
        )
    if needs_tags(rules) and finding.instances:
        yield "tags are those in the finding; when one arrives, the instance's tags of that moment count"
    for value in finding.left_out:
        yield f"left out: {value}"


def _verdict(decision: Decision) -> str:
    minutes = f" for {counted(decision.minutes, 'minute')}" if decision.minutes else ""
    return f"{decision.action}{minutes}"


def _as_text(finding: Alert, site: str, rules: tuple[Rule, ...], decisions: list[Decided], notes: list[str]) -> str:
    role = f", as {finding.resource_role}" if finding.resource_role else ""
    tactics = " and ".join(finding.tactics) or "no ATT&CK tactic"
    about = _named(finding.instances) if len(decisions) == 1 else counted(len(finding.instances), "instance")
    lines = [
        f"finding   {finding.type}, severity {finding.severity:g} ({finding.level})",
        f"          {about}{role}; {tactics}",
        f"site      {site}, {counted(len(rules), 'rule') if rules else 'no rules'}",
    ]
    for instances, decision in decisions:
        lines += ["", *([f"instance  {_named(instances)}", ""] if len(decisions) > 1 else [])]
        lines += reasons(rules, decision)
    return "\n".join([*lines, *(f"note      {plain(note)}" for note in notes)])


def _named(instances: Sequence[AlertInstance]) -> str:
    return ", ".join(instance.id for instance in instances) or "no instance"


def reasons(rules: tuple[Rule, ...], decision: Decision) -> Iterator[str]:
    """Yield lines: what each rule says of an instance, and what is decided."""
    width = max((len(rule.name) for rule in rules), default=0)
    for number, passed in enumerate(decision.not_matched, 1):
        first, *others = passed.reasons
        yield f"{number:>3} {passed.rule.name:<{width}}  no: {plain(first)}"
        yield from (f"    {'':<{width}}      {plain(reason)}" for reason in others)
    if decision.rule is not None:
        yield f"{len(decision.not_matched) + 1:>3} {decision.rule.name:<{width}}  matches: {decision.asked}"
    asked = len(decision.not_matched) + (decision.rule is not None)
    yield from (
        f"{number:>3} {rule.name:<{width}}  not evaluated" for number, rule in enumerate(rules[asked:], asked + 1)
    )
    because = f"rule {decision.rule.name}" if decision.rule else "no rule matches, and the default is notify"
    yield from ([""] if rules else [])
    yield f"decision  {_verdict(decision)}: {because}"
    if decision.limited_because:
        yield f"          not {decision.asked}: {decision.limited_because}"


def _as_json(
    finding: Alert, site: str, rules: tuple[Rule, ...], decisions: list[Decided], notes: list[str]
) -> Mapping[str, Any]:
    return {
        "finding": {
            "id": finding.id,
            "type": finding.type,
            "severity": finding.severity,
            "level": finding.level,
            "tactics": finding.tactics,
            "sample": finding.sample,
            "left_out": finding.left_out,
        },
        "site": site,
        "decisions": [decision_as_json(rules, *one) for one in decisions],
        "notes": notes,
    }


def decision_as_json(rules: tuple[Rule, ...], instances: Sequence[AlertInstance], decision: Decision) -> dict[str, Any]:
    """Return what is decided of instances, as JSON."""
    return {
        "instances": [
            {"instance_id": one.id, **one.where.as_dict(), "network_interface_ids": one.network_interface_ids}
            for one in instances
        ],
        "action": decision.action,
        "rule": decision.rule.name if decision.rule else None,
        "minutes": decision.minutes,
        "asked": decision.asked,
        "limited_because": decision.limited_because,
        "passed_over": [{"rule": one.rule.name, "reasons": list(one.reasons)} for one in decision.not_matched],
        "not_asked": [rule.name for rule in rules[len(decision.not_matched) + (decision.rule is not None) :]],
    }
