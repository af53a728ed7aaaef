"""What every task has in common: the training step, optimizer, schedule, and where its numbers go.

Shapes: N batch.
"""

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MetricCollection

from ..data.loader import BatchOrder
from ..errors import DivergedError, SettingError
from ..randomness import random_states, restore_random_states
from ..sharing import SharedBatch, can_share
from .pace import Pace
from .records import Columns, EpochRecords

FUSED_DEVICES = {"cpu", "cuda", "mps"}


class SupervisedModule(LightningModule):
    """Trains a network on batches ``(x, y)``; subclasses say with which loss and what is measured.

    Optimization is manual in Lightning's sense: for networks as small as these, the closures and result objects of
    automatic optimization cost more than the network.

    Args:
        network: maps inputs (N, ...) to outputs (N, ...).
        optimizer: makes the optimizer from parameters.
        scheduler: makes the schedule of learning rates from the optimizer; stepped every epoch, or every batch if it
            counts ``total_steps``, which is then filled in.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        metrics = MetricCollection(self.metrics())
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        self.records = EpochRecords()
        self._restored: dict[str, Any] | None = None
        #: What else to record as it is at the end of an epoch, beside what the network itself has watched.
        self.watching: list[Callable[[], dict[str, Tensor]]] = []
        #: What was measured in the epochs that ended since Lightning last heard of one, oldest first.
        self.finished: Columns = {}
        #: What was measured in the last of them.
        self.latest: dict[str, float] = {}

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean over the batch, 0-dimensional."""

    @abstractmethod
    def metrics(self) -> dict[str, nn.Module]:
        """torchmetrics objects by name, for validation and test."""

    @abstractmethod
    def measure(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Sums over a training batch by name, 0-dimensional: divided by the samples of an epoch, `metrics`."""

    @abstractmethod
    def check(self, output: Tensor, classes: int | None) -> str | None:
        """What is wrong with the network's output (N, ...) for data with so many classes (None: numbers)."""

    @abstractmethod
    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        """What the network's output (N, ...) says of each sample.

        ``y`` for numbers; ``class``, int64 (N,), and ``probabilities``, float (N, K), for classes.
        """

    def target(self, y: Tensor) -> Tensor:
        """Targets in the form that the loss takes."""
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def configure_optimizers(self) -> dict:
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        fused = {}
        chosen = {"fused", "foreach", "differentiable"} & set(getattr(self.make_optimizer, "keywords", {}))
        possible = "fused" in inspect.signature(self.make_optimizer).parameters
        if possible and not chosen and self.device.type in FUSED_DEVICES:
            # One kernel for all parameters; the same formula.
            fused = {"fused": True}
        try:
            optimizer = self.make_optimizer(parameters, **fused)
        except ValueError as error:
            raise SettingError(f"optimizer: {error}") from error
        if self.make_scheduler is None:
            return {"optimizer": optimizer}
        per_batch = "total_steps" in inspect.signature(self.make_scheduler).parameters
        total = {}
        if per_batch:
            steps = self.trainer.estimated_stepping_batches
            if math.isinf(steps):
                raise SettingError("This scheduler needs an end: set trainer.max_epochs or trainer.max_steps.")
            total = {"total_steps": int(steps)}
        try:
            scheduler = self.make_scheduler(optimizer, **total)
        except ValueError as error:
            raise SettingError(f"scheduler: {error}") from error
        if isinstance(scheduler, ReduceLROnPlateau):
            raise SettingError(
                "scheduler: ReduceLROnPlateau waits for a metric to stand still, and schedules are given none here; "
                "scheduler=cosine and scheduler=onecycle need none."
            )
        interval = "step" if per_batch else "epoch"
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}

    def try_out(self, x: Tensor) -> Tensor:
        """The network's output for a few samples, leaving no trace in it: as in evaluation, without gradients."""
        training = self.network.training
        self.network.eval()
        try:
            with torch.no_grad():
                return self.network(x)
        finally:
            self.network.train(training)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        progress = self.trainer.fit_loop.epoch_progress.current
        under_way = not self.trainer.is_last_batch
        checkpoint["littlenets"] = {
            "finished_epochs": progress.processed,
            "batches": self.trainer.fit_loop.epoch_loop.batch_progress.current.ready if under_way else 0,
            "records": self._unended or self.records.state_dict(),
            "latest": self.latest,
            "random": random_states(),
            "optimizer_entries": sum(len(state["state"]) for state in checkpoint.get("optimizer_states", [])),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._restored = checkpoint["littlenets"]
        # At once: where all epochs were done when the run was killed, there is no start.
        self.latest = self._restored["latest"]

    def _restore(self) -> None:
        """Puts back what Lightning does not know of, after everything else of the set-up."""
        restored, self._restored = self._restored, None
        self.records.load_state_dict(restored["records"], self.device)
        sampler = getattr(self.trainer.train_dataloader, "sampler", None)
        if restored["batches"] and isinstance(sampler, BatchOrder):
            sampler.skip = restored["batches"]
        restore_random_states(restored["random"])

    def on_train_start(self) -> None:
        self._pace = Pace(self.trainer, self)
        self._optimizer = self.optimizers()
        self._schedule = self.lr_schedulers()
        self._shared = self._share_out()
        self._schedule_per_batch = any(config.interval == "step" for config in self.trainer.lr_scheduler_configs)
        self._watched = self.watchers()
        self.records.clear()
        self._unended: dict[str, Any] | None = None
        if self._restored:
            self._restore()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        with self._shared or nullcontext():
            self._learn(*batch)
            for x, y in self._pace.further_batches():
                self._learn(x, y)
            if self.trainer.is_last_batch or self.trainer.global_step == self.trainer.max_steps:
                if not self.trainer.is_last_batch:
                    # max_steps ends the run within an epoch, whose other batches may follow when it is resumed.
                    self._unended = self.records.state_dict()
                self._end_epoch()
                for batches in self._pace.further_epochs():
                    for x, y in batches:
                        self._learn(x, y)
                    self._end_epoch()
                self._publish(self.records.take())

    def _learn(self, x: Tensor, y: Tensor) -> None:
        target = self.target(y)
        if self._shared is not None:
            loss, output = self._shared.gradients(x, target)
            self._pace.step()
        elif self._pace.plain:
            output = self.network(x)
            loss = self.loss(output, target)
            self._pace.backward(loss)
            self._pace.step()
        else:
            output = self.network(x)
            with torch.autocast(self.device.type, enabled=False):
                # Reduced precision is for the network; the mean of its errors is taken in float32 or better.
                loss = self.loss(output.to(torch.promote_types(output.dtype, torch.float32)), target)
            self._optimizer.zero_grad()
            self.manual_backward(loss)
            self._optimizer.step()
        self.records.add_batch(loss.detach(), self.measure(output.detach(), target), len(x))
        if self._schedule_per_batch:
            self._lr = self._optimizer.param_groups[0]["lr"]
            self._schedule.step()

    def _share_out(self) -> SharedBatch | None:
        """For training on several threads of the CPU, where a batch in parts is the same as in one piece."""
        threads = torch.get_num_threads()
        if threads == 1 or self.device.type != "cpu" or not self._pace.plain or not can_share(self.network, self.loss):
            return None
        return SharedBatch(self.network, self.loss, self._pace.parameters, threads)

    def _end_epoch(self) -> None:
        watched = {name: value.detach() for watch in self._watched for name, value in watch().items()}
        # The rate that the epoch's last step used.
        self.records.end_epoch(watched, self._lr if self._schedule_per_batch else self._optimizer.param_groups[0]["lr"])
        if self._schedule is not None and not self._schedule_per_batch:
            self._schedule.step()

    def _publish(self, columns: Columns) -> None:
        """Hands what was measured in all epochs since the last call to whoever records it."""
        losses = columns["train/loss"]
        diverged = next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if diverged is not None:
            self.finished = {name: values[: diverged + 1] for name, values in columns.items()}
            epoch = self.trainer.current_epoch + 1 - (len(losses) - 1 - diverged)
            if diverged:
                # The last that can be told of, whenever Lightning heard of it.
                self.latest = {name: values[diverged - 1] for name, values in columns.items()}
            raise DivergedError(epoch, self.latest.get("train/loss"))
        self.finished = columns
        self.latest = {name: values[-1] for name, values in columns.items()}
        self.log_dict(self.latest, on_step=False, on_epoch=True, logger=False, batch_size=1)

    def watchers(self) -> list[Callable[[], dict[str, Tensor]]]:
        """Return what gives the quantities that are recorded as they are at the end of an epoch."""
        return [getattr(self.network, "watched", dict), *self.watching]

    def measured_names(self, x: Tensor, y: Tensor) -> list[str]:
        """Return what training measures, judging by a few samples, without what is watched."""
        return ["train/loss", *(f"train/{name}" for name in self.measure(self.try_out(x), self.target(y))), "lr"]

    def validation_names(self) -> list[str]:
        """What a validation measures."""
        return ["val/loss", *self.val_metrics]

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The network's output, for whoever looks at single samples."""
        return self._evaluate(batch, "test", self.test_metrics)

    def _evaluate(self, batch: tuple[Tensor, Tensor], stage: str, metrics: MetricCollection) -> Tensor:
        x, y = batch
        output, target = self.network(x), self.target(y)
        with torch.autocast(self.device.type, enabled=False):
            output = output.to(torch.promote_types(output.dtype, torch.float32))
            loss = self.loss(output, target)
        metrics.update(output, target)
        # Loggers get these from the History callback, together with what training measured.
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, logger=False, batch_size=len(x))
        self.log_dict(metrics, on_step=False, on_epoch=True, logger=False, batch_size=len(x))
        return output
