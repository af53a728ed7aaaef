"""Check that a saved run or sweep only uses trusted classes, resolvers and folders.

A saved run may come from another person, and resuming or evaluating it must not run code that its files choose. A
run's config.yaml contains names of classes (``_target_``), and a sweep's sweep.json contains overrides. Both are
checked here before code outside of `PACKAGES` is imported, and before anything is composed or resolved.
``trust=[...]`` allows more: a module or package, a resolver such as ``oc.env``, or a folder that may be written to.
"""

import functools
import importlib
import inspect
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from ..console.text import printable
from ..errors import SettingError
from .targets import installed_target

# Packages whose classes are allowed. Torch also has functions that load and run code, so only the kinds of classes that
# configure a run are allowed; see `_configurable`.
PACKAGES = ("littlenets", "torch", "torchvision", "pytorch_lightning")
# Allowed datasets of torchvision: they read images, or files whose checksums they verify. Other datasets unpickle files
# in a folder, which can run code.
DATASETS = (
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "KMNIST",
    "MNIST",
    "QMNIST",
    "SVHN",
)
# Parameters of callbacks, loggers and profilers that are folders, relative to the current folder in Lightning. Other
# texts, such as ``filename``, are relative to such a folder.
_NAMES_FOLDER = re.compile(r"(.*_)?(dir|dirpath|path|root|folder)")
# Placeholders that ModelCheckpoint replaces: {epoch}, {val/loss:.2f}.
_FORMAT = re.compile(r"\{[\w/-]+(:[\d.]*[dfeg]?)?\}")
# The parts of a configuration whose objects write files.
WRITING = ("callbacks", "figures", "logger", "trainer")
# Files that a run appends to; other files are replaced as a whole.
WRITTEN_IN_PLACE = ("history.csv", "train.log")
# Settings that may only be set on the command line, not in a saved sweep.
OF_THE_COMMAND = ("hydra", "resume", "trust")
# An interpolation without inner ones: ``${key}``, or ``${resolver:arguments}``; group 1 is the name of the resolver.
_INTERPOLATION = re.compile(r"\$\{(?:[\w.\[\]]+|\s*([\w.]+)\s*:[^{}$]*)\}", re.ASCII)


class Refused(NamedTuple):
    """An item of a saved configuration that is not allowed.

    Args:
        line: the error message.
        allowed_by: the name that ``trust`` must contain to allow the item; None if it cannot be allowed.
    """

    line: str
    allowed_by: str | None


def check_trusted(values: Any, trust: Sequence[str] = (), folder: Path | None = None) -> None:
    """Check that a run can be rebuilt safely from its saved configuration.

    The check itself does not import modules outside of `PACKAGES`.

    Args:
        values: the configuration as plain containers.
        trust: modules, packages, resolvers and folders that the user trusts.
        folder: the run folder, into which the run may write.

    Raises:
        SettingError: lists all items that are not allowed.
    """
    _raise([found for found in refusals(values, folder) if not _is_trusted(found.allowed_by, trust)])


def refusals(values: Any, folder: Path | None = None) -> list[Refused]:
    """Return the items of a configuration that are not allowed if the user trusts nothing; see `check_trusted`."""
    found = []
    for path, value in _leaves(values, ""):
        if isinstance(value, str) and "${" in value:
            # A saved configuration is already resolved. Resolving it again after reading could call a resolver.
            found.append(Refused(f"{path}={value}: a saved configuration holds values, no interpolations.", None))
        elif path.rpartition(".")[2] == "_target_":
            found += _wrong_target(path, value)
        elif isinstance(value, str):
            found += _wrong_path(path, value, folder)
    return found


