"""Callbacks that monitor a metric: whether it will be measured."""

import logging

from pytorch_lightning import Callback, LightningModule, Trainer

from ..config.metrics import NOT_MEASURED, expected_of, logs_what_is_known, monitorable
from ..data import TensorDataModule
from ..errors import SettingError
from ..modules import SupervisedModule

log = logging.getLogger(__name__)


class Monitors(Callback):
    """Refuse, before the first step, a callback that monitors a metric which will not be measured.

    Where the module or a callback is a user's own, which may log other metrics as well, it warns instead.
    """

    def setup(self, trainer: Trainer, pl_module: SupervisedModule, stage: str) -> None:
        self._monitoring = [
            callback
            for callback in trainer.callbacks
            if isinstance(getattr(callback, "monitor", None), str) and getattr(callback, "strict", True)
        ]
        data = trainer.datamodule
        self._training: list[str] = []
        if stage == "fit" and self._monitoring and isinstance(data, TensorDataModule):
            # Here the module is on the CPU, and in float32.
            self._training = pl_module.measured_names(*data.sample())

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._training:
            return
        # Only now have all callbacks said what they watch.
        expected = expected_of(pl_module, self._training, trainer.enable_validation)
        known = all(logs_what_is_known(type(one)) for one in [pl_module, *trainer.callbacks])
        for callback in self._monitoring:
            if callback.monitor not in monitorable(type(callback), expected):
                line = f"{type(callback).__name__}, monitor={callback.monitor}: {NOT_MEASURED}"
                line = f"callbacks: {line}; {expected.missing(callback.monitor, expected.monitored)}"
                if known:
                    raise SettingError(line)
                log.warning("%s Unless a class of your own logs it.", line)
