"""`tapstack rehearse deploy`: deploy a deployment file into the rehearsal account, change it, and destroy it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from tapstack.cli.incident_api import UserError
from tapstack.cli.rehearse_account import missing
from tapstack.domain.names import response_stack_name, xdr_stack_name
from tapstack.rehearsal.progress import Progress
from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import Deployment
from tapstack.settings.problems import DeploymentError
from tapstack.settings.yaml_source import YamlSource
from tapstack.workspace import machine, state
from tapstack.workspace.provider_mirror import NO_MIRROR, UnusableMirrorError

if TYPE_CHECKING:
    from strictmoto.account import Account

_INDENT: Final = "  "


_PROTECTED: Final[tuple[str, ...]] = ("packet_basics", "response")


def rehearse_deploy(file: Path | None, *, scratch: Path, out: TextIO, err: TextIO, enforce_iam: bool = True) -> int:
    """Deploy, plan again, change, destroy, and compare the account with what it was.

    Args:
        file: the deployment file; the usual one by default.
        scratch: a directory for temporary files.
        out: receives the progress.
        err: receives errors.
        enforce_iam: refuse what IAM does not allow.

    Returns:
        0 when the second plan is empty, each change affects only what it should, and nothing remains in the account;
        1 when not; 2 for an error that the user can fix.
    """
    project = Path.cwd()
    if not (project / "main.py").is_file():
        print(f"{project} has no main.py: run this in the directory of the Tapstack project", file=err)
        return 2
    try:
        path = file or deployment_path(project)
        deployment = load_deployment(path)
        with Progress(lambda line: print(line, file=out, flush=True), indent=_INDENT) as progress:
            with progress.doing("looking for Terraform and the AWS provider"):
                progress.say(machine.describe(deployment.provider, path.parent))
            return _in_account(path, deployment, project, scratch, progress, enforce_iam)
    except ModuleNotFoundError as error:
        print(missing(error), file=err)
    except (DeploymentError, UnusableMirrorError, machine.MachineError, UserError) as error:
        print(error, file=err)
    return 2


def _in_account(
    path: Path, deployment: Deployment, project: Path, scratch: Path, progress: Progress, enforce_iam: bool
) -> int:
    with progress.doing("starting an AWS account"):
        from strictmoto.account import Account
        from tapstack.rehearsal.deployment import DeploymentFailedError

        account = Account(enforce_iam=enforce_iam)
        account.start()
    try:
        return _rehearse(account, path, deployment, project, scratch, progress)
    except DeploymentFailedError as error:
        raise UserError(str(error)) from None
    finally:
        account.stop()


def _rehearse(
    account: Account, path: Path, deployment: Deployment, project: Path, scratch: Path, progress: Progress
) -> int:
    from tapstack.rehearsal.deployment import synthesize
    from tapstack.rehearsal.fitting import fit
    from tapstack.rehearsal.packet_basics import publish_template

    progress.say(f"An AWS account on {account.endpoint}, with a company for every site of {shown(path)}.")
    document = without_surroundings(YamlSource(path.read_text(encoding="utf-8-sig"), shown(path)).data, path.parent)
    with progress.doing("founding the companies"):
        text = fit(
            json.dumps(document),
            account,
            publish=lambda region: publish_template(account.client("s3", region=region)),
            deployment=deployment,
        )
    fitted = scratch / "deployment.yaml"

    def write(text: str) -> dict[str, Path]:
        fitted.write_text(text, encoding="utf-8")
        with progress.doing("synthesizing"):
            return synthesize(project, fitted, scratch / "out", state.stack_names(deployment))

    failures = 0
    directories = write(text)
    for name, settings in deployment.sites.items():
        role = settings.assume_role
        access = _SiteAccess(account, settings.region, role.role_arn if role else None)
        others = {"telemetry": xdr_stack_name(name), "response": response_stack_name(name)}
        further = {what: directories[stack] for what, stack in others.items() if stack in directories}
        failures += _rehearse_site(name, directories[name], further, access, json.loads(text), write, progress)
    return 1 if failures else 0


def without_surroundings(document: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return a deployment file that can be deployed from another directory and destroyed, with a local state.

    Args:
        document: a deployment file as plain data.
        base: the directory of the file, from which its relative paths begin.
    """
    provider = dict(document.get("provider") or {})
    if provider.get("mirror") not in (None, NO_MIRROR):
        provider["mirror"] = str((base / os.path.expanduser(provider["mirror"])).resolve())
    sites = {name: _unprotected(site) for name, site in document["sites"].items()}
    # The account has no bucket for state, and a rehearsal needs its state only while it runs.
    return {**document, **({"provider": provider} if provider else {}), "backend": {"local": {}}, "sites": sites}


