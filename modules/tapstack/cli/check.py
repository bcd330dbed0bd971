"""`tapstack check`: validate a deployment file, show what it deploys, and check the machine and AWS credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tapstack.cli.terminal import plain
from tapstack.domain.counts import counted
from tapstack.domain.sources import KnownSource
from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import Deployment, Site
from tapstack.settings.problems import DeploymentError
from tapstack.settings.response import Containment, Response
from tapstack.settings.xdr import Xdr
from tapstack.workspace import credentials, state
from tapstack.workspace import machine as machine_checks
from tapstack.workspace.credentials import Access, CredentialsError
from tapstack.workspace.privacy import OutputError, refuse_unusable_output, refuse_unusable_state
from tapstack.workspace.provider_mirror import UnusableMirrorError, unfitting_mirrors
from tapstack.workspace.state import stack_names


def check(file: Path | None, *, machine: bool, aws: bool, out: TextIO, err: TextIO) -> int:
    """Print the result and return 0, or 2 for an error that the user can fix."""
    here = Path.cwd()
    outdir = Path(os.environ.get("CDKTF_OUTDIR") or here / "cdktf.out")
    try:
        path = file or deployment_path(here)
        if "CDKTF_OUTDIR" in os.environ:
            refuse_unusable_output(outdir)
        deployment = read(path, outdir)
        print_summary(path, deployment, out=out)
        for warning in deployment.warnings():
            print(f"warning: {warning}", file=err, flush=True)
        warn_of_state(path, deployment, outdir, err=err)
        provider = deployment.provider
        for sentence in unfitting_mirrors(provider.mirror, provider.constraint, path.parent):
            print(f"warning: {sentence}", file=err, flush=True)
        if machine:
            print(machine_checks.describe(deployment.provider, path.parent), file=out, flush=True)
        if aws:
            try_access(deployment, stack_names(deployment), out=out, err=err)
    except (
        DeploymentError,
        UnusableMirrorError,
        machine_checks.MachineError,
        CredentialsError,
        OutputError,
    ) as error:
        print(error, file=err)
        return 2
    return 0


def read(path: Path, outdir: Path) -> Deployment:
    """Return the deployment of a file, after a check that deploying it loses no state.

    Raises:
        DeploymentError: the file is wrong, it begins a new state although another one holds resources, or the
            directory that it names for the state cannot be used.
    """
    deployment = load_deployment(path)
    state.refuse_lost_state(deployment, shown(path), path.parent, outdir)
    refuse_unusable_state(deployment, path.parent)
    return deployment


def print_summary(path: Path, deployment: Deployment, *, out: TextIO) -> None:
    """Print what a deployment file deploys."""
    print(_summary(shown(path), deployment), file=out, flush=True)


def warn_of_state(path: Path, deployment: Deployment, outdir: Path, *, err: TextIO) -> None:
    """Print the warnings about the state."""
    for warning in state.state_warnings(deployment, path.parent, outdir):
        print(f"warning: {warning}", file=err, flush=True)


def try_access(deployment: Deployment, stacks: Sequence[str], *, out: TextIO, err: TextIO) -> Mapping[str, Access]:
    """Print the principal that deploys each site; return the access to AWS of the sites whose credentials work.

    Raises:
        CredentialsError: AWS refuses some of the credentials; its message has a line for each.
    """
    try:
        tried = credentials.try_credentials(deployment, stacks)
    except ModuleNotFoundError as error:
        print(
            f"warning: credentials are not tried: no {error.name}; install tapstack with its extra response", file=err
        )
        return {}
    for warning in tried.warnings:
        print(f"warning: {plain(warning)}", file=err, flush=True)
    if tried.errors:
        raise CredentialsError("\n".join(map(plain, tried.errors)))
    for name, access in tried.access.items():
        print(f"{name}: deployed by {plain(access.arn)}", file=out, flush=True)
    return tried.access


def _summary(path: str, deployment: Deployment) -> str:
    backend = deployment.backend
    where = f"s3://{backend.s3.bucket}" if backend.s3 else f"the local directory {backend.local.directory}"  # type: ignore[union-attr]
    lines = [f"{path}: valid. {counted(len(deployment.sites), 'site')}, state in {where}"]
    for name, site in deployment.sites.items():
        accounts = ", ".join(site.allowed_account_ids) or "any account"
        lines.append(f"  {name}: {site.region}, {accounts}, {site.vpc_id}: {'; '.join(_parts(site))}")
    return "\n".join(lines)


def _parts(site: Site) -> list[str]:
    parts = ["a Packet Basics appliance"] if site.packet_basics else []
    for what, found in (("target", site.targets), ("filter", site.filters)):
        if found:
            parts.append(f"{counted(len(found), what)} ({', '.join(found)})")
    for name, sessions in site.sessions.items():
        sources = [settings.to_domain() for settings in sessions.sources]
        known = sum(isinstance(source, KnownSource) for source in sources)
        counts = [
            counted(number, what) for number, what in ((known, "interface"), (len(sources) - known, "lookup")) if number
        ]
        parts.append(f"sessions {name}: {' and '.join(counts)} to {sessions.target} through {sessions.filter}")
    if site.quarantine_security_group:
        parts.append("a quarantine group")
    if site.xdr is not None:
        parts.append(_xdr(site.xdr))
    if site.response is not None:
        parts.append(_response(site.response))
    return parts


def _xdr(xdr: Xdr) -> str:
    where = f"the bucket {xdr.landing.bucket}" if xdr.landing.bucket else "a bucket of its own"
    readers = [f"{name} ({', '.join(reader.prefixes)})" for name, reader in xdr.readers.items()]
    return f"telemetry (into {where}; read by {', '.join(readers) or 'none'})"


def _response(response: Response) -> str:
    calls = "AWS credentials" if response.authorization.iam is not None else "tokens"
    appliance = response.appliance
    what = "launches an appliance" if appliance.launch else f"to {appliance.target} through {appliance.filter}"
    rules = counted(len(response.policy), "policy rule") if response.policy else "no policy, so findings only notify"
    recipients = counted(len(response.notify.emails) + len(response.notify.topic_arns), "recipient")
    ways = [*(["Security Hub"] if response.alerts.security_hub else []), *response.alerts.sources]
    rules += f"; alerts of {', '.join(ways)}" if ways else ""
    contains = f"contains {_modes(response.containment)}" if response.containment else "never contains"
    return f"a response ({what}; called with {calls}; {rules}; {contains}; {recipients})"


def _modes(containment: Containment) -> str:
    words = {"approval": "on approval", "now": "at once"}
    return " or ".join(words[mode] for mode in dict.fromkeys(containment.modes))
