"""scikit-learn's handwritten digits, which need no download."""

import torch

from ..ranges import Count, Positive, Share
from .base import Split
from .images import ImageDataModule, enlarge


class Digits(ImageDataModule):
    """1,797 digits (Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits) in MNIST's form.

    The original 8x8 pixels of 0..16 are scaled bilinearly to 20x20 pixels of 0..255 and placed in the middle of 28x28
    pixels, because MNIST's digits fill a box of 20x20 pixels as well. 1,437 digits are for training and 360 for
    testing, stratified by class. The split does not depend on the seed, so that test metrics of different seeds are
    comparable.

    Arguments that are not listed are those of `TensorDataModule`.

    Args:
        mean: mean of the training pixels, scaled to 0..1.
        std: standard deviation of the training pixels, scaled to 0..1.
    """

    classes = 10

    def __init__(
        self,
        mean: float = 0.1307,
        std: Positive = 0.3081,
        batch_size: Count | None = 64,
        shuffle: bool = True,
        validation: Share = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(mean, std, batch_size, shuffle, validation, seed)

    def load(self) -> tuple[Split, Split]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)  # (N, 1, 8, 8)
        images = enlarge(images)  # (N, 1, 28, 28)
        labels = torch.from_numpy(digits.target).long()  # (N,)
        train, test = train_test_split(
            range(len(labels)), test_size=360, stratify=labels.tolist(), shuffle=True, random_state=0
        )
        return Split(images[train], labels[train]), Split(images[test], labels[test])
