"""What a subclass of a task overrides means what it means in Lightning."""

import own_tasks
import pytest
import torch
from comparing import data, network
from ordinary import EPOCHS, STEPS, Ordinary
from own_data import PaddedSequences
from own_networks import LastState


def task(name: str) -> str:
    return f"model.module._target_=own_tasks.{name}Task"


def ordinary(name: str) -> type[Ordinary]:
    return getattr(own_tasks, f"{name}Ordinary")


class TestTrainingStep:
    def test_training_step_of_ones_own_trains(self, train_both):
        both = train_both(task("Smooth"), module=ordinary("Smooth"))
        assert both.run.results["steps"] == STEPS
        expected = [metrics["smooth"] for metrics in both.ordinary_recorder.metrics]
        assert both.run.column("smooth") == pytest.approx(expected, rel=1e-6)

    def test_training_step_may_return_a_dictionary(self, train_both):
        both = train_both(task("Dict"), module=ordinary("Dict"), record=True)
        assert [loss.item() for loss in both.recorder.losses] == [loss.item() for loss in both.ordinary_recorder.losses]


class TestLogging:
    def test_a_number_logged_in_the_loss_has_a_value_for_each_epoch(self, train_both):
        both = train_both(task("Logging"), module=ordinary("Logging"))
        expected = [metrics["largest"] for metrics in both.ordinary_recorder.metrics]
        assert len(set(expected)) == EPOCHS
        assert both.run.column("largest") == pytest.approx(expected, rel=1e-6)
        assert both.run.results["metrics"]["largest"] == pytest.approx(expected[-1], rel=1e-6)


class TestParameters:
    def test_a_parameter_of_the_module_itself_is_trained(self, train_both):
        both = train_both(task("Temperature"), module=ordinary("Temperature"))
        assert both.state["temperature"] != 1


class TestHooks:
    @pytest.mark.parametrize(
        ("name", "hook"),
        [
            ("Warming", "optimizer_step"),
            ("Penalizing", "backward"),
            ("Clipping", "configure_gradient_clipping"),
        ],
    )
    def test_an_overridden_hook_is_called_every_time(self, train_both, name: str, hook: str):
        both = train_both(task(name), module=ordinary(name))
        assert both.calls == {hook: STEPS}

    def test_hooks_of_batches_and_epochs_are_called_every_time(self, train_both):
        both = train_both(task("Hooked"), module=ordinary("Hooked"))
        assert both.calls == {
            **{"on_train_batch_start": STEPS, "on_train_batch_end": STEPS},
            "on_train_epoch_end": EPOCHS,
        }

    def test_an_overridden_lr_scheduler_step_is_called_every_epoch(self, train_both):
        both = train_both(
            *(task("Twice"), "scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.8"),
            module=lambda: own_tasks.TwiceOrdinary(
                scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.8)
            ),
        )
        assert both.calls["lr_scheduler_step"] == EPOCHS
        assert list(both.run.column("lr")) == pytest.approx(both.ordinary_recorder.last_lrs, rel=1e-8)
        assert both.ordinary_recorder.last_lrs[1] == pytest.approx(0.01 * 0.8**2)


class TestConfigureOptimizers:
    @pytest.mark.parametrize("form", ["optimizer", "lists", "scheduler", "step", "frequency", "both", "plateau"])
    def test_each_form_that_lightning_takes_is_followed(self, train_both, form: str):
        both = train_both(
            *(task("OwnOptimization"), f"+model.module.form={form}"),
            module=lambda: own_tasks.OwnOptimizationOrdinary(form=form),
        )
        assert list(both.run.column("lr")) == pytest.approx(both.ordinary_recorder.last_lrs, rel=1e-8)
        assert (len(set(both.ordinary_recorder.last_lrs)) == 1) == (form == "optimizer")

    @pytest.mark.parametrize("form", ["both", "plateau"])
    def test_the_rate_of_every_step_is_the_same(self, train_both, form: str):
        both = train_both(
            *(task("OwnOptimization"), f"+model.module.form={form}"),
            module=lambda: own_tasks.OwnOptimizationOrdinary(form=form),
            record=True,
        )
        assert both.recorder.lrs == both.ordinary_recorder.lrs


class TestBatches:
    def test_accuracy_counts_samples_where_an_input_is_a_pair(self, train_both):
        """Padded sequences with their lengths, on which ``len`` is 2."""
        both = train_both(
            *network("own_networks.LastState"),
            *data("own_data.PaddedSequences"),
            setting=("model=spiral", f"trainer.max_epochs={EPOCHS}"),
            module=lambda: Ordinary(LastState()),
            data=PaddedSequences(),
        )
        for name in ("train/acc", "train/loss", "val/acc"):
            expected = [metrics[name] for metrics in both.ordinary_recorder.metrics]
            assert both.run.column(name) == pytest.approx(expected, rel=1e-6), name
