"""Schedule the jobs of a sweep on worker processes; retry those whose worker died."""

import signal
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal

from pebble import ProcessExpired

from ..runs.files import NO_ROOM, Presence
from . import worker
from .live import Lines
from .manifest import Job, Manifest
from .outcomes import read_outcome
from .points import Point
from .pool import Workers
from .summary import write_tables
from .table import SweepTable
from .worker import Ending

# A job whose worker died is tried once more.
ATTEMPTS = 2
# Limit on the share of the time that is spent on writing the tables.
SHARE_OF_TABLES = 0.05
SECONDS_BETWEEN_LOOKS = 0.1
# Some programs, such as `timeout`, send a signal to a process and then to its group; both count as one signal.
SECONDS_OF_ONE_SIGNAL = 0.5
ANNOUNCEMENT = "Ending the running jobs, which save their state. Ctrl-C again ends them at once."


class Running:
    """Scheduler of the jobs of a sweep.

    Args:
        folder: folder of the sweep.
        manifest: the manifest, which is written to ``folder`` whenever a job was started or lost.
        points: the point of each job, by number.
        workers: the processes in which the jobs are trained.
        view: the view that shows the progress.
        on_error: after a job failed, ``continue`` with the others or ``stop``.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        points: dict[int, Point],
        workers: Workers,
        view: Lines,
        on_error: Literal["continue", "stop"],
    ) -> None:
        self._folder, self._manifest, self._points = folder, manifest, points
        self._workers, self._view, self._on_error = workers, view, on_error
        self._presence = Presence(folder)
        self._table = SweepTable(folder)
        self._waiting: deque[Job] = deque()
        self._submitted: dict[Future[Ending], Job] = {}
        self._counted: set[Future[Ending]] = set()  # those that a worker has started
        self._deaths: Counter[int] = Counter()
        self._written = self._writing_took = 0.0
        self._unwritten = self._table_is_old = self._stopping = self._warned = self._announced = False
        #: Whether a signal has interrupted the sweep.
        self.interrupted = False
        #: Whether a second signal has killed the running jobs.
        self.at_once = False

    def run(self, jobs: list[Job], begun: set[int]) -> None:
        """Run jobs until all of them have ended; their statuses are in their folders or in sweep.json.

        Args:
            jobs: the jobs to run.
            begun: numbers of the jobs that are resumed from a checkpoint.

        Raises:
            RemovedError: the sweep's folder was removed or moved.
        """
        self._waiting.extend(jobs)
        self._begun = set(begun)
        try:
            with self._signals():
                while self._submitted or (self._waiting and not self._stopping):
                    self._presence.check()
                    self._fill()
                    done, _ = wait(self._submitted, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
                    if self.interrupted and not self._announced:
                        # Not in the signal handler, which may be called while the view is being drawn.
                        self._announced = True
                        self._view.say(ANNOUNCEMENT)
                    self._count_starts()
                    for future in done:
                        self._end(self._submitted.pop(future), future)
                    self._write_tables()
                    self._view.look(
                        self._table, [job for future, job in self._submitted.items() if future in self._counted]
                    )
        except KeyboardInterrupt:
            self.at_once = True
            for future in self._counted & self._submitted.keys():
                self._speak_for(self._submitted[future], Ending("interrupted"))
        self._write_manifest()
        self._write_tables(now=True)

    def _fill(self) -> None:
        """Submit one more job than there are workers, so that no worker waits for this process."""
        while self._waiting and not self._stopping and len(self._submitted) <= self._workers.share.workers:
            job = self._waiting.popleft()
            folder = self._folder / job.folder
            begun = job.number in self._begun
            future = self._workers.submit(worker.train, self._points[job.number], job.number, folder, begun)
            self._submitted[future] = job

    def _count_starts(self) -> None:
        for future, job in self._submitted.items():
            if future not in self._counted and (future.running() or future.done()):
                self._counted.add(future)
                job.attempts += 1
                self._unwritten = True
        self._write_manifest()

    def _end(self, job: Job, future: "Future[Ending]") -> None:
        self._counted.discard(future)
        try:
            ending = future.result()
        except ProcessExpired as error:
            code = error.exitcode or 0
            ending = self._lost(job, signal.Signals(-code).name if code < 0 else f"exit code {code}")
        except BrokenProcessPool:
            ending = self._lost(job, "all workers had ended")
        except Exception as error:  # raised before the run began
            ending = Ending("failed", type(error).__name__, str(error), getattr(error, "errno", None) in NO_ROOM)
        if ending is not None and ending.status == "interrupted" and not self._stopping:
            ending = self._lost(job, "a signal")  # not from this process
        if ending is None:
            return
        if ending.status == "not started":
            job.attempts -= 1
            self._unwritten = True
            return
        if ending.status in ("failed", "interrupted"):
            self._speak_for(job, ending)
        self._write_manifest()
        self._table.refresh()
        self._table_is_old = True
        self._view.ended(self._table, job, ending)
        self._warn_of_objective()
        if ending.status == "failed":
            self._stop_after_failure(ending)

    def _speak_for(self, job: Job, ending: Ending) -> None:
        """Record how a job ended in the manifest, if its folder does not say so or is from an earlier attempt."""
        said = read_outcome(self._folder, job).status
        if ending.status == "failed" and said not in ("failed", "completed", "diverged"):
            job.error = {"type": ending.error, "message": ending.message}
            self._unwritten = True
        elif ending.status == "interrupted" and said in ("waiting", "unfinished", "lost"):
            job.interrupted = self._unwritten = True

    def _stop_after_failure(self, ending: Ending) -> None:
        if self._stopping:
            return
        if ending.no_room:
            # All other jobs would fail as well.
            self._view.say("There is no room on the disk: the other jobs are ended.")
        elif self._on_error == "stop":
            self._view.say("A job failed, and sweep.on_error=stop: the others are ended.")
        else:
            return
        self._stop()

    def _warn_of_objective(self) -> None:
        """Show that no run has the given objective, once and as soon as it is known."""
        if self._table.problem and not self._warned:
            self._warned = True
            self._view.say(f"{self._table.problem} The sweep goes on; report.py takes another objective.")

    def _lost(self, job: Job, reason: str) -> Ending | None:
        """Return the ending of a job whose worker died; None if the job is tried again."""
        self._deaths[job.number] += 1
        if self._stopping:
            return Ending("interrupted")
        if self._deaths[job.number] < ATTEMPTS:
            self._view.again(self._table, job, f"its process died ({reason})")
            self._begun.add(job.number)
            self._waiting.appendleft(job)
            return None
        message = f"Its process died {self._deaths[job.number]} times ({reason}). Was there enough memory?"
        return Ending("failed", "WorkerDied", message)

    def _write_manifest(self) -> None:
        """Write the manifest if it has changed; with hundreds of jobs, that takes some milliseconds."""
        if self._unwritten:
            self._manifest.write(self._folder)
            self._unwritten = False

    def _write_tables(self, now: bool = False) -> None:
        """Write the tables if jobs have ended, but spend at most `SHARE_OF_TABLES` of the time on it.

        Args:
            now: whether to write them in any case.
        """
        since = time.monotonic() - self._written
        if now or (self._table_is_old and since > self._writing_took / SHARE_OF_TABLES):
            started = time.monotonic()
            self._table.refresh()
            write_tables(self._table)
            self._written = time.monotonic()
            self._writing_took = self._written - started
            self._table_is_old = False

    def _stop(self) -> None:
        self._stopping = True
        self._workers.stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop the jobs gracefully at the first SIGINT or SIGTERM, and kill them at the second."""
        first = 0.0

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal first
            now = time.monotonic()
            if not self.interrupted:
                first = now
                self.interrupted = True
                self._stop()
            elif now - first > SECONDS_OF_ONE_SIGNAL:
                self._workers.kill()
                raise KeyboardInterrupt

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
