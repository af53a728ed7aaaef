"""Callbacks as a user may write them, which know nothing of the package; for its runs and for ordinary ones alike."""

from collections import Counter
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import BaseFinetuning, LambdaCallback
from torch import Tensor
from torch.optim import Optimizer

#: How often each function was called since it was cleared.
calls: Counter[str] = Counter()


class Recorder(Callback):
    """Records what every batch and every epoch is told.

    ``Recorder.latest`` is that of the latest fit.
    """

    latest: ClassVar["Recorder"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            Recorder.latest = self
            #: The hooks in order, each with the epoch and the number of optimizer steps.
            self.hooks: list[tuple[str, int, int]] = []
            #: Of each parameter group, before each batch.
            self.lrs: list[list[float]] = []
            #: Of each batch, and of the epoch in which it was.
            self.losses: list[Tensor] = []
            self.epochs: list[int] = []
            #: Norm of all gradients before each optimizer step.
            self.norms: list[float] = []
            #: What is known at the end of each epoch, and after each validation.
            self.metrics: list[dict[str, float]] = []
            self.validations: list[dict[str, float]] = []

    def _heard(self, hook: str, trainer: Trainer) -> None:
        self.hooks.append((hook, trainer.current_epoch, trainer.global_step))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._heard("on_train_epoch_start", trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._heard("on_train_batch_start", trainer)
        self.lrs.append([group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups])
        self.epochs.append(trainer.current_epoch)

    def on_before_zero_grad(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self._heard("on_before_zero_grad", trainer)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._heard("on_before_backward", trainer)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._heard("on_after_backward", trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self._heard("on_before_optimizer_step", trainer)
        gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
        self.norms.append(torch.nn.utils.get_total_norm(gradients).item())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._heard("on_train_batch_end", trainer)
        if outputs:
            self.losses.append(outputs["loss"].detach().clone())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._heard("on_validation_end", trainer)
        if not trainer.sanity_checking:
            self.validations.append(_numbers(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._heard("on_train_epoch_end", trainer)
        self.metrics.append(_numbers(trainer))

    @property
    def last_lrs(self) -> list[float]:
        """The learning rate of the last batch of each epoch."""
        return list({epoch: lrs[0] for epoch, lrs in zip(self.epochs, self.lrs, strict=True)}.values())


def _numbers(trainer: Trainer) -> dict[str, float]:
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


class Keeper(Callback):
    """Keeps the module's state as it is at the end of the fit, in ``Keeper.state``."""

    state: ClassVar[dict[str, Tensor]] = {}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        Keeper.state = {name: value.clone() for name, value in pl_module.state_dict().items()}


def clips_gradients() -> Callback:
    """Make a callback whose hooks are functions of the instance; one of them changes gradients."""

    def clip(trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        calls["on_before_optimizer_step"] += 1
        torch.nn.utils.clip_grad_norm_(pl_module.parameters(), 0.05)

    def count(hook: str) -> Any:
        def counted(*arguments: Any) -> None:
            calls[hook] += 1

        return counted

    hooks = {hook: count(hook) for hook in ("on_train_batch_end", "on_train_epoch_end", "on_train_epoch_start")}
    return LambdaCallback(on_before_optimizer_step=clip, **hooks)


class OnTheInstance(Callback):
    """Has no hook of its own but the one that it is given later."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_batch_end = self._weigh_down

    def _weigh_down(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
        calls["on_train_batch_end"] += 1
        with torch.no_grad():
            for parameter in pl_module.parameters():
                parameter.mul_(0.99)


class HooksOnTheOptimizer(Callback):
    """Registers a hook of torch's on the optimizer, after the second validation."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            trainer.optimizers[0].register_step_post_hook(self._shrink)

    def _shrink(self, optimizer: Optimizer, *arguments: Any) -> None:
        calls["step"] += 1
        with torch.no_grad():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.mul_(0.99)


class Unfreezing(BaseFinetuning):
    """Trains the last layer alone, and the others as well from an epoch on."""

    def __init__(self, epoch: int = 2) -> None:
        super().__init__()
        self.epoch = epoch

    def freeze_before_training(self, pl_module: LightningModule) -> None:
        self.freeze(list(pl_module.network.layers[:-2]))

    def finetune_function(self, pl_module: LightningModule, epoch: int, optimizer: Optimizer) -> None:
        if epoch == self.epoch:
            self.unfreeze_and_add_param_group(list(pl_module.network.layers[:-2]), optimizer)


class StopsAfter(Callback):
    """Asks the trainer to stop, in the middle of a step.

    Args:
        step: the number of the step, from 0.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if trainer.global_step == self.step:
            trainer.should_stop = True


class WatchesLoss(Callback):
    """Writes down ``outputs["loss"]`` of every batch, in the folder of the run."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        calls["loss"] += 1
        with open(f"{trainer.default_root_dir}/losses.txt", "a") as file:
            file.write(f"{outputs['loss'].item()!r}\n")


def counts_epochs() -> Callback:
    """Make a callback whose only hook is a function of the instance."""

    def count(*arguments: Any) -> None:
        calls["on_train_epoch_end"] += 1

    return LambdaCallback(on_train_epoch_end=count)
