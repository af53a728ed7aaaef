"""Base class of all tasks: training step, evaluation and optimizer.

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
    """Train a network on batches ``(x, y)``; subclasses define the loss and the metrics.

    A task with batches or a loss of another form overrides `step`.

    Args:
        network: maps inputs (N, ...) to outputs (N, ...).
        optimizer: builds the optimizer from parameters.
        scheduler: builds the learning rate scheduler from the optimizer, stepped every epoch; or a `Schedule`.
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
        """The initial learning rate, under the name that Lightning's tuner expects."""
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
        """Return further quantities to record, by name: sums over the samples of the batch, 0-dimensional."""
        return {}

    def metrics(self) -> dict[str, nn.Module]:
        """Return torchmetrics objects of output and target by name, for metrics that are not a mean over samples.

        They are computed in validation and test.
        """
        return {}

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """Return the predictions for each sample from the network's output (N, ...).

        The keys are ``y`` for regression; ``class``, int64 (N,), and ``probabilities``, float (N, K), for
        classification; or other names.
        """
        return {}

    def check(self, output: Tensor, classes: int | None) -> str | None:
        """Return an error message if `output` (N, ...) does not suit `classes` (None: regression)."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def step(self, batch: Any) -> Step:
        """Return the loss and the measurements of a batch, for training, validation and test."""
        x, y = batch
        output, target = self(x), self.target(y)
        # Reduced precision is used only for the network; the loss is computed in float32 or better.
        reduced = torch.is_autocast_enabled(output.device.type)
        with torch.autocast(output.device.type, enabled=False) if reduced else nullcontext():
            output = output.to(torch.promote_types(output.dtype, torch.float32))
            return Step(self.loss(output, target), len(y), self.measure(output.detach(), target), output, target)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        step = self.step(batch)
        self.records.add(step, (self.trainer.global_step, batch_idx))
        if self._ends_epoch(batch_idx):
            # Not self.log, which writes to the same place but takes a hundred times as long, as much as a small
            # network's epoch.
            reduce = self.trainer.strategy.reduce if self.trainer.world_size > 1 else None
            self.trainer.callback_metrics.update(self.records.means(reduce))
        return step.loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._evaluate(batch, "val", self.val_metrics, batch_idx)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor | None:
        """Return the network's output, for callbacks that use single samples."""
        return self._evaluate(batch, "test", self.test_metrics, batch_idx).output

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        x = batch[0] if isinstance(batch, tuple | list) else batch
        return self.predictions(self(x))

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = make_optimizer(self.optimizer, self.parameters(), self.device)
        if self.scheduler is None:
            return {"optimizer": optimizer}
        schedule = self.scheduler if isinstance(self.scheduler, Schedule) else Schedule(self.scheduler)
        return {"optimizer": optimizer, "lr_scheduler": schedule.configuration(optimizer, self.trainer)}

    def _evaluate(self, batch: Any, stage: str, metrics: MetricCollection, batch_idx: int) -> Step:
        step = self.step(batch)
        totals = {name: total.to(wide_dtype(total.device)) / step.size for name, total in step.totals.items()}
        values = {f"{stage}/{name}": value for name, value in {"loss": step.loss, **totals}.items()}
        if metrics:
            if batch_idx == 0:
                metrics.reset()  # from the previous loader, if there are several
            metrics.update(step.output, step.target.contiguous())
            values.update(metrics)
        # With several processes, Lightning uses the mean of their numbers of samples, rounded down.
        size = step.size * self.trainer.world_size
        # Loggers receive the means of each epoch from the callback History.
        self.log_dict(values, on_step=False, on_epoch=True, logger=False, batch_size=size, sync_dist=True)
        return step

    def _ends_epoch(self, batch_idx: int) -> bool:
        """Return whether this is the last batch of the epoch, or the run ends with it."""
        trainer = self.trainer
        steps = trainer.global_step + ((batch_idx + 1) % trainer.accumulate_grad_batches == 0)
        return trainer.is_last_batch or steps == trainer.max_steps
