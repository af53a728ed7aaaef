"""Grey images of 28 by 28 pixels, kept as bytes and normalised batch by batch.

Shapes: N images, B batch.
"""

from torch import Tensor

from ..ranges import Count, Positive, Share
from .base import TensorDataModule


class ImageDataModule(TensorDataModule):
    """Images uint8 (N, 1, 28, 28) in memory, float32 (B, 1, 28, 28) in a batch; labels int64 (N,).

    Args:
        mean: of the training pixels, brought to 0..1.
        std: their standard deviation.
    """

    sample_name = "images"
    sample_shape = (1, 28, 28)

    def __init__(
        self, mean: float, std: Positive, batch_size: Count | None, shuffle: bool, validation: Share, seed: int
    ) -> None:
        super().__init__(batch_size, shuffle, validation, seed)
        self.mean, self.std = mean, std

    def transform(self, x: Tensor) -> Tensor:
        # The operations of torchvision's ToTensor and Normalize in their order, so the same bits.
        return x.float().div_(255).sub_(self.mean).div_(self.std)
