"""Write results.json when a run ends, also after an error."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import DivergedError, RemovedError, SettingError
from .files import Presence, write_atomically
from .folder import started

# Warnings about a network that is not clearly better than a constant prediction.
LEARNED_NOTHING, NOT_LEARNED_YET = "learned nothing", "not learned yet"


class Run:
    """Context manager for a run that writes ``results.json`` with its result or error on exit.

    Args:
        folder: the run folder, which must exist.
        results: values that are known from the start: model, data, overrides, seed.
    """

    def __init__(self, folder: Path, **results: Any) -> None:
        self.folder = folder
        self.results: dict[str, Any] = {
            "status": "failed",
            "metrics": {},
            "warnings": {},
            "epochs": 0,
            "steps": 0,
            # Why the training ended before its planned end, if neither a signal nor an error ended it.
            "ended": None,
            "started": None,
            "seconds": {},
            **results,
            "error": None,
            "environment": None,
        }
        # Earlier results of a resumed run, whose seconds are added to those of this part.
        self._before: dict[str, Any] | None = None
        self._begun = False

    def go_on(self, before: dict[str, Any], steps: int) -> None:
        """Take over the results of the earlier parts of a resumed run; the seconds are added up at the end.

        Args:
            before: content of their ``results.json``; empty if they were killed.
            steps: number of optimizer steps after which the run is resumed.
        """
        self._before = before
        self.results["resumed"] = [*before.get("resumed", []), steps]
        self.results["started"] = before.get("started", self.results["started"])

    def begin(self) -> None:
        """Record that training begins. A resumed run that ends with an error before this does not change the file."""
        self._begun = True
        if self._before:
            # In case this part is killed: the file must not contain the status "completed" of an earlier part.
            self._write(self._before | {"status": "interrupted"})

    def check(self) -> None:
        """Raise RemovedError if the run folder, or config.yaml in it after training has begun, no longer exists."""
        self._presence.check()
        config = self.folder / "config.yaml"
        if self._begun and not config.is_file():
            raise RemovedError(config)

    def __enter__(self) -> "Run":
        self._started = time.perf_counter()
        # With the offset from UTC, because runs may come from machines in different time zones.
        self.started = started(self.folder)
        self.results["started"] = self.started.isoformat()
        self._presence = Presence(self.folder)
        return self

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the duration of the block to the seconds of a phase: setup, fit or test."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = self.results["seconds"]
            seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - started

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._before is not None and not self._begun:
            return
        try:
            self.check()
        except RemovedError:
            if isinstance(error, KeyboardInterrupt | SettingError):
                return
            raise
        seconds = self.results["seconds"]
        seconds["total"] = time.perf_counter() - self._started
        for phase, before in (self._before or {}).get("seconds", {}).items():
            seconds[phase] = seconds.get(phase, 0.0) + before
        if error is None:
            self.results["status"] = "completed"
        elif isinstance(error, KeyboardInterrupt):
            self.results["status"] = "interrupted"
        else:
            if isinstance(error, DivergedError):
                self.results.update(status="diverged", epochs=error.epoch)
            self.results["error"] = {"type": type(error).__name__, "message": str(error)}
        try:
            self._write(self.results)
        except OSError:
            # The disk may be full. If another error ended the run, report that one instead.
            if error is None:
                raise

    def _write(self, results: dict[str, Any]) -> None:
        # json writes NaN and Infinity, which Python can read but other programs may not. This is accepted in order to
        # record the loss of a diverged run.
        write_atomically(self.folder / "results.json", json.dumps(results, indent=2, default=str) + "\n")
