"""The figures of a run: what each needs, and what it is drawn from.

A figure is a function with the decorator `figure`, here or in any module that a run imports. What it needs are
properties of the network and the data, not their names, so new networks get figures too.
Importing this module does not import matplotlib.

Shapes: N samples, K classes, M moments of training.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from . import figures
from .data import ColourLines, DatasetModule, Spirals, TensorDataModule
from .data.class_names import class_names
from .data.datasets import Inputs
from .figures import tracing
from .figures.saturation import activations as hidden_activations
from .figures.snapshots import Moment, restore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .figures.plane import Extent

# Pixels along each side of the plane: in a figure of its own, an animation, one of several plots, one neuron's plot.
SIDE, FRAME_SIDE, SMALL_SIDE, NEURON_SIDE = 300, 200, 120, 48
# Numbers in the state of a network of which states are kept during training. A checkpoint contains about a dozen.
LARGEST_STATE = 100_000
# Width of the plane in the figure "far", relative to the extent of the data: the largest at which both are visible.
FAR = 5.0


@dataclass
class Trained:
    """A trained module with its data and records, from which the figures are drawn.

    Args:
        module: the trained module.
        datamodule: the data; None if no figure supports its kind.
        sample: inputs (1 or more, ...) in the form that the network receives; None if there are none.
        history: the columns of history.csv by name.
        moments: states of the network during training, ordered by epoch.
        tested: the network's output for all test samples (N, ...).
        labels: the true labels of the test samples (N, ...).
        metrics: the test metrics by name.
    """

    module: LightningModule
    datamodule: TensorDataModule | DatasetModule | None = None
    sample: Tensor | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    tested: Tensor | None = None
    labels: Tensor | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def network(self) -> nn.Module:
        """The network of the module, or the module itself if it has no network."""
        return getattr(self.module, "network", self.module)

    @property
    def epochs(self) -> int:
        """The number of epochs trained."""
        return int(self.history["epoch"][-1]) if self.history.get("epoch") else 0

    @cached_property
    def classes(self) -> int | None:
        """The number of classes; None for regression, and for tasks that do not predict a class and probabilities."""
        if self.datamodule is None or self.datamodule.classes is None:
            return None
        x = self.sample
        if self.in_memory:
            x = self.datamodule.transform(self.datamodule.splits["train"].x[:2])
        said = {} if x is None else self.module.predictions(tracing.outputs(self.network, x).float())
        return self.datamodule.classes if {"class", "probabilities"} <= said.keys() else None

    @cached_property
    def names(self) -> list[str] | None:
        """The names of the classes; None if they are only numbered."""
        return None if self.datamodule is None else class_names(self.datamodule)

    @property
    def in_memory(self) -> bool:
        """Return whether the data consists of tensors in memory."""
        return isinstance(self.datamodule, TensorDataModule)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample of the data; empty if unknown."""
        if self.in_memory:
            return tuple(self.datamodule.splits["train"].x.shape[1:])
        return () if self.sample is None or self.datamodule is None else tuple(self.sample.shape[1:])

    @property
    def on_a_line(self) -> bool:
        """Return whether the data maps one number to one number."""
        one = self.in_memory and self.datamodule.splits["train"].y.shape[1:] == self.input_shape == (1,)
        return one and self.classes is None

    @property
    def on_a_plane(self) -> bool:
        """Return whether the data is points with two coordinates and a class each."""
        return self.in_memory and self.classes is not None and self.input_shape == (2,)

    @property
    def pictures(self) -> "Tensor | Inputs":
        """The test images, by index: as stored if in memory, else in the form that the network receives."""
        return self.datamodule.splits["test"].x if self.in_memory else Inputs(self.datamodule.splits["test"])

    @property
    def is_a_line(self) -> bool:
        """Return whether the network computes weight * x + bias and has no other parameters."""
        watched = getattr(self.network, "watched", dict)()
        return set(watched) == {"weight", "bias"} and sum(p.numel() for p in self.network.parameters()) == 2

    @cached_property
    def extent(self) -> "Extent":
        """The part of the plane around the training data."""
        return figures.plane.extent_around(self.datamodule.splits["train"].x)

    @cached_property
    def layers(self) -> list[tracing.Layer]:
        """The layers of the network with their outputs for `sample`; empty if there is no sample."""
        return [] if self.sample is None else tracing.trace(self.network, self.sample)

    @cached_property
    def tested_probabilities(self) -> Tensor:
        """The predicted probability of each class for all test samples, (N, K)."""
        return self.module.predictions(self.tested.float())["probabilities"]

    def probabilities(self, x: Tensor, network: nn.Module | None = None) -> Tensor:
        """Return the probability of each class, (N, K), for inputs as stored in memory."""
        x = self.as_network_input(x)
        return self.module.predictions(tracing.outputs(network or self.network, x).float())["probabilities"]

    def as_network_input(self, x: Tensor) -> Tensor:
        """Return inputs taken from `pictures` in the form that the network receives."""
        return self.datamodule.transform(x) if self.in_memory else x

    def plane_probabilities(self, extent: "Extent", side: int, network: nn.Module | None = None) -> Tensor:
        """Return the probability of each class, (side, side, K), for every pixel of a part of the plane."""
        return self.probabilities(figures.plane.grid(extent, side).view(-1, 2), network).view(side, side, -1)

    def network_at(self, moment: Moment) -> nn.Module:
        """Return a copy of the network in its state at that moment; each call returns the same object."""
        restore(self._copy, moment.state)
        return self._copy

    @cached_property
    def _copy(self) -> nn.Module:
        return copy.deepcopy(self.network)


