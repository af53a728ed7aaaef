"""A heat map's columns are the values of one setting and its rows those of the other."""

from pathlib import Path
from typing import Any

import pytest
from run_folders import write_run, write_sweep

from littlenets.sweeps import drawing
from littlenets.sweeps.summary import write_summary


def test_columns_and_rows_are_not_confused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three values of one setting and two of the other, and a loss from which both can be read."""
    figures = []
    sweep_pair = drawing.sweep_pair

    def keeping(*arguments: Any, **settings: Any) -> Any:
        figures.append(sweep_pair(*arguments, **settings))
        return figures[-1]

    monkeypatch.setattr(drawing, "sweep_pair", keeping)
    points = [(a, b) for a in (1, 2, 3) for b in (10, 20)]
    jobs = [
        write_run(tmp_path, number, {"data.a": a, "data.b": b}, {"test/loss": 100.0 * a + b})
        for number, (a, b) in enumerate(points)
    ]
    write_summary(write_sweep(tmp_path, jobs))
    (figure,) = figures
    figure.canvas.draw()
    axes = figure.axes[0]
    values = {axis: [int(label.get_text()) for label in ticks] for axis, ticks in _ticks(axes).items()}
    names = {"x": axes.get_xlabel(), "y": axes.get_ylabel()}
    assert {names[axis]: labels for axis, labels in values.items()} == {"data.a": [1, 2, 3], "data.b": [10, 20]}
    cells = {text.get_position(): float(text.get_text()) for text in axes.texts}
    assert len(cells) == 6
    for (column, row), loss in cells.items():
        at = {names["x"]: values["x"][int(column)], names["y"]: values["y"][int(row)]}
        assert loss == 100 * at["data.a"] + at["data.b"]


def _ticks(axes: Any) -> dict[str, list[Any]]:
    return {"x": axes.get_xticklabels(), "y": axes.get_yticklabels()}
