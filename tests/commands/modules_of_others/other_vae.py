"""Variational autoencoders, whose loss needs more than an output and a target: as a task, and as a LightningModule.

Shapes: N batch, D numbers of a sample, L numbers of its code.
"""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from littlenets.modules import Step, SupervisedModule


class Coder(nn.Module):
    """From samples (N, D) to reconstructions (N, D), and mean and log variance of their codes (N, L)."""

    def __init__(self, size: int = 2, latent: int = 2, width: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.Tanh(), nn.Linear(width, size))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        return self.decoder(mean + noise * (0.5 * log_variance).exp()), mean, log_variance


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each sample's code (N,) from the standard normal distribution."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


class Autoencoding(SupervisedModule):
    """The task: only the step, and what is said of a sample.

    Args:
        beta: weight of the divergence.
    """

    def __init__(self, network: nn.Module, optimizer: Any, scheduler: Any = None, beta: float = 1.0) -> None:
        super().__init__(network, optimizer, scheduler)
        self.beta = beta

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        x, _ = batch
        reconstruction, mean, log_variance = self(x)
        error = (reconstruction - x).square().sum(dim=1)  # (N,)
        kl = divergence(mean, log_variance)
        return Step((error + self.beta * kl).mean(), len(x), {"error": error.detach().sum(), "kl": kl.detach().sum()})

    def predictions(self, output: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        reconstruction, mean, _ = output
        return {"reconstruction": reconstruction, "code": mean}


class LitVAE(LightningModule):
    """The same as somebody has it already, with nothing of the package."""

    def __init__(self, latent: int = 2, width: int = 8, beta: float = 1.0, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.coder = Coder(2, latent, width)

    def _loss(self, batch: Any, stage: str) -> Tensor:
        x, _ = batch
        reconstruction, mean, log_variance = self.coder(x)
        error = F.mse_loss(reconstruction, x, reduction="sum") / len(x)
        kl = divergence(mean, log_variance).mean()
        loss = error + self.hparams.beta * kl
        self.log_dict({f"{stage}/loss": loss, f"{stage}/error": error, f"{stage}/kl": kl}, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._loss(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._loss(batch, "test")

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        x = batch[0] if isinstance(batch, list | tuple) else batch
        reconstruction, mean, _ = self.coder(x)
        return {"reconstruction": reconstruction, "code": mean}

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val/loss"}}
