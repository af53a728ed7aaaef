"""Networks as a user may write them.

Shapes: B batch, T time steps, F features.
"""

import torch
from torch import Tensor, nn


class BatchNormNet(nn.Module):
    """Has statistics that training keeps, beside its weights."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Points (B, 2) to probabilities (B, 1)."""
        return self.layers(x)


class DropoutNet(nn.Module):
    """Forgets half of its hidden units at random in training."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Points (B, 2) to probabilities (B, 1)."""
        return self.layers(x)


class LastState(nn.Module):
    """Reads sequences of different lengths."""

    def __init__(self, features: int = 2, width: int = 8) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(features, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """Padded sequences (B, T, F) and their lengths (B,) to probabilities (B, 1)."""
        padded, lengths = x
        states, _ = self.lstm(padded)  # (B, T, width)
        return torch.sigmoid(self.head(states[torch.arange(len(lengths)), lengths - 1]))
