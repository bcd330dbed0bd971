"""`tapstack xdr send`, `rotate-secret` and `status`: what they refuse before they call anything."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from tapstack.cli import main, xdr_webhooks
from tapstack.domain.counts import counted
from tapstack.domain.webhook_secrets import SECRET_KEPT_SECONDS
from tapstack.domain.webhook_signatures import new_secret
from tapstack.workspace.xdr_status import XdrStatus

Printed = pytest.CaptureFixture[str]
FILE = """\
project: tap
sites:
  frankfurt:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    xdr: {}
    response:
      appliance: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}
      alerts: {sources: {hunters: {preset: hunters, webhook: true}, soc: {preset: generic}}}
"""


@pytest.fixture(autouse=True)
def _in_a_directory_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deployment.yaml").write_text(FILE)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON", "TAPSTACK_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TAPSTACK_URL", "https://127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["send", "a.json", "--source", "hunters"], "no secret: give --secret-file FILE"),
        (["send", "a.json", "--source", "hunters", "--secret-file", "none"], "--secret-file none: No such file"),
        (["send", "a.json", "--source", "hunters", "--secret-file", "a.json"], "--secret-file a.json: is no secret of"),
        (["send", "-", "--source", "hunters", "--secret-file", "-"], "both the document and the secret would come"),
        (["send", "none", "--source", "hunters", "--secret-file", "ok"], "none: cannot be read: No such file"),
        (["send", "ok", "--source", "hunters", "--secret-file", "ok"], "ok: is no JSON"),
        (["send", "large", "--source", "hunters", "--secret-file", "ok"], "large: has 65,538 bytes: expected at most"),
        (["send", "a.json", "--source", "A B", "--secret-file", "ok"], "'A B' is not a usable name"),
        (["send", "a.json", "--source", "x", "--secret-file", "ok", "--id", "a.b"], "webhook-id 'a.b' is none"),
        (["send", "a.json", "--source", "x", "--secret-file", "ok", "--url", "ftp://x"], "'ftp://x' is no address"),
        (["rotate-secret", "--source", "huntres"], "no site has a source huntres: did you mean hunters?"),
        (
            ["rotate-secret", "--source", "soc"],
            "soc has no secret, because it takes no webhooks: give it webhook: true",
        ),
        (["rotate-secret", "--source", "hunters", "--site", "x"], "no site x with a response: expected frankfurt"),
        (["rotate-secret", "--source", "hunters", "--output", "ok"], "--output ok: exists, and may hold the secret"),
        (["rotate-secret", "--source", "hunters", "--output", "no/x"], "--output no/x: No such file or directory"),
        (["status", "--site", "x"], "no site x with xdr or a response: expected frankfurt"),
    ],
)
def test_fails_when_what_is_given_is_wrong(capsys: Printed, arguments: list[str], said: str) -> None:
    Path("a.json").write_text("{}")
    Path("ok").write_text(new_secret())
    Path("large").write_text(json.dumps("x" * 65_536))
    assert main(["xdr", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err


@pytest.mark.parametrize("action", ["send", "rotate-secret"])
def test_fails_when_a_secret_is_an_argument_and_does_not_show_it(capsys: Printed, action: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["xdr", action, "--secret", "whsec_verysecret"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "--secret is not taken" in said
    assert "verysecret" not in said


def test_fails_when_no_api_is_named(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAPSTACK_URL")
    assert main(["xdr", "send", "a.json", "--source", "hunters"]) == 2
    assert capsys.readouterr().err.startswith("no address of an API: give --url, or set $TAPSTACK_URL")


def test_when_earlier_secrets_are_revoked_then_the_words_say_how_long_a_function_keeps_what_it_read(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: Mock())
    rotate = ["xdr", "rotate-secret", "--source", "hunters", "--revoke"]
    for seconds in (SECRET_KEPT_SECONDS, 720):
        monkeypatch.setattr(xdr_webhooks, "SECRET_KEPT_SECONDS", seconds)
        assert main(rotate) == 0
        within = counted(seconds // 60, "minute")
        assert f"No earlier one is accepted, {within} from now at the latest." in capsys.readouterr().err
    page = (Path(__file__).parents[3] / "docs" / "xdr.md").read_text(encoding="utf-8")
    assert f"invalidates every earlier one, within {counted(SECRET_KEPT_SECONDS // 60, 'minute')}." in page


def test_when_an_outcome_does_not_hold_all_decisions_then_status_says_how_many_more(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    decision = {"action": "joined", "incident_id": "inc-20260102T030405-k3v9x0ab"}
    outcome = {"source": "soc", "alerts": [{"decisions": [decision, decision]}], "left_out": 9800, "unmatched": []}
    monkeypatch.setattr(xdr_webhooks, "access_to", Mock())
    monkeypatch.setattr(xdr_webhooks, "read_status", lambda *_: XdrStatus(alerts=[outcome]))
    assert main(["xdr", "status"]) == 0
    assert "joined inc-20260102T030405-k3v9x0ab; 9800 more decisions" in capsys.readouterr().out
