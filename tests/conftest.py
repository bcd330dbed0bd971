"""Markers by directory, and what parallel processes need to know: who begins, and who stays together."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.proxy import RecordingProxy

pytest_plugins = ["tapstack.rehearsal.pytest_plugin"]

# CI looks at the same examples every time; elsewhere each run may find something new.
hypothesis.settings.register_profile("tapstack", deadline=None, max_examples=100, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("tapstack")

HERE = Path(__file__).parent


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


def pytest_configure(config: pytest.Config) -> None:
    """Keep the thousands of directories that cdktf's test apps leave behind in one that goes with this process."""
    tempfile.gettempdir()  # decided here: what pytest keeps for people to look at stays where it is
    directory = tempfile.mkdtemp(prefix="tapstack-tests-")
    os.environ["TMPDIR"] = directory
    config.add_cleanup(lambda: shutil.rmtree(directory, ignore_errors=True))


# Before xdist's own hook, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        directories = item.path.relative_to(HERE).parts
        deploys = item.path.stem.startswith("test_rehearsal") or "end_to_end" in directories
        if directories[0] == "terraform" or "end_to_end" in directories:
            item.add_marker(pytest.mark.terraform)
        if directories[0] == "rehearsal" or deploys:
            item.add_marker(pytest.mark.rehearsal)
        if directories[0] == "isolated":
            item.add_marker(pytest.mark.isolated)
            # One process makes an environment and uses it; another would only wait for it.
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if "end_to_end" in directories:
            # They share one deployment, which takes a minute to make.
            item.add_marker(pytest.mark.xdist_group("end_to_end"))
    # What takes minutes begins first, so that no process waits for it in the end.
    items.sort(key=lambda item: not item.path.stem.startswith("test_rehearsal"))
