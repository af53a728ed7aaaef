"""Rebuilding what a run trained, and what it was trained on, from its folder."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule

from ..building import build, build_module
from ..config.check import check
from ..config.targets import installed_targets
from ..config.trust import check_trusted
from ..errors import SettingError
from ..modules import SupervisedModule
from .checkpoints import read_checkpoint
from .saved import SavedRun, find_run

__all__ = ["SavedRun", "check_saved", "find_run", "load_datamodule", "load_module"]


def load_module(saved: SavedRun, trust: Sequence[str] = ()) -> SupervisedModule:
    """The trained module, in evaluation mode, on the CPU.

    Args:
        saved: the run and the checkpoint.
        trust: modules from outside the package that its configuration may name.

    Raises:
        SettingError: the configuration names what is not trusted, or the checkpoint does not belong to it.
    """
    check_saved(saved.config, trust)
    state = read_checkpoint(saved.checkpoint)["state_dict"]
    module = build_module(saved.config)
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"{saved.checkpoint} does not belong to {saved.folder / 'config.yaml'}: {reason}") from None
    return module.eval()


def load_datamodule(saved: SavedRun, trust: Sequence[str] = ()) -> LightningDataModule:
    """The data of the run, ready to be loaded.

    Raises:
        SettingError: the configuration names what is not trusted, or the data is unavailable.
    """
    check_saved(saved.config, trust)
    datamodule = build(saved.config.data)
    datamodule.prepare_data()
    datamodule.setup("test")
    return datamodule


def check_saved(config: DictConfig, trust: Sequence[str] = ()) -> None:
    """Makes sure that a saved configuration can be rebuilt, and reaches nothing that is not trusted.

    Raises:
        SettingError: names all that is wrong.
    """
    check_trusted(installed_targets(OmegaConf.to_container(config, resolve=False)), trust)
    check(config, saved=True)
