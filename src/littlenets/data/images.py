"""Grey images of 28 by 28 pixels, kept as bytes and normalised batch by batch.

Shapes: N images, B batch.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..ranges import Count, Positive, Share
from .base import TensorDataModule

IMAGE_SIZE = 28


class PictureForm(NamedTuple):
    """How the makers of a data set brought pictures to its form.

    Attributes:
        box: pixels of the longer side of what the picture shows.
        centre: what lies in the middle of the image: the centre of mass, or that of the box.
        strokes: whether it shows lines on paper, and not a solid thing that may fill the picture.
    """

    box: int
    centre: Literal["mass", "box"]
    strokes: bool


class ImageDataModule(TensorDataModule):
    """Images uint8 (N, 1, 28, 28) in memory, float32 (B, 1, 28, 28) in a batch; labels int64 (N,).

    Args:
        mean: of the training pixels, brought to 0..1.
        std: their standard deviation.
    """

    sample_name = "images"
    sample_shape = (1, 28, 28)
    #: Of MNIST (LeCun, Cortes and Burges), whose form other digits are given as well.
    picture_form = PictureForm(box=20, centre="mass", strokes=True)

    def __init__(
        self, mean: float, std: Positive, batch_size: Count | None, shuffle: bool, validation: Share, seed: int
    ) -> None:
        super().__init__(batch_size, shuffle, validation, seed)
        self.mean, self.std = mean, std

    def transform(self, x: Tensor) -> Tensor:
        # The operations of torchvision's ToTensor and Normalize in their order, so the same bits.
        return x.float().div_(255).sub_(self.mean).div_(self.std)


def enlarge(images: Tensor) -> Tensor:
    """Bring small digits to MNIST's form: 20 x 20 pixels, bilinearly, in the middle of 28 x 28.

    Args:
        images: float (N, 1, H, W), 0..255.

    Returns:
        uint8 (N, 1, 28, 28).
    """
    images = F.interpolate(images, size=(20, 20), mode="bilinear", align_corners=False)
    return F.pad(images, (4, 4, 4, 4)).round().to(torch.uint8)
