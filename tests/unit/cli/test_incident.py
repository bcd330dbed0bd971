"""`tapstack incident`, run as a user runs it, against a server on this machine."""

from __future__ import annotations

import io
import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from tapstack.cli import incident_api, main
from tapstack.domain.regions import AS_OF
from tests.unit.cli.api_server import ApiServer, BreaksOff, serving
from tests.unit.cli.incidents import ANA, ID, incident

OPEN = ["incident", "open", "--instance", "i-0a000000000000001", "--reason", "beacons"]
Printed = pytest.CaptureFixture[str]
OURS = "urn:tapstack:problem:invalid-request"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: ApiServer) -> list[float]:
    """Credentials and nothing else around; pauses are not waited for but remembered."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "TAPSTACK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("TAPSTACK_URL", api.url)
    paused: list[float] = []
    monkeypatch.setattr(incident_api.IncidentApi.__init__, "__kwdefaults__", {"pause": paused.append})
    monkeypatch.setattr("tapstack.cli.incident.POLL_SECONDS", 0)
    return paused


def opened(**changes: Any) -> dict[str, Any]:
    return {"incident": incident(state="opening", **changes), "links": {"self": f"/incidents/{ID}"}}


class TestOpen:
    def test_when_an_incident_is_opened_then_the_call_is_signed_and_its_id_is_printed(
        self, api: ApiServer, capsys: Printed
    ) -> None:
        api.answer((202, opened()))
        more = ["--severity", "high", "--technique", "T1071.004", "--alert-id", "xdr-1", "--minutes", "90"]
        assert main([*OPEN, *more]) == 0
        [asked] = api.asked
        assert (asked.method, asked.path) == ("POST", "/incidents")
        assert asked.body == {
            "instance_id": "i-0a000000000000001",
            "reason": "beacons",
            "severity": "high",
            "technique": "T1071.004",
            "alert_id": "xdr-1",
            "minutes": 90,
        }
        signature = asked.headers["Authorization"]
        assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/")
        assert "/eu-central-1/execute-api/aws4_request" in signature
        assert "idempotency-key" in signature
        printed = capsys.readouterr()
        assert printed.out.splitlines()[0] == f"{ID}  opening"
        assert f"  tapstack incident close {ID}  # ends the capture and does NOT release the instance" in (
            printed.out.splitlines()
        )
        assert printed.err == ""

    @pytest.mark.parametrize("more", [[], ["--wait"]])
    def test_when_the_alert_joined_an_open_incident_then_it_is_said(
        self, api: ApiServer, capsys: Printed, more: list[str]
    ) -> None:
        api.answer((202, {**opened(), "joined": True}), (200, incident(state="capturing")))
        assert main([*OPEN, "--alert-id", "xdr-1", *more]) == 0
        printed = capsys.readouterr()
        said = f"{ID}  opening, which the alert joined: it is about the same instance"
        assert (printed.err if more else printed.out).splitlines()[0] == said

    def test_when_interfaces_are_named_then_those_are_asked_for(self, api: ApiServer) -> None:
        api.answer((202, opened()))
        interfaces = ["--interface", "eni-0a000000000000001", "eni-0a000000000000002", "--interface", "eni-0123abcd"]
        assert main(["incident", "open", *interfaces, "--reason", "x"]) == 0
        assert api.asked[0].body == {
            "network_interface_ids": ["eni-0a000000000000001", "eni-0a000000000000002", "eni-0123abcd"],
            "reason": "x",
        }

    def test_when_json_is_wanted_then_the_answer_is_printed_as_it_is(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((202, opened(reason="\x1b[2J")))
        assert main([*OPEN, "--json"]) == 0
        text = capsys.readouterr().out
        assert json.loads(text) == opened(reason="\x1b[2J")
        assert "\x1b" not in text

    def test_when_the_service_is_busy_or_hangs_up_then_the_same_call_is_made_again(
        self, api: ApiServer, pauses: list[float], capsys: Printed
    ) -> None:
        api.headers["Retry-After"] = "7"
        api.answer((429, {"message": "Too Many Requests"}), (503, b""), (0, None), (202, opened()))
        assert main(OPEN) == 0
        assert len({asked.headers["Idempotency-Key"] for asked in api.asked}) == 1
        assert len(api.asked) == 4
        assert pauses[:2] == [7.0, 7.0]
        assert 0 < pauses[2] <= 20

    def test_fails_when_the_service_keeps_failing(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((500, {"type": OURS, "title": "internal error", "detail": "try again later"}))
        assert main(OPEN) == 1
        assert len(api.asked) == incident_api.ATTEMPTS
        assert capsys.readouterr().err == (
            f"{api.url} does not answer yet (HTTP 500): trying again\ninternal error: try again later (HTTP 500)\n"
        )

    def test_fails_when_the_connection_is_refused(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.setenv("TAPSTACK_URL", "http://127.0.0.1:9")
        assert main(OPEN) == 1
        assert capsys.readouterr().err.splitlines() == [
            "http://127.0.0.1:9 does not answer yet (Connection refused): trying again",
            "http://127.0.0.1:9 cannot be reached: Connection refused",
            "nothing accepts connections at this address, or at the proxy of HTTPS_PROXY: compare it with the output "
            "api_endpoint",
        ]

    def test_fails_when_the_host_is_not_known(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        def unknown(*_: Any, **__: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TAPSTACK_URL", "https://abcde12345.execute-api.eu-central-1.amazonaws.com")
        assert main(["incident", "list"]) == 1
        cause, remedy = capsys.readouterr().err.splitlines()[-2:]
        assert cause.endswith("amazonaws.com cannot be reached: Name or service not known")
        assert remedy.startswith("no DNS server of this machine knows the host: compare the address with the output")

    def test_fails_when_nothing_answers(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.setattr(incident_api, "TIMEOUT", 0.05)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("TAPSTACK_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
            assert main(["incident", "list"]) == 1
        cause, remedy = capsys.readouterr().err.splitlines()[-2:]
        assert cause.endswith(" cannot be reached: timed out")
        assert remedy == (
            "no answer came within 35 seconds: a firewall, a VPN or a missing HTTPS_PROXY may keep the connection from "
            "AWS"
        )

    def test_when_a_key_is_given_then_it_is_sent(self, api: ApiServer) -> None:
        api.answer((202, opened()))
        assert main([*OPEN, "--idempotency-key", "ticket 7"]) == 0
        assert api.asked[0].headers["Idempotency-Key"] == "ticket 7"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--reason", ""], "reason must have 1 to 1000 characters"),
            (["--technique", "C2"], "technique must have the form T1071 or T1071.004, got 'C2'"),
            (["--minutes", "0"], "minutes must be a whole number from 1 to 10080, got 0"),
            (["--instance", "web"], "'web' is not the id of an instance: expected the form i-0123456789abcdef0"),
            (["--idempotency-key", ""], "the idempotency key must have 1 to 128 printable ASCII characters"),
            (["--wait=-1"], "--wait must be a whole number from 0 to 10080, got -1"),
            (["--idempotency-key", "a\nb"], "the idempotency key must have 1 to 128 printable ASCII characters"),
        ],
    )
    def test_fails_when_the_request_is_wrong_and_sends_nothing(
        self, api: ApiServer, arguments: list[str], message: str, capsys: Printed
    ) -> None:
        assert main([*OPEN, *arguments]) == 2
        assert capsys.readouterr().err == f"{message}\n"
        assert api.asked == []

    @pytest.mark.parametrize(
        "arguments",
        [["--interface", "eni-0123abcd"], ["--severity", "terrible"]],
    )
    def test_fails_when_the_command_line_is_wrong(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main([*OPEN, *arguments])
        assert stopped.value.code == 2

    @pytest.mark.parametrize(
        ("arguments", "allowed"),
        [
            ([*OPEN, "--minutes", "many"], "--minutes: expected a whole number from 1 to 10080, got 'many'"),
            (["incident", "extend", ID, "--minutes", "2h"], "--minutes: expected a whole number from 1 to 10080, got"),
            ([*OPEN, "--wait=long"], "--wait: expected a whole number from 0 to 10080, got 'long'"),
            (["incident", "list", "--limit", "all"], "--limit: expected a whole number from 1 to 100, got 'all'"),
        ],
    )
    def test_fails_when_an_option_is_no_number_and_says_the_range(
        self, arguments: list[str], allowed: str, capsys: Printed
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert f"argument {allowed}" in capsys.readouterr().err

    def test_fails_when_the_service_refuses_and_says_why(self, api: ApiServer, capsys: Printed) -> None:
        api.headers["Content-Type"] = "application/problem+json"
        problem = {
            "type": OURS,
            "title": "the request is not valid",
            "detail": "minutes is too large",
            "errors": [{"where": "minutes", "problem": "at most 1440\x1b[31m"}, 5],
        }
        api.answer((400, problem))
        assert main(OPEN) == 2
        assert capsys.readouterr().err.splitlines() == [
            "the request is not valid: minutes is too large (HTTP 400)",
            "  minutes: at most 1440",
        ]
        assert len(api.asked) == 1

    def test_fails_when_an_error_repeats_the_detail_and_says_it_once(self, api: ApiServer, capsys: Printed) -> None:
        error = {"where": "minutes", "problem": "must be at most 1440, got 2000"}
        api.answer(
            (400, {"type": OURS, "title": "Invalid request", "detail": " ".join(error.values()), "errors": [error]})
        )
        assert main(OPEN) == 2
        assert capsys.readouterr().err == "Invalid request: minutes must be at most 1440, got 2000 (HTTP 400)\n"

    @pytest.mark.parametrize(
        ("region", "problem"),
        [
            (
                "eu-centrl-1",
                f"'eu-centrl-1' is not in this version's list of Regions ({AS_OF}): did you mean eu-central-1? "
                "set AWS_REGION in place of the option for a newer one",
            ),
            ("frankfurt", "'frankfurt' is not the name of a Region: expected the form eu-central-1"),
        ],
    )
    def test_fails_when_the_region_is_none_and_sends_nothing(
        self, api: ApiServer, region: str, problem: str, capsys: Printed
    ) -> None:
        assert main([*OPEN, "--region", region]) == 2
        assert capsys.readouterr().err == f"--region {problem}\n"
        assert not api.asked

    def test_fails_when_the_caller_may_not(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((403, {"message": "Forbidden"}))
        assert main(OPEN) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"Forbidden (HTTP 403 of {api.url})",
            "the credentials may not call this API (execute-api:Invoke, or the scopes of a token), are wrong or "
            "expired, or are for another account or Region. aws sts get-caller-identity shows whose AWS credentials "
            "they are, and fails where they are expired: sign in again (aws sso login)",
        ]


class TestWait:
    def test_when_it_is_followed_then_events_are_printed_until_packets_flow(
        self, api: ApiServer, capsys: Printed
    ) -> None:
        events = incident()["timeline"]
        api.answer(
            (202, opened()),
            (200, incident(state="opening", timeline=events[:1])),
            (200, incident(state="launching", timeline=events[:1])),
            (200, incident()),
        )
        assert main([*OPEN, "--wait"]) == 0
        printed = capsys.readouterr()
        assert printed.err.splitlines() == [
            f"{ID}  opening",
            f"  2026-01-02T03:04:05Z  opened  'beacons every minute'  ({ANA})",
            "  2026-01-02T03:05:00Z  capturing  1 network interface mirrored, 1 waiting  (capture)",
        ]
        assert printed.out.splitlines()[0] == f"{ID}  capturing, severity high"
        assert [asked.path for asked in api.asked[1:]] == [f"/incidents/{ID}"] * 3

    def test_fails_when_the_incident_does(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((202, opened()), (200, incident(state="failed")))
        assert main([*OPEN, "--wait", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["state"] == "failed"

    def test_fails_when_it_takes_too_long(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((202, opened()), (200, incident(state="launching")))
        assert main([*OPEN, "--wait", "0"]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            f"{ID} is still launching after 0 minutes; it continues: tapstack incident show {ID}"
        )

    def test_when_it_is_interrupted_then_the_incident_goes_on(
        self, api: ApiServer, capsys: Printed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        api.answer((202, opened()), (200, incident(state="launching")))
        monkeypatch.setattr("tapstack.cli.incident.time.sleep", interrupt)
        assert main([*OPEN, "--wait"]) == 130
        assert capsys.readouterr().err.endswith(f"interrupted; it continues: tapstack incident show {ID}\n")


class TestOthers:
    def test_when_incidents_are_listed_then_state_and_limit_are_asked_for(
        self, api: ApiServer, capsys: Printed
    ) -> None:
        api.answer((200, {"incidents": [incident()], "next": "a/b="}))
        assert main(["incident", "list", "--state", "closed", "--limit", "5", "--next", "x+y/z="]) == 0
        assert api.asked[0].path == "/incidents?state=closed&limit=5&next=x%2By%2Fz%3D"
        out = capsys.readouterr().out
        assert ID in out
        assert out.endswith("there are more: tapstack incident list --state closed --limit 5 --next a/b=\n")

    def test_when_no_incident_is_open_then_it_says_that_closed_ones_may_still_contain(
        self, api: ApiServer, capsys: Printed
    ) -> None:
        api.answer((200, {"incidents": []}))
        assert main(["incident", "list"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "no incidents",
            "closed incidents may still contain their instances: tapstack incident list --state closed",
        ]
        assert main(["incident", "list", "--url", api.url]) == 0
        assert capsys.readouterr().out.endswith(f" list --state closed --url {api.url}\n")
        assert main(["incident", "list", "--state", "closed"]) == 0
        assert capsys.readouterr().out == "no incidents\n"

    @pytest.mark.parametrize("limit", ["0", "101"])
    def test_fails_when_the_limit_is_out_of_range(self, limit: str, capsys: Printed) -> None:
        assert main(["incident", "list", "--limit", limit]) == 2
        assert capsys.readouterr().err == f"--limit must be a whole number from 1 to 100, got {limit}\n"

    def test_when_an_incident_is_shown_then_its_card_is_printed(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((200, incident()))
        assert main(["incident", "show", ID, "--url", f"{api.url}/", "--region", "eu-west-1"]) == 0
        assert (api.asked[0].method, api.asked[0].path) == ("GET", f"/incidents/{ID}")
        assert "/eu-west-1/execute-api/" in api.asked[0].headers["Authorization"]
        assert f"close {ID} --url {api.url}/ --region eu-west-1" in capsys.readouterr().out

    def test_when_an_incident_is_extended_then_the_minutes_are_sent(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((200, incident(expires_at="2026-01-02T04:04:05Z")), (202, incident()))
        assert main(["incident", "extend", ID, "--minutes", "30"]) == 0
        assert [(asked.method, asked.path) for asked in api.asked] == [
            ("GET", f"/incidents/{ID}"),
            ("POST", f"/incidents/{ID}/extend"),
        ]
        assert api.asked[1].body == {"minutes": 30}
        assert capsys.readouterr().err == ""

    def test_when_an_incident_captures_for_longer_already_then_it_says_so(
        self, api: ApiServer, capsys: Printed
    ) -> None:
        api.answer((200, incident()), (202, incident()))
        assert main(["incident", "extend", ID, "--minutes", "5"]) == 0
        assert capsys.readouterr().err == f"{ID} already captures until 2026-01-02T05:05:00Z; nothing was changed\n"

    @pytest.mark.parametrize("before", [120, 60])
    def test_when_mirroring_has_not_started_then_only_the_minutes_tell_whether_that_changed_anything(
        self, api: ApiServer, capsys: Printed, before: int
    ) -> None:
        # Its end is the earliest time only.
        earlier = incident(state="launching", minutes=before, expires_at="2026-01-02T05:04:01Z")
        api.answer((200, earlier), (202, incident(state="launching")))
        assert main(["incident", "extend", ID, "--minutes", "120"]) == 0
        said = f"{ID} already captures for 120 minutes from when mirroring starts; nothing was changed\n"
        assert capsys.readouterr().err == (said if before == 120 else "")

    def test_fails_with_what_is_possible_when_the_capture_would_last_too_long(
        self, api: ApiServer, capsys: Printed
    ) -> None:
        detail = (
            f"incident {ID} captures until A; its capture may last until B: extend it by at most 30 minutes from now"
        )
        api.answer((409, {"type": OURS, "title": "Conflict", "detail": detail}))
        assert main(["incident", "extend", ID, "--minutes", "60"]) == 2
        assert capsys.readouterr().err == f"Conflict: {detail} (HTTP 409)\n"

    @pytest.mark.parametrize(("more", "body"), [([], {}), (["--reason", "done"], {"reason": "done"})])
    def test_when_an_incident_is_closed_then_the_reason_is_sent(
        self, api: ApiServer, more: list[str], body: dict[str, str]
    ) -> None:
        api.answer((202, incident(state="closing")))
        assert main(["incident", "close", ID, *more]) == 0
        assert (api.asked[0].path, api.asked[0].body) == (f"/incidents/{ID}/close", body)

    @pytest.mark.parametrize("action", [["show"], ["close"], ["extend", "--minutes", "5"]])
    @pytest.mark.parametrize("name", ["inc-1", "../incidents", ID + "/close"])
    def test_fails_when_the_id_is_malformed_and_sends_nothing(
        self, api: ApiServer, action: list[str], name: str, capsys: Printed
    ) -> None:
        assert main(["incident", *action, name]) == 2
        assert "is not the id of an incident: expected the form inc-" in capsys.readouterr().err
        assert api.asked == []

    def test_fails_when_there_is_no_such_incident(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((404, {"type": OURS, "title": "no such incident", "detail": "no such incident"}))
        assert main(["incident", "show", ID]) == 2
        assert capsys.readouterr().err == "no such incident (HTTP 404)\n"

    @pytest.mark.parametrize("answer", [b"<html>", b"[" * 100_000])
    def test_fails_when_the_answer_is_no_json(self, api: ApiServer, answer: bytes, capsys: Printed) -> None:
        api.headers["Content-Type"] = "text/html"
        api.answer((200, answer))
        assert main(["incident", "show", ID]) == 1
        assert capsys.readouterr().err == f"the answer of {api.url} is no JSON but text/html\n"

    def test_fails_when_the_answer_is_something_else(self, api: ApiServer, capsys: Printed) -> None:
        api.answer((200, []))
        assert main(["incident", "show", ID]) == 1
        assert capsys.readouterr().err == (
            f"the answer of {api.url} is no JSON object: is this the address of an incident API?\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "lacking"),
        [
            (["list"], "incidents"),
            (["show", ID], "id"),
            (["close", ID], "id"),
            (["approve", ID], "id"),
            (["contain", ID, "--dry-run"], "changes"),
        ],
    )
    def test_fails_when_another_service_answers(
        self, api: ApiServer, arguments: list[str], lacking: str, capsys: Printed
    ) -> None:
        """An empty list would be an all-clear."""
        api.answer((200, {"hello": "world"}))
        assert main(["incident", *arguments]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == f"the answer of {api.url} has no {lacking}: is this the address of an incident API?\n"

    def test_fails_when_the_api_redirects_and_sends_no_credentials_there(self, api: ApiServer, capsys: Printed) -> None:
        api.headers["Location"] = f"{api.url}/elsewhere"
        api.answer((302, None))
        assert main(["incident", "show", ID]) == 1
        assert len(api.asked) == 1
        assert capsys.readouterr().err == f"no reason was given (HTTP 302 of {api.url})\n"


class TestBrokenOff:
    """Answers of which only a part arrives."""

    @pytest.fixture(autouse=True)
    def short_timeout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(incident_api, "TIMEOUT", 1.0)

    @pytest.mark.parametrize("how", get_args(BreaksOff))
    @pytest.mark.parametrize("status", [200, 503])
    def test_when_an_answer_breaks_off_then_a_call_that_may_be_repeated_is(
        self, api: ApiServer, status: int, how: BreaksOff, pauses: list[float]
    ) -> None:
        api.breaks_off[status] = how
        api.answer((status, {"message": "not yet"}), (201, incident()))
        assert main(["incident", "show", ID]) == 0
        assert (len(api.asked), len(pauses)) == (2, 1)

    @pytest.mark.parametrize("how", get_args(BreaksOff))
    def test_fails_when_a_refusal_breaks_off_and_says_its_status(
        self, api: ApiServer, how: BreaksOff, capsys: Printed
    ) -> None:
        api.breaks_off[404] = how
        api.answer((404, {"message": "Not Found"}))
        assert main(["incident", "show", ID]) == 2
        assert capsys.readouterr().err == f"no reason was given (HTTP 404 of {api.url})\n"


class TestCredentials:
    @pytest.mark.parametrize("how", ["file", "input", "variable"])
    def test_when_a_token_is_given_then_the_api_gets_it_and_nothing_prints_it(
        self, api: ApiServer, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
    ) -> None:
        file = tmp_path / "token"
        file.write_text("e.y.J\n")
        monkeypatch.setattr("sys.stdin", io.StringIO(" e.y.J\r\n"))
        monkeypatch.setenv("TAPSTACK_TOKEN", "e.y.J" if how == "variable" else "another")
        more = {"file": ["--token-file", str(file)], "input": ["--token-file", "-"], "variable": []}[how]
        api.answer((200, incident()))
        assert main(["incident", "show", ID, *more]) == 0
        assert api.asked[0].headers["Authorization"] == "Bearer e.y.J"
        printed = capsys.readouterr()
        assert "e.y.J" not in printed.out + printed.err
        # The next command finds the file again; input is used up.
        assert (f"close {ID} --token-file {file}" in printed.out) == (how == "file")

    @pytest.mark.parametrize(
        "arguments", [["--token", "e.y.J"], ["--token=e.y.J"], ["--token"], ["--tok", "e.y.J"], ["--t=e.y.J"]]
    )
    @pytest.mark.parametrize("where", ["first", "before", "behind"])
    def test_fails_when_a_token_is_on_the_command_line_and_does_not_repeat_it(
        self, api: ApiServer, arguments: list[str], where: str, capsys: Printed
    ) -> None:
        command = [*arguments, "show", ID] if where == "before" else ["show", ID, *arguments]
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "incident", "show", ID] if where == "first" else ["incident", *command])
        assert stopped.value.code == 2
        err = capsys.readouterr().err
        assert "--token-file FILE (- for input), or set $TAPSTACK_TOKEN" in err
        assert "e.y.J" not in err
        assert api.asked == []

    @pytest.mark.parametrize("arguments", [["--bearer", "e.y.J"], ["--tokne=e.y.J"]])
    def test_fails_when_an_option_is_unknown_and_does_not_repeat_its_value(
        self, api: ApiServer, arguments: list[str], capsys: Printed
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["incident", "list", *arguments])
        assert stopped.value.code == 2
        err = capsys.readouterr().err
        hint = "; did you mean --token-file?" if arguments[0].startswith("--tokne") else ""
        assert err.endswith(f"unrecognized arguments: {arguments[0].partition('=')[0]}{hint}\n")
        assert "e.y.J" not in err
        assert api.asked == []

    def test_fails_when_the_token_cannot_be_one(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.setenv("TAPSTACK_TOKEN", "secret\nX-Other: 1")
        assert main(["incident", "show", ID]) == 2
        err = capsys.readouterr().err
        assert err == "the token is empty, or holds characters that no token has\n"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "the token is empty, or holds characters that no token has"),
            (b"secret secret", "the token is empty, or holds characters that no token has"),
            (b"secret\xff", "--token-file {file}: is not UTF-8 text, and so no token"),
            (b"s" * 100_001, "--token-file {file}: is longer than 100,000 characters, and so no token"),
            (None, "--token-file {file}: No such file or directory"),
        ],
    )
    def test_fails_when_the_file_holds_no_token_and_does_not_show_what_it_holds(
        self, api: ApiServer, content: bytes | None, message: str, tmp_path: Path, capsys: Printed
    ) -> None:
        file = tmp_path / "token"
        if content is not None:
            file.write_bytes(content)
        assert main(["incident", "show", ID, "--token-file", str(file)]) == 2
        assert capsys.readouterr().err == message.format(file=file) + "\n"
        assert api.asked == []

    def test_fails_when_there_are_no_credentials(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        assert main(["incident", "show", ID]) == 2
        assert capsys.readouterr().err.startswith("no AWS credentials. Sign in")

    def test_fails_when_the_profile_is_unknown(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        assert main(["incident", "show", ID]) == 2
        assert "nobody" in capsys.readouterr().err

    def test_fails_when_no_region_is_known(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.delenv("AWS_REGION")
        assert main(["incident", "show", ID]) == 2
        assert capsys.readouterr().err.startswith("no Region: the address does not name it; give --region")

    def test_fails_when_botocore_is_missing(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.setitem(sys.modules, "botocore.session", None)
        assert main(["incident", "show", ID]) == 2
        assert "install tapstack with its extra response, or give --token-file" in capsys.readouterr().err


class TestAddresses:
    def test_fails_when_there_is_none(self, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        monkeypatch.delenv("TAPSTACK_URL")
        assert main(["incident", "list"]) == 2
        assert capsys.readouterr().err.startswith("no address of an API: give --url, or set $TAPSTACK_URL")

    @pytest.mark.parametrize(
        "url",
        [
            "incidents",
            "ftp://a",
            "https://",
            "https://a/?b",
            "https://a:b",
            "https://[",
            "http://a.example",
        ],
    )
    def test_fails_when_it_is_none(self, url: str, capsys: Printed) -> None:
        assert main(["incident", "list", "--url", url]) == 2
        err = capsys.readouterr().err
        assert "is no address of an incident API" in err or "is not encrypted, and not on this machine" in err

    def test_fails_when_it_holds_a_password_and_does_not_show_it(self, capsys: Printed) -> None:
        assert main(["incident", "list", "--url", "https://user:secret@a.example"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("the address of the API holds a user or a password: expected https://<id>.execute-api")
        assert "secret" not in err

    @pytest.mark.parametrize(
        "url", ["https://a.example/stage/", "http://localhost:1", "http://[::1]:1", "http://127.0.0.9"]
    )
    def test_when_it_is_one_then_it_passes(self, url: str) -> None:
        assert incident_api.check_url(url) == url.rstrip("/")

    @pytest.mark.parametrize(
        ("url", "region"),
        [
            ("https://a1b2c3.execute-api.eu-central-1.amazonaws.com", "eu-central-1"),
            ("https://a1b2c3.execute-api.cn-north-1.amazonaws.com.cn/x", "cn-north-1"),
            ("https://api.example.com", None),
            ("https://a.execute-api.eu-central-1.amazonaws.com.example.com", None),
        ],
    )
    def test_when_it_names_a_region_then_that_is_used(self, url: str, region: str | None) -> None:
        assert incident_api.region_of(url) == region
