"""Callback that runs a function when training starts."""

from collections.abc import Callable

from pytorch_lightning import Callback, LightningModule, Trainer


class Beginning(Callback):
    """Callback that calls a function once, before the first training step.

    It must come last in the list of callbacks: the others may raise an error in the same hook (`on_train_start`), and
    then the function must not be called.

    Args:
        begin: the function; it takes no arguments.
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
        """Call the function if it has not been called; for a training without any steps."""
        if self._begin is not None:
            self._begin()
            self._begin = None
