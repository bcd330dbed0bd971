"""`tapstack xdr send`, `rotate-secret` and `status`: what they refuse before they call anything."""

import json
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

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
        (
            ["send", "twice", "--source", "hunters", "--secret-file", "ok"],
            "twice: is no JSON: a property is given twice",
        ),
        (["send", "nan", "--source", "hunters", "--secret-file", "ok"], "nan: is no JSON: -Infinity is not JSON"),
        (["send", "utf16", "--source", "hunters", "--secret-file", "ok"], "utf16: is no JSON: 'utf-8' codec can't"),
        (["send", "deep", "--source", "hunters", "--secret-file", "ok"], "deep: is nested too deeply"),
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
    for name, written in (("twice", b'{"a": 1, "a": 2}'), ("nan", b"[-Infinity]"), ("deep", b"[" * 60_000)):
        Path(name).write_bytes(written)
    Path("utf16").write_text("{}", encoding="utf-16")
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
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: Secrets())
    rotate = ["xdr", "rotate-secret", "--source", "hunters", "--revoke"]
    for seconds in (SECRET_KEPT_SECONDS, 720):
        monkeypatch.setattr(xdr_webhooks, "SECRET_KEPT_SECONDS", seconds)
        assert main(rotate) == 0
        within = counted(seconds // 60, "minute")
        assert f"No earlier one is accepted, {within} from now at the latest." in capsys.readouterr().err
    page = (Path(__file__).parents[3] / "docs" / "xdr.md").read_text(encoding="utf-8")
    assert f"invalidates every earlier one, within {counted(SECRET_KEPT_SECONDS // 60, 'minute')}." in page


class Secrets:
    """A site whose Secrets Manager does what it is asked, and loses the answers that a test says."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.stages: dict[str, str] = {}
        self.failing: dict[int, Exception] = {}
        self.calls = 0

    def client(self, service: str) -> "Secrets":
        assert service == "secretsmanager"
        return self

    def put_secret_value(self, SecretId: str, SecretString: str, ClientRequestToken: str) -> Any:  # noqa: N803
        assert SecretId in ("tap-frankfurt-response/webhooks/hunters", "tap-frankfurt-response/webhooks/soc")
        assert 32 <= len(ClientRequestToken) <= 64
        self.calls += 1
        failure = self.failing.pop(self.calls, None)
        if isinstance(failure, ClientError) and failure.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise failure
        # API reference: the same value with the same token is ignored.
        if self.versions.setdefault(ClientRequestToken, SecretString) != SecretString:
            raise AssertionError("another value with the same token")
        if ClientRequestToken not in self.stages:
            self.stages = {
                **dict.fromkeys(self.stages, ""),
                **{token: "AWSPREVIOUS" for token, stage in self.stages.items() if stage == "AWSCURRENT"},
                ClientRequestToken: "AWSCURRENT",
            }
        if failure is not None:
            raise failure
        return {"VersionStages": [stage] if (stage := self.stages[ClientRequestToken]) else []}

    def staged(self, stage: str) -> str | None:
        found = [self.versions[token] for token, its in self.stages.items() if its == stage]
        return found[0] if found else None


LOST = ReadTimeoutError(endpoint_url="https://secretsmanager")
FAILED, DENIED = (
    ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "PutSecretValue",
    )
    for code, status in (("InternalServiceError", 500), ("AccessDeniedException", 400))
)


@pytest.mark.parametrize("failure", [LOST, FAILED, KeyboardInterrupt()], ids=["lost", "failed", "interrupted"])
@pytest.mark.parametrize("revoke", [False, True], ids=["rotate", "revoke"])
def test_when_the_answer_about_a_new_secret_is_lost_then_the_same_command_sets_the_same_one(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch, failure: Exception, revoke: bool
) -> None:
    site = Secrets()
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    rotate = ["xdr", "rotate-secret", "--source", "hunters", *(["--revoke"] if revoke else [])]
    assert main([*rotate, "--output", "first"]) == 0
    first = Path("first").read_text().strip()
    for lost in (1, 2) if revoke else (1,):
        site.failing, site.calls = {lost: failure}, 0
        with suppress(KeyboardInterrupt):
            assert main([*rotate, "--output", f"new-{lost}"]) in (1, 130)
        said = capsys.readouterr().err
        assert "AWS did not say whether the new secret is set: run the same command again, which sets no" in said
        assert not Path(f"new-{lost}").exists()
        (pending,) = Path().glob(f"new-{lost}.*")
        assert stat.S_IMODE(pending.stat().st_mode) == 0o600
        assert main([*rotate, "--output", f"new-{lost}"]) == 0
        new = Path(f"new-{lost}").read_text().strip()
        assert site.staged("AWSCURRENT") == new
        assert not pending.exists()
        if not revoke:
            # What the tool signs with meanwhile stays valid.
            assert site.staged("AWSPREVIOUS") == first
        else:
            assert site.staged("AWSPREVIOUS") not in (None, first, new)


@pytest.mark.parametrize("file", [True, False], ids=["file", "printed"])
def test_when_aws_refuses_the_second_step_of_a_revocation_then_the_same_command_does_it(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch, file: bool
) -> None:
    site = Secrets()
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    rotate = ["xdr", "rotate-secret", "--source", "hunters"]
    assert main([*rotate, "--output", "leaked"]) == 0
    leaked = Path("leaked").read_text().strip()
    revoke = [*rotate, "--revoke", *(["--output", "new"] if file else [])]
    site.failing, site.calls = {2: DENIED}, 0
    assert main(revoke) == 2
    printed = capsys.readouterr()
    assert site.staged("AWSPREVIOUS") == leaked
    assert printed.out == ""
    expected = (
        r"The current secret of hunters is now one that no sender has\. The one before is accepted until \S+Z "
        r"\(alerts\.overlap_hours\); earlier ones are not\. Run the same command again once AWS allows it"
    )
    assert re.search(expected, printed.err)
    pending = list(Path().glob("new.*"))
    assert len(pending) == file
    kept = [each.read_text().strip() for each in pending]
    assert main(revoke) == 0
    new = Path("new").read_text().strip() if file else capsys.readouterr().out.strip()
    assert site.staged("AWSCURRENT") == new
    assert leaked not in (site.staged("AWSCURRENT"), site.staged("AWSPREVIOUS"))
    assert kept in ([], [new])
    assert list(Path().glob("new.*")) == []


def test_when_the_answer_is_lost_and_there_is_no_file_then_the_secret_is_shown(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Secrets()
    site.failing = {1: LOST}
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    assert main(["xdr", "rotate-secret", "--source", "hunters"]) == 1
    printed = capsys.readouterr()
    assert printed.out.strip() == site.staged("AWSCURRENT")
    assert "AWS did not say whether the new secret is set: keep it" in printed.err
    assert printed.out.strip() not in printed.err


def test_fails_when_aws_refuses_a_new_secret_and_leaves_no_file(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Secrets()
    site.failing = {1: DENIED}
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    assert main(["xdr", "rotate-secret", "--source", "hunters", "--output", "new"]) == 2
    assert "cannot be set" in capsys.readouterr().err
    assert list(Path().glob("new*")) == []


def test_fails_when_another_secret_was_set_since_the_answer_was_lost(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Secrets()
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    rotate = ["xdr", "rotate-secret", "--source", "hunters", "--output"]
    site.failing = {1: LOST}
    assert main([*rotate, "a"]) == 1
    assert main([*rotate, "b"]) == 0
    assert main([*rotate, "a"]) == 2
    assert "hunters has got another secret since" in capsys.readouterr().err
    assert site.staged("AWSCURRENT") == Path("b").read_text().strip()
    assert list(Path().glob("a*")) == []


def test_when_aws_refuses_a_secret_whose_answer_was_lost_then_it_is_kept_and_set_later(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Secrets()
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    rotate = ["xdr", "rotate-secret", "--source", "hunters", "--output", "new"]
    site.failing = {1: LOST, 2: DENIED}
    assert main(rotate) == 1
    live = site.staged("AWSCURRENT")
    assert main(rotate) == 2
    (pending,) = Path().glob("new*")
    assert pending.read_text().strip() == live
    assert f"{pending} stays: the secret in it may be the one that is set" in capsys.readouterr().err
    assert main(rotate) == 0
    assert Path("new").read_text().strip() == live == site.staged("AWSCURRENT")
    assert [str(one) for one in Path().glob("new*")] == ["new"]


def test_when_the_answer_is_lost_then_no_other_source_gets_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("deployment.yaml").write_text(FILE.replace("{preset: generic}", "{preset: generic, webhook: true}"))
    site = Secrets()
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    site.failing = {1: LOST}
    assert main(["xdr", "rotate-secret", "--source", "hunters", "--output", "new"]) == 1
    of_hunters = site.staged("AWSCURRENT")
    assert main(["xdr", "rotate-secret", "--source", "soc", "--output", "new"]) == 0
    assert Path("new").read_text().strip() not in (of_hunters, "")


def test_fails_when_the_file_cannot_be_written_once_the_secret_is_set_and_says_where_it_is(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Secrets()
    put = site.put_secret_value

    def put_while_a_directory_appears(**request: str) -> Any:
        Path("new").mkdir()
        return put(**request)

    monkeypatch.setattr(site, "put_secret_value", put_while_a_directory_appears)
    monkeypatch.setattr(xdr_webhooks, "access_to", lambda _: site)
    rotate = ["xdr", "rotate-secret", "--source", "hunters", "--output", "new"]
    assert main(rotate) == 2
    live = site.staged("AWSCURRENT")
    (pending,) = Path().glob("new.*")
    assert pending.read_text().strip() == live
    said = capsys.readouterr().err
    assert said.startswith(f"--output new: Is a directory. The new secret is set, and is in {pending}: keep")
    Path("new").rmdir()
    monkeypatch.setattr(site, "put_secret_value", put)
    assert main(rotate) == 0
    assert Path("new").read_text().strip() == live == site.staged("AWSCURRENT")
    assert [str(one) for one in Path().glob("new*")] == ["new"]


def test_fails_when_what_is_pending_is_no_secret(capsys: Printed) -> None:
    pending = "new.tap-frankfurt-response.webhooks.hunters.pending"
    Path(pending).touch()
    assert main(["xdr", "rotate-secret", "--source", "hunters", "--output", "new"]) == 2
    assert f"{pending}: is no secret of webhooks" in capsys.readouterr().err


def test_when_an_outcome_does_not_hold_all_decisions_then_status_says_how_many_more(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    decision = {"action": "joined", "incident_id": "inc-20260102T030405-k3v9x0ab"}
    outcome = {"source": "soc", "alerts": [{"decisions": [decision, decision]}], "left_out": 9800, "unmatched": []}
    monkeypatch.setattr(xdr_webhooks, "access_to", Mock())
    monkeypatch.setattr(xdr_webhooks, "read_status", lambda *_: XdrStatus(alerts=[outcome]))
    assert main(["xdr", "status"]) == 0
    assert "joined inc-20260102T030405-k3v9x0ab; 9800 more decisions" in capsys.readouterr().out
