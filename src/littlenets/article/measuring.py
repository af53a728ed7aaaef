"""Numbers that no run records, measured on its trained network. PyTorch is imported where it is used."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingError
from .measured_runs import UnmeasuredError

if TYPE_CHECKING:
    from ..run_figures import Trained

# Pixels of a side of the plane.
SIDE = 200
# On each arm, where it goes on.
POINTS = 1000


def certainty_far_outside(folder: Path) -> tuple[float, float]:
    """How sure a classifier of points is of its answers around its data, on the area that the figure ``far`` shows.

    Returns:
        The mean probability of the answer given, and the share of the area where it is above 90%.

    Raises:
        UnmeasuredError: the network cannot be rebuilt, or is none of the plane.
    """
    run = _trained(folder)
    if not run.on_a_plane:
        raise UnmeasuredError("its data are no points on a plane")
    from ..figures import plane
    from ..run_figures import FAR

    extent = plane.widened(run.extent, FAR)
    certainty = run.plane_probabilities(extent, SIDE).amax(dim=2)
    places = plane.grid(extent, SIDE)
    left, right, bottom, top = run.extent
    x, y = places[..., 0], places[..., 1]
    outside = certainty[(x < left) | (x > right) | (y < bottom) | (y > top)]
    return outside.mean().item(), (outside > 0.9).float().mean().item()


def accuracy_further_out(folder: Path) -> float:
    """How often a classifier of spiral arms is right where each arm would go on for another turn, without noise.

    Raises:
        UnmeasuredError: the network cannot be rebuilt, or was not trained on spirals.
    """
    import torch

    from ..data import Spirals

    run = _trained(folder)
    if not isinstance(run.datamodule, Spirals):
        raise UnmeasuredError("its data are no spirals")
    arms = run.datamodule.arms
    labels = torch.arange(arms).repeat_interleave(POINTS)  # (N,)
    theta = 2 * math.pi * (1 + torch.arange(POINTS) / POINTS).repeat(arms)  # (N,), where the data has 0 .. 2 pi
    angle = theta + 2 * math.pi / arms * labels
    points = (2 * theta + math.pi).unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)  # (N, 2)
    return (run.probabilities(points).argmax(dim=1) == labels).float().mean().item()


def saturated_share(folder: Path) -> float:
    """Over all hidden units and training samples, how often the gradient is next to nothing.

    Raises:
        UnmeasuredError: the network cannot be rebuilt, or has no activations of which this is known.
    """
    from ..figures import saturation, tracing

    run = _trained(folder)
    x = run.datamodule.transform(run.datamodule.splits["train"].x)
    shares = saturation.saturated_shares(tracing.trace(run.network, x))
    if not shares:
        raise UnmeasuredError("the network has no hidden activations")
    return sum(shares.values()) / len(shares)


def _trained(folder: Path) -> "Trained":
    from ..run_figures import Trained
    from ..runs.loading import load_datamodule, load_module, load_run

    try:
        saved = load_run(folder)
        return Trained(load_module(saved), load_datamodule(saved))
    except SettingError as error:
        raise UnmeasuredError(str(error)) from error
