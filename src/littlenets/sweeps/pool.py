"""Start and stop the worker processes of a sweep."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import forkserver
from typing import Any

from pebble import ProcessPool

from . import worker
from .cores import Share
from .points import Composition


def start_method(share_gpus: bool) -> str:
    """Return the start method of `multiprocessing` for the workers.

    Where forking is safe, they are forked from a process that has imported PyTorch once: on Linux, and if no GPUs are
    assigned to the workers, since that must happen in each worker before the GPU is initialised.
    """
    return "forkserver" if sys.platform == "linux" and not share_gpus else "spawn"


def import_ahead() -> None:
    """Start importing what workers need, in the background, before their work is known.

    If workers are not forked on this system, do nothing, since each of them would import everything again.
    """
    if start_method(share_gpus=False) != "forkserver":
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["littlenets.sweeps.imported"])
    # The new process must ignore Ctrl-C, which it would answer with a traceback; it inherits this setting.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)


def _do_nothing() -> None:
    pass


class Workers:
    """Pool of worker processes that live until the sweep ends; each of them trains one job at a time.

    If a worker dies, only its job is lost, and another worker is started. All workers end when this process ends, even
    if it is killed.

    Args:
        share: number of workers, and the resources of each.
        compositions: the compositions that the points of the jobs refer to.
    """

    def __init__(self, share: Share, compositions: list[Composition]) -> None:
        method = start_method(bool(share.gpus))
        if method == "forkserver":
            import_ahead()
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            # Wait until everything is imported. If a worker is requested earlier and Ctrl-C ends this process, the
            # worker is started nevertheless, and prints errors because the locks it shares with this process are gone.
            context.Process(target=_do_nothing).start()
        # Nothing is written to the first pipe: closing it tells all workers at once to stop, without a lock.
        stop, self._stop = context.Pipe(duplex=False)
        turns, self._turns = context.Pipe(duplex=False)
        # Enough bytes for all workers and those that replace them, and less than the 64 KiB that a pipe holds.
        os.write(self._turns.fileno(), bytes(range(240)) * 100)
        told = worker.Start(stop, turns, share.gpus, share.threads, compositions)
        self._told, self._context = told, context
        self.share = share
        self._pool = self._make_pool()

    def _make_pool(self) -> ProcessPool:
        return ProcessPool(self.share.workers, initializer=worker.start, initargs=(self._told,), context=self._context)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Call one of the functions of `worker` in a worker process.

        Args:
            function: the function.
            *arguments: its arguments.

        Returns:
            A future that raises ProcessExpired if its worker died, and BrokenProcessPool if all workers died while they
            were idle. In the latter case, the next call starts new workers.
        """
        try:
            return self._pool.schedule(function, args=arguments)
        except RuntimeError:  # broken
            self._pool.stop()
            self._pool.join()
            self._pool = self._make_pool()
            return self._pool.schedule(function, args=arguments)

    def stop(self) -> None:
        """Make running jobs save their state and end, and keep further jobs from starting."""
        if not self._stop.closed:
            self._stop.close()

    def kill(self) -> None:
        """Kill the worker processes."""
        for process in multiprocessing.active_children():
            process.kill()

    def close(self) -> None:
        """End the worker processes, which must be idle."""
        self.stop()
        self._pool.stop()
        self._pool.join()
