"""Run folders by hand, as train.py leaves them, as far as the page reads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image


def write_run(
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    history: Mapping[str, Sequence[float]] | None = None,
    metrics: Mapping[str, float] | None = None,
    status: str = "completed",
    epochs: int | None = None,
    config: Mapping[str, Any] | None = None,
    data: str = "line",
    figures: Sequence[str] = (),
) -> Path:
    """A run folder; its history counts epochs from 1."""
    folder.mkdir(parents=True)
    history = history or {"train/loss": [1.0, 0.5]}
    count = len(next(iter(history.values())))
    rows = [",".join(["epoch", *history])]
    rows += [
        ",".join(map(str, [epoch, *values])) for epoch, values in enumerate(zip(*history.values(), strict=True), 1)
    ]
    (folder / "history.csv").write_text("\n".join(rows) + "\n")
    results = {
        "status": status,
        "metrics": dict(metrics or {}),
        "epochs": count if epochs is None else epochs,
        "steps": count,
        "seconds": {"fit": 1.25, "total": 2.5},
        "model": "linear",
        "data": data,
        "overrides": list(overrides),
        "error": None,
        "environment": {"python": "3.11", "device": "cpu", "packages": {"torch": "2.14"}, "git": None},
    }
    (folder / "results.json").write_text(json.dumps(results))
    if config is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    for name in figures:
        (folder / "figures").mkdir(exist_ok=True)
        Image.new("L", (60, 40), 128).save(folder / "figures" / name)
    return folder
