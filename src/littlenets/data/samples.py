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


def lacks(datamodule: LightningDataModule, split: Literal["val", "test"]) -> bool:
    """Return whether a data module that is set up has no data for a split.

    Args:
        datamodule: data module after ``setup``.
        split: "val" or "test".
    """
    if isinstance(datamodule, TensorDataModule | DatasetModule):
        return split not in datamodule.splits
    if not is_overridden(f"{split}_dataloader", datamodule):
        return True
    try:
        return getattr(datamodule, f"{split}_dataloader")() in (None, [])
    except Exception:  # any error: it may need a trainer, or raise an error that training will show
        return False


def loaders_of(loaders: Any) -> list[Any]:
    """Return the single loaders in what a data module returned: one loader, or a list or mapping of loaders."""
    return (loaders if isinstance(loaders, CombinedLoader) else CombinedLoader(loaders, "sequential")).flattened


def sample_batch(datamodule: LightningDataModule) -> Any:
    """Return a batch of two samples of data that is set up, without drawing from the global generators.

    The samples come from the training loader, or from the test loader if the training data is not loaded. With several
    loaders, one batch per loader is returned, in the container that holds the loaders.

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
        loaders = _loaders(datamodule)
        return None if loaders is None else _batch_of(loaders)
    finally:
        restore_random_states(states)


def _loaders(datamodule: LightningDataModule) -> Any:
    for name in ("train_dataloader", "test_dataloader"):
        try:
            loaders = getattr(datamodule, name)()
        except Exception:  # any error: it may need a trainer, or this split is not set up
            continue
        if loaders not in (None, []):
            return loaders
    return None


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
