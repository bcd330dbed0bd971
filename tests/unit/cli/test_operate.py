"""`tapstack diff`, `deploy`, `destroy` and `synth`, up to the moment at which another program takes over."""

from __future__ import annotations

import argparse
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tapstack.cli import main, operate
from tapstack.cli.operate import INTERRUPTS, add_operate_parsers, run_operate
from tapstack.kernel.node import node_binary
from tapstack.workspace import credentials, machine, protections
from tapstack.workspace.credentials import Access, Tried
from tapstack.workspace.protections import Found

DESCRIBE = machine.describe
OWN = """
sites:
  a:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    targets: {sensor: {network_interface_id: eni-0a000000000000001}}
    filters: {all: {preset: everything}}
    response: {appliance: {target: sensor, filter: all}}
  b: {region: eu-central-1, vpc_id: vpc-0b1b2c3d4e5f60718, targets: {t: {network_interface_id: eni-00000001}}}
"""


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Ran:
    """What one command did: its exit code, what it printed, and what took over."""

    def __init__(self, *arguments: str, stdin: bool = False, stdout: bool = False) -> None:
        parser = argparse.ArgumentParser()
        add_operate_parsers(parser.add_subparsers(dest="command"))
        out, err = Stream(stdout), Stream(stdout)
        self.starter: list[str] = []
        self.arguments: list[str] = []
        self.environment: dict[str, str] = {}
        self.umask = -1

        def execute(program: str, given: list[str], environment: dict[str, str]) -> None:
            assert program == given[0]
            os.umask(umask := os.umask(0))
            script = next(i for i, argument in enumerate(given) if argument.endswith(("/cdktf", "/main.py")))
            self.starter, self.arguments = given[:script], given[script + (given[script].endswith("/cdktf")) :]
            self.environment, self.umask = environment, umask

        chosen = parser.parse_args(arguments)
        self.code = run_operate(chosen, source=Stream(stdin), out=out, err=err, execute=execute)
        self.out, self.err = out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with the CLI, on a machine that can deploy, with credentials that are good; nothing protects."""
    for name in ("main.py", "cdktf.json", "node_modules/.bin/cdktf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "deployment.yaml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    for name in (
        "TAPSTACK_DEPLOYMENT",
        "CDKTF_CONTEXT_JSON",
        "TAPSTACK_SKIP_AWS_CHECKS",
        "CI",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(machine, "describe", lambda *_: "Terraform 1.11.4")
    monkeypatch.setattr(operate, "find_mirror", lambda *_: None)
    access = {"a": Access(None, "eu-central-1", "arn:aws:iam::111122223333:user/ana", "111122223333")}
    monkeypatch.setattr(credentials, "try_credentials", lambda *_: Tried(access))
    monkeypatch.setattr(protections, "find_protections", lambda *_: Found())
    monkeypatch.setattr(protections, "find_dependents", lambda *_: Found([], []))
    before = os.umask(0o022)
    yield tmp_path
    os.umask(before)


def refuse(*_: Any) -> NoReturn:
    pytest.fail("it asks")


class TestHandingOver:
    def test_when_all_is_right_then_the_cli_takes_over_in_order(self) -> None:
        ran = Ran("deploy", "b", "a-response", "a", "--auto-approve", "--skip-provider-lock", "--parallelism", "2")
        assert ran.code == 0
        assert ran.arguments == [
            "deploy", "a", "a-response", "b",
            "--auto-approve", "--skip-provider-lock", "--no-color", "--parallelism", "2",
        ]  # fmt: skip
        assert "a: deployed by arn:aws:iam::111122223333:user/ana" in ran.out
        assert "Terraform 1.11.4" in ran.out
        assert ran.err == ""

    @pytest.mark.parametrize("command", ["diff", "deploy", "destroy"])
    def test_when_a_mirror_has_the_provider_then_the_registry_is_not_asked_for_checksums(
        self, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        approve = [] if command == "diff" else ["--auto-approve"]
        assert "--skip-provider-lock" not in Ran(command, "b", *approve).arguments
        monkeypatch.setattr(operate, "find_mirror", lambda *_: "a mirror")
        assert Ran(command, "b", *approve).arguments == [command, "b", *approve, "--skip-provider-lock", "--no-color"]

    def test_when_a_response_is_deployed_alone_then_the_cli_does_not_ask_for_its_capture(self) -> None:
        assert Ran("deploy", "a-response", "--auto-approve").arguments == [
            "deploy", "a-response", "--auto-approve", "--no-color", "--ignore-missing-stack-dependencies",
        ]  # fmt: skip

    def test_when_order_matters_among_those_that_are_named_then_they_go_one_by_one(self, project: Path) -> None:
        c = OWN.partition("sites:\n")[2].partition("  b:")[0].replace("  a:", "  c:").replace("0a1b2c", "0c1b2c")
        (project / "deployment.yaml").write_text(OWN + c)
        arguments = Ran("deploy", "a", "a-response", "c-response", "--auto-approve").arguments
        assert arguments[:4] == ["deploy", "a", "a-response", "c-response"]
        assert arguments[-3:] == ["--ignore-missing-stack-dependencies", "--parallelism", "1"]

    def test_when_stacks_are_destroyed_then_the_response_goes_first(self) -> None:
        assert Ran("destroy", "a", "a-response", "--auto-approve").arguments == [
            "destroy", "a-response", "a", "--auto-approve", "--no-color",
        ]  # fmt: skip

    def test_when_a_difference_is_asked_for_then_nothing_is_approved(self) -> None:
        assert Ran("diff", "a-response").arguments == ["diff", "a-response", "--no-color"]

    @pytest.mark.parametrize(("options", "hcl"), [([], None), (["--hcl", "--output", "out"], "true")])
    def test_when_it_synthesizes_then_main_does_it_without_the_cli(
        self, project: Path, options: list[str], hcl: str | None
    ) -> None:
        (project / "node_modules/.bin/cdktf").unlink()
        ran = Ran("synth", *options)
        assert (ran.code, ran.arguments) == (0, [str(project / "main.py")])
        assert ran.environment.get("SYNTH_HCL_OUTPUT") == hcl
        assert ran.environment["CDKTF_OUTDIR"] == (str(project / "cdktf.out") if hcl is None else "out")

    def test_when_it_hands_over_then_the_locked_node_starts_the_cli_with_what_hears_ctrl_c(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Ran("deploy", "b", "--auto-approve").starter == [node_binary(), "--require", str(INTERRUPTS)]
        monkeypatch.setattr(operate, "node_binary", lambda: None)
        assert Ran("deploy", "b", "--auto-approve").starter == []

    def test_when_it_hands_over_then_the_right_node_is_first_and_what_is_written_is_private(
        self, project: Path
    ) -> None:
        ran = Ran("deploy", "b", "--auto-approve")
        assert ran.environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
        assert (ran.environment["CHECKPOINT_DISABLE"], ran.umask) == ("1", 0o077)
        for name in ("state/tapstack", "cdktf.out/stacks"):
            assert stat.S_IMODE((project / name).stat().st_mode) == 0o700


class TestTerminals:
    @pytest.mark.parametrize("command", ["deploy", "destroy"])
    @pytest.mark.parametrize(("stdin", "stdout", "ci"), [(False, True, ""), (True, False, ""), (True, True, "true")])
    def test_fails_when_approval_is_impossible_without_a_terminal_and_names_the_option(
        self, command: str, stdin: bool, stdout: bool, ci: str, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CI", ci)
        monkeypatch.setattr(machine, "describe", refuse)
        ran = Ran(command, "b", stdin=stdin, stdout=stdout)
        assert (ran.code, ran.arguments, ran.out) == (2, [], "")
        assert ran.err == (
            f"{command} asks before it changes anything, and there is no terminal to ask on: add --auto-approve "
            f'(make {command} ARGS="b --auto-approve")\n'
        )
        assert not (project / "state").exists()

    def test_when_there_is_a_terminal_then_the_cli_asks_on_it_in_colour(self) -> None:
        ran = Ran("deploy", "b", stdin=True, stdout=True)
        assert (ran.code, ran.arguments) == (0, ["deploy", "b"])
        assert not {"CI", "NO_COLOR"} & set(ran.environment)

    def test_when_the_terminal_has_no_colour_then_none_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("FORCE_COLOR", "1")
        ran = Ran("deploy", "b", stdin=True, stdout=True)
        assert ran.arguments == ["deploy", "b", "--no-color"]
        assert (ran.environment["NO_COLOR"], ran.environment.get("FORCE_COLOR")) == ("1", None)

    def test_when_the_terminal_is_dumb_then_it_counts_as_a_pipe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "dumb")
        assert "add --auto-approve" in Ran("deploy", "b", stdin=True, stdout=True).err
        ran = Ran("diff", "b", stdin=True, stdout=True)
        assert (ran.arguments, ran.environment["CI"]) == (["diff", "b", "--no-color"], "true")

    def test_when_output_is_piped_then_there_is_no_colour_and_no_spinner(self) -> None:
        ran = Ran("diff", "b")
        assert ran.arguments == ["diff", "b", "--no-color"]
        assert (ran.environment["CI"], ran.environment["NO_COLOR"]) == ("true", "1")


class TestRefusals:
    def refused(self, *arguments: str) -> str:
        ran = Ran(*arguments)
        assert (ran.code, ran.arguments) == (2, [])
        assert "Traceback" not in ran.err
        return ran.err

    def test_fails_when_a_stack_is_unknown_before_anything_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "describe", refuse)
        assert self.refused("deploy", "a-respons") == (
            "no stack is called 'a-respons'; did you mean a-response? deployment.yaml has a, a-response, b\n"
        )

    def test_fails_when_this_is_no_project(self, project: Path) -> None:
        (project / "main.py").unlink()
        assert self.refused("diff", "a").startswith(f"{project} has no main.py and cdktf.json: run this in")

    def test_fails_when_the_cli_is_not_installed(self, project: Path) -> None:
        (project / "node_modules/.bin/cdktf").unlink()
        assert self.refused("diff", "a") == (
            "the cdktf CLI is not installed (node_modules/.bin/cdktf): run make diff, which installs it\n"
        )

    def test_fails_when_a_stack_is_unknown_before_the_cli_is_installed(self, project: Path) -> None:
        (project / "node_modules/.bin/cdktf").unlink()
        self.install_by(project, "open('installed', 'w')")
        for options in ([], ["--set-up"]):
            assert "did you mean a-response? " in self.refused("deploy", *options, "a-respons", "--auto-approve")
            assert "add --auto-approve" in self.refused("deploy", *options, "a")
        assert not (project / "installed").exists()

    @pytest.mark.parametrize("command", ["diff", "deploy", "destroy"])
    def test_when_make_asks_for_it_then_the_cli_is_installed_in_the_end(self, command: str, project: Path) -> None:
        self.install_by(project, "import sys; open('installed', 'w').write(sys.argv[1])")
        ran = Ran(command, "--set-up", "b", *([] if command == "diff" else ["--auto-approve"]))
        assert (ran.code, ran.arguments[:2]) == (0, [command, "b"])
        assert "--set-up" not in ran.arguments
        assert (project / "installed").read_text() == "cdktf"

    def test_fails_when_the_cli_cannot_be_installed(self, project: Path) -> None:
        self.install_by(project, "raise SystemExit(2)")
        assert self.refused("diff", "--set-up", "b") == "the cdktf CLI is not installed: the reason is above\n"

    def install_by(self, project: Path, program: str) -> None:
        (project / "scripts").mkdir()
        (project / "scripts" / "set_up.py").write_text(program)

    def test_when_make_operates_then_nothing_but_python_is_set_up_before(self) -> None:
        makefile = (Path(__file__).parents[3] / "Makefile").read_text()
        for command in ("diff", "deploy", "destroy"):
            assert f"\n{command}: packages ##" in makefile
            assert f"tapstack {command} --set-up $(ARGS)" in makefile

    @pytest.mark.parametrize("command", ["synth", "diff", "deploy"])
    def test_fails_when_the_output_cannot_be_written_and_nothing_is_begun(
        self, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(machine, "describe", refuse)
        arguments = {"synth": [], "diff": ["b"], "deploy": ["b", "--auto-approve"]}[command]
        assert self.refused(command, *arguments, "--output", "/proc/x") == (
            "--output: /proc/x cannot hold what is synthesized (/proc may not be written): expected a directory\n"
        )

    @pytest.mark.parametrize("command", ["synth", "diff"])
    def test_fails_when_the_state_cannot_be_written(self, command: str, project: Path) -> None:
        (project / "deployment.yaml").write_text("backend: {local: {directory: /proc}}\n" + OWN)
        assert self.refused(command, *(["b"] if command == "diff" else [])) == (
            "deployment.yaml:1: backend.local.directory: the state cannot be kept in /proc/tapstack (/proc may not be "
            "written): expected a directory\n"
        )

    def test_fails_when_the_file_is_wrong(self, project: Path) -> None:
        (project / "deployment.yaml").write_text("sites: {}\n")
        assert self.refused("synth").startswith("deployment.yaml:1: sites: expected at least 1")

    def test_fails_when_terraform_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "describe", DESCRIBE)
        monkeypatch.setenv("PATH", "/nowhere")
        assert "terraform is not on the PATH: install Terraform" in self.refused("diff", "a")

    def test_fails_when_aws_refuses_the_credentials_and_nothing_begins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        said = Tried({}, ["site a: expired", "state: no\x1b[31m such bucket"], ["site b: unreachable"])
        monkeypatch.setattr(credentials, "try_credentials", lambda *_: said)
        assert self.refused("diff", "a") == "warning: site b: unreachable\nsite a: expired\nstate: no such bucket\n"

    def test_when_boto3_is_missing_then_it_warns_and_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(*_: Any) -> NoReturn:
            raise ModuleNotFoundError("no", name="boto3")

        monkeypatch.setattr(credentials, "try_credentials", missing)
        ran = Ran("diff", "a")
        assert ran.code == 0
        assert ran.err == "warning: credentials are not tried: no boto3; install tapstack with its extra response\n"

    @pytest.mark.parametrize("how", ["option", "variable"])
    def test_when_aws_is_not_to_be_asked_then_it_is_not(self, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAPSTACK_SKIP_AWS_CHECKS", "1" if how == "variable" else "")
        monkeypatch.setattr(credentials, "try_credentials", refuse)
        monkeypatch.setattr(protections, "find_protections", refuse)
        more = ["--skip-aws-checks"] if how == "option" else []
        assert Ran("destroy", "b", "--auto-approve", *more).arguments == [
            "destroy",
            "b",
            "--auto-approve",
            "--no-color",
        ]

    def test_fails_when_something_protects_what_is_destroyed_and_says_so_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = Found(["a: the table t has deletion protection: set x"], ["a: not checked: open incidents"])
        monkeypatch.setattr(protections, "find_protections", lambda *_: found)
        assert self.refused("destroy", "a", "a-response", "--auto-approve") == (
            "warning: a: not checked: open incidents\n"
            "nothing was destroyed. First:\na: the table t has deletion protection: set x\n"
        )
        assert Ran("deploy", "a", "--auto-approve").code == 0

    def test_fails_when_something_needs_what_a_deploy_takes_from_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = Found(["a-response: the stack s needs its role: put it back"], ["a-response: not checked: x"])
        monkeypatch.setattr(protections, "find_dependents", lambda *_: found)
        assert self.refused("deploy", "a-response", "--auto-approve") == (
            "warning: a-response: not checked: x\n"
            "nothing was deployed. First:\na-response: the stack s needs its role: put it back\n"
        )
        ran = Ran("diff", "a-response")
        assert ran.code == 0
        assert ran.err.endswith(
            "warning: a deploy would be refused:\na-response: the stack s needs its role: put it back\n"
        )
        assert Ran("destroy", "a-response", "--auto-approve").code == 0

    @pytest.mark.parametrize(
        ("option", "problem"),
        [
            (["--outputs-file", "none/o.json"], "none is not an existing directory"),
            (["--outputs-file", "."], ". is a directory: expected the name of a file"),
            (["--outputs-file", "/dev/null"], "/dev/null is no regular file"),
            (["--outputs-file", "/proc/x"], "/proc may not be written"),
            (["--outputs-file", "/proc/version"], "/proc may not be written"),
            (["--outputs-file", ""], "expected the name of a file, got ''"),
            (
                ["--outputs-file", __file__],
                f"{__file__} exists and is not a file of outputs: name another file, or remove this one",
            ),
            (["--output", ""], "expected the name of a directory, got ''"),
            (["--parallelism", "x"], "expected a whole number of 1 or more, got 'x'"),
            (["--parallelism", "0"], "expected a whole number of 1 or more, got '0'"),
            (["--terraform-parallelism", "0"], "expected a whole number of 1 or more, got '0'"),
            (["--terraform-parallelism=-1"], "expected a whole number of 1 or more, got '-1'"),
        ],
    )
    def test_fails_when_an_option_has_a_wrong_value_before_anything_else(
        self, option: list[str], problem: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(operate, "run_operate", refuse)
        with pytest.raises(SystemExit) as stopped:
            main(["deploy", "b", "--auto-approve", *option])
        assert stopped.value.code == 2
        assert capsys.readouterr().err.endswith(f"argument {option[0].partition('=')[0]}: {problem}\n")

    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            (["deploy", "--auto-aprove"], "--auto-aprove; did you mean --auto-approve?"),
            (["deploy", "--paralelism=3"], "--paralelism; did you mean --parallelism?"),
            (["check", "--machien"], "--machien; did you mean --machine?"),
            (["rehearse", "incident", "--repport=x"], "--repport; did you mean --report?"),
            (["--auto-approve", "deploy", "b"], "--auto-approve; --auto-approve goes behind tapstack deploy"),
            (["incident", "approve", "inc", "--reason=x"], "--reason; tapstack incident approve has no --reason"),
        ],
    )
    def test_fails_when_an_option_is_misspelt_and_says_which_was_meant(
        self, arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(arguments)
        assert capsys.readouterr().err.endswith(f"unrecognized arguments: {hint}\n")

    @pytest.mark.parametrize(
        ("arguments", "hint"),
        [
            (["open", "--instance", "i-1"], "did you mean tapstack incident open?"),
            (["account"], "did you mean tapstack rehearse account?"),
            (["incident", "--instance", "i-1", "open"], "options go behind the ACTION"),
            (["incident", "opne"], "did you mean open?"),
        ],
    )
    def test_fails_when_a_command_is_not_known_and_says_which_was_meant(
        self, arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert capsys.readouterr().err.endswith(f"; {hint}\n")

    @pytest.mark.parametrize("text", ["", "{}", '{"b": {"quarantine_group_id": "sg-0123456789abcdef0"}}'])
    def test_when_outputs_were_written_there_before_then_they_are_replaced(self, project: Path, text: str) -> None:
        (project / "outputs.json").write_text(text)
        ran = Ran("deploy", "b", "--auto-approve", "--outputs-file", "outputs.json")
        assert ran.arguments[-2:] == ["--outputs-file", "outputs.json"]

    def test_fails_when_nothing_can_be_written_there_before_credentials_are_tried(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(credentials, "try_credentials", refuse)
        (project / "file").touch()
        assert self.refused("deploy", "b", "--auto-approve", "--output", "file").endswith(
            "--output: file cannot hold what is synthesized (file is no directory): expected a directory\n"
        )
        (project / "deployment.yaml").write_text(OWN + "backend:\n  local: {directory: file}\n")
        assert self.refused("deploy", "b", "--auto-approve") == (
            f"deployment.yaml:11: backend.local.directory: the state cannot be kept in {project}/file/tapstack "
            f"({project}/file is no directory): expected a directory\n"
        )

    @pytest.mark.parametrize("arguments", [["deploy", "--nosuch"], ["diff", "a", "--auto-approve"], ["synth", "a"]])
    def test_fails_when_an_option_is_unknown(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err


def test_when_the_command_line_is_asked_then_it_knows_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def take(chosen: argparse.Namespace, **_: Any) -> int:
        seen.append(chosen.command)
        return 0

    monkeypatch.setattr(operate, "run_operate", take)
    assert [main([command]) for command in operate.COMMANDS] == [0, 0, 0, 0]
    assert seen == ["synth", "diff", "deploy", "destroy"]
