"""Make a loader's batches depend only on seed, epoch and batch number, so that a resumed run gets the same batches.

A loader uses random numbers in four places: the order of its samples, the seeds of its workers, random numbers that a
dataset draws in the main process (augmentation without workers), and generators that parts of the loader hold
themselves. Lightning creates the first iterator before random states are restored, and a network with dropout draws
from the same global generators. Therefore each loader gets random states of its own here. They are seeded anew at the
start of each epoch, and replace the program's global states while a batch is fetched. When a run is resumed within an
epoch, the batches before that point are fetched again and skipped.
"""

import copy
import functools
import logging
import random
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.utilities import CombinedLoader
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ..randomness import stream
from .loader import TensorLoader

log = logging.getLogger(__name__)

# Limits of the search for generators: containers with more than LONGEST items are taken for data and not searched;
# objects nested deeper than DEEPEST rarely belong to the loader; at most MOST_OBJECTS objects are searched.
LONGEST, DEEPEST, MOST_OBJECTS = 100, 8, 10_000

_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def make_resumable(datamodule: LightningDataModule, seed: int, epoch: int = 0, batches: int = 0) -> None:
    """Make the training batches of ``datamodule`` depend only on the seed, the epoch and the batch's number.

    Its ``train_dataloader`` returns the same loaders, or containers of loaders, as before, but with iterators of this
    module. A ``DataLoader`` becomes an instance of a subclass of its class, so that Lightning can still insert a
    distributed sampler. A `TensorLoader`, and loaders with a ``state_dict`` that Lightning restores, are not changed.

    If this is not possible for a loader, one warning with the reasons is logged when training requests the loader.

    Args:
        datamodule: data module of a fit that has not begun.
        seed: the run's seed.
        epoch: number of finished epochs of the run that is resumed.
        batches: number of batches of the next epoch that were trained on already.
    """
    places = _Places(datamodule, seed, epoch, batches)
    # A partial instead of a closure, since strategies that spawn processes pickle the data module.
    datamodule.train_dataloader = functools.partial(_resumable, datamodule.train_dataloader, places)


