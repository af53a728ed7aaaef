"""Run a sweep: check all points, train the jobs, and write the tables and figures."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from ..errors import JobFailedError, SettingError
from ..runs.files import NO_ROOM
from ..runs.folder import occupied
from .points import Point
from .sweep import Sweep

if TYPE_CHECKING:
    from .pool import Workers

# Statuses of jobs that have not finished, without an error.
LEFT = ("waiting", "interrupted", "unfinished")


def run_in_workers(sweep: Sweep, at_once: int | Literal["auto"]) -> None:
    """Check and train the points of a sweep in worker processes.

    Args:
        sweep: the sweep.
        at_once: number of jobs that run at once; ``auto`` is as many as the machine has cores for.

    Raises:
        SettingError: the settings of some points are invalid, or another process runs the same sweep.
        JobFailedError: a job failed or did not finish.
        KeyboardInterrupt: the user stopped the sweep.
        OSError: the disk is full.
        RemovedError: the sweep's folder was removed or moved.
    """
    if at_once != "auto" and not (type(at_once) is int and at_once > 0):
        raise SettingError(f"hydra.launcher.jobs={at_once}: it should be auto, or a number from 1.")
    # These imports take tenths of a second, so the setting is checked first.
    from . import worker
    from .cores import share_out
    from .live import open_view, tell
    from .pool import Workers, import_ahead
    from .running import Running

    # From here on, SIGTERM has the same effect as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    import_ahead()
    with contextlib.ExitStack() as held:
        if sweep.resumed:
            held.enter_context(occupied(sweep.resumed))
        sweep.compose()
        settings = {number: point.settings for number, point in sweep.points.items()}
        points = {number: replace(point, settings={}) for number, point in sweep.points.items()}
        share = share_out(None if at_once == "auto" else at_once, list(settings.values()))
        with contextlib.closing(Workers(share, sweep.compositions)) as workers:
            sweep.report(_in_parts(workers, points, worker.check, sweep.trusted, sweep.resumed))
            if sweep.asked_objective:
                sweep.check_objective(_in_parts(workers, points, worker.expected).values())
            if sweep.settings.preview:
                from .preview import preview

                # Removed after the workers have ended, because one that is being stopped still writes into it.
                temporary = TemporaryDirectory(prefix="littlenets-preview-", ignore_cleanup_errors=True)
                tell(*preview(sweep, settings, points, workers, Path(held.enter_context(temporary))))
                return
            if not sweep.resumed:
                held.enter_context(occupied(sweep.folder))
            sweep.open()
            tell(*sweep.greeting(share.workers, share.threads))
            with (
                contextlib.closing(open_view(sweep.folder, len(points), settings)) as view,
                _told_to_make_room(sweep),
            ):
                sweep.manifest.write(sweep.folder)
                running = Running(sweep.folder, sweep.manifest, points, workers, view, sweep.settings.on_error)
                running.run(sweep.jobs, sweep.begun)
        _finish(sweep, running.interrupted, running.at_once)


def run_by_launcher(sweep: Sweep, launch: Callable[[Sequence[Sequence[str]], int], object]) -> None:
    """Check the points in this process, and run the jobs with one of Hydra's launchers, which composes each job itself.

    Args:
        sweep: the sweep.
        launch: function that runs jobs, given the overrides of all of them and the number of the first.

    Raises:
        Exception: as `run_in_workers`.
    """
    for setting, asked in (("preview", sweep.settings.preview), ("on_error=stop", sweep.settings.on_error == "stop")):
        if asked:
            raise SettingError(f"sweep.{setting} needs hydra/launcher=parallel.")
    with contextlib.ExitStack() as held:
        if sweep.resumed:
            held.enter_context(occupied(sweep.resumed))
        sweep.compose()
        from ..fast_imports import fast_imports

        with fast_imports():
            from .checking import check_points, expected_of_points

        points = sweep.points
        problems = check_points(list(points.values()), sweep.compositions, sweep.trusted, sweep.resumed)
        sweep.report(dict(zip(points, problems, strict=True)))
        if sweep.asked_objective:
            sweep.check_objective(expected_of_points(list(points.values()), sweep.compositions))
        if not sweep.resumed:
            held.enter_context(occupied(sweep.folder))
        sweep.open()
        interrupted = False
        with _told_to_make_room(sweep):
            sweep.manifest.write(sweep.folder)
            try:
                launch(sweep.prepare_for_hydra(), 0)
            except KeyboardInterrupt:
                interrupted = True
            for job in sweep.jobs:
                # Launchers do not report which jobs they started; those have a folder.
                job.attempts += (sweep.folder / job.folder).is_dir()
            sweep.manifest.write(sweep.folder)
        _finish(sweep, interrupted)


def _in_parts(
    workers: "Workers", points: dict[int, Point], function: Callable[..., list[Any]], *arguments: Any
) -> dict[int, Any]:
    """Call a function of `worker` with all points, divided among the workers; return its results by job number."""
    count = workers.share.workers
    parts = [list(points)[first::count] for first in range(count)]
    futures = [workers.submit(function, [points[number] for number in part], *arguments) for part in parts]
    found = {}
    for part, future in zip(parts, futures, strict=True):
        found.update(zip(part, _result(future), strict=True))
    return {number: found[number] for number in points}


def _result(check: "Future[list[Any]]") -> list[Any]:
    from pebble import ProcessExpired

    try:
        return check.result()
    except (ProcessExpired, BrokenProcessPool):
        raise JobFailedError(
            "The worker processes died while they started. Was there enough memory? hydra.launcher.jobs=1 starts one."
        ) from None


@contextlib.contextmanager
def _told_to_make_room(sweep: Sweep) -> Iterator[None]:
    """Print the command that resumes the sweep if the block fails because the disk is full."""
    from .live import tell

    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            tell("", f"When there is room  {_go_on(sweep)} sweep.retry_failed=true")
        raise


def _go_on(sweep: Sweep) -> str:
    return f"python train.py resume={os.path.relpath(sweep.folder)}"


def _finish(sweep: Sweep, interrupted: bool, at_once: bool = False) -> None:
    """Write the tables and figures, print the summary, and raise an error if jobs failed or did not finish.

    Args:
        sweep: the sweep.
        interrupted: whether the user stopped the sweep.
        at_once: whether the user stopped it twice; then nothing is written.
    """
    from .live import tell
    from .summary import write_summary

    try:
        summary = None if at_once else write_summary(sweep.folder)
    except KeyboardInterrupt:
        summary = None
    if summary is None:
        tell("", f"Go on with  {_go_on(sweep)}")
        raise KeyboardInterrupt
    table = summary.table
    tell("", *summary.lines())
    statuses = [outcome.status for outcome in table.outcomes]
    left = sum(status in LEFT for status in statuses)
    failed = len(statuses) - left - sum(status in ("completed", "diverged") for status in statuses)
    if interrupted:
        tell("", f"Go on with  {_go_on(sweep)}")
        raise KeyboardInterrupt
    if failed or left:
        tell("", f"{'Go on, and try' if left else 'Try'} again what failed  {_go_on(sweep)} sweep.retry_failed=true")
        others = f", and {left} did not come to an end" if left else ""
        raise JobFailedError(f"{failed} of {len(statuses)} jobs failed{others}.")
    if table.problem:
        raise table.problem
