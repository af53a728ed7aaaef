"""Callback that checks before training whether the metrics monitored by other callbacks will be measured."""

import logging
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from ..config.fit import evaluating, has_plain_task
from ..config.metrics import NOT_MEASURED, expected_of, logs_what_is_known, monitorable
from ..data import TensorDataModule
from ..errors import SettingError
from ..modules import Step
from ..trainer_attributes import declared
from .watched import watched_by

log = logging.getLogger(__name__)


class Monitors(Callback):
    """Raise an error before the first step if a callback monitors a metric that will not be measured.

    If the module or a callback is a class of the user, which may log other metrics as well, log a warning instead.

    Raises:
        SettingError: the monitored metric will not be measured.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._monitoring: list[Any] = [
            callback
            for callback in declared(trainer).callbacks
            if isinstance(getattr(callback, "monitor", None), str) and getattr(callback, "strict", True)
        ]
        data = declared(trainer).datamodule
        self._step: Step | None = None
        if stage != "fit" or not self._monitoring:
            return
        if isinstance(data, TensorDataModule) and has_plain_task(pl_module):
            # In setup the module is still on the CPU and in float32.
            with evaluating(pl_module):
                self._step = pl_module.step(data.sample())

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._step is None or not has_plain_task(pl_module):
            return
        # Not in setup: other callbacks may not have been set up yet, and may not watch anything before.
        watched = watched_by(trainer, pl_module)()
        expected = expected_of(pl_module, self._step, trainer.enable_validation, watched)
        known = all(logs_what_is_known(type(one)) for one in [pl_module, *declared(trainer).callbacks])
        for callback in self._monitoring:
            if callback.monitor not in monitorable(type(callback), expected):
                line = f"{type(callback).__name__}, monitor={callback.monitor}: {NOT_MEASURED}"
                line = f"callbacks: {line}; {expected.missing(callback.monitor, expected.monitored)}"
                if known:
                    raise SettingError(line)
                log.warning("%s Unless a class of your own logs it.", line)
