"""Data as others write it: ordinary data sets and loaders, which draw random numbers wherever they can."""

import random
from collections.abc import Iterator

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset, get_worker_info

SAMPLES, FEATURES, CLASSES = 26, 4, 3
_generator = np.random.default_rng(5)


def samples(count: int = SAMPLES) -> tuple[Tensor, Tensor]:
    """Points float32 (N, 4) and classes int64 (N,), always the same."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, FEATURES, generator=generator)
    return x, x[:, :CLASSES].argmax(dim=1)


class Noisy(Dataset):
    """Adds noise from the three global generators to a sample each time that it is asked for."""

    def __init__(self, count: int = SAMPLES, noise: float = 0.1) -> None:
        self.x, self.y = samples(count)
        self.noise = noise

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        drawn = random.gauss(0, 1) + np.random.standard_normal() + torch.randn(())
        return self.x[index] + self.noise * drawn, self.y[index]


class OwnGenerators(Noisy):
    """Draws from generators that it keeps, in an attribute, a closure, and the global one of this module."""

    def __init__(self) -> None:
        super().__init__(noise=0)
        self.drawing = {"old": np.random.RandomState(1), "python": random.Random(2)}
        generator = torch.Generator().manual_seed(4)
        self.draw = lambda: torch.randn((), generator=generator)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = super().__getitem__(index)
        own = self.drawing["old"].standard_normal() + self.drawing["python"].gauss(0, 1)
        return x + 0.1 * (own + self.draw() + _generator.standard_normal()), y


class Stream(IterableDataset):
    """The samples of `Noisy` one after another, in an order drawn anew; each worker has its part of them."""

    def __init__(self, count: int = SAMPLES) -> None:
        self.samples = Noisy(count)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = list(range(len(self.samples)))
        worker = get_worker_info()
        if worker is not None:
            order = order[worker.id :: worker.num_workers]
        np.random.shuffle(order)
        return (self.samples[index] for index in order)


class SizedStream(Stream):
    """The same, and it says how many."""

    def __len__(self) -> int:
        return len(self.samples)


class Counting(IterableDataset):
    """Its own iterator, which goes on where it was."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> "Counting":
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        self.at += 1
        if self.at % 7 == 0:
            raise StopIteration
        return torch.full((FEATURES,), float(self.at)), torch.tensor(self.at % CLASSES)


class ByEpoch(Sampler):
    """Begins each epoch one sample later."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return SAMPLES

    def __iter__(self) -> Iterator[int]:
        return ((index + self.epoch) % SAMPLES for index in range(SAMPLES))


class Batches(Sampler):
    """Batches of different sizes, in an order from Python's global generator."""

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[list[int]]:
        order = list(range(SAMPLES))
        random.shuffle(order)
        return iter([order[:3], order[3:10], order[10:11], order[11:20], order[20:]])


class OwnIterable:
    """No DataLoader at all."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, y = samples()
        for _ in range(4):
            chosen = torch.randperm(SAMPLES)[:6]
            yield x[chosen], y[chosen]


def _plain(**arguments: object) -> DataLoader:
    return DataLoader(Noisy(), **{"batch_size": 6, "shuffle": True, **arguments})


def seed_worker(worker: int) -> None:
    random.seed(torch.initial_seed() + 1)


def _of(*samples: object) -> DataLoader:
    return DataLoader(list(samples), batch_size=2)


class Unreadable(Dataset):
    """Of which no sample is there."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Tensor:
        raise FileNotFoundError(f"no such picture: {index}.png")


