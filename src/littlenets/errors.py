"""Errors that are reported with one message and no stack trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SettingError(Exception):
    """A setting, or the file or class it refers to, is wrong; the message states what would work."""


class DivergedError(Exception):
    """The loss became infinite or NaN.

    Args:
        epoch: the epoch in which it happened, counted from 1.
        last_loss: the last finite loss; None if there was none.
        advice: sentence with a setting to try.
    """

    def __init__(self, epoch: int, last_loss: float | None, advice: str = "Lower optimizer.lr.") -> None:
        self.epoch, self.last_loss = epoch, last_loss
        before = "" if last_loss is None else f", after {last_loss:.4g}"
        super().__init__(f"The loss diverged in epoch {epoch:,}{before}. {advice}")


class RemovedError(Exception):
    """The folder of a run or a sweep, or a file in it, was removed, moved or replaced while it was written to.

    Args:
        path: the folder or file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was removed or moved while it was being written to, which ended the training. "
            "A folder that was moved can be gone on with: python train.py resume=FOLDER"
        )


class StoppedError(KeyboardInterrupt):
    """The user interrupted the program with Ctrl-C or SIGTERM; this is not a failure, and nothing is retried.

    Args:
        signal_number: number of the signal.
        at_once: whether it was the second signal, which ends the program without waiting.
    """

    def __init__(self, signal_number: int, at_once: bool = False) -> None:
        self.signal, self.at_once = signal_number, at_once
        super().__init__(signal_number)


class DataUnavailableError(SettingError):
    """The data can be neither found nor downloaded."""


class JobFailedError(Exception):
    """Raised to Hydra when a job of a sweep failed and its message has already been logged."""


@contextmanager
def keep_interrupts() -> Iterator[None]:
    """Raise a KeyboardInterrupt again where the clean-up that it caused in a library failed with another error.

    A signal may arrive anywhere. OmegaConf, for example, raises ConfigKeyError if it is interrupted while it builds a
    list.
    """
    try:
        yield
    except Exception as error:
        # The chain may lead back to where it began: Hydra raises the cause of an error in the place of that error.
        chain: list[BaseException] = []
        cause: BaseException | None = error
        while cause is not None and not any(cause is one for one in chain):
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            chain.append(cause)
            cause = cause.__cause__ or cause.__context__
        raise
