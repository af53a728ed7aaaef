"""Data as a user may bring it.

Shapes: N samples, B batch, T time steps.
"""

from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset


def points(seed: int, samples: int = 32) -> tuple[Tensor, Tensor]:
    """Draw points (N, 2) and which of them lie to the right, int64 (N,)."""
    x = torch.randn(samples, 2, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


class Points(LightningDataModule):
    """Ordinary loaders, not shuffled.

    Args:
        validations: loaders to validate on.
        test: whether there is one to test on.
        named: whether a batch is a dictionary.
    """

    def __init__(self, validations: int = 1, test: bool = True, named: bool = False) -> None:
        super().__init__()
        self.validations, self.named = validations, named
        if test:
            self.test_dataloader = lambda: self._loader(9)

    def _loader(self, seed: int) -> DataLoader:
        return DataLoader(TensorDataset(*points(seed)), batch_size=8, collate_fn=self._collate if self.named else None)

    @staticmethod
    def _collate(samples: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        x, y = zip(*samples, strict=True)
        return {"points": torch.stack(x), "sides": torch.stack(y)}

    def train_dataloader(self) -> DataLoader:
        return self._loader(0)

    def val_dataloader(self) -> Any:
        loaders = [self._loader(1 + number) for number in range(self.validations)]
        return loaders[0] if self.validations == 1 else loaders


class Sequences(Dataset):
    """Random walks of 2 to 6 steps, and whether each ends to the right."""

    def __init__(self, seed: int, samples: int = 24) -> None:
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(2, 7, (samples,), generator=generator)
        self.walks = [torch.randn(int(length), 2, generator=generator).cumsum(dim=0) for length in lengths]

    def __len__(self) -> int:
        return len(self.walks)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        walk = self.walks[index]  # (T, 2)
        return walk, int(walk[-1, 0] > 0)


def pad(samples: list[tuple[Tensor, int]]) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Collate sequences to ((padded (B, T, 2), lengths (B,)), labels (B,))."""
    walks, labels = zip(*samples, strict=True)
    padded = torch.nn.utils.rnn.pad_sequence(walks, batch_first=True)
    return (padded, torch.tensor([len(walk) for walk in walks])), torch.tensor(labels)


class PaddedSequences(LightningDataModule):
    """Batches of sequences with their lengths."""

    classes = 2

    def _loader(self, seed: int) -> DataLoader:
        return DataLoader(Sequences(seed), batch_size=8, collate_fn=pad)

    def train_dataloader(self) -> DataLoader:
        return self._loader(0)

    def val_dataloader(self) -> DataLoader:
        return self._loader(1)

    def test_dataloader(self) -> DataLoader:
        return self._loader(2)
