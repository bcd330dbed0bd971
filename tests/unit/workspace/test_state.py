import json
from pathlib import Path
from typing import Any

import pytest

from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment, LocalBackend, S3Backend
from tapstack.settings.problems import DeploymentError
from tapstack.workspace import state
from tests.unit.settings.reading import USABLE

LOCAL = "backend: {local: {}}\n"
S3 = "backend: {s3: {bucket: states, region: eu-central-1, key_prefix: security/tap}}\n"
FULL: dict[str, Any] = {"resources": [{"mode": "managed"}, {"mode": "data"}, {"mode": "managed"}]}


def deployment(backend: str = LOCAL) -> Deployment:
    return parse_deployment(backend + USABLE)


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def record(outdir: Path, kind: str, **config: str) -> None:
    """Leave what `terraform init` leaves."""
    file = outdir / "stacks" / "production" / ".terraform" / "terraform.tfstate"
    write(file, {"version": 3, "backend": {"type": kind, "config": config}})


class TestPlaces:
    def test_when_state_is_local_then_it_lies_below_the_deployment_file(self, tmp_path: Path) -> None:
        assert state.local_state_file(LocalBackend(), "tap", "production", tmp_path) == (
            tmp_path / "state" / "tap" / "production.tfstate"
        )
        assert state.local_state_file(LocalBackend(directory="/var/states"), "tap", "a", tmp_path) == Path(
            "/var/states/tap/a.tfstate"
        )

    @pytest.mark.parametrize("checkout", ["one", "some/where/else"])
    def test_when_the_checkout_moves_then_the_backends_path_stays(self, tmp_path: Path, checkout: str) -> None:
        base = tmp_path / checkout
        path = state.local_backend_path(LocalBackend(), "tap", "production", base, base / "cdktf.out")
        assert path == "../../../state/tap/production.tfstate"

    def test_when_the_output_lies_elsewhere_then_the_path_leads_there(self, tmp_path: Path) -> None:
        path = state.local_backend_path(LocalBackend(), "tap", "a", tmp_path / "base", tmp_path / "out")
        assert path == "../../../base/state/tap/a.tfstate"

    def test_when_state_is_in_s3_then_its_key_names_project_and_site(self) -> None:
        backend = S3Backend(bucket="states", region="eu-central-1")
        assert state.s3_state_key(backend, "tap", "production") == "tapstack/tap/production.tfstate"


class TestCounting:
    @pytest.mark.parametrize(
        ("content", "count"),
        [
            (FULL, 2),
            ({"resources": []}, 0),
            ({}, 0),
            ({"resources": None}, 0),
            ([], 0),
            ({"resources": ["x"]}, 0),
            ("", 0),
            ("{", 0),
        ],
    )
    def test_when_a_state_file_is_read_then_what_it_manages_is_counted(
        self, tmp_path: Path, content: Any, count: int
    ) -> None:
        assert state.count_resources(write(tmp_path / "a.tfstate", content)) == count

    def test_when_there_is_no_state_file_then_it_manages_nothing(self, tmp_path: Path) -> None:
        assert state.count_resources(tmp_path / "none.tfstate") == 0


class TestRecord:
    def test_when_terraform_was_initialized_then_its_record_is_read(self, tmp_path: Path) -> None:
        record(tmp_path, "s3", bucket="states", key="k", region="eu-central-1", encrypt="true")
        assert state.recorded_backend(tmp_path, "production") == {
            "type": "s3",
            "path": None,
            "bucket": "states",
            "key": "k",
            "region": "eu-central-1",
        }

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", {"backend": None}, {"backend": {"type": "s3"}}, {"backend": {"type": "s3", "config": None}}],
    )
    def test_when_the_record_cannot_be_read_then_there_is_none(self, tmp_path: Path, content: Any) -> None:
        write(tmp_path / "stacks" / "production" / ".terraform" / "terraform.tfstate", content)
        assert state.recorded_backend(tmp_path, "production") is None

    def test_when_there_is_no_record_then_there_is_none(self, tmp_path: Path) -> None:
        assert state.recorded_backend(tmp_path, "production") is None


