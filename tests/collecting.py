"""What is said while pytest starts its processes and collects, which takes half a minute on a busy machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tapstack.rehearsal.progress import QUIET, Progress


class Collecting:
    """A plugin that says every few seconds, until the first test begins, that pytest is at work.

    Args:
        write: gets each line.
        quiet: seconds without a line.
    """

    def __init__(self, write: Callable[[str], None], quiet: float) -> None:
        self._progress = Progress(write, quiet=quiet)
        self._doing = self._progress.doing("starting, and collecting the tests")
        self._ended = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        self._progress.__enter__()
        self._doing.__enter__()

    def pytest_runtest_logstart(self) -> None:
        self._end()

    def pytest_sessionfinish(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._doing.__exit__(None, None, None)
            self._progress.__exit__(None, None, None)


NAME: Final = "collecting"


def say_so(config: pytest.Config, quiet: float = QUIET) -> None:
    """Register the plugin, in the process that a person sees."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collecting(_shown_at_once(reporter), quiet), NAME)


def _shown_at_once(reporter: pytest.TerminalReporter) -> Callable[[str], None]:
    """Return what writes a line that is seen at once also where the output is a pipe, which Python buffers."""

    def write(line: str) -> None:
        reporter.write_line(line)
        reporter.flush()

    return write
