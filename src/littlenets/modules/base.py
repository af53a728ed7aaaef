"""What every task has in common: a training step, its evaluation, and the optimizer.

Shapes: N batch.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MetricCollection

from .optimization import Schedule, make_optimizer
from .records import EpochRecords, Step, wide_dtype

__all__ = ["Step", "SupervisedModule"]


class SupervisedModule(LightningModule):
    """Train a network on batches ``(x, y)``; subclasses say with which loss, and what is measured.

    A task whose batches or loss are of another form overrides `step`.

    Args:
        network: maps inputs (N, ...) to outputs (N, ...).
        optimizer: makes the optimizer from parameters.
        scheduler: makes the schedule of learning rates from the optimizer, stepped every epoch; or a `Schedule`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | Schedule | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer, self.scheduler = optimizer, scheduler
        metrics = MetricCollection(self.metrics())
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        self.records = EpochRecords()

    @property
    def lr(self) -> float:
        """The learning rate at the beginning, where Lightning's tuner looks for it."""
        return self.optimizer.keywords["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer = partial(self.optimizer, lr=value)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss over the batch, 0-dimensional."""
        raise NotImplementedError

    def target(self, y: Tensor) -> Tensor:
        """Return targets in the form that the loss takes."""
        return y

    def measure(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return what else is recorded, by name: sums over the samples of the batch, 0-dimensional."""
        return {}

    def metrics(self) -> dict[str, nn.Module]:
        """Return torchmetrics objects by name, of output and target, for what is no mean over samples.

        They are computed in validation and test.
        """
        return {}

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return what the network's output (N, ...) says of each sample.

        ``y`` for numbers; ``class``, int64 (N,), and ``probabilities``, float (N, K), for classes.
        """
        raise NotImplementedError

    def check(self, output: Tensor, classes: int | None) -> str | None:
        """Return an error message if `output` (N, ...) does not suit data of so many classes (None: regression)."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def step(self, batch: Any) -> Step:
        """Return the loss of a batch and what is measured in it, for training, validation and test."""
        x, y = batch
        output, target = self(x), self.target(y)
        # Reduced precision is for the network; the mean of its errors is taken in float32 or better.
        reduced = torch.is_autocast_enabled(output.device.type)
        with torch.autocast(output.device.type, enabled=False) if reduced else nullcontext():
            output = output.to(torch.promote_types(output.dtype, torch.float32))
            return Step(self.loss(output, target), len(y), self.measure(output.detach(), target), output, target)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        step = self.step(batch)
        loss, weight = step.loss, self._weight(batch_idx)
        if weight != 1:
            loss = loss * weight
            if not weight:
                step = step._replace(
                    size=0, totals={name: torch.zeros_like(total) for name, total in step.totals.items()}
                )
        self.records.add(step, (self.trainer.global_step, batch_idx))
        if self._ends_epoch(batch_idx):
            # Where self.log puts them, in a hundredth of its time, which is that of a small network's epoch.
            reduce = self.trainer.strategy.reduce if self.trainer.world_size > 1 else None
            self.trainer.callback_metrics.update(self.records.means(reduce))
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor | None:
        """Return the network's output, for callbacks that look at single samples."""
        return self._evaluate(batch, "test", self.test_metrics).output

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        x = batch[0] if isinstance(batch, tuple | list) else batch
        return self.predictions(self(x))

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = make_optimizer(self.optimizer, self.parameters(), self.device)
        if self.scheduler is None:
            return {"optimizer": optimizer}
        schedule = self.scheduler if isinstance(self.scheduler, Schedule) else Schedule(self.scheduler)
        return {"optimizer": optimizer, "lr_scheduler": schedule.configuration(optimizer, self.trainer)}

    def _evaluate(self, batch: Any, stage: str, metrics: MetricCollection) -> Step:
        step = self.step(batch)
        totals = {name: total.to(wide_dtype(total.device)) / step.size for name, total in step.totals.items()}
        values = {f"{stage}/{name}": value for name, value in {"loss": step.loss, **totals}.items()}
        if metrics:
            metrics.update(step.output, step.target.contiguous())
            values.update(metrics)
        # Lightning takes the mean number of samples of all processes, rounded down, which is then none that it rounds.
        size = step.size * self.trainer.world_size
        # Loggers get them by epochs, from the callback History.
        self.log_dict(values, on_step=False, on_epoch=True, logger=False, batch_size=size, sync_dist=True)
        return step

    def _weight(self, batch_idx: int) -> float:
        """Return what this process's part of a batch counts, whose gradients are averaged with those of the others."""
        if self.trainer.world_size == 1:
            return 1
        weight_of = getattr(getattr(self.trainer.train_dataloader, "sampler", None), "weight_of_batch", None)
        return 1 if weight_of is None else weight_of(batch_idx)

    def _ends_epoch(self, batch_idx: int) -> bool:
        """Whether no batch of this epoch follows: it is the last, or the run ends with it."""
        trainer = self.trainer
        steps = trainer.global_step + ((batch_idx + 1) % trainer.accumulate_grad_batches == 0)
        return trainer.is_last_batch or steps == trainer.max_steps
