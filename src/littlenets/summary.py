"""What a run says of itself: one line before, a short table after."""

import math
import os
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, Trainer
from torch import nn

from .data import TensorDataModule


def describe(
    model: str, network: nn.Module, data: str, datamodule: LightningDataModule, trainer: Trainer, threads: int
) -> str:
    """One line on what is being trained, on what, and where."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    epochs = (
        "until stopped"
        if trainer.max_epochs in (None, -1)
        else f"{trainer.max_epochs:,} epoch{'s' * (trainer.max_epochs > 1)}"
    )
    device = trainer.strategy.root_device.type
    where = device if device != "cpu" else f"cpu with {threads} thread{'s' * (threads > 1)}"
    return (
        f"Training {model}: {type(network).__name__} with {parameters:,} parameters on {data}"
        f"{_extent(datamodule)}, {epochs}, {where}"
    )


def _extent(datamodule: LightningDataModule) -> str:
    if not isinstance(datamodule, TensorDataModule):
        return ""
    count = len(datamodule.splits["train"].x)
    size = datamodule.batch_size
    batches = "full batch" if size is None or size >= count else f"batches of {size:,}"
    return f" ({count:,} {datamodule.sample_name}, {batches})"


def stand_in_warning(wanted: str, used: str, reason: str = "") -> str:
    """A warning between two rules, so that nobody mistakes a metric on one data set for one on another."""
    rule = "!" * 79
    text = f"data={wanted} IS NOT AVAILABLE: this run trains and tests on data={used} instead."
    return "\n".join([rule, text, *([reason] if reason else []), rule])


def summarize(metrics: dict[str, float], folder: Path, seconds: float) -> str:
    """The final metrics, and where to look further."""
    width = max(len(name) for name in metrics)
    shown = os.path.relpath(folder)
    return "\n".join(
        [
            f"Finished in {seconds:.1f} s.",
            *(f"  {name:<{width}}  {_number(value)}" for name, value in metrics.items()),
            f"Run folder   {shown}",
            *([f"TensorBoard  tensorboard --logdir {shown}"] if (folder / "tensorboard").is_dir() else []),
        ]
    )


def evaluation_lines(evaluation: dict[str, Any]) -> list[str]:
    """What evaluate.py prints: metrics, then a line a class, and the confusion matrix."""
    metrics = evaluation["metrics"]
    width = max(len(name) for name in metrics)
    samples = "" if evaluation["samples"] is None else f" ({evaluation['samples']:,} samples)"
    lines = [f"{evaluation['run']}, {evaluation['checkpoint']}, tested on data={evaluation['data']}{samples}"]
    lines += [f"  {name:<{width}}  {_number(value)}" for name, value in metrics.items()]
    if "classes" not in evaluation:
        return lines
    confusion = evaluation["confusion"]
    cell = max(len(str(count)) for row in confusion for count in row) + 2
    lines += ["", f"class {'samples':>9} {'accuracy':>9} {'precision':>10}    taken for"]
    lines[-1] += "".join(f"{row['class']:>{cell}}" for row in evaluation["classes"]).removeprefix(" ")
    for row, counts in zip(evaluation["classes"], confusion, strict=True):
        shares = [f"{row[name]:.4f}" if row[name] is not None else "-" for name in ("acc", "precision")]
        taken = "".join(f"{count:>{cell}}" for count in counts)
        lines.append(f"{row['class']:>5} {row['samples']:>9} {shares[0]:>9} {shares[1]:>10}    {'':9}{taken}")
    return lines


def _number(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else str(value)
