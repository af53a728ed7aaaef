"""What training measured, epoch by epoch, kept on the device until somebody asks.

Shapes: B batches, E epochs, Q quantities.
"""

import torch
from torch import Tensor


class EpochRecords:
    """Collects 0-dimensional tensors in the training loop and turns them into rows later.

    Reading a number off a device waits for the device, and writing into a larger tensor costs as much as a layer of a
    small network. So the loop only keeps references, and `take` reads many epochs at once.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._values: list[Tensor] = []  # B * Q, batch by batch
        self._sizes: list[int] = []  # B: samples in each batch
        self._batches: list[int] = []  # E: batches so far, at the end of each epoch
        self._ends: list[dict[str, Tensor | float]] = []  # E

    def add_batch(self, loss: Tensor, measured: dict[str, Tensor], size: int) -> None:
        """Means over one batch of ``size`` samples, detached; the same names every time."""
        if not self._names:
            self._names = [f"train/{name}" for name in ("loss", *measured)]
        self._values.append(loss)
        self._values.extend(measured.values())
        self._sizes.append(size)

    def end_epoch(self, values: dict[str, Tensor | float]) -> None:
        """Quantities as they are at the end of an epoch, such as a weight; tensors must be copies."""
        self._batches.append(len(self._sizes))
        self._ends.append(values)

    def take(self) -> list[dict[str, float]]:
        """The rows of all ended epochs since the last call, oldest first: means over each epoch's samples."""
        rows = self._rows() if self._ends else []
        self.clear()
        return rows

    def clear(self) -> None:
        """Forgets what was not taken."""
        self._names = []
        for entries in (self._values, self._sizes, self._batches, self._ends):
            entries.clear()

    def _rows(self) -> list[dict[str, float]]:
        values = torch.stack(self._values).cpu().double().view(-1, len(self._names))  # (B, Q)
        if len(self._sizes) > len(self._ends):
            sizes = torch.tensor(self._sizes, dtype=torch.float64)  # (B,)
            last = torch.tensor(self._batches) - 1  # (E,)
            # Sums over epochs as differences of running sums, which float64 holds exactly enough.
            totals = torch.cat([values * sizes.unsqueeze(1), sizes.unsqueeze(1)], dim=1).cumsum(0)[last]  # (E, Q + 1)
            totals = totals.diff(dim=0, prepend=torch.zeros(1, totals.shape[1], dtype=torch.float64))
            values = totals[:, :-1] / totals[:, -1:]  # (E, Q)
        rows = [dict(zip(self._names, row, strict=True)) for row in values.tolist()]
        for name in self._ends[0]:
            column = [end[name] for end in self._ends]
            if isinstance(column[0], Tensor):
                column = torch.stack(column).tolist()
            for row, value in zip(rows, column, strict=True):
                row[name] = value
        return rows