class Need(NamedTuple):
    """A condition that a run must meet to have a figure."""

    #: What the run needs to have, for messages and docs/figures.md.
    what: str
    met: Callable[[Trained], bool]
    #: Whether this is known only after training.
    later: bool = False


NUMBERS = Need("a number from a number", lambda run: run.on_a_line)
POINTS = Need("points with a class each", lambda run: run.on_a_plane)
PICTURES = Need("pictures with a class each", lambda run: run.classes is not None and len(run.input_shape) == 3)
SPIRALS = Need("spirals", lambda run: isinstance(run.datamodule, Spirals))
LINE = Need("a network of one weight and one bias", lambda run: run.is_a_line)
BENDS = Need("ReLU, tanh or sigmoid between layers", lambda run: bool(hidden_activations(run.layers)))
TEST = Need("a test", lambda run: run.tested is not None, later=True)
# The callback Figures records the next two during training, for the figures that need them.
STATES = Need(f"at most {LARGEST_STATE:,} weights", lambda run: any(len(one.state) for one in run.moments), later=True)
SATURATION = Need(BENDS.what, lambda run: any(moment.saturated for moment in run.moments), later=True)


def column(name: str) -> Need:
    """Return the need for a column of history.csv."""
    return Need(f"{name} in history.csv", lambda run: name in run.history, later=True)


class Picture(NamedTuple):
    """A figure and the name of its file."""

    name: str
    figure: "Figure"
    #: The epoch that the figure shows, if there are figures of the same name for other epochs; None: the end.
    epoch: int | None = None


class RunFigure(NamedTuple):
    """What is known of a figure; see `figure`."""

    name: str
    draw: "Callable[[Trained], Figure | Iterator[Picture] | None]"
    needs: tuple[Need, ...]
    unfinished: bool

    def unmet(self, run: Trained, before_training: bool = False) -> Need | None:
        """Return the first need that a run does not meet; before training, ignore those that are known only later."""
        needs = (need for need in self.needs if not (before_training and need.later))
        return next((need for need in needs if not need.met(run)), None)

    def pictures(self, run: Trained) -> Iterator[Picture]:
        """Draw the figure for a run that meets its needs."""
        drawn = self.draw(run)
        if isinstance(drawn, Iterator):
            yield from drawn
        elif drawn is not None:
            yield Picture(self.name, drawn)


#: The figures by name, in the order in which they are drawn. The names are the valid values of ``figures.only``.
FIGURES: dict[str, RunFigure] = {}


def figure(name: str, *needs: Need, unfinished: bool = False) -> Callable[[Callable], Callable]:
    """Return a decorator that adds a function to the figures of a run, in place of one of the same name.

    The function takes a run, `Trained`, and returns a figure, or None if there is nothing to show. If it has several
    files, it yields a `Picture` for each.

    Args:
        name: name of the figure in ``figures.only``, and of its file.
        needs: what a run needs to have; the function is not called for other runs.
        unfinished: whether the figure is also drawn for a run that did not complete.
    """

    def add(draw: Callable) -> Callable:
        FIGURES[name] = RunFigure(name, draw, needs, unfinished)
        return draw

    return add


@figure("loss", unfinished=True)
def loss(run: Trained) -> "Figure | None":
    """Draw the curves of the loss on training, validation and test data, or of all columns whose names end in loss."""
    if "train/loss" in run.history:
        return _curve(figures.curves.loss, run, "loss")
    others = {name: values for name, values in run.history.items() if name.endswith("loss")}
    return figures.curves.losses(run.history["epoch"], others) if others else None


