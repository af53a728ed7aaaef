"""Loader that cuts batches from tensors in memory, without worker processes and without Python code per sample.

Shapes: N samples, B batch.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..randomness import stream


class Part(NamedTuple):
    """One process's part of the samples that several processes share."""

    rank: int = 0
    processes: int = 1

    def of(self, samples: int) -> tuple[int, int]:
        """Return the start and the end of the part of so many samples. Parts differ in size by at most one sample."""
        return samples * self.rank // self.processes, samples * (self.rank + 1) // self.processes


WHOLE = Part()


class BatchOrder:
    """Sampler that yields the indices of each batch of an epoch.

    Lightning calls ``set_epoch`` on a loader's ``sampler`` before each epoch, so the order depends only on the seed and
    the epoch.

    Several processes share each batch: together they train on the same batches as a single process would.

    Args:
        samples: number of samples.
        batch_size: samples per batch, over all processes.
        shuffle: whether to shuffle the samples anew in each epoch.
        seed: seed for the order of the samples.
        part: this process's part of each batch.
        even: whether batches, if not shuffled, have nearly equal sizes, so that no process is left without a sample.
            Otherwise the last batch is smaller.
    """

    def __init__(
        self, samples: int, batch_size: int, shuffle: bool, seed: int, part: Part = WHOLE, even: bool = False
    ) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.part, self._even = part, even
        # The order within a full batch does not matter, and shuffling would cost time.
        self.shuffle = shuffle and batch_size < samples
        self.epoch = 0
        #: Number of batches that the next iteration skips, because they were trained on before the run was resumed.
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Tensor | slice]:
        """Yield the indices of each batch: a slice, or int64 (B,) if shuffled."""
        first, self.skip = self.skip, 0
        if self.shuffle:
            order = torch.randperm(self.samples, generator=stream(self.seed, "order", self.epoch))
            for batch in order.split(self.batch_size)[first:]:
                yield batch if self.part.processes == 1 else batch[self._own(0, len(batch))]
        else:
            for index in range(first, len(self)):
                yield self._own(*self._bounds(index))

    def weight_of_batch(self, index: int) -> float:
        """Return the weight of this process's mean over its part of a batch in the mean over all processes.

        It is 1 if all parts have the same size, and 0 if no sample was left for this process.
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
        # A process without a sample still takes part in the step, with one sample that has weight 0 (see
        # `weight_of_batch`).
        return slice(start + first, start + end) if first < end else slice(start, start + 1)


class TensorLoader:
    """Loader that yields ``(x, y)`` batches of two tensors with the same first dimension N.

    Args:
        x: inputs (N, ...), any dtype.
        y: targets (N, ...).
        batch_size: samples per batch and process; ``None`` puts all samples into one batch.
        shuffle: whether to shuffle the samples anew in each epoch.
        seed: seed for the order of the samples.
        transform: function applied to the inputs of each batch, such as scaling of pixels.
        part: this process's part of each batch, where several processes share it.
        even: see `BatchOrder`.
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
        # Lightning calls `set_epoch` on a loader's `sampler`, and also reads `batch_sampler`.
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
                # index_select copies whole rows; indexing with brackets would copy the bytes of images one by one.
                yield self._batch(self.x.index_select(0, chosen), self.y.index_select(0, chosen))
            else:
                yield self._batch(self.x[chosen], self.y[chosen])

    def _batch(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (x if self.transform is None else self.transform(x)), y
