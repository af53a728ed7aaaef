"""Select the figures of a run and collect the data that each is drawn from.

The selection depends on the kind of network and data, not on their names, so new networks get figures too.
Importing this module imports matplotlib.

Shapes: N samples, K classes, M moments of training.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from .data import ColourLines, DatasetModule, Spirals, TensorDataModule
from .data.class_names import class_names
from .data.datasets import Inputs
from .figures import NAMES, activations, convolution, curves, diagram, images, line, neurons, plane, tracing
from .figures.saturation import activations as hidden_activations
from .figures.snapshots import Moment, restore

# Pixels along each side of the plane: in a figure of its own, an animation, one of several plots, one neuron's plot.
SIDE, FRAME_SIDE, SMALL_SIDE, NEURON_SIDE = 300, 200, 120, 48
# Width of the plane in the figure "far", relative to the extent of the data: the largest at which both are visible.
FAR = 5.0

#: Figures of a run that did not complete, and of a module that is not a plain task.
OF_THE_HISTORY = ("loss", "accuracy", "parameters")


class Picture(NamedTuple):
    """A figure and the name of its file."""

    name: str
    figure: Figure
    #: The epoch that the figure shows, if there are figures of the same name for other epochs; None: the end.
    epoch: int | None = None


@dataclass
class Trained:
    """A trained module with its data and records, from which the figures are drawn.

    Args:
        module: the trained module.
        datamodule: the data; None if no figure supports its kind.
        sample: one input (1, ...) in the form that the network receives; None if there is none.
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
        return (
            self.in_memory
            and self.classes is None
            and self.input_shape == (1,)
            and self.datamodule.splits["train"].y.shape[1:] == (1,)
        )

    @property
    def on_a_plane(self) -> bool:
        """Return whether the data is points with two coordinates and a class each."""
        return self.in_memory and self.classes is not None and self.input_shape == (2,)

    @property
    def on_images(self) -> bool:
        """Return whether the data is images with a class each."""
        return self.classes is not None and len(self.input_shape) == 3

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
    def extent(self) -> plane.Extent:
        """The part of the plane around the training data."""
        return plane.extent_around(self.datamodule.splits["train"].x)

    @cached_property
    def layers(self) -> list[tracing.Layer]:
        """The layers of the network with their outputs for `sample`; empty if there is no sample."""
        return [] if self.sample is None else tracing.trace(self.network, self.sample)

    def probabilities(self, x: Tensor, network: nn.Module | None = None) -> Tensor:
        """Return the probability of each class, (N, K), for inputs as stored in memory."""
        x = self.as_network_input(x)
        return self.module.predictions(tracing.outputs(network or self.network, x).float())["probabilities"]

    def as_network_input(self, x: Tensor) -> Tensor:
        """Return inputs taken from `pictures` in the form that the network receives."""
        return self.datamodule.transform(x) if self.in_memory else x

    def plane_probabilities(self, extent: plane.Extent, side: int, network: nn.Module | None = None) -> Tensor:
        """Return the probability of each class, (side, side, K), for every pixel of a part of the plane."""
        return self.probabilities(plane.grid(extent, side).view(-1, 2), network).view(side, side, -1)

    def network_at(self, moment: Moment) -> nn.Module:
        """Return a copy of the network in its state at that moment; each call returns the same object."""
        restore(self._copy, moment.state)
        return self._copy

    @cached_property
    def _copy(self) -> nn.Module:
        return copy.deepcopy(self.network)


Drawing = Callable[[Trained], Iterator[Picture]]


def loss(run: Trained) -> Iterator[Picture]:
    """Yield the curves of the loss on training, validation and test data, or of all columns whose names end in loss."""
    if "train/loss" in run.history:
        yield Picture("loss", _curve(curves.loss, run, "loss"))
    elif others := {name: values for name, values in run.history.items() if name.endswith("loss")}:
        yield Picture("loss", curves.losses(run.history["epoch"], others))


def accuracy(run: Trained) -> Iterator[Picture]:
    """Yield the curves of the accuracy on training, validation and test data."""
    if "train/acc" in run.history:
        yield Picture("accuracy", _curve(curves.accuracy, run, "acc"))


def _curve(draw: Callable[..., Figure], run: Trained, metric: str) -> Figure:
    history = run.history
    test = run.metrics.get(f"test/{metric}")
    # The regression line is tested on one distant point, whose loss is not comparable with the curve's.
    if run.on_a_line:
        test = None
    return draw(history["epoch"], history[f"train/{metric}"], history.get(f"val/{metric}"), test)


