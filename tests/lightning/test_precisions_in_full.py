"""Other precisions than 32 bits: training, evaluating and going on are exact."""

from typing import Any

import composing
import pytest
import torch
from composing import RunFolder
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict
from ordinary import BATCHES, EPOCHS, SETTING, OrdinaryRun

from littlenets.config.origin import Origin
from littlenets.evaluation import evaluate

TRUE = {"64-true": torch.float64, "bf16-true": torch.bfloat16}


def evaluated(run: RunFolder, *overrides: str) -> dict[str, Any]:
    """What evaluate.py measures."""
    with initialize_config_dir(str(composing.CONF), version_base="1.3"):
        config = compose("evaluate", [f"run={run.path}", "accelerator=cpu", *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return evaluate(config, Origin.from_hydra())


@pytest.mark.parametrize("precision", TRUE)
class TestTruePrecision:
    def test_it_trains_like_the_ordinary_run(self, train_both, precision: str):
        both = train_both(trainer={"precision": precision})
        assert {value.dtype for value in both.state.values() if value.is_floating_point()} == {TRUE[precision]}
        expected = both.ordinary.test()
        measured = both.run.results["metrics"]
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-6)

    def test_evaluation_measures_what_the_run_measured(self, launch, precision: str):
        run = launch(*SETTING, f"trainer.precision={precision}")
        evaluation = evaluated(run)
        tested = {name: value for name, value in run.results["metrics"].items() if name.startswith("test/")}
        assert evaluation["metrics"] == tested
        classes = evaluation["classes"]
        hits = sum(row["acc"] * row["samples"] for row in classes)
        assert hits / sum(row["samples"] for row in classes) == pytest.approx(tested["test/acc"])

    @pytest.mark.parametrize("first", ["trainer.max_epochs=3", f"+trainer.max_steps={2 * BATCHES + 1}"])
    def test_going_on_is_exact(self, launch, precision: str, first: str):
        """At the end of an epoch and within one."""
        whole = launch(*SETTING, f"trainer.precision={precision}")
        part = launch(*SETTING[:-1], f"trainer.precision={precision}", first)
        composing.launch(part.path, f"resume={part.path}", f"trainer.max_epochs={EPOCHS}", "+trainer.max_steps=-1")
        assert part.rows == whole.rows
        assert part.results["metrics"] == whole.results["metrics"]
        one, other = part.checkpoint(), whole.checkpoint()
        assert all(torch.equal(one["state_dict"][name], value) for name, value in other["state_dict"].items())
        states = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, other))
        for ours, theirs in zip(*(state.values() for state in states), strict=True):
            for name, value in theirs.items():
                assert ours[name].dtype == value.dtype, name
                assert torch.equal(ours[name], value), name


def test_half_precision_that_breaks_down_is_said_to_be_the_reason(launch):
    """Adam's epsilon of 1e-8 is 0 in 16 bits, so the weights are no numbers after the first step."""
    with pytest.raises(RuntimeError, match="should be between 0 and 1"):
        OrdinaryRun(precision="16-true")
    with pytest.raises(Exception, match="precision=16-true") as error:
        launch(*SETTING, "trainer.precision=16-true")
    assert "optimizer.lr" not in str(error.value)


@pytest.mark.parametrize("plugin", ["DoublePrecision", "MixedPrecision,precision:bf16-mixed,device:cpu"])
def test_a_precision_that_a_plugin_gives_is_that_of_the_evaluation(launch, plugin: str):
    node = f"+trainer.plugins=[{{_target_:pytorch_lightning.plugins.precision.{plugin}}}]"
    run = launch(*SETTING, "trainer.precision=null", node)
    tested = {name: value for name, value in run.results["metrics"].items() if name.startswith("test/")}
    assert evaluated(run, "trust=[pytorch_lightning.plugins]")["metrics"] == tested