@figure("accuracy", column("train/acc"), unfinished=True)
def accuracy(run: Trained) -> "Figure":
    """Draw the curves of the accuracy on training, validation and test data."""
    return _curve(figures.curves.accuracy, run, "acc")


def _curve(draw: "Callable[..., Figure]", run: Trained, metric: str) -> "Figure":
    history = run.history
    # The regression line is tested on one distant point, whose loss is not comparable with the curve's.
    test = None if run.on_a_line else run.metrics.get(f"test/{metric}")
    return draw(history["epoch"], history[f"train/{metric}"], history.get(f"val/{metric}"), test)


@figure("parameters", NUMBERS, LINE, column("weight"), unfinished=True)
def parameters(run: Trained) -> "Figure":
    """Draw the path of weight and bias during training."""
    x, y = run.datamodule.splits["train"]
    return figures.line.parameters(*_path(run), *figures.line.least_squares(x[:, 0], y[:, 0]))


@figure("fit", NUMBERS)
def fit(run: Trained) -> "Figure":
    """Draw the predicted curve with training and test data."""
    (x, y), (test_x, test_y) = run.datamodule.splits["train"], run.datamodule.splits["test"]
    both = torch.cat([x, test_x])
    along = torch.linspace(both.min().item(), both.max().item(), 300).unsqueeze(1)
    answer, predicted = (
        tracing.outputs(run.network, run.datamodule.transform(values))[:, 0] for values in (along, test_x)
    )
    return figures.line.fit(x[:, 0], y[:, 0], along[:, 0], answer, test_x[:, 0], test_y[:, 0], predicted)


@figure("surface", NUMBERS, LINE, column("weight"))
def surface(run: Trained) -> "Figure":
    """Draw the loss surface over weight and bias with the path of training."""
    _, weights, biases = _path(run)
    x, y = run.datamodule.splits["train"]
    return figures.line.surface(x[:, 0], y[:, 0], weights, biases)


def _path(run: Trained) -> tuple[list[float], list[float], list[float]]:
    """Return epochs, weights and biases, starting before the first step if that was recorded."""
    start = [{"epoch": 0, **moment.watched} for moment in run.moments[:1] if moment.epoch == 0]
    return tuple([*(first[name] for first in start), *run.history[name]] for name in ("epoch", "weight", "bias"))


@figure("data", POINTS)
def data(run: Trained) -> "Figure":
    """Draw the training data."""
    x, y = run.datamodule.splits["train"]
    return figures.plane.points(x, y, run.classes, run.extent, f"The {len(x):,} points trained on")


@figure("regions", POINTS)
def regions(run: Trained) -> "Figure":
    """Draw the predicted class at each point of the plane, after training."""
    return _regions(run, run.plane_probabilities(run.extent, SIDE), run.epochs)


def _regions(run: Trained, probabilities: Tensor, epochs: int) -> "Figure":
    moment = f"after {epochs:,} epoch{'s' * (epochs != 1)}" if epochs else "before training"
    text = f"What the network answers where, {moment}"
    return figures.plane.regions(probabilities, run.extent, *run.datamodule.splits["train"], text)


@figure("far", POINTS)
def far(run: Trained) -> "Figure":
    """Draw the predictions far outside the training data."""
    x, y = run.datamodule.splits["train"]
    extent = figures.plane.widened(run.extent, FAR)
    probabilities = run.plane_probabilities(extent, SIDE)
    places = figures.plane.grid(extent, SIDE)
    left, right, bottom, top = run.extent
    outside = (places[..., 0] < left) | (places[..., 0] > right) | (places[..., 1] < bottom) | (places[..., 1] > top)
    confidence = probabilities.amax(dim=2)[outside].mean().item()
    text = f"Outside the frame it never saw a point: {100 * confidence:.0f}% sure on average"
    return figures.plane.regions(probabilities, extent, x, y, text, data_extent=run.extent)


@figure("lines", POINTS, SPIRALS)
def lines(run: Trained) -> "Figure":
    """Draw the predictions of a network trained on spirals for points on lines."""
    other = ColourLines(arms=run.classes, noise=run.datamodule.noise, seed=run.datamodule.seed)
    other.setup()
    x, y = other.splits["test"]
    extent = figures.plane.extent_around(torch.cat([x, run.datamodule.splits["train"].x]), margin=0.1)
    right = (run.probabilities(x).argmax(dim=1) == y).float().mean().item()
    text = f"The same network on lines of points: {100 * right:.0f}% right"
    return figures.plane.regions(run.plane_probabilities(extent, SIDE), extent, x, y, text)


