"""Runs that do not get to their end: stopped by the user, or diverged."""

import itertools
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def interrupted(commands, tmp_path_factory):
    """A run of hours, stopped with Ctrl-C once it has recorded some epochs."""
    # A shell's background jobs, and their children, ignore Ctrl-C; this one must get it.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        cwd = tmp_path_factory.mktemp("interrupted")
        process = commands.start(cwd, "model=spiral", "trainer.max_epochs=1000000")
    finally:
        signal.signal(signal.SIGINT, handler)
    until = time.monotonic() + 120
    while sum(file.stat().st_size for file in cwd.glob("outputs/runs/spiral/*/history.csv")) < 1000:
        assert process.popen.poll() is None, process.finish()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.popen.send_signal(signal.SIGINT)
    return process.finish(timeout=60)


@pytest.fixture(scope="module")
def diverged(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("diverged"), "optimizer.lr=1e10")


def test_ctrl_c_ends_with_one_line(interrupted):
    assert interrupted.code == 130
    folder = interrupted.run.path.relative_to(interrupted.cwd)
    assert interrupted.err.strip() == f"Interrupted. Go on with: python train.py resume={folder}"
    assert "Traceback" not in interrupted.out


def test_ctrl_c_is_a_status(interrupted):
    results = interrupted.run.results
    assert results["status"] == "interrupted"
    assert results["error"] is None
    assert results["seconds"]["fit"] > 0


def test_ctrl_c_leaves_whole_rows(interrupted):
    rows = interrupted.run.history
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 20
    assert rows[0].keys() == {"epoch", "train/loss", "train/acc", "lr"}
    # Nothing half-written beside them.
    assert not [name for name in interrupted.run.files if "tmp" in name or name.startswith(".")]


def test_ctrl_c_records_how_far_it_came(interrupted):
    results = interrupted.run.results
    # The last row may have been written just before its epoch was counted.
    assert results["epochs"] >= len(interrupted.run.history) - 1
    assert results["steps"] >= results["epochs"]


@pytest.fixture(scope="module")
def signalled(commands, tmp_path_factory):
    """Runs that get a signal while they are set up or tested, by the signal and when it came."""
    sent = list(itertools.product(["SIGINT", "SIGTERM"], ["setup", "test"]))
    own = "+callbacks.signaller={_target_:observers.Signaller,name:%s,when:%s}"
    quick = ["figures=none", "logger=none", "trainer.max_epochs=3", "trainer.accelerator=cpu"]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
            arguments = [[*quick, own % one] for one in sent]
            ends = commands.train_in_one_process(tmp_path_factory.mktemp("signalled"), arguments)
    finally:
        signal.signal(signal.SIGINT, handler)
    return dict(zip(sent, ends, strict=True))


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_before_the_first_step_leaves_nothing(signalled, name: str, code: int):
    done = signalled[name, "setup"]
    assert (done.code, done.err) == (code, "Interrupted.\n")
    assert not list(done.cwd.iterdir())


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_in_the_test_keeps_what_was_trained(signalled, name: str, code: int):
    done = signalled[name, "test"]
    assert done.code == code
    assert "Go on with: python train.py resume=" in done.err
    assert (done.run.results["status"], done.run.results["epochs"]) == ("interrupted", 3)
    assert "checkpoints/last.ckpt" in done.run.files


def test_a_diverged_run_says_what_to_change(diverged):
    assert diverged.code == 1
    assert "diverged" in diverged.err
    assert "Lower optimizer.lr" in diverged.err
    assert len(diverged.err.splitlines()) == 1
    assert "Traceback" not in diverged.out
    assert f"Run folder   {diverged.run.path.relative_to(diverged.cwd)}\n" in diverged.out
    assert "Finished" not in diverged.out


def test_a_diverged_run_is_recorded(diverged):
    results = diverged.run.results
    assert results["status"] == "diverged"
    assert "Lower optimizer.lr" in results["error"]["message"]
    rows = diverged.run.history
    assert results["epochs"] == len(rows)
    *finite, last = (row["train/loss"] for row in rows)
    assert all(map(math.isfinite, finite))
    assert not math.isfinite(last)
    # The same descent in float32, from the weights after the first step.
    x, weight, bias = np.arange(1, 6, dtype=np.float32), np.float32(rows[0]["weight"]), np.float32(rows[0]["bias"])
    errors = weight * x + bias - 2 * x
    assert rows[1]["train/loss"] == pytest.approx(float(np.mean(errors**2)), rel=1e-4)
