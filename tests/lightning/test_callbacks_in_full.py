"""Callbacks, Lightning's and a user's, have in a run of the package the effect that they have in an ordinary one."""

import csv
import json
from pathlib import Path
from typing import Any

import own_networks
import pytest
import torch
from comparing import assert_same_weights, network, settings
from composing import RunFolder, load_checkpoint
from lightning_fabric.utilities.spike import TrainingSpikeException
from ordinary import BATCHES, EPOCHS, SETTING, STEPS, Ordinary, OrdinaryRun
from own_tasks import FindingOrdinary
from pytorch_lightning.callbacks import SpikeDetection
from pytorch_lightning.loggers import CSVLogger
from torch import nn

from littlenets.networks import CNN, LinearRegression, MultiSpiralNet, SpiralNet

LIGHTNINGS = "pytorch_lightning.callbacks"


def only(name: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    """The callbacks of a run that has one."""
    target = name if "." in name else f"{LIGHTNINGS}.{name}"
    return {"tried": {"_target_": target, **arguments}}


class TestHooksThatAreNotOfTheClass:
    """A hook counts where it is found on the object, not only where its class has it."""

    def test_lambda_callback_that_clips_gradients_is_called_every_time(self, train_both):
        both = train_both(callbacks=only("own_callbacks.clips_gradients"))
        assert both.calls == {
            **{"on_before_optimizer_step": STEPS, "on_train_batch_end": STEPS},
            **{"on_train_epoch_start": EPOCHS, "on_train_epoch_end": EPOCHS},
        }

    def test_lambda_callback_for_epochs_alone_is_called_every_time(self, train_both):
        both = train_both(
            *("data.validation=0", "trainer.max_epochs=40"), callbacks=only("own_callbacks.counts_epochs"), equal=False
        )
        assert both.calls == {"on_train_epoch_end": 40}

    def test_a_hook_that_the_object_is_given_in_the_fit_is_called(self, train_both):
        both = train_both(callbacks=only("own_callbacks.OnTheInstance"))
        assert both.calls == {"on_train_batch_end": STEPS}

    def test_a_hook_that_the_optimizer_is_given_in_the_fit_is_called(self, train_both):
        both = train_both(callbacks=only("own_callbacks.HooksOnTheOptimizer"))
        assert both.calls == {"step": STEPS - 2 * BATCHES}


class TestFinetuning:
    def test_layers_that_are_unfrozen_later_train_with_gradients_of_their_own_step(self, train_both):
        both = train_both(callbacks=only("own_callbacks.Unfreezing"), record=True)
        assert both.recorder.norms == both.ordinary_recorder.norms
        assert both.recorder.lrs == both.ordinary_recorder.lrs

    def test_layers_that_are_unfrozen_later_with_no_other_observer(self, train_both):
        train_both(callbacks=only("own_callbacks.Unfreezing"))


class TestAveraging:
    SWA = only("StochasticWeightAveraging", swa_lrs=0.05, swa_epoch_start=3, annealing_epochs=2)

    def test_stochastic_weight_averaging_uses_its_learning_rates(self, train_both):
        both = train_both(callbacks=self.SWA, keep=True, record=True)
        assert both.recorder.lrs == both.ordinary_recorder.lrs
        assert len({lr for (lr,) in both.recorder.lrs}) > 2
        assert list(both.run.column("lr")) == both.ordinary_recorder.last_lrs
        # Its last checkpoint is the network that was tested.
        assert_same_weights(both.run.checkpoint()["state_dict"], both.ordinary)
        assert both.run.results["metrics"]["test/loss"] == pytest.approx(both.ordinary.test()["test/loss"], rel=1e-6)

    def test_stochastic_weight_averaging_trains_nothing_while_it_measures_statistics(self, train_both):
        """With batch norm there is one more pass over the data, which only updates running means."""
        both = train_both(
            *network("own_networks.BatchNormNet"),
            callbacks=self.SWA,
            keep=True,
            module=lambda: Ordinary(own_networks.BatchNormNet()),
        )
        assert any("running_mean" in name for name in both.state)
        assert both.run.results["metrics"]["test/loss"] == pytest.approx(both.ordinary.test()["test/loss"], rel=1e-6)

    @pytest.mark.parametrize("name", ["WeightAveraging", "EMAWeightAveraging"])
    def test_averages_of_weights(self, train_both, name: str):
        both = train_both(callbacks=only(f"{LIGHTNINGS}.weight_averaging.{name}"), keep=True)
        assert both.run.results["metrics"]["test/loss"] == pytest.approx(both.ordinary.test()["test/loss"], rel=1e-6)


class TestTuning:
    def test_learning_rate_finder_sets_the_rate_of_the_run(self, train_both):
        finder = only("LearningRateFinder", num_training_steps=20, min_lr=1e-4, max_lr=1.0)
        both = train_both(callbacks=finder, record=True, module=lambda: FindingOrdinary(lr=0.01))
        assert both.recorder.lrs == both.ordinary_recorder.lrs
        assert both.recorder.lrs[0] != [0.01]

    def test_learning_rate_finder_on_an_attribute_of_ones_own(self, train_both):
        finder = only("LearningRateFinder", num_training_steps=20, min_lr=1e-4, max_lr=1.0)
        task = "model.module._target_=own_tasks.FindingTask"
        both = train_both(task, callbacks=finder, record=True, module=FindingOrdinary)
        assert both.recorder.lrs == both.ordinary_recorder.lrs
        assert both.recorder.lrs[0] != [0.5]

    def test_batch_size_finder_sets_the_batch_size_of_the_run(self, train_both):
        """Of one epoch of 64 points: batches of 8."""
        both = train_both(
            callbacks=only("BatchSizeFinder", steps_per_trial=1, init_val=2, max_trials=3), trainer={"max_epochs": 1}
        )
        assert both.run.results["steps"] == 8


class TestPruning:
    def test_pruned_weights_are_zero(self, train_both):
        both = train_both(callbacks=only("ModelPruning", pruning_fn="l1_unstructured", amount=0.3), keep=True)
        weights = torch.cat([value.flatten() for value in both.state.values()])
        # 0.3 of what is left, after each epoch.
        assert (weights == 0).float().mean().item() == pytest.approx(1 - 0.7**EPOCHS, abs=0.001)
        assert both.run.results["metrics"]["test/loss"] == pytest.approx(both.ordinary.test()["test/loss"], rel=1e-6)

    @pytest.mark.parametrize("shipped", [LinearRegression, SpiralNet, MultiSpiralNet, CNN])
    def test_parameters_of_the_shipped_networks_become_a_vector_and_come_back(self, shipped: type[nn.Module]):
        network = shipped()
        vector = nn.utils.parameters_to_vector(network.parameters())
        assert torch.equal(vector, torch.cat([parameter.flatten() for parameter in network.parameters()]))
        nn.utils.vector_to_parameters(2 * vector, network.parameters())
        assert torch.equal(nn.utils.parameters_to_vector(network.parameters()), 2 * vector)


class TestLosses:
    def test_a_callback_sees_the_loss_of_every_batch(self, train_both):
        both = train_both(callbacks=only("own_callbacks.WatchesLoss"))
        watched = [float(line) for line in (both.run.path / "losses.txt").read_text().split()]
        assert watched == [loss.item() for loss in both.ordinary_recorder.losses]
        assert len(watched) == STEPS

    def test_spike_detection_lets_a_calm_run_pass(self, train_both):
        train_both(callbacks=only("SpikeDetection"))

    def test_spike_detection_ends_a_run_with_a_spike_where_the_ordinary_run_does(self, launch, tmp_path: Path):
        strict = {"window": 2, "warmup": 1, "atol": 0.0, "rtol": 0.02}
        ordinary = SpikeDetection(**strict)
        with pytest.raises(TrainingSpikeException) as theirs:
            OrdinaryRun(callbacks=[ordinary], default_root_dir=tmp_path)
        with pytest.raises(TrainingSpikeException) as ours:
            launch(*SETTING, *settings("callbacks.tried", only("SpikeDetection", **strict)["tried"]))
        assert str(ours.value) == str(theirs.value)
        assert json.loads((tmp_path / "run1" / "skip_batches.json").read_text()) == ordinary.bad_batches


class TestStopping:
    @pytest.mark.parametrize("monitor", ["val/loss", "train/loss"])
    def test_early_stopping_ends_both_after_the_same_epoch(self, train_both, monitor: str):
        both = train_both(callbacks=only("EarlyStopping", monitor=monitor, min_delta=0.2), trainer={"max_epochs": 30})
        assert 1 < both.ordinary.epochs < 30
        assert (both.run.results["epochs"], len(both.run.rows)) == (both.ordinary.epochs, both.ordinary.epochs)

    def test_a_timer_that_has_time_changes_nothing(self, train_both):
        both = train_both(callbacks=only("Timer", duration={"days": 1}))
        assert both.run.results["steps"] == STEPS


class TestCheckpoints:
    def test_model_checkpoint_keeps_the_same_epochs_and_weights(self, train_both):
        chosen = only("ModelCheckpoint", monitor="val/loss", save_top_k=2, filename="kept-{epoch}-{step}")
        both = train_both("checkpoint.every=1000", callbacks=chosen)
        ours, theirs = _kept(both.run), _kept(RunFolder(Path(both.ordinary.trainer.default_root_dir)))
        assert ours.keys() == theirs.keys()
        assert len(theirs) == 2
        for name, path in theirs.items():
            one, other = load_checkpoint(ours[name]), torch.load(path, weights_only=True)
            assert (one["epoch"], one["global_step"]) == (other["epoch"], other["global_step"])
            assert all(torch.equal(one["state_dict"][key], value) for key, value in other["state_dict"].items())

    def test_model_checkpoint_between_the_batches_of_an_epoch(self, train_both):
        chosen = only("ModelCheckpoint", every_n_train_steps=5, save_top_k=-1, filename="kept-{step}")
        both = train_both("checkpoint.every=1000", callbacks=chosen)
        ours, theirs = _kept(both.run), _kept(RunFolder(Path(both.ordinary.trainer.default_root_dir)))
        assert list(ours) == list(theirs) == [f"kept-step={step}" for step in (10, 15, 20, 5)]
        for name, path in theirs.items():
            one, other = load_checkpoint(ours[name]), torch.load(path, weights_only=True)
            assert all(torch.equal(one["state_dict"][key], value) for key, value in other["state_dict"].items())


def _kept(run: RunFolder) -> dict[str, Path]:
    return {file.stem: file for file in sorted((run.path / "checkpoints").glob("kept-*"))}


class TestShowing:
    @pytest.mark.parametrize("interval", ["step", "epoch"])
    def test_learning_rate_monitor_logs_the_same_rates(self, train_both, tmp_path: Path, interval: str):
        both = train_both(
            *("scheduler=step", "scheduler.step_size=2", "scheduler.gamma=0.5"),
            callbacks=only("LearningRateMonitor", logging_interval=interval),
            module=lambda: Ordinary(scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)),
            logger="csv",
            ordinary={"logger": CSVLogger(tmp_path, name="", version="logged")},
        )
        ours, theirs = (
            [float(row["lr-Adam"]) for row in _rows(folder) if row.get("lr-Adam")]
            for folder in (both.run.path / "csv", tmp_path / "logged")
        )
        assert ours == theirs
        assert len(theirs) == {"step": STEPS, "epoch": EPOCHS}[interval]

    @pytest.mark.parametrize("bar", ["TQDMProgressBar", "RichProgressBar"])
    def test_another_progress_bar_changes_nothing_else(self, train_both, bar: str, capfd):
        train_both(f"callbacks.progress._target_={LIGHTNINGS}.{bar}")
        assert "Epoch" in "".join(capfd.readouterr())


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class TestSchedules:
    def test_gradient_accumulation_scheduler_accumulates_from_its_epoch_on(self, train_both):
        both = train_both(callbacks=only("GradientAccumulationScheduler", scheduling={0: 1, 2: 2}))
        assert both.run.results["steps"] == 2 * BATCHES + (EPOCHS - 2) * BATCHES // 2
        assert (both.run.results["epochs"], len(both.run.rows)) == (EPOCHS, EPOCHS)
