"""What TensorBoard gets of a run beside its curves: a card, the settings, the network's graph, a layout of charts."""

import contextlib
import copy
import io
import re
import shlex
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn


def add_card(logger: TensorBoardLogger, results: dict[str, Any], stand_in_for: str | None) -> None:
    """A text card: the command, the data really used, versions and the state of the source.

    Args:
        results: as in results.json, as far as known when training starts.
        stand_in_for: the data that was asked for, where it was not available.
    """
    from torch.utils.tensorboard.summary import text

    environment = results["environment"]
    git = environment["git"]
    commit = "not from a git repository"
    if git is not None:
        commit = git["commit"] if git["clean"] else f"{git['commit']}, with changes that are not committed"
    versions = {"Python": environment["python"], **environment["packages"]}
    rows = {
        "command": f"`{shlex.join(['python', 'train.py', *results['overrides']])}`",
        "model": results["model"],
        "data": results["data"] + (f" instead of {stand_in_for}, which was not available" if stand_in_for else ""),
        "seed": results["seed"],
        "device": f"{environment['device']}, CPU threads: {environment['threads']}",
        "git commit": commit,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "platform": environment["platform"],
    }
    summary = text("run", "\n".join(f"- **{name}**: {value}" for name, value in rows.items()))
    # Not run/text_summary.
    summary.value[0].tag = "run"
    _add(logger, summary)


def add_settings(logger: TensorBoardLogger, settings: dict[str, Any]) -> None:
    """The row of this run in the table of hyperparameters; its metrics are the last points of the run's curves.

    No columns are named, as that is done once for a whole table, by the first run that TensorBoard finds: it then puts
    together those of all runs, with the settings that differ first.
    """
    from torch.utils.tensorboard.summary import hparams

    _, start, _ = hparams(settings, {})
    _add(logger, start)


def add_end(logger: TensorBoardLogger) -> None:
    """Says in the table of hyperparameters that the run was completed."""
    from torch.utils.tensorboard.summary import hparams

    _, _, end = hparams({}, {})
    _add(logger, end)


def add_layout(logger: TensorBoardLogger, curves: Iterable[str]) -> None:
    """A page with one chart a metric, such as ``loss``, in which training and validation are two curves.

    Args:
        curves: the names of all curves; those of training and validation are ``train/...`` and ``val/...``.
    """
    from torch.utils.tensorboard.summary import custom_scalars

    metrics = dict.fromkeys(curve.partition("/")[2] for curve in curves if curve.startswith(("train/", "val/")))
    # TensorBoard takes the names of curves as regular expressions.
    charts = {name: ["Multiline", [f"^train/{re.escape(name)}$", f"^val/{re.escape(name)}$"]] for name in metrics}
    _add(logger, custom_scalars({"training and validation": charts}))


def add_graph(logger: TensorBoardLogger, network: nn.Module, sample: Tensor) -> str | None:
    """The graph of the network's operations; what stands against it where it cannot be traced, in a few words.

    Args:
        sample: a batch of inputs (N, ...), on the network's device.
    """
    # A copy, since tracing must leave no trace: it is not compiled, and it may count the batches that it sees.
    network = copy.deepcopy(network).eval()
    devices = [sample.device] if sample.is_cuda else []
    # Tracing prints its errors before it raises them, and is deprecated in favour of what TensorBoard cannot show.
    with torch.random.fork_rng(devices), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            logger.experiment.add_graph(network, sample)
        except Exception as error:  # any: it runs code that was never meant for it
            return next(iter(str(error).strip().splitlines()), type(error).__name__)
    return None


def _add(logger: TensorBoardLogger, summary: Any) -> None:
    logger.experiment._get_file_writer().add_summary(summary)
