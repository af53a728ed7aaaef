"""Disabled profiler that is faster than Lightning's."""

from contextlib import AbstractContextManager, nullcontext

from pytorch_lightning.profilers import PassThroughProfiler

_NOTHING = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Profiler that measures nothing.

    Lightning calls the profiler about 150 times an epoch, which takes 1 microsecond each with its own disabled
    profiler.
    """

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # Lightning declares a generator
        """Return a shared context manager that does nothing."""
        return _NOTHING
