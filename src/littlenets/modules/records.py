"""Record the measurements of each training batch on the device, and compute means over epochs.

Shapes: B batches, E epochs, Q quantities.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

Columns = dict[str, list[float]]


class Step(NamedTuple):
    """The loss and the measurements of one batch.

    Args:
        loss: mean over the batch, 0-dimensional; in training with its autograd graph.
        size: number of samples in the batch, which is its weight in the means of an epoch.
        totals: further quantities by name, each 0-dimensional and summed over the samples of the batch. Their mean over
            all samples is recorded as ``train/NAME``, ``val/NAME`` and ``test/NAME``.
        output: output of the network (N, ...), for metrics and figures; None if there is no single output.
        target: the target of the output (N, ...).
    """

    loss: Tensor
    size: int
    totals: Mapping[str, Tensor] = {}
    output: Tensor | None = None
    target: Tensor | None = None


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype for sums: float64, in which counts are exact; float32 on Apple's GPUs, which lack float64."""
    return torch.float32 if device.type == "mps" else torch.float64


class Tape:
    """A growing list of numbers on a device, in memory that is allocated in large blocks.

    Reading a number from a device waits for the device. Keeping the small tensors themselves is also slow: they lie
    between large tensors in memory, which then cannot be reused from step to step (50 page faults in a step of
    `spiral`).
    """

    CHUNK = 4096

    def __init__(self) -> None:
        self._chunks: list[Tensor] = []
        self._cells: list[Tensor] = []
        self._used = 0

    @property
    def device(self) -> torch.device:
        """The device of the numbers; the CPU if there are none yet."""
        return self._chunks[0].device if self._chunks else torch.device("cpu")

    def append(self, value: Tensor) -> None:
        """Append a copy of a detached 0-dimensional tensor."""
        if self._used == len(self._cells):
            chunk = torch.empty(self.CHUNK, dtype=wide_dtype(value.device), device=value.device)
            self._chunks.append(chunk)
            self._cells += chunk.unbind()
        self._cells[self._used].copy_(value)
        self._used += 1

    def look(self) -> Tensor:
        """Return all numbers, float64 on the CPU."""
        full, rest = divmod(self._used, self.CHUNK)
        parts = self._chunks[:full] + [chunk[:rest] for chunk in self._chunks[full : full + 1]]
        return torch.cat(parts).cpu().double() if parts else torch.empty(0).double()

    def clear(self) -> None:
        """Remove all numbers and keep the memory."""
        self._used = 0


