"""Batches from tensors in memory: no worker processes, no per-sample Python.

Shapes: N samples, B batch.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..randomness import stream


class Part(NamedTuple):
    """Which part of the samples is one process's, of several that go through them together."""

    rank: int = 0
    processes: int = 1

    def of(self, samples: int) -> tuple[int, int]:
        """Return where it begins and ends. The parts of all processes differ by one sample at most."""
        return samples * self.rank // self.processes, samples * (self.rank + 1) // self.processes


WHOLE = Part()


class BatchOrder:
    """Which samples form which batch of an epoch.

    Lightning calls ``set_epoch`` on a loader's ``sampler`` before each epoch, so the order is a function of the seed
    and the epoch alone.

    Several processes share each batch: all of them together train on the batches that one process would.

    Args:
        samples: how many there are.
        batch_size: samples a batch, of all processes together.
        shuffle: whether each epoch has an order of its own.
        seed: decides those orders.
        part: of each batch, which is this process's.
        even: whether the batches, not shuffled, have nearly the same size, so that no process lacks one. Otherwise the
            last one is smaller.
    """

    def __init__(
        self, samples: int, batch_size: int, shuffle: bool, seed: int, part: Part = WHOLE, even: bool = False
    ) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.part, self._even = part, even
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
                yield batch if self.part.processes == 1 else batch[self._own(0, len(batch))]
        else:
            for index in range(first, len(self)):
                yield self._own(*self._bounds(index))

    def weight_of_batch(self, index: int) -> float:
        """Return what the mean over this process's part of a batch counts in the mean of such means over all processes.

        It is 1 where all parts have the same size, and 0 where there was no sample left for this process.
        """
        start, stop = self._bounds(index)
        first, end = self.part.of(stop - start)
        return (end - first) * self.part.processes / (stop - start)

    def _bounds(self, index: int) -> tuple[int, int]:
        if self._even:
            return Part(index, len(self)).of(self.samples)
        return index * self.batch_size, min((index + 1) * self.batch_size, self.samples)

    def _own(self, start: int, stop: int) -> slice:
        first, end = self.part.of(stop - start)
        # A process that has none takes part in the step all the same, with a sample that counts for nothing.
        return slice(start + first, start + end) if first < end else slice(start, start + 1)


class TensorLoader:
    """Iterates over ``(x, y)`` batches of two tensors with the same first dimension N.

    Args:
        x: inputs (N, ...), any dtype.
        y: targets (N, ...).
        batch_size: samples a batch and process; ``None`` is all at once.
        shuffle: whether each epoch has an order of its own.
        seed: decides those orders.
        transform: applied to the inputs of each batch, such as scaling of pixels.
        part: of each batch of all processes, which is this process's.
        even: as in `BatchOrder`.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        transform: Callable[[Tensor], Tensor] | None = None,
        part: Part = WHOLE,
        even: bool = False,
    ) -> None:
        self.x, self.y, self.transform = x, y, transform
        size = min(part.processes * (batch_size or len(x)), len(x))
        # The name by which Lightning knows the part of a DataLoader that decides the order; it asks for the other too.
        self.sampler, self.batch_sampler = BatchOrder(len(x), size, shuffle, seed, part, even), None

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if len(self) == self.sampler.part.processes == 1:
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
