"""A generative adversarial network of the kind that Lightning's own examples have: two optimizers, used by hand.

It knows nothing of the package. Shapes: N batch, D numbers of a sample, L numbers of noise.
"""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F


class GAN(LightningModule):
    """Learns to draw samples like those it is shown.

    Args:
        size: D.
        latent: L.
        width: units of the hidden layers.
        lr: of both optimizers.
        betas: of both optimizers.
    """

    def __init__(
        self,
        size: int = 2,
        latent: int = 4,
        width: int = 8,
        lr: float = 0.002,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, size))
        self.discriminator = nn.Sequential(
            nn.Linear(size, width), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(width, 1)
        )

    def forward(self, z: Tensor) -> Tensor:
        """From noise (N, L) to samples (N, D)."""
        return self.generator(z)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        real, _ = batch
        of_generator, of_discriminator = self.optimizers()
        z = torch.randn(len(real), self.hparams.latent, device=self.device)

        self.toggle_optimizer(of_generator)
        g_loss = self.loss(self.discriminator(self(z)), 1.0)
        of_generator.zero_grad()
        self.manual_backward(g_loss)
        of_generator.step()
        self.untoggle_optimizer(of_generator)

        self.toggle_optimizer(of_discriminator)
        d_loss = self.loss(self.discriminator(real), 1.0) + self.loss(self.discriminator(self(z).detach()), 0.0)
        of_discriminator.zero_grad()
        self.manual_backward(d_loss)
        of_discriminator.step()
        self.untoggle_optimizer(of_discriminator)

        self.log("g_loss", g_loss, prog_bar=True)
        self.log("d_loss", d_loss, prog_bar=True, on_step=False, on_epoch=True)

    @staticmethod
    def loss(logits: Tensor, label: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def configure_optimizers(self) -> Any:
        arguments = {"lr": self.hparams.lr, "betas": self.hparams.betas}
        optimizers = [
            torch.optim.Adam(network.parameters(), **arguments) for network in (self.generator, self.discriminator)
        ]
        return optimizers, [torch.optim.lr_scheduler.StepLR(optimizer, 10) for optimizer in optimizers]

    def on_train_epoch_end(self) -> None:
        # With several optimizers, Lightning leaves the schedules to the module.
        for schedule in self.lr_schedulers():
            schedule.step()
