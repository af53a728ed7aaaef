"""Which figures a run gets, and from what of it each is drawn.

What a network and its data are decides that, never their names, so a network that was written today gets its figures.
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

# Pixels of a side of the plane: in a figure of its own, in an animation, in one of several, and in one neuron's.
SIDE, FRAME_SIDE, SMALL_SIDE, NEURON_SIDE = 300, 200, 120, 48
# As far outside of the data as a picture can show together with it.
FAR = 5.0

#: What is drawn of a run that did not get to its end, and of a module that is no plain task.
OF_THE_HISTORY = ("loss", "accuracy", "parameters")


class Picture(NamedTuple):
    """A figure with the name of its file."""

    name: str
    figure: Figure
    #: The moment of training that it shows, where others of the same name show others; None: the end.
    epoch: int | None = None


@dataclass
class Trained:
    """What is left of a training to draw from.

    Args:
        module: trained.
        datamodule: the data; None where it is of a kind that no figure knows.
        sample: one input (1, ...) as the network gets it; None where nobody saw one.
        history: the columns of history.csv by name.
        moments: in the order of epochs.
        tested: the network's output for all samples of the test (N, ...).
        labels: what these samples truly are (N, ...).
        metrics: of the test, by name.
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
        return getattr(self.module, "network", self.module)

    @property
    def epochs(self) -> int:
        """How many there were."""
        return int(self.history["epoch"][-1]) if self.history.get("epoch") else 0

    @cached_property
    def classes(self) -> int | None:
        """How many there are to tell apart; None for numbers, and where the task says something else of a sample."""
        if self.datamodule is None or self.datamodule.classes is None:
            return None
        x = self.sample
        if self.in_memory:
            x = self.datamodule.transform(self.datamodule.splits["train"].x[:2])
        said = {} if x is None else self.module.predictions(tracing.outputs(self.network, x).float())
        return self.datamodule.classes if {"class", "probabilities"} <= said.keys() else None

    @cached_property
    def names(self) -> list[str] | None:
        """What the classes are called, where not by their numbers."""
        return None if self.datamodule is None else class_names(self.datamodule)

    @property
    def in_memory(self) -> bool:
        """Whether the data are tensors."""
        return isinstance(self.datamodule, TensorDataModule)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample of the data; empty where that is unknown."""
        if self.in_memory:
            return tuple(self.datamodule.splits["train"].x.shape[1:])
        return () if self.sample is None or self.datamodule is None else tuple(self.sample.shape[1:])

    @property
    def on_a_line(self) -> bool:
        """A number from a number."""
        return (
            self.in_memory
            and self.classes is None
            and self.input_shape == (1,)
            and self.datamodule.splits["train"].y.shape[1:] == (1,)
        )

    @property
    def on_a_plane(self) -> bool:
        """Classes of points with two coordinates."""
        return self.in_memory and self.classes is not None and self.input_shape == (2,)

    @property
    def on_images(self) -> bool:
        """Classes of pictures."""
        return self.classes is not None and len(self.input_shape) == 3

    @property
    def pictures(self) -> "Tensor | Inputs":
        """Of the test, by number: as they are stored in memory, or as the network gets them."""
        return self.datamodule.splits["test"].x if self.in_memory else Inputs(self.datamodule.splits["test"])

    @property
    def is_a_line(self) -> bool:
        """Whether the network is weight * x + bias, and nothing else."""
        watched = getattr(self.network, "watched", dict)()
        return set(watched) == {"weight", "bias"} and sum(p.numel() for p in self.network.parameters()) == 2

    @cached_property
    def extent(self) -> plane.Extent:
        return plane.extent_around(self.datamodule.splits["train"].x)

    @cached_property
    def layers(self) -> list[tracing.Layer]:
        return [] if self.sample is None else tracing.trace(self.network, self.sample)

    def probabilities(self, x: Tensor, network: nn.Module | None = None) -> Tensor:
        """Of each class, (N, K), for inputs as they are stored."""
        x = self.as_network_input(x)
        return self.module.predictions(tracing.outputs(network or self.network, x).float())["probabilities"]

    def as_network_input(self, x: Tensor) -> Tensor:
        """Inputs as the network gets them, of those that `pictures` gives."""
        return self.datamodule.transform(x) if self.in_memory else x

    def plane_probabilities(self, extent: plane.Extent, side: int, network: nn.Module | None = None) -> Tensor:
        """The same for every pixel of a part of the plane, (side, side, K)."""
        return self.probabilities(plane.grid(extent, side).view(-1, 2), network).view(side, side, -1)

    def network_at(self, moment: Moment) -> nn.Module:
        """As it was then: a copy, the same one each time."""
        restore(self._copy, moment.state)
        return self._copy

    @cached_property
    def _copy(self) -> nn.Module:
        return copy.deepcopy(self.network)


Drawing = Callable[[Trained], Iterator[Picture]]


def loss(run: Trained) -> Iterator[Picture]:
    if "train/loss" in run.history:
        yield Picture("loss", _curve(curves.loss, run, "loss"))
    elif others := {name: values for name, values in run.history.items() if name.endswith("loss")}:
        yield Picture("loss", curves.losses(run.history["epoch"], others))


def accuracy(run: Trained) -> Iterator[Picture]:
    if "train/acc" in run.history:
        yield Picture("accuracy", _curve(curves.accuracy, run, "acc"))


def _curve(draw: Callable[..., Figure], run: Trained, metric: str) -> Figure:
    history = run.history
    test = run.metrics.get(f"test/{metric}")
    # The line is tested on one point far away, whose loss has nothing to do with the curve's.
    if run.on_a_line:
        test = None
    return draw(history["epoch"], history[f"train/{metric}"], history.get(f"val/{metric}"), test)


def parameters(run: Trained) -> Iterator[Picture]:
    if run.on_a_line and run.is_a_line and "weight" in run.history:
        epochs, weights, biases = _path(run)
        best = line.least_squares(*(values[:, 0] for values in run.datamodule.splits["train"]))
        yield Picture("parameters", line.parameters(epochs, weights, biases, *best))


def surface(run: Trained) -> Iterator[Picture]:
    if run.on_a_line and run.is_a_line and "weight" in run.history:
        _, weights, biases = _path(run)
        x, y = (values[:, 0] for values in run.datamodule.splits["train"])
        yield Picture("surface", line.surface(x, y, weights, biases))


def _path(run: Trained) -> tuple[list[float], list[float], list[float]]:
    """Epochs, weights and biases, from before the first step where that was seen."""
    start = [moment.watched for moment in run.moments[:1] if moment.epoch == 0]
    columns = (run.history["epoch"], run.history["weight"], run.history["bias"])
    if not start:
        return columns
    return tuple(
        [first, *column] for first, column in zip((0, start[0]["weight"], start[0]["bias"]), columns, strict=True)
    )


def fit(run: Trained) -> Iterator[Picture]:
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
    if run.on_a_plane:
        x, y = run.datamodule.splits["train"]
        yield Picture("data", plane.points(x, y, run.classes, run.extent, f"The {len(x):,} points trained on"))


def regions(run: Trained) -> Iterator[Picture]:
    if run.on_a_plane:
        x, y = run.datamodule.splits["train"]
        probabilities = run.plane_probabilities(run.extent, SIDE)
        yield Picture("regions", plane.regions(probabilities, run.extent, x, y, _when(run.epochs)))


def _when(epochs: int) -> str:
    moment = f"after {epochs:,} epoch{'s' * (epochs != 1)}" if epochs else "before training"
    return f"What the network answers where, {moment}"


def far(run: Trained) -> Iterator[Picture]:
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
    if (tested := _tested_images(run)) is not None:
        yield Picture("predictions", images.predictions(*tested, run.names))


def mistakes(run: Trained) -> Iterator[Picture]:
    if (tested := _tested_images(run)) is not None and (figure := images.mistakes(*tested, run.names)) is not None:
        yield Picture("mistakes", figure)


def confusion(run: Trained) -> Iterator[Picture]:
    if (tested := _tested_images(run)) is not None:
        _, labels, probabilities = tested
        yield Picture("confusion", images.confusion(labels, probabilities.argmax(dim=1), run.classes, run.names))


def _tested_images(run: Trained) -> "tuple[Tensor | Inputs, Tensor, Tensor] | None":
    """Pictures by number, labels and probabilities of the test."""
    if not run.on_images or run.tested is None:
        return None
    return run.pictures, run.labels, run.module.predictions(run.tested.float())["probabilities"]


def kernels(run: Trained) -> Iterator[Picture]:
    if run.on_images and run.layers:
        first = next(iter(tracing.blocks(run.layers)), None)
        if first and isinstance(first[0].module, nn.Conv2d) and first[0].module.in_channels in (1, 3):
            yield Picture("kernels", convolution.kernels(first[0].module.weight.detach()))


def feature_maps(run: Trained) -> Iterator[Picture]:
    if not run.on_images:
        return
    image = run.pictures[[0]]
    blocks = tracing.blocks(tracing.trace(run.network, run.as_network_input(image)))
    steps = []
    for block in blocks[:-1]:
        # A row of numbers that only waits for the next layer is no step of its own.
        block = [layer for layer in block if layer.output is not None and not isinstance(layer.module, nn.Flatten)]
        if block and block[-1].output.dim() in (2, 4):
            kinds = "\n".join(type(layer.module).__name__ for layer in block)
            steps.append((kinds, block[-1].output[0]))
    yield Picture("feature_maps", convolution.feature_maps(image[0], steps, run.probabilities(image)[0], run.names))


def network(run: Trained) -> Iterator[Picture]:
    if run.sample is not None:
        total = sum(parameter.numel() for parameter in run.network.parameters())
        name = type(run.network).__name__
        yield Picture("network", diagram.diagram(name, run.sample.shape[1:], run.layers, total))


def activation_functions(run: Trained) -> Iterator[Picture]:
    if hidden_activations(run.layers):
        yield Picture("activations", activations.functions())


def saturation(run: Trained) -> Iterator[Picture]:
    kept = [moment for moment in run.moments if moment.saturated]
    if kept:
        shares = {name: [moment.saturated[name] for moment in kept] for name in kept[-1].saturated}
        yield Picture("saturation", activations.saturation([moment.epoch for moment in kept], shares))


#: By the name that ``figures.only`` takes, in the order in which they are drawn.
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
