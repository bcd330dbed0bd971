"""Recorded packets in a store: a directory, and a bucket, which have to be found alike."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest
from jsonschema import Draft202012Validator
from moto import mock_aws

from scripts.recorded_packets_schema import schema
from tapstack.domain.errors import RuleViolation
from tapstack.packets.captures import CaptureError, CaptureReader
from tapstack.packets.handing_over import NO_COPIES, HandOver, hand_over
from tapstack.packets.s3 import LEAST_READ, S3Store
from tapstack.packets.storage import (
    DAY,
    LONG,
    NO_INCIDENT,
    SEVERAL,
    DirectoryStore,
    Found,
    ManifestError,
    RecordedInterface,
    Recorder,
    Store,
    choose,
    find,
    read_manifest,
    record,
    time_text,
    times_of,
)
from tests import made_captures
from tests import made_packets as made
from tests.unit.packets.hostile import A, B
from tests.unit.test_incident_event_schema import lost

SECOND = 10**9
NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * SECOND
WEB, OTHER = "eni-0a000000000000001", "eni-0a000000000000002"
INCIDENT = "inc-20260301T120000-k3v9x0ab"
INTERFACES = (RecordedInterface(WEB, 7, "tms-1", "10.0.1.5"), RecordedInterface(OTHER, 8, "tms-2", "10.0.1.6"))
FRAME = made.ethernet(made.ipv4(A, B, made.TCP, made.tcp(41000, 443, b"wanted")))
FIRST = Path(__file__).with_name("recorded-packets-1.first.json")
"""The schema as it was published first."""


def recorder(**changes: Any) -> Recorder:
    given: dict[str, Any] = {
        "id": "i-0a1-b2c3",
        "account_id": "111122223333",
        "region": "eu-central-1",
        "vpc_id": "vpc-0a000000000000001",
        "site": "production",
        "interfaces": INTERFACES,
        "vxlan_port": 4789,
    }
    return Recorder(**{**given, **changes})


class Counting:
    """A client of S3 that counts its calls, and what they read."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**values: Any) -> Any:
            self.calls.append((name, str(values.get("Key", values.get("StartAfter", values.get("Prefix"))))))
            return getattr(self._client, name)(**values)

        return call


