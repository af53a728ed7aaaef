"""A loss that is not finite ends the training, with the last one that was."""

import math
import re
from pathlib import Path

import composing
import pytest

from littlenets.callbacks import Divergence
from littlenets.errors import DivergedError


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_the_epoch_and_the_loss_before_it(lost: float):
    with pytest.raises(DivergedError) as error:
        Divergence().check([1.0, 0.5, lost, 0.25], 4)
    assert (error.value.epoch, error.value.last_loss) == (6, 0.5)


def test_the_loss_before_it_may_have_been_checked_earlier():
    divergence = Divergence()
    divergence.check([2.0, 0.75], 1)
    with pytest.raises(DivergedError) as error:
        divergence.check([math.nan], 3)
    assert (error.value.epoch, error.value.last_loss) == (3, 0.75)


def test_in_the_first_epoch_there_is_none_before():
    with pytest.raises(DivergedError) as error:
        Divergence().check([math.nan], 1)
    assert (error.value.epoch, error.value.last_loss) == (1, None)


@pytest.mark.parametrize("see", [[], ["+callbacks.observer._target_=observers.EpochObserver"]], ids=["fast", "seen"])
def test_a_diverged_run_says_what_its_history_says(tmp_path: Path, see: list[str]):
    with pytest.raises(DivergedError) as error:
        composing.launch(tmp_path / "run", "model=linear", "optimizer.lr=0.2", "trainer.max_epochs=1000", *see)
    losses = composing.RunFolder(tmp_path / "run").column("train/loss")
    finite = [loss for loss in losses if math.isfinite(loss)]
    assert len(losses) == error.value.epoch == len(finite) + 1
    assert error.value.last_loss == pytest.approx(finite[-1], rel=1e-6)
    said = re.search(r"diverged in epoch ([\d,]+), after (\S+)\. ", str(error.value))
    assert int(said[1].replace(",", "")) == error.value.epoch
    assert float(said[2]) == pytest.approx(finite[-1], rel=1e-3)