def parameters(run: Trained) -> Iterator[Picture]:
    """Yield the path of weight and bias during training, for a linear regression."""
    if run.on_a_line and run.is_a_line and "weight" in run.history:
        epochs, weights, biases = _path(run)
        best = line.least_squares(*(values[:, 0] for values in run.datamodule.splits["train"]))
        yield Picture("parameters", line.parameters(epochs, weights, biases, *best))


def surface(run: Trained) -> Iterator[Picture]:
    """Yield the loss surface over weight and bias with the path of training, for a linear regression."""
    if run.on_a_line and run.is_a_line and "weight" in run.history:
        _, weights, biases = _path(run)
        x, y = (values[:, 0] for values in run.datamodule.splits["train"])
        yield Picture("surface", line.surface(x, y, weights, biases))


def _path(run: Trained) -> tuple[list[float], list[float], list[float]]:
    """Return epochs, weights and biases, starting before the first step if that was recorded."""
    start = [moment.watched for moment in run.moments[:1] if moment.epoch == 0]
    columns = (run.history["epoch"], run.history["weight"], run.history["bias"])
    if not start:
        return columns
    return tuple(
        [first, *column] for first, column in zip((0, start[0]["weight"], start[0]["bias"]), columns, strict=True)
    )


def fit(run: Trained) -> Iterator[Picture]:
    """Yield the predicted curve with training and test data, for data that maps one number to one number."""
    if not run.on_a_line:
        return
    (x, y), (test_x, test_y) = run.datamodule.splits["train"], run.datamodule.splits["test"]
    both = torch.cat([x, test_x])
    along = torch.linspace(both.min().item(), both.max().item(), 300).unsqueeze(1)
    answer, predicted = (
        tracing.outputs(run.network, run.datamodule.transform(values))[:, 0] for values in (along, test_x)
    )
    yield Picture("fit", line.fit(x[:, 0], y[:, 0], along[:, 0], answer, test_x[:, 0], test_y[:, 0], predicted))


def data(run: Trained) -> Iterator[Picture]:
    """Yield the training data, for points on a plane."""
    if run.on_a_plane:
        x, y = run.datamodule.splits["train"]
        yield Picture("data", plane.points(x, y, run.classes, run.extent, f"The {len(x):,} points trained on"))


def regions(run: Trained) -> Iterator[Picture]:
    """Yield the predicted class at each point of the plane, after training."""
    if run.on_a_plane:
        x, y = run.datamodule.splits["train"]
        probabilities = run.plane_probabilities(run.extent, SIDE)
        yield Picture("regions", plane.regions(probabilities, run.extent, x, y, _when(run.epochs)))


def _when(epochs: int) -> str:
    moment = f"after {epochs:,} epoch{'s' * (epochs != 1)}" if epochs else "before training"
    return f"What the network answers where, {moment}"


def far(run: Trained) -> Iterator[Picture]:
    """Yield the predictions far outside the training data, for points on a plane."""
    if not run.on_a_plane:
        return
    x, y = run.datamodule.splits["train"]
    extent = plane.widened(run.extent, FAR)
    probabilities = run.plane_probabilities(extent, SIDE)
    places = plane.grid(extent, SIDE)
    left, right, bottom, top = run.extent
    outside = (places[..., 0] < left) | (places[..., 0] > right) | (places[..., 1] < bottom) | (places[..., 1] > top)
    confidence = probabilities.amax(dim=2)[outside].mean().item()
    text = f"Outside the frame it never saw a point: {100 * confidence:.0f}% sure on average"
    yield Picture("far", plane.regions(probabilities, extent, x, y, text, data_extent=run.extent))


def lines(run: Trained) -> Iterator[Picture]:
    """Yield the predictions of a network trained on spirals for points on lines."""
    if not (run.on_a_plane and isinstance(run.datamodule, Spirals)):
        return
    other = ColourLines(arms=run.classes, noise=run.datamodule.noise, seed=run.datamodule.seed)
    other.setup()
    x, y = other.splits["test"]
    extent = plane.extent_around(torch.cat([x, run.datamodule.splits["train"].x]), margin=0.1)
    right = (run.probabilities(x).argmax(dim=1) == y).float().mean().item()
    text = f"The same network on lines of points: {100 * right:.0f}% right"
    yield Picture("lines", plane.regions(run.plane_probabilities(extent, SIDE), extent, x, y, text))


def moments(run: Trained) -> Iterator[Picture]:
    """Yield the predictions on the plane at all recorded moments in one figure, then in a figure for each moment."""
    kept = [moment for moment in run.moments if len(moment.state)]
    if not (run.on_a_plane and kept):
        return
    x, y = run.datamodule.splits["train"]
    small = [run.plane_probabilities(run.extent, SMALL_SIDE, run.network_at(moment)) for moment in kept]
    yield Picture("moments", plane.moments([moment.epoch for moment in kept], small, run.extent, x, y))
    for moment in kept:
        probabilities = run.plane_probabilities(run.extent, FRAME_SIDE, run.network_at(moment))
        figure = plane.regions(probabilities, run.extent, x, y, _when(moment.epoch))
        yield Picture("regions", figure, moment.epoch)


