"""Fast path: train many batches and epochs inside one `training_step` while no hook needs to see them.

Lightning itself takes about 0.4 ms for a batch and 1 to 3 ms for an epoch. A step of a spiral network on one point
takes 0.3 ms, an epoch of it on all points 2 ms, and an epoch of a linear regression 0.1 ms. Therefore a training step
first trains directly on all batches, and then on all epochs, whose end no hook needs to see. The last batch is left
to Lightning's automatic optimization, with all hooks and counters. The arithmetic is the same.

This is done only if no callback, logger or user method can observe a difference, which is checked at every training
step; anything unknown makes Lightning run every batch and every epoch. The code uses private attributes of Lightning
and PyTorch, all of them in this file: it advances Lightning's counters by the batches trained in between (`_Counters`),
shares its iterator over the batches of the epoch (`_data_fetcher`), and checks an optimizer's hooks. If a version of
Lightning lacks one of these attributes, the fast path is disabled.
"""

import importlib
import inspect
import math
import os
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from ..callbacks.divergence import Divergence
from ..callbacks.watched import watched_by
from ..data.loader import TensorLoader
from ..modules import SupervisedModule
from ..runs.log import traceback_log
from ..trainer_attributes import declared

# Imported by name, since `torch.optim` deletes its attribute `optimizer`.
_optimizers = importlib.import_module("torch.optim.optimizer")

# Short enough for a smooth progress bar and a fast response to Ctrl-C, long enough to make Lightning's time small.
SECONDS_AHEAD = 0.25

# The classes of these packages are known to call only what their documentation describes.
_PACKAGES = {"littlenets", "pytorch_lightning", "lightning_fabric", "torch"}
# Prefixes of hooks that are called outside the training of an epoch, where the fast path makes no difference.
_OUTSIDE: tuple[str, ...] = (
    "setup",
    "teardown",
    "on_fit_",
    "on_train_start",
    "on_train_end",
    "on_sanity_",
    "on_validation_",
    "on_test_",
)
_OUTSIDE += ("on_predict_", "on_exception", "on_save_checkpoint", "on_load_checkpoint", "state_", "load_state_")
_EPOCH_HOOKS = frozenset({"on_train_epoch_start", "on_train_epoch_end"})
# These and all other hooks, taken from the class since other versions may have more.
_TRAINING_HOOKS = (
    frozenset(name for name in dir(Callback) if name.startswith("on_") and not name.startswith(_OUTSIDE)) | _EPOCH_HOOKS
)
_BATCH_HOOKS = _TRAINING_HOOKS - _EPOCH_HOOKS
# Methods of a task that are not used during the training of an epoch.
_ASIDE = {"predictions", "check", "metrics", "validation_step", "test_step", "predict_step", "configure_optimizers"}
_ASIDE |= {"configure_callbacks", "configure_model", "configure_sharded_model"}
_STEPS = frozenset(
    name
    for name in dir(SupervisedModule)
    if not name.startswith(("__", *_OUTSIDE)) and callable(getattr(SupervisedModule, name)) and name not in _ASIDE
)
_TRANSFERS = frozenset({"on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"})


