"""Read the status and metrics of a sweep's jobs from their run folders, which may be incomplete or damaged."""

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

# Statuses in results.json (runs/schemas.py).
ENDS = ("completed", "diverged", "failed", "interrupted")
# Limit on the points of a curve; in a figure, it looks the same as one of ten thousand points.
POINTS_A_CURVE = 400
# Prefixes of the metrics that are measured on one part of the data, as in ``val/loss`` or ``val_loss``.
STAGES = ("test", "val", "train")
# Metrics for which higher values are better, by the last part of their name.
RISING = frozenset({"acc", "accuracy", "auroc", "auc", "f1", "precision", "r2", "recall"})

Curve = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Outcome:
    """Status and results of one job.

    Args:
        job: its entry in sweep.json.
        status: ``completed``, ``diverged``, ``failed`` or ``interrupted``, as recorded in results.json or sweep.json;
            ``waiting`` if it was not started, ``unfinished`` if it is running or was killed, ``lost`` if its folder is
            missing, ``damaged`` if its results.json cannot be read.
        reason: why it did not complete; empty if it completed.
        remark: what is wrong with its history.csv; empty if nothing is.
        warnings: warnings about the network of a completed run: sentences, by a short description.
        metrics: metrics at the end of the run, by name; they may be NaN or infinite.
        best: best finite value of each metric in history.csv, by name.
        epochs: number of epochs trained; None if unknown.
        seconds: total duration; None if unknown.
        losses: epochs and values of each loss in history.csv, by name, with at most `POINTS_A_CURVE` points.
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
        """Status as text, such as ``diverged at epoch 12``."""
        if self.warnings:
            return f"{self.status}, {next(iter(self.warnings))}"
        known = self.status == "diverged" and self.epochs is not None
        return f"diverged at epoch {self.epochs:,}" if known else self.status

    @property
    def learned(self) -> bool:
        """Whether the run has no warning that its network is no better than a constant prediction."""
        return not {LEARNED_NOTHING, NOT_LEARNED_YET} & set(self.warnings)


def is_rising(metric: str) -> bool:
    """Return whether higher values of a metric are better, judging by its name."""
    return re.split("[/_]", metric)[-1].lower() in RISING


def stage_prefix(metric: str) -> str:
    """Return ``val/`` for ``val/acc``, ``val_`` for ``val_acc``, and an empty string for a metric without a stage."""
    stage, slash, _ = metric.rpartition("/")
    if slash:
        return f"{stage}/"
    stage, line, _ = metric.partition("_")
    return f"{stage}_" if line and stage in STAGES else ""


def loss_beside(metric: str) -> str:
    """Return the name of the loss of the same stage: ``val/loss`` for ``val/acc``, ``val_loss`` for ``val_acc``."""
    return f"{stage_prefix(metric)}loss"


def is_metric(name: str) -> bool:
    """Return whether a value is a loss or has a stage, unlike a weight or a learning rate."""
    return name == "loss" or bool(stage_prefix(name))


def read_outcome(sweep: Path, job: Job) -> Outcome:
    """Read the outcome of a job; missing and damaged files are reported in it, not raised.

    Args:
        sweep: folder of the sweep.
        job: the job.
    """
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
            said = None  # the sweep was killed before it recorded that it had started the job
        return Outcome(job, *(said or open_end), epochs=epochs, **found)
    status = results["status"]
    if job.error and status not in ("completed", "diverged"):
        # results.json is from an earlier attempt; the last one could not write it.
        return Outcome(job, "failed", _error_text(job.error), epochs=epochs, **found)
    return Outcome(
        job,
        status,
        "" if status == "completed" else _error_text(results.get("error")),
        # A run that ended early need not have a history.
        remark if status == "completed" else "",
        warnings=results.get("warnings", {}) if status == "completed" else {},
        metrics=results.get("metrics", {}),
        epochs=results.get("epochs", epochs),
        seconds=results.get("seconds", {}).get("total"),
        **found,
    )


def _as_the_sweep_says(job: Job) -> tuple[str, str] | None:
    """Return the status and reason of a job without results.json from sweep.json; None if that has neither."""
    if job.error:
        return "failed", _error_text(job.error)
    if job.interrupted:
        return "interrupted", "It was stopped before it could say how far it had come."
    return None if job.attempts else ("waiting", "It has not been started.")


def _below(folder: Path, error: object) -> str:
    """Return an error's message with paths relative to the run folder."""
    return str(error).replace(f"{folder}{os.sep}", "")


def _error_text(error: dict[str, str] | None) -> str:
    kind, message = ((error or {}).get(name, "") for name in ("type", "message"))
    # The messages of these errors are written for users, who do not need the name of the class.
    if kind in ("", "DivergedError", "SettingError", "DataUnavailableError"):
        return message
    return f"{kind}: {message}" if message else kind


def _read_history(folder: Path) -> tuple[dict[str, float], dict[str, Curve], int | None, str]:
    """Read a run's history.csv, and of a damaged file the valid part.

    Returns:
        The best value of each metric, the curve of each loss, the last epoch, and what is wrong with the file.
    """
    # Parsing numbers takes most of the time, so columns such as weights are skipped.
    history = scan_history(folder, lambda name: name == "epoch" or is_metric(name))
    remark = "There is no history.csv." if history.missing else _below(folder, history.problem or "")
    epochs = [int(value) for value in history.columns.pop("epoch", []) if math.isfinite(value)]
    if not epochs:
        return {}, {}, None, remark or "history.csv has no rows."
    best, losses = {}, {}
    for name, values in history.columns.items():
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            best[name] = max(finite) if is_rising(name) else min(finite)
        if name == loss_beside(name):
            losses[name] = _thinned(epochs, values)
    return best, losses, epochs[-1], remark


def _thinned(epochs: list[int], values: list[float]) -> Curve:
    """Return the points of a curve, at most `POINTS_A_CURVE`, spaced evenly on linear and on logarithmic axes."""
    points = [(epoch, value) for epoch, value in zip(epochs, values, strict=False) if not math.isnan(value)]
    count, half = len(points), POINTS_A_CURVE // 2
    if count > POINTS_A_CURVE:
        kept = {round(step * (count - 1) / (half - 1)) for step in range(half)}
        kept |= {round(count ** (step / (half - 1))) - 1 for step in range(half)}
        points = [points[index] for index in sorted(kept)]
    return [epoch for epoch, _ in points], [value for _, value in points]
