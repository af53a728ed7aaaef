"""The data sets, each a LightningDataModule over tensors in memory."""

from .base import Split, TensorDataModule
from .digits import Digits
from .line import Line
from .loader import TensorLoader
from .mnist import MNIST, FashionMNIST
from .spirals import ColourLines, Spirals

__all__ = [
    "MNIST",
    "ColourLines",
    "Digits",
    "FashionMNIST",
    "Line",
    "Spirals",
    "Split",
    "TensorDataModule",
    "TensorLoader",
]
