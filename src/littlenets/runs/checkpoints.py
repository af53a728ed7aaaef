"""Read and write checkpoint files.

They are written atomically, so that the previous file survives a failure. They are read as data: no code in them is
run.
"""

import io
import logging
import os
import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from ..errors import SettingError
from ..randomness import random_states, restore_random_states
from .files import write_atomically
from .reading import damaged, in_words
from .schemas import Natural

log = logging.getLogger(__name__)

# Limit on the part of a checkpoint that is not tensors; in a run of the four networks it has 50 KB.
MOST_PICKLE_BYTES = 16 << 20
# Limit on the values in a tuple; Python's random state has 625 numbers.
MOST_IN_A_TUPLE = 1_000_000
# Limit on the number of lists and mappings; a run of the four networks has about 1,000.
MOST_CONTAINERS = 1_000_000
# The tensors together may be this many times as large as the file, since parameters may share memory.
SHARED_TENSORS = 4
# Limit on the numbers in the state of Lightning's loops; it has about 200.
MOST_COUNTERS = 10_000
# Entries in the state of PyTorch's optimizers that have the shape of the parameter.
_ELEMENTWISE = {
    *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "grad_avg"),
    *("acc_delta", "sum", "prev", "step_size", "mu_product_avg"),
}


class _Tensors(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")


class _Records(_Tensors):
    names: list[str]
    sizes: list[Natural]
    measured: Tensor


class _Random(_Tensors):
    python: Any
    numpy: list[Any]
    torch: Tensor
    cuda: list[Tensor]
    mps: Tensor | None


class _Logged(_Tensors):
    means: dict[str, dict[str, Tensor]]
    metrics: dict[str, dict[str, Tensor]]


class _Process(_Tensors):
    records: _Records
    random: _Random
    # Checkpoints of earlier versions do not contain it.
    logged: _Logged | None = None


class _Own(_Process):
    finished_epochs: Natural
    batches: Natural
    latest: dict[str, float]
    lightnings: list[str] = []
    # The number of parameters with optimizer state; checkpoints of earlier versions do not contain it.
    optimizer_entries: Natural | None = None
    # The state of ranks 1 and above if several processes trained together.
    others: list[_Process] = []


class _Whole(_Tensors):
    """Schema of a checkpoint from which a run can be resumed."""

    epoch: Natural
    global_step: Natural
    optimizer_states: list[dict[str, Any]]
    lr_schedulers: list[dict[str, Any]]
    loops: dict[str, Any]
    callbacks: dict[str, dict[str, Any]]
    littlenets: _Own


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint saved by Lightning, on the CPU. It needs as much memory as the file has bytes.

    Raises:
        SettingError: the file is missing, damaged, or contains objects other than tensors and plain containers. The
            code of such objects is not run.
    """
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            # PyTorch warns about files before it raises an error for them.
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not re.search(r"unsupported (global|class)|unrecognized", str(error), re.IGNORECASE):
            raise damaged(path, "PyTorch cannot read it") from None
        raise SettingError(
            f"{path} holds more than tensors and plain values, and loading that would run code from the file. "
            "It was not loaded; checkpoints of littlenets never do."
        ) from None
    except Exception as error:  # arbitrary bytes can cause errors of any type
        raise damaged(path, (str(error) or type(error).__name__).splitlines()[0]) from None
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise SettingError(f"{path} is no checkpoint of a run: it holds no state_dict.")
    _check_tensors(checkpoint, path)
    return checkpoint


def read_training_state(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint from which a run can be resumed, after checking that it is complete.

    Raises:
        SettingError: as in `read_checkpoint`, or a part of the training state is missing or invalid.
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
        # A single process may have no sample of a batch, but not all processes together.
        if not all(map(sum, zip(*(process.records.sizes for process in (own, *own.others)), strict=True))):
            raise ValueError("littlenets.records have a batch of no sample")
        _check_counters(checkpoint["loops"])
        before = random_states()
        try:
            for one in (checkpoint["littlenets"], *checkpoint["littlenets"].get("others", [])):
                restore_random_states(one["random"])
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


def check_optimizer_states(checkpoint: dict[str, Any], parameters: Sequence[Tensor] | None, path: Path) -> None:
    """Check that the optimizer states in a checkpoint from `read_training_state` are complete.

    Args:
        checkpoint: content of the checkpoint.
        parameters: the parameters of the only optimizer, in its order; only their shapes are used. None if the module
            decides when training starts which parameters it trains.
        path: path of the checkpoint, for the error message.

    Raises:
        SettingError: the states are incomplete or belong to other parameters.
    """
    states = checkpoint["optimizer_states"]
    if parameters is not None and len(states) != 1:
        raise _not_whole(path, f"it has the states of {len(states)} optimizers, where there is one")
    for number, state in enumerate(states, 1):
        whose = "the optimizer's" if len(states) == 1 else f"optimizer {number}'s"
        groups, entries = state.get("param_groups"), state.get("state")
        if not isinstance(groups, list) or not isinstance(entries, dict):
            raise _not_whole(path, f"{whose} state lacks param_groups or state")
        indices = [index for group in groups if isinstance(group, dict) for index in group.get("params") or ()]
        count = len(indices) if parameters is None else len(parameters)
        if indices != list(range(count)) or not entries.keys() <= set(indices):
            raise _not_whole(path, f"{whose} state is not for {count} parameters")
        for name, value in [item for group in groups for item in group.items() if item[0] not in ("params", "name")]:
            if not isinstance(value, int | float | tuple | list | Tensor | None):
                raise _not_whole(path, f"{whose} {name} is no number")
        for index, kept in entries.items():
            elementwise = [name for name in kept if name in _ELEMENTWISE] if isinstance(kept, dict) else ()
            shapes = {name: kept[name].shape for name in elementwise if kept[name] is not None}
            # All entries of one parameter have the same shape; without the parameters, take that of the first entry.
            wanted = next(iter(shapes.values()), None) if parameters is None else parameters[index].shape
            for name, shape in shapes.items():
                if shape != wanted:
                    raise _not_whole(path, f"{whose} {name} of parameter {index} has another shape")


def _not_whole(path: Path, reason: str) -> SettingError:
    return SettingError(f"{path} does not hold the whole state of a training, so the run cannot go on: {reason}.")


def _check_archive(path: Path) -> None:
    """Check that loading a file needs no more memory than it has bytes; `torch.save` does not compress.

    Raises:
        SettingError: loading could need more memory, or the file is missing or was not written by `torch.save`.
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
    except Exception:  # arbitrary bytes can cause errors of any type
        raise SettingError(f"{path} is damaged or no checkpoint: it is no file that PyTorch wrote.") from None


def _check_tuples(content: bytes) -> None:
    """Raise ValueError if a pickle contains a tuple that expands to more than `MOST_IN_A_TUPLE` values.

    Tuples nested 60 levels deep, each containing the same inner tuple twice, need a few hundred bytes in the file and
    2**60 steps to hash.
    """
    stack: list[int] = []  # for each object, the number of values it expands to
    marks: list[int] = []
    memo: dict[Any, int] = {}
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
    """Check that no tensor has more numbers than the file stores for it, as an expanded tensor has.

    Raises:
        SettingError: a tensor has more, the tensors together are larger than `SHARED_TENSORS` times the file, or there
            are more than `MOST_CONTAINERS` lists and mappings.
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
    """Raise ValueError if the state of Lightning's loops contains anything other than None and numbers >= 0."""
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


def plain_data(node: Any, path: str, left_out: dict[str, str]) -> Any:
    """Return the part of a node that `read_checkpoint` can read.

    Args:
        node: a checkpoint, or a part of it.
        path: dotted key of the node.
        left_out: for each object that is left out, its class is added here under its dotted key.

    Returns:
        The node itself if all of it can be read, or a copy without the other objects. ``_NOTHING`` if no part of it can
        be read, or if it is a list or tuple with an item of which no part can be read.
    """
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    kind = type(node)
    if kind in _PLAIN or isinstance(node, torch.dtype | torch.device):
        return node
    if isinstance(node, np.generic):
        return node.item()
    if kind in (dict, OrderedDict, list, tuple):
        # A shortcut for the many numbers of a random state, and for the weights.
        values = (*node, *node.values()) if isinstance(node, dict) else node
        if all(type(value) in _PLAIN for value in values):
            return node
    if isinstance(node, dict):
        keys = [key for key in node if type(key) in _PLAIN or isinstance(key, tuple)]
        left_out.update({f"{path}.{key}": f"{type(key).__name__}, as a key" for key in node if key not in keys})
        inner = {key: plain_data(node[key], f"{path}.{key}".lstrip("."), left_out) for key in keys}
        kept = {key: value for key, value in inner.items() if value is not _NOTHING}
        same = len(kept) == len(node) and all(kept[key] is value for key, value in node.items())
        return node if same and kind in (dict, OrderedDict) else kept
    if isinstance(node, list | tuple):
        items = [plain_data(value, f"{path}.{index}", left_out) for index, value in enumerate(node)]
        if any(item is _NOTHING for item in items):
            return _NOTHING  # leaving out single items would change the indices of the others
        if kind in (list, tuple) and all(item is value for item, value in zip(items, node, strict=True)):
            return node
        return items if isinstance(node, list) else tuple(items)
    left_out[path] = f"{kind.__module__}.{kind.__qualname__}"
    return _NOTHING


_NOTHING = object()
_PLAIN = frozenset({type(None), bool, int, float, complex, str, set, torch.Size, Tensor, nn.Parameter})
# Keys that Lightning saves for information and for `load_from_checkpoint`. A run is rebuilt from config.yaml alone.
_DESCRIPTIVE = ("hyper_parameters", "datamodule_hyper_parameters", "hparams_type", "datamodule_hparams_type")


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning plugin that writes, removes and reads checkpoint files.

    Objects that `read_checkpoint` would not read are left out of the file, with a warning.

    Args:
        check: function called before each write; it must raise an error if the run folder no longer exists, because
            writing would create it again.
        places: folders below which files may be written and removed; None allows all folders.
    """

    def __init__(self, check: Callable[[], None] | None = None, places: Sequence[Path] | None = None) -> None:
        self._check, self._places = check, places
        self._told: set[str] = set()

    def _check_place(self, path: str | Path) -> None:
        """Raise SettingError if a path is outside of `places`.

        Lightning's callbacks restore paths from a checkpoint, which may come from another person.
        """
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
        left_out: dict[str, str] = {}
        checkpoint = plain_data(checkpoint, "", left_out)
        self._tell(left_out)
        # Serialize in memory first. If PyTorch wrote the file, a full disk would cause various errors of PyTorch.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if self._check is not None:
            self._check()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_atomically(Path(path), buffer.getbuffer())

    def _tell(self, left_out: dict[str, str]) -> None:
        new = {key: kind for key, kind in left_out.items() if key not in self._told}
        self._told |= new.keys()
        for key, kind in new.items():
            said = f"Checkpoints hold data only, so they lack {key}, which is of the class {kind}"
            if key.partition(".")[0] not in _DESCRIPTIVE:
                log.warning("%s. A run that is gone on with, or evaluated, is without it.", said)
            elif not key.endswith("hparams_type"):
                log.info("%s; config.yaml says how it was made.", said)

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))
