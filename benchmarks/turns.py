"""Runs commands in turn, a second at a time: what else the machine does for half a minute slows all of them alike.

While one has its turn, the others are stopped (SIGSTOP), and that time is not counted as theirs.
"""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path


class Turns:
    """One command, and when it was running.

    Args:
        command: a program and its arguments.
        cwd: the folder that it runs in.
    """

    def __init__(self, command: Sequence[str], cwd: Path) -> None:
        self._command, self._cwd = command, cwd
        self._process: subprocess.Popen | None = None
        self._over = threading.Event()
        self._turns: list[tuple[float, float]] = []
        #: Peak resident size in MiB, once it has ended.
        self.memory = 0.0

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def seconds(self, since: float = float("-inf"), until: float = float("inf")) -> float:
        """How long it was running between two moments, in seconds as `time.time` counts them."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in self._turns)

    def take(self, seconds: float | None) -> None:
        """Lets it run for so long (None: any time), or to its end.

        Raises:
            RuntimeError: it failed.
        """
        begun = time.time()
        if self._process is None:
            self._start()
        else:
            os.killpg(self._process.pid, signal.SIGCONT)
        if self._over.wait(seconds):
            self._turns.append((begun, self._ended))
            if self._status:
                raise RuntimeError(f"{' '.join(self._command)} failed:\n{self._output.read_text()}")
        else:
            self._signal(signal.SIGSTOP)
            self._turns.append((begun, min(time.time(), self._ended)))

    def kill(self) -> None:
        """Ends it where it has not ended by itself."""
        if self._process is not None and not self.over:
            self._signal(signal.SIGKILL)
            self._over.wait()

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        with tempfile.NamedTemporaryFile(dir=self._cwd, delete=False) as output:
            self._output = Path(output.name)
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its own group, to be stopped with all that it starts
            )
        self._ended = float("inf")
        threading.Thread(target=self._await_end, daemon=True).start()

    def _await_end(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self._ended = time.time()
        self._status = self._process.returncode = os.waitstatus_to_exitcode(status)
        self.memory = usage.ru_maxrss / 1024
        self._over.set()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:  # it ended just now
            self._over.wait()


def in_turn(commands: Sequence[Sequence[str]], seconds: Sequence[float | None], cwd: Path) -> list[Turns]:
    """Runs all to their ends.

    Args:
        commands: each a program and its arguments.
        seconds: how long each runs at a time; those that take twice as long may have twice as much. None: to its end.
        cwd: the folder that they run in.

    Raises:
        RuntimeError: one failed; the others are ended.
    """
    programs = [Turns(command, cwd) for command in commands]
    try:
        while not all(program.over for program in programs):
            for program, turn in zip(programs, seconds, strict=True):
                if not program.over:
                    program.take(turn)
    finally:
        for program in programs:
            program.kill()
    return programs
