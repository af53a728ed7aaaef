"""sweep.preview=true: which jobs a sweep has, and how long they take."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from littlenets.sweeps import cores, live, multirun, pool
from littlenets.sweeps.cores import Share
from littlenets.sweeps.points import Point
from littlenets.sweeps.preview import Cost, preview, watch


class Workers:
    """Two at once, and none of them is a process.

    Args:
        cost: what each measured job costs, by its number, or an error that ends the measurement.
    """

    share = Share(2, 1, [])

    def __init__(self, cost: Callable[[int], Cost | None]) -> None:
        self._cost = cost
        self.folders: list[Path] = []
        self.killed = False

    def submit(self, function: Any, *arguments: Any) -> Future:
        future: Future = Future()
        if function is not watch:  # the check of the points
            future.set_result([""] * len(arguments[0]))
            return future
        _, number, folder = arguments
        folder.mkdir()
        self.folders.append(folder)
        future.set_result(self._cost(number))
        return future

    def kill(self) -> None:
        self.killed = True

    def close(self) -> None:
        #: Whether the folders were there until the workers had ended.
        self.kept = all(folder.is_dir() for folder in self.folders)


def sweep_of(compositions: list[int], epochs: list[int | None]) -> tuple[Any, dict, dict[int, Point]]:
    """A sweep of one job for each composition, its settings and its points."""
    settings = {number: {"trainer": {"max_epochs": count}} for number, count in enumerate(epochs)}
    points = {n: Point([], place, {}, frozenset(), {}, settings[n]) for n, place in enumerate(compositions)}
    jobs = [SimpleNamespace(number=number, swept={"model.n": number}) for number in points]
    return SimpleNamespace(jobs=jobs, points=points), settings, points


def test_jobs_cost_what_the_first_of_their_choices_does(tmp_path: Path):
    costs = {0: Cost(epoch=1, besides=10), 2: Cost(epoch=3, besides=20)}
    workers = Workers(costs.get)
    lines = list(preview(*sweep_of([0, 0, 1, 1], [5, 10, 5, 20]), workers, tmp_path))
    assert lines == [
        "0  n=0  about 15 s",
        "1  n=1  about 20 s",
        "2  n=2  about 35 s",
        "3  n=3  about 80 s",
        # 150 s by two workers, of which the longest job is not half.
        "4 jobs, 2 at once: about 80 s.",
        "Judged from the first 0.4 s of 2 of 2 combinations of choices, on this machine as busy as it is. "
        "Nothing was kept.",
    ]


def test_what_is_not_known(tmp_path: Path):
    """A length that is no number of epochs. Choices that could not be measured cost the mean of the others."""
    workers = Workers({0: Cost(1, 0), 1: Cost(3, 0)}.get)
    lines = list(preview(*sweep_of([0, 1, 2, 0], [10, 10, 10, None]), workers, tmp_path))
    assert lines[2:5] == ["2  n=2  about 20 s", "3  n=3  not known", "4 jobs, 2 at once: at least about 30 s."]
    assert "of 2 of 3 combinations of choices" in lines[5]


def test_no_more_than_eight_are_measured(tmp_path: Path):
    workers = Workers(lambda number: Cost(1, 0))
    lines = list(preview(*sweep_of(list(range(20)), [10] * 20), workers, tmp_path))
    assert [folder.name for folder in workers.folders] == [str(number) for number in range(8)]
    assert lines[19] == "19  n=19  about 10 s"


@pytest.mark.parametrize("stopped", [False, True])
def test_the_folder_is_removed_after_the_workers_have_ended(monkeypatch: pytest.MonkeyPatch, stopped: bool):
    """Those that were killed meanwhile still write into it."""

    def cost(number: int) -> Cost:
        if stopped:
            raise KeyboardInterrupt
        return Cost(1, 0)

    workers = Workers(cost)
    sweep, _, _ = sweep_of([0], [10])
    sweep.resumed = sweep.trusted = sweep.asked_objective = None
    sweep.settings = SimpleNamespace(preview=True)
    sweep.compositions = []
    sweep.compose = lambda: None
    sweep.report = lambda problems: None
    monkeypatch.setattr(pool, "Workers", lambda share, compositions: workers)
    monkeypatch.setattr(pool, "import_ahead", lambda: None)
    monkeypatch.setattr(cores, "share_out", lambda jobs, points: workers.share)
    monkeypatch.setattr(live, "tell", lambda *lines: None)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    if stopped:
        with pytest.raises(KeyboardInterrupt):
            multirun.run_in_workers(sweep, "auto")
    else:
        multirun.run_in_workers(sweep, "auto")
    (folder,) = workers.folders
    assert workers.killed == stopped
    assert workers.kept
    assert not folder.parent.exists()