X, ONE = torch.zeros(FEATURES), torch.tensor(1)
#: Kinds that cannot be trained on, by name.
WRONG = {
    "dicts": lambda: _of({"x": X, "y": ONE}, {"x": X, "y": ONE}),
    "triplets": lambda: _of((X, X, ONE), (X, X, ONE)),
    "small inputs": lambda: _of((X[:3], ONE), (X[:3], ONE)),
    "integers": lambda: _of((X.long(), ONE), (X.long(), ONE)),
    "float targets": lambda: _of((X, 0.5), (X, 1.5)),
    "large targets": lambda: _of((X, 7), (X, 7)),
    "different sizes": lambda: _of((X, ONE), (X[:3], ONE)),
    "unreadable": lambda: DataLoader(Unreadable(), batch_size=2, shuffle=True),
    "nothing": lambda: DataLoader([], batch_size=2),
}
#: Kinds of loaders by name.
LOADERS = {
    "plain": lambda: DataLoader(Noisy(noise=0), batch_size=6, shuffle=True),
    "augmented": _plain,
    "workers": lambda: _plain(num_workers=2),
    "worker_init_fn": lambda: _plain(num_workers=2, worker_init_fn=seed_worker),
    "persistent_workers": lambda: _plain(num_workers=2, persistent_workers=True),
    "drop_last": lambda: _plain(drop_last=True, generator=torch.Generator().manual_seed(1)),
    "sampler": lambda: _plain(shuffle=False, sampler=ByEpoch()),
    "batch_sampler": lambda: DataLoader(Noisy(), batch_sampler=Batches()),
    "own_generators": lambda: DataLoader(OwnGenerators(), batch_size=6, shuffle=True),
    "own_generators_in_workers": lambda: DataLoader(OwnGenerators(), batch_size=6, shuffle=True, num_workers=2),
    "stream": lambda: DataLoader(Stream(), batch_size=6),
    "stream_in_workers": lambda: DataLoader(Stream(), batch_size=6, num_workers=2),
    "sized_stream": lambda: DataLoader(SizedStream(), batch_size=6),
    "own_iterable": OwnIterable,
    "counting": lambda: DataLoader(Counting(), batch_size=2),
}


class Loaders(LightningDataModule):
    """Training batches from a loader of ``LOADERS``; plain ones for validation and test."""

    classes = CLASSES

    def __init__(self, kind: str = "plain", val_loaders: int = 1, tested: bool = True, **_: object) -> None:
        super().__init__()
        self.kind, self.val_loaders = kind, val_loaders
        self.names = ["first", "second", ""]
        if not tested:
            self.test_dataloader = super().test_dataloader

    def train_dataloader(self) -> DataLoader:
        return {**LOADERS, **WRONG}[self.kind]()

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        loaders = [DataLoader(Noisy(10 + n, noise=0), batch_size=4) for n in range(self.val_loaders)]
        return loaders[0] if self.val_loaders == 1 else loaders

    def test_dataloader(self) -> DataLoader:
        return DataLoader(Noisy(noise=0), batch_size=10)


class Staged(LightningDataModule):
    """Each stage sets up its own data, and no other loader works before it."""

    classes = CLASSES

    def __init__(self, **_: object) -> None:
        super().__init__()

    def setup(self, stage: str) -> None:
        setattr(self, stage, DataLoader(Noisy(noise=0), batch_size=10))

    def train_dataloader(self) -> DataLoader:
        return self.fit

    def test_dataloader(self) -> DataLoader:
        return self.test


class Sentences(LightningDataModule):
    """Rows of five words, each a number int64, and the classes of their first word."""

    classes = CLASSES

    def __init__(self, **_: object) -> None:
        super().__init__()

    def train_dataloader(self) -> DataLoader:
        x = torch.randint(0, 11, (40, 5), generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, x[:, 0] % CLASSES), batch_size=10)

    test_dataloader = train_dataloader


class Several(Loaders):
    """Two loaders at once, of which the shorter one begins anew within an epoch."""

    def __init__(self, kind: str = "stream", container: str = "dict") -> None:
        super().__init__(kind)
        self.container = container

    def train_dataloader(self) -> object:
        long, short = super().train_dataloader(), _plain(batch_size=13)
        return [long, short] if self.container == "list" else {"long": long, "short": short}


class Net(nn.Module):
    """Takes what is here, and drops out."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
