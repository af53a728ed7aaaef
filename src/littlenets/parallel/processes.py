"""Start, watch and end the other processes of a run on several devices of this machine.

Each process builds the same run from the same configuration, so only that configuration is sent to it, and no results
are sent back. It does not run the command again, so it cannot create a second run folder or a second sweep.

This module does not import PyTorch at the top, since the rank of a new process must be set before.
"""

import contextlib
import logging
import os
import pickle
import pkgutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Literal, Protocol

from ..config.origin import Origin
from ..runs.log import traceback_log

# Time after which the first process exits if another one failed and it still waits for it, such as in NVIDIA's NCCL.
SECONDS_TO_NOTICE = 30
# Interval at which a process checks whether the first process was killed.
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_END = 10

log = logging.getLogger(__name__)


class ProcessError(RuntimeError):
    """One of the other processes failed."""


@dataclass
class Task:
    """The data that another process of a run needs.

    Args:
        config: the resolved configuration.
        origin: how it was composed.
        folder: the run folder.
        before: the run to resume; None for a new run.
        threads: number of CPU threads for each process.
    """

    config: dict[str, Any]
    origin: Origin
    folder: str
    before: Any
    threads: int


class _Process(Protocol):
    pid: int

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...


@dataclass
class _Other:
    rank: int  # local rank on this machine
    process: _Process
    orders: BinaryIO
    answers: BinaryIO
    #: The error that it ended with, and its stack trace.
    failure: tuple[str, str] | None = None


class Others:
    """Context manager for the other processes of a run on this machine; on leaving the context they are ended.

    Args:
        count: number of all processes on this machine, including this one.
        method: ``spawn`` starts a new Python for each, ``fork`` copies this process in its current state.
        variables: environment variables for each of them.
        function: called in each of them, as ``package.module:name``, with its `Task`, a function that reports that it
            is ready, and a function that waits for the first process.
    """

    def __init__(self, count: int, method: Literal["spawn", "fork"], variables: dict[str, str], function: str) -> None:
        self._others: list[_Other] = []
        self._done = threading.Event()
        start = _spawn if method == "spawn" else _fork
        try:
            for rank in range(1, count):
                told = {**variables, "LOCAL_RANK": str(rank)}
                self._others.append(_Other(rank, *start(function, told, [other.orders for other in self._others])))
        except BaseException:
            self._end()
            raise

    def begin(self, task: Task) -> None:
        """Send them their task, and wait until all of them are ready to train.

        Args:
            task: the run to take part in.

        Raises:
            ProcessError: one of them failed.
        """
        for other in self._others:
            with contextlib.suppress(BrokenPipeError):
                pickle.dump(task, other.orders)
                other.orders.flush()
        for other in self._others:
            if not self._is_ready(other):
                raise ProcessError(self._why(other))
        if self._others:
            threading.Thread(target=self._watch, daemon=True).start()

    def failure(self) -> str | None:
        """Return why one of them failed; None if none failed within 2 seconds."""
        until = time.monotonic() + SECONDS_TO_END / 5
        while self._others and time.monotonic() < until:
            for other in self._others:
                if other.process.poll() not in (None, 0):
                    return self._why(other)
            time.sleep(0.05)
        return None

    def __enter__(self) -> "Others":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(patience=SECONDS_TO_END if error is None else 0)

    def end(self) -> None:
        """End them after all work that needs them is done; wait up to 10 seconds."""
        self._end(patience=SECONDS_TO_END)

    def kill(self) -> None:
        """Kill them at once, since their results are no longer needed."""
        self._end()

    def _end(self, patience: float = 0) -> None:
        self._done.set()
        others, self._others = self._others, []
        for other in others:
            with contextlib.suppress(OSError):
                other.orders.close()
        until = time.monotonic() + patience
        for other in others:
            while other.process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            if other.process.poll() is None:
                other.process.kill()
            while other.process.poll() is None:
                time.sleep(0.01)
            other.answers.close()

    @staticmethod
    def _is_ready(other: _Other) -> bool:
        try:
            answer = pickle.load(other.answers)
        except (EOFError, pickle.UnpicklingError):
            return False
        other.failure = answer
        return answer is None

    def _why(self, other: _Other) -> str:
        if other.failure is None:
            self._is_ready(other)
        while (code := other.process.poll()) is None:
            time.sleep(0.01)
        if other.failure is not None:
            error, trace = other.failure
            traceback_log.error("The process of device %d failed.\n%s", other.rank + 1, trace)
            return f"The process of device {other.rank + 1} failed: {error}"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"The process of device {other.rank + 1} ended ({how}). Was there enough memory?"

    def _watch(self) -> None:
        """Exit this process if another one failed and this one still waits for it."""
        failed_at = None
        while not self._done.wait(1):
            failed = [other for other in self._others if other.process.poll() not in (None, 0)]
            if failed and failed_at is None:
                failed_at = time.monotonic()
            if failed and time.monotonic() - failed_at > SECONDS_TO_NOTICE and not self._done.is_set():
                log.error("%s", self._why(failed[0]))
                os._exit(1)


def _spawn(function: str, variables: dict[str, str], others: list[BinaryIO]) -> tuple[_Process, BinaryIO, BinaryIO]:
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main({function!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return process, process.stdin, process.stdout


def main(function: str) -> None:
    """Run a process started by `Others` with the method ``spawn``."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    _obey(function, sys.stdin.buffer, answers, os.getppid())


class _Forked:
    """A forked process with the methods of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def _fork(function: str, variables: dict[str, str], others: list[BinaryIO]) -> tuple[_Process, BinaryIO, BinaryIO]:
    orders, to_orders = os.pipe()
    from_answers, answers = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        # Otherwise buffered output would be written by both processes.
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(orders)
        os.close(answers)
        return _Forked(pid), os.fdopen(to_orders, "wb"), os.fdopen(from_answers, "rb")
    try:
        os.close(to_orders)
        os.close(from_answers)
        for stream in others:
            # Otherwise these pipes would stay open here after the first process has closed them.
            os.close(stream.fileno())
        os.environ.update(variables)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        # The fork never returns from this call, so it does not run the exit handlers of the first process.
        _obey(function, os.fdopen(orders, "rb"), os.fdopen(answers, "wb"), parent)
    finally:
        os._exit(1)


def _obey(function: str, orders: BinaryIO, answers: BinaryIO, parent: int) -> None:
    """Take part in a run; never return."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        # Ctrl-C is sent to all processes of a terminal; the first process tells the others when to stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    logging.disable()
    code = 1
    try:
        from ..fast_imports import fast_imports

        with fast_imports():
            follow = pkgutil.resolve_name(function)

        with contextlib.suppress(EOFError):  # the first process ended before the run began
            follow(pickle.load(orders), _say(answers), lambda: orders.read())
            code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            _say(answers)((f"{type(error).__name__}: {error}", traceback.format_exc()))
    finally:
        os._exit(code)


def _say(answers: BinaryIO) -> Callable[[tuple[str, str] | None], None]:
    def say(answer: tuple[str, str] | None) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    return say


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