def hidden_neurons(run: Trained) -> Iterator[Picture]:
    """Yield a figure for each hidden layer with the response of each neuron on the plane."""
    if not run.on_a_plane:
        return
    places = run.datamodule.transform(plane.grid(run.extent, NEURON_SIDE).view(-1, 2))
    blocks = tracing.blocks(tracing.trace(run.network, places))
    for number, block in enumerate(blocks[:-1], start=1):
        output = block[-1].output
        if output is not None and output.dim() == 2 and len(output) == len(places):
            responses = output.T.reshape(-1, NEURON_SIDE, NEURON_SIDE)
            yield Picture(f"neurons_{number}", neurons.neurons(responses, run.extent, f"Hidden layer {number}"))


def predictions(run: Trained) -> Iterator[Picture]:
    """Yield ten test images with the predicted probabilities."""
    if (tested := _tested_images(run)) is not None:
        yield Picture("predictions", images.predictions(*tested, run.names))


def mistakes(run: Trained) -> Iterator[Picture]:
    """Yield the ten wrongly classified test images with the highest probability, if there are any."""
    if (tested := _tested_images(run)) is not None and (figure := images.mistakes(*tested, run.names)) is not None:
        yield Picture("mistakes", figure)


def confusion(run: Trained) -> Iterator[Picture]:
    """Yield the confusion matrix of the test images."""
    if (tested := _tested_images(run)) is not None:
        _, labels, probabilities = tested
        yield Picture("confusion", images.confusion(labels, probabilities.argmax(dim=1), run.classes, run.names))


def _tested_images(run: Trained) -> "tuple[Tensor | Inputs, Tensor, Tensor] | None":
    """Return test images by index, labels (N,) and probabilities (N, K); None if no images were tested."""
    if not run.on_images or run.tested is None:
        return None
    return run.pictures, run.labels, run.module.predictions(run.tested.float())["probabilities"]


def kernels(run: Trained) -> Iterator[Picture]:
    """Yield the filters of the first layer, if it is a convolution of grey or colour images."""
    if run.on_images and run.layers:
        first = next(iter(tracing.blocks(run.layers)), None)
        if first and isinstance(first[0].module, nn.Conv2d) and first[0].module.in_channels in (1, 3):
            yield Picture("kernels", convolution.kernels(first[0].module.weight.detach()))


def feature_maps(run: Trained) -> Iterator[Picture]:
    """Yield the outputs of all layers for the first test image."""
    if not run.on_images:
        return
    image = run.pictures[[0]]
    blocks = tracing.blocks(tracing.trace(run.network, run.as_network_input(image)))
    steps = []
    for block in blocks[:-1]:
        # nn.Flatten only reshapes, so it is not shown as a step of its own.
        block = [layer for layer in block if layer.output is not None and not isinstance(layer.module, nn.Flatten)]
        if block and block[-1].output.dim() in (2, 4):
            kinds = "\n".join(type(layer.module).__name__ for layer in block)
            steps.append((kinds, block[-1].output[0]))
    yield Picture("feature_maps", convolution.feature_maps(image[0], steps, run.probabilities(image)[0], run.names))


def network(run: Trained) -> Iterator[Picture]:
    """Yield a diagram of the network's layers."""
    if run.sample is not None:
        total = sum(parameter.numel() for parameter in run.network.parameters())
        name = type(run.network).__name__
        yield Picture("network", diagram.diagram(name, run.sample.shape[1:], run.layers, total))


def activation_functions(run: Trained) -> Iterator[Picture]:
    """Yield the activation functions, if the network has hidden activations."""
    if hidden_activations(run.layers):
        yield Picture("activations", activations.functions())


def saturation(run: Trained) -> Iterator[Picture]:
    """Yield the share of saturated units by layer during training."""
    kept = [moment for moment in run.moments if moment.saturated]
    if kept:
        shares = {name: [moment.saturated[name] for moment in kept] for name in kept[-1].saturated}
        yield Picture("saturation", activations.saturation([moment.epoch for moment in kept], shares))


#: Drawing functions by the name that ``figures.only`` accepts, in the order in which they are drawn.
GALLERY: dict[str, Drawing] = dict(
    zip(
        NAMES,
        (
            *(loss, accuracy, parameters, fit, surface, data, regions, far, lines, moments, hidden_neurons),
            *(predictions, mistakes, confusion, kernels, feature_maps, network, activation_functions, saturation),
        ),
        strict=True,
    )
)
