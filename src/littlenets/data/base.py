"""What all data sets have in common: tensors in memory, split, and loaded in batches."""

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

# Evaluation needs no gradients, so larger batches than in training fit, and they are faster.
EVALUATION_BATCH = 1000


class Split(NamedTuple):
    """Inputs x (N, ...) and targets y (N, ...), on the CPU."""

    x: Tensor
    y: Tensor


class TensorDataModule(LightningDataModule):
    """Data that fits in memory.

    Args:
        batch_size: samples a training batch; ``None`` is all at once (full batch), 1 is one at a time. Where several
            devices train together, each has batches of this size, and all of them together take one step.
        shuffle: whether each epoch sees the samples in an order of its own.
        validation: share of the training samples, in [0, 1), that is split off and not trained on.
        seed: decides what is drawn, what is split off, and the orders.
    """

    #: Number of classes; None for a regression.
    classes: int | None = None
    #: What the classes are called, in the order of their numbers; None: by these.
    names: Sequence[str] | None = None
    #: Of one input as the network gets it, known before anything is loaded; None: not known.
    sample_shape: tuple[int, ...] | None = None
    #: The same of its numbers.
    sample_dtype: torch.dtype = torch.float32
    #: Whether nothing may ever be trained on it.
    for_testing_only = False
    #: What one sample is called where the data is described.
    sample_name = "points"

    def __init__(self, batch_size: Count | None, shuffle: bool, validation: Share, seed: int) -> None:
        super().__init__()
        self.batch_size, self.shuffle, self.validation, self.seed = batch_size, shuffle, validation, seed
        self.splits: dict[Literal["train", "val", "test"], Split] = {}

    @abstractmethod
    def load(self) -> tuple[Split | None, Split]:
        """The samples to train on (None: this data is for testing only) and those to test on."""

    def transform(self, x: Tensor) -> Tensor:
        """What a batch of stored inputs becomes before the network sees it."""
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
        """Two samples as the network gets them, to see whether it takes them."""
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
            # Moved once, not batch by batch.
            device = self.trainer.strategy.root_device
            x, y = x.to(device), y.to(device)
        identity = type(self).transform is TensorDataModule.transform
        transform = None if identity else self.transform
        even = split != "train" and part.processes > 1
        return TensorLoader(x, y, batch_size, shuffle, self.seed, transform, part, even)
