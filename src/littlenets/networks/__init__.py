"""The four networks, as plain ``torch.nn.Module`` without Lightning."""

from .cnn import CNN
from .linear import LinearRegression
from .multispiral import MultiSpiralNet
from .spiral import SpiralNet

__all__ = ["CNN", "LinearRegression", "MultiSpiralNet", "SpiralNet"]
