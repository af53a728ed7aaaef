"""Base class for datasets held in memory as tensors."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from ..errors import SettingError
from ..randomness import stream
from ..ranges import Count, Share
from .loader import Part, TensorLoader

# Batch size of validation and test. Evaluation needs no gradients, so larger batches than in training fit into memory,
# and they are faster.
EVALUATION_BATCH = 1000


class Split(NamedTuple):
    """Inputs x (N, ...) and targets y (N, ...) of one split, on the CPU."""

    x: Tensor
    y: Tensor


class TensorDataModule(LightningDataModule):
    """Base class for datasets that fit into memory.

    Args:
        batch_size: samples per training batch; ``None`` puts all samples into one batch (full batch), 1 uses one sample
            per batch. With several devices, each device gets batches of this size, and each optimizer step uses the
            batches of all devices.
        shuffle: whether to shuffle the training samples anew in each epoch.
        validation: fraction of the training samples, in [0, 1), that is split off for validation and not trained on.
        seed: seed for generating the data, for the validation split and for the order of the samples.
    """

    #: Number of classes; None for a regression.
    classes: int | None = None
    #: Names of the classes, in the order of the class numbers; None: the numbers serve as names.
    names: Sequence[str] | None = None
    #: Shape of one input as the network receives it, known before the data is loaded; None: not known.
    sample_shape: tuple[int, ...] | None = None
    #: Dtype of the inputs as the network receives them.
    sample_dtype: torch.dtype = torch.float32
    #: Whether the data is for testing only and must never be trained on.
    for_testing_only = False
    #: Noun for the samples, used in descriptions of the data.
    sample_name = "points"

    def __init__(self, batch_size: Count | None, shuffle: bool, validation: Share, seed: int) -> None:
        super().__init__()
        self.batch_size, self.shuffle, self.validation, self.seed = batch_size, shuffle, validation, seed
        self.splits: dict[Literal["train", "val", "test"], Split] = {}

    @abstractmethod
    def load(self) -> tuple[Split | None, Split]:
        """Return the training split (None: this data is for testing only) and the test split."""

    def transform(self, x: Tensor) -> Tensor:
        """Convert a batch of stored inputs to the network's inputs."""
        return x

    def setup(self, stage: str | None = None) -> None:
        if self.splits:
            return
        train, test = self.load()
        self.splits["test"] = test
        if train is None:
            return
        held_out = round(len(train.x) * self.validation)
        if held_out:
            if held_out == len(train.x):
                raise SettingError(f"data.validation={self.validation} leaves none of {held_out} samples to train on.")
            order = torch.randperm(len(train.x), generator=stream(self.seed, "validation"))
            self.splits["val"] = Split(train.x[order[:held_out]], train.y[order[:held_out]])
            train = Split(train.x[order[held_out:]], train.y[order[held_out:]])
        self.splits["train"] = train

    def sample(self) -> Split:
        """Return two samples as the network receives them, to check that the network accepts them."""
        x, y = next(iter(self.splits.values()))
        return Split(self.transform(x[:2]), y[:2])

    def train_dataloader(self) -> TensorLoader:
        overfit = self.trainer is not None and self.trainer.overfit_batches > 0
        return self._loader("train", self.batch_size, self.shuffle and not overfit)

    def val_dataloader(self) -> TensorLoader:
        return self._loader("val", EVALUATION_BATCH)

    def test_dataloader(self) -> TensorLoader:
        return self._loader("test", EVALUATION_BATCH)

    def _loader(self, split: str, batch_size: Count | None, shuffle: bool = False) -> TensorLoader:
        x, y = self.splits[split]
        part = Part() if self.trainer is None else Part(self.trainer.global_rank, self.trainer.world_size)
        if len(x) < part.processes:
            raise SettingError(f"trainer.devices: {part.processes} devices cannot share {len(x)} samples ({split}).")
        if self.trainer is not None:
            # Move the whole split to the device once instead of batch by batch.
            device = self.trainer.strategy.root_device
            x, y = x.to(device), y.to(device)
        identity = type(self).transform is TensorDataModule.transform
        transform = None if identity else self.transform
        even = split != "train" and part.processes > 1
        return TensorLoader(x, y, batch_size, shuffle, self.seed, transform, part, even)