def _unprotected(site: dict[str, Any]) -> dict[str, Any]:
    """Return a site whose appliance, table of incidents and buckets of telemetry can be destroyed."""
    lifted: dict[str, Any] = {
        name: {**(site[name] or {}), "deletion_protection": False} for name in _PROTECTED if name in site
    }
    landing = ((site.get("xdr") or {}).get("landing")) or {}
    if "xdr" in site and "bucket" not in landing:
        lifted["xdr"] = {**(site["xdr"] or {}), "landing": {**landing, "deletion_protection": False}}
    return {**site, **lifted}


@dataclass(frozen=True)
class _SiteAccess:
    """The account and Region that a site is deployed in, and the role that deploys it."""

    account: Account
    region: str
    role_arn: str | None


def _rehearse_site(
    name: str,
    directory: Path,
    further: Mapping[str, Path],
    access: _SiteAccess,
    document: dict[str, Any],
    write: Callable[[str], Any],
    progress: Progress,
) -> int:
    """Deploy a site, change it, destroy it; return how many of these steps had another result than expected.

    Args:
        name: the site's name.
        directory: the directory of its capture's Terraform.
        further: the directories of its other stacks' Terraform, by what they are, in the order of their deployment.
        access: where it is deployed, and by which role.
        document: the deployment file as plain data.
        write: synthesizes the text of a deployment file.
        progress: receives the progress.
    """
    from strictmoto.identity.principals import deploying_into
    from strictmoto.testing.snapshot import differences, take_snapshot
    from tapstack.rehearsal.changes import Spares, rehearse_changes
    from tapstack.rehearsal.deployment import SiteDeployment

    def say(line: str) -> None:
        progress.say(f"{_INDENT}{line}")

    def say_of_site(line: str) -> None:
        progress.say(f"{name}: {line}")

    def snapshot() -> dict[str, str]:
        with progress.doing("reading all that the account holds"):
            return take_snapshot(access.account, region=access.region, role_arn=access.role_arn)

    before = snapshot()

    def deploy(stack: SiteDeployment, what: str) -> bool:
        """Deploy a stack; return whether a second plan would change anything."""
        say_of_site(f"deploying the {what}")
        for output, value in stack.apply().items():
            say(f"{output} = {'(sensitive)' if value is None else json.dumps(value)}")
        changes = stack.changes()
        say_of_site(f"the second plan {'is empty' if not changes else f'changes {changes}'}")
        return bool(changes)

    progress.say("")
    with progress.doing("starting Terraform") as doing:
        credentials = deploying_into(access.role_arn)
        site = SiteDeployment(directory, access.account, say, doing, credentials=credentials)
        failures = int(deploy(site, "capture"))
        spares = Spares(access.account.client("ec2", region=access.region, role_arn=access.role_arn))
        say_of_site("changing")
        for outcome in rehearse_changes(site, name, document, spares, write):
            for address, actions in outcome.touched.items():
                say(f"{' and '.join(actions)} {address}")
            verdict = "as it should" if outcome.right else f"and should be {outcome.expected}"
            say_of_site(f"{outcome.title}: {len(outcome.touched)} touched, {verdict}")
            failures += not outcome.right
        stacks = {
            what: SiteDeployment(found, access.account, say, doing, credentials=credentials)
            for what, found in further.items()
        }
        for what, stack in stacks.items():
            failures += deploy(stack, what)
        for what, stack in reversed(stacks.items()):
            say_of_site(f"destroying the {what}")
            stack.destroy()
        say_of_site("destroying the capture")
        site.destroy()
    spares.remove()
    left = differences(before, snapshot())
    say_of_site("the account is as it was" if not left else "the account is not as it was")
    for line in left:
        say(line)
    return failures + bool(left)
