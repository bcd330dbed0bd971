"""What the help says: whole phrases, in the words of AWS and Terraform."""

from __future__ import annotations

import pytest

from tapstack.cli import main


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("synth",), "Write the Terraform. Runs in"),
        (("rehearse", "deploy"), "the deployment file; $TAPSTACK_DEPLOYMENT or deployment.yaml by default"),
        (("rehearse", "incident"), "site whose response is rehearsed; by default the first that has one"),
        (("rehearse", "incident"), "the deployment file; $TAPSTACK_DEPLOYMENT or deployment.yaml by default"),
        (("incident", "explain"), "the deployment file; $TAPSTACK_DEPLOYMENT or deployment.yaml by default"),
        (("incident", "show"), "URL of the API (output api_endpoint); $TAPSTACK_URL by default"),
        (("incident", "contain"), "approval by default; now needs a separate permission"),
    ],
)
def test_when_help_is_asked_for_then_each_option_says_what_it_takes(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], said: str
) -> None:
    assert said in help_of(capsys, *command)


@pytest.mark.parametrize(
    ("arguments", "command", "hint"),
    [(["chek"], "tapstack", "check"), (["incident", "opne"], "tapstack incident", "open"), (["xyz"], "tapstack", None)],
)
def test_fails_when_a_command_is_misspelt_and_says_which_was_meant(
    arguments: list[str], command: str, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2
    assert last.startswith(f"{command}: error: ")
    assert last.endswith(f"; did you mean {hint}?" if hint else ")")


def test_fails_when_an_argument_is_too_many_and_shows_the_usage_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["check", "a", "b"])
    printed = capsys.readouterr().err
    assert printed.startswith("usage: tapstack check ")
    assert printed.endswith("tapstack check: error: unrecognized arguments: b\n")
