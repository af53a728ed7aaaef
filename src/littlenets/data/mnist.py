"""MNIST and Fashion-MNIST, from the files that torchvision uses."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from ..ranges import Count, Positive, Share
from . import idx_files
from .base import Split
from .images import ImageDataModule, PictureForm


class _IdxImages(ImageDataModule):
    """60,000 training and 10,000 test images of ten classes.

    Args:
        root: folder that holds, or gets, torchvision's folders ``MNIST/raw`` and ``FashionMNIST/raw``.
        mirrors: URLs of folders to download from; ``None`` is torchvision's own list.
        stand_in: the choice of ``data`` to train on instead where the files are unavailable; read by the training job.

    Raises:
        DataUnavailableError: from ``prepare_data``, where the files can be neither found nor downloaded.
        SettingError: where a file is not what it should be.
    """

    classes = 10

    def __init__(
        self,
        root: str = "data",
        mirrors: Sequence[str] | None = None,
        stand_in: str | None = None,
        mean: float = 0.1307,
        std: Positive = 0.3081,
        batch_size: Count | None = 64,
        shuffle: bool = True,
        validation: Share = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(mean, std, batch_size, shuffle, validation, seed)
        self.root, self.mirrors, self.stand_in = Path(root), mirrors, stand_in

    @abstractmethod
    def torchvision_class(self) -> type:
        """Where the names, checksums and mirrors of the files come from."""

    def prepare_data(self) -> None:
        if self.splits:  # Lightning asks again; the files were checked and read.
            return
        idx_files.fetch(self.torchvision_class(), self.root, self.mirrors)

    def load(self) -> tuple[Split, Split]:
        folder = self.root / self.torchvision_class().__name__ / "raw"
        (train_x, train_y), (test_x, test_y) = (idx_files.read(folder, train) for train in (True, False))
        return Split(train_x.unsqueeze(1), train_y), Split(test_x.unsqueeze(1), test_y)


class MNIST(_IdxImages):
    """Handwritten digits (LeCun, Cortes and Burges)."""

    def torchvision_class(self) -> type:
        from torchvision.datasets import MNIST

        return MNIST


class FashionMNIST(_IdxImages):
    """Pictures of clothes (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747)."""

    picture_form = PictureForm(box=28, centre="box", strokes=False)

    def torchvision_class(self) -> type:
        from torchvision.datasets import FashionMNIST

        return FashionMNIST
