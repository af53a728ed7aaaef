"""How far each job of a sweep came, read from its run folder, whatever state that is in."""

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SettingError
from ..runs.history import scan_history
from ..runs.results import LEARNED_NOTHING, NOT_LEARNED_YET
from ..runs.saved import read_results
from .manifest import Job

# What results.json calls the ends of a run (runs/schemas.py).
ENDS = ("completed", "diverged", "failed", "interrupted")
# A curve of this many points looks like one of ten thousand epochs.
POINTS_A_CURVE = 400
# The last part of their name tells them from metrics that should fall.
RISING = frozenset({"acc", "accuracy", "auroc", "auc", "f1", "precision", "r2", "recall"})

Curve = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Outcome:
    """What is known of one job.

    Args:
        job: what the manifest says of it.
        status: ``completed``, ``diverged``, ``failed`` or ``interrupted``, as the run itself says; ``waiting`` where it
            was not started, ``unfinished`` where it runs or was killed, ``lost`` where its folder is gone, ``damaged``
            where its results.json cannot be read.
        reason: why it did not complete; empty where it did.
        remark: what is wrong with its history.csv.
        warnings: of a completed run, what is wrong with its network: sentences by a few words.
        metrics: at the end of the run, by name; NaN and infinities included.
        best: the best of each metric of its history; finite.
        epochs: how many it trained for.
        seconds: how long it took in all.
        losses: epochs and values of each loss in its history, by name, thinned to some hundred points.
    """

    job: Job
    status: str
    reason: str = ""
    remark: str = ""
    warnings: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    epochs: int | None = None
    seconds: float | None = None
    losses: dict[str, Curve] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        return self.status == "completed"

    @property
    def ending(self) -> str:
        """The status in words."""
        if self.warnings:
            return f"{self.status}, {next(iter(self.warnings))}"
        known = self.status == "diverged" and self.epochs is not None
        return f"diverged at epoch {self.epochs:,}" if known else self.status

    @property
    def learned(self) -> bool:
        """Whether the run's network is better than one answer for everything, as far as the run knows."""
        return not {LEARNED_NOTHING, NOT_LEARNED_YET} & set(self.warnings)


def is_rising(metric: str) -> bool:
    """Whether more of a metric is better, judging by its name."""
    return re.split("[/_]", metric)[-1].lower() in RISING


def read_outcome(sweep: Path, job: Job) -> Outcome:
    """Never raises: what is missing or damaged is said in the outcome."""
    folder = sweep / job.folder
    if not folder.is_dir():
        gone = "lost", f"Its folder {job.folder} is gone."
        return Outcome(job, *(_as_the_sweep_says(job) or gone))
    best, losses, epochs, remark = _read_history(folder)
    found = {"best": best, "losses": losses}
    try:
        results = read_results(folder)
    except SettingError as error:
        return Outcome(job, "damaged", _below(folder, error), remark, epochs=epochs, **found)
    if not results:
        open_end = "unfinished", "There is no results.json: it still runs, or was killed."
        said = _as_the_sweep_says(job)
        if said and said[0] == "waiting" and epochs is not None:
            said = None  # the sweep was killed before it could say that it had started it
        return Outcome(job, *(said or open_end), epochs=epochs, **found)
    status = results["status"]
    if job.error and status not in ("completed", "diverged"):
        # Of an attempt before the one that could not speak for itself.
        return Outcome(job, "failed", _error_text(job.error), epochs=epochs, **found)
    return Outcome(
        job,
        status,
        "" if status == "completed" else _error_text(results.get("error")),
        # A run that broke off early may well have no history.
        remark if status == "completed" else "",
        warnings=results.get("warnings", {}) if status == "completed" else {},
        metrics=results.get("metrics", {}),
        epochs=results.get("epochs", epochs),
        seconds=results.get("seconds", {}).get("total"),
        **found,
    )


def _as_the_sweep_says(job: Job) -> tuple[str, str] | None:
    """Status and reason of a job that has not said itself how it ended; None where the sweep does not know either."""
    if job.error:
        return "failed", _error_text(job.error)
    if job.interrupted:
        return "interrupted", "It was stopped before it could say how far it had come."
    return None if job.attempts else ("waiting", "It has not been started.")


def _below(folder: Path, error: object) -> str:
    """The message of an error about a file of a run, with the file's path below the run's folder."""
    return str(error).replace(f"{folder}{os.sep}", "")


def _error_text(error: dict[str, str] | None) -> str:
    kind, message = ((error or {}).get(name, "") for name in ("type", "message"))
    # Errors that were made for being read need no name of a class.
    if kind in ("", "DivergedError", "SettingError", "DataUnavailableError"):
        return message
    return f"{kind}: {message}" if message else kind


def _read_history(folder: Path) -> tuple[dict[str, float], dict[str, Curve], int | None, str]:
    """The best of each metric, the losses, the last epoch, and what is wrong; as much as is whole of a damaged file."""
    # Reading numbers takes the longest, and weights and learning rates are neither good nor bad.
    history = scan_history(folder, lambda name: name == "epoch" or "/" in name)
    remark = "There is no history.csv." if history.missing else _below(folder, history.problem or "")
    epochs = [int(value) for value in history.columns.pop("epoch", []) if math.isfinite(value)]
    if not epochs:
        return {}, {}, None, remark or "history.csv has no rows."
    best, losses = {}, {}
    for name, values in history.columns.items():
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            best[name] = max(finite) if is_rising(name) else min(finite)
        if name.endswith("/loss"):
            losses[name] = _thinned(epochs, values)
    return best, losses, epochs[-1], remark


def _thinned(epochs: list[int], values: list[float]) -> Curve:
    """The points that were measured, or some hundred of them: those that a linear and a logarithmic axis need."""
    points = [(epoch, value) for epoch, value in zip(epochs, values, strict=False) if not math.isnan(value)]
    count, half = len(points), POINTS_A_CURVE // 2
    if count > POINTS_A_CURVE:
        kept = {round(step * (count - 1) / (half - 1)) for step in range(half)}
        kept |= {round(count ** (step / (half - 1))) - 1 for step in range(half)}
        points = [points[index] for index in sorted(kept)]
    return [epoch for epoch, _ in points], [value for _, value in points]
