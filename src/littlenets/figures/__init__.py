"""Figures about a trained network: functions that take tensors and return a ``matplotlib.figure.Figure``.

Each function draws one figure; the modules are named by what they show. They use nothing else of this package and no
global state of matplotlib: no pyplot, no backend, no rcParams.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """Import a module of this package when it is first used: matplotlib takes half a second to import."""
    if find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
