"""Load the trained module and the data of a run from its folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from ..config.check import check
from ..config.trust import check_trusted, refusals
from ..errors import SettingError
from ..instantiation import build, build_module
from .checkpoints import read_checkpoint
from .saved import SavedRun, find_run

__all__ = ["SavedRun", "check_fits", "check_saved", "load_datamodule", "load_module", "load_run"]

# Limit on the layers of a module, its metrics included.
MOST_LAYERS = 10_000
# Hooks in which a module may add layers, or change which of them are saved.
_LATER = ("setup", "configure_model", "on_save_checkpoint", "on_load_checkpoint")


def load_run(run: str | Path, checkpoint: Literal["best", "last"] = "last", trust: Sequence[str] = ()) -> SavedRun:
    """Read a run folder and check that its module and data can be rebuilt safely; see `find_run`.

    Args:
        run: the folder, the link ``latest``, or a checkpoint inside a run folder.
        checkpoint: which checkpoint of the run to use.
        trust: names that its configuration may use besides classes of the package; see `config.trust`.

    Raises:
        SettingError: a file is missing or damaged, or the configuration uses a name that is not trusted.
    """
    saved = find_run(run, checkpoint)
    check_saved(saved.config, trust, saved.folder)
    return saved


def check_saved(config: DictConfig, trust: Sequence[str] = (), folder: Path | None = None) -> None:
    """Check that a saved configuration is valid and uses only trusted names.

    Args:
        config: configuration of the run.
        trust: names that it may use besides classes of the package; see `config.trust`.
        folder: the run folder, into which the run may write.

    Raises:
        SettingError: lists all problems.
    """
    check_trusted(OmegaConf.to_container(config, resolve=False), trust, folder)
    check(config, saved=True)


def load_module(saved: SavedRun) -> LightningModule:
    """Return the trained module of a run from `load_run`, in evaluation mode, on the CPU.

    Raises:
        SettingError: the checkpoint is damaged or does not belong to the configuration.
    """
    checkpoint = read_checkpoint(saved.checkpoint)
    check_fits(checkpoint["state_dict"], saved.config, saved.checkpoint)
    module = build_module(saved.config)
    weights = [value for value in checkpoint["state_dict"].values() if isinstance(value, Tensor)]
    kept = {value.dtype for value in weights if value.is_floating_point()}
    if len(kept) == 1:
        module.to(*kept)
    # Call the same hooks as Lightning when it loads a checkpoint.
    module.configure_model()
    module.on_load_checkpoint(checkpoint)
    try:
        module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)
    except (RuntimeError, AttributeError) as error:
        raise does_not_belong(saved.checkpoint, str(error)) from None
    return module.eval()


def check_fits(state: dict[str, Any], config: DictConfig, checkpoint: Path) -> LightningModule | None:
    """Check that weights belong to the module of a configuration, before memory is allocated for the module.

    Args:
        state: the module's weights by name.
        config: configuration of the run.
        checkpoint: path of the checkpoint, for the error message.

    Returns:
        The module on the meta device; None if the module contains the user's own code and either cannot be built on
        that device, or overrides a hook in which it may add or change layers.

    Raises:
        SettingError: names or shapes of the weights differ.
    """
    from_outside = bool(refusals({"model": OmegaConf.to_container(config.model)}))
    try:
        # The user's own code may have more weights than it saves, for example frozen layers.
        with torch.device("meta"), _at_most(MOST_LAYERS if from_outside else len(state)):
            module = build_module(config)
    except _TooManyError:
        raise does_not_belong(checkpoint, f"the network has more than its {len(state):,} weights") from None
    except Exception as error:
        if from_outside:
            return None  # the code needs real values, which meta tensors do not have
        if isinstance(error, RuntimeError):
            raise does_not_belong(checkpoint, str(error)) from None
        raise
    if from_outside and any(is_overridden(hook, module) for hook in _LATER):
        return None
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    found = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
    if wrong := [name for name in sorted({*shapes, *found}) if shapes.get(name) != found.get(name)]:
        name = wrong[0]
        has, wants = (f"has shape {each[name]}" if name in each else "is missing" for each in (found, shapes))
        more = f" ({len(wrong) - 1:,} more differ)" if len(wrong) > 1 else ""
        raise does_not_belong(checkpoint, f"{name} {has} in the checkpoint and {wants} in the network{more}")
    return module


class _TooManyError(Exception):
    """Raised when a network gets more parameters or layers than allowed."""


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Raise _TooManyError if more than ``count`` parameters, or `MOST_LAYERS` layers, are created in the block."""
    parameters = layers = 0

    def add_parameter(layer: nn.Module, name: str, _: Any) -> None:
        nonlocal parameters
        # Do not count a parameter that replaces another one, as when weights are shared.
        parameters += getattr(layer, name, None) is None
        if parameters > count:
            raise _TooManyError

    def add_layer(*_: Any) -> None:
        nonlocal layers
        layers += 1
        if layers > MOST_LAYERS:
            raise _TooManyError

    hooks = [register_module_parameter_registration_hook(add_parameter)]
    hooks.append(register_module_module_registration_hook(add_layer))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def does_not_belong(checkpoint: Path, reason: str) -> SettingError:
    """Return the error for a checkpoint that does not match the config.yaml of its run folder.

    Args:
        checkpoint: path of the checkpoint.
        reason: how they differ.
    """
    config = checkpoint.parent.parent / "config.yaml"
    return SettingError(f"{checkpoint} does not belong to {config}: {' '.join(reason.split())}.")


def load_datamodule(saved: SavedRun) -> LightningDataModule:
    """Return the datamodule of a run from `load_run`, set up for testing.

    Raises:
        SettingError: a setting of the data is wrong, or the data is unavailable.
    """
    # Check again, because evaluate.py may have changed the configuration.
    check(saved.config, saved=True)
    datamodule = build(saved.config.data)
    datamodule.prepare_data()
    datamodule.setup("test")
    return datamodule