class TestLostState:
    def test_fails_when_s3_would_begin_empty_beside_a_full_local_state(self, tmp_path: Path) -> None:
        full = write(tmp_path / "state" / "tapstack" / "production.tfstate", FULL)
        with pytest.raises(DeploymentError) as caught:
            state.refuse_lost_state(deployment(S3), "tap.yaml", tmp_path, tmp_path / "cdktf.out")
        assert str(caught.value) == (
            f"tap.yaml: backend.s3: {full} still holds resources, and a new state in S3 would know nothing of them. "
            "Move it: put `backend: {local: {}}` back, run `make diff ARGS=<site>` once, change to s3 again and run "
            '`make deploy ARGS="<site> --migrate-state"`. If it was moved before, or those resources are gone, delete '
            "the file: Terraform leaves it behind"
        )

    def test_fails_when_the_full_local_state_lay_in_another_directory(self, tmp_path: Path) -> None:
        full = write(tmp_path / "states" / "tapstack" / "production.tfstate", FULL)
        with pytest.raises(DeploymentError) as caught:
            state.refuse_lost_state(deployment(S3), "tap.yaml", tmp_path, tmp_path / "cdktf.out")
        assert f"{full} still holds resources" in str(caught.value)
        assert "put `backend: {local: {directory: states}}` back" in str(caught.value)

    def test_when_terraform_has_its_own_record_then_it_asks_itself(self, tmp_path: Path) -> None:
        write(tmp_path / "state" / "tapstack" / "production.tfstate", FULL)
        record(tmp_path / "cdktf.out", "local", path="../../../state/tapstack/production.tfstate")
        state.refuse_lost_state(deployment(S3), "tap.yaml", tmp_path, tmp_path / "cdktf.out")

    @pytest.mark.parametrize("content", [{"resources": []}, {"resources": [{"mode": "data"}]}])
    def test_when_the_local_state_manages_nothing_then_nothing_is_lost(self, tmp_path: Path, content: Any) -> None:
        write(tmp_path / "state" / "tapstack" / "production.tfstate", content)
        state.refuse_lost_state(deployment(S3), "tap.yaml", tmp_path, tmp_path / "cdktf.out")

    def test_when_state_stays_local_then_nothing_is_lost(self, tmp_path: Path) -> None:
        write(tmp_path / "state" / "tapstack" / "production.tfstate", FULL)
        state.refuse_lost_state(deployment(LOCAL), "tap.yaml", tmp_path, tmp_path / "cdktf.out")


