"""Checkpoint files: written so that the previous one survives a failure, read as data and never as code."""

import io
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from ..errors import SettingError
from .files import write_atomically


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What Lightning saved, on the CPU.

    Raises:
        SettingError: the file is missing, damaged, or holds objects other than tensors and plain containers, whose code
            is not run.
    """
    try:
        with warnings.catch_warnings():
            # PyTorch's advice on files that it then refuses.
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SettingError(f"{path}: there is no such checkpoint.") from None
    except pickle.UnpicklingError as error:
        if "Weights only load failed" not in str(error) or "invalid load key" in str(error):
            raise SettingError(f"{path} is damaged: {_first_line(error)}") from None
        raise SettingError(
            f"{path} holds more than tensors and plain values, and loading that would run code from the file. "
            "It was not loaded; checkpoints of littlenets never do."
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise SettingError(f"{path} is damaged or no checkpoint: {_first_line(error)}") from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise SettingError(f"{path} is no checkpoint of a run: it holds no state_dict.")
    return checkpoint


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class SafeCheckpointIO(TorchCheckpointIO):
    """Write and read checkpoint files for Lightning.

    Args:
        check: called before each write; raises where the run folder is no longer there, which would be made again.
    """

    def __init__(self, check: Callable[[], None] | None = None) -> None:
        self._check = check

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        # In memory first, which is where PyTorch's own errors of a full disk would come from, each in its own words.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if self._check is not None:
            self._check()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(Path(path), buffer.getbuffer())

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))
