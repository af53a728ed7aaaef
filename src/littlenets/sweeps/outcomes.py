"""How far each job of a sweep came, read from its run folder, whatever state that is in."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..runs.results import LEARNED_NOTHING, NOT_LEARNED_YET
from .manifest import Job

# What results.json calls the ends of a run.
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
    return metric.rsplit("/", 1)[-1].lower() in RISING


def read_outcome(sweep: Path, job: Job) -> Outcome:
    """Never raises: what is missing or damaged is said in the outcome."""
    folder = sweep / job.folder
    if not folder.is_dir():
        gone = "lost", f"Its folder {job.folder} is gone."
        return Outcome(job, *(_as_the_sweep_says(job) or gone))
    best, losses, epochs, remark = _read_history(folder / "history.csv")
    found = {"best": best, "losses": losses}
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        open_end = "unfinished", "There is no results.json: it still runs, or was killed."
        said = _as_the_sweep_says(job)
        if said and said[0] == "waiting" and epochs is not None:
            said = None  # the sweep was killed before it could say that it had started it
        return Outcome(job, *(said or open_end), epochs=epochs, **found)
    except (OSError, ValueError, RecursionError) as error:
        return Outcome(job, "damaged", f"results.json cannot be read: {error}.", remark, epochs=epochs, **found)
    if not isinstance(results, dict) or results.get("status") not in ENDS:
        reason = "results.json does not say how the run ended."
        return Outcome(job, "damaged", reason, remark, epochs=epochs, **found)
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
        warnings=_texts(results.get("warnings")) if status == "completed" else {},
        metrics=_numbers(results.get("metrics")),
        epochs=results["epochs"] if isinstance(results.get("epochs"), int) else epochs,
        seconds=_numbers(results.get("seconds")).get("total"),
        **found,
    )


def _as_the_sweep_says(job: Job) -> tuple[str, str] | None:
    """Status and reason of a job that has not said itself how it ended; None where the sweep does not know either."""
    if job.error:
        return "failed", _error_text(job.error)
    if job.interrupted:
        return "interrupted", "It was stopped before it could say how far it had come."
    return None if job.attempts else ("waiting", "It has not been started.")


def _error_text(error: Any) -> str:
    if not isinstance(error, dict):
        return ""
    kind, message = str(error.get("type") or ""), str(error.get("message") or "")
    # Errors that were made for being read need no name of a class.
    if kind in ("", "DivergedError", "SettingError", "DataUnavailableError"):
        return message
    return f"{kind}: {message}" if message else kind


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _texts(values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        return {}
    return {name: text for name, text in values.items() if isinstance(text, str)}


def _read_history(path: Path) -> tuple[dict[str, float], dict[str, Curve], int | None, str]:
    """The best of each metric, the losses, the last epoch, and what is wrong; as much as is whole of a damaged file."""
    try:
        header, *lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return {}, {}, None, "There is no history.csv."
    except (OSError, ValueError) as error:
        return {}, {}, None, f"history.csv cannot be read: {error}."
    names = header.split(",")
    rows, remark = [], ""
    # What comes after the last newline is half a row.
    for number, line in enumerate(lines[:-1], 2):
        row = line.split(",")
        if len(row) != len(names):
            remark = f"history.csv is damaged in line {number}."
            break
        rows.append(row)
    try:
        columns = _columns(names, rows)
    except ValueError:
        whole = next(number for number, row in enumerate(rows) if not _is_numeric(names, row))
        remark = f"history.csv is damaged in line {whole + 2}."
        columns = _columns(names, rows[:whole])
    epochs = [int(value) for value in columns.pop("epoch", []) if math.isfinite(value)]
    if not epochs:
        return {}, {}, None, remark or "history.csv has no rows."
    best, losses = {}, {}
    for name, values in columns.items():
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            best[name] = max(finite) if is_rising(name) else min(finite)
        if name.endswith("/loss"):
            losses[name] = _thinned(epochs, values)
    return best, losses, epochs[-1], remark


def _columns(names: list[str], rows: list[list[str]]) -> dict[str, list[float]]:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    # Reading numbers takes the longest, and weights and learning rates are neither good nor bad.
    wanted = ((name, column) for name, column in zip(names, columns, strict=True) if name == "epoch" or "/" in name)
    return {name: [float(cell) if cell else math.nan for cell in column] for name, column in wanted}


def _is_numeric(names: list[str], row: list[str]) -> bool:
    try:
        _columns(names, [row])
    except ValueError:
        return False
    return True


def _thinned(epochs: list[int], values: list[float]) -> Curve:
    """The points that were measured, or some hundred of them: those that a linear and a logarithmic axis need."""
    points = [(epoch, value) for epoch, value in zip(epochs, values, strict=False) if not math.isnan(value)]
    count, half = len(points), POINTS_A_CURVE // 2
    if count > POINTS_A_CURVE:
        kept = {round(step * (count - 1) / (half - 1)) for step in range(half)}
        kept |= {round(count ** (step / (half - 1))) - 1 for step in range(half)}
        points = [points[index] for index in sorted(kept)]
    return [epoch for epoch, _ in points], [value for _, value in points]
