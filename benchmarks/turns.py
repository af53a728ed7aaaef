"""Run several commands alternately, a second at a time, so that other load on the machine slows all of them alike.

While one command runs, the others are stopped (SIGSTOP), and their time does not count.
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
    """A command that is run and stopped in turns, and the times at which it was running.

    Args:
        command: a program and its arguments.
        cwd: working directory of the command.
    """

    def __init__(self, command: Sequence[str], cwd: Path) -> None:
        self._command, self._cwd = command, cwd
        self._process: subprocess.Popen | None = None
        self._over = threading.Event()
        self._turns: list[tuple[float, float]] = []
        #: Peak resident set size in MiB, set when the command has ended.
        self.memory = 0.0

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def seconds(self, since: float = float("-inf"), until: float = float("inf")) -> float:
        """Return how many seconds the command was running between two times, given in seconds as by `time.time`."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in self._turns)

    def take(self, seconds: float | None) -> None:
        """Run the command for some time, or until it ends.

        Args:
            seconds: the time; None is until it ends.

        Raises:
            RuntimeError: the command failed.
        """
        begun = time.time()
        if self._process is None:
            self._start()
        else:
            self._signal(signal.SIGCONT)
        if self._over.wait(seconds):
            self._turns.append((begun, self._ended))
            if self._status:
                raise RuntimeError(f"{' '.join(self._command)} failed:\n{self._output.read_text()}")
        else:
            self._signal(signal.SIGSTOP)
            self._turns.append((begun, min(time.time(), self._ended)))

    def kill(self) -> None:
        """Kill the command if it has not ended."""
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
                start_new_session=True,  # a process group of its own, so that its child processes are stopped too
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
    """Run several commands alternately until all have ended.

    Args:
        commands: for each command, a program and its arguments.
        seconds: for each command, how long it runs at a time; None is until it ends. If commands with longer durations
            get proportionally more, all end at about the same time.
        cwd: working directory of the commands.

    Raises:
        RuntimeError: a command failed; the others are killed.
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
