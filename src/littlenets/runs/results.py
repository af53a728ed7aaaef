"""How a run ended: results.json, written last, whatever happens."""

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

# Warnings on a network that is not clearly better than one answer for everything.
LEARNED_NOTHING, NOT_LEARNED_YET = "learned nothing", "not learned yet"


class Run:
    """A run under way; on leaving the context its ``results.json`` says how it ended.

    Args:
        folder: the run's own folder, which exists.
        results: what is known from the start: model, data, overrides, seed.
    """

    def __init__(self, folder: Path, **results: Any) -> None:
        self.folder = folder
        self.results: dict[str, Any] = {
            "status": "failed",
            "metrics": {},
            "warnings": {},
            "epochs": 0,
            "steps": 0,
            # Why it ended before it was planned to, where it did so by itself.
            "ended": None,
            "started": None,
            "seconds": {},
            **results,
            "error": None,
            "environment": None,
        }
        # Of a resumed run, which goes on counting.
        self._before: dict[str, Any] | None = None
        self._begun = False

    def go_on(self, before: dict[str, Any], steps: int) -> None:
        """Takes over what earlier parts of a resumed run wrote, whose seconds count as well.

        Args:
            before: their ``results.json``; empty where they were killed.
            steps: optimizer steps that the run goes on after.
        """
        self._before = before
        self.results["resumed"] = [*before.get("resumed", []), steps]
        self.results["started"] = before.get("started", self.results["started"])

    def begin(self) -> None:
        """Says that the training is about to begin. A resumed run that ends before leaves the file as it was."""
        self._begun = True
        if self._before:
            # Should this part be killed, the file must not say that the run has completed.
            self._write(self._before | {"status": "interrupted"})

    def check(self) -> None:
        """Raise RemovedError where the run folder, or config.yaml in it, is no longer there."""
        self._presence.check()
        config = self.folder / "config.yaml"
        if self._begun and not config.is_file():
            raise RemovedError(config)

    def __enter__(self) -> "Run":
        self._started = time.perf_counter()
        # With the offset from UTC: runs may come from several places.
        self.started = started(self.folder)
        self.results["started"] = self.started.isoformat()
        self._presence = Presence(self.folder)
        return self

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds the seconds of the block to those of a phase: setup, fit or test."""
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
            self.results["error"] = {"type": kind.__name__, "message": str(error)}
        try:
            self._write(self.results)
        except OSError:
            # A full disk, perhaps; what ended the run is the better message.
            if error is None:
                raise

    def _write(self, results: dict[str, Any]) -> None:
        # json writes NaN and Infinity, which Python reads and other programs may not; a diverged loss is worth it.
        write_atomically(self.folder / "results.json", json.dumps(results, indent=2, default=str) + "\n")