@pytest.fixture(scope="module")
def bucket() -> Iterator[Counting]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "a")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="packets")
        yield Counting(client)


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kind: Literal["directory", "bucket"] = request.param
    if kind == "directory":
        (tmp_path / "store").mkdir()
        return DirectoryStore(tmp_path / "store")
    counting: Counting = request.getfixturevalue("bucket")
    counting.calls.clear()
    # Each test has a prefix of its own.
    return S3Store(f"s3://packets/{tmp_path.name}", counting)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the recorder has its closed files."""
    (tmp_path / "closed").mkdir()
    return tmp_path / "closed"


def closed(folder: Path, *packets: tuple[int, bytes], name: str = "a.pcap") -> Path:
    data = made_captures.pcap(packets, nanoseconds=True)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


def keep(store: Store, folder: Path, start: int, number: int, seconds: int = 59, **changes: Any) -> str:
    """Record a file with a packet of each interface at its start and its end; return its key."""
    copies = [made.mirrored(one.vni, FRAME) for one in INTERFACES if one.vni is not None]
    times = (start, start + seconds * SECOND)
    manifest = record(
        store, closed(folder, *((time, copy) for time in times for copy in copies)), recorder(**changes), number
    )
    assert manifest is not None
    return manifest.key


def keys(found: list[Found], store: Store) -> list[str]:
    return [str(one.capture.path).removeprefix(store.address("")).lstrip("/") for one in found]


def test_when_a_file_is_recorded_then_its_key_says_whose_and_when_and_its_manifest_what(
    store: Store, folder: Path
) -> None:
    file = closed(folder, (NOON + 5, made.mirrored(7, FRAME)), (NOON + 1, made.mirrored(8, FRAME)), name="x.pcap.gz")
    manifest = record(store, file, recorder(incident=INCIDENT), 3, dropped=2)
    assert manifest is not None
    assert manifest.key == (
        f"tapstack-packets-1/111122223333/eu-central-1/vpc-0a000000000000001/{INCIDENT}/several/2026/03/01/"
        "20260301T120000.000000001Z_20260301T120000.000000005Z_i-0a1-b2c3_00000003.pcap.gz"
    )
    assert times_of(manifest.key) == (NOON + 1, NOON + 5)
    kept = store.read(manifest.key, 1 << 20)
    assert kept == file.read_bytes()
    written = store.read(f"{manifest.key}.json", 1 << 20)
    assert written is not None
    assert read_manifest(written) == manifest
    found = json.loads(written)
    Draft202012Validator(schema()).validate(found)
    assert found["sha256"] == hashlib.sha256(kept).hexdigest()
    assert (found["packets"], found["dropped"], found["size"]) == (2, 2, len(kept))
    assert found["first_packet_at"] == "2026-03-01T12:00:00.000000001Z"
    assert found["interfaces"][0] == {
        "network_interface_id": WEB,
        "vni": 7,
        "session_id": "tms-1",
        "address": "10.0.1.5",
    }
    assert "problem" not in found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "vpc-0a000000000000001/no-incident/several/"),
        ({"vpc_id": None}, "production/no-incident/several/"),
        ({"interfaces": INTERFACES[:1], "incident": INCIDENT}, f"vpc-0a000000000000001/{INCIDENT}/{WEB}/"),
        ({"interfaces": (RecordedInterface(vni=9),)}, "vpc-0a000000000000001/no-incident/vni-9/"),
        ({"interfaces": ()}, "vpc-0a000000000000001/no-incident/several/"),
    ],
)
def test_when_less_is_known_then_the_folder_says_what_is(changes: dict[str, Any], said: str) -> None:
    assert recorder(**changes).folder == f"tapstack-packets-1/111122223333/eu-central-1/{said}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "a/b"}, "no id of a recorder"),
        ({"account_id": "../x"}, "account"),
        ({"region": "x/y"}, "Region"),
        ({"vpc_id": None, "site": None}, "needs a VPC or a site"),
        ({"vpc_id": "vpc-1/../.."}, "vpc"),
        ({"site": "../x"}, "../x"),
        ({"incident": "inc-1"}, "inc-1"),
        ({"interfaces": (RecordedInterface("eni-/"),)}, "eni-/"),
        ({"interfaces": (RecordedInterface(vni=1 << 24),)}, "16777216"),
    ],
)
def test_fails_when_what_becomes_part_of_a_key_has_another_form(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleViolation, match=said.replace(".", r"\.")):
        recorder(**changes)


def test_when_an_interval_is_meant_then_only_files_that_overlap_are_opened(
    store: Store, folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recorded = [keep(store, folder, NOON + minute * 60 * SECOND, minute + 1) for minute in range(10)]
    # A day before and one later, and one that lasts for longer than a day.
    early = keep(store, folder, NOON - 3 * DAY, 20)
    keep(store, folder, NOON + DAY, 21)
    long = keep(store, folder, NOON - 2 * DAY, 22, seconds=3 * 86400)
    since, until = NOON + 150 * SECOND, NOON + 250 * SECOND
    noted = HandOver()
    found = find(store, since=since, until=until, noted=noted)
    assert keys(found, store) == [long, *recorded[2:5]]
    assert all(one.manifest is not None for one in found)
    assert noted.problems == []
    if isinstance(store, S3Store):
        counting: Counting = request.getfixturevalue("bucket")
        read = [key.partition("/")[2] for name, key in counting.calls if name == "get_object"]
        assert read == [f"{key}.json" for key in [*recorded[2:5], long]]
        # Keys of dates are listed from the day before on, as far as the end, and then those that last longer.
        begin = f"{tmp_path.name}/{recorder().folder}"
        listed = [key for name, key in counting.calls if name == "list_objects_v2"]
        assert listed[-2:] == [f"{begin}2026/02/28", f"{begin}long"]
    assert keys(find(store), store) == [early, long, *recorded, keys(find(store), store)[-1]]
    assert [one.capture.last for one in find(store, until=NOON - 2 * DAY)] == [NOON - 3 * DAY + 59 * SECOND]


def test_when_files_are_found_then_their_packets_are_handed_over(store: Store, folder: Path) -> None:
    for minute in range(3):
        keep(store, folder, NOON + minute * 60 * SECOND, minute + 1, incident=INCIDENT)
    chosen = choose(find(store, since=NOON + 60 * SECOND), interfaces=frozenset({WEB}))
    out = io.BytesIO()
    result = hand_over(chosen.captures, out, labels=chosen.labels)
    assert (result.files, result.selected, result.problems) == (2, 4, [])
    out.seek(0)
    assert {interface.name for *_, interface in CaptureReader(out)} == {WEB}
    assert b"session tms-1, VNI 7" in out.getvalue()
    assert b"mirrored from 10.0.1.5" in out.getvalue()


def test_when_the_incident_or_an_interface_is_meant_then_their_copies_are_chosen(store: Store, folder: Path) -> None:
    keep(store, folder, NOON, 1, incident=INCIDENT)
    keep(store, folder, NOON + 60 * SECOND, 2)
    keep(store, folder, NOON + 120 * SECOND, 3, interfaces=INTERFACES[1:])
    keep(store, folder, NOON + 180 * SECOND, 4, interfaces=())
    found = find(store)
    chosen = choose(found, incident=INCIDENT, interfaces=frozenset({WEB}))
    assert [one.vnis for one in chosen.captures] == [frozenset({7, 8}), frozenset({7}), None]
    assert (chosen.unknown, chosen.others, chosen.names) == (1, 1, frozenset({WEB, OTHER}))
    chosen = choose(found, incident=INCIDENT, interfaces=frozenset({WEB}), named_only=True)
    assert [one.vnis for one in chosen.captures] == [frozenset({7}), frozenset({7})]
    assert (chosen.unknown, chosen.others) == (0, 2)
    assert [one.vnis for one in choose(found).captures] == [frozenset({7, 8}), frozenset({7, 8}), frozenset({8}), None]
    # The folder of one interface is not listed where another is meant.
    assert len(find(store, interfaces=frozenset({WEB}))) == 3


def test_when_a_number_stood_for_two_interfaces_then_it_is_no_label(store: Store, folder: Path) -> None:
    keep(store, folder, NOON, 1)
    keep(store, folder, NOON + 60 * SECOND, 2, interfaces=(RecordedInterface(WEB, 8), RecordedInterface(OTHER, 7)))
    chosen = choose(find(store), interfaces=frozenset({WEB}))
    assert chosen.labels == {}
    assert [one.vnis for one in chosen.captures] == [frozenset({7}), frozenset({8})]


def test_when_packets_were_recorded_at_the_interface_then_vxlan_in_them_is_its_own(store: Store, folder: Path) -> None:
    own = made.mirrored(7, FRAME)
    at = recorder(interfaces=(RecordedInterface(WEB),), vxlan_port=None)
    record(store, closed(folder, (NOON, own), (NOON + 1, FRAME)), at, 1)
    [capture] = choose(find(store), interfaces=frozenset({WEB})).captures
    assert (capture.vnis, capture.port, capture.name) == (None, NO_COPIES, WEB)
    out = io.BytesIO()
    hand_over([capture], out)
    out.seek(0)
    packets = [(buffer[start:end], interface.name) for buffer, start, end, *_, interface in CaptureReader(out)]
    assert packets == [(own, WEB), (FRAME, WEB)]


def test_when_others_recorded_then_the_first_packet_of_each_file_is_read(
    store: Store, folder: Path, request: pytest.FixtureRequest
) -> None:
    many = [(NOON + 60 * SECOND + at, made.mirrored(7, FRAME)) for at in range(2000)]
    for name, packets in {
        "a.pcap": [(NOON, FRAME)],
        "below/b.pcap.gz": [(NOON + 60 * SECOND, FRAME)],
        "big.pcap3": many,
    }.items():
        data = closed(folder, *packets, name=name.rpartition("/")[2]).read_bytes()
        store.put(name, io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest())
    for name in ("notes.txt", "bad.pcap"):
        store.put(name, io.BytesIO(b"text"), 4, hashlib.sha256(b"text").hexdigest())
    recorded = keep(store, folder, NOON + 30 * SECOND, 1)
    noted = HandOver()
    found = find(store, until=NOON + 61 * SECOND, noted=noted)
    assert keys(found, store) == ["a.pcap", recorded, "below/b.pcap.gz", "big.pcap3"]
    [problem] = noted.problems
    assert problem.startswith(f"{store.address('bad.pcap')}: at byte 0: neither pcap nor pcapng")
    if isinstance(store, S3Store):
        calls = request.getfixturevalue("bucket").calls
        assert len(many) * 200 > LEAST_READ
        assert [name for name, key in calls if key.endswith("big.pcap3")] == ["put_object", "get_object"]
    out = io.BytesIO()
    assert hand_over(choose(found).captures, out).selected == 2 + 4 + 2000


def test_when_a_prefix_within_the_scheme_is_named_then_its_files_are_found_by_their_names(
    tmp_path: Path, folder: Path
) -> None:
    keep(DirectoryStore(tmp_path / "all"), folder, NOON, 1)
    key = keep(DirectoryStore(tmp_path / "all"), folder, NOON + 60 * SECOND, 2)
    part = DirectoryStore((tmp_path / "all" / key).parents[2])
    [one] = find(part, since=NOON + 60 * SECOND)
    assert one.capture.last == NOON + 119 * SECOND
    assert one.manifest is not None


def test_when_a_file_was_written_already_then_it_is_not_replaced(store: Store, folder: Path) -> None:
    first = keep(store, folder, NOON, 1)
    assert keep(store, folder, NOON, 1) == first
    before = store.read(first, 1 << 20)
    times = (NOON, NOON + 59 * SECOND)
    other = closed(folder, *((time, made.mirrored(7, FRAME + b"other")) for time in times))
    with pytest.raises(FileExistsError, match=r"_00000001\.pcap exists with other content$"):
        record(store, other, recorder(), 1)
    assert store.read(first, 1 << 20) == before


def test_when_a_capture_is_cut_or_damaged_then_it_is_kept_and_its_manifest_says_so(store: Store, folder: Path) -> None:
    whole = closed(folder, (NOON, FRAME), (NOON + 1, FRAME)).read_bytes()
    (folder / "cut.pcap").write_bytes(whole[:-3])
    cut = record(store, folder / "cut.pcap", recorder(), 1)
    assert cut is not None
    assert (cut.packets, cut.problem) == (1, f"ends at byte {len(whole) - 3}, inside a record")
    (folder / "bad.pcap").write_bytes(whole + b"\xff" * 100)
    damaged = record(store, folder / "bad.pcap", recorder(), 2)
    assert damaged is not None
    assert (damaged.packets, damaged.size) == (2, len(whole) + 100)
    assert damaged.problem is not None
    assert damaged.problem.startswith(f"damaged at byte {len(whole)}: a packet of 4294967295 bytes")
    assert [one.manifest for one in find(store)] == [damaged, cut] or [one.manifest for one in find(store)] == [
        cut,
        damaged,
    ]


def test_when_a_capture_has_no_packet_then_nothing_is_written(store: Store, folder: Path) -> None:
    assert record(store, closed(folder), recorder(), 1) is None
    assert find(store) == []


def test_fails_when_a_file_is_no_capture(store: Store, folder: Path) -> None:
    (folder / "a.pcap").write_bytes(b"text" * 10)
    with pytest.raises(CaptureError):
        record(store, folder / "a.pcap", recorder(), 1)
    with pytest.raises(RuleViolation, match="expected it to end with"):
        record(store, closed(folder, (NOON, FRAME), name="a.txt"), recorder(), 1)
    assert find(store) == []


def test_when_a_directory_cannot_be_written_as_a_whole_then_nothing_is_left(tmp_path: Path, folder: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    with pytest.raises(OSError, match="the file changed while it was copied"):
        store.put("a/b.pcap", io.BytesIO(b"other"), 4, hashlib.sha256(b"text").hexdigest())
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_when_a_directory_has_links_and_devices_then_they_are_not_followed(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "link.pcap").symlink_to(closed(folder, (NOON, FRAME)))
    (tmp_path / "store" / "linked").symlink_to(folder)
    assert find(DirectoryStore(tmp_path / "store")) == []


def _manifest(**changes: Any) -> bytes:
    found = {
        "version": 1,
        "file": f"20260301T120000.000000000Z_20260301T120001.000000000Z_rec_{1:08}.pcap",
        "account_id": "111122223333",
        "region": "eu-central-1",
        "site": "production",
        "recorder": "rec",
        "number": 1,
        "first_packet_at": time_text(NOON),
        "last_packet_at": time_text(NOON + SECOND),
        "packets": 1,
        "size": 100,
        "sha256": "0" * 64,
        "interfaces": [],
        **changes,
    }
    return json.dumps({name: value for name, value in found.items() if value is not ...}).encode()


def test_when_a_manifest_has_members_of_a_later_version_then_it_is_read() -> None:
    assert read_manifest(_manifest(later={"a": 1}, interfaces=[{"vni": 3, "later": 1}])) == read_manifest(
        _manifest(interfaces=[{"vni": 3}])
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is no manifest of version 1"),
        (_manifest(version=2), "is no manifest of version 1"),
        (_manifest(packets=...), "has no packets"),
        (_manifest(packets=True), "packets: expected a whole number of 0 or more, got 'True'"),
        (_manifest(size=-1), "size: expected a whole number of 0 or more, got '-1'"),
        (_manifest(interfaces={}), "interfaces: expected a list"),
        (_manifest(interfaces=[1]), "interfaces: expected objects"),
        (_manifest(interfaces=[{}] * 5000), "has 5000 interfaces; the most is 4096"),
        (_manifest(first_packet_at="2026-02-31T00:00:00.000000000Z"), "is no time"),
        (_manifest(first_packet_at="9999-01-01T00:00:00.000000000Z"), "is out of range"),
        (_manifest(file="../../x.pcap"), "is no name of a recorded file"),
        (_manifest(account_id="x"), "'x' is not"),
        (b" " * ((1 << 20) + 1), "a manifest has 1048576 bytes at most"),
    ],
)
def test_fails_when_a_manifest_is_of_another_form_and_is_not_believed(data: bytes, said: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read_manifest(data)
    assert said in str(refused.value)


def test_when_a_manifest_is_wrong_then_its_file_is_found_and_the_problem_noted(store: Store, folder: Path) -> None:
    key = keep(store, folder, NOON, 1)
    other = keep(store, folder, NOON + 60 * SECOND, 2)
    wrong = store.read(f"{other}.json", 1 << 20) or b""
    text = _manifest()
    named = read_manifest(text).name
    data = closed(folder, (NOON, FRAME)).read_bytes()
    for name, content in ((named, data), (f"{named}.json", wrong)):
        store.put(f"copied/{name}", io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())
    noted = HandOver()
    found = find(store, noted=noted)
    assert {str(one.capture.path).rpartition("/")[2]: one.manifest is None for one in found} == {
        key.rpartition("/")[2]: False,
        other.rpartition("/")[2]: False,
        named: True,
    }
    assert noted.problems == [f"{store.address(f'copied/{named}.json')}: it is of {other.rpartition('/')[2]}"]


@pytest.mark.parametrize(
    "name",
    [
        "20260231T120000.000000000Z_20260301T120001.000000000Z_rec_00000001.pcap",
        "20260301T120001.000000000Z_20260301T120000.000000000Z_rec_00000001.pcap",
        "20260301T120000.000000000Z_20260301T120001.000000000Z_rec_00000001.pcap.json",
        "capture.pcap",
    ],
)
def test_when_a_name_says_no_times_then_none_are_taken_from_it(name: str) -> None:
    assert times_of(name) is None


def test_fails_when_a_bucket_cannot_be_read(bucket: Counting) -> None:
    with pytest.raises(OSError, match="AWS refuses ListObjectsV2: NoSuchBucket"):
        find(S3Store("s3://another/x", bucket))
    for address in ("packets/x", "s3://", "s3://UPPER/x"):
        with pytest.raises(RuleViolation):
            S3Store(address, bucket)


def test_when_an_object_is_replaced_while_it_is_read_then_reading_ends_with_an_error(
    bucket: Counting, tmp_path: Path, folder: Path
) -> None:
    store = S3Store(f"s3://packets/{tmp_path.name}", bucket)
    many = closed(folder, *((NOON + at, FRAME) for at in range(2000))).read_bytes()
    store.put("a.pcap", io.BytesIO(many), len(many), hashlib.sha256(many).hexdigest())
    file = store.open("a.pcap")
    assert file.read(10) == many[:10]
    bucket.put_object(Bucket="packets", Key=f"{tmp_path.name}/a.pcap", Body=bytes(len(many)))
    with pytest.raises(OSError, match="AWS refuses GetObject: PreconditionFailed"):
        all(iter(lambda: file.read(1000), b""))


def test_when_the_schema_changes_then_it_only_grows() -> None:
    Draft202012Validator.check_schema(schema())
    assert list(lost(json.loads(FIRST.read_text(encoding="utf-8")), schema())) == []


def test_when_the_page_shows_a_key_and_a_manifest_then_they_are_those_of_the_program() -> None:
    page = (Path(__file__).parents[3] / "docs" / "packets.md").read_text(encoding="utf-8")
    page = page.partition("## Recorded packets")[2].partition("\n## ")[0]
    (shown,) = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    found = json.loads(shown)
    Draft202012Validator(schema()).validate(found)
    manifest = read_manifest(shown.encode())
    assert manifest.as_json() == found
    assert [name for name in schema()["properties"] if name in found or name == "problem"] == [*found, "problem"]
    assert f"```text\n{manifest.key}\n{manifest.key}.json\n```" in page
    for word in (NO_INCIDENT, SEVERAL, LONG):
        assert f"`{word}`" in page
