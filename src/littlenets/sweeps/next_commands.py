"""Build command lines to use after a sweep, quoted for a shell."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..config.overrides import typed


def has_events(folder: Path) -> bool:
    """Return whether the folder of a run or a sweep contains logs for TensorBoard."""
    return any(True for pattern in ("tensorboard", "*/tensorboard") for _ in folder.glob(pattern))


def look_at(folder: Path) -> str:
    """Return the command that shows a folder in TensorBoard."""
    return shlex.join(["tensorboard", "--logdir", os.path.relpath(folder)])


def evaluate(run: Path) -> str:
    """Return the command that evaluates a run."""
    return shlex.join(["python", "evaluate.py", f"run={path_value(run)}"])


def report(sweep: Path) -> str:
    """Return the command that writes the tables and figures of a sweep again."""
    return shlex.join(["python", "report.py", f"sweep={path_value(sweep)}"])


def repeat(overrides: Sequence[str]) -> str:
    """Return the command that trains one job of a sweep as a single run."""
    # The configuration of an experiment may select a sweep.
    alone = ["hydra.mode=RUN"] if any(override.startswith("experiment=") for override in overrides) else []
    return shlex.join(["python", "train.py", *overrides, *alone])


def path_value(path: Path) -> str:
    """Return a path, relative to the working directory, as the value of an override."""
    return typed(os.path.relpath(path))
