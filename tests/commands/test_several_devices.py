"""A run on two devices is that on one with twice the batch size; two processes of the CPU stand for devices."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import composing
import numpy as np
import pytest
import torch
from composing import RunFolder
from processes import descendants, is_alive, wait_for
from pytorch_lightning import Callback, LightningModule, Trainer

from littlenets.errors import DivergedError, SettingError
from littlenets.parallel.processes import ProcessError

# 74 samples to train on and 8 to validate on. Forked, as new processes would have to import PyTorch.
SPIRAL = ("model=spiral", "data.n_points=41", "data.shuffle=true", "data.validation=0.1", "trainer.max_epochs=6")
FORKED = ("trainer.devices=2", "trainer.strategy=ddp_fork")
# Draws random numbers in each process.
DROPOUT = (
    *("model=multispiral", "model.network._target_=outside_networks.RandomNet", "~model.network.hidden"),
    *("~model.network.activation", "data.n_points=41", "data.batch_size=7", "data.validation=0.1"),
    *("trainer.max_epochs=60", "checkpoint.every=3 batches", "trust=[outside_networks]", *FORKED),
)


class FailsElsewhere(Callback):
    """Raises an error in the second process alone."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: object) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 4:
            raise ValueError("only here")


def assert_same(two: RunFolder, one: RunFolder) -> None:
    """To float32 rounding."""
    assert two.checkpoint()["global_step"] == one.checkpoint()["global_step"]
    for ours, theirs in zip(two.weights(), one.weights(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert list(two.rows[0]) == list(one.rows[0])
    for name in one.rows[0]:
        np.testing.assert_allclose(two.column(name), one.column(name), rtol=2e-5, atol=1e-7, err_msg=name)
    assert two.results["metrics"] == pytest.approx(one.results["metrics"], rel=2e-5)
    assert {file.relative_to(two.path) for file in two.path.rglob("*")} == {
        file.relative_to(one.path) for file in one.path.rglob("*")
    }


class TestEqualToOne:
    # Of batches of 2, the last of 41 has a sample for one process only; of 16, the last has 10; of 74, each has 37.
    @pytest.mark.parametrize(
        ("size", "twice", "more"),
        [
            ("8", "16", ()),
            ("5", "10", ("data.validation=0.2", "+trainer.gradient_clip_val=0.3", "gradient_norm=true")),
            ("1", "2", ("data.n_points=25", "data.validation=0.18")),
            ("null", "null", ()),
        ],
        ids=["shuffled", "uneven", "one at a time", "full batch"],
    )
    def test_weights_history_and_metrics(self, launch, size: str, twice: str, more: tuple[str, ...]):
        two = launch(*SPIRAL, *more, *FORKED, f"data.batch_size={size}")
        one = launch(*SPIRAL, *more, f"data.batch_size={twice}")
        assert_same(two, one)
        assert two.results["environment"]["processes"] == 2

    def test_a_validation_in_several_batches(self, launch):
        """2,001 samples, of which each process has two batches."""
        more = ("data.n_points=2501", "data.validation=0.4", "data.batch_size=null", "trainer.max_epochs=2")
        two, one = launch(*SPIRAL, *more, *FORKED), launch(*SPIRAL, *more)
        assert_same(two, one)

    def test_devices_alone_are_enough(self, launch):
        """Lightning takes ddp then; new processes."""
        two = launch(*SPIRAL, "data.batch_size=8", "trainer.devices=2")
        assert_same(two, launch(*SPIRAL, "data.batch_size=16"))


class TestRefused:
    def test_an_epoch_that_two_have_begun(self, launch):
        stopped = launch(*SPIRAL, "data.batch_size=8", "+trainer.max_steps=7", *FORKED)
        with pytest.raises(SettingError, match=r"trainer\.devices.*within an epoch, which 2 devices share"):
            composing.launch(
                stopped.path,
                f"resume={stopped.path}",
                "+trainer.max_steps=-1",
                "trainer.devices=1",
                "trainer.strategy=auto",
            )
        again = composing.launch(stopped.path, f"resume={stopped.path}", "+trainer.max_steps=-1")
        assert_same(again, launch(*SPIRAL, "data.batch_size=16"))

    def test_fewer_samples_than_devices(self, launch):
        with pytest.raises(SettingError, match=r"2 devices cannot share 1 samples \(val\)"):
            launch("model=linear", "data.validation=0.2", *FORKED)

    def test_between_two_epochs_their_number_may_change(self, launch):
        run = launch(*SPIRAL, "data.batch_size=8", *FORKED)
        single = ("trainer.devices=1", "trainer.strategy=auto")
        again = composing.launch(run.path, f"resume={run.path}", "trainer.max_epochs=8", *single)
        assert again.results["epochs"] == 8


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*the number of training batches")
@pytest.mark.parametrize("kind", ["augmented", "workers"])
def test_loaders_of_others_are_gone_on_with(launch, kind: str):
    """From within an epoch, with random numbers in the data sets and in the network."""
    outside = "trust=[outside_data,outside_networks]"
    settings = (
        *("model=multispiral", "model.network._target_=outside_data.Net", "~model.network.hidden"),
        *("~model.network.activation", "data._target_=outside_data.Loaders", f"+data.kind={kind}", outside),
        *(*FORKED, "trainer.max_epochs=3"),
    )
    whole = launch(*settings)
    part = launch(*settings, "+trainer.max_steps=4")
    again = composing.launch(part.path, f"resume={part.path}", "+trainer.max_steps=-1", outside)
    assert all(torch.equal(*pair) for pair in zip(again.weights(), whole.weights(), strict=True))
    assert again.rows == whole.rows
    assert again.results["metrics"] == whole.results["metrics"]


def test_a_loss_that_is_no_number(launch, tmp_path: Path):
    with pytest.raises(DivergedError):
        launch("model=linear", "optimizer.lr=1e10", *FORKED)
    assert RunFolder(tmp_path / "run1").results["status"] == "diverged"


def test_what_fails_in_another_process(launch, tmp_path: Path):
    failing = "+callbacks.failing._target_=test_several_devices.FailsElsewhere"
    with pytest.raises(ProcessError, match="device 2 failed: ValueError: only here"):
        launch(*SPIRAL, "data.batch_size=8", *FORKED, failing)
    assert RunFolder(tmp_path / "run1").results["status"] == "failed"


def work(folder: Path, *overrides: str) -> None:
    """A process with a group of its own."""
    os.setsid()
    composing.launch(folder, *overrides, "trust=[outside_networks]")


@pytest.fixture(scope="module")
def start() -> Callable[..., multiprocessing.Process]:
    """Start `work`, in a process that need not import PyTorch, since the one that it is forked from has."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["littlenets.training", "composing", "outside_networks"])

    def started(*arguments: object) -> multiprocessing.Process:
        process = context.Process(target=work, args=arguments)
        process.start()
        return process

    return started


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    start(folder, *DROPOUT).join()
    return RunFolder(folder)


class TestStopped:
    """Random numbers are drawn in both processes, and each has its part of the records of an epoch."""

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
    def test_goes_on_bit_for_bit(self, start, undisturbed: RunFolder, tmp_path: Path, number: int):
        run = RunFolder(tmp_path / "run")
        process = start(run.path, *DROPOUT)
        wait_for(lambda: (run.path / "history.csv").exists() and len(run.rows) > 2)
        others = descendants(process.pid)
        assert len(others) == 1
        os.killpg(process.pid, number)
        process.join()
        assert process.exitcode != 0
        wait_for(lambda: not any(map(is_alive, others)))
        steps = run.checkpoint()["global_step"]
        assert 0 < steps < undisturbed.results["steps"]
        if number != signal.SIGKILL:
            assert run.results["status"] == "interrupted"
            assert run.results["steps"] == steps

        process = start(run.path, f"resume={run.path}")
        process.join()
        assert process.exitcode == 0
        assert run.results["metrics"] == undisturbed.results["metrics"]
        assert (run.path / "history.csv").read_text() == (undisturbed.path / "history.csv").read_text()
        assert all(torch.equal(*pair) for pair in zip(run.weights(), undisturbed.weights(), strict=True))
        ours, theirs = (one.checkpoint()["littlenets"] for one in (run, undisturbed))
        for mine, other in zip([ours, *ours["others"]], [theirs, *theirs["others"]], strict=True):
            assert torch.equal(mine["random"]["torch"], other["random"]["torch"])
        assert not torch.equal(ours["random"]["torch"], ours["others"][0]["random"]["torch"])

    def test_without_the_first_there_is_no_second(self, start, tmp_path: Path):
        run = RunFolder(tmp_path / "run")
        process = start(run.path, *DROPOUT)
        wait_for(lambda: (run.path / "history.csv").exists())
        others = descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        wait_for(lambda: not any(map(is_alive, others)))


CPU = ("trainer.accelerator=cpu", "logger=tensorboard", "figures.only=[loss]", "data.batch_size=8")


def test_the_command_has_one_folder_and_one_voice(train, tmp_path: Path):
    done = train(tmp_path, *SPIRAL, *CPU, "trainer.devices=2", "trainer.strategy=ddp")
    assert done.code == 0, done.err
    assert done.err == ""
    assert "2 processes" in done.out
    run = done.run
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5, 6]
    logged = (run.path / "train.log").read_text()
    for line in ("Training spiral", "epoch 6/6", "Finished 6 epochs"):
        assert done.out.count(line) == logged.count(line) == 1
    assert run.files == {
        *("config.yaml", "results.json", "history.csv", "train.log", "tensorboard/events", "figures/loss.png"),
        *("checkpoints/last.ckpt", "checkpoints/best.ckpt"),
    }
    points = [event.step for event in run.events().Scalars("train/loss")]
    assert points == [1, 2, 3, 4, 5, 6]


def test_jobs_of_a_sweep(train, tmp_path: Path):
    """New processes and forked ones, one after another in the same worker; neither runs the sweep again."""
    done = train(tmp_path, "-m", *SPIRAL, *CPU, "trainer.devices=2", "trainer.strategy=ddp,ddp_fork")
    assert done.code == 0, done.out + done.err
    assert [job["status"] for job in done.table] == ["completed"] * 2
    assert len({job["test/loss"] for job in done.table}) == 1
    assert len(list(tmp_path.glob("outputs/*/*/2*"))) == 1
    assert [run.results["environment"]["processes"] for run in done.jobs] == [2, 2]


def test_processes_that_somebody_else_starts(commands, tmp_path: Path):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", str(Path(__file__).parents[2] / "train.py"))
    done = commands.start_python(tmp_path, *launcher, *SPIRAL, *CPU, "trainer.devices=2").finish()
    assert done.code == 0, done.err
    assert done.run.results["environment"]["processes"] == 2
    assert done.out.count("epoch 6/6") == 1
    assert len(done.run.history) == 6


@pytest.mark.slow
def test_two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands):
    port = 29_000 + os.getpid() % 1000
    settings = (*SPIRAL, *CPU, "+trainer.num_nodes=2", "trainer.strategy=ddp")
    nodes = []
    for rank in (1, 0):
        for name, value in {"NODE_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, str(value))
        nodes.append(commands.start(tmp_path / str(rank), *settings))
        time.sleep(0.1)
    second, first = (node.finish() for node in nodes)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert (second.out, second.runs) == ("", [])
    assert first.run.results["environment"]["processes"] == 2


def test_another_process_of_a_run_on_one_device(commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It would wait in vain, or write a second run."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    alone, sweep = (commands.start(tmp_path, *arguments) for arguments in ((), ("-m", "seed=1,2")))
    done = alone.finish()
    assert (done.code, done.out, done.runs) == (2, "", [])
    assert "LOCAL_RANK=1" in done.err
    done = sweep.finish()
    assert done.code == 2
    assert "sweep" in done.err
    assert not (tmp_path / "outputs").exists()
