"""`tapstack rehearse deploy`: a deployment file, deployed into the rehearsal account and taken down again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from tapstack.cli.incident_api import UserError
from tapstack.cli.rehearse_account import missing
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
        scratch: a directory for what is temporary.
        out: gets the progress.
        err: gets what is wrong.
        enforce_iam: refuse what IAM does not allow.

    Returns:
        0 when the second plan is empty, each change touches only what it should, and nothing is left;
        1 when not; 2 when something is missing or wrong.
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
        place = _Place(account, settings.region, role.role_arn if role else None)
        response = directories.get(state.response_stack_name(name)) if settings.response else None
        failures += _rehearse_site(name, directories[name], response, place, json.loads(text), write, progress)
    return 1 if failures else 0


def without_surroundings(document: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return a deployment file that can be deployed from elsewhere, taken down, and keeps its state beside itself.

    Args:
        document: a deployment file as plain data.
        base: the directory that it lies in, where its relative paths begin.
    """
    provider = dict(document.get("provider") or {})
    if provider.get("mirror") not in (None, NO_MIRROR):
        provider["mirror"] = str((base / os.path.expanduser(provider["mirror"])).resolve())
    sites = {name: _unprotected(site) for name, site in document["sites"].items()}
    # The account holds no bucket for state, and the state of a rehearsal has no other use.
    return {**document, **({"provider": provider} if provider else {}), "backend": {"local": {}}, "sites": sites}


def _unprotected(site: dict[str, Any]) -> dict[str, Any]:
    """Return a site whose appliance and table of incidents can be destroyed."""
    lifted: dict[str, Any] = {
        name: {**(site[name] or {}), "deletion_protection": False} for name in _PROTECTED if name in site
    }
    return {**site, **lifted}


@dataclass(frozen=True)
class _Place:
    """The account and Region of a site."""

    account: Account
    region: str
    role_arn: str | None


def _rehearse_site(
    name: str,
    directory: Path,
    response: Path | None,
    place: _Place,
    document: dict[str, Any],
    write: Callable[[str], Any],
    progress: Progress,
) -> int:
    """Deploy a site, change it, take it down; return how many of these did more or less than they should.

    Args:
        name: of the site.
        directory: of its capture's Terraform.
        response: of its response's; none where it has none.
        place: where it is deployed.
        document: what is deployed.
        write: synthesizes the text of a deployment file.
        progress: gets the progress.
    """
    from strictmoto.identity.principals import deploying_into
    from strictmoto.testing.snapshot import differences, take_snapshot
    from tapstack.rehearsal.changes import Spares, rehearse_changes
    from tapstack.rehearsal.deployment import SiteDeployment

    def say(line: str) -> None:
        progress.say(f"{_INDENT}{line}")

    def tell(line: str) -> None:
        progress.say(f"{name}: {line}")

    def look() -> dict[str, str]:
        with progress.doing("reading all that the account holds"):
            return take_snapshot(place.account, region=place.region, role_arn=place.role_arn)

    before = look()

    def deploy(stack: SiteDeployment, what: str) -> bool:
        """Deploy a stack, and tell whether a second plan would change anything."""
        tell(f"deploying the {what}")
        for output, value in stack.apply().items():
            say(f"{output} = {'(sensitive)' if value is None else json.dumps(value)}")
        changes = stack.changes()
        tell(f"the second plan {'is empty' if not changes else f'changes {changes}'}")
        return bool(changes)

    progress.say("")
    with progress.doing("starting Terraform") as doing:
        credentials = deploying_into(place.role_arn)
        site = SiteDeployment(directory, place.account, say, doing, credentials=credentials)
        failures = int(deploy(site, "capture"))
        spares = Spares(place.account.client("ec2", region=place.region, role_arn=place.role_arn))
        tell("changing")
        for outcome in rehearse_changes(site, name, document, spares, write):
            for address, actions in outcome.touched.items():
                say(f"{' and '.join(actions)} {address}")
            verdict = "as it should" if outcome.right else f"and should be {outcome.expected}"
            tell(f"{outcome.title}: {len(outcome.touched)} touched, {verdict}")
            failures += not outcome.right
        if response is not None:
            stack = SiteDeployment(response, place.account, say, doing, credentials=credentials)
            failures += deploy(stack, "response")
            tell("destroying the response")
            stack.destroy()
        tell("destroying the capture")
        site.destroy()
    spares.remove()
    left = differences(before, look())
    tell("the account is as it was" if not left else "the account is not as it was")
    for line in left:
        say(line)
    return failures + bool(left)
