"""Folders of sweeps as train.py leaves them, written without training; files are read back without the package."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, float]


def write_sweep(folder: Path, jobs: Sequence[dict[str, Any]], **manifest: Any) -> Path:
    """sweep.json for jobs that `write_run` has written."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"arguments": ["-m", "model=linear"], "objective": None, "direction": None, "jobs": list(jobs)}
    (folder / "sweep.json").write_text(json.dumps(content | manifest))
    return folder


def write_run(
    sweep: Path,
    number: int,
    swept: dict[str, Any],
    metrics: Row | None = None,
    history: Sequence[Row] = (),
    *,
    status: str = "completed",
    epochs: int | None = None,
    seconds: float = 1.5,
    error: dict[str, str] | None = None,
    warnings: Any = None,
) -> dict[str, Any]:
    """A run's results.json and history.csv, and its job for sweep.json."""
    job = {
        "number": number,
        "folder": re.sub(r"[^\w.]+", "-", "_".join([str(number), *(f"{key}={swept[key]}" for key in swept)]))[:100],
        "overrides": ["model=linear", *(f"{key}={value}" for key, value in swept.items())],
        "swept": swept,
        "attempts": 1,
        "error": None,
    }
    folder = sweep / job["folder"]
    folder.mkdir(parents=True)
    history = history or [{"epoch": epoch, "train/loss": 1 / epoch, "lr": 0.1} for epoch in (1, 2, 3)]
    write_history(folder, history)
    results = {
        "status": status,
        "metrics": metrics or {},
        "warnings": warnings or {},
        "epochs": len(history) if epochs is None else epochs,
        "steps": len(history),
        "seconds": {"setup": 0.1, "fit": seconds - 0.1, "total": seconds},
        "model": "linear",
        "data": "line",
        "overrides": job["overrides"],
        "seed": swept.get("seed", 0),
        "error": error,
        "environment": None,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2))
    return job


def write_history(folder: Path, history: Sequence[Row]) -> None:
    rows = [",".join(history[0]), *(",".join(map(str, row.values())) for row in history)]
    (folder / "history.csv").write_text("\n".join(rows) + "\n")


def diverged(epoch: int) -> dict[str, Any]:
    """What `write_run` takes for a run that diverged."""
    message = f"The loss diverged in epoch {epoch}, after 1e+38. Lower optimizer.lr."
    return {"status": "diverged", "epochs": epoch, "error": {"type": "DivergedError", "message": message}}


def read_csv(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))
