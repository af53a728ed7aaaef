"""What training measured, epoch by epoch, kept on the device until somebody asks.

Shapes: B batches, E epochs, Q quantities.
"""

from typing import Any

import torch
from torch import Tensor

Columns = dict[str, list[float]]


def tape_dtype(device: torch.device) -> torch.dtype:
    """Holds counts as well as means; Apple's GPUs have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


class Tape:
    """A growing row of numbers on a device, in memory that is allocated long before it is needed.

    Reading a number off a device waits for the device. Keeping the small tensors themselves is as bad: they lie between
    the large ones in memory, which then cannot be used again from step to step (50 page faults a step of `spiral`).
    """

    CHUNK = 4096

    def __init__(self) -> None:
        self._chunks: list[Tensor] = []
        self._cells: list[Tensor] = []
        self._used = 0

    def append(self, value: Tensor) -> None:
        """Copies a detached 0-dimensional tensor."""
        if self._used == len(self._cells):
            chunk = torch.empty(self.CHUNK, dtype=tape_dtype(value.device), device=value.device)
            self._chunks.append(chunk)
            self._cells += chunk.unbind()
        self._cells[self._used].copy_(value)
        self._used += 1

    def look(self) -> Tensor:
        """All numbers since the last `take`, float64 on the CPU."""
        return torch.cat(self._chunks)[: self._used].cpu().double() if self._chunks else torch.empty(0).double()

    def take(self) -> Tensor:
        """The same, and forgets them."""
        taken = self.look()
        self._used = 0
        return taken


class EpochRecords:
    """Collects what is measured in each batch and each epoch, and turns it into columns later."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        #: Mean loss of each batch (B,) of the epochs that were taken last, float64 on the CPU.
        self.batch_losses = torch.empty(0, dtype=torch.float64)
        self._in_batches, self._at_ends = Tape(), Tape()
        self._names: list[str] = []
        self._sizes: list[int] = []  # B: samples in each batch
        self._batches: list[int] = []  # E: batches so far, at the end of each epoch
        self._watched: list[str] = []
        self._lrs: list[float] = []  # E

    def add_batch(self, loss: Tensor, sums: dict[str, Tensor], size: int) -> None:
        """The mean loss of one batch of ``size`` samples and sums over it, detached and 0-dimensional."""
        if not self._names:
            self._names = [f"train/{name}" for name in ("loss", *sums)]
        self._in_batches.append(loss)
        for value in sums.values():
            self._in_batches.append(value)
        self._sizes.append(size)

    def end_epoch(self, watched: dict[str, Tensor], lr: float) -> None:
        """Quantities as they are at the end of an epoch, such as a weight, detached and of one element."""
        self._batches.append(len(self._sizes))
        self._lrs.append(lr)
        self._watched = list(watched)
        for value in watched.values():
            self._at_ends.append(value.view(()))

    def state_dict(self) -> dict[str, Any]:
        """What the batches of the epoch under way measured, to go on with in another process."""
        return {"names": self._names, "sizes": self._sizes, "measured": self._in_batches.look()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on where `state_dict` was asked for."""
        self.clear()
        self._names, self._sizes = state["names"], list(state["sizes"])
        for value in state["measured"].to(device=device, dtype=tape_dtype(device)):
            self._in_batches.append(value)

    def take(self) -> Columns:
        """One list a quantity with a number for each ended epoch since the last call; means over an epoch's samples."""
        epochs = len(self._batches)
        measured = self._in_batches.take().view(len(self._sizes), len(self._names))  # (B, Q)
        self.batch_losses = measured[:, 0]
        sizes = torch.tensor(self._sizes, dtype=torch.float64)  # (B,)
        sums = torch.cat([measured[:, :1] * sizes[:, None], measured[:, 1:], sizes[:, None]], dim=1)  # (B, Q + 1)
        if len(self._sizes) > epochs:
            counts = torch.tensor(self._batches).diff(prepend=torch.zeros(1, dtype=torch.int64))  # (E,)
            epoch = torch.arange(epochs).repeat_interleave(counts)  # (B,)
            sums = torch.zeros(epochs, sums.shape[1], dtype=torch.float64).index_add_(0, epoch, sums)
        means = sums[:, :-1] / sums[:, -1:]  # (E, Q)
        ends = self._at_ends.take().view(epochs, len(self._watched))
        columns = dict(zip(self._names, means.T.tolist(), strict=True))
        columns.update(zip(self._watched, ends.T.tolist(), strict=True))
        columns["lr"] = self._lrs
        self._sizes, self._batches, self._lrs = [], [], []
        return columns
