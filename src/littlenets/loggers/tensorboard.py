"""TensorBoard content: run card, hyperparameters, network graph, chart layout.

The names of the event folders, which TensorBoard shows, are made by `config.labels.overrides_label`.
"""

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
    """Add a text with the command, the data used, versions and the state of the source code.

    Args:
        logger: logger of the run.
        results: content of results.json as far as it is known when training starts.
        stand_in_for: name of the requested data if it was not available and other data is used; otherwise None.
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
    # The function adds /text_summary to the tag.
    summary.value[0].tag = "run"
    _add(logger, summary)


def add_settings(logger: TensorBoardLogger, settings: dict[str, Any]) -> None:
    """Add the row of this run to the table of hyperparameters; its metrics are the last points of the run's curves.

    No columns are specified: TensorBoard would use those of the first run it finds for the whole table. Without them it
    collects the columns of all runs, and shows the hyperparameters that differ first.

    Args:
        logger: logger of the run.
        settings: hyperparameters by name.
    """
    from torch.utils.tensorboard.summary import hparams

    _, start, _ = hparams(settings, {})
    _add(logger, start)


def add_end(logger: TensorBoardLogger) -> None:
    """Mark the run as completed in the table of hyperparameters."""
    from torch.utils.tensorboard.summary import hparams

    _, _, end = hparams({}, {})
    _add(logger, end)


def add_layout(logger: TensorBoardLogger, curves: Iterable[str]) -> None:
    """Add a page with one chart per metric, such as ``loss``, that shows the training and the validation curve.

    Args:
        logger: logger of the run.
        curves: names of all curves; only those that begin with ``train/`` or ``val/`` are used.
    """
    from torch.utils.tensorboard.summary import custom_scalars

    metrics = dict.fromkeys(curve.partition("/")[2] for curve in curves if curve.startswith(("train/", "val/")))
    # TensorBoard reads the names of curves as regular expressions.
    charts = {name: ["Multiline", [f"^train/{re.escape(name)}$", f"^val/{re.escape(name)}$"]] for name in metrics}
    _add(logger, custom_scalars({"training and validation": charts}))


def add_graph(logger: TensorBoardLogger, network: nn.Module, sample: Tensor) -> str | None:
    """Add the graph of the network's operations.

    Args:
        logger: logger of the run.
        network: the network; it is not changed.
        sample: a batch of inputs (N, ...), on the network's device.

    Returns:
        None on success; the first line of the error if the network cannot be traced.
    """
    # Trace a copy: it is not compiled, and layers such as batch normalization may count the batches they process.
    network = copy.deepcopy(network).eval()
    devices = [sample.device] if sample.is_cuda else []
    # Tracing prints errors before raising them, and warns that it is deprecated; TensorBoard cannot show the results of
    # its successor.
    with torch.random.fork_rng(devices), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            logger.experiment.add_graph(network, sample)
        except Exception as error:  # of any type: the network's code may not support tracing
            return next(iter(str(error).strip().splitlines()), type(error).__name__)
    return None


def _add(logger: TensorBoardLogger, summary: Any) -> None:
    logger.experiment._get_file_writer().add_summary(summary)
