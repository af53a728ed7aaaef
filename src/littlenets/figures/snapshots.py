"""How a network was at some moments of its training: what the figures of its development are drawn from.

Shapes: P numbers of a network's state, M moments.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# A network that is trained for long takes its shape in the first hundredth of the run, and is polished afterwards.
FIRST_SHARE = 0.0005


class Moment(NamedTuple):
    """A network after some epochs."""

    epoch: int
    #: Its state, float32 (P,); (0,) where that is not kept.
    state: Tensor
    #: The share of saturated units by hidden activation layer.
    saturated: dict[str, float]
    #: What the network wants recorded, such as weight and bias.
    watched: dict[str, float]


def moments_of(epochs: int | None, count: int) -> list[int]:
    """After which epochs to look: before the first, after the last, and in between the closer the earlier.

    A run without an end (None or -1) is looked at after 1, 2, 4, 8 and so on.
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
    """At most so many of them, evenly chosen, the last among them."""
    if len(moments) <= count:
        return list(moments)
    last = len(moments) - 1
    return [moments[last - round(last * step / max(1, count - 1))] for step in reversed(range(count))]


def state_row(network: nn.Module) -> Tensor:
    """All parameters and buffers of a network, float32 (P,) on the CPU."""
    return torch.cat([value.detach().flatten().float().cpu() for value in network.state_dict().values()])


def restore(network: nn.Module, row: Tensor) -> None:
    """Puts back what ``state_row`` took."""
    values = list(network.state_dict().values())
    with torch.no_grad():
        for value, part in zip(values, row.split([value.numel() for value in values]), strict=True):
            value.copy_(part.view(value.shape))


def packed(moments: Sequence[Moment]) -> dict[str, Any]:
    """As a checkpoint holds them: one tensor (M, P), numbers and plain containers."""
    return {
        "states": torch.stack([moment.state for moment in moments]) if moments else torch.empty(0),
        "others": [[moment.epoch, moment.saturated, moment.watched] for moment in moments],
    }


def unpacked(state: dict[str, Any]) -> list[Moment]:
    """What ``packed`` packed."""
    return [
        Moment(epoch, row, saturated, watched)
        for row, (epoch, saturated, watched) in zip(state["states"], state["others"], strict=True)
    ]
