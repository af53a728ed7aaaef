"""Show the progress of a sweep: a live view on a terminal, a line for each finished job elsewhere."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..console.terminal import terminal
from ..console.text import printable
from .manifest import Job
from .outcomes import loss_beside
from .table import SweepTable
from .worker import Ending

SECONDS_BETWEEN_DRAWS = 0.25
# Limit on the number of running jobs listed; a terminal has about 24 lines, with the finished jobs above.
RUNNING_SHOWN = 8
LONGEST_REASON = 300
STYLES = {"completed": "green", "warned": "yellow", "diverged": "yellow", "interrupted": "yellow", "failed": "red"}


class Lines:
    """View for files and pipes: a line for each finished job. `running.Running` reports the progress to it.

    Args:
        folder: folder of the sweep.
        jobs: number of jobs to run.
        settings: resolved settings of each job, by number.
    """

    def __init__(self, folder: Path, jobs: int, settings: dict[int, dict[str, Any]]) -> None:
        self._folder, self._jobs, self._settings = folder, jobs, settings
        self._done = 0
        self._started = time.monotonic()

    def ended(self, table: SweepTable, job: Job, ending: Ending) -> None:
        """Report that a job has ended; ``table`` contains its outcome."""
        self._done += 1
        count = f"[{self._done:>{len(str(self._jobs))}}/{self._jobs}]"
        for number, line in enumerate(self._describe(table, job, ending)):
            status = "warned" if table.outcomes[job.number].warnings else ending.status
            self._print(f"{count if number == 0 else ' ' * len(count)} {line}", status)

    def again(self, table: SweepTable, job: Job, why: str) -> None:
        """Report that a job is tried again."""
        self._print(f"{_name(table, job)}  is tried once more: {why}", "interrupted")

    def say(self, line: str) -> None:
        """Show a message about the whole sweep."""
        self._print(line, "")

    def look(self, table: SweepTable, running: Sequence[Job]) -> None:
        """Update the view; called several times a second."""

    def close(self) -> None:
        """Close the view."""

    def _print(self, line: str, status: str) -> None:
        tell(line)

    def _describe(self, table: SweepTable, job: Job, ending: Ending) -> list[str]:
        outcome, name = table.outcomes[job.number], _name(table, job)
        if ending.status == "failed":
            kind = "" if ending.error in ("SettingError", "RemovedError", "WorkerDied") else f"{ending.error}: "
            reason = f"failed: {kind}{' '.join(ending.message.split())}"
            log = self._folder / job.folder / "train.log"
            where = [f"see {os.path.relpath(log)}"] if ending.error != "RemovedError" else []
            return [f"{name}  {reason[:LONGEST_REASON]}", *where]
        words = [name, outcome.ending if outcome.status == ending.status else ending.message or ending.status]
        if outcome.completed:
            words += [table.reached(outcome), f"{outcome.epochs:,} epochs in {outcome.seconds:.1f} s"]
        return ["  ".join(filter(None, words))]

    def _left(self) -> str:
        """Return the remaining time as text, estimated from the jobs that have ended; empty if none has."""
        if not self._done:
            return ""
        seconds = (time.monotonic() - self._started) / self._done * (self._jobs - self._done)
        return f"{duration_text(seconds)} to go"


class Screen(Lines):
    """View for terminals: the lines of `Lines`, and below them the progress of the sweep, redrawn in place.

    Args:
        folder: folder of the sweep.
        jobs: number of jobs to run.
        settings: resolved settings of each job, by number.
        console: the terminal.
    """

    def __init__(self, folder: Path, jobs: int, settings: dict[int, dict[str, Any]], console: Console) -> None:
        super().__init__(folder, jobs, settings)
        self._console = console
        self._counts: dict[str, int] = {}
        self._drawn = 0.0
        # No automatic refresh, because its thread would compete with the workers for the cores.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def ended(self, table: SweepTable, job: Job, ending: Ending) -> None:
        self._counts[ending.status] = self._counts.get(ending.status, 0) + 1
        super().ended(table, job, ending)

    def look(self, table: SweepTable, running: Sequence[Job]) -> None:
        now = time.monotonic()
        if now - self._drawn >= SECONDS_BETWEEN_DRAWS:
            self._drawn = now
            self._live.update(self._picture(table, running), refresh=True)

    def close(self) -> None:
        self._live.update(Text(""), refresh=True)
        self._live.stop()

    def _print(self, line: str, status: str) -> None:
        # A path that is split over two lines cannot be copied.
        in_one_piece = any(len(word) > self._console.width for word in line.split())
        self._console.print(Text(line, STYLES.get(status, "")), soft_wrap=in_one_piece)

    def _picture(self, table: SweepTable, running: Sequence[Job]) -> Group:
        left = self._jobs - self._done - len(running)
        counts = [f"{count:,} {status}" for status, count in self._counts.items()]
        counts += [f"{len(running)} running", f"{left:,} left"]
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self._jobs, completed=self._done, width=20)
        head.add_row(f"{self._done:,}/{self._jobs:,}", bar, self._left())
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True)
        # In a narrow terminal, the wider of these two columns is shortened first.
        rows.add_column()
        rows.add_column()
        for job in running[:RUNNING_SHOWN]:
            rows.add_row("running", _in_a_line(_name(table, job)), _in_a_line(self._progress(job)))
        if len(running) > RUNNING_SHOWN:
            rows.add_row("", f"and {len(running) - RUNNING_SHOWN} more", "")
        if table.best:
            rows.add_row("best", _in_a_line(table.describe(table.best)), _in_a_line(table.reached(table.best)))
        # An empty last line, because the terminal prints ^C after the last one, and would wrap a line that is full.
        return Group(head, Text(", ".join(counts)), rows, Text(""))

    def _progress(self, job: Job) -> str:
        """Return the epoch and losses in the last row of a job's history.csv; without a row, whether it is set up."""
        epochs = (self._settings[job.number].get("trainer") or {}).get("max_epochs")
        of = f"/{epochs:,}" if isinstance(epochs, int) and epochs > 0 else ""
        row = last_row(self._folder / job.folder / "history.csv")
        if not row:
            # config.yaml is written at the end of the set-up. After it, the first epoch may take minutes.
            set_up = (self._folder / job.folder / "config.yaml").is_file()
            return f"in epoch 1{of}" if set_up else "starting"
        losses = [f"{name} {value:.4g}" for name, value in row.items() if name == loss_beside(name) and value == value]
        return "  ".join([f"epoch {row.get('epoch', 0):,.0f}{of}", *losses])


