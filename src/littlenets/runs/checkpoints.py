"""Checkpoint files: written so that the previous one survives a failure, read as data and never as code."""

import io
import os
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Len
from lightning_fabric.plugins import TorchCheckpointIO
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from ..errors import SettingError
from ..randomness import random_states, restore_random_states
from .files import write_atomically
from .reading import damaged, in_words
from .schemas import Natural

# Of what a checkpoint holds besides its tensors; a run of the four networks has 50 KB.
MOST_PICKLE_BYTES = 16 << 20
# Python's random state has 625 numbers.
MOST_IN_A_TUPLE = 1_000_000
# Lists and mappings; a run of the four networks has about 1,000.
MOST_CONTAINERS = 1_000_000
# How often the numbers of a file may be used, as by parameters that share their memory.
SHARED_TENSORS = 4
# Numbers in the state of Lightning's loops; it has about 200.
MOST_COUNTERS = 10_000
# What optimizers of PyTorch keep for each number of a parameter.
_ELEMENTWISE = {
    *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "grad_avg"),
    *("acc_delta", "sum", "prev", "step_size", "mu_product_avg"),
}


class _Tensors(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")


class _Records(_Tensors):
    names: list[str]
    # 0 where the part of a batch that was this process's had no sample.
    sizes: list[Natural]
    measured: Tensor


class _Random(_Tensors):
    python: Any
    numpy: list[Any]
    torch: Tensor
    cuda: list[Tensor]
    mps: Tensor | None


class _OfProcess(_Tensors):
    records: _Records
    random: _Random


class _Own(_OfProcess):
    finished_epochs: Natural
    batches: Natural
    latest: dict[str, float]
    # Those of the other processes where several trained together.
    others: list[_OfProcess] = []
    # The number of parameters that the optimizer kept something for; runs of earlier versions do not say.
    optimizer_entries: Natural | None = None


class _Whole(_Tensors):
    """What a run is gone on from."""

    epoch: Natural
    global_step: Natural
    optimizer_states: Annotated[list[dict[str, Any]], Len(1)]
    lr_schedulers: list[dict[str, Any]]
    loops: dict[str, Any]
    callbacks: dict[str, dict[str, Any]]
    littlenets: _Own


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what Lightning saved, on the CPU. It takes as much memory as the file has bytes.

    Raises:
        SettingError: the file is missing, damaged, or holds objects other than tensors and plain containers, whose code
            is not run.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            # PyTorch's advice on files that it then refuses.
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not re.search(r"unsupported (global|class)|unrecognized", str(error), re.IGNORECASE):
            raise damaged(path, "PyTorch cannot read it") from None
        raise SettingError(
            f"{path} holds more than tensors and plain values, and loading that would run code from the file. "
            "It was not loaded; checkpoints of littlenets never do."
        ) from None
    except Exception as error:  # of all kinds, from bytes of all kinds
        raise damaged(path, (str(error) or type(error).__name__).splitlines()[0]) from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise SettingError(f"{path} is no checkpoint of a run: it holds no state_dict.")
    _check_tensors(checkpoint, path)
    return checkpoint


def read_training_state(path: Path) -> dict[str, Any]:
    """Return a checkpoint from which a run can be gone on with as if it had never been stopped.

    Raises:
        SettingError: as `read_checkpoint`, or it lacks a part of the training state.
    """
    checkpoint = read_checkpoint(path)
    if "littlenets" not in checkpoint:
        raise SettingError(f"{path} was not saved by a run of littlenets, so it cannot be gone on with.")
    try:
        own = _Whole.model_validate(checkpoint).littlenets
        for records in (process.records for process in (own, *own.others)):
            names, sizes = records.names, records.sizes
            if records.measured.numel() != len(names) * len(sizes) or (sizes and not names):
                raise ValueError("littlenets.records do not have a number for each batch")
        if not all(map(sum, zip(*(process.records.sizes for process in (own, *own.others)), strict=True))):
            raise ValueError("littlenets.records have a batch of no sample")
        _check_counters(checkpoint["loops"])
        before = random_states()
        try:
            for process in (checkpoint["littlenets"], *checkpoint["littlenets"].get("others", [])):
                restore_random_states(process["random"])
        finally:
            restore_random_states(before)
    except ValidationError as error:
        raise _not_whole(path, in_words(error)) from None
    except (ValueError, TypeError, RuntimeError, KeyError, IndexError, AttributeError) as error:
        raise _not_whole(path, str(error)) from None
    entries = sum(len(state.get("state") or ()) for state in checkpoint["optimizer_states"])
    if own.optimizer_entries not in (None, entries):
        raise _not_whole(
            path, f"the optimizer's state has {entries:,} entries, and was saved with {own.optimizer_entries:,}"
        )
    return checkpoint


def check_optimizer_state(checkpoint: dict[str, Any], parameters: Sequence[Tensor], path: Path) -> None:
    """Make sure that the optimizer's state in a checkpoint from `read_training_state` is for these parameters.

    Args:
        checkpoint: read from ``path``.
        parameters: those that are trained; only their shapes are looked at.
        path: for the message.

    Raises:
        SettingError: it is for others.
    """
    (state,) = checkpoint["optimizer_states"]
    groups, entries = state.get("param_groups"), state.get("state")
    if not isinstance(groups, list) or not isinstance(entries, dict):
        raise _not_whole(path, "the optimizer's state lacks param_groups or state")
    indices = [index for group in groups if isinstance(group, dict) for index in group.get("params") or ()]
    if indices != list(range(len(parameters))):
        raise _not_whole(path, f"the optimizer's state is not for {len(parameters)} parameters")
    for name, value in [item for group in groups for item in group.items() if item[0] != "params"]:
        if not isinstance(value, int | float | tuple | list | Tensor | None):
            raise _not_whole(path, f"the optimizer's {name} is no number")
    for index, kept in entries.items():
        for name, value in kept.items() if isinstance(kept, dict) else ():
            if name in _ELEMENTWISE and value is not None and value.shape != parameters[index].shape:
                raise _not_whole(path, f"the optimizer's {name} of parameter {index} has another shape")


def _not_whole(path: Path, reason: str) -> SettingError:
    return SettingError(f"{path} does not hold the whole state of a training, so the run cannot go on: {reason}.")


def _check_archive(path: Path) -> None:
    """Make sure that loading a file takes no more memory than it has bytes: `torch.save` does not compress.

    Raises:
        SettingError: it could take more, or it is no file that `torch.save` wrote.
    """
    if not path.is_file():
        raise SettingError(f"{path}: there is no such checkpoint.")
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if compressed or sum(entry.file_size for entry in entries) > size:
                raise SettingError(f"{path} would unpack to more than it has bytes, as no checkpoint of PyTorch does.")
            pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
            pickled = sum(entry.file_size for entry in pickles)
            if pickled > MOST_PICKLE_BYTES:
                raise SettingError(f"{path} has {pickled:,} bytes besides its tensors; {MOST_PICKLE_BYTES:,} are read.")
            for content in map(archive.read, pickles):
                if b"_codecs" in content:
                    raise SettingError(f"{path} holds bytes, which can be packed; checkpoints of littlenets hold none.")
                _check_tuples(content)
    except SettingError:
        raise
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.") from None
    except Exception:  # of all kinds, from bytes of all kinds
        raise SettingError(f"{path} is damaged or no checkpoint: it is no file that PyTorch wrote.") from None


def _check_tuples(content: bytes) -> None:
    """Raise ValueError where a pickle has a tuple that stands for many more values than it has bytes.

    A tuple of the same tuple twice, and so on 60 times, takes a few hundred bytes and 2**60 steps to hash.
    """
    stack: list[int] = []  # for each object, how many values it stands for
    marks, memo = [], {}
    for opcode, argument, _ in pickletools.genops(content):
        name = opcode.name
        if name == "MARK":
            marks.append(len(stack))
        elif name == "MEMOIZE" or name.endswith("PUT"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name.endswith("GET"):
            stack.append(memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            taken = opcode.stack_before
            if pickletools.markobject in taken:
                start = marks.pop() - taken.index(pickletools.markobject)
            else:
                start = len(stack) - len(taken)
            values = 1 + sum(stack[start:]) if "TUPLE" in name else 1
            if start < 0 or values > MOST_IN_A_TUPLE:
                raise ValueError("a tuple stands for too many values")
            del stack[start:]
            stack += [values] * len(opcode.stack_after)


def _check_tensors(checkpoint: dict[str, Any], path: Path) -> None:
    """Make sure that no tensor stands for more numbers than the file has, as an expanded one does.

    Raises:
        SettingError: one does, or there are more values than a checkpoint has.
    """
    waiting: list[Any] = [checkpoint]
    seen: set[int] = set()
    left = SHARED_TENSORS * path.stat().st_size
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        if isinstance(node, Tensor):
            stored = node.layout is torch.strided and node.device.type == "cpu"
            size = node.numel() * node.element_size()
            left -= size
            if not stored or size > node.untyped_storage().nbytes() or left < 0:
                raise damaged(path, "it has a tensor of more numbers than the file holds")
        elif isinstance(node, dict | list | tuple):
            seen.add(id(node))
            waiting += [*node.keys(), *node.values()] if isinstance(node, dict) else node
            if len(seen) > MOST_CONTAINERS:
                raise damaged(path, f"it has more than {MOST_CONTAINERS:,} lists and mappings")


def _check_counters(loops: Any) -> None:
    """Raise ValueError where the state of Lightning's loops holds anything but numbers."""
    waiting, seen = [loops], 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if isinstance(node, dict):
            waiting += node.values()
        elif not (node is None or (isinstance(node, int | float) and node >= 0)):
            raise ValueError(f"loops hold {type(node).__name__} where a number should be")
        if seen > MOST_COUNTERS:
            raise ValueError(f"loops hold more than {MOST_COUNTERS:,} numbers")


class SafeCheckpointIO(TorchCheckpointIO):
    """Write, remove and read checkpoint files for Lightning.

    Args:
        check: called before each write; raises where the run folder is no longer there, which would be made again.
        places: folders below which files are written and removed; None is anywhere.
    """

    def __init__(self, check: Callable[[], None] | None = None, places: Sequence[Path] | None = None) -> None:
        self._check, self._places = check, places

    def _check_place(self, path: str | Path) -> None:
        """Raise SettingError for a path outside: Lightning's callbacks take paths from their state in a checkpoint."""
        if self._places is None:
            return
        inside = any(Path(path).resolve().is_relative_to(place.resolve()) for place in self._places)
        if "://" in str(path) or not inside:
            raise SettingError(f"{path}: a run that is gone on with writes and removes files in its own folder only.")

    def remove_checkpoint(self, path: str | Path) -> None:
        self._check_place(path)
        super().remove_checkpoint(path)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        self._check_place(path)
        # In memory first, which is where PyTorch's own errors of a full disk would come from, each in its own words.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if self._check is not None:
            self._check()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(Path(path), buffer.getbuffer())

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))