class EpochRecords:
    """Record the measurements of each batch, and compute their means over epochs later."""

    def __init__(self) -> None:
        #: Whether this process has samples in the current batch; one of several processes may have none.
        self.counts = True
        self._in_batches, self._at_ends = Tape(), Tape()
        self.clear()

    def clear(self) -> None:
        """Remove all records."""
        #: Mean loss of each batch (B,) of the epochs that were read last, float64 on the CPU.
        self.batch_losses = torch.empty(0, dtype=torch.float64)
        self._in_batches.clear()
        self._at_ends.clear()
        self._names: list[str] = []
        self._sizes: list[int] = []  # B: number of samples in each batch
        self._batches: list[int] = []  # E: number of batches up to the end of each epoch
        self._end_names: list[str] = []
        self._lrs: list[float] = []  # E
        self._position: tuple[int, int] | None = None

    def add(self, step: Step, position: tuple[int, int] | None = None) -> bool:
        """Add a batch; return False if it was added before, since some optimizers compute a batch several times.

        Args:
            step: the measurements of the batch.
            position: number of optimizer steps before the batch, and its index in the epoch; index 0 starts a new
                record.
        """
        if position is not None:
            if position == self._position:
                return False
            if position[1] == 0:
                self.clear()
            self._position = position
        if not self._names:
            self._names = ["train/loss", *(f"train/{name}" for name in step.totals)]
        self._in_batches.append(step.loss.detach())
        for value in step.totals.values():
            self._in_batches.append(value.detach() if self.counts else torch.zeros_like(value))
        self._sizes.append(step.size if self.counts else 0)
        return True

    def end_epoch(self, at_end: Mapping[str, Tensor], lr: float) -> None:
        """Mark the end of an epoch whose means are computed later.

        Args:
            at_end: current values of quantities such as a weight, detached and with one element.
            lr: the learning rate of the epoch's last step.
        """
        self._batches.append(len(self._sizes))
        self._lrs.append(lr)
        self._end_names = list(at_end)
        for value in at_end.values():
            self._at_ends.append(value.view(()))

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements of the current epoch, for resuming it in another process."""
        return {"names": self._names, "sizes": self._sizes, "measured": self._in_batches.look()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore the state returned by `state_dict`."""
        self.clear()
        self._names, self._sizes = state["names"], list(state["sizes"])
        self._fill(state["measured"], device)

    def means(self, reduce: Callable[..., Tensor] | None = None) -> dict[str, Tensor]:
        """Return the means of the current epoch over the batches added so far, float64 and 0-dimensional.

        Args:
            reduce: sums a tensor over all processes, called as ``reduce(tensor, reduce_op="sum")``; None for one
                process.
        """
        measured = self._in_batches.look().view(len(self._sizes), len(self._names))  # (B, Q)
        self.batch_losses = measured[:, 0]
        # Python's numbers have less overhead than tensors, which dominates in an epoch of one batch.
        sums, samples = [0.0] * len(self._names), sum(self._sizes)  # (Q,)
        for size, (loss, *totals) in zip(self._sizes, measured.tolist(), strict=True):
            sums = [total + value for total, value in zip(sums, (loss * size, *totals), strict=True)]
        if reduce is not None:
            device = self._in_batches.device
            everywhere = torch.tensor([*sums, samples], dtype=wide_dtype(device), device=device)
            *sums, samples = reduce(everywhere, reduce_op="sum").tolist()
        return {
            name: torch.tensor(total / samples, dtype=torch.float64)
            for name, total in zip(self._names, sums, strict=True)
        }

    def take(self) -> Columns:
        """Return each quantity's mean in each completed epoch, as one list per quantity, and remove those epochs."""
        cells = self._in_batches.look()
        ended = self._batches[-1]
        measured = cells.view(len(self._sizes), len(self._names))  # (B, Q)
        self.batch_losses = measured[:ended, 0]
        sums, samples = self._sums(measured[:ended], self._sizes[:ended], self._batches)
        columns = dict(zip(self._names, (sums / samples).T.tolist(), strict=True))
        ends = self._at_ends.look().view(len(self._batches), len(self._end_names))
        columns.update(zip(self._end_names, ends.T.tolist(), strict=True))
        columns["lr"] = self._lrs
        device = self._in_batches.device
        self._sizes = self._sizes[ended:]
        self._batches, self._lrs = [], []
        self._in_batches.clear()
        self._at_ends.clear()
        self._fill(measured[ended:].flatten(), device)
        return columns

    def _fill(self, measured: Tensor, device: torch.device) -> None:
        for value in measured.to(device=device, dtype=wide_dtype(device)):
            self._in_batches.append(value)

    @staticmethod
    def _sums(measured: Tensor, sizes: list[int], ends: list[int]) -> tuple[Tensor, Tensor]:
        """Return sums (E, Q) and numbers of samples (E, 1) of epochs; ``ends`` are the batches up to each end."""
        weights = torch.tensor(sizes, dtype=torch.float64)[:, None]  # (B, 1)
        sums = torch.cat([measured[:, :1] * weights, measured[:, 1:], weights], dim=1)  # (B, Q + 1)
        if len(sizes) > len(ends):
            counts = torch.tensor(ends).diff(prepend=torch.zeros(1, dtype=torch.int64))  # (E,)
            epoch = torch.arange(len(ends)).repeat_interleave(counts)  # (B,)
            sums = torch.zeros(len(ends), sums.shape[1], dtype=torch.float64).index_add_(0, epoch, sums)
        return sums[:, :-1], sums[:, -1:]
