"""Every example is synthesized and passes `terraform validate`, in both languages."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import examples
from stacks.synthesis import synthesize
from tapstack import accept_provider_range
from tapstack.bindings import cdk
from tapstack.settings.load import load_deployment
from tests.terraform.conftest import Terraform

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in Path(examples.__file__).parent.glob("*.py") if path.stem != "__init__")


def _verdicts(terraform: Terraform, directories: list[Path]) -> dict[str, list[str]]:
    """Return what `terraform validate` says of each directory, warnings included."""
    with ThreadPoolExecutor(2) as pool:
        verdicts = pool.map(terraform.validate, directories)
    return {
        directory.name: [f"{d['severity']}: {d['summary']}: {d.get('detail')}" for d in verdict["diagnostics"]]
        for directory, verdict in zip(directories, verdicts, strict=True)
    }


@pytest.mark.long
def test_when_the_examples_are_synthesized_then_terraform_finds_them_valid(
    terraform: Terraform, tmp_path: Path
) -> None:
    assert {"smallest_capture", "existing_stack", "incident_response", "load_balancer", "shared_target"} <= set(
        EXAMPLES
    )
    app = cdk.App(outdir=str(tmp_path))
    names = []
    for example in EXAMPLES:
        built = importlib.import_module(f"examples.{example}").build(app)
        for stack in built if isinstance(built, list) else [built]:
            # Whoever owns the stack chooses the version; here it is whatever is at hand.
            accept_provider_range(stack)
            names.append(stack.node.id)
    app.synth()

    verdicts = _verdicts(terraform, [tmp_path / "stacks" / name for name in names])

    assert verdicts == {name: [] for name in names}


@pytest.mark.parametrize("written", [pytest.param("all stacks", marks=pytest.mark.long), "captures as HCL"])
def test_when_the_deployment_is_synthesized_then_terraform_finds_it_valid(
    terraform: Terraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    deployment = load_deployment(ROOT / "deployment.yaml")
    if written == "captures as HCL":
        # The kernel that is running keeps the language it started with, so the text is written here.
        monkeypatch.setenv("SYNTH_HCL_OUTPUT", "true")
        from stacks.capture import CaptureStack

        for name in deployment.sites:
            stack = CaptureStack(cdk.Testing.app(), name, deployment=deployment, base=ROOT, outdir=tmp_path)
            directory = tmp_path / "stacks" / name
            directory.mkdir(parents=True)
            (directory / "cdk.tf").write_text(cdk.Testing.synth_hcl(stack, True))
    else:
        synthesize(deployment, ROOT, tmp_path)

    names = [path.name for path in (tmp_path / "stacks").iterdir()]
    assert set(deployment.sites) <= set(names)
    verdicts = _verdicts(terraform, [tmp_path / "stacks" / name for name in names])

    assert verdicts == {name: [] for name in names}
