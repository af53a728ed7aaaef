"""Save and restore the metrics of an unfinished epoch, which Lightning does not keep in a checkpoint."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torchmetrics import Metric

_SUMS = ("value", "cumulated_batch_size")


class LoggedSoFar:
    """Save partial sums of metrics within an epoch, and add them to the metrics logged after the run is resumed.

    Two kinds of values are saved: those of ``self.log(..., on_epoch=True)``, from Lightning's private attribute
    ``_results`` (nothing is saved if a Lightning version does not have it), and the states of torchmetrics' objects.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, Tensor]] = {}

    @property
    def waiting(self) -> bool:
        """Whether restored values must still be added to the metrics of the next batches."""
        return bool(self._waiting)

    @staticmethod
    def state_dict(trainer: Trainer, module: LightningModule) -> dict[str, Any]:
        """Return the values of the current epoch as tensors.

        Returns:
            ``means``: by key of Lightning's results, the sum and the cumulated batch size. ``metrics``: by name of the
            torchmetrics module, its states.
        """
        means = {
            key: {name: getattr(result, name) for name in _SUMS if hasattr(result, name)}
            for key, result in _results(trainer).items()
            if result.is_tensor and result.meta.on_epoch and not result.has_reset
        }
        metrics = {
            name: {key: state for key, state in part.metric_state.items() if isinstance(state, Tensor)}
            for name, part in module.named_modules()
            if isinstance(part, Metric) and part.update_called
        }
        return {"means": means, "metrics": metrics}

    def load_state_dict(self, state: dict[str, Any], module: LightningModule) -> None:
        """Restore the states of torchmetrics modules now, and keep the other values until `add` is called."""
        self._waiting = dict(state["means"])
        parts = dict(module.named_modules())
        for name, states in state["metrics"].items():
            for key, value in states.items():
                setattr(parts[name], key, value.to(module.device))

    def add(self, trainer: Trainer) -> None:
        """Add restored values to the metrics that the current batch has logged; drop the rest after the last batch."""
        results = _results(trainer)
        for key in [key for key in self._waiting if key in results]:
            saved, result = self._waiting.pop(key), results[key]
            saved = {name: value.to(result.value.device) for name, value in saved.items()}
            if result.meta.is_max_reduction or result.meta.is_min_reduction:
                result.value = result.meta.reduce_fx(result.value, saved["value"])
            else:
                for name, value in saved.items():
                    setattr(result, name, value + getattr(result, name))
        if trainer.is_last_batch:
            self._waiting = {}


def _results(trainer: Trainer) -> dict[str, Any]:
    return getattr(trainer.fit_loop.epoch_loop, "_results", {})
