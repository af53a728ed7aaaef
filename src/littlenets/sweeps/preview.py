"""Estimate the duration of a sweep from the first epochs of a few of its jobs."""

import json
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf, open_dict

from ..config.labels import short_names, swept_text
from ..runs.saved import read_results
from . import worker
from .live import duration_text
from .points import Point
from .pool import Workers
from .sweep import Sweep, count_text

# Long enough for hundreds of short epochs.
SECONDS_A_JOB = 0.4
# Limit on the number of combinations of choices that are measured; the others are taken to cost the mean of these.
MOST_TRIED = 8


class Cost(NamedTuple):
    """Measured durations of a job, in seconds.

    Args:
        epoch: one epoch of training.
        besides: everything else in a job, such as set-up and test.
    """

    epoch: float
    besides: float


def preview(
    sweep: Sweep, settings: dict[int, dict[str, Any]], points: dict[int, Point], workers: Workers, folder: Path
) -> Iterator[str]:
    """Yield lines that list the jobs of a sweep and their estimated durations.

    Args:
        sweep: the sweep.
        settings: resolved settings of each job, by number.
        points: the point of each job, by number.
        workers: the processes in which the durations are measured.
        folder: folder for the files of the measured runs, to be removed when the workers have ended.
    """
    first: dict[int, int] = {}
    for number, point in points.items():
        first.setdefault(point.composition, number)
    tried = dict(list(first.items())[:MOST_TRIED])
    try:
        futures = {key: workers.submit(watch, points[job], job, folder / str(job)) for key, job in tried.items()}
        costs = {key: cost for key, future in futures.items() if (cost := future.result())}
    except BaseException:
        workers.kill()
        raise
    mean = Cost(*map(statistics.mean, zip(*costs.values(), strict=True))) if costs else None
    names = short_names(list(dict.fromkeys(name for job in sweep.jobs for name in job.swept)))
    width = len(str(sweep.jobs[-1].number)) if sweep.jobs else 1
    known = []
    for job in sweep.jobs:
        cost, epochs = costs.get(points[job.number].composition, mean), settings[job.number]["trainer"]["max_epochs"]
        shown = "not known"
        if cost and isinstance(epochs, int) and epochs > 0:
            known.append(cost.besides + cost.epoch * epochs)
            shown = duration_text(known[-1])
        yield f"{job.number:>{width}}  {swept_text(job.swept, names) or 'one job'}  {shown}"
    total = duration_text(max(sum(known) / workers.share.workers, max(known, default=0.0)))
    at_least = "at least " * (len(known) < len(sweep.jobs))
    yield f"{count_text(len(sweep.jobs), 'job')}, {workers.share.workers} at once: {at_least}{total}."
    if costs:
        kinds = f"{len(costs)} of {len(first)} combinations of choices" if len(first) > 1 else "one job"
        yield f"Judged from the first {SECONDS_A_JOB} s of {kinds}, on this machine as busy as it is. Nothing was kept."


def watch(point: Point, number: int, folder: Path) -> Cost | None:
    """Train a point for `SECONDS_A_JOB` and return its cost; None if that is not known. Called in a worker.

    Args:
        point: the point.
        number: number of the job.
        folder: path of the run folder, which is created.
    """
    started = time.perf_counter()
    config = worker.configure(point, number, folder)
    file = folder / "stopwatch.json"
    stopwatch = {
        "_target_": "littlenets.sweeps.stopwatch.Stopwatch",
        "seconds": SECONDS_A_JOB,
        "path": str(file),
    }
    with open_dict(config):
        config.callbacks = OmegaConf.merge(config.callbacks or {}, {"stopwatch": stopwatch})
    folder.mkdir()
    if worker.run(config, point, folder).status != "completed":
        return None
    whole = time.perf_counter() - started
    try:
        epoch, fit = json.loads(file.read_text()), read_results(folder)["seconds"]["fit"]
    except (OSError, KeyError):  # without a training step, for example
        return None
    # The duration of the fit is left out as a whole, because what it contains besides epochs is short. The number of
    # batches in an epoch may be unknown, and the duration then infinite.
    return Cost(epoch, whole - fit) if math.isfinite(epoch) else None
