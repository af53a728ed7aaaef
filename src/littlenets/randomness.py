"""One seed, many independent streams of random numbers."""

import hashlib

import torch


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator that depends on the seed and on what it is for, and on nothing that ran before.

    So the order of epoch 7 is the same whether or not epochs 1 to 6 were run in this process, and test points are
    never those of another seed's training set.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    # The Mersenne Twister behind torch.Generator takes 32 bits.
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
