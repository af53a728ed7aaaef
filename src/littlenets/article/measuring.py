"""Measure quantities on the trained network of a run that the run itself does not record.

PyTorch is imported inside the functions that use it.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingError
from .measured_runs import UnmeasuredError

if TYPE_CHECKING:
    from ..run_figures import Trained

# Pixels per side of the plane.
SIDE = 200
# Number of points on each arm's next turn.
POINTS = 1000


def certainty_far_outside(folder: Path) -> tuple[float, float]:
    """Return how confident a classifier of points is outside its data, in the region shown by the figure ``far``.

    Args:
        folder: run folder.

    Returns:
        The mean probability of the predicted class, and the share of the region where it is above 90%.

    Raises:
        UnmeasuredError: the network cannot be rebuilt, or its data are not points of a plane.
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
    """Return the accuracy of a classifier of spiral arms on the next turn of each arm, without noise.

    Args:
        folder: run folder.

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
    theta = 2 * math.pi * (1 + torch.arange(POINTS) / POINTS).repeat(arms)  # (N,); 0 .. 2 pi in the training data
    angle = theta + 2 * math.pi / arms * labels
    points = (2 * theta + math.pi).unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)  # (N, 2)
    return (run.probabilities(points).argmax(dim=1) == labels).float().mean().item()


def saturated_share(folder: Path) -> float:
    """Return the share of saturated hidden units over all training samples, averaged over the layers.

    A unit is saturated on a sample if its gradient is close to zero; see `figures.saturation`.

    Args:
        folder: run folder.

    Raises:
        UnmeasuredError: the network cannot be rebuilt, or has no hidden ReLU, tanh or sigmoid layer.
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
