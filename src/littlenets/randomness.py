"""Derive independent streams of random numbers from one seed, and save and restore generator states."""

import hashlib
import random
from typing import Any

import numpy as np
import torch


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a CPU generator that depends only on the seed and its purpose, not on what ran before.

    For example, the order of samples in epoch 7 is the same whether or not epochs 1 to 6 ran in this process, and test
    points never equal the training points of another seed.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    # The Mersenne Twister behind torch.Generator takes a seed of 32 bits.
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


def set_apart(rank: int) -> None:
    """Seed the global generators of one of several processes, which all started with the same seed.

    Those of rank 0 are unchanged, so that they are the same as in a run with one process.
    """
    if rank:
        seed = int(torch.randint(2**32, (), generator=stream(torch.initial_seed(), "process", rank)))
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


def random_states(all_gpus: bool = True) -> dict[str, Any]:
    """Return the states of the global generators of Python, NumPy and PyTorch, as tensors and plain containers.

    Args:
        all_gpus: whether to include the generators of all GPUs, or only that of the current GPU.
    """
    # The type contains the dictionary that legacy=False returns.
    state: Any = np.random.get_state()
    kind, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(keys.astype("int64")), *rest],
        "torch": torch.get_rng_state(),
        "cuda": _cuda_states(all_gpus) if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Restore the states returned by `random_states`."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype("uint32"), *rest))
    torch.set_rng_state(states["torch"])
    if len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    elif len(states["cuda"]) == 1 and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])


def _cuda_states(all_gpus: bool) -> list[torch.Tensor]:
    return torch.cuda.get_rng_state_all() if all_gpus else [torch.cuda.get_rng_state()]
