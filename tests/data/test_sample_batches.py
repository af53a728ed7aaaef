"""What is asked of a data module's loaders before training, and which errors of theirs come out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

from littlenets.data.samples import lacks, sample_batch


class Asking(LightningDataModule):
    """All three loaders are what a function of the module returns."""

    def __init__(self, loader: Callable[["Asking"], Any]) -> None:
        super().__init__()
        self.loader = loader

    def train_dataloader(self) -> Any:
        return self.loader(self)

    val_dataloader = test_dataloader = train_dataloader


def failing(data: Asking) -> Any:
    raise RuntimeError("the list of files is empty")


def with_a_typing_error(data: Asking) -> Any:
    return data.trainning_set


def raising_by_hand(data: Asking) -> Any:
    raise AttributeError("no set of this name")


def of_two_rows(data: Asking) -> DataLoader:
    return DataLoader(TensorDataset(torch.arange(2.0), torch.arange(2)), batch_size=1)


ERRORS = {failing: RuntimeError, with_a_typing_error: AttributeError, raising_by_hand: AttributeError}


@pytest.mark.parametrize("loader", ERRORS)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_errors_of_the_data_modules_own_code_come_out(loader, split):
    ask = sample_batch if split == "train" else lacks
    with pytest.raises(ERRORS[loader], match=r"list of files|trainning_set|no set"):
        ask(Asking(loader), split)


def test_a_loader_that_needs_the_trainer_is_not_known_before_the_fit():
    data = Asking(lambda data: DataLoader(range(4), batch_size=data.trainer.world_size))
    assert not lacks(data, "val")
    assert sample_batch(data, "train") is None


@pytest.mark.parametrize("data", [LightningDataModule(), Asking(lambda _: None), Asking(lambda _: [])])
def test_no_loader_is_no_error(data):
    """Lightning's own methods raise."""
    assert lacks(data, "val")
    assert lacks(data, "test")
    assert sample_batch(data, "train") is None
    assert sample_batch(data, "test") is None


@pytest.mark.parametrize("split", ["train", "test"])
def test_two_samples(split):
    x, y = sample_batch(Asking(of_two_rows), split)
    assert x.tolist() == [0.0, 1.0]
    assert y.tolist() == [0, 1]
    assert not lacks(Asking(of_two_rows), "test")