@figure("moments", POINTS, STATES)
def moments(run: Trained) -> Iterator[Picture]:
    """Yield the predictions on the plane at all recorded moments in one figure, then in a figure for each moment."""
    kept = [moment for moment in run.moments if len(moment.state)]
    small = [run.plane_probabilities(run.extent, SMALL_SIDE, run.network_at(moment)) for moment in kept]
    epochs = [moment.epoch for moment in kept]
    yield Picture("moments", figures.plane.moments(epochs, small, run.extent, *run.datamodule.splits["train"]))
    for moment in kept:
        probabilities = run.plane_probabilities(run.extent, FRAME_SIDE, run.network_at(moment))
        yield Picture("regions", _regions(run, probabilities, moment.epoch), moment.epoch)


@figure("neurons", POINTS)
def neurons(run: Trained) -> Iterator[Picture]:
    """Yield a figure for each hidden layer with the response of each neuron on the plane."""
    places = run.datamodule.transform(figures.plane.grid(run.extent, NEURON_SIDE).view(-1, 2))
    blocks = tracing.blocks(tracing.trace(run.network, places))
    for number, block in enumerate(blocks[:-1], start=1):
        output = block[-1].output
        if output is not None and output.dim() == 2 and len(output) == len(places):
            responses = output.T.reshape(-1, NEURON_SIDE, NEURON_SIDE)
            text = f"Hidden layer {number}"
            yield Picture(f"neurons_{number}", figures.neurons.neurons(responses, run.extent, text))


@figure("predictions", PICTURES, TEST)
def predictions(run: Trained) -> "Figure":
    """Draw ten test images with the predicted probabilities."""
    return figures.images.predictions(run.pictures, run.labels, run.tested_probabilities, run.names)


@figure("mistakes", PICTURES, TEST)
def mistakes(run: Trained) -> "Figure | None":
    """Draw the ten wrongly classified test images with the highest probability, if there are any."""
    return figures.images.mistakes(run.pictures, run.labels, run.tested_probabilities, run.names)


@figure("confusion", PICTURES, TEST)
def confusion(run: Trained) -> "Figure":
    """Draw the confusion matrix of the test images."""
    return figures.images.confusion(run.labels, run.tested_probabilities.argmax(dim=1), run.classes, run.names)


@figure("kernels", PICTURES)
def kernels(run: Trained) -> "Figure | None":
    """Draw the filters of the first layer, if it is a convolution of grey or colour images."""
    first = next((block[0].module for block in tracing.blocks(run.layers)), None)
    if isinstance(first, nn.Conv2d) and first.in_channels in (1, 3):
        return figures.convolution.kernels(first.weight.detach())
    return None


@figure("feature_maps", PICTURES)
def feature_maps(run: Trained) -> "Figure":
    """Draw the outputs of all layers for the first test image."""
    image = run.pictures[[0]]
    blocks = tracing.blocks(tracing.trace(run.network, run.as_network_input(image)))
    steps = []
    for block in blocks[:-1]:
        # nn.Flatten only reshapes, so it is not shown as a step of its own.
        block = [layer for layer in block if layer.output is not None and not isinstance(layer.module, nn.Flatten)]
        if block and block[-1].output.dim() in (2, 4):
            kinds = "\n".join(type(layer.module).__name__ for layer in block)
            steps.append((kinds, block[-1].output[0]))
    return figures.convolution.feature_maps(image[0], steps, run.probabilities(image)[0], run.names)


@figure("network", TEST)
def network(run: Trained) -> "Figure":
    """Draw a diagram of the network's layers."""
    total = sum(parameter.numel() for parameter in run.network.parameters())
    return figures.diagram.diagram(type(run.network).__name__, run.sample.shape[1:], run.layers, total)


@figure("activations", BENDS)
def activations(run: Trained) -> "Figure":
    """Draw the activation functions."""
    return figures.activations.functions()


@figure("saturation", SATURATION)
def saturation(run: Trained) -> "Figure":
    """Draw the share of saturated units by layer during training."""
    kept = [moment for moment in run.moments if moment.saturated]
    shares = {name: [moment.saturated[name] for moment in kept] for name in kept[-1].saturated}
    return figures.activations.saturation([moment.epoch for moment in kept], shares)
