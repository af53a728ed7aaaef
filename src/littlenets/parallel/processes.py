"""The other processes of a run on several devices of this machine: started, watched and ended by the first.

Each is a process of its own that builds the same run from the same configuration, so that nothing but that
configuration has to be sent there, and nothing comes back. It does not run the command again: neither a second run
folder nor a second sweep could come of that.

Nothing here imports PyTorch at the top: a new process has to know its rank before.
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

from ..runs.log import traceback_log

# Which ends a process that waits for others in vain, such as in NVIDIA's library.
SECONDS_TO_NOTICE = 30
# How soon a process ends whose first one was killed.
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_END = 10

log = logging.getLogger(__name__)


class ProcessError(RuntimeError):
    """One of the other processes failed."""


@dataclass
class Task:
    """What another process of a run has to know.

    Args:
        config: the resolved configuration.
        hydra: Hydra's own part, for classes that ask for it.
        folder: the run's.
        before: the run that is gone on with; None is from the beginning.
        threads: CPU threads for each process.
    """

    config: dict[str, Any]
    hydra: Any
    folder: str
    before: Any
    threads: int


class _Process(Protocol):
    pid: int

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...


@dataclass
class _Other:
    rank: int  # on this machine
    process: _Process
    orders: BinaryIO
    answers: BinaryIO
    #: The error that it ended with, and its traceback.
    failure: tuple[str, str] | None = None


class Others:
    """The other processes of a run on this machine. On leaving the context they are ended, whatever they do.

    Args:
        count: of all processes on this machine, with this one.
        method: ``spawn`` is a new Python each, ``fork`` a copy of this process, as it is now.
        variables: of the environment, for each of them.
        function: what each of them calls with its `Task`, with a function that reports it to be ready, and with one
            that waits for the first process; as ``package.module:name``.
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
        """Tell them what to do, and wait until all of them are ready to train.

        Raises:
            ProcessError: one of them is not.
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
        """Return why one of them failed, where one did."""
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
        """Let them go: all is done that needs them."""
        self._end(patience=SECONDS_TO_END)

    def kill(self) -> None:
        """End them at once: what they have is of no use any more."""
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
        """End this process where another one has, and whatever this one waits for does not notice."""
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
    """What a new process runs."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    _obey(function, sys.stdin.buffer, answers, os.getppid())


class _Forked:
    """A process that was forked, with the methods of subprocess.Popen."""

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
        # What waits to be written would be written by both.
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
            # Else they would not hear that the first process has closed it.
            os.close(stream.fileno())
        os.environ.update(variables)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        # Whatever the first process does at its end, this is not it.
        _obey(function, os.fdopen(orders, "rb"), os.fdopen(answers, "wb"), parent)
    finally:
        os._exit(1)


def _obey(function: str, orders: BinaryIO, answers: BinaryIO, parent: int) -> None:
    """Take part in a run; never return."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if hasattr(signal, "pthread_sigmask"):
        # Ctrl-C goes to all processes of a terminal; the first one says when to stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    logging.disable()
    code = 1
    try:
        from ..fast_imports import fast_imports

        with fast_imports():
            follow = pkgutil.resolve_name(function)

        with contextlib.suppress(EOFError):  # the first process has ended before the run began
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
