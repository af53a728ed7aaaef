"""What a run left behind, as far as statements are judged by it."""

import math
from functools import cached_property
from pathlib import Path
from typing import Any

from ..runs.history import read_history
from ..runs.saved import read_results


class UnmeasuredError(Exception):
    """The runs cannot say whether a statement holds; the message says why."""


class Record:
    """One run folder. Its methods raise UnmeasuredError where it does not hold what is asked for."""

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
        """How many it trained for."""
        return self.results.get("epochs", 0)

    @property
    def figures(self) -> Path:
        return self.folder / "figures"

    def override(self, key: str) -> str | None:
        """What was set for it on the command line or by the sweep, as it was typed."""
        values = [text.partition("=")[2] for text in self.results.get("overrides", []) if text.startswith(f"{key}=")]
        return values[-1] if values else None

    def metric(self, name: str) -> float:
        """At the end of the run, finite."""
        value = self.results.get("metrics", {}).get(name, math.nan)
        if not math.isfinite(value):
            raise UnmeasuredError(f"the run has no {name}")
        return value

    def column(self, name: str) -> list[float]:
        """A metric after each epoch."""
        if not self.history.get(name):
            raise UnmeasuredError(f"the run recorded no {name}")
        return self.history[name]

    def after(self, epochs: int, name: str) -> float:
        """A metric after so many epochs."""
        column = self.column(name)
        if len(column) < epochs:
            raise UnmeasuredError(f"the run has {len(column):,} epochs, of {epochs:,} that this takes")
        return column[epochs - 1]

    def first_epoch(self, name: str, least: float) -> int | None:
        """The first after which a metric was so high; None where it never was."""
        reached = (epoch for epoch, value in enumerate(self.column(name), start=1) if value >= least)
        return next(reached, None)


def with_value(records: list[Record], key: str, value: str) -> Record:
    """The run of a sweep in which a setting had a value."""
    for record in records:
        if record.override(key) == value:
            return record
    raise UnmeasuredError(f"there is no run with {key}={value}")
