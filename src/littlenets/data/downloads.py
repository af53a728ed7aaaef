"""Download files from mirrors that may be slow, may not respond, or may send data without end."""

import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from queue import Empty, Queue
from threading import Event, Thread
from time import monotonic
from urllib.parse import urlsplit
from urllib.request import urlopen

# A download is aborted when fewer than SLOWEST bytes arrive within TIMEOUT seconds, including the time to connect. On a
# slow connection a whole file takes longer than that, but SLOWEST bytes do not.
TIMEOUT = 20
SLOWEST = 1 << 15
_CHUNK = 1 << 15


class MirrorError(Exception):
    """Raised when a mirror does not serve a file; the message is the reason, in one line."""


def receive(url: str, largest: int) -> Iterator[bytes]:
    """Download a file in chunks and yield them; keep only a few chunks in memory.

    A thread reads from the mirror, since a socket timeout does not end the wait for a mirror that sends a byte now and
    then. The thread is abandoned when the download is aborted.

    Args:
        url: URL with the scheme http, https, ftp or file.
        largest: maximum size of the file in bytes.

    Raises:
        MirrorError: the mirror does not answer, fails, is too slow, or sends more than `largest` bytes.
    """
    import requests  # noqa: F401  (imported before the timeout starts)
    from tqdm import tqdm

    arrived, given_up = Queue(maxsize=8), Event()
    bar = tqdm(unit="B", unit_scale=True, ncols=79, disable=not sys.stderr.isatty())

    def ask() -> None:
        try:
            with closing(_answer(url, largest, bar)) as chunks:
                for chunk in chunks:
                    arrived.put(chunk)
                    if given_up.is_set():
                        return
        except Exception as error:  # any error: depends on what the mirror sends
            arrived.put(error)
        else:
            arrived.put(None)

    Thread(target=ask, daemon=True).start()
    total, counted, deadline = 0, 0, monotonic() + TIMEOUT
    try:
        while True:
            try:
                item = arrived.get(timeout=max(0, deadline - monotonic()))
            except Empty:
                raise MirrorError(f"{_silence()}, or fewer than {SLOWEST:,} bytes in that time") from None
            if item is None:
                return
            if isinstance(item, Exception):
                raise MirrorError(_reason(item)) from item
            total, counted = total + len(item), counted + len(item)
            if total > largest:
                raise MirrorError(_too_large(largest))
            if counted >= SLOWEST:
                counted, deadline = 0, monotonic() + TIMEOUT
            bar.update(len(item))
            yield item
    finally:
        bar.close()
        given_up.set()
        while not arrived.empty():  # let a thread that waits in `put` continue and end
            arrived.get_nowait()


def _answer(url: str, largest: int, bar: object) -> Iterator[bytes]:
    if urlsplit(url).scheme in ("http", "https"):
        import requests

        response = requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
        # Read the raw bytes: some servers send a .gz file with `Content-Encoding: gzip`, and requests would decompress
        # it.
        chunks = response.raw.stream(_CHUNK, decode_content=False)
    else:
        response = urlopen(url, timeout=TIMEOUT)
        chunks = iter(partial(response.read, _CHUNK), b"")
    with response:
        if hasattr(response, "raise_for_status"):
            response.raise_for_status()
        length = int(response.headers.get("Content-Length", 0))
        if length > largest:
            raise ValueError(_too_large(largest))
        bar.reset(length or None)
        yield from chunks


def _silence() -> str:
    return f"no answer within {TIMEOUT} s"


def _too_large(largest: int) -> str:
    return f"it sends more than {largest:,} bytes, which the file cannot have"


def _reason(error: BaseException) -> str:
    """Return the reason of a failed download in one line.

    It is the innermost cause, since requests and urllib3 wrap an error three times.
    """
    import requests

    timeouts = (requests.Timeout, TimeoutError)
    while not isinstance(error, timeouts) and (
        inner := error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
    ):
        error = inner
    return _silence() if isinstance(error, timeouts) else " ".join(str(error).split()) or type(error).__name__
