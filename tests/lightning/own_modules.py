"""LightningModules that somebody already has: they know nothing of the package.

Shapes: B batch.
"""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F


class Classifier(LightningModule):
    """Tells the two sides of the plane apart, with an optimizer, a schedule and names of its own.

    Args:
        lr: at the beginning.
    """

    def __init__(self, lr: float = 0.05) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        x, y = batch
        self.log("val_loss", F.cross_entropy(self(x), y))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("test_loss", F.cross_entropy(self(x), y))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)]


class NamedClassifier(Classifier):
    """The same, on batches that are dictionaries."""

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        return super().training_step((batch["points"], batch["sides"]), batch_idx)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        super().validation_step((batch["points"], batch["sides"]), batch_idx)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        super().test_step((batch["points"], batch["sides"]), batch_idx)


class TwoPlayers(LightningModule):
    """Optimizes two networks in turn, by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.one, self.other = nn.Linear(2, 2), nn.Linear(2, 2)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        for optimizer, player in zip(self.optimizers(), (self.one, self.other), strict=True):
            loss = F.cross_entropy(self.one(x) + self.other(x), y)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.log(f"loss_of_{'one' if player is self.one else 'other'}", loss, on_step=False, on_epoch=True)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", F.cross_entropy(self.one(x) + self.other(x), y))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("test_loss", F.cross_entropy(self.one(x) + self.other(x), y))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.one.parameters(), lr=0.1), torch.optim.Adam(self.other.parameters(), lr=0.01)
