"""What becomes of the jobs of a sweep, with hand-made workers: each does what the test says."""

import errno
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessExpired
from run_folders import read_csv, write_run, write_sweep

from littlenets.sweeps.cores import Share
from littlenets.sweeps.live import Lines
from littlenets.sweeps.manifest import Manifest
from littlenets.sweeps.running import Running
from littlenets.sweeps.worker import Ending

DIED = ProcessExpired("Abnormal termination", code=-signal.SIGKILL)
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")

# How a job goes: an ending, an error of its worker, or something to do that returns one of these. None goes on until
# the sweep is stopped.
Course = Ending | Exception | Callable[[Path], Any] | None


class Workers:
    """Two at once, and none of them is a process.

    Args:
        courses: how each attempt of a job goes, by the job's number; what is not said completes.
    """

    share = Share(2, 1, [])

    def __init__(self, courses: dict[int, list[Course]]) -> None:
        self._courses = {number: list(attempts) for number, attempts in courses.items()}
        self._under_way: list[Future] = []
        self.begun: list[int] = []
        self.stopped = self.killed = False

    def submit(self, function: Any, point: Any, number: int, folder: Path, begun: bool) -> Future:
        future: Future = Future()
        future.set_running_or_notify_cancel()
        self.begun += [number] if begun else []
        course = self._courses[number].pop(0) if self._courses.get(number) else completes
        if self.stopped:
            course = Ending("not started")
        if callable(course):
            folder.mkdir(exist_ok=True)
            course = course(folder)
        if course is None and not self.stopped:
            self._under_way.append(future)
        elif isinstance(course, Exception):
            future.set_exception(course)
        else:
            future.set_result(course or Ending("interrupted"))
        return future

    def stop(self) -> None:
        self.stopped = True
        for future in self._under_way:
            future.set_result(Ending("interrupted"))

    def kill(self) -> None:
        self.killed = True


def completes(folder: Path) -> Ending:
    results = {"status": "completed", "metrics": {"test/loss": 1}, "epochs": 3, "seconds": {"total": 1.0}}
    (folder / "results.json").write_text(json.dumps(results))
    return Ending("completed")


def says_nothing(folder: Path) -> None:
    """A job that is under way, and has written nothing yet."""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Running, Workers]]:
    """``run({number: attempts}, jobs=4)`` runs a sweep of so many jobs, of which none has been run before."""

    def run(
        courses: dict[int, list[Course]], jobs: int = 4, begun: tuple[int, ...] = (), **settings: Any
    ) -> tuple[Running, Workers]:
        waiting = [
            {"number": number, "folder": f"{number}_job", "overrides": [f"seed={number}"], "swept": {"seed": number}}
            for number in range(jobs)
        ]
        write_sweep(tmp_path, waiting, **{"objective": settings.pop("objective", None)})
        manifest, workers = Manifest.read(tmp_path), Workers(courses)
        running = Running(
            tmp_path,
            manifest,
            dict.fromkeys(range(jobs)),
            workers,
            Lines(tmp_path, jobs, {}),
            settings.get("on_error", "continue"),
        )
        running.run(manifest.jobs, set(begun))
        return running, workers

    return run


def statuses(folder: Path) -> list[str]:
    return [row["status"] for row in read_csv(folder)]


def test_a_failed_job_does_not_stop_the_others(run, tmp_path: Path):
    run({1: [Ending("failed", "ValueError", "out of order")]})
    assert statuses(tmp_path) == ["completed", "failed", "completed", "completed"]
    assert read_csv(tmp_path)[1]["reason"] == "ValueError: out of order"


def test_a_failed_job_stops_the_others_where_that_was_asked_for(run, tmp_path: Path, capsys):
    running, _ = run({0: [says_nothing], 1: [Ending("failed", "ValueError", "out of order")]}, 9, on_error="stop")
    found = statuses(tmp_path)
    assert found[:2] == ["interrupted", "failed"]
    # One more was at hand already.
    assert found[3:] == ["waiting"] * 6
    assert "sweep.on_error=stop: the others are ended" in capsys.readouterr().out
    assert not running.interrupted


