"""Execution environments: what is left of one that does not start."""

import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.lambda_.functions import Lambda

CODE = "def handler(event, context): return event"


def test_when_a_process_cannot_be_started_then_its_connection_is_closed_and_its_directory_removed(
    functions: Lambda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    connect = socket.socketpair

    def pair() -> tuple[socket.socket, socket.socket]:
        ends = connect()
        made.extend(ends)
        return ends

    def fail(*_: Any, **__: Any) -> None:
        raise BlockingIOError("no process is left")

    functions.create(CODE)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socketpair", pair)
        patched.setattr(subprocess, "Popen", fail)
        with pytest.raises(ClientError):
            functions.invoke({})
    assert made
    assert [end.fileno() for end in made] == [-1] * len(made)
    assert not list((tmp_path / "temporary").glob("lambda-*"))
    # The next one starts.
    assert functions.invoke({"a": 1}).payload == {"a": 1}