def _resumable(train_dataloader: Any, places: "_Places") -> Any:
    loaders = train_dataloader()
    combined = copy.copy(loaders) if isinstance(loaders, CombinedLoader) else CombinedLoader(loaders, "max_size_cycle")
    reasons: dict[str, None] = {}
    wrapped = []
    for number, loader in enumerate(combined.flattened):
        if isinstance(loader, TensorLoader) or (hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")):
            wrapped.append(loader)
            continue
        reasons |= dict.fromkeys(_doubts(loader))
        wrapped.append(_with_place(loader, places.of_loader(number)))
    if reasons and not places.warned:
        log.warning("Resumed, this run may not be the same bit for bit: %s.", "; ".join(reasons))
        places.warned = True
    combined.flattened = wrapped
    return combined if isinstance(loaders, CombinedLoader) else combined.iterables


def _doubts(loader: Iterable) -> Iterator[str]:
    """Yield the reasons why a loader's batches may depend on more than the seed, the epoch and the batch's number."""
    if isinstance(loader, Iterator):
        yield f"{type(loader).__name__} can be iterated over once only"
    if getattr(loader, "num_workers", 0) > 1 and not getattr(loader, "in_order", True):
        yield "in_order=False gives batches in the order in which the workers finish them"
    dataset = getattr(loader, "dataset", None)
    if isinstance(dataset, IterableDataset) and isinstance(dataset, Iterator):
        yield f"{type(dataset).__name__} is its own iterator, whose place nobody but itself knows"


def _with_place(loader: Iterable, place: "_Place") -> Iterable:
    if not isinstance(loader, DataLoader):
        return _ResumableIterable(loader, place)
    # Keep the class's name, since messages show it.
    kind = type(type(loader).__name__, (_Resumable, type(loader)), {"place": place})
    # Bypass the constructor, and the class's __setattr__, which does not allow changes to an initialized loader.
    resumable = object.__new__(kind)
    vars(resumable).update(vars(loader))
    return resumable


class _Resumable:
    """Mixin for a ``DataLoader`` class that iterates via ``place``.

    ``place`` is an attribute of the class, so that it survives when Lightning copies the loader.
    """

    place: "_Place"

    def __iter__(self) -> Iterator[Any]:
        return self.place.batches(self)

    def fresh_iterator(self) -> Iterator[Any]:
        if not self.persistent_workers:
            return super().__iter__()
        # Persistent workers keep their random states, which cannot be restored.
        loader = copy.copy(self)
        vars(loader)["persistent_workers"] = False
        return super(_Resumable, loader).__iter__()


class _ResumableIterable:
    """Wrapper for a loader that is not a ``DataLoader``."""

    def __init__(self, loader: Iterable, place: "_Place") -> None:
        self.loader, self.place = loader, place

    def __iter__(self) -> Iterator[Any]:
        return self.place.batches(self)

    def fresh_iterator(self) -> Iterator[Any]:
        return iter(self.loader)

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # during copying or unpickling, before `loader` is set
        return getattr(self.loader, name)


class _Places:
    """The positions of all loaders of a fit."""

    def __init__(self, datamodule: LightningDataModule, seed: int, epoch: int, batches: int) -> None:
        self.datamodule, self.seed, self.first_epoch, self.first_batches = datamodule, seed, epoch, batches
        self.warned = False
        self._places: dict[int, _Place] = {}

    def of_loader(self, number: int) -> "_Place":
        """Return the position of a loader: the same object each time, since Lightning may request loaders again."""
        return self._places.setdefault(number, _Place(self, number))

    @property
    def epoch(self) -> int:
        """The epoch of the batches fetched next, numbered as in Lightning's calls of ``set_epoch``."""
        trainer = self.datamodule.trainer
        done = 0 if trainer is None else trainer.fit_loop.epoch_progress.current.processed
        # Lightning may fetch a first batch before it restores its progress counters.
        return max(self.first_epoch, done)


class _Place:
    """Position of one loader: its epoch, the number of passes within the epoch, and the number of batches to skip."""

    def __init__(self, places: _Places, number: int) -> None:
        self._places, self._number = places, number
        self._epoch, self._passes, self._skip = places.first_epoch, 0, places.first_batches

    def batches(self, loader: Any) -> Iterator[Any]:
        """Yield the batches of one pass through a loader; do nothing before the first batch is requested."""
        if self._places.epoch != self._epoch:
            self._epoch, self._passes, self._skip = self._places.epoch, 0, 0
        skip, self._skip = self._skip, 0
        has_ended = self._passes > 0
        while True:
            skipped, given = 0, False
            for batch in self._one_pass(loader):
                if skipped < skip:
                    skipped += 1
                else:
                    given = True
                    yield batch
            # With several loaders, a shorter one starts again within the epoch, in a new order.
            self._passes += 1
            skip -= skipped
            # When several loaders are iterated together, this one must end after its first pass, even if all of its
            # batches were skipped; in every later pass it must yield a batch.
            if given or not (skipped and has_ended):
                self._skip = skip
                return

    def _one_pass(self, loader: Any) -> Iterator[Any]:
        key = (self._places.seed, "loader", self._number, self._epoch, self._passes)
        trainer = self._places.datamodule.trainer
        # With several processes, each draws different random numbers, but all use the same order of samples.
        apart = () if trainer is None or not trainer.global_rank else ("process", trainer.global_rank)
        randomness = _OwnRandomness(stream(*key, *apart).initial_seed())
        with randomness:
            for number, generator in enumerate(own_generators(loader)):
                _reseed(generator, stream(*key, number).initial_seed())
            for sampler in _samplers(loader):
                if hasattr(sampler, "set_epoch"):
                    sampler.set_epoch(self._epoch)
            iterator = loader.fresh_iterator()
        while True:
            with randomness:
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
            yield batch


class _OwnRandomness:
    """Context manager that replaces the global random states of Python, NumPy and PyTorch (CPU) by its own.

    NumPy's functions to get and set its state take 70 microseconds, so the bit generator object is exchanged instead.
    NumPy may have cached the second of two normal numbers; the exchange discards it, in every run alike.
    """

    def __init__(self, seed: int) -> None:
        self._own = random.Random(seed).getstate(), torch.Generator().manual_seed(seed).get_state(), _legacy_bits(seed)

    def __enter__(self) -> None:
        self._programs = _exchanged(self._own)

    def __exit__(self, *_: object) -> None:
        self._own = _exchanged(self._programs)


_States = tuple[Any, Tensor, np.random.BitGenerator]


def _exchanged(states: _States) -> _States:
    """Set the global random states and return the previous ones."""
    there = random.getstate(), torch.get_rng_state(), np.random.get_bit_generator()
    random.setstate(states[0])
    torch.set_rng_state(states[1])
    np.random.set_bit_generator(states[2])
    return there


def _legacy_bits(seed: int) -> np.random.BitGenerator:
    """Return a bit generator in the state that ``np.random.seed(seed)`` sets; ``np.random.seed`` can seed it again."""
    bits = np.random.MT19937()
    np.random.RandomState(bits).seed(seed)
    return bits


def _samplers(loader: Any) -> Iterator[Any]:
    sampler, batch_sampler = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
    yield from {id(one): one for one in (sampler, batch_sampler, getattr(batch_sampler, "sampler", None))}.values()


def _reseed(generator: Any, seed: int) -> None:
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    elif isinstance(generator, np.random.Generator):
        bits = generator.bit_generator
        bits.state = type(bits)(seed).state
    else:
        generator.seed(seed)


def own_generators(loader: Any) -> list[Any]:
    """Return the random number generators held by a loader, its samplers, its dataset and their functions.

    The search covers attributes, containers, closures, and global variables used by methods.
    """
    found, seen = [], set()
    level = [vars(loader)]
    for _ in range(DEEPEST):
        following = []
        for value in level:
            if id(value) in seen or len(seen) >= MOST_OBJECTS:
                continue
            seen.add(id(value))
            if isinstance(value, _GENERATORS):
                found.append(value)
            else:
                following += _parts(value)
        level = following
    return found


def _parts(value: Any) -> list[Any]:
    """Return the parts of a value that may hold generators."""
    if isinstance(value, dict):
        return list(value.values()) if len(value) <= LONGEST else []
    if isinstance(value, list | tuple):
        return list(value) if len(value) <= LONGEST else []
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, types.FunctionType):
        return [*(cell.cell_contents for cell in value.__closure__ or () if cell != _EMPTY), *_named(value)]
    if isinstance(value, _OTHERS):
        return []
    return [*getattr(value, "__dict__", {}).values(), *_named_by_methods(type(value))]


_EMPTY = types.CellType()
# Types that are not searched: plain values, and objects that may refer to the whole program.
_OTHERS = (str, bytes, int, float, type(None), Tensor, np.ndarray, type, types.ModuleType)
_OTHERS += (LightningModule, LightningDataModule, Trainer)


@functools.cache
def _named_by_methods(kind: type) -> list[Any]:
    members = (member for base in kind.__mro__ for member in vars(base).values())
    return [value for member in members if isinstance(member, types.FunctionType) for value in _named(member)]


def _named(function: types.FunctionType) -> list[Any]:
    """Return the generators among the global variables that a function uses."""
    values = (function.__globals__.get(name) for name in function.__code__.co_names)
    return [value for value in values if isinstance(value, _GENERATORS)]
