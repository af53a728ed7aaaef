"""Eight jobs, three of which do not end well, and a fourth that is held up."""

import os
import re
import signal
from pathlib import Path

import pytest
from processes import users_of, wait_for

TESTS = Path(__file__).parents[1]
KILLED_ONCE, KILLED_ALWAYS, BREAKING, DIVERGING = 0, 1, 2, 3
# More than anybody waits for.
ENDLESS = 100_000_000


@pytest.fixture(scope="module")
def mishaps(commands, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("mishaps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        process = commands.start(
            cwd,
            *("-m", "model.network._target_=outside_networks.OutOfOrder", "hydra.launcher.jobs=2"),
            "sweep.zip=[optimizer.lr,trainer.max_epochs,model.network.breaks]",
            "optimizer.lr=0.01,0.011,0.012,1e10,0.001,0.02,0.002,0.005",
            f"trainer.max_epochs=30000,{ENDLESS},30,30,30,30,30,30",
            "+model.network.breaks=false,false,true,false,false,false,false,false",
        )
    (manifest,) = wait_for(lambda: list(cwd.glob("outputs/sweeps/linear/2*/sweep.json")))

    def history(number: int) -> Path:
        (folder,) = wait_for(lambda: list(manifest.parent.glob(f"{number}_*")))
        return folder / "history.csv"

    (first,) = wait_for(lambda: users_of(history(KILLED_ONCE)))
    os.kill(first, signal.SIGKILL)
    killed = set()
    for _ in range(2):
        (worker,) = wait_for(lambda: users_of(history(KILLED_ALWAYS)) - killed)
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
    return process.finish()


def line_of(sweep, number: int) -> str:
    """The line of a finished job in the output."""
    lr = sweep.jobs[number].path.name.partition("lr-")[2].partition("_")[0]
    (line,) = re.findall(rf"^\[\d/8\] .*\blr={re.escape(lr)}, .*$", sweep.out, re.MULTILINE)
    return line


def test_the_others_complete(mishaps):
    statuses = {number: job.results["status"] for number, job in enumerate(mishaps.jobs) if number != KILLED_ALWAYS}
    assert statuses.pop(BREAKING) == "failed"
    assert statuses.pop(DIVERGING) == "diverged"
    assert statuses == dict.fromkeys([0, 4, 5, 6, 7], "completed")
    for number in (4, 5, 6, 7):
        assert [row["epoch"] for row in mishaps.jobs[number].history] == list(range(1, 31))
        assert "completed" in line_of(mishaps, number)


def test_the_sweep_has_failed(mishaps):
    assert mishaps.code == 1
    assert "2 of 8 jobs" in mishaps.err
    assert "Traceback" not in mishaps.out + mishaps.err


def test_a_killed_job_is_tried_once_more(mishaps):
    job = mishaps.jobs[KILLED_ONCE]
    assert [row["epoch"] for row in job.history] == list(range(1, 30_001))
    assert "its process died (SIGKILL)" in mishaps.out
    assert mishaps.manifest["jobs"][KILLED_ONCE]["attempts"] == 2
    assert mishaps.manifest["jobs"][KILLED_ONCE]["error"] is None


def test_a_job_that_is_killed_again_has_failed(mishaps):
    assert not (mishaps.jobs[KILLED_ALWAYS].path / "results.json").exists()
    job = mishaps.manifest["jobs"][KILLED_ALWAYS]
    assert job["attempts"] == 2
    assert job["error"]["type"] == "WorkerDied"
    assert "SIGKILL" in job["error"]["message"]
    assert "failed: Its process died 2 times (SIGKILL)" in line_of(mishaps, KILLED_ALWAYS)


def test_a_broken_job_has_its_traceback_in_its_own_log(mishaps):
    assert "failed: ValueError: out of order" in line_of(mishaps, BREAKING)
    log = mishaps.jobs[BREAKING].path / "train.log"
    assert f"see {log.relative_to(mishaps.cwd)}" in mishaps.out
    assert "Traceback (most recent call last)" in log.read_text()
    assert "ValueError: out of order" in log.read_text()


def test_a_diverged_job_is_a_result(mishaps):
    epochs = len(mishaps.jobs[DIVERGING].history)
    assert re.search(rf"diverged at epoch {epochs}\b", line_of(mishaps, DIVERGING))
    assert "failed" not in line_of(mishaps, DIVERGING)
    assert "Lower optimizer.lr" in (mishaps.jobs[DIVERGING].path / "train.log").read_text()


def test_the_table_says_it_too(mishaps):
    found = {int(row["number"]): row["status"] for row in mishaps.table}
    assert found == dict.fromkeys([0, 4, 5, 6, 7], "completed") | {1: "failed", 2: "failed", 3: "diverged"}


def test_what_a_job_says_is_in_its_own_log(mishaps):
    """The terminal has one line for each."""
    assert "epoch 30/30" not in mishaps.out
    assert mishaps.out.count("Training linear") == 0
    for number in (4, 5, 6, 7):
        log = (mishaps.jobs[number].path / "train.log").read_text()
        assert log.count("Training linear") == 1
        assert "epoch 30/30" in log
        assert log.count("Run folder") == 1
