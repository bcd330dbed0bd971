"""What is said in a silence. No time is asserted: whatever is silent goes on when something was said."""

from __future__ import annotations

import threading

from tapstack.rehearsal.progress import Progress

LONGEST = 60.0


class Lines(list[str]):
    """What was said, and waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, line: str) -> None:
        with self._changed:
            self.append(line)
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(text in line for line in self), LONGEST), list(self)


def test_when_nothing_is_said_then_what_is_being_done_is() -> None:
    lines = Lines()
    with Progress(lines.write, indent="  ", quiet=0.01) as progress:
        with progress.doing("founding a company"):
            lines.wait_for("  ... founding a company (0 s)")
        progress.say("founded")
        lines.wait_for("founded")


def test_when_several_things_are_done_then_each_is_said_and_what_they_are_part_of_is_not() -> None:
    lines = Lines()
    with Progress(lines.write, quiet=0.01) as progress, progress.doing("deploying"):
        lines.wait_for("... deploying")
        lines.clear()
        with progress.doing("one: planning") as one, progress.doing("two: planning"):
            lines.clear()
            lines.wait_for("... two: planning")
            one("one: 3 of 26 done, creating a.b")
            lines.wait_for("... one: 3 of 26 done, creating a.b")
            assert not any("deploying" in line for line in lines)


def test_when_nothing_is_being_done_then_there_is_no_message() -> None:
    lines = Lines()
    with Progress(lines.write, quiet=0.001) as progress:
        for _ in range(20):
            threading.Event().wait(0.002)
        progress.say("done")
    assert lines == ["done"]


def test_when_it_has_ended_then_it_is_silent_and_its_thread_is_gone() -> None:
    lines = Lines()
    with Progress(lines.write, quiet=0.001) as progress, progress.doing("waiting"):
        lines.wait_for("waiting")
    said = len(lines)
    with progress.doing("waiting"):
        assert "rehearsal-progress" not in [thread.name for thread in threading.enumerate()]
    assert len(lines) == said
