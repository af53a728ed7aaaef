"""An ordinary run of Lightning, as its documentation shows it: what a run of the package has to equal bit for bit.

Knows nothing of the package's tasks and of the way in which it trains; the network and the data are its own.

Shapes: B batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics.functional.classification import binary_accuracy

from littlenets.data import Spirals
from littlenets.networks import SpiralNet
from littlenets.speed.layers import accelerated

EPOCHS, BATCHES = 6, 4
STEPS = EPOCHS * BATCHES
#: The same on the command line: 64 points to train on, 16 to validate on.
SETTING = (
    *("model=spiral", "data.n_points=40", "data.batch_size=16", "data.validation=0.2"),
    f"trainer.max_epochs={EPOCHS}",
)


def spirals(**settings: Any) -> Spirals:
    """The data of the setting."""
    return Spirals(**({"n_points": 40, "batch_size": 16, "validation": 0.2, "seed": 0} | settings))


def adam(parameters: Any) -> Optimizer:
    """What ``model=spiral`` is trained with."""
    return torch.optim.Adam(parameters, lr=0.01, fused=True)


class Ordinary(LightningModule):
    """Two classes in automatic optimization.

    Args:
        network: maps points (B, 2) to the probability of class 1 (B, 1); None is the shipped one.
        optimizer: makes the optimizer from parameters.
        scheduler: makes the schedule from the optimizer.
        lr_scheduler: the other keys of Lightning's dictionary, such as ``interval``.
    """

    def __init__(
        self,
        network: nn.Module | None = None,
        optimizer: Callable[..., Optimizer] = adam,
        scheduler: Callable[[Optimizer], Any] | None = None,
        **lr_scheduler: Any,
    ) -> None:
        super().__init__()
        self.network = SpiralNet() if network is None else network
        self.make_optimizer, self.make_scheduler, self.lr_scheduler = optimizer, scheduler, lr_scheduler

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(output, target)

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer([parameter for parameter in self.parameters() if parameter.requires_grad])
        if self.make_scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.make_scheduler(optimizer), **self.lr_scheduler},
        }

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self._measure("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._measure("test", batch)

    def _measure(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        output = self(x)
        with torch.autocast(self.device.type, enabled=False):
            # Which torch asks for of this loss; the mean of halves is taken in float32.
            output = output.to(torch.promote_types(output.dtype, torch.float32))
            target = y.to(output.dtype).unsqueeze(1)
            loss = self.loss(output, target)
        measured = {f"{stage}/loss": loss, f"{stage}/acc": binary_accuracy(output.detach(), target)}
        self.log_dict(measured, on_step=False, on_epoch=True, batch_size=len(y))
        return loss


class OrdinaryRun:
    """Trains at once.

    Args:
        module: None is `Ordinary`.
        network: makes the network, after the seed is set; for `Ordinary`.
        callbacks: of the trainer.
        data: None is that of the setting.
        seed: of the initial weights.
        trainer: further arguments of the trainer; others than those of the setting.
    """

    def __init__(
        self,
        module: Callable[[], LightningModule] = Ordinary,
        callbacks: Sequence[Callback] = (),
        data: LightningDataModule | None = None,
        seed: int = 0,
        **trainer: Any,
    ) -> None:
        torch.set_num_threads(1)
        quiet = {
            name: False
            for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
            if not trainer.get("barebones")
        }
        if any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks):
            quiet["enable_checkpointing"] = True
        setting = {"max_epochs": EPOCHS, "accelerator": "cpu", "devices": 1, "deterministic": True}
        if not trainer.get("barebones"):
            setting |= {"log_every_n_steps": 1, "num_sanity_val_steps": 0}
        self.data = spirals() if data is None else data
        pl.seed_everything(seed, workers=True, verbose=False)
        self.module = module()
        self.trainer = Trainer(**(setting | quiet | trainer), callbacks=list(callbacks))
        # Accelerated layers differ by rounding (tests/speed/test_layers_of_networks.py). With them on both sides, all
        # the rest can be compared bit for bit.
        with accelerated(self.module):
            self.trainer.fit(self.module, datamodule=self.data)
        self.steps, self.epochs = self.trainer.global_step, self.trainer.current_epoch
        self.metrics = {name: value.item() for name, value in self.trainer.callback_metrics.items()}

    @property
    def state(self) -> dict[str, Tensor]:
        return self.module.state_dict()

    def test(self) -> dict[str, float]:
        (metrics,) = self.trainer.test(self.module, datamodule=self.data, verbose=False)
        return metrics
