"""The data sets, each a LightningDataModule over tensors in memory."""

from .base import Split, TensorDataModule
from .digits import Digits
from .line import Line
from .loader import TensorLoader
from .mnist import EMNIST, KMNIST, MNIST, QMNIST, USPS, FashionMNIST
from .spirals import ColourLines, Spirals

__all__ = [
    "EMNIST",
    "KMNIST",
    "MNIST",
    "QMNIST",
    "USPS",
    "ColourLines",
    "Digits",
    "FashionMNIST",
    "Line",
    "Spirals",
    "Split",
    "TensorDataModule",
    "TensorLoader",
]
