"""Describe a run on the terminal: one line before training, a summary with a table of metrics after it."""

import math
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.callbacks import Timer
from rich.text import Text
from torch import nn

from ..console.sparkline import logarithmic, sparkline
from ..console.text import printable
from ..data import DatasetModule, TensorDataModule
from ..trainer_attributes import declared
from .history import read_history

# Default width of a terminal, in characters.
WIDTH = 80
# Leaves space for two numbers in 60 columns.
SPARKLINE = 24


def describe(
    model: str, network: nn.Module, data: str, datamodule: LightningDataModule, trainer: Trainer, threads: int
) -> str:
    """Return one line with the network, the data, the length of training and the device."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    limits = {"epoch": trainer.max_epochs, "step": trainer.max_steps}
    ends = [f"{most:,} {unit}{'s' * (most > 1)}" for unit, most in limits.items() if most not in (None, -1)]
    timers = [callback for callback in declared(trainer).callbacks if isinstance(callback, Timer)]
    ends += [str(timedelta(seconds=left)) for timer in timers if (left := timer.time_remaining()) is not None]
    device = trainer.strategy.root_device.type
    where = device if device != "cpu" else f"cpu with {threads} thread{'s' * (threads > 1)}"
    if trainer.world_size > 1:
        where = f"{trainer.world_size} processes, each on {where}"
    return (
        f"Training {model}: {type(network).__name__} with {parameters:,} parameters on {data}"
        f"{_extent(datamodule, trainer.world_size)}, {' or '.join(ends) or 'until stopped'}, {where}"
    )


def _extent(datamodule: LightningDataModule, processes: int) -> str:
    if not isinstance(datamodule, TensorDataModule | DatasetModule):
        return ""
    # PyTorch's datasets are not declared to have a length.
    train: Any = datamodule.splits["train"]
    count = len(train.x) if isinstance(datamodule, TensorDataModule) else len(train)
    size = datamodule.batch_size
    several = f"{processes} x " if processes > 1 else ""
    batches = "full batch" if size is None or processes * size >= count else f"batches of {several}{size:,}"
    return f" ({count:,} {datamodule.sample_name}, {batches})"


def stand_in_warning(wanted: str, used: str, reason: str = "") -> str:
    """Return a warning between two rules, so that results on one data set are not mistaken for results on another."""
    rule = "!" * 79
    text = f"data={wanted} IS NOT AVAILABLE: this run trains and tests on data={used} instead."
    return "\n".join([rule, text, *([reason] if reason else []), rule])


def summarize(metrics: dict[str, float], folder: Path, seconds: float) -> Text:
    """Return a summary: curve of the loss, final metrics grouped by data, and paths of the run's files."""
    losses = read_history(folder, only=["train/loss"]).get("train/loss", [])
    epochs = f" {len(losses):,} epoch{'s' * (len(losses) > 1)}" if losses else ""
    text = Text().append(f"Finished{epochs} in {seconds:.1f} s.\n", style="bold")
    if len(losses) > 1:
        text.append(f"Loss  {losses[0]:.4g} ").append(sparkline(losses, SPARKLINE), style="cyan")
        text.append(f" {losses[-1]:.4g}{', log scale' * logarithmic(losses)}\n")
    width = max(map(len, metrics), default=0)
    for title, names in _by_data(metrics).items():
        text.append(f"{title}:\n", style="dim")
        for name in names:
            text.append(f"  {name:<{width}}  ").append(f"{_number(metrics[name])}\n", style="green")
    return text.append(places(folder))


def places(folder: Path) -> str:
    """Return the run folder, its figures, and the command that shows it in TensorBoard."""
    shown = os.path.relpath(folder)
    lines = [f"Run folder   {shown}"]
    if (folder / "figures").is_dir():
        lines.append(f"Figures      {shown}/figures")
    if (folder / "tensorboard").is_dir():
        lines.append(f"TensorBoard  tensorboard --logdir {shown}")
    return "\n".join(lines)


def _by_data(metrics: dict[str, float]) -> dict[str, list[str]]:
    titles = {
        "train": "On the training data, during the last epoch",
        "": "At the end of training",
        "val": "On the validation data",
        "test": "On test data, which was never trained on",
        "other": "On further data, which was never trained on either",
    }
    names = {title: [name for name in metrics if _stage(name) == stage] for stage, title in titles.items()}
    return {title: chosen for title, chosen in names.items() if chosen}


def _stage(name: str) -> str:
    # User modules may log val_loss instead of val/loss.
    first = re.split("[/_]", name)[0]
    return first if first in ("train", "val", "test") and first != name else "other" if "/" in name else ""


def evaluation_lines(evaluation: dict[str, Any]) -> list[str]:
    """Return the output of evaluate.py: metrics, a line for each class, and the confusion matrix."""
    metrics = evaluation["metrics"]
    width = max(map(len, metrics), default=0)
    samples = "" if evaluation["samples"] is None else f" ({evaluation['samples']:,} samples)"
    lines = [f"{evaluation['run']}, {evaluation['checkpoint']}, tested on data={evaluation['data']}{samples}"]
    lines += [f"  {name:<{width}}  {_number(value)}" for name, value in metrics.items()]
    if "classes" not in evaluation:
        return lines
    numbers = [str(row["class"]) for row in evaluation["classes"]]
    named = [f"{row['class']} {printable(row['name'])}" if "name" in row else "" for row in evaluation["classes"]]
    wide = max(5, *map(len, named))
    labels = [f"{name:<{wide}}" if name else f"{number:>{wide}}" for name, number in zip(named, numbers, strict=True)]
    rates = [f"{'class':<{wide}} {'samples':>9} {'accuracy':>9} {'precision':>10}"]
    for label, row in zip(labels, evaluation["classes"], strict=True):
        shares = [f"{row[rate]:.4f}" if row[rate] is not None else "-" for rate in ("acc", "precision")]
        rates.append(f"{label} {row['samples']:>9} {shares[0]:>9} {shares[1]:>10}")
    cell = max(len(str(count)) for row in evaluation["confusion"] for count in row) + 2
    taken = ["".join(f"{text:>{cell}}" for text in row) for row in [numbers, *evaluation["confusion"]]]
    beside = [
        f"{left}    {'' if number else 'taken for':9}{right}"
        for number, (left, right) in enumerate(zip(rates, taken, strict=True))
    ]
    if max(map(len, beside)) <= WIDTH:
        return [*lines, "", *beside]
    head = "class  taken for"
    below = [f"{label:<{max(wide, len(head))}}{right}" for label, right in zip([head, *labels], taken, strict=True)]
    return [*lines, "", *rates, "", *below]


def _number(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else str(value)
