"""Read the deployment file, build its stacks, synthesize them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Return 0 when the Terraform is written, 2 when the user has something to mend."""
    try:
        from tapstack import kernel

        # First of all: Node starts while Python imports what reads the file.
        kernel.begin(program=True)
        import tapstack.settings.load  # noqa: F401
    except ModuleNotFoundError as error:
        print(
            f"{sys.executable} has no {error.name}: run `make setup`, then use .venv/bin/python "
            "(or activate the environment: . .venv/bin/activate)",
            file=sys.stderr,
        )
        return 2
    from tapstack.workspace.output import handling_output_errors

    try:
        return handling_output_errors(_synthesize)
    finally:
        # It is not used where the file was wrong.
        kernel.abandon()


def _synthesize() -> int:
    from tapstack.domain.errors import RuleViolation
    from tapstack.settings.load import deployment_path, load_deployment, shown
    from tapstack.settings.problems import DeploymentError
    from tapstack.workspace import provider_mirror, state
    from tapstack.workspace.output import standard_output
    from tapstack.workspace.privacy import OutputError

    project = Path(__file__).resolve().parent
    outdir = Path(os.environ.get("CDKTF_OUTDIR") or project / "cdktf.out")
    try:
        path = deployment_path(project)
        deployment = load_deployment(path)
        state.refuse_lost_state(deployment, shown(path), path.parent, outdir)
        warnings = state.state_warnings(deployment, path.parent, outdir)
        # Imported last, because this imports cdktf: a wrong file is refused before that.
        from stacks.synthesis import synthesize

        warnings += synthesize(deployment, path.parent, outdir)
    # ImportError: the core that $TAPSTACK_CDK names is not there, for example.
    except (DeploymentError, RuleViolation, provider_mirror.UnusableMirrorError, OutputError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or outdir}: {error.strerror}", file=sys.stderr)
        return 2
    for warning in [*deployment.warnings(before_synthesis=True), *warnings]:
        print(f"warning: {warning}", file=sys.stderr)
    # The cdktf CLI would log it.
    if "CDKTF_CONTINUE_SYNTH_ON_ERROR_ANNOTATIONS" not in os.environ:
        out = standard_output()
        print("Terraform:", file=out)
        for name in state.stack_names(deployment):
            directory = outdir / "stacks" / name
            for written in sorted({*directory.glob("*.tf"), *directory.glob("*.tf.json")}):
                print(f"  {shown(written)}", file=out)
    return 0


if __name__ == "__main__":
    # pydantic searches the metadata of all installed packages for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")
    try:
        code = main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        # Nothing that Python would do at its end is worth a second Ctrl-C.
        os._exit(130)
    sys.exit(code)
