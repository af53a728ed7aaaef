"""The four recipes written by hand with torch alone: what the package has to agree with.

Shapes: N samples, B batch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(*sizes: int, activation: type[nn.Module] = nn.ReLU, end: Sequence[nn.Module] = ()) -> nn.Sequential:
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1], *end)


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Linear(1, 1))


def spiral(hidden: Sequence[int] = (64, 64), activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return mlp(2, *hidden, 1, activation=activation, end=[nn.Sigmoid()])


def multispiral(
    hidden: Sequence[int] = (64, 64), activation: type[nn.Module] = nn.ReLU, classes: int = 3
) -> nn.Sequential:
    return mlp(2, *hidden, classes, activation=activation)


def cnn(
    channels: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (128,),
    activation: type[nn.Module] = nn.ReLU,
    classes: int = 10,
) -> nn.Sequential:
    layers, before, side = [], 1, 28
    for after in channels:
        layers += [nn.Conv2d(before, after, 3, padding=1), activation(), nn.MaxPool2d(2)]
        before, side = after, side // 2
    return nn.Sequential(*layers, nn.Flatten(), *mlp(before * side * side, *hidden, classes, activation=activation))


def mse(output: Tensor, y: Tensor) -> Tensor:
    return ((output - y.view_as(output)) ** 2).mean()


def bce(output: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy(output, y.view_as(output).to(output.dtype))


def cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(output, y)


def hits_binary(output: Tensor, y: Tensor) -> int:
    return int(((output[:, 0] > 0.5).long() == y).sum())


def hits_multiclass(output: Tensor, y: Tensor) -> int:
    return int((output.argmax(1) == y).sum())


@dataclass
class PlainFit:
    """A training loop as anybody would write it; ``epoch`` runs one and appends to the lists.

    Args:
        order: the index tensors of the batches of an epoch (0, 1, ...); None is all samples at once.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    hits: Callable[[Tensor, Tensor], int] | None = None
    order: Callable[[int], Iterable[Tensor | slice]] | None = None
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
    scheduler_per_batch: bool = False
    #: In which the network runs; its output is float32 again for the loss.
    autocast: torch.dtype | None = None
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    #: The learning rate of every optimizer step.
    lrs: list[float] = field(default_factory=list)
    steps: int = 0

    def epoch(self, max_steps: int | None = None) -> None:
        loss_sum, hits, samples = 0.0, 0, 0
        for chosen in [slice(None)] if self.order is None else self.order(len(self.losses)):
            if self.steps == max_steps:
                break
            x, y = self.x[chosen], self.y[chosen]
            if self.autocast is None:
                output = self.network(x)
            else:
                with torch.autocast(x.device.type, self.autocast):
                    output = self.network(x)
                output = output.float()
            loss = self.loss(output, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.lrs.append(self.optimizer.param_groups[0]["lr"])
            self.optimizer.step()
            self.steps += 1
            loss_sum += loss.item() * len(x)
            samples += len(x)
            if self.hits is not None:
                hits += self.hits(output.detach(), y)
            if self.scheduler is not None and self.scheduler_per_batch:
                self.scheduler.step()
        self.losses.append(loss_sum / samples)
        self.accuracies.append(hits / samples)
        if self.scheduler is not None and not self.scheduler_per_batch:
            self.scheduler.step()

    def run(self, epochs: int) -> "PlainFit":
        for _ in range(epochs):
            self.epoch()
        return self

    @property
    def weights(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.network.parameters()]
