"""`tapstack rehearse deploy`: a deployment file, deployed into the rehearsal account and taken down again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import Deployment
from tapstack.settings.problems import DeploymentError
from tapstack.workspace import machine
from tapstack.workspace.provider_mirror import NO_MIRROR, UnusableMirrorError

if TYPE_CHECKING:
    from tapstack.rehearsal.account import Account


def rehearse_deploy(file: Path | None, *, out: TextIO, err: TextIO) -> int:
    """Deploy, plan again, destroy, and compare the account with what it was.

    Args:
        file: the deployment file; the usual one by default.
        out: gets the progress.
        err: gets what is wrong.

    Returns:
        0 when the second plan is empty and nothing is left; 1 when not; 2 when something is missing or wrong.
    """
    from tapstack.rehearsal.account import Account
    from tapstack.rehearsal.deployment import DeploymentFailedError

    project = Path.cwd()
    if not (project / "main.py").is_file():
        print(f"{project} has no main.py: run this in the directory of the Tapstack project", file=err)
        return 2
    try:
        path = file or deployment_path(project)
        deployment = load_deployment(path)
        print(machine.describe(deployment.provider, path.parent), file=out)
        mirror = deployment.provider.mirror
        if mirror not in (None, NO_MIRROR) and not Path(str(mirror)).expanduser().is_absolute():
            # The copy that is deployed lies elsewhere.
            print(f"{shown(path)}: provider.mirror: a rehearsal needs an absolute path, got {mirror!r}", file=err)
            return 2
        with Account() as account, tempfile.TemporaryDirectory() as scratch:
            return _rehearse(account, path, deployment, project, Path(scratch), out)
    except (DeploymentError, UnusableMirrorError, machine.MachineError, DeploymentFailedError) as error:
        print(error, file=err)
        return 2


def _rehearse(account: Account, path: Path, deployment: Deployment, project: Path, scratch: Path, out: TextIO) -> int:
    from tapstack.rehearsal.deployment import SiteDeployment, synthesize
    from tapstack.rehearsal.fitting import fit
    from tapstack.rehearsal.packet_basics import publish_template
    from tapstack.rehearsal.snapshot import differences, take_snapshot

    def say(line: str) -> None:
        print(f"  {line}", file=out, flush=True)

    print(f"An AWS account on {account.endpoint}, with a company for every site of {shown(path)}.", file=out)
    template_url = publish_template(account.client("s3"))
    fitted = scratch / "deployment.yaml"
    fitted.write_text(fit(path.read_text(encoding="utf-8"), account, file=shown(path), template_url=template_url))
    roles = {name: site.assume_role.role_arn if site.assume_role else None for name, site in deployment.sites.items()}
    failures = 0
    for name, directory in synthesize(project, fitted, scratch / "out", list(deployment.sites)).items():
        place = {"region": deployment.sites[name].region, "role_arn": roles[name]}
        before = take_snapshot(account, **place)
        site = SiteDeployment(directory, account, say)
        print(f"\n{name}: deploying", file=out, flush=True)
        outputs = site.apply()
        for output, value in outputs.items():
            say(f"{output} = {'(sensitive)' if value is None else json.dumps(value)}")
        changes = site.changes()
        print(f"{name}: the second plan {'is empty' if not changes else f'changes {changes}'}", file=out, flush=True)
        print(f"{name}: destroying", file=out, flush=True)
        site.destroy()
        left = differences(before, take_snapshot(account, **place))
        print(f"{name}: {'the account is as it was' if not left else 'the account is not as it was'}", file=out)
        for line in left:
            say(line)
        failures += bool(changes) + bool(left)
    return 1 if failures else 0
