"""Going on with a run: what may change, what is appended, and what is said where it cannot be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import composing
import pytest
import torch
from composing import RunFolder
from omegaconf import OmegaConf

from littlenets.errors import SettingError
from littlenets.runs.folder import occupied
from littlenets.runs.loading import load_module, load_run

LINEAR = ("model=linear", "data.batch_size=2", "trainer.max_epochs=6")


def go_on(run: RunFolder, *overrides: str, logger: str = "none") -> RunFolder:
    return composing.launch(run.path, f"resume={run.path}", *overrides, logger=logger)


@pytest.mark.parametrize(
    "settings",
    [
        ("model=linear", "data.batch_size=2"),
        ("model=spiral", "data.n_points=50", "data.validation=0.2"),
        ("model=multispiral", "data.n_points=50", "data.batch_size=16", "scheduler=step"),
        ("model=cnn", "data=digits", "model.network.channels=[2,4]", "model.network.hidden=[8]"),
    ],
    ids=lambda settings: settings[0].partition("=")[2],
)
def test_going_further_ends_where_going_all_the_way_does(launch, settings):
    whole = launch(*settings, "trainer.max_epochs=5", "checkpoint.every=1")
    part = launch(*settings, "trainer.max_epochs=2", "checkpoint.every=1")
    go_on(part, "trainer.max_epochs=5")
    assert part.rows == whole.rows
    for name in ("last", "best"):
        assert all(torch.equal(*pair) for pair in zip(part.weights(name), whole.weights(name), strict=True))
    assert part.results["metrics"] == whole.results["metrics"]
    assert (part.results["epochs"], part.results["steps"]) == (5, whole.results["steps"])
    assert part.results["status"] == "completed"


def test_max_steps_may_end_within_an_epoch(launch):
    whole = launch(*LINEAR)
    part = launch(*LINEAR, "+trainer.max_steps=7")  # of 3 an epoch
    assert part.results["steps"] == 7
    go_on(part, "+trainer.max_steps=-1")
    assert part.rows == whole.rows
    assert all(torch.equal(*pair) for pair in zip(part.weights(), whole.weights(), strict=True))


@pytest.mark.parametrize("epochs", [-1, 6])
def test_max_steps_may_end_at_the_end_of_an_epoch(launch, epochs: int):
    settings = [*LINEAR[:-1], f"trainer.max_epochs={epochs}"]
    whole = launch(*settings, "+trainer.max_steps=15")
    part = launch(*settings, "+trainer.max_steps=12", "checkpoint.every=1")  # of 3 an epoch
    go_on(part, "+trainer.max_steps=15")
    assert part.rows == whole.rows
    assert all(torch.equal(*pair) for pair in zip(part.weights(), whole.weights(), strict=True))


def test_a_run_that_its_steps_ended_is_told_how_to_go_further(launch, caplog):
    run = launch(*LINEAR, "+trainer.max_steps=7")
    with caplog.at_level("INFO"):
        go_on(run)
    (said,) = [message for message in caplog.messages if "To go further" in message]
    assert "completed its 7 steps" in said
    go_on(run, said.rpartition(" ")[2])
    assert run.results["steps"] == 14


def test_its_seconds_and_its_parts_are_counted(launch):
    run = launch(*LINEAR)
    before = run.results
    go_on(run, "trainer.max_epochs=9")
    assert run.results["resumed"] == [18]
    assert run.results["started"] == before["started"]
    assert run.results["seconds"]["total"] > before["seconds"]["total"]
    assert run.results["overrides"][-3:] == list(LINEAR)
    # Far more than either part takes by itself.
    results = run.results | {"seconds": dict.fromkeys(before["seconds"], 1000.0)}
    (run.path / "results.json").write_text(json.dumps(results))
    go_on(run, "trainer.max_epochs=12")
    assert all(1000 < seconds < 1500 for seconds in run.results["seconds"].values())


def test_the_data_that_stood_in_keep_their_name(launch, tmp_path: Path):
    run = launch(
        *("model=cnn", "model.network.channels=[2]", "model.network.hidden=[4]", "trainer.max_epochs=1"),
        *("data=mnist", f"data.root={tmp_path}", "data.mirrors=[]", "data.batch_size=300"),
    )
    origin = OmegaConf.load(run.path / "config.yaml").origin
    assert (origin.data, origin.stand_in_for) == ("digits", "mnist")
    go_on(run, "trainer.max_epochs=2")
    assert OmegaConf.load(run.path / "config.yaml").origin == origin
    assert (run.results["data"], run.results["epochs"]) == ("digits", 2)


def test_a_completed_run_is_left_alone(launch):
    run = launch(*LINEAR)
    files = {file: file.stat().st_mtime_ns for file in run.path.rglob("*")}
    go_on(run)
    assert {file: file.stat().st_mtime_ns for file in run.path.rglob("*")} == files


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(launch):
    whole = launch(*LINEAR)
    killed = launch(*LINEAR)
    (killed.path / "results.json").unlink()
    for checkpoint in (killed.path / "checkpoints").iterdir():
        checkpoint.unlink()
    go_on(killed)
    assert killed.rows == whole.rows
    assert all(torch.equal(*pair) for pair in zip(killed.weights(), whole.weights(), strict=True))


def test_lightnings_csv_logger_keeps_what_it_wrote(tmp_path: Path):
    run = composing.launch(tmp_path / "run", *LINEAR, logger="csv")
    first = (run.path / "csv" / "metrics.csv").read_text()
    go_on(run, "trainer.max_epochs=9", logger="csv")
    assert (run.path / "csv" / "metrics.csv").read_text() == first
    assert "9," in (run.path / "csv-after-6" / "metrics.csv").read_text()


class TestRefused:
    """One message each, and nothing is changed."""

    @pytest.fixture
    def run(self, launch) -> RunFolder:
        return launch(*LINEAR)

    @pytest.mark.parametrize("change", ["optimizer.lr=0.5", "seed=3", "data.noise=1", "model=spiral", "+x=1"])
    def test_what_would_make_it_another_run(self, run, change):
        with pytest.raises(SettingError, match="a resumed run keeps it"):
            go_on(run, change, "trainer.max_epochs=9")

    def test_a_schedule_that_was_laid_out_for_fewer_epochs(self, launch):
        for scheduler in ("cosine", "onecycle"):
            run = launch(*LINEAR, f"scheduler={scheduler}")
            with pytest.raises(SettingError, match="laid out for 6 epochs"):
                go_on(run, "trainer.max_epochs=9")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("trainer.strategy=fsdp", "fsdp"),
            ("+trainer.accumulate_grad_batches=0", "accumulate_grad_batches"),
            ("+trainer.limit_train_batches=many", "limit_train_batches=many"),
        ],
    )
    def test_what_lightning_refuses_changes_no_file(self, run, change: str, says: str):
        """Also where it does so as late as the training begins: the run has completed, and can be gone on with."""
        before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
        with pytest.raises(SettingError, match=says):
            go_on(run, "trainer.max_epochs=9", change)
        assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before
        go_on(run, "trainer.max_epochs=9")
        assert run.results["epochs"] == 9

    @pytest.mark.parametrize("steps", [-1, 10])
    def test_a_schedule_that_was_laid_out_for_fewer_steps(self, launch, steps: int):
        run = launch(*LINEAR, "scheduler=onecycle", "+trainer.max_steps=7")
        with pytest.raises(SettingError, match=r"trainer\.max_steps.*laid out for 7 steps"):
            go_on(run, f"+trainer.max_steps={steps}")

    def test_a_device_that_this_machine_has_not(self, run):
        with pytest.raises(SettingError, match=r"trainer\.accelerator=tpu: this machine has none"):
            go_on(run, "trainer.accelerator=tpu", "trainer.max_epochs=9")

    def test_a_diverged_run(self, launch, tmp_path: Path):
        with pytest.raises(Exception, match="diverged"):
            launch("model=linear", "optimizer.lr=1e10")
        with pytest.raises(SettingError, match="this run diverged"):
            go_on(RunFolder(tmp_path / "run1"))

    def test_one_that_is_still_under_way(self, run):
        with occupied(run.path), pytest.raises(SettingError, match="still under way"):
            go_on(run, "trainer.max_epochs=9")

    def test_code_that_is_not_trusted(self, run):
        text = (run.path / "config.yaml").read_text()
        (run.path / "config.yaml").write_text(text.replace("littlenets.networks.LinearRegression", "os.system"))
        with pytest.raises(SettingError, match=r"model\.network\._target_=os\.system"):
            go_on(run, "trainer.max_epochs=9")

    @pytest.mark.parametrize("file", ["config.yaml", "results.json", "checkpoints/last.ckpt", "history.csv"])
    @pytest.mark.parametrize("damage", ["emptied", "cut", "overwritten"])
    def test_damage(self, run, file: str, damage: str):
        path = run.path / file
        whole = path.read_bytes()
        content = {"emptied": b"", "cut": whole[: len(whole) // 2], "overwritten": b"\x00\xff{[" * 50}
        path.write_bytes(content[damage])
        with pytest.raises(SettingError, match=path.name):
            go_on(run, "trainer.max_epochs=9")
        assert path.read_bytes() == content[damage]

    def test_a_missing_checkpoint(self, run):
        (run.path / "checkpoints" / "last.ckpt").unlink()
        with pytest.raises(SettingError, match=r"last\.ckpt is missing"):
            go_on(run, "trainer.max_epochs=9")

    def test_a_missing_configuration(self, run):
        (run.path / "config.yaml").unlink()
        with pytest.raises(SettingError, match=r"no config\.yaml"):
            go_on(run, "trainer.max_epochs=9")


def test_a_missing_history_is_begun_anew(launch, caplog):
    run = launch(*LINEAR)
    (run.path / "history.csv").unlink()
    go_on(run, "trainer.max_epochs=8")
    assert [row["epoch"] for row in run.rows] == ["7", "8"]
    assert "history.csv" in caplog.text


def test_a_saved_class_of_lightning_is_that_of_the_package_that_is_installed(launch):
    stop = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:train/loss,patience:9}"
    run = launch(*LINEAR, f"+callbacks.stop={stop}")
    file = run.path / "config.yaml"
    file.write_text(file.read_text().replace("_target_: pytorch_lightning.", "_target_: lightning.pytorch."))
    go_on(run, "trainer.max_epochs=7e0")
    assert run.results["epochs"] == 7
    assert "max_epochs: 7\n" in file.read_text()
    assert "_target_: lightning" not in file.read_text()


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    """Take away a part of a checkpoint, by the keys that lead there."""

    def change(checkpoint: dict[str, Any]) -> None:
        node = checkpoint
        for key in keys[:-1]:
            node = node[key]
        del node[keys[-1]]

    return change


LOST: dict[str, Callable[[dict[str, Any]], None]] = {
    "all of the optimizer's state": without("optimizer_states"),
    "the optimizer": lambda checkpoint: checkpoint["optimizer_states"].clear(),
    "the optimizer's momentum": lambda checkpoint: checkpoint["optimizer_states"][0]["state"].clear(),
    "one parameter's momentum": lambda checkpoint: checkpoint["optimizer_states"][0]["state"].popitem(),
    "a shape": lambda checkpoint: checkpoint["optimizer_states"][0]["state"][0].update(momentum_buffer=torch.zeros(7)),
    "the parameters' numbers": lambda checkpoint: checkpoint["optimizer_states"][0].update(param_groups=[]),
    "the loops": without("loops"),
    "a loop's counters": without("loops", "fit_loop", "epoch_progress"),
    "a counter": lambda checkpoint: checkpoint["loops"]["fit_loop"]["epoch_progress"]["total"].update(ready="many"),
    "the callbacks": without("callbacks"),
    "the random states": without("littlenets", "random"),
    "a random state": lambda checkpoint: checkpoint["littlenets"]["random"].update(torch=torch.zeros(3)),
    "the epoch's records": lambda checkpoint: checkpoint["littlenets"]["records"].update(sizes=[1, 2, 3]),
    "the schedule": without("lr_schedulers"),
}


@pytest.mark.parametrize("part", LOST)
def test_a_checkpoint_that_lost_a_part_is_not_gone_on_from(launch, part: str):
    run = launch(*LINEAR, "optimizer.momentum=0.9")
    path = run.path / "checkpoints" / "last.ckpt"
    checkpoint = composing.load_checkpoint(path)
    LOST[part](checkpoint)
    torch.save(checkpoint, path)
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    with pytest.raises(SettingError, match=r"last\.ckpt"):
        go_on(run, "trainer.max_epochs=9")
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before


def test_a_checkpoint_of_another_run_is_not_gone_on_from(launch):
    run = launch("model=spiral", "data.n_points=20", "trainer.max_epochs=2")
    other = launch("model=spiral", "data.n_points=20", "trainer.max_epochs=2", "model.network.hidden=[8]")
    for name in ("last", "best"):
        shutil.copy(other.path / "checkpoints" / f"{name}.ckpt", run.path / "checkpoints")
    with pytest.raises(SettingError, match=r"last\.ckpt does not belong to .*config\.yaml"):
        go_on(run, "trainer.max_epochs=3")
    for checkpoint in ("last", "best"):
        with pytest.raises(SettingError, match=rf"{checkpoint}\.ckpt does not belong to .*config\.yaml"):
            load_module(load_run(run.path, checkpoint))
