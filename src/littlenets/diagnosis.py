"""Detect trained networks that learned nothing, and suggest settings to try.

Shapes: N samples, K classes.
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor

from .config.fit import has_plain_task
from .data import TensorDataModule
from .data.base import Split
from .data.class_names import class_names
from .figures.saturation import saturated_shares
from .figures.tracing import outputs, trace
from .modules import SupervisedModule
from .randomness import stream
from .runs.history import read_history
from .runs.log import traceback_log
from .runs.results import LEARNED_NOTHING, NOT_LEARNED_YET

# Enough samples to distinguish an accuracy of 54% from guessing between two classes, and few enough numbers (334 images
# of MNIST) that the convolutional network takes some tenths of a second at most.
SAMPLES, NUMBERS = 2000, 2**18
# Recording the output of every layer takes memory, and this many samples are enough to detect a saturated layer.
PROBES = 100
# Guessing exceeds its expected accuracy by more than three standard deviations once in 700 runs.
DEVIATIONS = 3
# A loss counts as clearly lower than another if it is less than this fraction of it.
CLEARLY_LOWER = 0.95
# A loss counts as still falling if it is less than this fraction of its value a quarter of the epochs before.
FALLING = 0.99
# With fewer optimizer steps than this, a loss that has not fallen yet may still fall.
FEW_STEPS = 50


def diagnose(module: LightningModule, data: LightningDataModule, folder: Path, steps: int) -> dict[str, str]:
    """Return the problems of a trained network: short labels for tables as keys, sentences with advice as values.

    The network is evaluated on a fixed sample of its training data, in evaluation mode, without using the global random
    number generators. If the data is not a `TensorDataModule`, or the module is not a plain task, only the training
    losses are judged. If the check itself fails, the error is written to train.log and an empty dictionary is returned.

    Args:
        module: the trained module.
        data: the data it was trained on.
        folder: the run folder, which contains history.csv.
        steps: number of optimizer steps taken.
    """
    try:
        losses = read_history(folder, only=["train/loss"]).get("train/loss", [])
        return _diagnose(module, data, losses, steps)
    except Exception as error:  # any error, since a user's network may behave in ways not foreseen here
        traceback_log.error("The trained network could not be looked at.", exc_info=error)
        return {}


def _diagnose(
    module: LightningModule, data: LightningDataModule, losses: Sequence[float], steps: int
) -> dict[str, str]:
    change = f"train/loss went from {losses[0]:.4g} to {losses[-1]:.4g}" if len(losses) > 1 else ""
    rose = bool(change) and losses[0] < CLEARLY_LOWER * losses[-1]
    guessing, flat = "", ""
    if isinstance(data, TensorDataModule) and has_plain_task(module):
        sample = _sample(data)
        flat = _flat_layers(module, sample)
        guessing = _guessing(module, sample, data.classes, class_names(data))
    if guessing:
        if flat:
            return {LEARNED_NOTHING: f"{guessing} {flat} Lower optimizer.lr, or use another activation."}
        if not rose and (steps < FEW_STEPS or _falls(losses)):
            why = (
                f"{change} and still falls" if _falls(losses) else f"It took {steps} optimizer step{'s' * (steps > 1)}"
            )
            return {NOT_LEARNED_YET: f"{guessing} {why}: raise trainer.max_epochs, or optimizer.lr."}
        advice = "lower optimizer.lr" if rose else "try another optimizer.lr"
        return {LEARNED_NOTHING: f"{guessing} {f'{change}: {advice}.' if change else f'{advice.capitalize()}.'}"}
    found = {}
    if "ReLU" in flat:
        # If the network learned, saturated layers other than ReLU are not reported: the network may bypass such a
        # layer, or have a single tanh unit that is saturated for good reason.
        found["dead layer"] = f"{flat} Lower optimizer.lr, or use another activation."
    if rose and steps >= FEW_STEPS:
        found["loss rose"] = f"{change}: lower optimizer.lr."
    return found


def _sample(data: TensorDataModule) -> Split:
    """Return training samples in the form that the network receives, in random order."""
    x, y = data.splits["train"]
    count = min(SAMPLES, NUMBERS // x[:1].numel())
    chosen = torch.randperm(len(x), generator=stream(0, "diagnosis"))[: max(PROBES, count)]
    return Split(data.transform(x[chosen]), y[chosen])


def _flat_layers(module: SupervisedModule, sample: Split) -> str:
    """Return a sentence on hidden activations where no unit has a gradient on any sample; empty if there are none."""
    shares = saturated_shares(trace(module.network, sample.x[:PROBES]))
    flat = [name for name, share in shares.items() if share == 1]
    if not flat:
        return ""
    how = "give 0" if all("ReLU" in name for name in flat) else "are at an end of their range"
    return f"All units of {' and '.join(flat)} {how} for every sample, which leaves them no gradient."


def _guessing(module: SupervisedModule, sample: Split, classes: int | None, names: Sequence[str] | None) -> str:
    """Return a sentence if the network is not clearly better than a constant answer; empty if it is better."""
    predicted = module.predictions(outputs(module.network, sample.x))
    if classes is None:
        return _guessing_numbers(predicted["y"], sample.y) if "y" in predicted else ""
    if not {"class", "probabilities"} <= predicted.keys():
        return ""
    return _guessing_classes(predicted["class"], predicted["probabilities"], sample.y, classes, names)


def _guessing_numbers(predicted: Tensor, y: Tensor) -> str:
    error = (predicted.double() - y).square().mean().item()
    constant = (y.double() - y.double().mean(dim=0)).square().mean().item()
    if constant == 0 or error < CLEARLY_LOWER * constant:
        return ""
    return (
        f"The mean squared error on {len(y):,} training samples is {error:.4g}, "
        f"not clearly better than by predicting their mean ({constant:.4g})."
    )


def _guessing_classes(
    predicted: Tensor, probabilities: Tensor, y: Tensor, classes: int, names: Sequence[str] | None = None
) -> str:
    shares = torch.bincount(y, minlength=classes).double() / len(y)  # (K,)
    most = shares.max().item()
    accuracy = (predicted == y).double().mean().item()
    by_chance = DEVIATIONS * math.sqrt(most * (1 - most) / len(y))  # standard deviation of a binomial distribution
    # With few samples, or with one class that almost all samples belong to, no accuracy can exceed chance by that much.
    # The cross entropy of the probabilities is more sensitive.
    tiny = torch.finfo(torch.float32).tiny
    entropy = -torch.special.xlogy(shares, shares).sum()
    cross_entropy = -probabilities.double().gather(1, y[:, None]).clamp_min(tiny).log().mean()
    if most == 1 or accuracy > most + by_chance or cross_entropy < CLEARLY_LOWER * entropy:
        return ""
    common = int(shares.argmax())
    return (
        f"The network is right on {accuracy:.1%} of {len(y):,} training samples, "
        f"not clearly better than by always answering class {names[common] if names else common} ({most:.1%})."
    )


def _falls(losses: Sequence[float]) -> bool:
    """Return whether the loss was still falling at the end; compares medians, as single epochs may be outliers."""
    quarter = max(1, len(losses) // 4)
    latest, before = losses[-quarter:], losses[-2 * quarter : -quarter]
    return bool(before) and statistics.median(latest) < FALLING * statistics.median(before)
