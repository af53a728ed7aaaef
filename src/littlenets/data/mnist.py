"""MNIST and datasets in its form, read from the files that torchvision uses.

Shapes: N images of 28 x 28 pixels.
"""

import io
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Literal

import torch
from torch import Tensor

from ..ranges import Count, Positive, Share
from . import idx_files
from .base import Split
from .idx_files import Files
from .images import ImageDataModule, PictureForm, enlarge


class _DownloadedImages(ImageDataModule):
    """Base class for training and test images that are downloaded; ten classes unless a subclass sets another number.

    Arguments that are not listed are those of `ImageDataModule`.

    Args:
        root: folder with torchvision's folders ``MNIST/raw``, ``FashionMNIST/raw`` and so on, which are created there
            if necessary; or a folder that holds the files themselves.
        mirrors: URLs of folders to download from; ``None`` uses torchvision's list.
        stand_in: choice of ``data`` to train on instead if the files are unavailable; read by the training job.

    Raises:
        DataUnavailableError: from ``prepare_data``, if the files can be neither found nor downloaded.
        SettingError: if a file does not have the expected content.
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
    def files(self) -> Files:
        """Return the names, checksums and mirrors of the files."""

    @abstractmethod
    def read(self, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
        """Read images, uint8 (N, 28, 28), and labels, int64 (N,), from a folder with the files.

        Args:
            folder: folder with the verified files.
            train: True reads the training images, False the test images.
        """

    def prepare_data(self) -> None:
        if self.splits:  # Lightning calls this again; the files are already verified and read.
            return
        idx_files.fetch(self.files(), self.root, self.mirrors)

    def load(self) -> tuple[Split, Split]:
        folder = self.files().folder(self.root)
        (train_x, train_y), (test_x, test_y) = (self.read(folder, train) for train in (True, False))
        return Split(train_x.unsqueeze(1), train_y), Split(test_x.unsqueeze(1), test_y)


class _IdxImages(_DownloadedImages):
    """Base class for images and labels in the IDX format of MNIST."""

    #: Name of torchvision's class for this dataset.
    dataset: str
    #: Beginnings of the file names: of the training files and of the test files.
    beginnings = ("train", "t10k")
    #: End of the names of the label files.
    labels = "labels-idx1-ubyte.gz"

    def files(self) -> Files:
        from torchvision import datasets

        return Files.of(getattr(datasets, self.dataset))

    def read(self, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
        beginning = self.beginnings[0 if train else 1]
        return idx_files.read(folder, f"{beginning}-images-idx3-ubyte.gz", f"{beginning}-{self.labels}")


class MNIST(_IdxImages):
    """60,000 + 10,000 handwritten digits (LeCun, Cortes and Burges)."""

    dataset = "MNIST"


class FashionMNIST(_IdxImages):
    """60,000 + 10,000 pictures of clothes (Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747)."""

    dataset = "FashionMNIST"
    names = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    picture_form = PictureForm(box=28, centre="box", strokes=False)


class KMNIST(_IdxImages):
    """60,000 + 10,000 handwritten hiragana: Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv 1812.01718)."""

    dataset = "KMNIST"
    # In Latin letters, since not every font and terminal has hiragana.
    names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    picture_form = PictureForm(box=28, centre="box", strokes=True)


class QMNIST(_IdxImages):
    """MNIST reconstructed from NIST's pages, with all 60,000 test digits (Yadav and Bottou 2019, arXiv 1905.10498).

    The first 10,000 test images are those of MNIST.
    """

    beginnings = ("qmnist-train", "qmnist-test")
    labels = "labels-idx2-int.gz"

    def files(self) -> Files:
        from torchvision.datasets import QMNIST

        return Files.at("QMNIST", [*QMNIST.resources["train"], *QMNIST.resources["test"]])


_MERGED = digits + ascii_uppercase + "abdefghnqrt"
# Classes of each split, one character per class. The splits with digits only need no names besides the class numbers.
_EMNIST_CLASSES = {
    "byclass": digits + ascii_uppercase + ascii_lowercase,
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": ascii_lowercase,
}


class EMNIST(_DownloadedImages):
    """Handwritten digits and letters of NIST's Special Database 19 (Cohen et al. 2017, arXiv 1702.05373).

    Arguments that are not listed are those of `_DownloadedImages`.

    Args:
        split: set of images, with the classes in this order. ``byclass``, 62: 0-9, A-Z, a-z. ``bymerge`` and
            ``balanced``, 47: 0-9, A-Z, and a b d e f g h n q r t; the other lower case letters are counted as upper
            case. ``letters``, 26: a-z in either case. ``digits`` and ``mnist``, 10.
    """

    # The characters fill the image except for two pixels on each side.
    picture_form = PictureForm(box=24, centre="box", strokes=True)
    #: Maximum size of a file in bytes: the archive has 562 million, the images of ``byclass`` 547 million.
    largest = 1 << 30

    def __init__(
        self,
        split: Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"] = "balanced",
        root: str = "data",
        mirrors: Sequence[str] | None = None,
        stand_in: str | None = None,
        mean: float = 0.1751,
        std: Positive = 0.3332,
        batch_size: Count | None = 64,
        shuffle: bool = True,
        validation: Share = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(root, mirrors, stand_in, mean, std, batch_size, shuffle, validation, seed)
        self.split = split
        self.names = _EMNIST_CLASSES.get(split)
        self.classes = len(self.names or digits)

    def files(self) -> Files:
        from torchvision.datasets import EMNIST

        return Files.at("EMNIST", [(EMNIST.url, EMNIST.md5)], self.largest)

    def read(self, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
        beginning = f"emnist-{self.split}-{'train' if train else 'test'}"
        names = f"{beginning}-images-idx3-ubyte.gz", f"{beginning}-labels-idx1-ubyte.gz"
        x, y = idx_files.read(folder, *names, archive="gzip.zip", largest=self.largest)
        # The images are stored column by column; the labels of `letters` begin at 1.
        return x.transpose(1, 2).contiguous(), y - 1 if self.split == "letters" else y


class USPS(_DownloadedImages):
    """7,291 + 2,007 digits from envelopes (Hull 1994), 16 x 16 pixels, converted to MNIST's form."""

    def files(self) -> Files:
        from torchvision.datasets import USPS

        return Files.at("USPS", [(url, md5) for url, _, md5 in USPS.split_list.values()])

    def read(self, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
        from sklearn.datasets import load_svmlight_file

        content = idx_files.read_file(folder, "usps.bz2" if train else "usps.t.bz2")
        pixels, labels = load_svmlight_file(io.BytesIO(content), n_features=256)  # -1..1; 1..10 for digits 0..9
        images = torch.from_numpy(pixels.toarray()).float().view(-1, 1, 16, 16)
        return enlarge((images + 1) * (255 / 2)).squeeze(1), torch.from_numpy(labels).long() - 1
