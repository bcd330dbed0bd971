import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapstack.settings.load import deployment_path, load_deployment, parse_deployment
from tapstack.settings.problems import DeploymentError
from tests.unit.settings.reading import SITE, USABLE, report

ROOT = Path(__file__).parents[3]
SITE_KEYS = (
    "accept_unknown_region, allowed_account_ids, assume_role, capture_security_group, filters, packet_basics, "
    "quarantine_security_group, region, remove_packet_basics, response, sessions, tags, targets, vpc_id, xdr"
)


def test_when_the_example_is_read_then_it_has_its_sites_in_order() -> None:
    deployment = load_deployment(ROOT / "deployment.yaml")
    assert list(deployment.sites) == ["production", "shared-services"]
    assert list(deployment.sites["production"].sessions) == ["web-servers", "checkout"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            SITE + "    regoin: eu-central-1\n",
            f"5: sites.production.regoin: unknown key; did you mean region? known here: {SITE_KEYS}",
            id="unknown key with a neighbour",
        ),
        pytest.param(
            SITE + "    wibble: 1\n",
            f"5: sites.production.wibble: unknown key; known here: {SITE_KEYS}",
            id="unknown key without a neighbour",
        ),
        pytest.param(
            SITE.replace("production", "tags") + "    regoin: x\n",
            f"5: sites.tags.regoin: unknown key; did you mean region? known here: {SITE_KEYS}",
            id="unknown key in a site that is called like a field",
        ),
        pytest.param(
            "site: {}\n" + USABLE,
            "1: site: unknown key; did you mean sites? known here: backend, project, provider, sites, tags",
            id="unknown key at the top",
        ),
        pytest.param(
            USABLE + "    assume_role: {}\n",
            "9: sites.production.assume_role.role_arn: is missing: the role",
            id="missing key",
        ),
        pytest.param(
            "project: tap\n",
            "1: sites: is missing: sites by name; each becomes a Terraform stack, its telemetry and its response one "
            "more each",
            id="missing sites",
        ),
        pytest.param("sites: {}\n", "1: sites: expected at least 1 entry", id="no site"),
        pytest.param(
            USABLE + "    sessions: {web: {sources: [i-0123abcd]}}\n",
            "9: sites.production.sessions.web.sources[0]: expected the id of a network interface (eni-...), or "
            "{instance_id: i-0123abcd} for all interfaces there",
            id="an instance as a source",
        ),
        pytest.param(
            "sites:\n",
            "1: sites: expected a mapping such as {name: {region: eu-central-1, vpc_id: "
            "vpc-0123456789abcdef0}}, got nothing",
            id="nothing after the colon",
        ),
        pytest.param(
            USABLE + "    allowed_account_ids: [111122223333]\n",
            "9: sites.production.allowed_account_ids[0]: expected text (put it in quotes), got 111122223333",
            id="account id without quotes",
        ),
        pytest.param(
            USABLE + "    allowed_account_ids:\n      - '111122223333'\n      - '11112222333'\n",
            "11: sites.production.allowed_account_ids[1]: '11112222333' is not the id of an account: "
            'expected the form "111122223333" (12 digits, quoted)',
            id="item of a list",
        ),
        pytest.param(
            USABLE + "      public_ip: 'yes'\n",
            "9: sites.production.packet_basics.public_ip: expected true or false, got 'yes'",
            id="text for a boolean",
        ),
        pytest.param(
            USABLE + "    filters: {f: {preset: [web]}}\n",
            "9: sites.production.filters.f.preset: expected 'everything', 'everything_but_intra_vpc', 'web' or 'dns', "
            "got ['web']",
            id="a list for a word",
        ),
        pytest.param(
            USABLE + "    response: {policy: [{name: a, action: notify, severity: {at_least: high}}]}\n",
            "9: sites.production.response.policy[0].severity.at_least: expected a number, 0.0 to 10.0, got 'high'",
            id="a word for a number",
        ),
        pytest.param(
            USABLE + "      timeout_minutes: '30'\n",
            "9: sites.production.packet_basics.timeout_minutes: expected a whole number, 5 to 240, got '30'",
            id="text for a number",
        ),
        pytest.param(
            USABLE + "      timeout_minutes: 4\n",
            "9: sites.production.packet_basics.timeout_minutes: expected at least 5, got 4",
            id="number too small",
        ),
        pytest.param(
            USABLE + "      timeout_minutes: 241\n",
            "9: sites.production.packet_basics.timeout_minutes: expected at most 240, got 241",
            id="number too large",
        ),
        pytest.param(
            USABLE + "      on_failure: RETRY\n",
            "9: sites.production.packet_basics.on_failure: expected 'ROLLBACK', 'DELETE' or 'DO_NOTHING', got 'RETRY'",
            id="none of the choices",
        ),
        pytest.param(
            USABLE + "      notification_arns: [x, x, x, x, x, x]\n",
            "9: sites.production.packet_basics.notification_arns: expected at most 5 entries, got 6",
            id="too many items",
        ),
        pytest.param(
            USABLE + "    filters: []\n",
            "9: sites.production.filters: expected a mapping such as {name: {preset: everything}}, got []",
            id="list for a mapping",
        ),
        pytest.param(
            USABLE + "    sessions: {web: {sources: eni-0123abcd}}\n",
            "9: sites.production.sessions.web.sources: expected a list such as [eni-0123456789abcdef0], "
            "got 'eni-0123abcd'",
            id="text for a list",
        ),
        pytest.param(
            USABLE + "    sessions: {web: {sources: [5]}}\n",
            "9: sites.production.sessions.web.sources[0]: expected a mapping such as "
            "{network_interface_id: eni-0123456789abcdef0}, got 5",
            id="number for a source",
        ),
        pytest.param(
            USABLE + "    tags: {stage: }\n", "9: sites.production.tags.stage: expected text, got nothing", id="no text"
        ),
        pytest.param(
            USABLE + "    response: {containment: {modes: approval}}\n",
            "9: sites.production.response.containment.modes: expected a list such as [approval], got 'approval'",
            id="a word for a list of words",
        ),
        pytest.param(
            USABLE + "    tags: prod\n",
            "9: sites.production.tags: expected a mapping such as {application: checkout}, got 'prod'",
            id="text for tags",
        ),
        pytest.param(
            USABLE + "    tags: {stage: 1}\n",
            "9: sites.production.tags.stage: expected text (put it in quotes), got 1",
            id="number for a tag",
        ),
        pytest.param(
            USABLE + "    tags:\n      'aws:x': y\n",
            "10: sites.production.tags.aws:x: tag key 'aws:x' is reserved: AWS sets those that begin with aws:",
            id="wrong tag key",
        ),
        pytest.param(
            USABLE.replace("production", "Production"),
            "2: sites.Production: 'Production' is not a usable name: expected 1 to 40 lower-case letters, digits or "
            "hyphens, beginning with a letter",
            id="wrong name",
        ),
        pytest.param(
            USABLE + "    tags: {a: " + "v" * 300 + "}\n",
            "9: sites.production.tags.a: a tag value holds at most 256 characters, got 300",
            id="long value",
        ),
        pytest.param(
            "backend: {s3: {bucket: b, region: eu-central-1}}\n" + USABLE,
            "1: backend.s3.bucket: 'b' is not the name of a bucket: expected 3 to 63 lower-case letters, digits, dots "
            "and hyphens, beginning and ending with a letter or digit, no two dots together and no IP address",
            id="text too short",
        ),
        pytest.param(
            "backend: {s3: {bucket: My_Bucket, region: eu-central-1}}\n" + USABLE,
            "1: backend.s3.bucket: 'My_Bucket' is not the name of a bucket: expected 3 to 63 lower-case letters, "
            "digits, dots and hyphens, beginning and ending with a letter or digit, no two dots together and no IP "
            "address",
            id="a misspelt bucket",
        ),
        *(
            pytest.param(
                f"backend: {{s3: {{bucket: {name}, region: eu-central-1}}}}\n" + USABLE,
                f"1: backend.s3.bucket: {name!r} is not the name of a bucket: expected 3 to 63 lower-case letters, "
                "digits, dots and hyphens, beginning and ending with a letter or digit, no two dots together and no IP "
                "address",
                id=f"the bucket {name}",
            )
            for name in ("a..b", "192.168.1.1")
        ),
        pytest.param(
            "backend: {s3: {bucket: state, region: eu-central-1, key_prefix: /a}}\n" + USABLE,
            "1: backend.s3.key_prefix: '/a' is not a prefix of keys: expected 1 to 512 letters, digits, commas, inner "
            "spaces and signs of !_.'()/&$@=;:+-, with names that are not empty, . or .. between its slashes",
            id="text of another form",
        ),
        *(
            pytest.param(
                f"backend: {{s3: {{bucket: {name}, region: eu-central-1}}}}\n" + USABLE,
                f"1: backend.s3.bucket: {name!r} is reserved: S3 keeps bucket names that begin with xn--, sthree- or "
                "amzn-s3-demo-, or end with -s3alias, --ol-s3, .mrap, --x-s3 or --table-s3, for uses of its own",
                id=f"the bucket {name}",
            )
            for name in ("xn--a", "sthree-states", "states-s3alias", "states--ol-s3", "states.mrap", "states--x-s3")
        ),
        *(
            pytest.param(
                f"backend: {{s3: {{bucket: state, region: eu-central-1, key_prefix: {prefix!r}}}}}\n" + USABLE,
                f"1: backend.s3.key_prefix: {prefix!r} is not a prefix of keys: expected 1 to 512 letters, digits, "
                "commas, inner spaces and signs of !_.'()/&$@=;:+-, with names that are not empty, . or .. between its "
                "slashes",
                id=f"the prefix {prefix[:20]}",
            )
            for prefix in (
                "a/",
                ".",
                "..",
                "a/../b",
                "../b",
                "a/.",
                "a//b",
                " a",
                "a ",
                "a*",
                "a?",
                "\u00e9",
                "a" * 513,
            )
        ),
    ],
)
def test_fails_when_one_thing_is_wrong_and_names_file_line_field_and_value(text: str, expected: str) -> None:
    assert report(text) == [f"deployment.yaml:{expected}"]


