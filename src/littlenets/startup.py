"""Imports Lightning without what it does not need."""

import sys
import types


def import_lightning() -> None:
    """Imports ``pytorch_lightning``, a quarter faster where SciPy is installed.

    torchmetrics imports all of ``scipy.signal`` (a second on a slow machine) for one thing: to give it back a name,
    ``hamming``, that SciPy removed. Here it meets a module that has the name, which is taken away again at once:
    whoever imports ``scipy.signal`` later gets the real one.
    """
    if "scipy.signal" in sys.modules or "torchmetrics" in sys.modules:
        return
    placeholder = types.ModuleType("scipy.signal")
    placeholder.hamming = None
    sys.modules["scipy.signal"] = placeholder
    try:
        import pytorch_lightning  # noqa: F401
    finally:
        del sys.modules["scipy.signal"]
