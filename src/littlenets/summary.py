"""What a run says of itself: one line before, a short table after."""

import math
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.callbacks import Timer
from rich.text import Text
from torch import nn

from .data import TensorDataModule
from .runs.history import read_history
from .sparkline import logarithmic, sparkline

# Of a terminal that nobody has made wider.
WIDTH = 80
# Leaves room for two numbers in 60 columns.
SPARKLINE = 24


def describe(
    model: str, network: nn.Module, data: str, datamodule: LightningDataModule, trainer: Trainer, threads: int
) -> str:
    """One line on what is being trained, on what, and where."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    limits = {"epoch": trainer.max_epochs, "step": trainer.max_steps}
    ends = [f"{most:,} {unit}{'s' * (most > 1)}" for unit, most in limits.items() if most not in (None, -1)]
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    ends += [str(timedelta(seconds=timer.time_remaining())) for timer in timers if timer.time_remaining() is not None]
    device = trainer.strategy.root_device.type
    where = device if device != "cpu" else f"cpu with {threads} thread{'s' * (threads > 1)}"
    if trainer.world_size > 1:
        where = f"{trainer.world_size} processes, each on {where}"
    return (
        f"Training {model}: {type(network).__name__} with {parameters:,} parameters on {data}"
        f"{_extent(datamodule, trainer.world_size)}, {' or '.join(ends) or 'until stopped'}, {where}"
    )


def _extent(datamodule: LightningDataModule, processes: int) -> str:
    if not isinstance(datamodule, TensorDataModule):
        return ""
    count = len(datamodule.splits["train"].x)
    size = datamodule.batch_size
    several = f"{processes} x " if processes > 1 else ""
    batches = "full batch" if size is None or processes * size >= count else f"batches of {several}{size:,}"
    return f" ({count:,} {datamodule.sample_name}, {batches})"


def stand_in_warning(wanted: str, used: str, reason: str = "") -> str:
    """A warning between two rules, so that nobody mistakes a metric on one data set for one on another."""
    rule = "!" * 79
    text = f"data={wanted} IS NOT AVAILABLE: this run trains and tests on data={used} instead."
    return "\n".join([rule, text, *([reason] if reason else []), rule])


def summarize(metrics: dict[str, float], folder: Path, seconds: float) -> Text:
    """How the loss came down, the final metrics by the data that they were measured on, and where to look further."""
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
    """The folder of a run, and how to look at what is in it."""
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
    names = {title: [name for name in metrics if _stage(name, titles) == stage] for stage, title in titles.items()}
    return {title: chosen for title, chosen in names.items() if chosen}


def _stage(name: str, stages: Iterable[str]) -> str:
    stage, slash, _ = name.partition("/")
    return stage if slash and stage in stages else "other" if slash else ""


def evaluation_lines(evaluation: dict[str, Any]) -> list[str]:
    """What evaluate.py prints: metrics, then a line a class, and the confusion matrix."""
    metrics = evaluation["metrics"]
    width = max(len(name) for name in metrics)
    samples = "" if evaluation["samples"] is None else f" ({evaluation['samples']:,} samples)"
    lines = [f"{evaluation['run']}, {evaluation['checkpoint']}, tested on data={evaluation['data']}{samples}"]
    lines += [f"  {name:<{width}}  {_number(value)}" for name, value in metrics.items()]
    if "classes" not in evaluation:
        return lines
    rates = [f"class {'samples':>9} {'accuracy':>9} {'precision':>10}"]
    for row in evaluation["classes"]:
        shares = [f"{row[name]:.4f}" if row[name] is not None else "-" for name in ("acc", "precision")]
        rates.append(f"{row['class']:>5} {row['samples']:>9} {shares[0]:>9} {shares[1]:>10}")
    names = [str(row["class"]) for row in evaluation["classes"]]
    cell = max(len(str(count)) for row in evaluation["confusion"] for count in row) + 2
    taken = ["".join(f"{text:>{cell}}" for text in row) for row in [names, *evaluation["confusion"]]]
    beside = [
        f"{left}    {'' if number else 'taken for':9}{right}"
        for number, (left, right) in enumerate(zip(rates, taken, strict=True))
    ]
    if max(map(len, beside)) <= WIDTH:
        return [*lines, "", *beside]
    left = ["class  taken for", *(f"{name:>5}{'':11}" for name in names)]
    below = [name + right for name, right in zip(left, taken, strict=True)]
    return [*lines, "", *rates, "", *below]


def _number(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else str(value)
