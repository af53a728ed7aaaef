"""Choose how many jobs run at once, and divide the cores and GPUs among them."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# Small networks leave most of a GPU idle, but each process on it takes half a gigabyte of its memory.
WORKERS_A_GPU = 4


class Share(NamedTuple):
    """Number of worker processes, and the resources of each.

    Args:
        workers: number of worker processes.
        threads: number of threads of each worker.
        gpus: values of CUDA_VISIBLE_DEVICES, each with one GPU or as many as a job needs; assigned to the workers in
            turn. Empty if no GPU is used.
    """

    workers: int
    threads: int
    gpus: list[str]


def share_out(jobs: int | None, points: Sequence[dict[str, Any]]) -> Share:
    """Divide the machine among workers so that workers times threads is at most the number of cores.

    Args:
        jobs: maximum number of jobs at once; None is as many as the machine has cores for.
        points: resolved settings of each job.
    """
    cores = available_cores()
    # Jobs that set a number of threads, or train in several processes on the CPU, need several cores each.
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
    """Return the number of cores that this process may use, by its CPU affinity and the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no quota ("max"), or a system without cgroups
    return cores


def gpus() -> list[str]:
    """Return the NVIDIA GPUs, as named in CUDA_VISIBLE_DEVICES, without importing PyTorch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA ignores the first entry that is no device, and all entries after it.
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), map(str.strip, visible.split(","))))
    return [str(index) for index, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


def uses_gpu(settings: dict[str, Any]) -> bool:
    """Return whether a job trains on a GPU if there is one."""
    trainer = settings.get("trainer") or {}
    return trainer.get("accelerator") in ("auto", "gpu", "cuda")


def devices_of(settings: dict[str, Any]) -> int:
    """Return how many devices of this machine a job trains on; 1 for ``auto``, since a worker sees only one."""
    devices = (settings.get("trainer") or {}).get("devices", 1)
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if isinstance(devices, list | tuple):
        return max(1, len(devices))
    if devices == -1:
        return max(1, len(gpus()))
    return max(1, devices) if isinstance(devices, int) else 1
