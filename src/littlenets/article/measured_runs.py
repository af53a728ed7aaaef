"""Read the results of a run that are needed to judge statements."""

import math
from functools import cached_property
from pathlib import Path
from typing import Any

from ..runs.history import read_history
from ..runs.saved import read_results


class UnmeasuredError(Exception):
    """Raised when the runs do not show whether a statement holds; the message is the reason."""


class Record:
    """A run folder. Its methods raise UnmeasuredError if the folder lacks the requested value."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def results(self) -> dict[str, Any]:
        return read_results(self.folder)

    @cached_property
    def history(self) -> dict[str, list[float]]:
        return read_history(self.folder)

    @property
    def status(self) -> str:
        return self.results.get("status", "unfinished")

    @property
    def epochs(self) -> int:
        """The number of epochs that the run was trained for."""
        return self.results.get("epochs", 0)

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    def override(self, key: str) -> str | None:
        """Return the text of a setting's value from the command line or the sweep; None if it was not set there."""
        values = [text.partition("=")[2] for text in self.results.get("overrides", []) if text.startswith(f"{key}=")]
        return values[-1] if values else None

    def metric(self, name: str) -> float:
        """Return a metric at the end of the run; raise UnmeasuredError if it is missing or not finite."""
        value = self.results.get("metrics", {}).get(name, math.nan)
        if not math.isfinite(value):
            raise UnmeasuredError(f"the run has no {name}")
        return value

    def column(self, name: str) -> list[float]:
        """Return a metric's values after each epoch."""
        if not self.history.get(name):
            raise UnmeasuredError(f"the run recorded no {name}")
        return self.history[name]

    def after(self, epochs: int, name: str) -> float:
        """Return a metric's value after so many epochs."""
        column = self.column(name)
        if len(column) < epochs:
            raise UnmeasuredError(f"the run has {len(column):,} epochs, of {epochs:,} that this takes")
        return column[epochs - 1]

    def first_epoch(self, name: str, least: float) -> int | None:
        """Return the first epoch after which a metric was at least ``least``; None if there is none."""
        reached = (epoch for epoch, value in enumerate(self.column(name), start=1) if value >= least)
        return next(reached, None)


def with_value(records: list[Record], key: str, value: str) -> Record:
    """Return the run of a sweep in which a setting had a value.

    Args:
        records: runs of the sweep.
        key: name of the setting.
        value: text of the value, as in the override.

    Raises:
        UnmeasuredError: there is no such run.
    """
    for record in records:
        if record.override(key) == value:
            return record
    raise UnmeasuredError(f"there is no run with {key}={value}")
