"""Create, write and read run folders."""

from .folder import new_run_folder
from .results import Run

__all__ = ["Run", "new_run_folder"]
