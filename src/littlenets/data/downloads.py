"""Download files from mirrors that may be slow, may not respond, or may send data without end."""

import sys
from concurrent.futures import wait
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import urlopen

# A download is aborted when fewer than SLOWEST bytes arrive within TIMEOUT seconds, including the time to connect. On a
# slow connection a whole file takes longer than that, but SLOWEST bytes do not.
TIMEOUT = 20
SLOWEST = 1 << 15
_CHUNK = 1 << 15


class MirrorError(Exception):
    """Raised when a mirror does not serve a file; the message is the reason, in one line."""


def download(url: str, target: Path, largest: int) -> None:
    """Download a file.

    A thread reads from the mirror, since a socket timeout does not end the wait for a mirror that sends a byte now and
    then. An abandoned thread ends with its next attempt to write to ``target``, which is closed then.

    Args:
        url: URL with the scheme http, https, ftp or file.
        target: the file to write; it may be incomplete after an error.
        largest: maximum size of the file in bytes.

    Raises:
        MirrorError: the mirror does not answer, fails, is too slow, or sends more than `largest` bytes.
    """
    import requests  # noqa: F401  (imported before the timeout starts)
    from pebble import concurrent
    from tqdm import tqdm

    bar = tqdm(unit="B", unit_scale=True, ncols=79, disable=not sys.stderr.isatty())
    with bar, target.open("wb") as file:
        received = concurrent.thread(_receive)(url, largest, file, bar)
        before = 0
        while not wait([received], TIMEOUT).done:
            if file.tell() - before < SLOWEST:
                raise MirrorError(f"{_silence()}, or fewer than {SLOWEST:,} bytes in that time")
            before = file.tell()
        if error := received.exception():
            raise MirrorError(_reason(error)) from error


def _receive(url: str, largest: int, file: BinaryIO, bar: Any) -> None:
    if urlsplit(url).scheme in ("http", "https"):
        import requests

        with requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}) as answer:
            answer.raise_for_status()
            # Copy the raw bytes: some servers send a .gz file with `Content-Encoding: gzip`, and requests would
            # decompress it.
            _copy(answer.raw, largest, file, bar)
    else:
        with urlopen(url, timeout=TIMEOUT) as response:
            _copy(response, largest, file, bar)


def _copy(response: Any, largest: int, file: BinaryIO, bar: Any) -> None:
    too_large = ValueError(f"it sends more than {largest:,} bytes, which the file cannot have")
    length = int(response.headers.get("Content-Length", 0))
    if length > largest:
        raise too_large
    bar.reset(length or None)
    while chunk := response.read(_CHUNK):
        if file.tell() + len(chunk) > largest:
            raise too_large
        file.write(chunk)
        bar.update(len(chunk))


def _silence() -> str:
    return f"no answer within {TIMEOUT} s"


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
