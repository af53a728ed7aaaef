"""Datasets as LightningDataModules: tensors in memory, or any ``torch.utils.data`` dataset."""

from .base import Split, TensorDataModule
from .datasets import DatasetModule
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
    "DatasetModule",
    "Digits",
    "FashionMNIST",
    "Line",
    "Spirals",
    "Split",
    "TensorDataModule",
    "TensorLoader",
]
