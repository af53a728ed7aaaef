"""Modules as a user may derive them from a task of the package; each once more derived from the ordinary module.

What both have in common is written once, as Lightning teaches it.

Shapes: B batch.
"""

from typing import Any

import torch
from ordinary import Ordinary, adam
from own_callbacks import calls
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from littlenets.modules import BinaryClassification


class SmoothStep(LightningModule):
    """Trains on labels that are not quite sure."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        output = self.network(x)
        loss = F.binary_cross_entropy(output, 0.1 + 0.8 * y.float().unsqueeze(1))
        self.log("smooth", loss, on_step=False, on_epoch=True, batch_size=len(y))
        return loss


class SmoothTask(SmoothStep, BinaryClassification): ...


class SmoothOrdinary(SmoothStep, Ordinary): ...


class DictStep(LightningModule):
    """Returns a dictionary, whose loss is what is trained on."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        x, y = batch
        return {"loss": F.mse_loss(self.network(x), y.float().unsqueeze(1)), "samples": len(y)}


class DictTask(DictStep, BinaryClassification): ...


class DictOrdinary(DictStep, Ordinary): ...


class LogsInLoss(LightningModule):
    """Logs a number of its own from within the loss."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self.training:
            self.log("largest", output.detach().max(), on_step=False, on_epoch=True, batch_size=len(output))
        return super().loss(output, target)


class LoggingTask(LogsInLoss, BinaryClassification): ...


class LoggingOrdinary(LogsInLoss, Ordinary): ...


class Temperature(LightningModule):
    """Learns a parameter that is not the network's."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.temperature = nn.Parameter(torch.ones(()))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return super().loss(torch.sigmoid(torch.logit(output) / self.temperature), target)


class TemperatureTask(Temperature, BinaryClassification): ...


class TemperatureOrdinary(Temperature, Ordinary): ...


class WarmsUp(LightningModule):
    """Lets the learning rate grow in the first steps."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        calls["optimizer_step"] += 1
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * min(1.0, (self.trainer.global_step + 1) / 10)
        optimizer.step(closure=optimizer_closure)


class WarmingTask(WarmsUp, BinaryClassification): ...


class WarmingOrdinary(WarmsUp, Ordinary): ...


class PenalizesWeights(LightningModule):
    """Adds to the loss where it goes backward."""

    def backward(self, loss: Tensor, *arguments: Any, **named: Any) -> None:
        calls["backward"] += 1
        (loss + 0.1 * sum(parameter.square().sum() for parameter in self.parameters())).backward()


class PenalizingTask(PenalizesWeights, BinaryClassification): ...


class PenalizingOrdinary(PenalizesWeights, Ordinary): ...


class ClipsByItself(LightningModule):
    """Clips gradients without a setting of the trainer."""

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        calls["configure_gradient_clipping"] += 1
        self.clip_gradients(optimizer, gradient_clip_val=0.05, gradient_clip_algorithm="norm")


class ClippingTask(ClipsByItself, BinaryClassification): ...


class ClippingOrdinary(ClipsByItself, Ordinary): ...


class StepsTwice(LightningModule):
    """Goes two steps of the schedule at once."""

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        calls["lr_scheduler_step"] += 1
        scheduler.step()
        scheduler.step()


class TwiceTask(StepsTwice, BinaryClassification): ...


class TwiceOrdinary(StepsTwice, Ordinary): ...


class CountsHooks(LightningModule):
    """Has the hooks of batches and epochs, and changes weights in one of them."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        calls["on_train_batch_start"] += 1

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        calls["on_train_batch_end"] += 1
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(0.99)

    def on_train_epoch_end(self) -> None:
        calls["on_train_epoch_end"] += 1


class HookedTask(CountsHooks, BinaryClassification): ...


class HookedOrdinary(CountsHooks, Ordinary): ...


class OwnOptimization(LightningModule):
    """Has an optimizer and a schedule of its own.

    Args:
        form: which of the forms that Lightning takes it returns.
    """

    def __init__(self, *arguments: Any, form: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.form = form

    def configure_optimizers(self) -> Any:
        optimizer = adam(self.parameters())
        falling = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return {
            "optimizer": lambda: optimizer,
            "lists": lambda: ([optimizer], [falling]),
            "scheduler": lambda: {"optimizer": optimizer, "lr_scheduler": falling},
            "step": lambda: {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}},
            "frequency": lambda: {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "frequency": 2}},
            "both": lambda: {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": falling, "interval": "step", "frequency": 3},
            },
            "plateau": lambda: {
                "optimizer": optimizer,
                "lr_scheduler": {
                    "scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.1),
                    "monitor": "val/loss",
                },
            },
        }[self.form]()


class OwnOptimizationTask(OwnOptimization, BinaryClassification): ...


class OwnOptimizationOrdinary(OwnOptimization, Ordinary): ...


class FindsItsRate(LightningModule):
    """Keeps the learning rate where Lightning's tuner looks for it.

    Args:
        lr: of Adam.
    """

    def __init__(self, *arguments: Any, lr: float = 0.5, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.lr = lr

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.lr, fused=True)


class FindingTask(FindsItsRate, BinaryClassification): ...


class FindingOrdinary(FindsItsRate, Ordinary): ...


class StopsItself(LightningModule):
    """Asks the trainer to stop within a step."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if (self.trainer.current_epoch, batch_idx) == (2, 1):
            self.trainer.should_stop = True
        return super().training_step(batch, batch_idx)


class StoppingTask(StopsItself, BinaryClassification): ...


class StoppingOrdinary(StopsItself, Ordinary): ...


class RaisingTask(BinaryClassification):
    """Has a fault of its own, before the first step."""

    def on_fit_start(self) -> None:
        raise ValueError("not today")


class MeasuresLater(BinaryClassification):
    """Logs one more number, with a comma in its name, from the second epoch on."""

    def on_validation_epoch_end(self) -> None:
        if self.current_epoch:
            self.log("val/1,5", float(self.global_step))