def test_fails_when_many_things_are_wrong_and_names_them_all_by_line() -> None:
    text = """\
project: Tap
tags: {owner: 5}
provider:
  max_retries: 101
sites:
  production:
    vpc_id: vpc-1
    quarantine_security_group: maybe
    zones: []
"""
    assert report(text) == [
        "deployment.yaml:1: project: 'Tap' is not a usable name: expected 1 to 40 lower-case letters, digits or "
        "hyphens, beginning with a letter",
        "deployment.yaml:2: tags.owner: expected text (put it in quotes), got 5",
        "deployment.yaml:4: provider.max_retries: expected at most 100, got 101",
        "deployment.yaml:6: sites.production.region: is missing: the Region",
        "deployment.yaml:7: sites.production.vpc_id: 'vpc-1' is not the id of a VPC: expected the form "
        "vpc-0123456789abcdef0; it has 1 digit after vpc-, expected 8 or 17",
        "deployment.yaml:8: sites.production.quarantine_security_group: expected true or false, got 'maybe'",
        f"deployment.yaml:9: sites.production.zones: unknown key; known here: {SITE_KEYS}",
    ]


class TestFiles:
    @pytest.fixture(autouse=True)
    def work_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def refused(self, path: Path) -> str:
        with pytest.raises(DeploymentError) as caught:
            load_deployment(path)
        return str(caught.value)

    def test_fails_when_there_is_no_such_file_and_says_where_it_was_sought(self, tmp_path: Path) -> None:
        hint = (
            "create it, or name another one in $TAPSTACK_DEPLOYMENT, in the cdktf context value 'deployment', or to "
            "the command (--deployment, or FILE of check)"
        )
        sought = f"there/none.yaml: no such file ({tmp_path / 'there/none.yaml'}): {hint}"
        assert self.refused(Path("there/none.yaml")) == sought
        assert self.refused(tmp_path / "there/none.yaml") == sought
        assert self.refused(tmp_path.parent / "none.yaml") == f"{tmp_path.parent / 'none.yaml'}: no such file: {hint}"

    def test_fails_when_values_are_in_curly_quotes_and_names_them_on_each_line(self, tmp_path: Path) -> None:
        (tmp_path / "deployment.yaml").write_text(
            "sites:\n  lab:\n    region: \u201ceu-central-1\u201d\n    vpc_id: \u2018vpc-0a1b2c3d4e5f60718\u2019\n"
            "    targets: {t: {network_interface_id: eni-0a000000000000001}}\n"
            "    quarantine_security_group: \u201ctrue\u201d\n",
            encoding="utf-8",
        )
        lines = self.refused(Path("deployment.yaml")).splitlines()
        assert [line.split(":")[1] for line in lines] == ["3", "4", "6"]
        assert all("curly quotes (\u201c \u201d) are part of the value" in line for line in lines)

    def test_when_values_in_curly_quotes_pass_then_each_is_warned_of(self) -> None:
        deployment = parse_deployment(
            USABLE + "    sessions:\n"
            "      s: {sources: [{tags: {application: \u201ccheckout\u201d}},\n"
            "                    {tags: {\u201cteam\u201d: the \u2018web\u2019 team}}]}\n"
            "    response:\n"
            "      policy: [{name: p, action: capture, tags: {application: \u201c*\u201d}}]\n"
            "      containment:\n"
            "        protect: {tags: {stage: \u201cnever\u201d}}\n"
        )
        site = "sites.production"
        assert [line.partition(" is written with a quote; curly quotes")[0] for line in deployment.warnings()] == [
            f"deployment.yaml:10: {site}.sessions.s.sources[0].tags.application: the value '\u201ccheckout\u201d'",
            f"deployment.yaml:11: {site}.sessions.s.sources[1].tags.\u201cteam\u201d: the key '\u201cteam\u201d'",
            f"deployment.yaml:13: {site}.response.policy[0].tags.application: the value '\u201c*\u201d'",
            f"deployment.yaml:15: {site}.response.containment.protect.tags.stage: the value '\u201cnever\u201d'",
        ]

    def test_fails_when_the_file_is_a_directory(self, tmp_path: Path) -> None:
        (tmp_path / "deployment.yaml").mkdir()
        assert self.refused(Path("deployment.yaml")) == "deployment.yaml: is a directory: expected a YAML file"

    def test_fails_when_the_file_is_not_utf_8(self, tmp_path: Path) -> None:
        (tmp_path / "deployment.yaml").write_bytes("sites:\nproject: zürich".encode("latin-1"))
        assert self.refused(Path("deployment.yaml")) == "deployment.yaml:2: is not UTF-8 text (byte 17)"

    def test_fails_when_the_file_leads_to_itself(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        assert self.refused(Path("loop")) == "loop: cannot be read: Too many levels of symbolic links"

    def test_fails_when_the_file_is_no_regular_one(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        for path in (Path("fifo"), Path("/dev/zero")):
            assert self.refused(path) == f"{path}: is no regular file: expected a YAML file"

    def test_fails_when_the_file_is_too_large_to_be_meant(self, tmp_path: Path) -> None:
        with (tmp_path / "large").open("wb") as file:
            file.truncate((16 << 20) + 1)
        assert self.refused(Path("large")) == "large: is larger than 16 MiB: expected a YAML file"

    def test_fails_when_the_file_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert self.refused(Path("file/deployment.yaml")) == "file/deployment.yaml: cannot be read: Not a directory"

    @pytest.mark.parametrize("content", ["", "\n\n", "# nothing but a comment\n"])
    def test_fails_when_the_file_is_empty(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "deployment.yaml").write_text(content)
        assert self.refused(Path("deployment.yaml")) == (
            "deployment.yaml: the file is empty: expected a mapping with `sites`"
        )

    def test_fails_when_the_file_lies_elsewhere_and_names_its_whole_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "deployment.yaml").write_text("sites: {}")
        monkeypatch.chdir(tmp_path / "work")
        assert self.refused(Path("../deployment.yaml")) == "../deployment.yaml:1: sites: expected at least 1 entry"
        assert (
            self.refused(tmp_path / "deployment.yaml")
            == f"{tmp_path}/deployment.yaml:1: sites: expected at least 1 entry"
        )

    def test_when_a_windows_editor_wrote_the_file_then_it_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "deployment.yaml").write_bytes(USABLE.replace("\n", "\r\n").encode("utf-8-sig"))
        assert load_deployment(Path("deployment.yaml")) == parse_deployment(USABLE)