class TestWarnings:
    OLD_PATH = "../../../old/tapstack/production.tfstate"
    PATH = "../../../state/tapstack/production.tfstate"
    KEY = "security/tap/tapstack/production.tfstate"
    ADVICE = (
        'Terraform will stop and ask; `make deploy ARGS="production --migrate-state"` moves it (with '
        "--skip-provider-lock where the registry cannot be reached)"
    )

    def warnings(self, directory: Path, backend: str) -> list[str]:
        return state.state_warnings(deployment(backend), directory, directory / "cdktf.out")

    def test_when_there_is_neither_record_nor_state_then_there_is_no_message(self, tmp_path: Path) -> None:
        assert self.warnings(tmp_path, LOCAL) == []
        assert self.warnings(tmp_path, S3) == []

    def test_when_the_backend_is_the_same_then_there_is_no_message(self, tmp_path: Path) -> None:
        record(tmp_path / "cdktf.out", "local", path=self.PATH)
        assert self.warnings(tmp_path, LOCAL) == []
        record(tmp_path / "cdktf.out", "s3", bucket="states", key=self.KEY, region="eu-central-1")
        assert self.warnings(tmp_path, S3) == []

    @pytest.mark.parametrize(
        ("kind", "config", "backend", "moved"),
        [
            (
                "local",
                {"path": OLD_PATH},
                LOCAL,
                "{here}/old/tapstack/production.tfstate and is to be kept in {here}/state/tapstack/production.tfstate",
            ),
            (
                "local",
                {"path": PATH},
                S3,
                f"{{here}}/state/tapstack/production.tfstate and is to be kept in s3://states/{KEY}",
            ),
            (
                "s3",
                {"bucket": "b", "key": "k"},
                LOCAL,
                "s3://b/k and is to be kept in {here}/state/tapstack/production.tfstate",
            ),
            (
                "s3",
                {"bucket": "states", "key": "old", "region": "eu-central-1"},
                S3,
                f"s3://states/old and is to be kept in s3://states/{KEY}",
            ),
            ("gcs", {"prefix": "x"}, LOCAL, "gcs and is to be kept in {here}/state/tapstack/production.tfstate"),
        ],
    )
    def test_when_the_backend_changed_then_it_is_explained(
        self, tmp_path: Path, kind: str, config: dict[str, str], backend: str, moved: str
    ) -> None:
        record(tmp_path / "cdktf.out", kind, **config)
        moved = moved.format(here=tmp_path)
        assert self.warnings(tmp_path, backend) == [f"site production: its state was kept in {moved}. {self.ADVICE}"]

    def test_when_a_path_lies_below_the_working_directory_then_it_is_shown_from_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        record(tmp_path / "cdktf.out", "local", path="../../../../elsewhere/x.tfstate")
        [warning] = self.warnings(Path(), LOCAL)
        assert f"was kept in {tmp_path.parent}/elsewhere/x.tfstate and is to be kept in state/tapstack/" in warning

    @pytest.mark.parametrize(
        ("kind", "config", "backend", "was"),
        [
            ("local", {"path": "../../../state/old/production.tfstate"}, LOCAL, "{here}/state/old/production.tfstate"),
            (
                "local",
                {"path": "../../../../elsewhere/state/old/production.tfstate"},
                LOCAL,
                "{up}/elsewhere/state/old/production.tfstate",
            ),
            ("local", {"path": "../../../state/old/production.tfstate"}, S3, "{here}/state/old/production.tfstate"),
            (
                "s3",
                {"bucket": "states", "key": "security/tap/old/production.tfstate", "region": "eu-central-1"},
                S3,
                "s3://{bucket}/{key}",
            ),
        ],
    )
    def test_when_the_project_changed_then_its_old_name_is_asked_for(
        self, tmp_path: Path, kind: str, config: dict[str, str], backend: str, was: str
    ) -> None:
        record(tmp_path / "cdktf.out", kind, **config)
        [warning] = self.warnings(tmp_path, backend)
        was = was.format(here=tmp_path, up=tmp_path.parent, **config)
        assert warning.startswith(f"site production: its state was kept in {was} and is to be kept in ")
        assert warning.endswith(
            ". Terraform will stop. Do not migrate: restore `project: old`, or name another directory for what is "
            "synthesized of this project with --output"
        )

    def test_when_the_state_has_moved_to_s3_then_what_it_left_behind_is_reported(self, tmp_path: Path) -> None:
        left = write(tmp_path / "state" / "tapstack" / "production.tfstate", FULL)
        record(tmp_path / "cdktf.out", "s3", bucket="states", key=self.KEY, region="eu-central-1")
        assert self.warnings(tmp_path, S3) == [
            f"{left} is left over from before the state moved to s3://states/{self.KEY}: delete it"
        ]

    def test_when_a_response_is_gone_but_its_state_is_full_then_it_is_reported(self, tmp_path: Path) -> None:
        orphan = write(tmp_path / "state" / "tapstack" / "production-response.tfstate", FULL)
        assert self.warnings(tmp_path, LOCAL) == [
            f"{orphan} holds 2 resources of the response of site production, which the deployment file no longer has: "
            'put sites.production.response back and destroy it (make destroy ARGS="production-response")'
        ]

    def test_when_a_site_is_gone_but_its_state_is_full_then_it_is_reported(self, tmp_path: Path) -> None:
        directory = tmp_path / "state" / "tapstack"
        orphan = write(directory / "former.tfstate", FULL)
        write(directory / "emptied.tfstate", {"resources": []})
        write(directory / "production.tfstate", FULL)
        write(tmp_path / "state" / "other" / "former.tfstate", FULL)
        assert self.warnings(tmp_path, LOCAL) == [
            f"{orphan} holds 2 resources of site former, which the deployment file no longer has: put the site back "
            "and destroy it, or give the site its old name"
        ]
