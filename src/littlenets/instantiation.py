"""Build datamodules, networks and modules from configuration nodes, in the same way for every command."""

import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .config.check import SCHEDULE
from .config.constructors import accepted, instantiate
from .config.fit import has_plain_task, misfit, unfit
from .data.samples import sample_batch
from .errors import SettingError
from .modules import Schedule
from .randomness import random_states, restore_random_states

# Lightning's start-up messages (GPU available: False, ...) repeat the line that training prints, so they are dropped.
# Messages of callbacks, profilers and tuners are kept, because the user configured those.
TALKING = ("callbacks", "profilers", "tuner")
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
for name in (*TALKING, "utilities.rank_zero"):
    logging.getLogger(f"pytorch_lightning.{name}").setLevel(logging.INFO)
logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
    lambda record: record.levelno > logging.INFO or Path(record.pathname).parent.name in TALKING
)
# Caused by Lightning's own use of torch, which this project cannot change.
warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated")
# A user who sets barebones=True has asked for a trainer that logs nothing.
warnings.filterwarnings("ignore", "You are trying to `self.log\\(\\)` but `Trainer\\(barebones=True\\)`")


def build(node: DictConfig, **arguments: Any) -> Any:
    """Instantiate a node with Hydra, raising the constructor's own error instead of Hydra's wrapper around it.

    Raises:
        SettingError: the constructor raised ValueError or MisconfigurationException, or a required argument is missing.
    """
    try:
        return instantiate(node, **arguments)
    except InstantiationException as error:
        missing = isinstance(error.__cause__, TypeError) and "required" in str(error.__cause__)
        if missing or isinstance(error.__cause__, ValueError | MisconfigurationException):
            raise SettingError(f"{node._get_full_key(None)}: {error.__cause__}") from error
        raise error.__cause__ or error from None


def build_all(nodes: Any) -> list[Any]:
    """Instantiate one node or a list of nodes; items that are not nodes are returned unchanged."""
    nodes = list(nodes) if OmegaConf.is_list(nodes) else [] if nodes in (None, True) else [nodes]
    return [build(one) if OmegaConf.is_dict(one) else one for one in nodes]


def build_module(config: DictConfig) -> LightningModule:
    """Seed all generators with ``config.seed`` and build the module with its network, optimizer and schedule.

    The initial weights depend on the seed alone.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    nodes = {"network": config.model.get("network"), "optimizer": config.optimizer}
    parts = {name: build(node) for name, node in nodes.items() if node}
    parts = {**dict.fromkeys(nodes), **parts, "scheduler": build_schedule(config.scheduler)}
    return build(config.model.module, **accepted(config.model.module, parts))


def build_schedule(node: DictConfig | None) -> Schedule | None:
    """Build the learning rate schedule; return None if there is none.

    In the node, Lightning's settings (such as ``interval``) stand beside those of PyTorch's scheduler class.
    """
    if not node:
        return None
    node = node.copy()
    with open_dict(node):
        own = {name: node.pop(name) for name in (key.partition(".")[2] for key in SCHEDULE) if name in node}
    return Schedule(build(node), **own)


def check_fit(
    module: LightningModule, datamodule: LightningDataModule, data: str, split: Literal["train", "test"]
) -> None:
    """Run the network, and the task's loss, on two samples.

    Only a plain task is checked, and only if the data can provide samples before it is loaded. The random states are
    restored afterwards.

    Args:
        module: the module with the network.
        datamodule: the data, set up for ``split``.
        data: the name of the data in messages.
        split: the part of the data that the samples come from.

    Raises:
        SettingError: a sample cannot be loaded, the network does not accept it, or its output does not suit the task.
    """
    if not has_plain_task(module):
        return
    states = random_states()
    try:
        batch = sample_batch(datamodule, split)
        problem = None if batch is None else unfit(module, batch, datamodule)
    finally:
        restore_random_states(states)
    if problem:
        raise SettingError(misfit(type(module.network).__name__, f"data={data}", problem))
