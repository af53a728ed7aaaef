"""Batches from tensors in memory: no worker processes, no per-sample Python.

Shapes: N samples, B batch.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..randomness import stream


class BatchOrder:
    """Which samples form which batch of an epoch.

    Lightning calls ``set_epoch`` on a loader's ``sampler`` before each epoch, so the order is a function of the seed
    and the epoch alone.

    Args:
        samples: how many there are.
        batch_size: samples a batch, of all processes together.
        shuffle: whether each epoch has an order of its own.
        seed: decides those orders.
        rank: of this process, which gets its part of every batch.
        processes: how many train together.
    """

    def __init__(
        self, samples: int, batch_size: int, shuffle: bool, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.rank, self.processes = rank, processes
        # All samples at once need no order; shuffling them would only cost time.
        self.shuffle = shuffle and batch_size < samples
        self.epoch = 0
        #: Batches that the next iteration leaves out, since they were trained on before the run was resumed.
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Tensor | slice]:
        """Indices of each batch in turn: a slice, or int64 (B,) where shuffled."""
        first, self.skip = self.skip, 0
        if self.shuffle:
            order = torch.randperm(self.samples, generator=stream(self.seed, "order", self.epoch))
            for batch in order.split(self.batch_size)[first:]:
                yield batch[self._part(len(batch))]
        else:
            for start in range(first * self.batch_size, self.samples, self.batch_size):
                part = self._part(min(self.batch_size, self.samples - start))
                yield slice(start + part.start, start + part.stop)

    def weight(self, index: int) -> float:
        """Return what the mean over this process's part of a batch counts in the mean over all processes.

        It is 1 where all parts have the same size, and 0 where there was no sample left for this process.
        """
        samples = min(self.batch_size, self.samples - index * self.batch_size)
        start, stop = part_of(samples, self.rank, self.processes)
        return (stop - start) * self.processes / samples

    def _part(self, samples: int) -> slice:
        start, stop = part_of(samples, self.rank, self.processes)
        # A process that has none takes part in the step all the same, with a sample that counts for nothing.
        return slice(start, stop) if start < stop else slice(0, 1)


def part_of(samples: int, rank: int, processes: int) -> tuple[int, int]:
    """Return where one process's part begins and ends; the parts differ by one sample at most."""
    return samples * rank // processes, samples * (rank + 1) // processes


class TensorLoader:
    """Iterates over ``(x, y)`` batches of two tensors with the same first dimension N.

    Args:
        x: inputs (N, ...), any dtype.
        y: targets (N, ...).
        batch_size: samples a batch and process; ``None`` is all at once, shared out among the processes.
        shuffle: whether each epoch has an order of its own.
        seed: decides those orders.
        transform: applied to the inputs of each batch, such as scaling of pixels.
        rank: of this process.
        processes: how many train together, each on its part of every batch.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        transform: Callable[[Tensor], Tensor] | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.x, self.y, self.transform = x, y, transform
        # The name by which Lightning knows the part of a DataLoader that decides the order; it asks for the other too.
        size = min(processes * (batch_size or len(x)), len(x))
        self.sampler, self.batch_sampler = BatchOrder(len(x), size, shuffle, seed, rank, processes), None

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if len(self) == 1 and self.sampler.processes == 1:
            yield self._batch(self.x, self.y)
            return
        for chosen in self.sampler:
            if isinstance(chosen, Tensor):
                chosen = chosen.to(self.x.device, non_blocking=True)
                # Copies whole rows; brackets would copy bytes of images one by one.
                yield self._batch(self.x.index_select(0, chosen), self.y.index_select(0, chosen))
            else:
                yield self._batch(self.x[chosen], self.y[chosen])

    def _batch(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (x if self.transform is None else self.transform(x)), y
