"""Estimate the duration of a sweep from the first epochs of a few of its jobs."""

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf, open_dict

from ..config.labels import short_names, swept_text
from . import worker
from .points import Point
from .pool import Workers
from .sweep import Sweep

# Long enough for hundreds of short epochs.
SECONDS_A_JOB = 0.4
# Limit on the number of combinations of choices that are measured; for the others, the mean of these is used.
MOST_TRIED = 8


class Cost(NamedTuple):
    """Measured durations of a job, in seconds.

    Args:
        epoch: one epoch of training.
        besides: everything else in a job, such as set-up and test.
        watched: the training during the measurement.
    """

    epoch: float
    besides: float
    watched: float


def preview(
    sweep: Sweep, settings: dict[int, dict[str, Any]], points: dict[int, Point], workers: Workers
) -> Iterator[str]:
    """Yield lines that list the jobs of a sweep and their estimated durations; no files are kept.

    Args:
        sweep: the sweep.
        settings: resolved settings of each job, by number.
        points: the point of each job, by number.
        workers: the processes in which the durations are measured.
    """
    costs = _measure(points, workers)
    names = short_names(list(dict.fromkeys(name for job in sweep.jobs for name in job.swept)))
    mean = _mean(list(costs.values()))
    seconds, total = [], 0.0
    for job in sweep.jobs:
        cost = costs.get(points[job.number].composition, mean)
        epochs = settings[job.number]["trainer"]["max_epochs"]
        known = cost is not None and isinstance(epochs, int) and epochs > 0
        seconds.append(cost.besides + cost.epoch * epochs if known else None)
    width = len(str(sweep.jobs[-1].number)) if sweep.jobs else 1
    for job, took in zip(sweep.jobs, seconds, strict=True):
        shown = "not known" if took is None else duration(took)
        yield f"{job.number:>{width}}  {swept_text(job.swept, names) or 'one job'}  {shown}"
    known = [took for took in seconds if took is not None]
    total = max(sum(known) / workers.share.workers, max(known, default=0.0))
    count = f"{len(sweep.jobs):,} job{'s' * (len(sweep.jobs) != 1)}"
    yield f"{count}, {workers.share.workers} at once: {'at least ' * (len(known) < len(seconds))}{duration(total)}."
    if costs:
        watched = statistics.mean(cost.watched for cost in costs.values())
        combinations = len({point.composition for point in points.values()})
        kinds = f"{len(costs)} of {combinations} combinations of choices" if combinations > 1 else "one job"
        yield f"Judged from the first {watched:.1f} s of {kinds}, on this machine as busy as it is. Nothing was kept."


def duration(seconds: float) -> str:
    """Return an approximate duration as text, such as ``about 5 min``."""
    if seconds < 9.5:
        return f"about {seconds:.1f} s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 90 else f"about {minutes / 60:.1f} h"


def _measure(points: dict[int, Point], workers: Workers) -> dict[int, Cost]:
    """Measure one job of each combination of choices; the result lacks those that failed or exceed `MOST_TRIED`."""
    first: dict[int, int] = {}
    for number, point in points.items():
        first.setdefault(point.composition, number)
    folder = Path(tempfile.mkdtemp(prefix="littlenets-preview-"))
    try:
        tried = list(first.items())[:MOST_TRIED]
        futures: dict[int, Future[Cost | None]] = {
            composition: workers.submit(watch, points[number], number, folder / str(number))
            for composition, number in tried
        }
        found = {composition: future.result() for composition, future in futures.items()}
    except BaseException:
        workers.kill()  # they would continue to write into the folder
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {composition: cost for composition, cost in found.items() if cost is not None}


def watch(point: Point, number: int, folder: Path) -> Cost | None:
    """Train a point for `SECONDS_A_JOB` and return its cost; None if the training failed. Called in a worker.

    Args:
        point: the point.
        number: number of the job.
        folder: path of the run folder, which is created.
    """
    started = time.perf_counter()
    config = worker.configure(point, number, folder)
    with open_dict(config):
        config.callbacks = OmegaConf.merge(
            config.callbacks or {},
            {"stopwatch": {"_target_": "littlenets.sweeps.stopwatch.Stopwatch", "seconds": SECONDS_A_JOB}},
        )
    folder.mkdir()
    ending = worker.run(config, point, folder)
    whole = time.perf_counter() - started
    try:
        epoch = json.loads((folder / "stopwatch.json").read_text())["epoch"]
        fit = json.loads((folder / "results.json").read_text())["seconds"]["fit"]
    except (OSError, ValueError, KeyError):
        return None
    # The duration of the fit is left out as a whole, because what it contains besides epochs is short.
    return Cost(epoch, whole - fit, fit) if ending.status == "completed" else None


def _mean(costs: list[Cost]) -> Cost | None:
    return Cost(*(statistics.mean(values) for values in zip(*costs, strict=True))) if costs else None
