"""Grey images of 28 x 28 pixels, stored as bytes and normalized batch by batch.

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
    """How the authors of a dataset placed a picture's content in an image.

    Attributes:
        box: length in pixels of the longer side of the box around the content.
        centre: which point of the content lies in the middle of the image: its centre of mass, or the centre of its
            box.
        strokes: whether the content is lines drawn on paper, as opposed to a solid object that may fill the picture.
    """

    box: int
    centre: Literal["mass", "box"]
    strokes: bool


class ImageDataModule(TensorDataModule):
    """Images uint8 (N, 1, 28, 28) in memory, float32 (B, 1, 28, 28) in a batch; labels int64 (N,).

    Arguments that are not listed are those of `TensorDataModule`.

    Args:
        mean: mean of the training pixels, scaled to 0..1.
        std: standard deviation of the training pixels, scaled to 0..1.
    """

    sample_name = "images"
    sample_shape = (1, 28, 28)
    #: The form of MNIST (LeCun, Cortes and Burges); other datasets of digits are converted to it as well.
    picture_form = PictureForm(box=20, centre="mass", strokes=True)

    def __init__(
        self, mean: float, std: Positive, batch_size: Count | None, shuffle: bool, validation: Share, seed: int
    ) -> None:
        super().__init__(batch_size, shuffle, validation, seed)
        self.mean, self.std = mean, std

    def transform(self, x: Tensor) -> Tensor:
        # The same operations in the same order as torchvision's ToTensor and Normalize, so that the results are
        # identical bit for bit.
        return x.float().div_(255).sub_(self.mean).div_(self.std)


def enlarge(images: Tensor) -> Tensor:
    """Convert small digits to MNIST's form: scale bilinearly to 20 x 20 pixels, in the middle of 28 x 28.

    Args:
        images: float (N, 1, H, W), 0..255.

    Returns:
        uint8 (N, 1, 28, 28).
    """
    images = F.interpolate(images, size=(20, 20), mode="bilinear", align_corners=False)
    return F.pad(images, (4, 4, 4, 4)).round().to(torch.uint8)
