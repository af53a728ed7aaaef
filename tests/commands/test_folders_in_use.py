"""Starts into a folder that another process uses, and sweeps whose folders are taken from them."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunFolder
from processes import PATIENCE, descendants, is_alive, wait_for

# More epochs than anybody waits for.
ENDLESS = 100_000_000
QUICK = ("trainer.max_epochs=3", "figures=none", "logger=none")


@contextlib.contextmanager
def used(folder: Path) -> Iterator[None]:
    """As by another process."""
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield
    os.close(handle)


@pytest.fixture(scope="module")
def refused(commands, tmp_path_factory):
    """Starts into folders that are in use, or were."""
    folder = tmp_path_factory.mktemp("in_use")
    with used(folder / "run"), used(folder / "sweep"):
        arguments = [
            [f"hydra.run.dir={folder / 'run'}", *QUICK],
            [f"hydra.run.dir={folder / 'run'}", *QUICK, "optimizer.lr=-1"],
            ["-m", f"hydra.sweep.dir={folder / 'sweep'}", *QUICK, "seed=1,2"],
            [f"hydra.run.dir={folder / 'done'}", *QUICK],
            [f"hydra.run.dir={folder / 'done'}", *QUICK],
        ]
        ends = commands.train_in_one_process(tmp_path_factory.mktemp("starts"), arguments)
    return folder, ends


@pytest.mark.parametrize(("number", "name"), [(0, "run"), (1, "run"), (2, "sweep")])
def test_a_folder_in_use_is_not_touched(refused, number: int, name: str):
    folder, ends = refused
    assert ends[number].code == 2
    assert re.fullmatch(rf"{folder / name}: .*still under way.*\n", ends[number].err)
    assert not list((folder / name).iterdir())
    assert not list(ends[number].cwd.iterdir())


def test_a_folder_that_was_in_use_is_not_touched(refused):
    folder, ends = refused
    assert [end.code for end in ends[3:]] == [0, 2]
    assert "holds a run" in ends[4].err
    assert "holds a run" not in (folder / "done" / "train.log").read_text()
    # The only one that was not refused.
    assert os.readlink(folder / "latest") == "done"


def test_one_of_four_starts_at_once_has_the_folder(commands, tmp_path: Path):
    processes = [commands.start(tmp_path, "hydra.run.dir=same", *QUICK) for _ in range(4)]
    ends = [process.finish(PATIENCE) for process in processes]
    assert sorted(end.code for end in ends) == [0, 2, 2, 2]
    for end in ends:
        if end.code:
            assert re.fullmatch(r"\S*same(: .*still under way.*| holds a run.*)\n", end.err)
    run = RunFolder(tmp_path / "same")
    assert run.results["status"] == "completed"
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert (run.path / "train.log").read_text().count("Training linear") == 1
    assert sorted(os.listdir(tmp_path)) == ["latest", "same"]


def test_a_sweep_without_its_folder_ends_with_one_message(commands, tmp_path: Path):
    folder = tmp_path / "sweep"
    process = commands.start(
        tmp_path, "-m", "hydra.sweep.dir=sweep", "seed=0,1,2", f"trainer.max_epochs={ENDLESS}", "hydra.launcher.jobs=2"
    )
    wait_for(lambda: len(list(folder.glob("*/history.csv"))) == 2)
    workers = descendants(process.popen.pid)
    folder.rename(tmp_path / "moved")
    done = process.finish(PATIENCE)
    assert done.code == 1
    assert re.fullmatch(rf"{folder} was removed or moved.*\n", done.err)
    assert "Traceback" not in done.out
    wait_for(lambda: not any(map(is_alive, workers)))
    assert sorted(os.listdir(tmp_path)) == ["latest", "moved"]


def test_a_job_without_its_folder_has_failed(commands, tmp_path: Path):
    process = commands.start(
        *(tmp_path, "-m", "hydra.sweep.dir=sweep", "hydra.launcher.jobs=2", "sweep.zip=[seed,trainer.max_epochs]"),
        *("seed=0,1,2", f"trainer.max_epochs={ENDLESS},30,30", "hydra.sweep.subdir='${hydra.job.num}'"),
    )
    job = tmp_path / "sweep" / "0"
    wait_for((job / "history.csv").exists)
    job.rename(tmp_path / "moved")
    done = process.finish(PATIENCE)
    assert done.code == 1
    assert done.err == "1 of 3 jobs failed.\n"
    assert "sweep/0 was removed or moved" in done.out
    assert not job.exists()
    assert {name for name in os.listdir(tmp_path / "sweep") if name.isdigit()} == {"1", "2"}