def test_a_full_disk_stops_the_others(run, tmp_path: Path, capsys):
    """They would fail as well, hundreds of them in a minute."""
    full = Ending("failed", "OSError", str(NO_ROOM), no_room=True)
    run({0: [says_nothing], 1: [full]}, 9)
    assert statuses(tmp_path)[3:] == ["waiting"] * 6
    assert "no room on the disk" in capsys.readouterr().out


def test_a_disk_that_is_too_full_to_make_a_folder_stops_the_others(run, tmp_path: Path):
    run({0: [says_nothing], 1: [NO_ROOM]}, 9)
    assert statuses(tmp_path)[3:] == ["waiting"] * 6


def test_a_job_that_is_stopped_before_it_says_anything_is_interrupted(run, tmp_path: Path):
    def ctrl_c(folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    running, _ = run({0: [says_nothing], 1: [ctrl_c]})
    assert running.interrupted
    assert statuses(tmp_path)[:2] == ["interrupted", "interrupted"]
    assert Manifest.read(tmp_path).jobs[0].interrupted


def test_a_worker_that_dies_while_it_is_stopped_leaves_an_interrupted_job(run, tmp_path: Path):
    def ctrl_c_and_death(folder: Path) -> Exception:
        os.kill(os.getpid(), signal.SIGINT)
        return DIED

    run({0: [ctrl_c_and_death]}, 1)
    assert statuses(tmp_path) == ["interrupted"]


def test_a_second_ctrl_c_kills_and_leaves_interrupted_jobs(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from littlenets.sweeps import running as module

    monkeypatch.setattr(module, "SECONDS_OF_ONE_SIGNAL", 0)
    # They do not listen to the first.
    monkeypatch.setattr(Workers, "stop", lambda self: None)

    def twice(folder: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    running, workers = run({0: [says_nothing], 1: [says_nothing], 3: [twice]}, 6)
    assert workers.killed
    assert running.at_once
    assert statuses(tmp_path) == ["interrupted", "interrupted", "completed", *["waiting"] * 3]


def test_a_job_that_dies_once_goes_on_and_twice_has_failed(run, tmp_path: Path, capsys):
    _, workers = run({0: [DIED], 1: [DIED, DIED]}, 2)
    assert statuses(tmp_path) == ["completed", "failed"]
    assert sorted(workers.begun) == [0, 1]
    assert "its process died (SIGKILL)" in capsys.readouterr().out


def test_death_counts_more_than_what_an_attempt_before_it_said(run, tmp_path: Path):
    """A job that was interrupted, gone on with, and then dies: its results.json still is of the first time."""
    write_run(tmp_path, 0, {}, status="interrupted")
    (tmp_path / "0").rename(tmp_path / "0_job")
    _, workers = run({0: [DIED, DIED]}, 1, begun=(0,))
    assert workers.begun == [0, 0]
    assert statuses(tmp_path) == ["failed"]
    assert "died 2 times (SIGKILL)" in read_csv(tmp_path)[0]["reason"]


def test_an_objective_that_no_run_has_is_told_at_the_first(run, capsys):
    run({}, objective="test/ac")
    told = capsys.readouterr().out.splitlines()
    assert ["No run has the metric test/ac" in line for line in told].index(True) == 1
    assert sum("test/ac" in line for line in told) == 1


def test_a_job_that_comes_too_late_is_waiting(run, tmp_path: Path):
    """Its worker got it, and heard before it began that the sweep was stopped."""

    def ctrl_c(folder: Path) -> Ending:
        os.kill(os.getpid(), signal.SIGINT)
        return Ending("not started")

    run({0: [ctrl_c]}, 1)
    assert statuses(tmp_path) == ["waiting"]
