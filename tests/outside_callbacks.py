"""A callback and a task as a user would write them, outside the package, which log a metric of their own."""

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from littlenets.modules import Regression


class Logs(Callback):
    """Logs ``their/own``, a number that becomes smaller."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("their/own", torch.tensor(1 / (trainer.current_epoch + 1)))


class Measures(Regression):
    """Logs the same at the end of an epoch."""

    def on_train_epoch_end(self) -> None:
        self.log("their/own", torch.tensor(1 / (self.trainer.current_epoch + 1)))
