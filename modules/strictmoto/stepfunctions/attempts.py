"""How a state is tried: in time, until the execution ends, and without leaving anything behind.

moto waits for a task that runs although the execution was stopped, loses a stop that comes at the wrong moment,
and lets a task that timed out go on writing history.
"""

from __future__ import annotations

import copy
import datetime
import functools
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program import program
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_map import max_concurrency
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branch_worker
from moto.stepfunctions.parser.asl.eval import environment

from strictmoto.running import running
from strictmoto.stepfunctions.tokens import close_token_of

# Step Functions Developer Guide, "Using Map state in Inline mode": at most 40 iterations at once.
_INLINE_ITERATIONS: Final = 40
_PATIENCE: Final = 1.0
_attempts: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def install() -> None:
    """Replace what moto's interpreter does."""
    _latch()
    program_class: Any = program.Program
    program_class.eval = _run
    state: Any = execute_state.ExecutionState
    state._evaluate_with_timeout = _attempt
    branch: Any = branch_worker.BranchWorker
    branch._thread_routine = _branch
    worker: Any = iteration_worker.IterationWorker
    worker._eval_pool = _iterate
    concurrency: Any = max_concurrency.MaxConcurrency
    component: Any = EvalComponent
    # moto logs the whole definition with every failure, also with those that are caught.
    component._log_failure_event_exception = component._log_exception = lambda self, exception=None, **_: None
    concurrency._eval_max_concurrency = lambda self, env: self.max_concurrency_value or _INLINE_ITERATIONS


class Latch(threading.Event):
    """An event that stays set once it is: an execution that ended never goes on."""

    def __init__(self) -> None:
        """Begin unset."""
        super().__init__()
        self._followers: set[threading.Event] = set()

    def set(self) -> None:
        """Set it, and all that follow it."""
        super().set()
        for follower in list(self._followers):
            follower.set()

    def clear(self) -> None:
        """Stay set."""

    @contextmanager
    def followed_by(self, follower: threading.Event) -> Iterator[None]:
        """Set another event, too, when this one is set meanwhile."""
        self._followers.add(follower)
        if self.is_set():
            follower.set()
        try:
            yield
        finally:
            self._followers.discard(follower)


class _Nowhere:
    """Where what an abandoned attempt still has to say is written."""

    def add_event(self, *_: Any, **__: Any) -> int:
        return 0


def _latch() -> None:
    cls: Any = environment.Environment
    initialize = cls.__init__

    @functools.wraps(initialize)
    def with_latch(self: Any, *arguments: Any, **options: Any) -> None:
        initialize(self, *arguments, **options)
        self.program_state_event = Latch()

    cls.__init__ = with_latch
    for name in ("set_error", "set_timed_out"):
        setattr(cls, name, _while_running(getattr(cls, name)))


def _while_running(change: Any) -> Any:
    @functools.wraps(change)
    def changed(self: Any, *arguments: Any, **options: Any) -> None:
        # An execution that was stopped does not fail afterwards.
        with self._state_mutex:
            if self.is_running():
                change(self, *arguments, **options)

    return changed


def join_all() -> None:
    """Wait a moment for attempts that still run; what they say is not heard any more."""
    deadline = time.monotonic() + _PATIENCE
    for thread in list(_attempts):
        thread.join(max(0.0, deadline - time.monotonic()))
    _attempts.clear()


def _start(target: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, name="strictmoto-workflow", daemon=True)
    _attempts.add(thread)
    thread.start()
    return thread


def _run(self: Any, env: Any) -> None:
    """Run a program: a state machine, a branch of Parallel, an iteration of Map."""
    try:
        env.next_state_name = self.start_at.start_at_name
    except RuntimeError:
        return  # The execution ended before this part of it began.
    if self.timeout_seconds is None:
        EvalComponent.eval(self, env)
        return
    thread = _start(EvalComponent.eval, self, env)
    thread.join(running().waits.of(self.timeout_seconds.timeout_seconds))
    if thread.is_alive():
        env.set_timed_out()
        thread.join()


def _attempt(self: Any, env: Any) -> None:
    """Try a Task, Map or Parallel state once."""
    self.timeout.eval(env=env)
    seconds = env.stack.pop()
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    outputs: list[Any] = []
    errors: list[Exception] = []
    over = threading.Event()

    def execute() -> None:
        try:
            self._eval_execution(frame)
            outputs.extend(frame.stack)
        except Exception as error:
            errors.append(error)
        finally:
            over.set()

    with env.program_state_event.followed_by(over):
        _start(execute)
        over.wait(seconds)
    if not errors and not outputs:
        _abandon(frame)
        env.delete_frame(frame)
        if env.is_running():
            raise EvalTimeoutError
        kind = type(self).__name__.removeprefix("State").removesuffix("Service")
        kind = kind if kind in ("Map", "Parallel") else "Task"
        env.event_manager.add_event(
            context=env.event_history_context, event_type=HistoryEventType(f"{kind}StateAborted")
        )
        return
    frame.set_ended()
    env.close_frame(frame)
    if errors:
        # Other iterations and branches end with the one that failed.
        _abandon(frame)
        raise errors[0]
    _take(self, env, outputs[-1])


def _take(state: Any, env: Any, output: Any) -> None:
    env.stack.append(output)
    for step in (state.assign_decl, state.result_selector, state.result_path):
        if step:
            step.eval(env)


def _abandon(frame: Any) -> None:
    frame.event_manager = _Nowhere()
    close_token_of(frame)
    for inner in list(frame._frames):
        _abandon(inner)
    frame.set_stop(stop_date=datetime.datetime.now(datetime.UTC), cause=None, error=None)


def _branch(self: Any) -> None:
    try:
        self._program.eval(self.env)
    finally:
        # Whatever happened: the Parallel state waits for it.
        self._branch_worker_comm.on_terminated(env=self.env)


def _iterate(self: Any, job: Any, worker_frame: Any) -> None:
    """Work on iterations one after the other, where moto calls itself once for each."""
    while job is not None:
        frame = worker_frame.open_inner_frame()
        self._eval_job(env=frame, job=job)
        worker_frame.close_frame(frame)
        failed = isinstance(job.job_output, Exception) or self.stopped()
        following = None if failed else self._job_pool.next_job()
        if following is None:
            if not failed:
                worker_frame.event_history_context.source_event_id = frame.event_history_context.last_published_event_id
            # Before the job is closed, because the Map state goes on then.
            self._env.close_frame(worker_frame)
        self._job_pool.close_job(job)
        job = following
        if job is None:
            return
    self._env.close_frame(worker_frame)
