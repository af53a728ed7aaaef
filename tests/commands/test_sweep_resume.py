"""Sweeps that are killed or stopped, and gone on with."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from processes import descendants, is_alive, users_of, wait_for

SWEEP = [
    *("-m", "model=spiral", "data.n_points=100", "trainer.max_epochs=1200", "checkpoint.every=100"),
    *("optimizer.lr=0.01,0.02,1e20", "seed=0,1", "hydra.launcher.jobs=2"),
]
TIMES = {"seconds"}


def rows(sweep):
    return [{name: cell for name, cell in row.items() if name not in TIMES} for row in sweep.table]


@pytest.fixture(scope="module")
def undisturbed(commands, tmp_path_factory):
    """The sweep, and how many seconds it took from its first job to its end."""
    cwd = tmp_path_factory.mktemp("undisturbed")
    process = commands.start(cwd, *SWEEP)
    wait_for(lambda: list(cwd.glob("outputs/sweeps/spiral/2*/sweep.json")))
    begun = time.monotonic()
    done = process.finish()
    return done, time.monotonic() - begun


def test_undisturbed(undisturbed):
    done, _ = undisturbed
    assert done.code == 0
    assert [row["status"] for row in done.table] == ["completed"] * 4 + ["diverged"] * 2


def test_killed_three_times_and_gone_on_with(commands, undisturbed, tmp_path):
    expected, seconds = undisturbed
    moments = random.Random(20)
    arguments = SWEEP
    kept = {}
    for _ in range(3):
        process = commands.start(tmp_path, *arguments)
        (manifest,) = wait_for(lambda: list(tmp_path.glob("outputs/sweeps/spiral/2*/sweep.json")))
        sweep = manifest.parent
        wait_for(lambda sweep=sweep, process=process: users_of(sweep) or process.popen.poll() is not None)
        time.sleep(moments.uniform(0, seconds / 3))
        workers = descendants(process.popen.pid)
        process.popen.kill()
        process.finish()
        # None of them outlives it.
        wait_for(lambda workers=workers: not any(map(is_alive, workers)))
        assert not users_of(sweep)
        for results in sweep.glob("*/results.json"):
            if re.search(r'"status": "(completed|diverged)"', results.read_text()):
                stamp = results.stat().st_mtime_ns
                assert kept.setdefault(results, stamp) == stamp
        arguments = [f"resume={sweep}"]
    done = commands.train(tmp_path, *arguments)

    assert done.code == 0, done.err
    assert rows(done) == rows(expected)
    for results, stamp in kept.items():
        assert results.stat().st_mtime_ns == stamp, f"{results} was run twice"
    for ours, theirs in zip(done.jobs, expected.jobs, strict=True):
        # As text, in which NaN is NaN.
        assert (ours.path / "history.csv").read_text() == (theirs.path / "history.csv").read_text()


@pytest.fixture(scope="module")
def stopped(commands, tmp_path_factory):
    """A sweep of hours, of which Ctrl-C ends the first two jobs."""
    cwd = tmp_path_factory.mktemp("stopped")
    # A shell's background jobs, and their children, ignore Ctrl-C; this one must get it.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        arguments = ["-m", "trainer.max_epochs=5,100000000", "seed=0,1", "hydra.launcher.jobs=2"]
        process = commands.start(cwd, *arguments, "optimizer.lr=0.001,0.002")
    finally:
        signal.signal(signal.SIGINT, handler)
    # Four are short.
    wait_for(lambda: len(list(cwd.glob("outputs/sweeps/linear/2*/[45]_*/history.csv"))) == 2)
    workers = descendants(process.popen.pid)
    os.kill(process.popen.pid, signal.SIGINT)
    done = process.finish()
    return done, workers


def test_ctrl_c_ends_the_running_jobs_in_order(stopped):
    done, workers = stopped
    assert done.code == 130
    assert done.err.strip() == "Interrupted."
    assert [row["status"] for row in done.table] == ["completed"] * 4 + ["interrupted"] * 2 + ["waiting"] * 2
    for job in done.jobs[4:6]:
        assert job.results["status"] == "interrupted"
        assert job.results["epochs"] == len(job.history)
        assert job.weights().keys()
    assert not any(map(is_alive, workers))


def test_ctrl_c_says_how_to_go_on(stopped):
    done, _ = stopped
    assert f"python train.py resume={done.sweep.relative_to(done.cwd)}" in done.out


def test_points_can_be_added(commands, tmp_path):
    first = commands.train(tmp_path, "-m", "optimizer.lr=0.01,0.1", "trainer.max_epochs=5")
    before = {job.path: (job.path / "results.json").stat().st_mtime_ns for job in first.jobs}
    # One of them is there already, whatever its number.
    second = commands.train(tmp_path, f"resume={first.sweep.relative_to(tmp_path)}", "optimizer.lr=0.05,0.01,0.02")
    assert second.code == 0, second.err
    assert "2 jobs kept, 2 to run." in second.out
    assert [row["optimizer.lr"] for row in second.table] == ["0.01", "0.1", "0.05", "0.02"]
    assert [job.results["status"] for job in second.jobs] == ["completed"] * 4
    for path, stamp in before.items():
        assert (path / "results.json").stat().st_mtime_ns == stamp
    # The last one is what it would have been by itself.
    assert second.jobs[3].results["overrides"] == ["optimizer.lr=0.02", "trainer.max_epochs=5"]
    assert second.manifest["arguments"] == ["-m", "optimizer.lr=0.01,0.1", "trainer.max_epochs=5"]


def of_zeros(file: Path) -> None:
    file.write_bytes(bytes(100))


# By number: the file of a job that is damaged, and what its row says when the sweep has been gone on with.
DAMAGED_JOBS = {
    0: ("config.yaml", "failed", "config.yaml is damaged"),
    1: ("results.json", "damaged", "results.json is damaged"),
    2: ("checkpoints/last.ckpt", "failed", "last.ckpt is damaged"),
    # Its last checkpoint is the end of the run, so there is nothing to write there.
    3: ("history.csv", "completed", "history.csv has no rows"),
}


def test_a_damaged_job_costs_its_own_row(commands, tmp_path):
    arguments = ["-m", "seed=range(0,6)", "trainer.max_epochs=5", "checkpoint.every=1", "hydra.launcher.jobs=1"]
    first = commands.train(tmp_path, *arguments)
    for number in range(5):
        # As if it had been killed.
        (first.jobs[number].path / "results.json").unlink()
    for number, (file, _, _) in DAMAGED_JOBS.items():
        of_zeros(first.jobs[number].path / file)
    done = commands.train(tmp_path, f"resume={first.sweep.relative_to(tmp_path)}")
    assert done.code == 1
    assert "Traceback" not in done.out + done.err
    assert "3 of 6 jobs failed" in done.err
    for number, row in enumerate(done.table):
        _, status, reason = DAMAGED_JOBS.get(number, ("", "completed", ""))
        assert row["status"] == status, row
        assert reason in row["reason"]


def test_one_after_another_can_be_gone_on_with_too(commands, tmp_path):
    """Hydra's own launcher would put them into a new folder."""
    arguments = ["-m", "model=linear,spiral", "trainer.max_epochs=3", "hydra/launcher=basic"]
    first = commands.train(tmp_path, *arguments)
    assert first.code == 0, first.err
    kept, again = first.jobs
    stamp = (kept.path / "results.json").stat().st_mtime_ns
    (again.path / "results.json").unlink()  # as if it had been killed

    done = commands.train(tmp_path, f"resume={first.sweep.relative_to(tmp_path)}", "hydra/launcher=basic")
    assert done.code == 0, done.err
    assert [job.path for job in done.jobs] == [kept.path, again.path]
    assert [job.results["status"] for job in done.jobs] == ["completed", "completed"]
    assert done.jobs[1].results["resumed"] == [3]
    assert (kept.path / "results.json").stat().st_mtime_ns == stamp
    assert [row["status"] for row in done.table] == ["completed", "completed"]
