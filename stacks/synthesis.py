"""From a checked deployment file to Terraform on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stacks.capture import CaptureStack
from tapstack.bindings import cdk, renders_hcl
from tapstack.settings.model import Deployment
from tapstack.workspace import provider_mirror


def synthesize(deployment: Deployment, base: Path, outdir: Path) -> list[str]:
    """Write the Terraform of every site below `outdir` and return what a person should know.

    Args:
        deployment: what to build.
        base: directory of the deployment file.
        outdir: where cdktf writes; `stacks/<site>` in it is where Terraform runs.
    """
    mirror = provider_mirror.find_mirror(deployment.provider.mirror, deployment.provider.version, base)
    outdir.mkdir(parents=True, exist_ok=True)
    # hcl_output only names the files; cdktf takes the language from the environment.
    app = cdk.App(outdir=str(outdir), hcl_output=renders_hcl())
    for name in deployment.sites:
        CaptureStack(app, name, deployment=deployment, base=base, outdir=outdir)
    app.synth()
    stale = "cdk.tf.json" if renders_hcl() else "cdk.tf"
    for name in deployment.sites:
        directory = outdir / "stacks" / name
        # Both languages side by side would be one configuration with everything twice.
        (directory / stale).unlink(missing_ok=True)
        provider_mirror.link_mirror(mirror, directory, deployment.provider.version)
    # The cdktf CLI prints warnings itself, and says that it runs by this variable.
    return [] if "CDKTF_CONTINUE_SYNTH_ON_ERROR_ANNOTATIONS" in os.environ else _annotations(outdir)


def _annotations(outdir: Path) -> list[str]:
    manifest = json.loads((outdir / "manifest.json").read_text(encoding="utf-8"))
    return [
        f"{note['constructPath']}: {note['message']}"
        for stack in manifest["stacks"].values()
        for note in stack["annotations"]
    ]
