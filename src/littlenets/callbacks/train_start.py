"""The moment from which there is a run: its first step is about to be taken."""

from collections.abc import Callable

from pytorch_lightning import Callback, LightningModule, Trainer


class Beginning(Callback):
    """Calls a function once when training begins: whatever refuses a run has done so by then.

    It belongs after the other callbacks, which may refuse it in the same hook.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin

    @property
    def begun(self) -> bool:
        """Whether the function has been called."""
        return self._begin is None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.now()

    def now(self) -> None:
        """For a training that has no step to take."""
        if self._begin is not None:
            self._begin()
            self._begin = None
