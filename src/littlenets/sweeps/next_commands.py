"""The command lines that go on from a sweep, ready to be pasted into a shell."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..config.overrides import typed


def has_events(folder: Path) -> bool:
    """Whether there is something for TensorBoard in a run's folder, or in that of a sweep."""
    return any(True for pattern in ("tensorboard", "*/tensorboard") for _ in folder.glob(pattern))


def look_at(folder: Path) -> str:
    return shlex.join(["tensorboard", "--logdir", os.path.relpath(folder)])


def evaluate(run: Path) -> str:
    return shlex.join(["python", "evaluate.py", f"run={path_value(run)}"])


def report(sweep: Path) -> str:
    return shlex.join(["python", "report.py", f"sweep={path_value(sweep)}"])


def repeat(overrides: Sequence[str]) -> str:
    """One job of a sweep, alone."""
    # An experiment may sweep by itself.
    alone = ["hydra.mode=RUN"] if any(override.startswith("experiment=") for override in overrides) else []
    return shlex.join(["python", "train.py", *overrides, *alone])


def path_value(path: Path) -> str:
    """A path, relative to here, as the value of an override."""
    return typed(os.path.relpath(path))
