"""What runs of Lambda between two resets: warm processes, threads in the background, files."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from moto.awslambda.utils import get_backend

from strictmoto.lambda_.environments import Environment, Invocation, Outcome
from strictmoto.lambda_.errors import throttled
from strictmoto.lambda_.packages import Packages
from strictmoto.lambda_.versions import Version
from strictmoto.running import running

KEPT_WARM: Final = 16
"""Processes that wait for another invocation, of all functions together."""
IDLE_LIMIT: Final = 300.0
"""Seconds that one waits; looked at when a process is given back."""


class Service:
    """The running part of Lambda."""

    def __init__(self) -> None:
        """Begin with no process."""
        self.stopping = threading.Event()
        self._home = Path(tempfile.mkdtemp(prefix="strictmoto-functions-"))
        self._packages = Packages(self._home)
        self._lock = threading.Lock()
        self._idle: list[Environment] = []
        self._all: set[Environment] = set()
        self._busy: Counter[tuple[str, str, str]] = Counter()
        self._threads: set[threading.Thread] = set()

    def run(self, version: Version, code: Callable[[], tuple[bytes, list[bytes]]], invocation: Invocation) -> Outcome:
        """Run an invocation in a warm process, or else in a new one.

        Args:
            version: what to run.
            code: returns its zip and the zips of its layers.
            invocation: what it is given.

        Raises:
            Refused: the code cannot be unpacked.
        """
        environment = self._warm(version) or self._start(version, *code())
        try:
            return environment.invoke(invocation)
        finally:
            self._give_back(environment)

    @contextmanager
    def concurrency(self, version: Version, reserved: int | None) -> Iterator[None]:
        """Count an invocation against the function's reserved concurrency.

        Raises:
            Refused: it is used up.
        """
        with self._lock:
            if reserved is not None and self._busy[version.function] >= reserved:
                raise throttled()
            self._busy[version.function] += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy[version.function] -= 1

    def discard(self, *function: str) -> None:
        """End the processes of a function, given by account, Region and name; those at work end with their work."""
        with self._lock:
            ended = [one for one in self._idle if one.version.function == function]
            for environment in self._all:
                if environment.version.function == function:
                    environment.usable = False
        self._close(ended)

    def kill(self, *function: str) -> None:
        """Kill the processes of a function, given by account, Region and name, whatever they do: machines fail."""
        with self._lock:
            killed = [environment for environment in self._all if environment.version.function == function]
        for environment in killed:
            environment.kill()

    @contextmanager
    def paused(self, *function: str) -> Iterator[None]:
        """Stop the processes that work for a function at the beginning, until the end: machines are slow.

        Another invocation meanwhile gets another process. An answer that comes to a stopped process waits for it, even
        beyond its client's timeout; the function's own timeout goes on.
        """
        with self._lock:
            idle = {id(environment) for environment in self._idle}
            stopped = [one for one in self._all if one.version.function == function and id(one) not in idle]
        for environment in stopped:
            environment.pause()
        try:
            yield
        finally:
            for environment in stopped:
                environment.resume()

    def begin(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do something in a thread that ends with the service."""
        thread = threading.Thread(target=work, args=(self, *arguments), name=f"lambda-{work.__name__}", daemon=True)
        with self._lock:
            self._threads = {one for one in self._threads if one.is_alive()} | {thread}
        thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait as long as that lasts here; return whether the service goes on."""
        return not self.stopping.wait(running().waits.of(seconds))

    def stop(self) -> None:
        """End all processes and threads."""
        self.stopping.set()
        with self._lock:
            threads, idle, everything = list(self._threads), list(self._idle), list(self._all)
        for environment in everything:
            environment.kill()
        self._close(idle)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(2)
        shutil.rmtree(self._home, ignore_errors=True)

    def _warm(self, version: Version) -> Environment | None:
        with self._lock:
            stale = [e for e in self._idle if e.version.place == version.place and e.version != version]
            fitting = [e for e in self._idle if e.version == version]
            dead = [e for e in fitting if not e.alive]
            # The one that worked last, so that those that are not needed grow old.
            found = next((e for e in reversed(fitting) if e.alive), None)
            if found:
                self._idle.remove(found)
        self._close([*stale, *dead])
        return found

    def _start(self, version: Version, code: bytes, layers: list[bytes]) -> Environment:
        environment = Environment(version, self._packages.unpack(code), self._packages.unpack(*layers))
        with self._lock:
            self._all.add(environment)
            stopped = self.stopping.is_set()
        if stopped:
            environment.kill()
        return environment

    def _give_back(self, environment: Environment) -> None:
        oldest = time.monotonic() - IDLE_LIMIT
        with self._lock:
            if environment.usable and not self.stopping.is_set():
                self._idle.append(environment)
                ended = [e for e in self._idle if e.idle_since < oldest] + self._idle[:-KEPT_WARM]
            else:
                ended = [environment]
        self._close(ended)

    def _close(self, environments: list[Environment]) -> None:
        with self._lock:
            # Whoever takes it out closes it.
            closing = [e for e in dict.fromkeys(environments) if e in self._all]
            self._all.difference_update(closing)
            self._idle = [e for e in self._idle if e not in closing]
        for environment in closing:
            environment.close()


_current: list[Service] = []
_lock = threading.Lock()


def service() -> Service:
    """Return what runs since the last reset; it begins when it is first asked for.

    Raises:
        RuntimeError: no account runs.
    """
    with _lock:
        if not _current:
            _current.append(Service())
            running().at_reset.append(_stop)
        return _current[0]


def discard(*function: str) -> None:
    """End the processes of a function, where any run."""
    with _lock:
        found = list(_current)
    for one in found:
        one.discard(*function)


def _stop() -> None:
    with _lock:
        stopped = list(_current)
        _current.clear()
    for one in stopped:
        one.stop()


def reserved_concurrency(version: Version) -> int | None:
    """Return how many invocations of the function may run at a time; None for any number."""
    account, region, name = version.function
    found = get_backend(account, region).get_function(name).reserved_concurrency
    return None if found is None else int(found)
