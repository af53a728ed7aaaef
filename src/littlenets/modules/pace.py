"""How much Lightning is involved in each step and each epoch: no more than somebody needs.

Lightning's own work is about 0.4 ms a batch and 1 to 3 ms an epoch. A step of a spiral network on one point takes
0.3 ms, an epoch of it on all points 2 ms and one of a linear regression 0.1 ms, so the loop below Lightning's runs
ahead: after a batch it goes on with the next ones, and after the last batch of an epoch with the next epochs, in the
same call, until somebody needs to see a batch or an epoch end. The arithmetic is the same.
"""

import inspect
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.core.hooks import DataHooks
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from ..data.loader import TensorLoader

# Short enough for a lively progress bar and a prompt answer to Ctrl-C, long enough to make Lightning's share small.
SECONDS_AHEAD = 0.25

_STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
_TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
_BATCH_HOOKS = ("on_train_batch_start", "on_train_batch_end")
_EPOCH_HOOKS = ("on_train_epoch_start", "on_train_epoch_end")


class Pace:
    """Decides what may be skipped in a fit, and keeps Lightning's counters right where it is.

    A callback that acts on epochs says with ``epochs_until_due(trainer) -> int | None`` how many more it can do
    without (None: any number), and one with a hook for batches with ``batches_until_due`` how many more of the same
    epoch. One that does not say, but has such a hook, sees every single one. To one that does say, ``batch_idx`` is
    that of the first batch since Lightning last had its turn.
    """

    def __init__(self, trainer: Trainer, module: LightningModule) -> None:
        self._trainer = trainer
        self._progress = trainer.fit_loop.epoch_progress
        self._epoch_loop = trainer.fit_loop.epoch_loop
        self._steps = self._epoch_loop.manual_optimization.optim_step_progress
        self._batch_progress = self._epoch_loop.batch_progress
        self._loader = trainer.train_dataloader
        #: What is trained.
        self.parameters = [p for group in trainer.optimizers[0].param_groups for p in group["params"]]
        # What loss.backward() calls in the end, after 0.02 ms of arguments that are the same every time.
        self._backward = torch.autograd.Variable._execution_engine.run_backward
        self._one = torch.ones((), device=module.device)
        self._step = _bare_step(trainer.optimizers[0])
        self._epoch_began = time.perf_counter()
        observers = [(callback, Callback) for callback in trainer.callbacks] + [(module, LightningModule)]
        if module.device.type == "cpu":
            # Lightning makes PyTorch look for the NVIDIA library each time an optimizer asks whether there is a GPU,
            # which where there is none takes 0.1 ms at every step.
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        #: Whether a step is nothing but backward and the optimizer's own step.
        self.plain = (
            type(trainer.strategy) is SingleDeviceStrategy
            and type(trainer.precision_plugin) is Precision
            and isinstance(trainer.profiler, PassThroughProfiler)
            and not any(_has(observer, _STEP_HOOKS, base) for observer, base in observers)
        )
        possible = (
            self.plain
            and isinstance(self._loader, TensorLoader)
            and trainer.num_training_batches == len(self._loader)
            and not trainer.fast_dev_run
            and trainer.reload_dataloaders_every_n_epochs == 0
            and (not trainer.enable_validation or _validates_between_epochs(trainer))
            and not any(_has(hooks, _TRANSFER_HOOKS, DataHooks) for hooks in (module, trainer.datamodule))
        )
        self._batches_may_pass = possible and not any(
            _has(observer, _BATCH_HOOKS, base) and not hasattr(observer, "batches_until_due")
            for observer, base in observers
        )
        self._epochs_may_pass = possible and not any(
            _has(observer, _BATCH_HOOKS + _EPOCH_HOOKS, base) and not hasattr(observer, "epochs_until_due")
            for observer, base in observers
        )

    def backward(self, loss: Tensor) -> None:
        """Sets the gradients."""
        for parameter in self.parameters:
            parameter.grad = None
        self._backward((loss,), (self._one,), False, False, (), allow_unreachable=True, accumulate_grad=True)

    def step(self) -> None:
        """One optimizer step, counted as Lightning counts it."""
        with torch.no_grad():
            self._step()
        self._steps.total.ready += 1
        self._steps.total.completed += 1

    def further_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Those of the same epoch to train on before Lightning hears of a batch again; never the epoch's last one."""
        if not self._batches_may_pass:
            return
        until = time.perf_counter() + SECONDS_AHEAD
        batches = self._trainer.fit_loop._data_fetcher
        ahead = 0
        for _ in range(self._batches_until_due()):
            if time.perf_counter() >= until:
                break
            batch, _, _ = next(batches)
            ahead += 1
            yield batch
        for counter in (self._batch_progress.current, self._batch_progress.total):
            _move(counter, ahead)
        self._epoch_loop._batches_that_stepped += ahead

    def further_epochs(self) -> Iterator[Iterable[tuple[Tensor, Tensor]]]:
        """The batches of each epoch to run before Lightning hears of an end again."""
        if not self._epochs_may_pass:
            return
        current = self._progress.current
        now = time.perf_counter()
        # An epoch that takes that long by itself has Lightning's attention: its cost is nothing there, and a bar that
        # stands still for a whole epoch, or a Ctrl-C that waits for it, is not.
        until = now + SECONDS_AHEAD if now - self._epoch_began < SECONDS_AHEAD else now
        ahead = 0
        for _ in range(self._epochs_until_due()):
            if time.perf_counter() >= until or self._trainer.should_stop:
                break
            # What Lightning does between the last batch of an epoch and the first of the next, as far as anybody sees.
            current.processed += 1
            current.completed += 1
            self._loader.sampler.set_epoch(current.completed)
            ahead += 1
            yield self._loader
        self._catch_up(ahead)
        self._epoch_began = time.perf_counter()

    def _catch_up(self, epochs: int) -> None:
        """Moves those of Lightning's counters that only matter where it goes on."""
        current, total = self._progress.current, self._progress.total
        current.ready += epochs
        current.started += epochs
        _move(total, epochs)
        _move(self._batch_progress.total, epochs * len(self._loader))
        self._epoch_loop._batches_that_stepped += epochs * len(self._loader)

    def _epochs_until_due(self) -> int:
        trainer, batches = self._trainer, len(self._loader)
        epoch = trainer.current_epoch
        limits = []
        if trainer.max_epochs not in (None, -1):
            limits.append(trainer.max_epochs - 1 - epoch)
        if trainer.max_steps != -1:
            limits.append((trainer.max_steps - trainer.global_step) // batches)
        if trainer.enable_validation:
            limits.append(-(epoch + 1) % trainer.check_val_every_n_epoch)
        limits += self._due("epochs_until_due")
        # Without any limit, time is the only one.
        return max(0, min(limits, default=2**31))

    def _batches_until_due(self) -> int:
        limits = [len(self._loader) - self._batch_progress.current.ready - 1, *self._due("batches_until_due")]
        if self._trainer.max_steps != -1:
            limits.append(self._trainer.max_steps - self._trainer.global_step)
        return max(0, min(limits))

    def _due(self, question: str) -> list[int]:
        """What those callbacks answer that have something to do."""
        asked = [getattr(callback, question) for callback in self._trainer.callbacks if hasattr(callback, question)]
        return [due for ask in asked if (due := ask(self._trainer)) is not None]


def _move(counter: Any, by: int) -> None:
    counter.ready += by
    counter.started += by
    counter.processed += by
    counter.completed += by


def _bare_step(optimizer: Optimizer) -> Callable[[], None]:
    """``optimizer.step`` without the wrappers for profilers, hooks and Dynamo, which take 0.03 ms.

    Only where nobody listens: with hooks or a schedule, which counts steps, it is the optimizer's own.
    """
    hooked = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks or "step" in vars(optimizer)
    if hooked:
        return optimizer.step
    return partial(inspect.unwrap(type(optimizer).step), optimizer)


def _validates_between_epochs(trainer: Trainer) -> bool:
    return trainer.check_val_every_n_epoch is not None and trainer.val_check_interval == 1.0


def _has(observer: object, hooks: Iterable[str], base: type) -> bool:
    return any(getattr(type(observer), hook) is not getattr(base, hook) for hook in hooks)
