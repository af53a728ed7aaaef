"""Train batches and epochs that nobody needs to see before Lightning takes its turn.

Lightning's own work is about 0.4 ms a batch and 1 to 3 ms an epoch. A step of a spiral network on one point takes
0.3 ms, an epoch of it on all points 2 ms, and one of a linear regression 0.1 ms. So the first thing that a training
step does here is to train by itself on the batches, and then on the epochs, whose end nobody needs to see. The last of
them is left to Lightning's automatic optimization, with all hooks and counters. The arithmetic is the same.

It happens only where every observer is known to see no difference, which is looked at again at every turn: what is
unknown makes Lightning run every batch and every epoch. It touches private attributes of Lightning and PyTorch, all of
them in this file. Lightning's counters are moved by what was trained in between (`_Counters`), its iterator over
the epoch's batches is shared (`_data_fetcher`), and an optimizer's hooks are looked for. Where another version has
not got one of these, nothing runs ahead.
"""

import importlib
import inspect
import math
import os
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

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

# The name is taken away from `torch.optim`.
_optimizers = importlib.import_module("torch.optim.optimizer")

# Short enough for a lively progress bar and a prompt answer to Ctrl-C, long enough to make Lightning's share small.
SECONDS_AHEAD = 0.25

# Whose classes are known to call nothing but what they are documented to call.
_PACKAGES = {"littlenets", "pytorch_lightning", "lightning_fabric", "torch"}
# Hooks that are called outside of the training of an epoch, which is all that is run ahead of.
_OUTSIDE = (
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
_EPOCH_HOOKS = {"on_train_epoch_start", "on_train_epoch_end"}
# Of every hook that is none of the above, as there may be more in another version.
_BATCH_HOOKS = {
    name for name in dir(Callback) if name.startswith("on_") and not name.startswith(_OUTSIDE)
} - _EPOCH_HOOKS
# Methods of a task that have no part in the training of an epoch.
_ASIDE = {"predictions", "check", "metrics", "validation_step", "test_step", "predict_step", "configure_optimizers"}
_ASIDE |= {"configure_callbacks", "configure_model", "configure_sharded_model"}
_STEPS = {
    name
    for name in dir(SupervisedModule)
    if not name.startswith(("__", *_OUTSIDE)) and callable(getattr(SupervisedModule, name)) and name not in _ASIDE
}
_TRANSFERS = {"on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"}


class RunAhead(Callback):
    """Take over the training of those batches and epochs that no callback needs to see.

    A callback that acts on epochs says with ``epochs_until_due(trainer) -> int | None`` how many more than the one
    under way it can do without (None: any number), and one that has a hook for batches or gradients says with
    ``batches_until_due(trainer) -> int | None`` how many more than the one under way, of the same epoch; both are asked
    before the batch under way is trained. One that does not say, but has such a hook, sees every single one. To one
    that does say, ``on_train_batch_start`` and ``batch_idx`` are about the first batch of a turn. One that has a method
    ``record_epochs(trainer, columns, batch_losses)`` is given what was measured in the epochs that passed.

    Args:
        enabled: whether to do so at all.
    """

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled
        self._step: Callable[..., Any] | None = None
        self._reason: str | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "cpu":
            # Lightning makes PyTorch look for the NVIDIA library each time an optimizer asks whether there is a GPU,
            # which where there is none takes 0.1 ms at every step.
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        # How long an epoch takes is known after the first, which does not pass.
        self._reason, self._epoch_began = None, -math.inf
        if self._enabled and isinstance(pl_module, SupervisedModule):
            self._trainer, self._module = trainer, pl_module
            self._step = trainer.strategy.training_step
            trainer.strategy.training_step = self._training_step

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._give_back(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._give_back(trainer)

    def _give_back(self, trainer: Trainer) -> None:
        if self._step is not None:
            del trainer.strategy.training_step
            self._step = None

    def _training_step(self, batch: Any, batch_idx: int) -> Any:
        reason = obstacle(self._trainer, self._module)
        if reason is None:
            turn = _Turn(self._trainer, self._module, self._epoch_began)
            batch, batch_idx = turn.train_up_to_the_last(batch, batch_idx)
            if self._trainer.is_last_batch:
                self._epoch_began = time.perf_counter()
        elif reason != self._reason:
            traceback_log.info("Lightning runs every batch and every epoch by itself: %s.", reason)
        self._reason = reason
        return self._step(batch, batch_idx)


def obstacle(trainer: Trainer, module: SupervisedModule) -> str | None:
    """Return why nothing can be run ahead at this turn; None where it can."""
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
    if not isinstance(trainer.profiler, PassThroughProfiler):
        return "a profiler looks at every batch"
    plain = {
        "gradient_clip_val": (None, 0),
        "accumulate_grad_batches": (1,),
        "fast_dev_run": (False, 0),
        "overfit_batches": (0,),
        "reload_dataloaders_every_n_epochs": (0,),
    }
    for name, values in plain.items():
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
    # A schedule puts a counter around it.
    counted = getattr(step, "_wrapped_by_lr_sched", False)
    return step is not None and not (counted and getattr(step, "__wrapped__", None) is type(optimizer).step)


def _of_data(trainer: Trainer, module: SupervisedModule) -> str | None:
    loader = trainer.train_dataloader
    if type(loader) is not TensorLoader:
        return f"batches come from {type(loader).__name__}"
    if trainer.num_training_batches != len(loader):
        return "trainer.limit_train_batches"
    hooks = trainer.datamodule
    changed = hooks is not None and (_defined_elsewhere(type(hooks), _TRANSFERS) or _own(hooks, _TRANSFERS))
    return f"{type(hooks).__name__} has a method {changed}" if changed else None


def _of_module(trainer: Trainer, module: SupervisedModule) -> str | None:
    changed = _defined_elsewhere(type(module), _STEPS)
    own = _own(module, _STEPS)
    if own == "step" and getattr(module.step, "shares_batches", False):
        own = _own(module, _STEPS - {"step"})
    return f"{type(module).__name__} has a method {changed or own} of its own" if changed or own else None


def _of_callbacks(trainer: Trainer, module: SupervisedModule) -> str | None:
    for callback in trainer.callbacks:
        hook = _unannounced(type(callback), "batches_until_due", _BATCH_HOOKS) or _own(callback, _BATCH_HOOKS)
        if hook:
            return f"{type(callback).__name__}.{hook} is called at every batch"
    return None


def _of_version(trainer: Trainer, module: SupervisedModule) -> str | None:
    try:
        _Counters(trainer)
        _ = trainer.fit_loop._data_fetcher.done
    except AttributeError as error:
        return f"this version of Lightning is not known ({error})"
    return None


def _sees_every_epoch(trainer: Trainer) -> bool:
    hooks = _EPOCH_HOOKS | _BATCH_HOOKS
    return any(
        _unannounced(type(callback), "epochs_until_due", hooks) or _own(callback, hooks)
        for callback in trainer.callbacks
    )


def _defined_elsewhere(kind: type, names: Iterable[str]) -> str | None:
    """Return one of the methods that a class has from outside of the known packages; None where there is none."""
    for name in names:
        function = getattr(kind, name, None)
        # A function may say of itself that it does no more than to compute a mean over samples.
        if not _is_known(function) and not getattr(function, "sample_by_sample", False):
            return name
    return None


def _is_known(function: Any) -> bool:
    """Whether a method, and what decorates it, was written in one of the known packages, or not in Python."""
    while function is not None:
        function = getattr(function, "__func__", function)
        package = getattr(function, "__globals__", {"__name__": "torch"})["__name__"].partition(".")[0]
        if package not in _PACKAGES | {"contextlib", "functools"}:
            return False
        function = getattr(function, "__wrapped__", None)
    return True


@lru_cache(maxsize=1024)
def _unannounced(kind: type, announcement: str, hooks: frozenset[str]) -> str | None:
    """Return a hook of a callback's class that the class says nothing about; None where there is none."""
    says = _owner(kind, announcement)
    for hook in hooks:
        owner = _owner(kind, hook)
        # A subclass that adds a hook says so itself.
        if owner is not Callback and owner is not None and not (says is not None and issubclass(says, owner)):
            return hook
    return None


def _owner(kind: type, name: str) -> type | None:
    return next((base for base in kind.__mro__ if name in vars(base)), None)


def _own(thing: object, names: frozenset[str]) -> str | None:
    """Return one of the names that an object, not its class, has an attribute of."""
    own = vars(thing)
    return None if names.isdisjoint(own) else next(name for name in own if name in names)


_BATCH_HOOKS, _EPOCH_HOOKS = frozenset(_BATCH_HOOKS), frozenset(_EPOCH_HOOKS)
_STEPS, _TRANSFERS = frozenset(_STEPS), frozenset(_TRANSFERS)


class _Counters:
    """Lightning's counters, moved by what was trained without it.

    Raises:
        AttributeError: this version of Lightning has not got one of them.
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
        """Count batches of the epoch under way."""
        for progress, by in (
            (self.batches, count),
            (self._schedules, schedule_steps),
            *((s, count) for s in self._steps),
        ):
            _move(progress.current, by)
            _move(progress.total, by)
        self._epoch_loop._batches_that_stepped += count

    def add_epochs(self, count: int, batches: int, schedule_steps: int) -> None:
        """Count epochs between a last batch and another last batch."""
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
    """What is trained before Lightning's turn."""

    def __init__(self, trainer: Trainer, module: SupervisedModule, epoch_began: float) -> None:
        self._trainer, self._module, self._epoch_began = trainer, module, epoch_began
        self._loader, self._batches = trainer.train_dataloader, len(trainer.train_dataloader)
        self._counters = _Counters(trainer)
        (self._optimizer,) = trainer.optimizers
        # Those of now: a callback may add some.
        self._parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        # `optimizer.step` without the wrappers for profilers, hooks and Dynamo, which take 0.03 ms.
        self._optimizer_step = partial(inspect.unwrap(type(self._optimizer).step), self._optimizer)
        # What loss.backward() calls in the end, after 0.02 ms of arguments that are the same every time.
        engine = getattr(torch.autograd.Variable, "_execution_engine", None)
        self._run_backward = getattr(engine, "run_backward", None)
        self._one = torch.ones((), device=module.device)
        self._schedules = trainer.lr_scheduler_configs
        self._schedule_steps = 0
        self._until = time.perf_counter() + SECONDS_AHEAD

    def train_up_to_the_last(self, batch: Any, batch_idx: int) -> tuple[Any, int]:
        """Train on what may pass unseen; return the batch that is Lightning's, and its index in its epoch."""
        if batch_idx == 0:
            self._module.records.clear()
        batch = self._train_batches(batch)
        if self._counters.batches.current.ready == self._batches:
            batch = self._train_epochs(batch)
        return batch, self._counters.batches.current.ready - 1

    def _train_batches(self, batch: Any) -> Any:
        """Train on batches of the epoch under way, up to, but not including, the one that is returned."""
        fetcher, passed, ready = self._trainer.fit_loop._data_fetcher, 0, self._counters.batches.current.ready
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
        """End the epoch under way and train on further ones, up to, but not including, the last batch of the last."""
        # An epoch that takes that long by itself has Lightning's attention: its cost is nothing there, and a bar that
        # stands still for a whole epoch, or a Ctrl-C that waits for it, is not.
        now = time.perf_counter()
        until = max(self._until, now + SECONDS_AHEAD) if now - self._epoch_began < SECONDS_AHEAD else now
        passed, epoch = 0, self._trainer.current_epoch
        records, watched = self._module.records, watched_by(self._trainer, self._module)
        for _ in range(self._epochs_until_due()):
            if time.perf_counter() >= until or self._trainer.should_stop:
                break
            self._train(batch)
            # Before the schedule takes its step: the rate that the epoch's last step used.
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
        divergence = next((callback for callback in self._trainer.callbacks if isinstance(callback, Divergence)), None)
        whole = divergence.whole_rows(columns["train/loss"]) if divergence else len(columns["train/loss"])
        for callback in self._trainer.callbacks:
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
        if trainer.enable_validation:
            limits.append(-(epoch + 1) % trainer.check_val_every_n_epoch)
        # Without any limit, time is the only one.
        return max(0, min(limits, default=2**31))

    def _due(self, question: str) -> list[int]:
        """Return what those callbacks answer that have something to do."""
        asked = [getattr(callback, question) for callback in self._trainer.callbacks if hasattr(callback, question)]
        return [due for ask in asked if (due := ask(self._trainer)) is not None]