class RunAhead(Callback):
    """Callback that trains batches and epochs without Lightning's loop if no callback needs to see them.

    A callback with a hook for epochs can define ``epochs_until_due(trainer) -> int | None``: the number of epochs after
    the current one that may be trained without calling it (None: any number). A callback with a hook for batches or
    gradients can define ``batches_until_due(trainer) -> int | None``: the number of batches after the current one,
    within the same epoch. Both are called before the current batch is trained. A callback with such a hook but without
    the method sees every batch or epoch. If batches are skipped, ``on_train_batch_start`` and its ``batch_idx`` refer
    to the first of the batches trained in one step. A callback with a method ``record_epochs(trainer, columns,
    batch_losses)`` receives the measurements of the skipped epochs.

    Args:
        enabled: whether to use the fast path.
    """

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._replaced = False  # whether the strategy has `_training_step` in place of its own
        self._reason: str | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "cpu":
            # Lightning makes PyTorch look for the NVIDIA library each time an optimizer checks for a GPU. Without a
            # GPU, that takes 0.1 ms at every step.
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        # The duration of an epoch is known after the first one, which is never skipped.
        self._reason, self._epoch_began = None, -math.inf
        if self._enabled and isinstance(pl_module, SupervisedModule):
            self._trainer, self._module = trainer, pl_module
            step = partial(self._training_step, trainer.strategy.training_step)
            trainer.strategy.training_step = step  # type: ignore[method-assign]
            self._replaced = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._give_back(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._give_back(trainer)

    def _give_back(self, trainer: Trainer) -> None:
        if self._replaced:
            del trainer.strategy.training_step
            self._replaced = False

    def _training_step(self, step: Callable[..., Any], batch: Any, batch_idx: int) -> Any:
        if self._trainer.is_last_batch and _sees_every_epoch(self._trainer):
            # Neither a batch nor an epoch can be skipped, so the checks would be for nothing.
            return step(batch, batch_idx)
        reason = obstacle(self._trainer, self._module)
        if reason is None:
            turn = _Turn(self._trainer, self._module, self._epoch_began)
            batch, batch_idx = turn.train_up_to_the_last(batch, batch_idx)
            if self._trainer.is_last_batch:
                self._epoch_began = time.perf_counter()
        elif reason != self._reason:
            traceback_log.info("Lightning runs every batch and every epoch by itself: %s.", reason)
        self._reason = reason
        return step(batch, batch_idx)


def obstacle(trainer: Trainer, module: SupervisedModule) -> str | None:
    """Return why the fast path cannot be used at this step; None if it can."""
    for look in (_of_trainer, _of_optimizer, _of_data, _of_callbacks, _of_module, _of_version):
        if reason := look(trainer, module):
            return reason
    return None


def _of_trainer(trainer: Trainer, module: SupervisedModule) -> str | None:
    if trainer.should_stop:
        return "the run is about to end"
    for name, plain in {"strategy": SingleDeviceStrategy, "precision_plugin": Precision}.items():
        kind = type(getattr(trainer, name))
        if kind is not plain:
            return f"trainer.{name} is {kind.__name__}"
    if not isinstance(declared(trainer).profiler, PassThroughProfiler):
        return "a profiler looks at every batch"
    accepted: dict[str, tuple[bool | int, ...]] = {
        "accumulate_grad_batches": (1,),
        "fast_dev_run": (False, 0),
        "overfit_batches": (0,),
        "reload_dataloaders_every_n_epochs": (0,),
    }
    for name, values in accepted.items():
        if getattr(trainer, name) not in values:
            return f"trainer.{name}={getattr(trainer, name)}"
    between_epochs = trainer.check_val_every_n_epoch is not None and trainer.val_check_interval == 1.0
    return None if between_epochs or not trainer.enable_validation else "there are validations within an epoch"


def _of_optimizer(trainer: Trainer, module: SupervisedModule) -> str | None:
    if len(trainer.optimizers) != 1:
        return f"there are {len(trainer.optimizers)} optimizers"
    (optimizer,) = trainer.optimizers
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim.") or kind is torch.optim.LBFGS:
        return f"the optimizer is {kind.__name__}"
    if _steps_otherwise(optimizer):
        return f"the step of {kind.__name__} is not that of the class, or has hooks"
    for config in trainer.lr_scheduler_configs:
        known = type(config.scheduler).__module__ == "torch.optim.lr_scheduler" and not vars(config.scheduler).get(
            "step"
        )
        if config.reduce_on_plateau or not known:
            return f"the learning rate follows {type(config.scheduler).__name__}"
    return None


def _steps_otherwise(optimizer: Optimizer) -> bool:
    hooks = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    everywhere = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
    if any(getattr(optimizer, name) for name in hooks) or any(getattr(_optimizers, name) for name in everywhere):
        return True
    if not _is_known(type(optimizer).step):
        return True
    step = vars(optimizer).get("step")
    # A learning rate scheduler wraps the method to count its calls.
    counted = getattr(step, "_wrapped_by_lr_sched", False)
    return step is not None and not (counted and getattr(step, "__wrapped__", None) is type(optimizer).step)


def _of_data(trainer: Trainer, module: SupervisedModule) -> str | None:
    loader = trainer.train_dataloader
    if type(loader) is not TensorLoader:
        return f"batches come from {type(loader).__name__}"
    if trainer.num_training_batches != len(loader):
        return "trainer.limit_train_batches"
    hooks = declared(trainer).datamodule
    changed = hooks is not None and (_defined_elsewhere(type(hooks), _TRANSFERS) or _own(hooks, _TRANSFERS))
    return f"{type(hooks).__name__} has a method {changed}" if changed else None


def _of_module(trainer: Trainer, module: SupervisedModule) -> str | None:
    changed = _defined_elsewhere(type(module), _STEPS)
    own = _own(module, _STEPS)
    if own == "step" and getattr(module.step, "shares_batches", False):
        own = _own(module, _STEPS - {"step"})
    return f"{type(module).__name__} has a method {changed or own} of its own" if changed or own else None


def _of_callbacks(trainer: Trainer, module: SupervisedModule) -> str | None:
    for callback in declared(trainer).callbacks:
        hook = _needed(callback, "batches_until_due", _BATCH_HOOKS)
        if hook:
            return f"{type(callback).__name__}.{hook} is called at every batch"
    return None


def _of_version(trainer: Trainer, module: SupervisedModule) -> str | None:
    try:
        _Counters(trainer)
        fetcher: Any = trainer.fit_loop._data_fetcher
        _ = fetcher.done
    except AttributeError as error:
        return f"this version of Lightning is not known ({error})"
    return None


def _sees_every_epoch(trainer: Trainer) -> bool:
    return any(_needed(callback, "epochs_until_due", _TRAINING_HOOKS) for callback in declared(trainer).callbacks)


def _defined_elsewhere(kind: type, names: Iterable[str]) -> str | None:
    """Return one of the methods that a class has from outside the known packages; None if there is none."""
    for name in names:
        function = getattr(kind, name, None)
        # Functions marked by `sample_by_sample` only compute a mean over samples.
        if not _is_known(function) and not getattr(function, "sample_by_sample", False):
            return name
    return None


def _is_known(function: Any) -> bool:
    """Return whether a method and its decorators come from one of the known packages, or are not written in Python."""
    while function is not None:
        function = getattr(function, "__func__", function)
        package = getattr(function, "__globals__", {"__name__": "torch"})["__name__"].partition(".")[0]
        if package not in _PACKAGES | {"contextlib", "functools"}:
            return False
        function = getattr(function, "__wrapped__", None)
    return True


def _needed(callback: Callback, announcement: str, hooks: frozenset[str]) -> str | None:
    """Return a hook of a callback that must be called each time; None if there is none."""
    kind: Any = type(callback)
    return _unannounced(kind, announcement, hooks) or _own(callback, hooks)


@lru_cache(maxsize=1024)
def _unannounced(kind: type, announcement: str, hooks: frozenset[str]) -> str | None:
    """Return a hook that a callback's class defines without ``announcement``; None if there is none."""
    says = _owner(kind, announcement)
    for hook in hooks:
        owner = _owner(kind, hook)
        # A subclass that adds a hook has to define the method for it itself.
        if owner is not Callback and owner is not None and not (says is not None and issubclass(says, owner)):
            return hook
    return None


def _owner(kind: type, name: str) -> type | None:
    return next((base for base in kind.__mro__ if name in vars(base)), None)


def _own(thing: object, names: frozenset[str]) -> str | None:
    """Return one of the names that an object, not its class, has as an attribute; None if it has none."""
    own = vars(thing)
    return None if names.isdisjoint(own) else next(name for name in own if name in names)


class _Counters:
    """Lightning's counters, which are advanced by the batches trained without Lightning.

    Args:
        trainer: the trainer whose counters are advanced.

    Raises:
        AttributeError: this version of Lightning lacks one of the counters.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._epoch_loop = trainer.fit_loop.epoch_loop
        optimizer = self._epoch_loop.automatic_optimization.optim_progress.optimizer
        self.epochs = trainer.fit_loop.epoch_progress
        self.batches = self._epoch_loop.batch_progress
        self._steps = (optimizer.step, optimizer.zero_grad)
        self._schedules = self._epoch_loop.scheduler_progress
        _ = self._epoch_loop._batches_that_stepped, self.batches.is_last_batch

    def add_batches(self, count: int, schedule_steps: int) -> None:
        """Count batches of the current epoch."""
        for progress, by in (
            (self.batches, count),
            (self._schedules, schedule_steps),
            *((s, count) for s in self._steps),
        ):
            _move(progress.current, by)
            _move(progress.total, by)
        self._epoch_loop._batches_that_stepped += count

    def add_epochs(self, count: int, batches: int, schedule_steps: int) -> None:
        """Count whole epochs, from the last batch of one epoch to the last batch of another."""
        _move(self.epochs.current, count)
        _move(self.epochs.total, count)
        for progress, by in (
            (self.batches, batches),
            (self._schedules, schedule_steps),
            *((s, batches) for s in self._steps),
        ):
            _move(progress.total, by)
        self._epoch_loop._batches_that_stepped += batches


def _move(counter: Any, by: int) -> None:
    for name in ("ready", "started", "processed", "completed"):
        if hasattr(counter, name):
            setattr(counter, name, getattr(counter, name) + by)


class _Turn:
    """The batches and epochs trained in one training step before Lightning trains the last batch."""

    def __init__(self, trainer: Trainer, module: SupervisedModule, epoch_began: float) -> None:
        self._trainer, self._module, self._epoch_began = trainer, module, epoch_began
        self._loader = cast(TensorLoader, trainer.train_dataloader)
        self._batches = len(self._loader)
        self._counters = _Counters(trainer)
        (self._optimizer,) = trainer.optimizers
        # Collected now, since a callback may have added parameters.
        self._parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        # `optimizer.step` without the wrappers for profilers, hooks and Dynamo, which take 0.03 ms.
        self._optimizer_step = partial(inspect.unwrap(type(self._optimizer).step), self._optimizer)
        # The function that loss.backward() calls after 0.02 ms of handling arguments, which are always the same here.
        engine = getattr(torch.autograd.Variable, "_execution_engine", None)
        self._run_backward = getattr(engine, "run_backward", None)
        self._one = torch.ones((), device=module.device)
        self._clip = trainer.gradient_clip_val
        # Without ReduceLROnPlateau, whose step takes a metric.
        self._schedules: list[Any] = trainer.lr_scheduler_configs
        self._schedule_steps = 0
        self._until = time.perf_counter() + SECONDS_AHEAD

    def train_up_to_the_last(self, batch: Any, batch_idx: int) -> tuple[Any, int]:
        """Train on what no hook needs to see; return the batch left to Lightning and its index in its epoch."""
        if batch_idx == 0:
            self._module.records.clear()
        batch = self._train_batches(batch)
        if self._counters.batches.current.ready == self._batches:
            batch = self._train_epochs(batch)
        return batch, self._counters.batches.current.ready - 1

    def _train_batches(self, batch: Any) -> Any:
        """Train on batches of the current epoch, up to but not including the one that is returned."""
        fetcher: Any = self._trainer.fit_loop._data_fetcher
        passed, ready = 0, self._counters.batches.current.ready
        for index in range(ready - 1, ready - 1 + self._batches_until_due()):
            if time.perf_counter() >= self._until:
                break
            self._train(batch)
            self._step_schedules("step", index)
            batch, _, _ = next(fetcher)
            passed += 1
        self._counters.add_batches(passed, self._schedule_steps)
        self._counters.batches.is_last_batch = fetcher.done
        self._schedule_steps = 0
        return batch

    def _train_epochs(self, batch: Any) -> Any:
        """End the current epoch and train on further ones, up to but not including the last batch of the last one."""
        # Epochs that take longer than SECONDS_AHEAD are left to Lightning, whose cost is negligible there, so that the
        # progress bar and Ctrl-C do not wait for a whole epoch.
        now = time.perf_counter()
        until = max(self._until, now + SECONDS_AHEAD) if now - self._epoch_began < SECONDS_AHEAD else now
        passed, epoch = 0, self._trainer.current_epoch
        records, watched = self._module.records, watched_by(self._trainer, self._module)
        for _ in range(self._epochs_until_due()):
            if time.perf_counter() >= until or self._trainer.should_stop:
                break
            self._train(batch)
            # Before the scheduler's step, to record the learning rate that the last step of the epoch used.
            records.end_epoch(watched(), float(self._optimizer.param_groups[0]["lr"]))
            self._step_schedules("step", self._batches - 1)
            self._step_schedules("epoch", epoch + passed)
            passed += 1
            self._loader.sampler.set_epoch(epoch + passed)
            following = iter(self._loader)
            batch = next(following)
            for index, later in enumerate(following):
                self._train(batch)
                self._step_schedules("step", index)
                batch = later
        if passed:
            self._counters.add_epochs(passed, passed * self._batches, self._schedule_steps)
            self._publish(epoch + 1)
        return batch

    def _train(self, batch: Any) -> None:
        step = self._module.step(batch)
        self._module.records.add(step)
        for parameter in self._parameters:
            parameter.grad = None
        self._backward(step.loss)
        if self._clip:
            self._module.configure_gradient_clipping(self._optimizer, self._clip, self._trainer.gradient_clip_algorithm)
        with torch.no_grad():
            self._optimizer_step()

    def _backward(self, loss: Tensor) -> None:
        if self._run_backward is None:
            loss.backward()
        else:
            self._run_backward((loss,), (self._one,), False, False, (), allow_unreachable=True, accumulate_grad=True)

    def _step_schedules(self, interval: str, index: int) -> None:
        for config in self._schedules:
            if config.interval == interval and (index + 1) % config.frequency == 0:
                config.scheduler.step()
                self._schedule_steps += 1

    def _publish(self, first_epoch: int) -> None:
        columns = self._module.records.take()
        losses = self._module.records.batch_losses.tolist()
        callbacks = declared(self._trainer).callbacks
        divergence = next((callback for callback in callbacks if isinstance(callback, Divergence)), None)
        whole = divergence.whole_rows(columns["train/loss"]) if divergence else len(columns["train/loss"])
        for callback in callbacks:
            if hasattr(callback, "record_epochs"):
                callback.record_epochs(self._trainer, {name: cells[:whole] for name, cells in columns.items()}, losses)
        if divergence:
            divergence.check(columns["train/loss"], first_epoch)

    def _batches_until_due(self) -> int:
        limits = [self._batches - self._counters.batches.current.ready, *self._due("batches_until_due")]
        if self._trainer.max_steps != -1:
            limits.append(self._trainer.max_steps - self._trainer.global_step - 1)
        return max(0, min(limits))

    def _epochs_until_due(self) -> int:
        trainer = self._trainer
        if _sees_every_epoch(trainer):
            return 0
        epoch = trainer.current_epoch
        limits = self._due("epochs_until_due")
        if trainer.max_epochs not in (None, -1):
            limits.append(trainer.max_epochs - 1 - epoch)
        if trainer.max_steps != -1:
            limits.append((trainer.max_steps - trainer.global_step - 1) // self._batches)
        if trainer.enable_validation and trainer.check_val_every_n_epoch is not None:
            limits.append(-(epoch + 1) % trainer.check_val_every_n_epoch)
        # If there is no other limit, only the time limits the number of epochs.
        return max(0, min(limits, default=2**31))

    def _due(self, question: str) -> list[int]:
        """Return the limits that the callbacks set with the method named ``question``."""
        callbacks = declared(self._trainer).callbacks
        asked = [getattr(callback, question) for callback in callbacks if hasattr(callback, question)]
        return [due for ask in asked if (due := ask(self._trainer)) is not None]
