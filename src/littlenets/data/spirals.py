"""Datasets of points in the plane: spiral arms, and the same classes on straight lines.

Shapes: N points.
"""

import math

import torch
from torch import Tensor

from ..randomness import stream
from ..ranges import ArmCount, Count, NotNegative, PointCount, Share
from .base import Split, TensorDataModule


class Spirals(TensorDataModule):
    """Spiral arms around the origin at equal angles: points float32 (N, 2), number of the arm int64 (N,).

    On an arm, theta = 2 pi sqrt(u) with u uniform in [0, 1), and the radius is 2 theta + pi. Arm i is rotated by i
    times the full circle divided by the number of arms. Gaussian noise is added to each coordinate.

    Arguments that are not listed are those of `TensorDataModule`.

    Args:
        arms: number of arms; each arm is a class.
        n_points: points on each arm.
        noise: standard deviation of the noise, in units of the plane (the outermost radius is 5 pi).
    """

    sample_shape = (2,)

    def __init__(
        self,
        arms: ArmCount = 2,
        n_points: PointCount = 1000,
        noise: NotNegative = 0.2,
        batch_size: Count | None = None,
        shuffle: bool = True,
        validation: Share = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, shuffle, validation, seed)
        self.arms, self.n_points, self.noise = arms, n_points, noise
        self.classes = arms

    def _draw(self, generator: torch.Generator) -> Split:
        labels = torch.arange(self.arms).repeat_interleave(self.n_points)  # (N,)
        theta = 2 * math.pi * torch.rand(len(labels), generator=generator).sqrt()  # (N,)
        radius = 2 * theta + math.pi
        angle = theta + 2 * math.pi / self.arms * labels
        points = radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)  # (N, 2)
        return Split(points + _noise(points, self.noise, generator), labels)

    def load(self) -> tuple[Split, Split]:
        return self._draw(stream(self.seed, "train")), self._draw(stream(self.seed, "test"))


class ColourLines(TensorDataModule):
    """The classes of `Spirals` on parallel vertical lines, for testing only.

    Points are float32 (N, 2), the number of the line is int64 (N,). The lines are 8 apart, symmetric about the origin,
    and reach from -15 to 15: the region that the spirals cover.

    Args:
        arms: number of lines; each line is a class.
        n_points: points on each line.
        noise: standard deviation of the noise on each coordinate, in units of the plane.
        seed: seed for the points and their noise.
    """

    sample_shape = (2,)
    for_testing_only = True

    def __init__(
        self, arms: ArmCount = 3, n_points: PointCount = 1000, noise: NotNegative = 0.2, seed: int = 0
    ) -> None:
        super().__init__(batch_size=None, shuffle=False, validation=0.0, seed=seed)
        self.arms, self.n_points, self.noise = arms, n_points, noise
        self.classes = arms

    def load(self) -> tuple[None, Split]:
        generator = stream(self.seed, "lines")
        labels = torch.arange(self.arms).repeat_interleave(self.n_points)  # (N,)
        across = 8.0 * (labels - (self.arms - 1) / 2)
        along = 30 * torch.rand(len(labels), generator=generator) - 15
        points = torch.stack([across, along], dim=1)  # (N, 2)
        return None, Split(points + _noise(points, self.noise, generator), labels)


def _noise(points: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    return deviation * torch.randn(points.shape, generator=generator)
