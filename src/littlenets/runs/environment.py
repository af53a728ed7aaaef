"""Collect versions, device, and the state of the source code for results.json."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")


def environment(device: torch.device, processes: int = 1) -> dict[str, object]:
    """Return versions, device and git state as a dictionary for results.json.

    Args:
        device: the device used for training.
        processes: the number of training processes; recorded only if there are several.

    Returns:
        The dictionary; its item ``git`` is None if the source is not in a git repository.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        **({"processes": processes} if processes > 1 else {}),
        "git": _git_state(),
    }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


# Cached, because edits during the run do not change the code that the process has imported.
@cache
def _git_state() -> dict[str, object] | None:
    try:
        status = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    commit = next((line.split()[-1] for line in status if line.startswith("# branch.oid")), None)
    return {"commit": commit, "clean": not any(not line.startswith("#") for line in status)}
