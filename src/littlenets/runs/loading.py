"""Rebuild what a run trained, and what it was trained on, from its folder."""

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

# Of a network and its metrics.
MOST_LAYERS = 10_000
# Hooks in which a module may add layers, or change what is saved of them.
_LATER = ("setup", "configure_model", "on_save_checkpoint", "on_load_checkpoint")


def load_run(run: str | Path, checkpoint: Literal["best", "last"] = "last", trust: Sequence[str] = ()) -> SavedRun:
    """Look into a run folder and make sure that what is in it can be rebuilt safely; see `find_run`.

    Args:
        run: the folder, the link ``latest``, or a checkpoint inside a run folder.
        checkpoint: which of its checkpoints.
        trust: what its configuration may name besides classes of the package; see `config.trust`.

    Raises:
        SettingError: something is missing or damaged, or the configuration reaches what is not trusted.
    """
    saved = find_run(run, checkpoint)
    check_saved(saved.config, trust, saved.folder)
    return saved


def check_saved(config: DictConfig, trust: Sequence[str] = (), folder: Path | None = None) -> None:
    """Make sure that a saved configuration can be rebuilt, and reaches nothing that is not trusted.

    Args:
        config: of the run.
        trust: what it may name besides classes of the package; see `config.trust`.
        folder: the run's, into which it may write.

    Raises:
        SettingError: names all that is wrong.
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
    # As Lightning does where it loads one.
    module.configure_model()
    module.on_load_checkpoint(checkpoint)
    try:
        module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)
    except (RuntimeError, AttributeError) as error:
        raise does_not_belong(saved.checkpoint, str(error)) from None
    return module.eval()


def check_fits(state: dict[str, Any], config: DictConfig, checkpoint: Path) -> LightningModule | None:
    """Make sure that weights are those of the module in a configuration, before memory is taken for it.

    Args:
        state: weights by name, of the module.
        config: of the run.
        checkpoint: where they are from, for the message.

    Returns:
        The module on the meta device; None where code of the user's own cannot be built there, or says its names later.

    Raises:
        SettingError: their names or shapes differ.
    """
    from_outside = bool(refusals({"model": OmegaConf.to_container(config.model)}))
    try:
        # Code of the user's own may have more than it saves, such as frozen layers.
        with torch.device("meta"), _at_most(MOST_LAYERS if from_outside else len(state)):
            module = build_module(config)
    except _TooManyError:
        raise does_not_belong(checkpoint, f"the network has more than its {len(state):,} weights") from None
    except Exception as error:
        if from_outside:
            return None  # it needs numbers
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
    """A network got more parameters than it may have."""


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Raise _TooManyError as soon as the modules that are built have more parameters than that, or layers without."""
    parameters = layers = 0

    def add_parameter(layer: nn.Module, name: str, _: Any) -> None:
        nonlocal parameters
        # One that takes another's place, as where weights are shared, is none more.
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
    """Return the error for a checkpoint of another run than its folder's."""
    config = checkpoint.parent.parent / "config.yaml"
    return SettingError(f"{checkpoint} does not belong to {config}: {' '.join(reason.split())}.")


def load_datamodule(saved: SavedRun) -> LightningDataModule:
    """Return the data of a run from `load_run`, ready to be loaded.

    Raises:
        SettingError: a setting of it is wrong, or the data is unavailable.
    """
    # Once more, as evaluate.py may change it.
    check(saved.config, saved=True)
    datamodule = build(saved.config.data)
    datamodule.prepare_data()
    datamodule.setup("test")
    return datamodule
