"""A run that is killed at any moment and gone on with ends as if nothing had happened, bit for bit."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import composing
import pytest
import torch
from composing import RunFolder

# Each with something else that a resumed run could get wrong.
RUNS = {
    # A hundred steps an epoch pass between two of Lightning's looks at the run.
    "linear": ("model=linear", "data.n_points=7", "data.batch_size=2", "trainer.max_epochs=300", "checkpoint.every=13"),
    "spiral-cosine": ("model=spiral", "data.n_points=100", "scheduler=cosine", "trainer.max_epochs=400"),
    "multispiral-onecycle": (
        *("model=multispiral", "scheduler=onecycle", "optimizer.lr=0.05", "trainer.max_epochs=8"),
        *("data.n_points=200", "data.batch_size=16", "data.validation=0.1", "checkpoint.every=11 batches"),
    ),
    "cnn-step": (
        *("model=cnn", "data=digits", "model.network.channels=[4,8]", "model.network.hidden=[16]", "scheduler=step"),
        *("trainer.max_epochs=3", "checkpoint.every=5 batches"),
    ),
    "dropout": (
        *("model=multispiral", "model.network._target_=outside_networks.RandomNet", "~model.network.hidden"),
        *("~model.network.activation", "trainer.max_epochs=60", "data.n_points=100", "data.batch_size=8"),
        *("checkpoint.every=31 batches",),
    ),
    # Loaders of others, whose orders and noise come from the generators that dropout uses as well.
    "augmented": (
        *("model=multispiral", "model.network._target_=outside_data.Net", "~model.network.hidden"),
        *("~model.network.activation", "data._target_=outside_data.Loaders", "+data.kind=augmented"),
        *("trainer.max_epochs=40", "checkpoint.every=3 batches"),
    ),
    "workers": (
        *("model=multispiral", "model.network._target_=outside_data.Net", "~model.network.hidden"),
        *("~model.network.activation", "data._target_=outside_data.Loaders", "+data.kind=stream_in_workers"),
        *("trainer.max_epochs=12", "checkpoint.every=3 batches"),
    ),
}
TRUST = "trust=[outside_networks,outside_data]"


def work(folder: Path, started: "multiprocessing.synchronize.Event", *overrides: str) -> None:
    """A process of its own: trains, or goes on where there is something to go on with."""
    started.set()
    composing.launch(folder, *overrides, TRUST, logger="tensorboard")


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.BaseContext:
    """Children that need not import PyTorch, since the process that they are forked from has."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["littlenets.training", "composing", "outside_networks"])
    return context


def start(processes: multiprocessing.context.BaseContext, folder: Path, *overrides: str):
    started = processes.Event()
    process = processes.Process(target=work, args=(folder, started, *overrides))
    process.start()
    started.wait()
    return process


@pytest.fixture(scope="module")
def undisturbed(processes, tmp_path_factory):
    """The same runs, never stopped, and how long they took."""
    cache: dict[str, tuple[RunFolder, float]] = {}

    def of(name: str) -> tuple[RunFolder, float]:
        if name not in cache:
            folder = tmp_path_factory.mktemp("undisturbed") / name
            process = start(processes, folder, *RUNS[name])
            begun = time.monotonic()
            process.join()
            assert process.exitcode == 0
            cache[name] = RunFolder(folder), time.monotonic() - begun
        return cache[name]

    return of


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of each curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(composing.RunFolder(folder).events), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def files(folder: Path) -> set[Path]:
    """The names in a run folder, but for event files, of which each start writes its own."""
    return {path.relative_to(folder) for path in folder.rglob("*") if "tfevents" not in path.name}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_three_times(processes, undisturbed, tmp_path: Path, name: str, seed: int):
    expected, seconds = undisturbed(name)
    folder = tmp_path / "run"
    moments = random.Random(f"{name} {seed}")
    kills = []
    overrides = RUNS[name]
    while len(kills) < 3:
        process = start(processes, folder, *overrides)
        moment = moments.uniform(0, seconds / 2)
        process.join(moment)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        kills.append((moment, process.exitcode))
        if (folder / "config.yaml").exists():
            overrides = (f"resume={folder}",)
        if process.exitcode == 0:
            break
    if process.exitcode:
        process = start(processes, folder, *overrides)
        process.join()
        assert process.exitcode == 0, kills
    run = RunFolder(folder)

    assert -signal.SIGKILL in [code for _, code in kills]
    assert run.results["status"] == "completed"
    assert run.results["metrics"] == expected.results["metrics"], kills
    assert (folder / "history.csv").read_text() == (expected.path / "history.csv").read_text()
    for checkpoint in ("last", "best"):
        ours, theirs = run.checkpoint(checkpoint), expected.checkpoint(checkpoint)
        assert ours["global_step"] == theirs["global_step"]
        for ours_weights, theirs_weights in zip(composing.weights(ours), composing.weights(theirs), strict=True):
            assert torch.equal(ours_weights, theirs_weights), (checkpoint, kills)
    states = [checkpoint["littlenets"]["random"]["torch"] for checkpoint in (run.checkpoint(), expected.checkpoint())]
    assert torch.equal(*states)
    assert curves(folder) == curves(expected.path)
    assert files(folder) == files(expected.path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("name", ["multispiral-onecycle", "dropout"])
def test_stopped_within_an_epoch(processes, undisturbed, tmp_path: Path, name: str, number: int):
    expected, _ = undisturbed(name)
    folder = tmp_path / "run"
    # No checkpoint but the one that is written because of the signal.
    rare = tuple(setting for setting in RUNS[name] if not setting.startswith("checkpoint"))
    process = start(processes, folder, *rare, "checkpoint.every=1000")
    until = time.monotonic() + 60
    while not (folder / "history.csv").exists():
        assert time.monotonic() < until
        time.sleep(0.002)
    os.kill(process.pid, number)
    process.join()
    run = RunFolder(folder)
    assert process.exitcode != 0
    assert run.results["status"] == "interrupted"
    stopped_at = run.results["steps"]
    assert 0 < stopped_at < expected.results["steps"]
    assert run.checkpoint()["global_step"] == stopped_at

    process = start(processes, folder, f"resume={folder}")
    process.join()
    assert process.exitcode == 0
    assert run.results["resumed"] == [stopped_at]
    assert (folder / "history.csv").read_text() == (expected.path / "history.csv").read_text()
    assert all(torch.equal(*pair) for pair in zip(run.weights(), expected.weights(), strict=True))


def train_somewhere(parent: str) -> None:
    from littlenets.runs import new_run_folder

    composing.launch(Path(new_run_folder(parent)), "model=linear", "trainer.max_epochs=3")


@pytest.mark.slow
def test_fifty_at_once_have_fifty_folders(processes, tmp_path: Path):
    children = [processes.Process(target=train_somewhere, args=(str(tmp_path),)) for _ in range(50)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 50
    results = list(tmp_path.glob("*/results.json"))
    assert len(results) == len(list(tmp_path.iterdir())) == 50
