"""Half the time from the command to the first step, and from the last to the prompt, spent on nothing."""

import gc
import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any


@contextmanager
def fast_imports() -> Iterator[None]:
    """For importing PyTorch and Lightning: 2.5 instead of 4 seconds, and 0.1 instead of 1 to exit in the end.

    Garbage collection finds nothing among modules, which stay for good; it is off meanwhile, and does not look at them
    again, at the end of the process in particular.

    And torchmetrics imports two large packages that hardly anybody needs from it: all of ``scipy.signal``, where there
    is one, to give it back a name that SciPy removed, ``hamming``; and ``matplotlib.pyplot``, for metrics that plot
    themselves. Here it meets modules that have the names it looks for, which are taken away again at once: whoever
    imports the packages later gets the real ones, and a metric that is asked to plot itself does so with them.
    """
    collecting = gc.isenabled()
    gc.disable()
    placeholders = {}
    if "torchmetrics" not in sys.modules:
        for module in _placeholders():
            if module.__name__ not in sys.modules:
                placeholders[module.__name__] = module
    sys.modules.update(placeholders)
    try:
        yield
    finally:
        for name, placeholder in placeholders.items():
            if sys.modules.get(name) is placeholder:
                del sys.modules[name]
        gc.freeze()
        if collecting:
            gc.enable()


def _placeholders() -> list[types.ModuleType]:
    signal, matplotlib, axes, pyplot = map(
        types.ModuleType, ("scipy.signal", "matplotlib", "matplotlib.axes", "matplotlib.pyplot")
    )
    signal.hamming = None
    # What torchmetrics.utilities.plot takes from them for its annotations.
    axes.Axes = pyplot.Figure = type("Unused", (), {})
    pyplot.style = SimpleNamespace(context=_real_style)
    matplotlib.axes, matplotlib.pyplot = axes, pyplot
    matplotlib.colors = SimpleNamespace(Colormap=object)
    return [signal, matplotlib, axes, pyplot]


@contextmanager
def _real_style(style: Any) -> Iterator[None]:
    """Around each function of torchmetrics that plots: gives it matplotlib, and then does as matplotlib's own does."""
    plot = sys.modules["torchmetrics.utilities.plot"]
    plot.plt = importlib.import_module("matplotlib.pyplot")
    plot._AX_TYPE = importlib.import_module("matplotlib.axes").Axes
    with plot.plt.style.context(style):
        yield
