"""The four networks: plain ``torch.nn.Module``, nothing of Lightning in them."""

from .cnn import CNN
from .linear import LinearRegression
from .multispiral import MultiSpiralNet
from .spiral import SpiralNet

__all__ = ["CNN", "LinearRegression", "MultiSpiralNet", "SpiralNet"]
