"""How the kernel is spoken to: as seldom as can be, to the same end as jsii does, and never to a failure."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synth import growing_deployment
from tapstack.kernel.node import node_binary

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
# Of what main.py asks the kernel for the example, these many answers were waited for when this was written: 293.
# A sixth of them name the rules and attachments that are deleted last.
MOST_ROUND_TRIPS = 310
# And these many files were loaded into Node: 260. The bindings have 2,200.
MOST_FILES_IN_NODE = 320

SYNTHESIZE = """
import json, sys
import main
code = main.main()
from tapstack import kernel
link = kernel.begin().link
print(json.dumps({
    "code": code,
    "round_trips": link and link.round_trips,
    "early": link and [answer for answer in link._early.values()],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


def variables(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JSII_", "TAPSTACK_"))}
    return {**inherited, "TAPSTACK_PROVIDER_MIRROR": "none", **more}


def run(program: str, **more: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=variables(**more),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # After what main.py says it wrote.
    return json.loads(done.stdout.splitlines()[-1])


def synthesize(outdir: Path, deployment: str = "deployment.yaml", **more: str) -> Any:
    found = run(SYNTHESIZE, CDKTF_OUTDIR=str(outdir), TAPSTACK_DEPLOYMENT=str(ROOT / deployment), **more)
    assert found["code"] == 0
    return found


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, int]:
    """The example deployment: where it was synthesized to, what Python says of it, how many files Node loaded."""
    directory = tmp_path_factory.mktemp("example")
    counter = directory / "count.cjs"
    counter.write_text(
        "const { writeFileSync } = require('fs'); process.on('exit', () => "
        f"writeFileSync({json.dumps(str(directory / 'count'))}, String(Object.keys(require.cache).length)));"
    )
    temporary = directory / "temporary"
    temporary.mkdir()
    found = synthesize(directory / "early", NODE_OPTIONS=f"--require={counter}", TMPDIR=str(temporary))
    assert list(temporary.iterdir()) == [], "Node and Python took what is temporary with them"
    return directory / "early", found, int((directory / "count").read_text())


def assert_same(one: Path, other: Path) -> None:
    compared = filecmp.dircmp(one, other)
    assert not compared.left_only
    assert not compared.right_only
    assert not filecmp.cmpfiles(one, other, compared.common_files, shallow=False)[1]
    for name in compared.common_dirs:
        assert_same(one / name, other / name)


def another_node(directory: Path) -> str:
    """The same Node under another name, which jsii is left to start."""
    link = directory / "another-node"
    link.symlink_to(str(node_binary()))
    return str(link)


def test_when_the_example_is_synthesized_then_few_answers_are_waited_for(example: tuple[Path, Any, int]) -> None:
    assert example[1]["round_trips"] <= MOST_ROUND_TRIPS


def test_when_the_example_is_synthesized_then_node_loads_what_it_needs(example: tuple[Path, Any, int]) -> None:
    assert example[2] <= MOST_FILES_IN_NODE


def test_when_the_example_is_synthesized_then_what_was_asked_early_could_be_answered(
    example: tuple[Path, Any, int],
) -> None:
    early = example[1]["early"]
    assert len(early) > 40
    assert [answer for answer in early if "ok" not in answer] == []


def test_when_the_example_is_synthesized_then_python_imports_nothing_that_it_does_not_need(
    example: tuple[Path, Any, int],
) -> None:
    assert {"cdktf", "pydantic"} < set(example[1]["modules"])
    assert not {"asyncio", "aws_lambda_powertools", "boto3", "botocore", "moto", "unittest"} & set(
        example[1]["modules"]
    )


@pytest.mark.long
def test_when_jsii_starts_its_kernel_itself_then_the_example_is_the_same(
    example: tuple[Path, Any, int], tmp_path: Path
) -> None:
    found = synthesize(tmp_path / "late", JSII_NODE=another_node(tmp_path))
    assert found["round_trips"] is None
    assert_same(example[0], tmp_path / "late")


@pytest.mark.long
def test_when_hcl_is_synthesized_then_it_is_the_same_either_way(tmp_path: Path) -> None:
    synthesize(tmp_path / "early", SYNTH_HCL_OUTPUT="true")
    synthesize(tmp_path / "late", SYNTH_HCL_OUTPUT="true", JSII_NODE=another_node(tmp_path))
    assert list((tmp_path / "early").glob("stacks/*/cdk.tf"))
    assert_same(tmp_path / "early", tmp_path / "late")


@pytest.mark.long
@pytest.mark.parametrize("hcl", ["", "true"])
def test_when_everything_is_imported_as_it_comes_then_the_example_is_the_same(tmp_path: Path, hcl: str) -> None:
    language = {"SYNTH_HCL_OUTPUT": hcl} if hcl else {}
    synthesize(tmp_path / "early", **language)
    # cdktf calls what Node 22 calls deprecated.
    synthesize(tmp_path / "stock", TAPSTACK_STOCK_IMPORT="1", NODE_OPTIONS="--no-deprecation", **language)
    assert_same(tmp_path / "early", tmp_path / "stock")


@pytest.mark.long
def test_when_there_are_ten_thousand_sources_then_they_cost_no_more_answers_than_ten(tmp_path: Path) -> None:
    answers = []
    for count in (10, 10_000):
        file = tmp_path / f"{count}.yaml"
        file.write_text(growing_deployment(count))
        answers.append(synthesize(tmp_path / str(count), str(file))["round_trips"])
    assert answers[0] == answers[1] > 10


def test_when_the_file_is_wrong_then_node_is_ended_and_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("sites: {}\n")
    program = """
import json, os
import main
from tapstack import kernel
node = kernel.begin(program=True).node
code = main.main()
try:
    os.kill(node.pid, 0)
    ended = False
except ProcessLookupError:
    ended = True
print(json.dumps({"code": code, "ended": ended, "link": kernel.begin().link}))
"""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=variables(TAPSTACK_DEPLOYMENT=str(file), TMPDIR=str(temporary)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == f"{file}:1: sites: expected at least 1 entry\n"
    assert json.loads(done.stdout) == {"code": 2, "ended": True, "link": None}
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "answers", ["exit 1", "echo nonsense >&3", """printf '{"hello":"@jsii/runtime@0.1"}\\n' >&3"""]
)
def test_when_node_does_not_answer_as_a_kernel_does_then_jsii_starts_another(tmp_path: Path, answers: str) -> None:
    script = tmp_path / "node"
    script.write_text(f"#!/bin/sh\n{answers}\n")
    script.chmod(0o755)
    found = run(
        f"""
import json
from tapstack import kernel
kernel.find_runtime = lambda: kernel.node.Runtime({str(script)!r}, {{}})
begun = kernel.begin(program=True)
from tapstack.bindings import aws, cdk
stack = cdk.TerraformStack(cdk.Testing.app(), "s")
print(json.dumps([begun.link, str(aws.DataAwsVpc(stack, "v", id="vpc-1").friendly_unique_id)]))
"""
    )
    assert found == [None, "v"]


@pytest.mark.parametrize(("program", "stock", "ends"), [(True, "", 0), (True, "1", 1), (False, "", 1)])
def test_when_a_program_ends_then_its_garbage_is_left_and_that_of_another_is_collected(
    program: bool, stock: str, ends: int
) -> None:
    found = run(
        f"""
import atexit, gc, json
cycle = type("Cycle", (), {{"__del__": lambda self: collected.append(1)}})()
cycle.itself = cycle
collected = []
def report():
    gc.collect()
    print(json.dumps([gc.isenabled(), len(collected)]))
atexit.register(report)
from tapstack import kernel
kernel.begin(program={program})
del cycle
""",
        TAPSTACK_STOCK_IMPORT=stock,
    )
    assert found == [bool(ends), ends]


BUILD = """
import json, sys
from tapstack import kernel
begun = kernel.begin(program=PROGRAM)
from tapstack.bindings import aws, cdk
stack = cdk.TerraformStack(cdk.Testing.app(), "s")
"""


def test_when_a_program_creates_then_it_waits_when_it_reads_and_once_for_what_it_read() -> None:
    found = run(
        BUILD.replace("PROGRAM", "True")
        + """
before = begun.link.round_trips
queues = [aws.SqsQueue(stack, f"q{n}", name="n") for n in range(100)]
created = begun.link.round_trips - before
for queue in queues:
    queue.add_override("tags", {"a": "b"})
overridden = begun.link.round_trips - before
first, again = queues[0].arn, queues[0].arn
read = begun.link.round_trips - before
queues[0].name_input, queues[0].name_input
queues[1].name = "m"
queues[1].name_input
terraform = json.loads(cdk.Testing.synth(stack))["resource"]["aws_sqs_queue"]
print(json.dumps([created, overridden, read, first == again, len(terraform), terraform["q1"]["name"]]))
"""
    )
    assert found == [0, 0, 1, True, 100, "m"]


def test_when_a_program_creates_what_cannot_be_then_the_error_says_what_it_was() -> None:
    found = run(
        BUILD.replace("PROGRAM", "True")
        + """
aws.SqsQueue(stack, "twice", name="n")
aws.SqsQueue(stack, "twice", name="n")
other = aws.SqsQueue(stack, "other", name="n")
try:
    other.arn
except RuntimeError as error:
    print(json.dumps([str(error), error.__notes__]))
"""
    )
    assert "There is already a Construct with name 'twice'" in found[0]
    assert "sqsQueue.SqsQueue" in found[1][0]


def test_when_tapstack_is_a_library_then_every_error_is_raised_where_it_is_made() -> None:
    found = run(
        BUILD.replace("PROGRAM", "False")
        + """
raised = []
aws.SqsQueue(stack, "twice", name="n")
for wrong in ({"id_": "twice"}, {"id_": "other", "name": 5}):
    try:
        aws.SqsQueue(stack, **wrong)
    except Exception as error:
        raised.append(type(error).__name__)
before = begun.link.round_trips
one, other = (aws.SqsQueue(stack, name) for name in "ab")
one.arn, one.arn
print(json.dumps([raised, begun.link.round_trips - before, aws.SqsQueue.__doc__ is not None]))
"""
    )
    assert found == [["RuntimeError", "TypeError"], 4, True]


def test_when_jsii_was_imported_before_then_its_own_kernel_serves() -> None:
    found = run(
        """
import json
import cdktf
provider = __import__("jsii")._runtime.kernel.provider
from tapstack import kernel
from tapstack.bindings import cdk
cdk.TerraformStack(cdk.Testing.app(), "s")
same = provider is __import__("jsii")._runtime.kernel.provider
print(json.dumps([same, kernel.begin().link, cdk is cdktf]))
""",
        JSII_NODE=str(node_binary()),
    )
    assert found == [True, None, True]


def test_when_the_kernel_prints_then_it_is_printed(tmp_path: Path) -> None:
    script = tmp_path / "print.cjs"
    script.write_text("process.on('exit', () => { console.log('printed'); console.error('complained'); });")
    done = subprocess.run(
        [sys.executable, "-c", "from tapstack.bindings import cdk; cdk.Testing.app()"],
        env=variables(NODE_OPTIONS=f"--require={script}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "printed\n", "complained\n")