def open_view(folder: Path, jobs: int, settings: dict[int, dict[str, Any]]) -> Lines:
    """Return a live view if the output goes to a terminal, otherwise one that prints lines."""
    console = terminal()
    return Screen(folder, jobs, settings, console) if console else Lines(folder, jobs, settings)


def tell(*lines: str) -> None:
    """Print lines; ignore errors, such as a full disk, so that the sweep continues."""
    with suppress(OSError):
        print(*lines, sep="\n", flush=True)


def last_row(history: Path) -> dict[str, float]:
    """Return the last complete row of a history.csv that is being written; empty if there is none."""
    try:
        with history.open("rb") as file:
            names = printable(file.readline().decode(errors="replace").strip()).split(",")
            file.seek(max(file.tell(), os.path.getsize(history) - 1000))
            lines = file.read().decode(errors="replace").split("\n")[:-1]
    except OSError:
        return {}
    cells = lines[-1].split(",") if lines else []
    try:
        return dict(zip(names, [float(cell or "nan") for cell in cells], strict=True))
    except ValueError:
        return {}


def _in_a_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _name(table: SweepTable, job: Job) -> str:
    return table.describe(table.outcomes[job.number]) or f"job {job.number}"


def duration_text(seconds: float) -> str:
    """Return an approximate duration as text, such as ``about 5 min``."""
    if seconds < 90:
        return f"about {round(seconds, 1 if seconds < 9.5 else None):g} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 90 else f"about {minutes / 60:.1f} h"
