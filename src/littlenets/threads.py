"""How many CPU threads a training step can keep busy."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

# Handing work to a thread and waiting for it costs some 10 microseconds for each of the hundred operations of a step,
# and many times that when another program has the core. A core does about 50 GFLOP a second, so a step of this size
# is 10 ms of work. The spiral networks' steps are a tenth of it, the convolutional network's three times as much.
FLOP_A_THREAD = 0.5e9

# Real cores, or what OMP_NUM_THREADS says.
AVAILABLE = torch.get_num_threads()


def limit_threads(threads: int) -> None:
    """For a process that shares the cores with others."""
    global AVAILABLE
    AVAILABLE = threads
    torch.set_num_threads(threads)


def choose_threads(
    threads: int | Literal["auto"],
    forward: Callable[[Tensor], Tensor],
    sample: Tensor,
    batch_size: int,
    processes: int = 1,
) -> int:
    """Sets and returns the number of threads for training with batches of ``batch_size`` samples like ``sample``.

    Args:
        threads: what is asked for, in each process.
        forward: the network.
        sample: at least one input (N, ...).
        batch_size: samples in a batch of each process.
        processes: that share the cores.
    """
    if threads == "auto":
        with FlopCounterMode(display=False) as counter:
            forward(sample[:1])
        # Backward computes the gradients of inputs and of weights: twice the work of forward.
        work = 3 * counter.get_total_flops() * batch_size
        threads = max(1, min(AVAILABLE // processes, round(work / FLOP_A_THREAD)))
    torch.set_num_threads(threads)
    return threads
