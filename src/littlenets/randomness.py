"""One seed, many independent streams of random numbers."""

import hashlib
import random
from typing import Any

import numpy as np
import torch


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator that depends on the seed and on what it is for, and on nothing that ran before.

    So the order of epoch 7 is the same whether or not epochs 1 to 6 were run in this process, and test points are
    never those of another seed's training set.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    # The Mersenne Twister behind torch.Generator takes 32 bits.
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


def set_apart(rank: int) -> None:
    """Seed the global generators of one of several processes, which all have begun with the same seed.

    Those of rank 0 stay as they are, as they would where it is alone.
    """
    if rank:
        seed = int(torch.randint(2**32, (), generator=stream(torch.initial_seed(), "process", rank)))
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


def random_states(all_gpus: bool = True) -> dict[str, Any]:
    """Where the global generators of Python, NumPy and PyTorch are, as tensors and plain containers.

    Args:
        all_gpus: whether those of all GPUs are asked for, or of the current one alone.
    """
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(keys.astype("int64")), *rest],
        "torch": torch.get_rng_state(),
        "cuda": _cuda_states(all_gpus) if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Puts the global generators back to where `random_states` found them."""
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
