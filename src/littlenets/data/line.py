"""Dataset of points on a straight line."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..randomness import stream
from ..ranges import Count, Finite, NotNegative, PointCount, Share
from .base import Split, TensorDataModule


class Line(TensorDataModule):
    """Points x = 1, 2, ... n_points and y = slope * x + intercept, both float32 (N, 1).

    Arguments that are not listed are those of `TensorDataModule`.

    Args:
        n_points: number of training points.
        slope: slope of the line.
        intercept: intercept of the line.
        noise: standard deviation of the Gaussian noise added to y, in units of y.
        test_x: x of the test points, whose y has no noise.
    """

    sample_shape = (1,)

    def __init__(
        self,
        n_points: PointCount = 5,
        slope: Finite = 2.0,
        intercept: Finite = 0.0,
        noise: NotNegative = 0.0,
        test_x: Sequence[Finite] = (20.0,),
        batch_size: Count | None = None,
        shuffle: bool = True,
        validation: Share = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, shuffle, validation, seed)
        self.n_points, self.slope, self.intercept, self.noise = n_points, slope, intercept, noise
        self.test_x = list(test_x)

    def _line(self, x: Tensor) -> Tensor:
        return self.slope * x + self.intercept

    def load(self) -> tuple[Split, Split]:
        x = torch.arange(1, self.n_points + 1, dtype=torch.float32).unsqueeze(1)
        y = self._line(x) + self.noise * torch.randn(x.shape, generator=stream(self.seed, "noise"))
        test_x = torch.tensor(self.test_x, dtype=torch.float32).unsqueeze(1)
        return Split(x, y), Split(test_x, self._line(test_x))
