"""What a saved configuration may reach: it is data, and rebuilding from it must not run somebody else's code."""

import importlib
import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import SettingError

# Whose classes may be named. Torch has functions that load and run code; of each package only the kinds of class below
# can be reached, by which a run is configured.
PACKAGES = ("littlenets", "torch", "torchvision", "pytorch_lightning")


def check_trusted(values: Any, trust: Sequence[str] = ()) -> None:
    """Makes sure that every ``_target_`` in a saved configuration may be called.

    Args:
        values: the configuration as plain containers.
        trust: modules, or packages, whose classes and functions the user vouches for.

    Raises:
        SettingError: names each one that may not, before anything of it is imported.
    """
    problems = []
    for path, value in _leaves(values, ""):
        if isinstance(value, str) and "${" in value:
            # A saved configuration is resolved; what is resolved when it is read could run a resolver.
            problems.append(f"{path}={value}: a saved configuration holds values, no interpolations.")
        elif path.rpartition(".")[2] == "_target_":
            problems += [f"{path}={value}: {wrong}" for wrong in _wrong(value, trust)]
    if problems:
        raise SettingError("\n".join(problems))


def _leaves(node: Any, path: str) -> Iterable[tuple[str, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if items is None or path.rpartition(".")[2] == "_target_":
        yield path, node
        return
    for key, value in items:
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


def _wrong(target: Any, trust: Sequence[str]) -> Iterable[str]:
    if not isinstance(target, str):
        yield "it should be the name of a class."
    elif _inside(target, trust):
        return
    elif not _inside(target, PACKAGES):
        module = target.rpartition(".")[0] or target
        yield (
            "code from outside the package is not run because a saved run names it. "
            f"If you wrote it, or know who did: trust=[{module}]"
        )
    elif not _configurable(_resolve(target)):
        yield "no network, data, module, optimizer, schedule, callback, logger or trainer."


def _inside(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _resolve(target: str) -> Any:
    """The object of a dotted name in one of the packages; None where there is none."""
    parts = target.split(".")
    found: Any = importlib.import_module(parts[0])
    for depth, part in enumerate(parts[1:], 2):
        if not hasattr(found, part) and inspect.ismodule(found):
            try:
                importlib.import_module(".".join(parts[:depth]))
            except ImportError:
                return None
        found = getattr(found, part, None)
    return found


def _configurable(found: Any) -> bool:
    from pytorch_lightning import Callback, LightningDataModule, Trainer
    from pytorch_lightning.loggers import Logger
    from torch.nn import Module
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    kinds = (Module, LightningDataModule, Optimizer, LRScheduler, Callback, Logger, Trainer)
    # By where it is defined: modules of these packages import others, and hold their names.
    return inspect.isclass(found) and issubclass(found, kinds) and _inside(found.__module__, PACKAGES)