class TestDeploymentPath:
    def test_when_nothing_is_given_then_it_is_the_default(self, tmp_path: Path) -> None:
        assert deployment_path(tmp_path, {}) == tmp_path / "deployment.yaml"

    def test_when_it_is_set_in_several_places_then_the_nearest_wins(self, tmp_path: Path) -> None:
        (tmp_path / "cdktf.json").write_text('{"context": {"deployment": "from-file.yaml"}}')
        passed = {"CDKTF_CONTEXT_JSON": '{"deployment": "from-context.yaml"}'}
        assert deployment_path(tmp_path, {}) == tmp_path / "from-file.yaml"
        assert deployment_path(tmp_path, passed) == tmp_path / "from-context.yaml"
        assert deployment_path(tmp_path, {**passed, "TAPSTACK_DEPLOYMENT": "mine.yaml"}) == Path.cwd() / "mine.yaml"

    def test_when_the_path_is_absolute_then_it_stays(self, tmp_path: Path) -> None:
        assert deployment_path(tmp_path, {"TAPSTACK_DEPLOYMENT": "/etc/tap.yaml"}) == Path("/etc/tap.yaml")

    @pytest.mark.parametrize("content", ["{}", '{"context": {}}', '{"context": {"deployment": null}}'])
    def test_when_the_context_says_nothing_then_it_is_the_default(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "cdktf.json").write_text(content)
        assert deployment_path(tmp_path, {"CDKTF_CONTEXT_JSON": ""}) == tmp_path / "deployment.yaml"
        assert deployment_path(tmp_path, {"CDKTF_CONTEXT_JSON": "{}"}) == tmp_path / "deployment.yaml"

    @pytest.mark.parametrize("content", ["{", "[]", "null", '{"context": 5}'])
    def test_fails_when_cdktf_json_cannot_be_read(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "cdktf.json").write_text(content)
        with pytest.raises(DeploymentError, match="^cdktf.json: cannot be read as a JSON object: "):
            deployment_path(tmp_path, {})

    @pytest.mark.parametrize("content", ["{", "[]", "null", '"deployment"'])
    def test_fails_when_the_context_cannot_be_read(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(DeploymentError, match=r"^\$CDKTF_CONTEXT_JSON: cannot be read as a JSON object: "):
            deployment_path(tmp_path, {"CDKTF_CONTEXT_JSON": content})

    @pytest.mark.parametrize(("value", "shown"), [("5", "5"), ('""', "''"), ("[]", "[]"), ("false", "False")])
    def test_fails_when_the_context_value_is_no_path(self, tmp_path: Path, value: str, shown: str) -> None:
        (tmp_path / "cdktf.json").write_text(f'{{"context": {{"deployment": {value}}}}}')
        with pytest.raises(DeploymentError) as caught:
            deployment_path(tmp_path, {})
        assert str(caught.value) == (
            f"cdktf.json: context.deployment: expected the path of a deployment file, got {shown}"
        )


@pytest.mark.thorough
def test_when_a_file_is_read_then_neither_cdktf_nor_boto3_is_imported() -> None:
    program = (
        "import json, sys, pathlib\n"
        "from tapstack.settings.load import load_deployment\n"
        "load_deployment(pathlib.Path('deployment.yaml'))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "pydantic" in imported
    assert not imported & {"cdktf", "cdktn", "jsii", "constructs", "boto3", "botocore", "stacks"}
    assert "tapstack.bindings" not in json.loads(done.stdout)


def test_fails_when_a_wrong_id_would_be_handed_on_and_names_it_once() -> None:
    for field in ("network_interface_id", "mirror_source", "subnet_id"):
        text = USABLE.replace("      subnet_id: subnet-0123456789abcdef0\n", "") if field == "subnet_id" else USABLE
        problems = report(f"{text}      {field}: 5\n")
        assert len(problems) == 1
        assert f"sites.production.packet_basics.{field}: expected text" in problems[0]
