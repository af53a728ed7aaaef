"""From configuration nodes to objects: data, network and module, each built in one way for every command."""

import logging
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .config.check import SCHEDULE
from .config.constructors import accepted, instantiate
from .config.fit import is_plain_task, misfit, unfit
from .data.samples import sample_batch
from .errors import SettingError
from .modules import Schedule
from .randomness import random_states, restore_random_states

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
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
# One message says what ended a run, and PyTorch's says which processes ended with it.
logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
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


def build_all(nodes: Any) -> list[Any]:
    """Return the objects of one node or several; what is no node stays as it is."""
    nodes = list(nodes) if OmegaConf.is_list(nodes) else [] if nodes in (None, True) else [nodes]
    return [build(one) if OmegaConf.is_dict(one) else one for one in nodes]


def build_module(config: DictConfig) -> LightningModule:
    """The task with its network, or a module of another kind; the initial weights depend on the seed alone."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    nodes = {"network": config.model.get("network"), "optimizer": config.optimizer}
    parts = {name: build(node) for name, node in nodes.items() if node}
    parts = {**dict.fromkeys(nodes), **parts, "scheduler": build_schedule(config.scheduler)}
    return build(config.model.module, **accepted(config.model.module, parts))


def build_schedule(node: DictConfig | None) -> Schedule | None:
    """The schedule of learning rates, of which Lightning's part stands beside the settings of PyTorch's class."""
    if not node:
        return None
    node = node.copy()
    with open_dict(node):
        own = {name: node.pop(name) for name in (key.partition(".")[2] for key in SCHEDULE) if name in node}
    return Schedule(build(node), **own)


def check_fit(module: LightningModule, datamodule: LightningDataModule, data: str) -> None:
    """Try the network, and the task's loss, on two samples.

    Only a plain task is tried, and not on data whose samples are known when they are loaded.

    Raises:
        SettingError: a sample cannot be loaded, the network does not take it, or gives something else than the task
            needs.
    """
    if not is_plain_task(type(module)):
        return
    states = random_states()
    try:
        batch = sample_batch(datamodule)
        problem = None if batch is None else unfit(module, batch, datamodule)
    finally:
        restore_random_states(states)
    if problem:
        raise SettingError(misfit(type(module.network).__name__, f"data={data}", problem))
