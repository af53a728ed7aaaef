"""Choose the number of CPU threads from the amount of work in a training step."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

# Passing work to a thread and waiting for it costs about 10 microseconds for each of the hundred operations of a step,
# and many times that if another program uses the core. A core computes about 50 GFLOP per second, so a step of this
# size is 10 ms of work. A step of the spiral networks needs a tenth of that, one of the convolutional network three
# times as much.
FLOP_A_THREAD = 0.5e9

# The number of physical cores, or the value of OMP_NUM_THREADS.
AVAILABLE = torch.get_num_threads()


def limit_threads(threads: int) -> None:
    """Limit the threads of this process, which shares the cores with other processes."""
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
        threads: the number, or auto: as many as a step can keep busy, or all available if the work is unknown.
        forward: the network; None if its work cannot be measured.
        sample: inputs (N, ...) to run it on.
        batch_size: number of samples in a training batch of one process.
        processes: number of processes that share the cores, each of which uses as many threads.
    """
    if threads == "auto":
        chosen = most = max(1, AVAILABLE // processes)
        if forward is not None and sample is not None:
            with FlopCounterMode(display=False) as counter:
                forward(sample[:1])
            # Backward computes the gradients of inputs and of weights: twice the work of forward.
            work = 3 * counter.get_total_flops() * batch_size
            chosen = max(1, min(most, round(work / FLOP_A_THREAD)))
    else:
        chosen = threads
    torch.set_num_threads(chosen)
    return chosen
