"""Write the generated files of the repository again; with --check, only name those that are stale."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts import alert_schema, incident_event_schema, openapi, recorded_packets_schema
from scripts.costs import read_prices, render_costs
from scripts.picture import draw
from scripts.reference import render_reference
from scripts.workflow_picture import definition_in, draw_workflow
from tapstack import __version__
from tapstack.settings.schema import json_schema, render_schema

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def render_deployment_page() -> str:
    """Return the page about the deployment file: what the example deploys, and every key."""
    page = (ROOT / "docs/deployment-file.md").read_text(encoding="utf-8")
    pictured = _with_part(page, "picture", f"```mermaid\n{draw(_synthesized(str(ROOT / 'main.py')))}```\n")
    return _with_part(pictured, "keys", render_reference(json_schema()))


@functools.cache
def render_costs_page() -> str:
    """Return the page about costs with the bills of the example."""
    stacks = _synthesized(str(ROOT / "main.py"))
    page = (ROOT / "docs/costs.md").read_text(encoding="utf-8")
    return _with_part(
        page, "bills", render_costs(stacks["production-response"], stacks["production-xdr"], read_prices())
    )


@functools.cache
def render_response() -> str:
    """Return the page about the response with the picture of the workflow that the example deploys."""
    (stack,) = _synthesized("-m", "examples.incident_response").values()
    page = (ROOT / "docs/response.md").read_text(encoding="utf-8")
    return _with_part(page, "picture", f"```mermaid\n{draw_workflow(definition_in(stack))}```\n")


@functools.cache
def _synthesized(*program: str) -> dict[str, Any]:
    """Return the Terraform that a program synthesizes, by stack."""
    with tempfile.TemporaryDirectory() as outdir:
        # In a process of its own: this one may have a kernel that writes HCL, or other settings.
        environment = {n: v for n, v in os.environ.items() if not n.startswith(("TAPSTACK_", "CDKTF_", "SYNTH_"))}
        environment["CDKTF_OUTDIR"] = outdir
        subprocess.run([sys.executable, *program], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        stacks = sorted(Path(outdir).glob("stacks/*/cdk.tf.json"))
        return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in stacks}


def _with_part(text: str, part: str, content: str) -> str:
    """Return a page's text with a part between its marks."""
    marks = re.compile(rf"(<!-- {part}: begin[^\n]*-->\n).*?(<!-- {part}: end -->)", re.DOTALL)
    # A function, because the content may hold what a replacement text would interpret.
    return marks.sub(lambda match: f"{match[1]}{content}{match[2]}", text)


FILES: Mapping[str, Callable[[], str]] = {
    "deployment.schema.json": render_schema,
    "docs/schemas/alert-1.json": alert_schema.render,
    "docs/schemas/incident-event-1.json": incident_event_schema.render,
    "docs/schemas/recorded-packets-1.json": recorded_packets_schema.render,
    "docs/openapi.json": lambda: openapi.render(__version__),
    "docs/deployment-file.md": render_deployment_page,
    "docs/costs.md": render_costs_page,
    "docs/response.md": render_response,
}


def stale_files(root: Path) -> dict[str, str]:
    """Return the right content of every file that has another one, or is missing."""
    stale = {}
    for name, render in FILES.items():
        file, content = root / name, render()
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            stale[name] = content
    return stale


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Return 1 when --check finds stale files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a file is stale")
    check = parser.parse_args(arguments).check
    stale = stale_files(root)
    for name, content in stale.items():
        if check:
            print(f"{name} is stale: run make generate", file=sys.stderr)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
            print(name)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
