"""Half the time from the command to the first step, and from the last to the prompt, spent on nothing."""

import gc
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fast_imports() -> Iterator[None]:
    """For importing PyTorch and Lightning: 2.5 instead of 4 seconds, and 0.1 instead of 1 to exit in the end.

    Garbage collection finds nothing among modules, which stay for good; it is off meanwhile, and does not look at them
    again, at the end of the process in particular.

    And torchmetrics imports all of ``scipy.signal``, where there is one, to give it back a name that SciPy removed,
    ``hamming``. Here it meets a module that has the name, which is taken away again at once: whoever imports
    ``scipy.signal`` later gets the real one.
    """
    collecting = gc.isenabled()
    gc.disable()
    placeholder = None
    if "scipy.signal" not in sys.modules and "torchmetrics" not in sys.modules:
        placeholder = types.ModuleType("scipy.signal")
        placeholder.hamming = None
        sys.modules["scipy.signal"] = placeholder
    try:
        yield
    finally:
        if sys.modules.get("scipy.signal") is placeholder is not None:
            del sys.modules["scipy.signal"]
        gc.freeze()
        if collecting:
            gc.enable()
