"""From a checked deployment file to Terraform on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stacks.capture import CaptureStack
from tapstack.bindings import Construct, cdk, renders_hcl
from tapstack.capture.scaffold import blocks_of
from tapstack.settings.model import Deployment
from tapstack.workspace import provider_mirror, state
from tapstack.workspace.privacy import keep_private
from tapstack.workspace.stacks import used_of_capture, used_of_telemetry


def synthesize(deployment: Deployment, base: Path, outdir: Path) -> list[str]:
    """Write the Terraform of every site below `outdir` and return messages for the user.

    A site is a stack of its name, and one more each for its telemetry, `<site>-xdr`, and its response,
    `<site>-response`.

    Args:
        deployment: what to build.
        base: directory of the deployment file.
        outdir: where cdktf writes; `stacks/<stack>` in it is where Terraform runs.
    """
    mirror = provider_mirror.find_mirror(deployment.provider.mirror, deployment.provider.constraint, base)
    warnings = keep_private(deployment, base, outdir)
    # hcl_output only names the files; cdktf reads the language from the environment.
    app = cdk.App(outdir=str(outdir), hcl_output=renders_hcl())
    for name, site in deployment.sites.items():
        capture = CaptureStack(app, name, deployment=deployment, base=base, outdir=outdir)
        telemetry = None
        if site.xdr is not None:
            from stacks.xdr import XdrStack

            telemetry = XdrStack(app, name, deployment=deployment, base=base, outdir=outdir)
        if site.response is not None:
            # Imported only when needed, because the import takes time.
            from stacks.response import ResponseStack

            response = ResponseStack(app, name, deployment=deployment, base=base, outdir=outdir)
            # The cdktf CLI refuses a stack whose dependency is not named with it: only where there is a reason.
            if used_of_capture(site):
                response.add_dependency(capture)
            if telemetry is not None and used_of_telemetry(site):
                response.add_dependency(telemetry)
    app.synth()
    for stack in app.node.children:
        if isinstance(stack, cdk.TerraformStack):
            _write_blocks(stack, outdir)
    stale = "cdk.tf.json" if renders_hcl() else "cdk.tf"
    for name in state.stack_names(deployment):
        directory = outdir / "stacks" / name
        # Both languages side by side would be one configuration with everything twice.
        (directory / stale).unlink(missing_ok=True)
        provider_mirror.link_mirror(mirror, directory, deployment.provider.constraint)
    # The cdktf CLI prints warnings itself, and says that it runs by this variable.
    return warnings if "CDKTF_CONTINUE_SYNTH_ON_ERROR_ANNOTATIONS" in os.environ else warnings + _annotations(outdir)


def _write_blocks(stack: Construct, outdir: Path) -> None:
    """Write check and moved blocks beside the HCL of a stack, which cdktf leaves out there; JSON has them itself."""
    file = outdir / "stacks" / stack.node.id / "checks.tf.json"
    blocks = blocks_of(stack)
    if blocks and renders_hcl():
        file.write_text(json.dumps(blocks, indent=2), encoding="utf-8")
    else:
        file.unlink(missing_ok=True)


def _annotations(outdir: Path) -> list[str]:
    manifest = json.loads((outdir / "manifest.json").read_text(encoding="utf-8"))
    return [
        f"{note['constructPath']}: {note['message']}"
        for stack in manifest["stacks"].values()
        for note in stack["annotations"]
    ]
