"""Markers by directory, and what parallel processes need to know: which tests begin, and which stay together."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path

import botocore.session
import hypothesis
import pytest
from botocore.retries.quota import RetryQuota
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.collecting import say_so
from tests.parallel import order_of, unit_of
from tests.proxy import RecordingProxy
from tests.sampling import in_ci

gc.disable()  # until the tests are collected

pytest_plugins = ["strictmoto.testing.pytest_plugin"]

# CI tries the same examples every time; elsewhere each run tries fewer, and may find something new.
IN_CI = "CI" in os.environ
hypothesis.settings.register_profile("tapstack", deadline=None, max_examples=50 if IN_CI else 30, derandomize=IN_CI)
hypothesis.settings.load_profile("tapstack")

HERE = Path(__file__).parent
IN_THE_ACCOUNT = frozenset({"strictmoto", "rehearsal", "responder", "api", "end_to_end"})
"""The directories whose tests need the account on this machine."""
IN_THE_FIRST_COMMAND = frozenset(
    Path("responder", name) for name in ("test_api.py", "test_interfaces.py", "test_sessions.py")
)
"""Of these, the files that `make test` runs too: in process, in seconds, and a fault there is seen first."""
HALVED = (Path("responder"), Path("strictmoto"), Path("rehearsal", "test_protections.py"))
"""Where thousands of tests go along the same roads: CI runs every second one. `make test-all` runs all, and `-m ""` all
of a directory, for who changes what they are about."""
WHOLE = frozenset(
    Path("responder", "containment", name)
    for name in ("test_sequences.py", "test_concurrency.py", "test_interrupted.py", "versions/test_open_incidents.py")
)
"""Of these, the files that CI runs as they are: each test tries many orders, of which CI has a sample already."""


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingProxy]:
    """A proxy that this process is configured for; it sees what should not leave this machine."""
    with RecordingProxy() as listening:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name, value in listening.environment.items():
            monkeypatch.setenv(name, value)
        # It reads the proxies once in the life of a process.
        monkeypatch.setattr(urllib.request, "_opener", None)
        yield listening


@pytest.fixture(scope="session", autouse=True)
def _never_out_of_retries() -> Iterator[None]:
    """Clients try as often as they are set to: each keeps a quota of retries, which a process of tests would use up.

    A function meets few faults in its life; a process of tests plays hundreds against the same clients.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RetryQuota, "acquire", lambda *_: True)
        yield


@pytest.hookimpl(trylast=True)  # the terminal's own comes before
def pytest_configure(config: pytest.Config) -> None:
    """Keep the thousands of directories that cdktf's test apps leave behind in one that goes with this process."""
    # Programs that tests start heed signals, also where whatever started the tests ignores them, as shells have it for
    # what runs behind them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    # Each session of boto3 reads the models of its services anew: seconds in a process whose tests make hundreds.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    tempfile.gettempdir()  # decided here: what pytest keeps for inspection stays where it is
    directory = tempfile.mkdtemp(prefix="tapstack-tests-")
    os.environ["TMPDIR"] = directory
    config.add_cleanup(lambda: shutil.rmtree(directory, ignore_errors=True))
    say_so(config)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage once all modules are imported, and never among them: that took a tenth of the tests' time."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what the markers leave out, which takes seconds."""
    path = collection_path.relative_to(HERE) if collection_path.is_relative_to(HERE) else Path()
    if any(file.is_relative_to(path) for file in IN_THE_FIRST_COMMAND):
        return None
    marker = "rehearsal" if set(path.parts[:1]) & IN_THE_ACCOUNT else "".join(path.parts[:1])
    return True if marker in ("rehearsal", "isolated") and f"not {marker}" in config.option.markexpr else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(HERE)
        directories = path.parts
        if directories[0] == "isolated":
            item.add_marker(pytest.mark.isolated)
        if directories[0] in ("terraform", "end_to_end"):
            item.add_marker(pytest.mark.terraform)
        in_the_account = directories[0] in IN_THE_ACCOUNT or path.stem.startswith("test_rehearsal")
        if in_the_account and path not in IN_THE_FIRST_COMMAND:
            item.add_marker(pytest.mark.rehearsal)
            if path not in WHOLE and any(path.is_relative_to(place) for place in HALVED) and not in_ci(item.nodeid):
                item.add_marker(pytest.mark.long)
        # A sixth of the time of the fast tests was that of one in a hundred, which try made-up examples.
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.thorough)
    items.sort(key=lambda item: order_of(item.nodeid))


class _ByUnit(LoadScopeScheduling):  # type: ignore[misc]
    """Give out the tests unit by unit, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


# xdist's own groups need a pytest before 9.2, and are silently none with this one.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return _ByUnit(config, log)
