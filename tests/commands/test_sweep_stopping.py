"""Sweeps that end before all of their jobs are done: after a failure, for want of room, at the user's wish."""

import os
import re
import resource
from pathlib import Path

import pytest
from processes import PATIENCE, descendants, is_alive, wait_for

TESTS = Path(__file__).parents[1]
# More epochs than anybody waits for.
ENDLESS = 100_000_000


@pytest.fixture(scope="module")
def after_a_failure(commands, tmp_path_factory):
    """sweep.on_error=stop: the second of five jobs breaks as soon as the first, which takes hours, is under way."""
    cwd = tmp_path_factory.mktemp("failure")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]))
        process = commands.start(
            cwd,
            *("-m", "model.network._target_=outside_networks.OutOfOrder", "sweep.on_error=stop"),
            *("hydra.sweep.dir=outputs/sweeps/linear/2stopped", "hydra.sweep.subdir='${hydra.job.num}'"),
            *("hydra.launcher.jobs=2", f"trainer.max_epochs={ENDLESS}"),
            "+model.network.waits_for=outputs/sweeps/linear/2stopped/0/history.csv",
            *("sweep.zip=[optimizer.lr,model.network.breaks]", "optimizer.lr=0.001,0.002,0.003,0.004,0.005"),
            "+model.network.breaks=false,true,false,false,false",
        )
    return process.finish(timeout=PATIENCE)


def test_a_failure_ends_the_others_in_order(after_a_failure):
    found = [row["status"] for row in after_a_failure.table]
    assert found[:2] == ["interrupted", "failed"]
    # The third may have been begun before the failure was noticed.
    assert found[2] in ("interrupted", "waiting")
    assert found[3:] == ["waiting", "waiting"]
    first = after_a_failure.jobs[0]
    assert first.results["status"] == "interrupted"
    assert first.results["epochs"] == len(first.history)
    assert first.weights().keys()


def test_a_failure_is_told_apart_from_what_it_ended(after_a_failure):
    assert after_a_failure.code == 1
    assert after_a_failure.err.strip() == "1 of 5 jobs failed, and 4 did not come to an end."
    assert "sweep.on_error=stop: the others are ended" in after_a_failure.out
    *_, last = after_a_failure.out.splitlines()
    go_on = "python train.py resume=outputs/sweeps/linear/2stopped sweep.retry_failed=true"
    assert last == f"Go on, and try again what failed  {go_on}"


def test_a_full_disk_is_one_message_and_no_worker_is_left(commands, tmp_path):
    process = commands.start(
        tmp_path, "-m", "sweep.zip=[seed,trainer.max_epochs]", "seed=range(0,9)", "hydra.launcher.jobs=2",
        f"trainer.max_epochs={','.join(str(ENDLESS if seed == 0 else 30_000) for seed in range(9))}",
    )  # fmt: skip
    (manifest,) = wait_for(lambda: list(tmp_path.glob("outputs/sweeps/linear/2*/sweep.json")))
    wait_for(lambda: list(manifest.parent.glob("1_*/history.csv")))
    workers = descendants(process.popen.pid)
    # As if the disk was full for the sweep's own process: it can write no file of its size any more.
    resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (1, 1))
    done = process.finish(timeout=PATIENCE)
    assert done.code == 1
    assert re.match(r"No room on the disk for \S+/sweep\.\w+: ", done.err)
    assert "Traceback" not in done.out + done.err
    wait_for(lambda: not any(map(is_alive, workers)))
    assert len(done.manifest["jobs"]) == 9  # whole, as it was before
    assert f"When there is room  python train.py resume={done.sweep.relative_to(tmp_path)}" in done.out


def test_a_sweep_whose_output_nobody_reads_goes_on(commands, tmp_path):
    process = commands.start(tmp_path, "-m", "seed=1,2", "trainer.max_epochs=3")
    process.popen.stdout.close()
    process.popen.wait(PATIENCE)
    with process.popen.stderr as err:
        assert err.read() == ""
    assert process.popen.returncode == 0
    assert len(list(tmp_path.glob("outputs/sweeps/linear/2*/*/results.json"))) == 2
    assert list(tmp_path.glob("outputs/sweeps/linear/2*/figures/*.png"))