def check_overrides(
    overrides: Iterable[str], options: Callable[[str], Sequence[str]], trust: Sequence[str] = (), where: str = ""
) -> None:
    """Check that overrides from a saved sweep are only settings of a run and existing choices. Nothing is composed.

    Args:
        overrides: overrides as on a command line.
        options: function that returns the choices of a configuration group in the search path; an empty list if there
            is no such group.
        trust: modules, packages, resolvers and folders that the user trusts.
        where: the file that contains the overrides, for the error message.

    Raises:
        SettingError: lists all overrides that are not allowed.
    """
    parser, options = OverridesParser.create(), functools.cache(options)
    found = [refused for text in dict.fromkeys(overrides) for refused in _wrong_override(text, parser, options)]
    _raise([refused for refused in found if not _is_trusted(refused.allowed_by, trust)], where)


def check_links(folder: Path) -> None:
    """Check that writing into the folder of a run or sweep changes nothing outside of it.

    Raises:
        SettingError: the folder contains a link that leads out of it, a file of `WRITTEN_IN_PLACE` with another name
            (a hard link), or something that is neither a file nor a folder.
    """
    inside = folder.resolve()
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = Path(path, name)
            try:
                found = entry.lstat()
            except FileNotFoundError:
                continue  # just renamed by a running process
            mode = found.st_mode
            if stat.S_ISLNK(mode):
                if not _stays_inside(entry, inside):
                    raise SettingError(
                        f"{printable(str(entry))} is a link to something outside of {folder}, so nothing is written "
                        "there. Put what it leads to in its place."
                    )
            elif name in WRITTEN_IN_PLACE and found.st_nlink > 1:
                raise SettingError(
                    f"{printable(str(entry))} is one file with another name, which would be changed as well. "
                    "Put a copy in its place."
                )
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise SettingError(f"{printable(str(entry))} is neither a file nor a folder. Remove it.")


def _stays_inside(link: Path, folder: Path) -> bool:
    try:
        return link.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a link to itself
        return False


def _raise(found: Sequence[Refused], where: str = "") -> None:
    if found:
        lines = [f"{where}: {refused.line}" if where else refused.line for refused in found]
        raise SettingError("\n".join(map(printable, lines)))


def _is_trusted(name: str | None, trust: Sequence[str]) -> bool:
    if name is None:
        return False
    return _inside(name, trust) or (os.path.isabs(name) and any(_is_below(name, place) for place in trust))


def _is_below(path: str, place: str) -> bool:
    return os.path.isabs(place) and Path(path).resolve().is_relative_to(Path(place).resolve())


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if items is None or path.rpartition(".")[2] == "_target_":
        yield path, node
        return
    for key, value in items:
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


def _wrong_target(path: str, target: Any) -> Iterator[Refused]:
    if not isinstance(target, str):
        yield Refused(f"{path}={target}: it should be the name of a class.", None)
    elif not _inside(installed_target(target), PACKAGES):
        module = target.rpartition(".")[0] or target
        yield Refused(
            f"{path}={target}: code from outside the package is not run because a saved run names it. "
            f"If you wrote it, or know who did: trust=[{module}]",
            target,
        )
    elif not _configurable(_resolve(installed_target(target))):
        yield Refused(
            f"{path}={target}: no network, data, module, optimizer, schedule, callback, logger or trainer.", target
        )


def _wrong_path(path: str, text: str, folder: Path | None) -> Iterator[Refused]:
    """Yield an item if a text could make an object write outside of the run folder."""
    part, _, name = path.partition(".")
    if part == "data":
        # Data may be read from any existing place, but must not be downloaded to a new place that the saved
        # configuration chooses.
        out = _leads_out(text) and not os.path.exists(text)
    elif part in WRITING and ("_args_" in path.split(".") or _FORMAT.sub("", text).count("{")):
        # The purpose of a positional argument is unknown, because it has no name, and a format can expand to a path.
        yield Refused(f"{path}={text}: a saved run names its arguments, and has no such format.", None)
        return
    elif part in WRITING and (_leads_out(text) or _NAMES_FOLDER.fullmatch(name.rpartition(".")[2])):
        # Other relative texts are allowed: a metric such as val/loss looks like a path but is not one.
        out = folder is None or "://" in text or not Path(text).resolve().is_relative_to(folder.resolve())
    else:
        return
    if out:
        place = text if "://" in text else os.path.abspath(text)
        yield Refused(
            f"{path}={text}: a saved run writes into its own folder only. If this place is meant: trust=[{place}]",
            place,
        )


