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
    forward: Callable[[Tensor], Tensor] | None = None,
    sample: Tensor | None = None,
    batch_size: int = 1,
    processes: int = 1,
) -> int:
    """Set and return the number of threads for training.

    Args:
        threads: auto is as many as a step can keep busy, and all of them where nobody knows how much work that is.
        forward: the network; None where it cannot be tried.
        sample: inputs (N, ...) to try it on.
        batch_size: samples a training batch of one process.
        processes: that share the cores, each of which has as many threads.
    """
    if threads == "auto":
        threads = most = max(1, AVAILABLE // processes)
        if forward is not None:
            with FlopCounterMode(display=False) as counter:
                forward(sample[:1])
            # Backward computes the gradients of inputs and of weights: twice the work of forward.
            work = 3 * counter.get_total_flops() * batch_size
            threads = max(1, min(most, round(work / FLOP_A_THREAD)))
    torch.set_num_threads(threads)
    return threads
