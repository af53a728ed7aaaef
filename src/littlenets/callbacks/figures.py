"""Callback that collects data during training and draws figures/*.png in the run folder afterwards."""

import io
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from torch import Tensor

from ..config.fit import is_plain_task
from ..config.suggestions import nearest
from ..data import DatasetModule, TensorDataModule
from ..errors import SettingError
from ..figures import saturation, tracing
from ..figures.snapshots import Moment, moments_of, packed, state_row, thinned, unpacked
from ..loggers import log_image
from ..ranges import Count
from ..run_figures import FIGURES, LARGEST_STATE, SATURATION, STATES, Need, Picture, RunFigure, Trained
from ..runs.history import read_history
from ..runs.log import traceback_log
from .epoch_counts import planned_epochs

log = logging.getLogger(__name__)

# Number of samples that is enough to measure shares of units to a few percent, and the share of the run time that
# evaluating them may take.
PROBES = 256
SHARE_OF_TRAINING = 0.01
# Resolution of the frames of an animation.
FRAME_DPI = 100


class Figures(Callback):
    """Record the network's state at some moments of training, and draw figures after the test.

    Args:
        only: names of figures to draw; None draws all that suit the network and its data.
        moments: number of moments of training at which the decision regions and the saturated units are shown.

    Raises:
        SettingError: a name in ``only`` is not the name of a figure.
    """

    def __init__(self, only: Sequence[str] | None = None, moments: Count = 12) -> None:
        for name in only or ():
            if name not in FIGURES:
                near = nearest(name, FIGURES)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(FIGURES)}."
                raise SettingError(f"figures.only: there is no figure {name}; {hint}")
        self.only = only
        self.count = moments
        self._moments: list[Moment] = []
        self._due: list[int] = []
        self._keeps_state = False
        self._probes: Tensor | None = None
        self._data: LightningDataModule | None = None
        self._sample: Tensor | None = None
        self._tested: list[Tensor] = []
        self._labels: list[Tensor] = []

    @property
    def _wanted(self) -> list[RunFigure]:
        # Not in __init__: modules that are imported later may add figures.
        return [figure for name, figure in FIGURES.items() if self.only is None or name in self.only]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not in on_train_start: a run that was killed after its last epoch is only tested when it is resumed.
        self._data = trainer.datamodule

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not is_plain_task(type(pl_module)):
            return  # it is unknown which attribute is the network and what inputs it takes
        if isinstance(self._data, TensorDataModule):
            try:
                self._plan(planned_epochs(trainer), Trained(pl_module, self._data, self._data.sample().x))
            except Exception as error:  # of any type: a failed figure must not end the run
                self._give_up(error)
        if not self._moments and trainer.current_epoch == 0:
            self._keep(0, pl_module)

    def _plan(self, epochs: int | None, run: Trained) -> None:
        """Choose the epochs to record, the probe samples, and whether the network's state is kept.

        Args:
            epochs: planned number of epochs; None if there is no limit.
            run: the network to be trained, and its data.
        """

        def is_needed(record: Need) -> bool:
            figures = [figure for figure in self._wanted if record in figure.needs]
            return any(figure.unmet(run, before_training=True) is None for figure in figures)

        small = sum(value.numel() for value in run.network.state_dict().values()) <= LARGEST_STATE
        self._keeps_state = small and is_needed(STATES)
        due = moments_of(epochs, self.count)
        if is_needed(SATURATION) and saturation.activations(run.layers):
            x = run.datamodule.splits["train"].x
            # A training step needs about three times the computation of a forward pass.
            affordable = int(3 * SHARE_OF_TRAINING * len(x) * due[-1] / len(due))
            count = min(PROBES, len(x), max(8, affordable))
            # Evenly spaced over all samples, because they may be sorted by class.
            probes = x[torch.linspace(0, len(x) - 1, count).long()]
            self._probes = tracing.suited(run.datamodule.transform(probes), run.network)
        if self._keeps_state or self._probes is not None:
            self._due = due

    def _give_up(self, error: Exception) -> None:
        self._due, self._keeps_state, self._probes = [], False, None
        _warn("The development of the network", error)

    def epochs_until_due(self, trainer: Trainer) -> int | None:
        """Return how many epochs after the current one can be trained without this callback; None: any number."""
        under_way = trainer.current_epoch + 1
        return next((epoch - under_way for epoch in self._due if epoch >= under_way), None)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch + 1 in self._due:
            self._keep(trainer.current_epoch + 1, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._due and self._moments and self._moments[-1].epoch < trainer.current_epoch:
            self._keep(trainer.current_epoch, pl_module)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # There may be tests on other data as well, and batches and outputs of types that no figure supports.
        pair = isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
        known = is_plain_task(type(pl_module)) and pair and isinstance(outputs, Tensor)
        if trainer.datamodule is self._data and dataloader_idx == 0 and known:
            self._tested.append(outputs.cpu())
            self._labels.append(batch[1].cpu())
            self._sample = batch[0][:1].cpu()

    def state_dict(self) -> dict[str, Any]:
        return packed(self._moments)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._moments = unpacked(state_dict)

    def _keep(self, epoch: int, module: LightningModule) -> None:
        try:
            shares = {}
            if self._probes is not None:
                shares = saturation.saturated_shares(tracing.trace(module.network, self._probes))
            state = state_row(module.network) if self._keeps_state else torch.empty(0)
            watched = {name: value.item() for name, value in getattr(module.network, "watched", dict)().items()}
            self._moments.append(Moment(epoch, state, shares, watched))
        except Exception as error:
            self._give_up(error)

    def draw(self, trainer: Trainer, module: LightningModule, metrics: dict[str, float], completed: bool) -> None:
        """Draw the figures into ``figures/`` in the run folder, and log them to the loggers.

        A figure that fails is logged as one warning.

        Args:
            trainer: the trainer of the run.
            module: the trained module.
            metrics: test metrics by name.
            completed: whether the run was completed; otherwise only the figures of its history are drawn.
        """
        if not trainer.is_global_zero or trainer.fast_dev_run:
            return
        try:
            known = isinstance(self._data, TensorDataModule | DatasetModule) and is_plain_task(type(module))
            data = self._data if known else None
            run = Trained(
                module=module,
                datamodule=data,
                sample=self._sample,
                history=read_history(Path(trainer.default_root_dir)),
                moments=thinned(self._moments, self.count),
                tested=torch.cat(self._tested) if self._tested else None,
                labels=torch.cat(self._labels) if self._labels else None,
                metrics=metrics,
            )
        except Exception as error:  # of any type: a failed figure must not end the run
            _warn("The figures", error)
            return
        # If the run was not completed, its event files are closed already.
        loggers = trainer.loggers if completed else []
        album = _Album(Path(trainer.default_root_dir) / "figures", loggers, run.epochs)
        for figure in self._wanted:
            if not (completed or figure.unfinished):
                continue
            count = album.count
            try:
                unmet = figure.unmet(run)
                for picture in figure.pictures(run) if unmet is None else ():
                    album.add(picture)
                album.animate()
            except Exception as error:
                _warn(f"The figure {figure.name}", error)
                continue
            if self.only is not None and completed and album.count == count:
                reason = f"; it needs {unmet.what}" if unmet else ""
                log.warning("The figure %s has nothing to show of this network and its data%s.", figure.name, reason)
        album.log()


class _Album:
    """Write pictures to files and to the loggers.

    In TensorBoard, several pictures with the same name and different steps are one image with a slider.

    Args:
        folder: folder of the files; made when the first file is written.
        loggers: loggers that get the pictures.
        epochs: number of epochs of the run; the step of pictures that belong to no epoch.
    """

    def __init__(self, folder: Path, loggers: Sequence[Logger], epochs: int) -> None:
        self.folder, self.loggers, self.epochs = folder, loggers, epochs
        self.count = 0
        self._frames: defaultdict[str, list[bytes]] = defaultdict(list)
        self._to_log: dict[tuple[str, int], bytes] = {}

    def add(self, picture: Picture) -> None:
        """Write a picture to its file, or keep it as a frame of an animation, and keep it for the loggers."""
        file = io.BytesIO()
        moment = picture.epoch is not None
        picture.figure.savefig(file, format="png", dpi=FRAME_DPI if moment else "figure")
        if moment:
            self._frames[picture.name].append(file.getvalue())
        else:
            self._write(f"{picture.name}.png", file.getvalue())
        step = picture.epoch if moment else self.epochs
        # The last moment is also drawn as a figure of its own, in a higher resolution; that one is kept.
        self._to_log.setdefault((picture.name, step), file.getvalue())

    def log(self) -> None:
        """Log the pictures added so far in the order of epochs, which is the order of TensorBoard's slider."""
        for (name, step), png in sorted(self._to_log.items()):
            for logger in self.loggers:
                log_image(logger, f"figures/{name}", png, step)
        self._to_log.clear()

    def animate(self) -> None:
        """Write a GIF of the frames that were added since the last call."""
        from ..figures.animation import gif

        for name, frames in self._frames.items():
            self._write(f"{name}.gif", gif(frames))
        self._frames.clear()

    def _write(self, name: str, content: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(content)
        self.count += 1


def _warn(what: str, error: Exception) -> None:
    reason = " ".join(str(error).split())
    log.warning("%s could not be drawn: %s: %s", what, type(error).__name__, reason)
    traceback_log.error("%s could not be drawn.", what, exc_info=error)