def _leads_out(text: str) -> bool:
    parts = re.split(r"[/\\]", text)
    return os.path.isabs(text) or ".." in parts or parts[0].startswith("~") or "://" in text


def _wrong_override(text: str, parser: OverridesParser, options: Callable[[str], Sequence[str]]) -> Iterator[Refused]:
    try:
        override = parser.parse_override(text)
    except HydraException:
        yield Refused(f"{text}: this cannot be read.", None)
        return
    key = override.key_or_group
    if re.split(r"[./@:]", key)[0] in OF_THE_COMMAND or override.package is not None:
        yield Refused(f"{text}: this is for the command line to say, not for a saved sweep.", None)
    elif not override.is_delete() and ("/" in key or options(key)):
        wrong = next((name for name in _chosen(override) if not _is_choice(key, name, options)), None)
        if wrong is not None:
            yield Refused(
                f"{text}: a saved sweep can only choose what is in the configuration folders, and there is no "
                f"{key}={wrong}. Where it is in one of yours: --config-dir FOLDER",
                None,
            )
    yield from _wrong_interpolations(text)


def _chosen(override: Override) -> Iterator[Any]:
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return  # glob() only matches existing choices
    for value in override.sweep_iterator() if override.is_sweep_override() else [override.value()]:
        yield from value if isinstance(value, list) else [value]


def _is_choice(group: str, name: Any, options: Callable[[str], Sequence[str]]) -> bool:
    folders, _, file = str(name).rpartition("/")
    inner = f"{group}/{folders}" if folders else group
    return not {"", ".", ".."} & set(inner.split("/")) and file in options(inner)


def _wrong_interpolations(text: str) -> Iterator[Refused]:
    """Yield an item for each resolver that an override calls; interpolations of settings (``${seed}``) are safe."""
    # Without backslashes, because Hydra removes them.
    left, names = re.sub(r"\\([${}])", r"\1", text), []
    while inner := _INTERPOLATION.search(left):
        names += [inner[1]] if inner[1] else []
        # Its result may be an argument of an outer interpolation or a part of the outer name. Replace the value of a
        # setting by "?", which is not valid in a name: an interpolation whose name depends on a setting is not matched
        # and causes the error below.
        left = f"{left[: inner.start()]}{'_' if inner[1] else '?'}{left[inner.end() :]}"
    if "${" in left:
        yield Refused(f"{text}: a saved sweep may not hold this interpolation. Give the setting anew.", None)
    for name in dict.fromkeys(names):
        yield Refused(f"{text}: a saved sweep calls no resolvers. If you know this one: trust=[{name}]", name)


def _inside(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _resolve(target: str) -> Any:
    """Import and return the object with a dotted name in one of `PACKAGES`; None if it does not exist."""
    parts = target.split(".")
    found: Any = importlib.import_module(parts[0])
    for depth, part in enumerate(parts[1:], 2):
        try:
            if not hasattr(found, part) and inspect.ismodule(found):
                importlib.import_module(".".join(parts[:depth]))
            found = getattr(found, part, None)
        except Exception:  # of any type: looking up a name can run code of the package
            return None
    return found


def _configurable(found: Any) -> bool:
    from pytorch_lightning import Callback, LightningDataModule, Trainer
    from pytorch_lightning.loggers import Logger
    from torch.nn import Module
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    kinds = (Module, LightningDataModule, Optimizer, LRScheduler, Callback, Logger, Trainer)
    # Use the module in which the class is defined, since modules of these packages also contain names that they import.
    if not (inspect.isclass(found) and _inside(found.__module__, PACKAGES)):
        return False
    if _inside(found.__module__, ["torchvision.datasets"]):
        return found.__name__ in DATASETS
    return issubclass(found, kinds) or _inside(found.__module__, ["torchvision.transforms"])
