"""Get sample batches and single loaders from any data module."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities import CombinedLoader
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ..errors import SettingError
from ..randomness import random_states, restore_random_states
from .base import TensorDataModule
from .datasets import DatasetModule

# Samplers that yield indices of samples. With these, a sample that cannot be loaded by its index is an error of the
# dataset.
_BY_NUMBER = (RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)

# Stands for loaders that a data module cannot return before it has a trainer.
_UNKNOWN = object()


def lacks(datamodule: LightningDataModule, split: Literal["val", "test"]) -> bool:
    """Return whether a data module has no data for a split.

    Args:
        datamodule: data module that is set up for this split.
        split: "val" or "test".
    """
    if isinstance(datamodule, TensorDataModule | DatasetModule):
        return split not in datamodule.splits
    return _loaders(datamodule, split) is None


def loaders_of(loaders: Any) -> list[Any]:
    """Return the single loaders in what a data module returned: one loader, or a list or mapping of loaders."""
    return (loaders if isinstance(loaders, CombinedLoader) else CombinedLoader(loaders, "sequential")).flattened


def sample_batch(datamodule: LightningDataModule, split: Literal["train", "test"]) -> Any:
    """Return a batch of two samples, without drawing from the global generators.

    With several loaders, one batch per loader is returned, in the container that holds the loaders.

    Args:
        datamodule: data module that is set up for this split.
        split: "train" or "test", the loader that the samples come from.

    Returns:
        Two samples, combined by the loader's ``collate_fn``; None if that is not possible before training, for example
            with a stream, or with a loader that is not a ``DataLoader``.

    Raises:
        SettingError: a sample cannot be loaded, or two samples cannot be combined into a batch.
    """
    if isinstance(datamodule, TensorDataModule):
        return datamodule.sample()
    states = random_states()
    try:
        return _batch_of(_loaders(datamodule, split))
    finally:
        restore_random_states(states)


def _loaders(datamodule: LightningDataModule, split: str) -> Any:
    """Return what a data module returns for a split: None if there is nothing, `_UNKNOWN` if it needs a trainer."""
    if not is_overridden(f"{split}_dataloader", datamodule):
        return None
    try:
        loaders = getattr(datamodule, f"{split}_dataloader")()
    except AttributeError as error:
        # Before the fit, `self.trainer` is None, so that `self.trainer.world_size` fails.
        if datamodule.trainer is None and error.name is not None and error.obj is None:
            return _UNKNOWN
        raise
    return None if loaders in (None, []) else loaders


def _batch_of(loaders: Any) -> Any:
    """Return two samples in the container that Lightning would yield; None if one of them is not available."""
    if isinstance(loaders, CombinedLoader):
        loaders = loaders.iterables
    if isinstance(loaders, Mapping):
        batches = {name: _batch_of(loader) for name, loader in loaders.items()}
        return None if any(batch is None for batch in batches.values()) else batches
    if isinstance(loaders, list | tuple):
        batches = [_batch_of(loader) for loader in loaders]
        return None if any(batch is None for batch in batches) else batches
    if not isinstance(loaders, DataLoader) or isinstance(loaders.dataset, IterableDataset):
        return None
    return _two_of(loaders)


def _two_of(loader: DataLoader) -> Any:
    dataset, name = loader.dataset, type(loader.dataset).__name__
    known = loader.batch_sampler is None or type(loader.batch_sampler) is BatchSampler
    certain = known and isinstance(loader.sampler, _BY_NUMBER)
    numbers = _first(getattr(loader.sampler, "indices", None) or range(len(dataset)))
    try:
        samples = [dataset[number] for number in numbers]
    except Exception as error:
        if not certain:
            return None  # samples that are not addressed by these indices
        raise SettingError(f"data: a sample of {name} cannot be loaded: {_said(error)}") from error
    if not samples:
        raise SettingError(f"data: {name} has no samples.")
    try:
        return loader.collate_fn(samples if loader.batch_sampler is not None else samples[0])
    except Exception as error:
        raise SettingError(f"data: samples of {name} do not go into one batch: {_said(error)}") from error


def _first(numbers: Iterable[int]) -> list[int]:
    return [number for number, _ in zip(numbers, range(2), strict=False)]


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
