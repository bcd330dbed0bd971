"""Set-up: what is locked, what pip is configured with, and how installers are run; tests/isolated installs for real."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scripts import set_up

HASH = "sha256:00"


class TestRequirements:
    def test_when_packages_are_locked_then_each_has_a_line_with_version_marker_and_hashes(self) -> None:
        lock = {
            "default": {
                "moto": {"extras": ["ec2", "server"], "hashes": [HASH, "sha256:01"], "version": "==5.2.5"},
                "six": {"hashes": [HASH], "markers": "python_version >= '3.9'", "version": "==1.17.0"},
            },
            "develop": {"six": {"hashes": [HASH], "version": "==1.17.0"}, "ruff": {"hashes": [HASH], "version": "==1"}},
        }
        assert set_up.requirements(lock, "default", "develop") == {
            "moto": "moto[ec2,server]==5.2.5 --hash=sha256:00 --hash=sha256:01",
            "six": "six==1.17.0 ; python_version >= '3.9' --hash=sha256:00",
            "ruff": "ruff==1 --hash=sha256:00",
        }

    def test_when_the_lock_or_the_build_changes_then_the_fingerprint_does_and_not_otherwise(self) -> None:
        lock = {"_meta": {"hash": "a"}, "default": {"six": {"version": "==1"}}}
        project = {"build-system": {}, "project": {"version": "1"}, "tool": {"hatch": {}, "ruff": {"a": 1}}}
        before = set_up.fingerprint(lock, project)
        assert set_up.fingerprint({**lock, "_meta": {}}, {**project, "tool": {"hatch": {}}}) == before
        assert set_up.fingerprint({**lock, "default": {"six": {"version": "==2"}}}, project) != before
        assert set_up.fingerprint(lock, {**project, "project": {"version": "2"}}) != before


class TestPipConfiguration:
    def test_when_options_are_set_in_several_places_then_the_one_that_pip_takes_counts(self) -> None:
        listed = "\n".join(
            [
                ":env:.find-links='/srv/wheels'",
                "download.index-url='https://download.example.com'",
                "global.extra-index-url='\\nhttps://a.example.com\\nhttps://b.example.com'",
                "global.index-url='https://global.example.com'",
                "global.proxy=''",
                "install.index-url='https://install.example.com'",
                "WARNING: something else",
            ]
        )
        assert set_up.parse_pip_configuration(listed) == {
            "find-links": "/srv/wheels",
            "extra-index-url": "https://a.example.com\nhttps://b.example.com",
            "index-url": "https://install.example.com",
        }

    @pytest.mark.parametrize(
        ("pip", "expected"),
        [
            ({"index-url": "https://u:p@a.example.com"}, {"UV_INDEX_URL": "https://u:p@a.example.com"}),
            ({"extra-index-url": "file:///a\nhttps://b"}, {"UV_EXTRA_INDEX_URL": "file:///a https://b"}),
            ({"find-links": "https://a.example.com /not/there"}, {"UV_FIND_LINKS": "https://a.example.com"}),
            ({"find-links": "file:///not/there"}, {}),
            (
                {"trusted-host": "a.example.com b.example.com:8080"},
                {"UV_INSECURE_HOST": "a.example.com b.example.com:8080"},
            ),
            ({"default-timeout": "180"}, {"UV_HTTP_TIMEOUT": "180"}),
            ({"timeout": "7"}, {"UV_HTTP_TIMEOUT": "7"}),
            ({"cert": "/a/bundle.pem"}, {"SSL_CERT_FILE": "/a/bundle.pem"}),
            ({"client-cert": "/a/client.pem"}, {"SSL_CLIENT_CERT": "/a/client.pem"}),
            ({"keyring-provider": "subprocess"}, {"UV_KEYRING_PROVIDER": "subprocess"}),
            ({"proxy": "proxy.example.com:3128"}, {"HTTPS_PROXY": "http://proxy.example.com:3128"}),
            ({"proxy": "https://proxy.example.com"}, {"https_proxy": "https://proxy.example.com"}),
            ({}, {}),
        ],
    )
    def test_when_pip_is_configured_then_uv_is_too(self, pip: dict[str, str], expected: dict[str, str]) -> None:
        arguments, env = set_up.reach_of_uv(pip, {"PATH": "/bin"})
        assert arguments == []
        assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
        always = {"PATH", "UV_INDEX_STRATEGY", "UV_SYSTEM_CERTS"}
        found = {name: value for name, value in env.items() if name not in always and name in expected}
        assert found == expected
        of_proxies = {name for name in env if name.lower().endswith("_proxy")}
        assert set(env) - always - of_proxies == set(expected) - of_proxies

    @pytest.mark.parametrize(
        ("pip", "expected"),
        [
            ({"no-index": "true"}, ["--no-index"]),
            ({"no-index": "0"}, []),
            ({"no-cache-dir": "1"}, ["--no-cache"]),
            ({"only-binary": ":all:"}, ["--only-binary", ":all:"]),
            ({"no-binary": "moto,boto3"}, ["--no-binary", "moto", "--no-binary", "boto3"]),
        ],
    )
    def test_when_pip_may_not_do_all_then_uv_may_not_either(self, pip: dict[str, str], expected: list[str]) -> None:
        assert set_up.reach_of_uv(pip, {})[0] == expected

    def test_when_a_folder_is_searched_then_it_may_be_below_home(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / "wheels").mkdir()
        assert set_up.reach_of_uv({"find-links": "~/wheels"}, {})[1]["UV_FIND_LINKS"] == f"{tmp_path}/wheels"

    def test_when_uv_is_configured_for_other_work_then_only_its_cache_and_pace_are_kept(self) -> None:
        given = {"UV_CACHE_DIR": "/c", "UV_HTTP_TIMEOUT": "9", "UV_CONSTRAINT": "c.txt", "UV_INDEX_URL": "https://a"}
        _, env = set_up.reach_of_uv({"timeout": "7"}, given)
        assert {name: env.get(name) for name in given} == {
            **dict.fromkeys(given),
            "UV_CACHE_DIR": "/c",
            "UV_HTTP_TIMEOUT": "9",
        }

    def test_when_pip_has_no_certificates_then_it_trusts_what_the_machine_does(self, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_text("")
        given = {"SSL_CERT_FILE": str(bundle)}
        assert set_up.certificate_of_pip({}, given) == str(bundle)
        assert set_up.certificate_of_pip({"cert": "/other.pem"}, given) == ""
        assert set_up.certificate_of_pip({}, {**given, "REQUESTS_CA_BUNDLE": "/other.pem"}) == ""
        if sys.platform != "linux":
            assert set_up.certificate_of_pip({}, {}) == ""


class TestRun:
    @pytest.mark.thorough
    def test_when_an_installer_takes_its_time_then_a_line_says_what_it_does(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        program = "import time; print('fetching six', flush=True); time.sleep(2)"
        printed = set_up.run([sys.executable, "-c", program], os.environ, tmp_path, heartbeat=0.1)
        assert printed == "fetching six\n"
        beats = capsys.readouterr().out.splitlines()
        assert len(beats) >= 2
        assert beats[-1].endswith("fetching six")

    def test_fails_when_the_installer_does_and_gives_its_own_words(self, tmp_path: Path) -> None:
        program = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
        with pytest.raises(set_up.SetUpError, match="(?s)^(?=.*one).*two"):
            set_up.run([sys.executable, "-c", program], os.environ, tmp_path)

    def test_fails_when_there_is_no_such_program(self, tmp_path: Path) -> None:
        with pytest.raises(set_up.SetUpError, match="^/not/there: No such file or directory$"):
            set_up.run(["/not/there"], os.environ, tmp_path)

    def test_when_it_asks_then_nothing_waits_for_an_answer(self, tmp_path: Path) -> None:
        with pytest.raises(set_up.SetUpError, match="EOFError"):
            set_up.run([sys.executable, "-c", "input('User for the index: ')"], os.environ, tmp_path)

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            ("Collecting uv\nERROR: No matching distribution\nhint: more\n", "ERROR: No matching distribution"),
            (
                "Could not fetch URL https://a: TLS\nERROR: no match\n",
                "Could not fetch URL https://a: TLS",
            ),
            ("killed\n", "killed"),
            ("", ""),
        ],
    )
    def test_when_it_failed_then_one_line_says_why(self, words: str, reason: str) -> None:
        assert set_up.reason_in(words) == reason
