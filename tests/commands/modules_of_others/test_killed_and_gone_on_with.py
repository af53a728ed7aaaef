"""A run of somebody's own module that is killed and gone on with ends as if nothing had happened, bit for bit."""

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path

import composing
import pytest
import torch
from cases import CASES, FILES
from composing import RunFolder
from processes import wait_for

# Within an epoch of 6 or 8 batches, at changing places.
RARELY = "checkpoint.every=11 batches"
KILLED_AFTER = (5, 30)  # epochs


def work(folder: Path, *overrides: str) -> None:
    composing.launch(folder, *overrides, logger="tensorboard")


@pytest.fixture(scope="module")
def start():
    """``start(folder, *overrides)`` trains in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["littlenets.training", "composing"])
    started = []

    def process(folder: Path, *overrides: str) -> multiprocessing.process.BaseProcess:
        started.append(context.Process(target=work, args=(folder, *overrides)))
        started[-1].start()
        return started[-1]

    yield process
    for one in started:
        one.kill()


def has_epochs(run: RunFolder, count: int) -> bool:
    path = run.path / "history.csv"
    return path.is_file() and path.read_text().count("\n") > count and (run.path / "checkpoints/last.ckpt").is_file()


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of each curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(composing.RunFolder(folder).events), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.parametrize("name", CASES)
def test_killed_twice(start, tmp_path: Path, name: str):
    settings = (FILES, f"model={name}", "trainer.max_epochs=60", RARELY)
    whole, run = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    undisturbed = start(whole.path, *settings)
    overrides, trust = settings, f"trust=[{CASES[name].trust}]"
    for epochs in KILLED_AFTER:
        process = start(run.path, *overrides)
        wait_for(lambda epochs=epochs, process=process: has_epochs(run, epochs) or not process.is_alive())
        assert process.is_alive(), "it must not have ended by itself"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        overrides = (f"resume={run.path}", trust)
    steps = run.checkpoint()["global_step"]
    process = start(run.path, *overrides)
    for one in (process, undisturbed):
        one.join()
        assert one.exitcode == 0

    assert 0 < steps < run.results["steps"] == whole.results["steps"]
    assert run.results["epochs"] == whole.results["epochs"] == 60
    assert run.results["metrics"] == whole.results["metrics"]
    assert (run.path / "history.csv").read_text() == (whole.path / "history.csv").read_text()
    ours, theirs = run.checkpoint(), whole.checkpoint()
    assert ours["state_dict"].keys() == theirs["state_dict"].keys()
    for key, value in ours["state_dict"].items():
        assert torch.equal(value, theirs["state_dict"][key]), key
    assert str(ours["optimizer_states"]) == str(theirs["optimizer_states"])
    assert str(ours["lr_schedulers"]) == str(theirs["lr_schedulers"])
    ours, theirs = curves(run.path), curves(whole.path)
    assert ours.keys() == theirs.keys()
    for tag in ours:
        points, expected = Counter(ours[tag]), Counter(theirs[tag])
        lost = expected - points
        assert not points - expected, tag
        # Lightning logs the means of an epoch after the checkpoint of its end was saved, and may be killed in between.
        assert lost.total() <= len(KILLED_AFTER), tag
