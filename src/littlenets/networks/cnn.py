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
    """A 3x3 convolution and 2x2 pooling for each of ``channels``, then linear layers; by default 1-32-64, 3136-128-10.

    Args:
        classes: number of classes K.
        channels: number of output channels of each convolution.
        hidden: sizes of the hidden linear layers.
        activation: activation function between the layers.
    """

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
            # Pooling before the activation gives exactly the same result, since every activation here is increasing, on
            # a quarter of the elements, which makes a step about a sixth faster.
            blocks += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.MaxPool2d(2), ACTIVATIONS[activation]()]
        self.features = PooledConvolutions(*blocks)
        side = IMAGE_SIZE // 2 ** len(channels)
        self.classifier = nn.Sequential(
            nn.Flatten(), *linear_stack([side * side * [1, *channels][-1], *hidden, classes], activation)
        )

    @sample_by_sample
    def forward(self, x: Tensor) -> Tensor:
        """Return logits, float32 (N, K), for normalized images, float32 (N, 1, 28, 28)."""
        x = self.features(x)  # (N, 64, 7, 7) by default
        return self.classifier(x)  # (N, K)
