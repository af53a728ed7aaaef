"""States of a network at several moments of training, from which figures of its development are drawn.

Shapes: P parameters and buffers of a network, M moments.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# First moment after the start, as a fraction of all epochs. In long runs, the network changes most in the first
# hundredth of the run.
FIRST_SHARE = 0.0005


class Moment(NamedTuple):
    """The state of a network after a number of epochs."""

    epoch: int
    #: Parameters and buffers, float32 (P,); (0,) if they are not kept.
    state: Tensor
    #: Share of saturated units by hidden activation layer.
    saturated: dict[str, float]
    #: Values that the network records in the history, such as weight and bias.
    watched: dict[str, float]


def moments_of(epochs: int | None, count: int) -> list[int]:
    """Return the epochs after which the state is recorded: 0, the last, and epochs between, denser at the start.

    For a run without an end (``epochs`` None or -1) these are 0, 1, 2, 4, 8 and so on.
    """
    if epochs in (None, -1):
        return [0, *(2**power for power in range(40))]
    if epochs < count:
        return list(range(epochs + 1))
    first = max(1.0, FIRST_SHARE * epochs)
    between = max(1, count - 2)
    chosen = {round(first * (epochs / first) ** (step / between)) for step in range(between + 1)}
    return sorted({0, epochs} | chosen)


def thinned(moments: Sequence[Moment], count: int) -> list[Moment]:
    """Return at most ``count`` of the moments, evenly spaced and including the last."""
    if len(moments) <= count:
        return list(moments)
    last = len(moments) - 1
    return [moments[last - round(last * step / max(1, count - 1))] for step in reversed(range(count))]


def state_row(network: nn.Module) -> Tensor:
    """Return all parameters and buffers of a network, float32 (P,) on the CPU."""
    return torch.cat([value.detach().flatten().float().cpu() for value in network.state_dict().values()])


def restore(network: nn.Module, row: Tensor) -> None:
    """Load the values returned by `state_row` into a network."""
    values = list(network.state_dict().values())
    with torch.no_grad():
        for value, part in zip(values, row.split([value.numel() for value in values]), strict=True):
            value.copy_(part.view(value.shape))


def packed(moments: Sequence[Moment]) -> dict[str, Any]:
    """Return moments in the form stored in a checkpoint: one tensor (M, P), numbers and plain containers."""
    return {
        "states": torch.stack([moment.state for moment in moments]) if moments else torch.empty(0),
        "others": [[moment.epoch, moment.saturated, moment.watched] for moment in moments],
    }


def unpacked(state: dict[str, Any]) -> list[Moment]:
    """Return the moments stored by `packed`."""
    return [
        Moment(epoch, row, saturated, watched)
        for row, (epoch, saturated, watched) in zip(state["states"], state["others"], strict=True)
    ]
