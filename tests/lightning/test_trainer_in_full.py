"""Every argument of Lightning's Trainer has in a run of the package the effect that it has in an ordinary one."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from comparing import assert_same_weights, named
from ordinary import BATCHES, EPOCHS, SETTING, STEPS, Ordinary, OrdinaryRun, spirals
from own_callbacks import Keeper
from pytorch_lightning import LightningDataModule
from pytorch_lightning.plugins.precision import MixedPrecision
from torch.utils.data import DataLoader, TensorDataset

from littlenets.errors import SettingError


class TestGradients:
    @pytest.mark.parametrize(
        "clipping",
        [
            {"gradient_clip_val": 0.05, "gradient_clip_algorithm": "norm"},
            {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        ],
        ids=["norm", "value"],
    )
    def test_gradients_are_clipped(self, train_both, clipping: dict[str, Any]):
        both = train_both(trainer=clipping)
        unclipped = OrdinaryRun()
        assert not torch.equal(both.state["network.layers.0.weight"], unclipped.state["network.layers.0.weight"])

    @pytest.mark.parametrize("batches", [2, 3, BATCHES])
    def test_gradients_are_accumulated(self, train_both, batches: int):
        """The last batches of an epoch make a step, also where they are fewer."""
        both = train_both(trainer={"accumulate_grad_batches": batches})
        assert both.run.results["steps"] == EPOCHS * -(-BATCHES // batches)
        assert (both.run.results["epochs"], len(both.run.rows)) == (EPOCHS, EPOCHS)

    def test_accumulation_and_clipping_and_a_schedule_together(self, train_both):
        both = train_both(
            *("scheduler=step", "scheduler.step_size=2", "scheduler.gamma=0.5"),
            trainer={"accumulate_grad_batches": 2, "gradient_clip_val": 0.1},
            module=lambda: Ordinary(scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)),
        )
        assert list(both.run.column("lr")) == both.ordinary_recorder.last_lrs


class OrderedSpirals(LightningDataModule):
    """The points of the setting in ordinary loaders, shuffled as torch does it."""

    def __init__(self) -> None:
        super().__init__()
        data = spirals()
        data.setup()
        self.splits = data.splits

    def train_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(*self.splits["train"]), batch_size=16, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(*self.splits["val"]), batch_size=16)


class TestLimits:
    def test_overfit_batches_trains_on_one_batch(self, train_both):
        """Lightning shuffles no more then, so it is the first one, in every epoch."""
        with pytest.warns(UserWarning, match="shuffling"):
            both = train_both(trainer={"overfit_batches": 1}, data=OrderedSpirals())
        assert both.run.results["steps"] == EPOCHS

    @pytest.mark.parametrize(
        "limits",
        [
            {"limit_train_batches": 3},
            {"limit_train_batches": 0.5},
            {"limit_val_batches": 1},
            {"limit_val_batches": 0},
            {"max_steps": 10},
            {"max_epochs": -1, "max_steps": 10},
            {"max_epochs": None, "max_steps": 10},
            {"max_steps": BATCHES},
            {"min_epochs": 2},
            {"max_epochs": 5, "check_val_every_n_epoch": 2},
            {"num_sanity_val_steps": 1},
            {"max_time": {"seconds": 3000}},
            {"reload_dataloaders_every_n_epochs": 1},
        ],
        ids=named,
    )
    def test_a_limit(self, train_both, limits: dict[str, Any]):
        both = train_both(trainer=limits)
        rows = both.ordinary_recorder.metrics
        assert len(both.run.rows) == -(-both.ordinary.steps // both.ordinary.trainer.num_training_batches)
        for name in rows[-1].keys() - {"val/loss", "val/acc"}:
            expected = [metrics[name] for metrics in rows]
            assert both.run.column(name)[: len(expected)] == pytest.approx(expected, rel=1e-6), name

    def test_limits_of_the_test(self, train_both):
        """Of one batch, none is left out."""
        both = train_both(trainer={"limit_test_batches": 1})
        assert both.run.results["metrics"]["test/loss"] == pytest.approx(both.ordinary.test()["test/loss"], rel=1e-6)

    def test_validations_stand_in_the_rows_of_their_epochs(self, train_both):
        both = train_both(trainer={"check_val_every_n_epoch": 3, "num_sanity_val_steps": 1})
        measured = {index: value for index, value in enumerate(both.run.column("val/loss")) if value == value}
        expected = [metrics["val/loss"] for metrics in both.ordinary_recorder.validations]
        assert list(measured) == [2, 5]
        assert list(measured.values()) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("batches", [True, 3])
    def test_fast_dev_run(self, train_both, batches: int | bool):
        both = train_both(trainer={"fast_dev_run": batches}, keep=True)
        assert both.run.results["steps"] == int(batches)
        assert not list(both.run.path.rglob("*.ckpt"))


class TestWays:
    @pytest.mark.parametrize(
        "ways",
        [
            {"detect_anomaly": True},
            {"deterministic": False},
            {"deterministic": True},
            {"inference_mode": False},
            {"inference_mode": True},
            {"precision": "bf16-mixed"},
            {"sync_batchnorm": True},
        ],
        ids=named,
    )
    def test_a_way_of_computing(self, train_both, ways: dict[str, Any]):
        both = train_both(trainer=ways)
        expected = both.ordinary.metrics | both.ordinary.test()
        measured = both.run.results["metrics"]
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-6)

    def test_plugins_are_added(self, train_both):
        plugin = {
            "_target_": "pytorch_lightning.plugins.precision.MixedPrecision",
            **{"precision": "bf16-mixed", "device": "cpu"},
        }
        both = train_both("trainer.precision=null", trainer={"plugins": [plugin]})
        assert isinstance(both.ordinary.trainer.precision_plugin, MixedPrecision)
        unmixed = OrdinaryRun()
        assert not torch.equal(both.state["network.layers.0.weight"], unmixed.state["network.layers.0.weight"])

    # The ordinary run has logged there before.
    @pytest.mark.filterwarnings("ignore:Experiment logs directory")
    def test_a_logger_of_the_trainer_gets_the_metrics_as_well(self, train_both, tmp_path: Path):
        """Beside those of the group ``logger``."""
        node = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(tmp_path / "logged")}
        train_both(trainer={"logger": [node | {"name": "", "version": ""}]})
        assert "train/loss" in (tmp_path / "logged" / "metrics.csv").read_text()


class TestFewerThings:
    def test_no_progress_bar(self, train_both, capfd):
        train_both(trainer={"enable_progress_bar": False})
        assert not re.search(r"\d+%|Epoch|epoch \d", "".join(capfd.readouterr()))

    def test_no_checkpoints(self, train_both):
        both = train_both(trainer={"enable_checkpointing": False}, keep=True)
        assert both.run.results["status"] == "completed"
        assert not list(both.run.path.rglob("*.ckpt"))
        assert both.run.results["metrics"]["test/loss"] == pytest.approx(both.ordinary.test()["test/loss"], rel=1e-6)

    # A run of the command does not show it either.
    @pytest.mark.filterwarnings("ignore:You are trying to `self.log")
    def test_barebones(self, launch):
        """Without checkpoints, loggers, bar and metrics, as Lightning means it."""
        run = launch(*SETTING, "+trainer.barebones=true", "+callbacks.keeper._target_=own_callbacks.Keeper")
        ordinary = OrdinaryRun(barebones=True)
        assert_same_weights(Keeper.state, ordinary)
        assert (run.results["steps"], run.results["status"]) == (STEPS, "completed")
        assert not list(run.path.rglob("*.ckpt"))

    def test_a_logger_in_a_bare_run_is_refused(self, launch):
        """As Lightning does, instead of leaving it out without a word."""
        logger = "+trainer.logger={_target_:pytorch_lightning.loggers.CSVLogger,save_dir:logged}"
        with pytest.raises(SettingError, match=r"^trainer: .*Logging can impact raw speed"):
            launch(*SETTING, "+trainer.barebones=true", logger)


class TestRefusals:
    """What only the data show to be wrong is a message as well."""

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            (f"+trainer.val_check_interval={BATCHES + 1}", f"must be less than or equal to .* batches \\({BATCHES}\\)"),
            ("+trainer.limit_val_batches=0.001", "Please increase the `limit_val_batches` argument"),
        ],
    )
    def test_before_the_first_step(self, launch, setting: str, says: str):
        with pytest.raises(SettingError, match=f"^trainer: .*{says}"):
            launch(*SETTING, setting)

    def test_an_error_of_the_module_stays_one(self, launch):
        """Whoever wrote it wants to see where it came from."""
        with pytest.raises(ValueError, match="not today"):
            launch(*SETTING, "model.module._target_=own_tasks.RaisingTask")
