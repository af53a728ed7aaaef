"""What makes training fast: applied from outside, the same numbers, and out of the way of whatever it does not know."""

from .no_profiler import NoProfiler
from .run_ahead import RunAhead
from .shared_steps import SharedSteps

__all__ = ["NoProfiler", "RunAhead", "SharedSteps"]
