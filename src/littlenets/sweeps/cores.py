"""How many jobs at once, and what of the machine each of them gets."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Small networks leave most of a GPU idle, but each process that uses one keeps half a gigabyte of it.
WORKERS_A_GPU = 4


class Share(NamedTuple):
    """What worker processes get.

    Args:
        workers: how many there are.
        threads: for each of them.
        gpus: what CUDA_VISIBLE_DEVICES takes, one GPU or as many as a job needs; given to the workers in turn. Empty
            where there is nothing to share out.
    """

    workers: int
    threads: int
    gpus: list[str]


def share_out(jobs: int | None, points: Sequence[dict[str, Any]]) -> Share:
    """Divides the machine so that workers times threads is at most the number of cores.

    Args:
        jobs: at most so many at once; None is as many as there are cores.
        points: the settings of each job.
    """
    cores = available_cores()
    # Where a number of threads was asked for, there is room for fewer workers.
    asked = [
        (point["threads"] if isinstance(point.get("threads"), int) else 1)
        * (1 if uses_gpu(point) else devices_of(point))
        for point in points
    ]
    room = max(1, cores // max(asked, default=1))
    devices = gpus() if any(uses_gpu(point) for point in points) else []
    several = max((devices_of(point) for point in points if uses_gpu(point)), default=1)
    if several > 1 and len(devices) > 1:
        several = min(several, len(devices))
        starts = range(0, len(devices) - several + 1, several)
        devices = [",".join(devices[start : start + several]) for start in starts]
    if devices:
        room = min(room, WORKERS_A_GPU * len(devices))
    workers = max(1, min(jobs or room, room, len(points)))
    return Share(workers, max(1, cores // workers), devices)


def available_cores() -> int:
    """Those that this process may use: by its affinity, and in a container by its quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # "max", or another system
    return cores


def gpus() -> list[str]:
    """NVIDIA's, as CUDA_VISIBLE_DEVICES names them, without importing PyTorch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    return [str(index) for index, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def uses_gpu(settings: dict[str, Any]) -> bool:
    trainer = settings.get("trainer") or {}
    return trainer.get("accelerator") in ("auto", "gpu", "cuda")


def devices_of(settings: dict[str, Any]) -> int:
    """Return how many devices of this machine a job trains on; ``auto`` is one, since a worker sees no more."""
    devices = (settings.get("trainer") or {}).get("devices", 1)
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if isinstance(devices, list | tuple):
        return max(1, len(devices))
    if devices == -1:
        return max(1, len(gpus()))
    return max(1, devices) if isinstance(devices, int) else 1
