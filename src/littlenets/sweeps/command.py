"""What a sweep's command does, from checking all of its points to its tables."""

import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Literal

from ..command import JobFailedError
from ..errors import SettingError
from ..runs.folder import occupied
from .sweep import Sweep


def run_in_workers(sweep: Sweep, at_once: int | Literal["auto"]) -> None:
    """Checks and trains the points in worker processes.

    Args:
        at_once: so many jobs; ``auto`` is as many as the machine has cores for.

    Raises:
        SettingError: settings of some points are wrong.
        JobFailedError: a job failed.
        KeyboardInterrupt: the user stopped it.
    """
    if at_once != "auto" and not (type(at_once) is int and at_once > 0):
        raise SettingError(f"hydra.launcher.jobs={at_once}: it should be auto, or a number from 1.")
    # Tenths of a second, which a typo should not take.
    from . import worker
    from .cores import share_out
    from .live import open_view
    from .pool import Workers, import_ahead
    from .running import Running

    import_ahead()
    sweep.compose()
    settings = {number: point.settings for number, point in sweep.points.items()}
    points = {number: replace(point, settings={}) for number, point in sweep.points.items()}
    share = share_out(None if at_once == "auto" else at_once, list(settings.values()))
    with contextlib.closing(Workers(share, sweep.compositions)) as workers:
        parts = [list(points)[first :: share.workers] for first in range(share.workers)]
        checks: list[Future[list[str]]] = [
            workers.submit(worker.check, [points[number] for number in part], sweep.trusted) for part in parts
        ]
        found = {}
        for part, check in zip(parts, checks, strict=True):
            found.update(zip(part, check.result(), strict=True))
        sweep.report({number: found[number] for number in points})
        if sweep.settings.preview:
            from .preview import preview

            print(*preview(sweep, settings, points, workers), sep="\n")
            return
        sweep.open()
        print(*sweep.greeting(share.workers, share.threads), sep="\n", flush=True)
        with occupied(sweep.folder), contextlib.closing(open_view(sweep.folder, len(points), settings)) as view:
            sweep.manifest.write(sweep.folder)
            running = Running(sweep.folder, sweep.manifest, points, workers, view, sweep.settings.on_error)
            running.run(sweep.jobs, sweep.begun)
    _finish(sweep, running.interrupted)


def run_by_launcher(sweep: Sweep, launch: Callable[[Sequence[Sequence[str]], int], object]) -> None:
    """Checks the points in this process, and has one of Hydra's launchers run them, which composes each job itself.

    Args:
        launch: takes the overrides of all jobs, and the number of the first.

    Raises:
        SettingError: settings of some points are wrong.
        JobFailedError: a job failed.
        KeyboardInterrupt: the user stopped it.
    """
    sweep.compose()
    from ..startup import fast_imports

    with fast_imports():
        from .checking import check_points

    points = sweep.points
    problems = check_points(list(points.values()), sweep.compositions, sweep.trusted)
    sweep.report(dict(zip(points, problems, strict=True)))
    if sweep.settings.preview:
        raise SettingError("sweep.preview needs hydra/launcher=parallel.")
    sweep.open()
    for job in sweep.jobs:
        job.attempts += 1
    sweep.manifest.write(sweep.folder)
    interrupted = False
    try:
        launch([[*job.overrides, f"hydra.sweep.subdir={job.folder}"] for job in sweep.jobs], 0)
    except KeyboardInterrupt:
        interrupted = True
    _finish(sweep, interrupted)


def _finish(sweep: Sweep, interrupted: bool) -> None:
    """Writes tables and figures, says what came of it, and raises where not all is well."""
    from .summary import write_summary

    summary = write_summary(sweep.folder)
    print("", *summary.lines(), sep="\n")
    go_on = f"python train.py resume={os.path.relpath(sweep.folder)}"
    if interrupted:
        print(f"\nGo on with  {go_on}", flush=True)
        raise KeyboardInterrupt
    failed = [outcome for outcome in summary.table.outcomes if outcome.status not in ("completed", "diverged")]
    if failed:
        print(f"\nTry again what failed  {go_on} sweep.retry_failed=true", flush=True)
        raise JobFailedError(f"{len(failed)} of {len(summary.table.outcomes)} jobs failed.")
