"""A convolutional network for grey images of 28 by 28 pixels.

Shapes: N batch, C channels, H W pixels, K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..ranges import Count
from .layers import ACTIVATIONS, Activation, linear_stack

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
            blocks += [nn.Conv2d(inputs, outputs, 3, padding=1), ACTIVATIONS[activation](), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*blocks)
        side = IMAGE_SIZE // 2 ** len(channels)
        self.classifier = nn.Sequential(
            nn.Flatten(), *linear_stack([side * side * [1, *channels][-1], *hidden, classes], activation)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, float32 (N, K), for normalized images, float32 (N, 1, 28, 28)."""
        x = self.features(x)  # (N, 64, 7, 7) by default
        return self.classifier(x)  # (N, K)
