"""`tapstack check`, run as a user runs it, but in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapstack.cli import main
from tapstack.workspace import credentials, machine, provider_mirror
from tapstack.workspace.credentials import Access, Tried
from tests.unit.settings.reading import USABLE

EXAMPLE = Path(__file__).parents[3] / "deployment.yaml"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON", "CDKTF_OUTDIR", "TAPSTACK_PROVIDER_MIRROR"):
        monkeypatch.delenv(name, raising=False)


def test_when_the_file_is_right_then_it_says_what_is_deployed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines() == [
        f"{EXAMPLE}: valid. 2 sites, state in the local directory state",
        "  production: eu-central-1, 111122223333, vpc-0a1b2c3d4e5f60718: a Packet Basics appliance; "
        "2 filters (web, outbound); sessions web-servers: 3 interfaces to packet_basics through web; "
        "sessions checkout: 1 lookup to packet_basics through outbound; a quarantine group; "
        "telemetry (into a bucket of its own; read by hunters (flow, incidents)); "
        "a response (launches an appliance; called with AWS credentials; 2 policy rules; alerts of hunters; "
        "contains on approval or at once; 1 recipient)",
        "  shared-services: us-east-1, 444455556666, vpc-0b1b2c3d4e5f60718: 1 target (sensors); 1 filter (dns); "
        "sessions resolvers: 1 lookup to sensors through dns; a quarantine group",
    ]


def test_when_a_site_has_telemetry_then_it_says_who_reads_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE.parent / "tests" / "unit" / "settings" / "xdr.yaml")]) == 0
    production, notified, shared = capsys.readouterr().out.splitlines()[1:]
    assert (
        "; telemetry (into a bucket of its own; read by hunters (flow, guardduty, incidents, feeds/edr), " in production
    )
    assert notified.endswith("; telemetry (into a bucket of its own; read by hunters (flow))")
    assert shared.endswith("; telemetry (into the bucket company-telemetry; read by archive (flow, incidents))")


def test_fails_when_the_state_cannot_be_kept_where_the_file_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "deployment.yaml").write_text("backend:\n  local: {directory: file}\n" + USABLE)
    assert main(["check", "deployment.yaml"]) == 2
    assert capsys.readouterr().err == (
        "deployment.yaml:2: backend.local.directory: the state cannot be kept in file/tapstack (file is no directory): "
        "expected a directory\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"file", "deployment.yaml"}


@pytest.mark.parametrize("place", ["/proc", "/sys/x", "/dev/full"])
def test_fails_when_a_pseudo_file_system_is_to_keep_something(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deployment.yaml").write_text(f"backend:\n  local: {{directory: {place}}}\n" + USABLE)
    assert main(["check"]) == 2
    assert f"backend.local.directory: the state cannot be kept in {place}/tapstack (/" in capsys.readouterr().err
    monkeypatch.setenv("CDKTF_OUTDIR", f"{place}/x")
    (tmp_path / "deployment.yaml").write_text(USABLE)
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith(f"--output: {place}/x cannot hold what is synthesized (/")


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("check", "file"),
        ("rehearse deploy", "file"),
        ("rehearse incident", "file"),
        ("rehearse incident --report", "--report"),
        ("incident show inc-20260102T030405-k3v9x0ab --token-file", "--token-file"),
        ("incident open --instance i-0a000000000000001 --reason x --token-file", "--token-file"),
        ("incident explain", "FINDING.json"),
        ("incident explain finding.json --deployment", "--deployment"),
        ("xdr try --source soc", "FILE.json"),
        ("xdr try a.json --source soc --deployment", "--deployment"),
        ("xdr send --source soc", "FILE.json"),
        ("xdr send a.json --source soc --secret-file", "--secret-file"),
        ("xdr rotate-secret --source soc --output", "--output"),
        ("xdr rotate-secret --source soc --deployment", "--deployment"),
        ("xdr status --deployment", "--deployment"),
    ],
)
def test_fails_when_a_file_has_no_name(command: str, argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), ""])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument {argument}: expected the name of a file, got ''\n")


def test_when_terraform_is_asked_for_its_version_then_it_does_not_ask_for_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "terraform"
    binary.write_text('#!/bin/sh\necho "{\\"terraform_version\\": \\"1.11.${CHECKPOINT_DISABLE:-0}\\"}"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CHECKPOINT_DISABLE", raising=False)
    assert machine.terraform_version() == "1.11.1"


def test_when_sites_have_a_response_then_it_is_summarized_too(capsys: pytest.CaptureFixture[str]) -> None:
    fixture = Path(__file__).parents[1] / "settings" / "response.yaml"
    assert main(["check", str(fixture)]) == 0
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.endswith(
        "a quarantine group; a response (launches an appliance; called with tokens; 5 policy rules; "
        "contains on approval or at once; 2 recipients)"
    )
    assert second.endswith(
        "a response (to packet_basics through packet_basics; called with AWS credentials; no policy, so findings only "
        "notify; never contains; 0 recipients)"
    )


def test_when_alerts_come_in_then_the_summary_says_by_which_ways(capsys: pytest.CaptureFixture[str]) -> None:
    alerts = "{security_hub: true, sources: {soc: {preset: generic}}}"
    Path("deployment.yaml").write_text(f"{USABLE}    xdr: {{}}\n    response: {{alerts: {alerts}}}\n")
    assert main(["check"]) == 0
    assert "; no policy, so findings only notify; alerts of Security Hub, soc; never" in capsys.readouterr().out


def test_when_no_file_is_named_then_the_usual_one_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deployment.yaml").write_text(
        "backend: {s3: {bucket: company-state, region: eu-west-1}}\n"
        "sites: {a: {region: eu-west-1, vpc_id: vpc-00000001, targets: {t: {network_interface_id: eni-00000001}}}}\n"
    )
    assert main(["check"]) == 0
    assert "1 site, state in s3://company-state\n  a: eu-west-1, any account" in capsys.readouterr().out


def test_fails_when_the_file_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deployment.yaml").write_text("sites: {}\n")
    assert main(["check"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("deployment.yaml:1: sites: expected at least 1 entry")


def test_when_state_of_a_lost_site_is_left_then_it_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deployment.yaml").write_text(EXAMPLE.read_text())
    state = tmp_path / "state" / "tapstack" / "renamed.tfstate"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"resources": [{"mode": "managed"}, {"mode": "data"}]}))
    assert main(["check"]) == 0
    assert "warning: " in (err := capsys.readouterr().err)
    assert "renamed.tfstate holds 1 resource of site renamed" in err


@pytest.mark.parametrize("arguments", [[], ["chekc"], ["check", "a", "b"]])
def test_fails_when_the_command_line_is_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: tapstack" in capsys.readouterr().err


class TestAws:
    """`--aws`; what may come of it is tried in tests/unit/workspace/test_credentials.py."""

    ACCESS = Access(None, "eu-central-1", "arn:aws:sts::111122223333:assumed-role/deploy/ci", "111122223333")

    def test_when_credentials_are_good_then_it_says_whose_they_are(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked: list[list[str]] = []

        def ask(_: object, stacks: list[str]) -> Tried:
            asked.append(stacks)
            return Tried({"production": self.ACCESS}, [], ["site b: unreachable"])

        monkeypatch.setattr(credentials, "try_credentials", ask)
        assert main(["check", "--aws", str(EXAMPLE)]) == 0
        printed = capsys.readouterr()
        assert printed.out.endswith("production: deployed by arn:aws:sts::111122223333:assumed-role/deploy/ci\n")
        assert printed.err == "warning: site b: unreachable\n"
        assert asked == [["production", "production-xdr", "production-response", "shared-services"]]

    def test_fails_when_aws_refuses_them(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(credentials, "try_credentials", lambda *_: Tried({}, ["site a: no", "site b: no"], []))
        assert main(["check", "--aws", str(EXAMPLE)]) == 2
        assert capsys.readouterr().err == "site a: no\nsite b: no\n"


class TestMachine:
    @pytest.fixture
    def terraform(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A stand-in for the binary on an otherwise empty PATH, and a home without mirrors."""
        binaries = tmp_path / "bin"
        binaries.mkdir()
        binary = binaries / "terraform"
        binary.write_text('#!/bin/sh\necho \'{"terraform_version": "1.11.4"}\'\n')
        binary.chmod(0o755)
        monkeypatch.setenv("PATH", str(binaries))
        return binary

    def test_when_terraform_and_a_mirror_are_there_then_it_says_which(
        self, terraform: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from tapstack.workspace.provider_mirror import PROVIDER, _target

        provider = tmp_path / "mirror" / PROVIDER
        provider.mkdir(parents=True)
        (provider / f"terraform-provider-aws_6.1.0_{_target()}.zip").touch()
        monkeypatch.setenv("TAPSTACK_PROVIDER_MIRROR", str(tmp_path / "mirror"))
        assert main(["check", "--machine", str(EXAMPLE)]) == 0
        expected = f"Terraform 1.11.4; AWS provider 6.1.0 from the mirror {tmp_path / 'mirror'} (named)"
        assert capsys.readouterr().out.splitlines()[-1] == expected

    def test_when_the_registry_answers_then_no_mirror_is_needed(
        self, terraform: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("TAPSTACK_PROVIDER_MIRROR", "none")
        monkeypatch.setattr(machine, "registry_answers", lambda: True)
        assert main(["check", "--machine", str(EXAMPLE)]) == 0
        assert "AWS provider >= 5.100.0, < 7.0.0 from the Terraform registry" in capsys.readouterr().out

    def test_fails_when_no_provider_can_be_had_and_says_how_to_get_one(
        self, terraform: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("TAPSTACK_PROVIDER_MIRROR", "none")
        monkeypatch.setattr(machine, "registry_answers", lambda: False)
        assert main(["check", "--machine", str(EXAMPLE)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("no AWS provider >= 5.100.0, < 7.0.0: the Terraform registry")
        assert "terraform providers mirror DIRECTORY" in err

    def test_fails_when_terraform_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert main(["check", "--machine", str(EXAMPLE)]) == 2
        assert capsys.readouterr().err.startswith("terraform is not on the PATH: install Terraform 1.10 or newer")

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ('echo \'{"terraform_version": "1.9.8"}\'', "is Terraform 1.9.8: install Terraform 1.10 or newer"),
            ("echo Terraform v0.11", "does not print its version"),
            ("exit 1", "does not print its version"),
        ],
    )
    def test_fails_when_terraform_is_too_old_or_broken(
        self, terraform: Path, script: str, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        terraform.write_text(f"#!/bin/sh\n{script}\n")
        assert main(["check", "--machine", str(EXAMPLE)]) == 2
        assert message in capsys.readouterr().err

    def test_fails_when_the_named_mirror_does_not_fit(
        self, terraform: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("TAPSTACK_PROVIDER_MIRROR", str(tmp_path))
        assert main(["check", "--machine", str(EXAMPLE)]) == 2
        assert "has no AWS provider >= 5.100.0, < 7.0.0" in capsys.readouterr().err


class TestProviderVersions:
    """Only from 5.100.0 to below 7: see domain/provider_versions.py."""

    @pytest.fixture
    def mirror(self, tmp_path: Path) -> Path:
        from tapstack.workspace.provider_mirror import PROVIDER, _target

        provider = tmp_path / "mirror" / PROVIDER
        provider.mkdir(parents=True)
        for version in ("5.99.0", "5.100.0-beta1", "7.0.0"):
            (provider / f"terraform-provider-aws_{version}_{_target()}.zip").touch()
        return tmp_path / "mirror"

    @pytest.mark.parametrize("version", ["", 'provider: {version: ">= 5.0"}\n'])
    @pytest.mark.parametrize("options", [[], ["--machine"]])
    def test_fails_when_the_named_mirror_has_unsupported_versions_only(
        self,
        version: str,
        options: list[str],
        mirror: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("TAPSTACK_PROVIDER_MIRROR", str(mirror))
        monkeypatch.setattr(machine, "terraform_version", lambda: "1.11.4")
        Path("deployment.yaml").write_text(version + USABLE)
        assert main(["check", *options]) == 2
        err = capsys.readouterr().err
        assert f"the provider mirror {mirror} has AWS provider 7.0.0, 5.100.0-beta1, 5.99.0 for " in err
        assert ">= 5.100.0, < 7.0.0; `terraform providers mirror" in err

    def test_when_a_mirror_that_was_found_has_unsupported_versions_only_then_check_warns(
        self, mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(provider_mirror, "usual_places", lambda _environment: [mirror])
        assert main(["check", str(EXAMPLE)]) == 0
        assert capsys.readouterr().err.startswith(f"warning: the provider mirror {mirror} has AWS provider 7.0.0, ")

    def test_fails_when_terraform_would_use_only_the_provider_mirror(
        self, mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(provider_mirror, "usual_places", lambda _environment: [mirror])
        monkeypatch.setattr(provider_mirror, "_implied_places", lambda _environment: [mirror])
        assert main(["check", str(EXAMPLE)]) == 2
        assert capsys.readouterr().err.startswith(f"the provider mirror {mirror} has AWS provider 7.0.0, ")

    @pytest.mark.parametrize("version", ["= 5.99.0", ">= 7.0", "~> 4.67", "< 5.100", "!= 6.0.0, >= 6.0, < 6.0.1"])
    def test_fails_when_the_file_allows_unsupported_versions_only(
        self, version: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("deployment.yaml").write_text(f'provider: {{version: "{version}"}}\n' + USABLE)
        assert main(["check"]) == 2
        assert capsys.readouterr().err == (
            f"deployment.yaml:1: provider.version: {version!r} allows no version of the AWS provider that Tapstack "
            "supports: expected one of >= 5.100.0, < 7.0.0\n"
        )

    @pytest.mark.parametrize(
        "version", ["5.100.0", "~> 5.90", ">= 4", "> 6.0.0, != 6.0.1", "< 6", "!= 5.100.0, < 5.101"]
    )
    def test_when_the_file_allows_a_supported_version_too_then_it_is_valid(self, version: str) -> None:
        Path("deployment.yaml").write_text(f'provider: {{version: "{version}"}}\n' + USABLE)
        assert main(["check"]) == 0


def test_when_nothing_listens_then_the_registry_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "REGISTRY", "http://127.0.0.1:9/")
    assert not machine.registry_answers()
