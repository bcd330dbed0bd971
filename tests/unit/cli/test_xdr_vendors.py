"""The mappings of docs/xdr.md for vendors: each sample leads to its instance, and what is not certain to none."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tapstack.cli import main
from tapstack.settings.load import parse_deployment
from tests.unit.settings.reading import USABLE

ROOT: Final = Path(__file__).resolve().parents[3]
SAMPLES: Final = ROOT / "examples/alerts"
PAGE: Final = (ROOT / "docs/xdr.md").read_text(encoding="utf-8")
INSTANCE: Final = "i-0a000000000000001"
BY_ADDRESS: Final = {"private_ip": "10.0.1.10", "vpc_id": "vpc-0a1b2c3d4e5f60718"}
# What each sample says, as its vendor means it.
EXPECTED: Final[dict[str, dict[str, Any]]] = {
    "crowdstrike": {
        "id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9:ind:1f2e3d4c5b6a79880716253443526170:399748687993-10357-42627600",
        "type": "C2Beacon",
        "severity": 7.0,
        "level": "high",
        "techniques": ["T1071"],
        "last_seen": "2026-11-26T11:59:52Z",
        "instance_ids": [INSTANCE],
    },
    "sentinel": {
        "id": "9c1d7f04-52ab-4c36-8e0d-7b1a2f3c4d5e",
        "type": "Beacon in VPC Flow Logs",
        "severity": 7.0,
        "level": "high",
        "techniques": ["T1071"],
        "last_seen": "2026-11-26T12:00:00Z",
        **BY_ADDRESS,
    },
    "elastic": {
        "id": "b7c1f0e2d3a4958677869504132f4e5d6c7b8a90112233445566778899aabbcc",
        "type": "Beacon to a known host",
        "severity": 7.0,
        "level": "high",
        "techniques": ["T1071", "T1071.001"],
        "last_seen": "2026-11-26T11:57:30Z",
        "instance_ids": [INSTANCE],
    },
    "cortex": {
        "id": "7340012",
        "type": "Beaconing to a rare external host",
        "severity": 7.0,
        "level": "high",
        "techniques": ["T1071.001"],
        "last_seen": "2026-11-26T11:59:00Z",
        **BY_ADDRESS,
    },
}
Printed = pytest.CaptureFixture[str]


def block(beginning: str) -> Any:
    """The YAML of the page that begins so."""
    [found] = [one for one in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S) if one.startswith(beginning)]
    return yaml.safe_load(found)


@pytest.fixture(autouse=True)
def _in_a_directory_with_the_mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON"):
        monkeypatch.delenv(name, raising=False)
    document = yaml.safe_load(USABLE)
    document["sites"]["production"] |= {
        "allowed_account_ids": ["111122223333"],
        "xdr": {},
        "response": {
            "alerts": block("alerts:\n  sources:\n    crowdstrike:")["alerts"],
            "policy": [
                {
                    "name": "beacons",
                    "sources": list(EXPECTED),
                    "techniques": ["T1071"],
                    "tactics": ["CommandAndControl"],
                    "severity": {"at_least": 7.0},
                    "action": "capture",
                }
            ],
        },
    }
    Path("deployment.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.mark.parametrize("number", [0, 1])
def test_when_the_page_shows_a_site_then_the_file_is_right(number: int) -> None:
    shown = [one for one in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S) if one.startswith("sites:")]
    assert len(shown) == 2, "the page shows another one: try it here, too"
    document = yaml.safe_load(USABLE)
    site = document["sites"]["production"]
    site |= {
        "allowed_account_ids": ["111122223333"],
        "response": {},
        **yaml.safe_load(shown[number])["sites"]["production"],
    }
    assert parse_deployment(yaml.safe_dump(document)).sites["production"].xdr is not None


def sample(vendor: str) -> Any:
    return json.loads((SAMPLES / f"{vendor}.json").read_text(encoding="utf-8"))


def tried(vendor: str, document: Any, capsys: Printed) -> dict[str, Any]:
    Path("alert.json").write_text(json.dumps(document), encoding="utf-8")
    code = main(["xdr", "try", "alert.json", "--source", vendor, "--json"])
    printed = capsys.readouterr()
    found: dict[str, Any] = json.loads(printed.out)
    assert code == (0 if found["alerts"] else 2), printed.err
    return found


def test_every_mapping_has_a_sample() -> None:
    sources = block("alerts:\n  sources:\n    crowdstrike:")["alerts"]["sources"]
    assert set(sources) == set(EXPECTED) == {file.stem for file in SAMPLES.glob("*.json")}


@pytest.mark.parametrize("vendor", EXPECTED)
def test_when_a_vendor_sends_its_sample_then_the_instance_is_captured(vendor: str, capsys: Printed) -> None:
    found = tried(vendor, sample(vendor), capsys)
    assert found["unmatched"] == []
    [alert] = found["alerts"]
    about = {name: value for name, value in alert["target"].items() if value}
    expected: dict[str, Any] = {
        "tactics": ["CommandAndControl"],
        "account_id": "111122223333",
        "region": "eu-central-1",
        "archived": False,
        "left_out": [],
        **EXPECTED[vendor],
    }
    assert {name: {**alert, **about}[name] for name in expected} == expected
    [decision] = alert["decisions"]
    assert (decision["action"], decision["rule"]) == ("capture", "beacons")


def _changed(vendor: str, at: str, value: Any) -> Any:
    """A sample with another value at a path of names and places."""
    document = sample(vendor)
    place: Any = document
    *way, last = [int(one) if one.isdigit() else one for one in at.split("/")]
    for step in way:
        place = place[step]
    place[last] = value
    return document


TWO = ["10.0.1.10", "10.0.1.11"]
FIRST = "alerts/0"


@pytest.mark.parametrize(
    ("vendor", "at", "value", "reason"),
    [
        ("crowdstrike", "device/service_provider", "AZURE", "the mapping is for documents with"),
        ("crowdstrike", "device/instance_id", None, "it names no instance"),
        ("sentinel", "properties/relatedEntities/1/properties/address", "10.0.1.11", "private_ip: names 2"),
        ("sentinel", "properties/relatedEntities", [], "it names no instance"),
        ("sentinel", "properties/relatedEntities/0/properties", {}, "it names no instance"),
        ("elastic", f"{FIRST}/cloud/provider", "gcp", "it names no instance"),
        ("elastic", f"{FIRST}/cloud", None, "it names no instance"),
        ("cortex", "host_ip", TWO, "private_ip: names 2"),
        ("cortex", "host_ip", None, "it names no instance"),
        ("cortex", "severity", "unknown", "severity: expected"),
    ],
)
def test_fails_when_a_vendor_names_no_instance_for_certain(
    vendor: str, at: str, value: Any, reason: str, capsys: Printed
) -> None:
    found = tried(vendor, _changed(vendor, at, value), capsys)
    assert found["alerts"] == []
    assert reason in str(found["unmatched"])


@pytest.mark.parametrize(
    ("vendor", "at", "value"),
    [
        ("elastic", f"{FIRST}/kibana/alert/original_time", None),  # such as of a rule on machine learning
        ("cortex", "events", None),
        ("cortex", "events", []),
        ("cortex", "events", [{"event_timestamp": "11:59"}]),
    ],
)
def test_when_a_vendor_does_not_say_when_it_happened_then_the_time_of_detection_counts(
    vendor: str, at: str, value: Any, capsys: Printed
) -> None:
    [alert] = tried(vendor, _changed(vendor, at, value), capsys)["alerts"]
    assert (alert["last_seen"], alert["left_out"]) == ("2026-11-26T12:00:00Z", [])


@pytest.mark.parametrize(
    ("vendor", "at", "value"),
    [
        ("crowdstrike", "status", "closed"),
        ("sentinel", "properties/status", "Closed"),
        ("elastic", f"{FIRST}/kibana/alert/workflow_status", "closed"),
        ("cortex", "resolution_status", "STATUS_050_RESOLVED_DUPLICATE"),
    ],
)
def test_when_an_alert_is_closed_at_the_vendor_then_responders_are_only_notified(
    vendor: str, at: str, value: Any, capsys: Printed
) -> None:
    [alert] = tried(vendor, _changed(vendor, at, value), capsys)["alerts"]
    assert alert["archived"]
    assert alert["decisions"][0]["action"] == "notify"


def test_when_each_prefix_has_a_reader_for_sentinel_then_the_file_is_valid() -> None:
    document = yaml.safe_load(USABLE)
    readers = block("readers:\n  sentinel-flow:")["readers"]
    document["sites"]["production"]["xdr"] = {
        "flow_logs": {},
        "guardduty": {"detector_id": "12abc34d567e8fa901bc2d34e56789f0"},
        "readers": readers,
    }
    xdr = parse_deployment(yaml.safe_dump(document)).sites["production"].xdr
    assert xdr is not None
    assert [(one.preset, one.prefixes) for one in xdr.readers.values()] == [
        ("sentinel", ["flow"]),
        ("sentinel", ["guardduty"]),
    ]
