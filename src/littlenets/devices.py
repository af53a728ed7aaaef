"""Several devices: processes that train one network together, of which the first writes and prints.

With ``ddp_spawn`` and ``ddp_fork``, this process starts all of them, waits, and takes over what the first came to. With
``ddp``, it is the first of them, and Lightning starts the others by the same command (`ranks.helps`).
"""

import io
import logging
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from omegaconf import DictConfig, flag_override
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher
from pytorch_lightning.trainer.states import TrainerStatus
from torch import Tensor
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException, _prctl_pr_set_pdeathsig

from .callbacks import Beginning, Stopping
from .callbacks.stopping import SIGNALS
from .errors import SettingError, StoppedError
from .modules import SupervisedModule
from .ranks import helps
from .runs.log import written_to

# What Lightning and PyTorch tell each other by the environment, which a later run must not hear.
_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")


class Shares(Callback):
    """Let every sample of a batch count the same, where the processes' parts of it differ in size.

    The gradients of all processes are averaged; the loss of a larger part has to count more.

    Args:
        threads: CPU threads of each process.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._weight = 1.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1 and self.threads is not None:
            torch.set_num_threads(self.threads)

    def epochs_until_due(self, trainer: Trainer) -> None:
        """Return None: nothing is trained unseen by several processes."""

    batches_until_due = epochs_until_due

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._weight = 1.0
        if trainer.world_size > 1:
            weight = getattr(getattr(trainer.train_dataloader, "sampler", None), "weight", None)
            self._weight = 1.0 if weight is None else weight(batch_idx)
            if isinstance(pl_module, SupervisedModule):
                pl_module.records.counts = self._weight > 0

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self._weight != 1 and loss.requires_grad:
            loss.register_hook(self._weigh)

    def _weigh(self, gradient: Tensor) -> Tensor:
        return gradient * self._weight


def starts_processes(trainer: Trainer) -> bool:
    """Whether training is done by processes that this one starts and waits for."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def prepare(trainer: Trainer, folder: Path, threads: int) -> None:
    """Make a trainer of several devices ready to train."""
    for callback in trainer.callbacks:
        if isinstance(callback, Shares):
            callback.threads = threads
    if starts_processes(trainer):
        start_method = trainer.strategy.launcher._start_method
        trainer.strategy._launcher = Launcher(trainer.strategy, start_method, folder)
    else:
        hydra = HydraConfig.instance().cfg
        with flag_override(hydra.hydra, ["readonly", "struct"], False):
            # The others are told where, and not to make a folder of their own.
            hydra.hydra.run.dir = hydra.hydra.runtime.output_dir


@contextmanager
def together(trainer: Trainer) -> Iterator[None]:
    """A training by several processes, after which this one is alone again."""
    if trainer.world_size == 1:
        yield
        return
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    except SettingError as error:
        # Whatever refuses a run does so in all processes, once they have found each other.
        error.in_all = torch.distributed.is_available() and torch.distributed.is_initialized()
        raise
    finally:
        if isinstance(trainer.strategy, DDPStrategy):
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                with suppress(Exception):
                    torch.distributed.destroy_process_group()
            if not helps():
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value


class Launcher(_MultiProcessingLauncher):
    """Lightning's, which also brings back how far the training got, and the error that ended it.

    A signal to this process is passed on once; the processes themselves take no notice of those, as a terminal sends
    them to all. They end when this one is gone.
    """

    def __init__(self, strategy: Any, start_method: str, folder: Path) -> None:
        super().__init__(strategy, start_method)
        self._folder = folder

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Trainer | None = None, **kwargs: Any) -> Any:
        with tempfile.TemporaryDirectory(prefix="littlenets-") as name:
            place = Path(name)
            worker = _Worker(function, trainer, place, self._folder, HydraConfig.instance().cfg, self._start_method)
            for logger in trainer.loggers:
                logger.save()
            before = {}

            def ask(number: int, frame: Any) -> None:
                for known, handler in before.items():
                    signal.signal(known, handler)
                (place / "stop").write_text(str(number))

            with suppress(ValueError):  # not in the main thread
                for number in SIGNALS:
                    before[number] = signal.signal(number, ask)
            try:
                # Without the trainer, of which Lightning would bring back less.
                super().launch(worker, *args, **kwargs)
                _take_over(trainer, _read(place / "rank0.pt"))
            except (ProcessRaisedException, ProcessExitedException) as ended:
                error = self._error(place, trainer)
                if error is None and (place / "stop").is_file():
                    error = StoppedError(int((place / "stop").read_text()), at_once=True)
                if error is None:
                    raise
                raise error from ended
            finally:
                self.kill(signal.SIGKILL)
                for process in self.procs:
                    process.join()
                if not (place / "stop").is_file():
                    for number, handler in before.items():
                        signal.signal(number, handler)

    def _error(self, place: Path, trainer: Trainer) -> BaseException | None:
        """Return the first error of a process; the others lost a partner by it."""
        outcomes = [_read(path) for path in place.glob("rank*.pt")]
        for outcome in outcomes:
            if outcome["rank"] == 0:
                _take_over(trainer, outcome)
        failed = [outcome for outcome in outcomes if outcome["error"] is not None]
        if not failed:
            return None
        first = min(failed, key=lambda outcome: outcome["time"])
        error = _unpack(first["error"])
        error.add_note(first["traceback"])
        return error


