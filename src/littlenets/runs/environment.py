"""With what a run was made: versions, device, and the state of the source."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")


def environment(device: torch.device, processes: int = 1) -> dict[str, object]:
    """A plain dictionary for results.json; ``git`` is None where the source is in no git repository."""
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


# What the process has imported is what it ran with, whatever is edited meanwhile.
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
