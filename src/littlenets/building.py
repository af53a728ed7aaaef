"""From configuration nodes to objects: data, network and module, each built in one way for every command."""

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from omegaconf import DictConfig, open_dict
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .config.check import SCHEDULE
from .config.constructors import instantiate
from .config.fit import misfit, try_out
from .data import TensorDataModule
from .errors import SettingError
from .modules import Schedule, SupervisedModule

# What Lightning greets with (GPU available: False, ...) is in the line that training prints. What callbacks, profilers
# and tuners say was asked for.
TALKING = ("callbacks", "profilers", "tuner")
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
for name in (*TALKING, "utilities.rank_zero"):
    logging.getLogger(f"pytorch_lightning.{name}").setLevel(logging.INFO)
logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
    lambda record: record.levelno > logging.INFO or Path(record.pathname).parent.name in TALKING
)
# Lightning's own use of torch, which nobody here can change.
warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
# Somebody who wants a bare trainer knows that it records nothing.
warnings.filterwarnings("ignore", "You are trying to `self.log\\(\\)` but `Trainer\\(barebones=True\\)`")


def build(node: DictConfig, **arguments: Any) -> Any:
    """Hydra's ``instantiate``, with the error of the constructor instead of Hydra's around it."""
    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        missing = isinstance(error.__cause__, TypeError) and "required" in str(error.__cause__)
        if missing or isinstance(error.__cause__, ValueError | MisconfigurationException):
            raise SettingError(f"{node._get_full_key(None)}: {error.__cause__}") from error
        raise error.__cause__ or error from None


def build_module(config: DictConfig) -> SupervisedModule:
    """The task with its network, whose initial weights depend on the seed alone."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    network = build(config.model.network)
    return build(
        config.model.module,
        network=network,
        optimizer=build(config.optimizer),
        scheduler=build_schedule(config.scheduler),
    )


def build_schedule(node: DictConfig | None) -> Schedule | None:
    """The schedule of learning rates, of which Lightning's part stands beside the settings of PyTorch's class."""
    if not node:
        return None
    node = node.copy()
    with open_dict(node):
        own = {name: node.pop(name) for name in (key.partition(".")[2] for key in SCHEDULE) if name in node}
    return Schedule(build(node), **own)


def check_fit(module: SupervisedModule, datamodule: LightningDataModule, data: str) -> None:
    """Tries the network on two samples.

    Raises:
        SettingError: the network does not take them, or gives something else than the task needs.
    """
    if not isinstance(datamodule, TensorDataModule):
        return  # what its samples are is known when it loads the first
    problem, _ = try_out(module, datamodule.sample().x, datamodule.classes)
    if problem:
        raise SettingError(misfit(type(module.network).__name__, f"data={data}", problem))
