"""A network as a user would write one, outside the package."""

from pathlib import Path

from torch import Tensor, nn


class RandomNet(nn.Module):
    """Forgets half of its hidden units at random in training, and adds noise of its own."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, classes))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + 0.1 * x.new_empty(x.shape).normal_()
        return self.layers(x)


class OutOfOrder(nn.Module):
    """A line that breaks as soon as it is trained, if it is told to; or once some file is there, too."""

    def __init__(self, breaks: bool = False, waits_for: str | None = None) -> None:
        super().__init__()
        self.layer, self.breaks, self.waits_for = nn.Linear(1, 1), breaks, waits_for

    def forward(self, x: Tensor) -> Tensor:
        if self.breaks and self.training and (self.waits_for is None or Path(self.waits_for).exists()):
            raise ValueError("out of order")
        return self.layer(x)


class Colours(nn.Module):
    """Classes of pictures float32 (N, 3, H, W) of any size, by a small convolution and the mean over all pixels."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Words(nn.Module):
    """The class of a row of five words, each a number int64 below 11."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.embedding, self.output = nn.Embedding(11, 4), nn.Linear(20, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.embedding(x).flatten(1))


class Watched(nn.Linear):
    """Has a name with a comma for what is recorded of it."""

    def __init__(self) -> None:
        super().__init__(1, 1)

    def watched(self) -> dict[str, Tensor]:
        return {"slope, weight": self.weight}