class _Worker:
    """What each of the processes calls."""

    def __init__(
        self,
        function: Callable[..., Any],
        trainer: Trainer,
        place: Path,
        folder: Path,
        hydra: DictConfig | None,
        start_method: str,
    ) -> None:
        self._function, self._trainer, self._place, self._folder = function, trainer, place, folder
        self._hydra, self._spawned = hydra, start_method != "fork"
        self._parent = os.getpid()

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        rank = int(os.environ["LOCAL_RANK"])
        with suppress(Exception):  # Linux only
            _prctl_pr_set_pdeathsig(signal.SIGKILL)
        if os.getppid() != self._parent:
            os._exit(1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        trainer = self._trainer
        for callback in trainer.callbacks:
            if isinstance(callback, Stopping):
                callback.asked = self._place / "stop"
        if rank:
            logging.disable(logging.CRITICAL)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            self._call(rank, *args, **kwargs)
            return
        for logger in trainer.loggers:
            if not self._spawned:
                # Open files and threads are the other process's.
                logger.__dict__.update(logger.__getstate__())
        if self._spawned and self._hydra is not None:
            HydraConfig.instance().cfg = self._hydra
            configure_log(self._hydra.hydra.job_logging, self._hydra.hydra.verbose)
            with written_to(self._folder / "train.log"):
                self._call(rank, *args, **kwargs)
            return
        self._call(rank, *args, **kwargs)

    def _call(self, rank: int, *args: Any, **kwargs: Any) -> None:
        trainer = self._trainer
        try:
            self._function(*args, **kwargs)
        except BaseException as error:
            moment = time.time()
            with suppress(Exception):
                for callback in trainer.callbacks:
                    callback.on_exception(trainer, trainer.lightning_module, error)
            outcome = _outcome(trainer) if rank == 0 else {}
            told = {"rank": rank, "time": moment, "error": _pack(error), "traceback": traceback.format_exc()}
            torch.save(outcome | told, self._place / f"rank{rank}.pt")
            raise
        if rank == 0:
            torch.save(_outcome(trainer) | {"rank": 0, "error": None}, self._place / "rank0.pt")


def _outcome(trainer: Trainer) -> dict[str, Any]:
    """What the process that started this one goes on with, as tensors on the CPU and plain containers."""
    module = trainer.lightning_module
    return {
        "weights": {name: value.detach().cpu() for name, value in module.state_dict().items()},
        "loops": trainer.fit_loop.state_dict(),
        "batches": trainer.num_training_batches,
        "metrics": {name: value.cpu() for name, value in trainer.callback_metrics.items()},
        "callbacks": [callback.state_dict() for callback in trainer.callbacks],
        "latest": [getattr(callback, "latest", None) for callback in trainer.callbacks],
        "best": getattr(trainer.checkpoint_callback, "best_model_path", None),
        "begun": any(isinstance(callback, Beginning) and callback.begun for callback in trainer.callbacks),
        "received": next((one.received for one in trainer.callbacks if isinstance(one, Stopping)), None),
    }


def _take_over(trainer: Trainer, outcome: dict[str, Any]) -> None:
    trainer.state.status = TrainerStatus.FINISHED
    trainer.lightning_module.load_state_dict(outcome["weights"])
    trainer.fit_loop.load_state_dict(outcome["loops"])
    trainer.fit_loop.restarting = False
    trainer.fit_loop.epoch_loop.restarting = False
    trainer.fit_loop.max_batches = outcome["batches"]
    trainer.callback_metrics.update(outcome["metrics"])
    if outcome["best"] is not None and hasattr(trainer.checkpoint_callback, "best_model_path"):
        trainer.checkpoint_callback.best_model_path = outcome["best"]
    for callback, state, latest in zip(trainer.callbacks, outcome["callbacks"], outcome["latest"], strict=True):
        if state:
            callback.load_state_dict(state)
        if latest is not None:
            callback.latest = latest
        if isinstance(callback, Stopping):
            callback.received = outcome["received"]
        if isinstance(callback, Beginning) and outcome["begun"]:
            callback.has_begun()


def _read(path: Path) -> dict[str, Any]:
    # Written by this process's own children, into a folder that nobody else may write to.
    return torch.load(path, map_location="cpu", weights_only=False)


def _pack(error: BaseException) -> Any:
    """An exception as bytes; where it cannot be one, what it says."""
    known = (type(error), error.args, dict(error.__dict__))
    for packed in (error if isinstance(error, OSError) else known, (RuntimeError, (_words(error),), {})):
        with suppress(Exception):
            content = pickle.dumps(packed)
            _unpack(content)
            return content
    raise TypeError(_words(error))


def _unpack(content: bytes) -> BaseException:
    packed = pickle.load(io.BytesIO(content))
    if isinstance(packed, BaseException):
        return packed
    kind, args, state = packed
    # Not by the constructor, which may take other arguments than the message that it makes of them.
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
