"""The worker processes of a sweep."""

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
    """How worker processes come about.

    Forked from a process that has imported PyTorch once, where forking is safe: on Linux, and as long as no GPU may be
    initialised before each worker knows its own.
    """
    return "forkserver" if sys.platform == "linux" and not share_gpus else "spawn"


def import_ahead() -> None:
    """Starts importing what workers need, in the background, before it is known what they will do.

    Does nothing where they would have to import it once more.
    """
    if start_method(share_gpus=False) != "forkserver":
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["littlenets.sweeps.imported"])
    # It would answer Ctrl-C, which is meant for this process, with a traceback.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)


def _do_nothing() -> None:
    pass


class Workers:
    """Worker processes that live until the sweep ends, each of which trains one job at a time.

    A worker that dies takes nothing with it but its job, and another takes its place. All of them end when this process
    does, however it ends.

    Args:
        share: how many, and what each of them gets.
        compositions: what the points of the jobs refer to.
    """

    def __init__(self, share: Share, compositions: list[Composition]) -> None:
        method = start_method(bool(share.gpus))
        if method == "forkserver":
            import_ahead()
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            # Waits until all is imported. A worker that is asked for before, and given up with Ctrl-C, would come about
            # nevertheless and complain that the locks are gone that it shares with this process.
            context.Process(target=_do_nothing).start()
        # Nothing is ever written to the first: closing its end says stop, to all at once and without a lock.
        stop, self._stop = context.Pipe(duplex=False)
        turns, self._turns = context.Pipe(duplex=False)
        # More than a sweep can have deaths; a pipe holds 64 KiB.
        os.write(self._turns.fileno(), bytes(range(240)) * 100)
        told = worker.Start(stop, turns, share.gpus, share.threads, compositions)
        self._told, self._context = told, context
        self.share = share
        self._pool = self._make_pool()

    def _make_pool(self) -> ProcessPool:
        return ProcessPool(self.share.workers, initializer=worker.start, initargs=(self._told,), context=self._context)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Has one of the functions of `worker` called.

        The future raises ProcessExpired where its worker died, and BrokenProcessPool where all of them did at a moment
        when none had anything to do; the next ones have new workers.
        """
        try:
            return self._pool.schedule(function, args=arguments)
        except RuntimeError:  # broken
            self._pool.stop()
            self._pool.join()
            self._pool = self._make_pool()
            return self._pool.schedule(function, args=arguments)

    def stop(self) -> None:
        """Tells the jobs under way to save their state and end; those that have not started will not."""
        if not self._stop.closed:
            self._stop.close()

    def kill(self) -> None:
        """Ends the processes, whatever they do."""
        for process in multiprocessing.active_children():
            process.kill()

    def close(self) -> None:
        """Ends the processes, which have nothing to do any more."""
        self.stop()
        self._pool.stop()
        self._pool.join()
