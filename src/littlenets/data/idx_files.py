"""The four IDX files of MNIST and of sets like it: found, verified, downloaded where absent, read.

The folders are torchvision's (`ROOT/MNIST/raw/train-images-idx3-ubyte.gz` and so on), so that one root serves both.
Every file is verified before it is used. A wrong one is reported: it is never overwritten and never trained on.

Shapes: N images of 28 x 28 pixels.
"""

import gzip
import hashlib
import logging
import os
import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from torch import Tensor

from littlenets.errors import DataUnavailableError, SettingError

log = logging.getLogger(__name__)

# Seconds to connect, and seconds without a byte: long enough for a slow line, short enough to sit through.
TIMEOUT = 20

# CRC-32 and size of MNIST's uncompressed files, under the MD5 of their .gz: from the last 8 bytes of the originals.
_KNOWN_CONTENT = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": (0xE9F4D8B3, 47_040_016),
    "d53e105ee54ea40749a09fcbcd1e9432": (0xE0CB4AD2, 60_008),
    "9fb629c4189551a2d022fa330f9573f3": (0x91373BDF, 7_840_016),
    "ec29112dd5afa0611ce80d1b7f02629c": (0x4AB9EFF9, 10_008),
}


def fetch(dataset: type, root: Path, mirrors: Sequence[str] | None = None) -> Path:
    """Make sure that all files of a set are there, right and uncompressed; download those that are absent.

    Safe to run in several processes at once on one folder. A download that fails leaves nothing behind but the files
    that were complete before it.

    Args:
        dataset: torchvision's class, such as `torchvision.datasets.MNIST`: its `resources` (file name, MD5) and
            `mirrors` are used, and its name is that of the folder.
        root: the folder of `MNIST/`, `FashionMNIST/` and so on.
        mirrors: URLs (http, https, ftp, file) of folders with the .gz files, asked in this order; a mirror that failed
            is asked last for the files after that. None is torchvision's own list, an empty one forbids downloading.

    Returns:
        The folder of the files, absolute: `ROOT/NAME/raw`.

    Raises:
        DataUnavailableError: a file is absent and no mirror served it.
        SettingError: a file is wrong, a mirror is no URL, or the folder cannot be written.
    """
    folder = Path(root).expanduser().absolute() / dataset.__name__ / "raw"
    urls = _folder_urls(dataset.mirrors if mirrors is None else mirrors)
    try:
        absent, packed = _verify(folder, dataset.resources)
        if absent and not urls:
            raise DataUnavailableError(
                f"{_names(absent)}: not in {folder}, and data.mirrors is empty, so that nothing is downloaded. "
                "Put the files there, point data.root to where they are, or name a mirror."
            )
        if absent or packed:
            folder.mkdir(parents=True, exist_ok=True)
            # Of its own for each process, and in the folder so that a rename is enough to finish.
            with TemporaryDirectory(prefix=".unfinished-", dir=folder) as scratch:
                for gz in packed:
                    os.replace(_unpack(gz, scratch), gz.with_suffix(""))
                for done in range(len(absent)):
                    gz = _download(absent[done:], urls, folder, scratch)
                    plain = _unpack(gz, scratch)
                    shutil.copymode(plain, gz)  # pooch's is for its owner only, whatever the umask
                    os.replace(gz, folder / gz.name)
                    os.replace(plain, folder / plain.name)
    except OSError as error:
        raise SettingError(
            f"{folder} cannot be used: {error}. Point data.root to a folder that can be read and written."
        ) from error
    return folder


def read(raw_folder: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read the training or the test half from a folder that `fetch` returned.

    Not through torchvision's dataset classes: those prefer an old `processed/*.pt`, which nobody verified.

    Returns:
        Images (N, 28, 28), uint8 as stored, and labels (N,), int64.

    Raises:
        SettingError: there are not as many labels as images.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file

    raw_folder = Path(raw_folder).expanduser()  # as `fetch` does, for callers that join the path themselves
    half = "train" if train else "t10k"
    images = read_image_file(str(raw_folder / f"{half}-images-idx3-ubyte"))
    labels = read_label_file(str(raw_folder / f"{half}-labels-idx1-ubyte"))
    if len(images) != len(labels):
        raise SettingError(
            f"{raw_folder}: {len(images)} images but {len(labels)} labels in the files {half}-*. "
            "Replace them by a pair that belongs together, or point data.root elsewhere."
        )
    return images, labels


def _verify(folder: Path, resources: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[Path]]:
    """Check all files that are there.

    Returns:
        The resources that are absent, and the .gz files, all of them right, that are not uncompressed yet.

    Raises:
        SettingError: some are wrong; the message names them all.
    """
    absent, packed, wrong, unproven = [], [], [], []
    for filename, md5 in resources:
        gz = folder / filename
        plain = gz.with_suffix("")
        if gz.exists():
            found = hashlib.md5(gz.read_bytes()).hexdigest()
            if found != md5:
                wrong.append(
                    f"{gz} is not the file that belongs there: its MD5 should be {md5} but is {found}. "
                    "Delete or replace it, or point data.root elsewhere."
                )
            elif not plain.exists():
                packed.append(gz)
            elif problem := _wrong_content(plain, *_trailer(gz)):
                wrong.append(f"{problem} Delete it and it is unpacked again, or point data.root elsewhere.")
        elif plain.exists():
            if md5 in _KNOWN_CONTENT:
                problem = _wrong_content(plain, *_KNOWN_CONTENT[md5])
            else:
                problem = _wrong_header(plain)
                unproven.append(plain.name)
            if problem:
                wrong.append(f"{problem} Delete or replace it, or point data.root elsewhere.")
        else:
            absent.append((filename, md5))
    if wrong:
        raise SettingError("\n".join(wrong))
    if unproven:
        log.warning(
            "%s in %s: only header and length were checked, as the .gz is not there.", ", ".join(unproven), folder
        )
    return absent, packed


def _trailer(gz: Path) -> tuple[int, int]:
    """CRC-32 and size of what a .gz holds, as it says at its end (RFC 1952)."""
    with gz.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        return struct.unpack("<II", file.read(8))


def _wrong_content(path: Path, crc: int, size: int) -> str | None:
    found, found_size = 0, 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found = zlib.crc32(chunk, found)
            found_size += len(chunk)
    if (found, found_size) == (crc, size):
        return None
    return (
        f"{path} is not the file that belongs there: its CRC-32 should be {crc:08x} ({size} bytes) "
        f"but is {found:08x} ({found_size} bytes)."
    )


def _wrong_header(path: Path) -> str | None:
    """What can be said without any checksum: kind of values, pixels, and the length that the header implies."""
    with path.open("rb") as file:
        head = file.read(16)
    images = "idx3" in path.name
    form, magic, shape = (">4I", 0x803, (28, 28)) if images else (">2I", 0x801, ())  # magic: bytes, 3 or 1 dimensions
    size = path.stat().st_size
    if len(head) >= (start := struct.calcsize(form)):
        found_magic, count, *found_shape = struct.unpack_from(form, head)
        if found_magic == magic and tuple(found_shape) == shape and size == start + count * (784 if images else 1):
            return None
    kind = "images of 28 x 28 pixels" if images else "labels"
    return f"{path} is no IDX file of {kind}: it starts with {head.hex(' ', 4)} and has {size} bytes."


def _unpack(gz: Path, scratch: str) -> Path:
    plain = Path(scratch) / gz.stem
    with gzip.open(gz, "rb") as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return plain


def _download(absent: Sequence[tuple[str, str]], mirrors: list[str], folder: Path, scratch: str) -> Path:
    """Get the first absent file into `scratch`, from the first mirror that serves it right.

    Mirrors that failed are moved to the end of `mirrors`, so that a dead one costs its timeout once and not per file.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    filename, md5 = absent[0]
    reasons = []
    for mirror in list(mirrors):
        url = mirror + filename
        log.info("Downloading %s", url)
        try:
            return Path(pooch.retrieve(url, f"md5:{md5}", filename, scratch, downloader=_downloader(url)))
        except (requests.RequestException, URLError, ValueError) as error:
            reason = _reason(error)
        log.warning("%s: %s", url, reason)
        reasons.append(f"  {mirror}: {reason}")
        mirrors.remove(mirror)
        mirrors.append(mirror)
    raise DataUnavailableError(
        f"No mirror served {filename}:\n" + "\n".join(reasons) + f"\nPut {_names(absent)} into {folder}, "
        "point data.root to where they are, or name another mirror in data.mirrors."
    )


def _downloader(url: str) -> Callable[..., None]:
    from pooch import HTTPDownloader

    if urlsplit(url).scheme not in ("http", "https"):
        return _copy
    return HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=1 << 16,
        timeout=TIMEOUT,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": _keep_compressed},
    )


def _keep_compressed(response, *args, **kwargs) -> None:
    """Some servers send a .gz as `Content-Encoding: gzip`; requests would then store the uncompressed file."""
    response.raw.headers.pop("Content-Encoding", None)


def _copy(url: str, output_file: str, pooch: object) -> None:
    """A pooch downloader for ftp:// (pooch's own ignores the port) and file:// (it has none)."""
    try:
        with urlopen(url, timeout=TIMEOUT) as response:
            content = response.read()
    except (OSError, EOFError) as error:
        raise URLError(error) from error
    Path(output_file).write_bytes(content)


def _reason(error: BaseException) -> str:
    """One line for a download that failed: the innermost cause, since requests and urllib3 wrap it three times."""
    import requests

    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT} s"
    while inner := error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None):
        error = inner
    text = str(error).partition(" Deleted download")[0]  # where pooch's message on a checksum turns to advice
    return " ".join(text.split()) or type(error).__name__


def _folder_urls(mirrors: Sequence[str] | str) -> list[str]:
    mirrors = [mirrors] if isinstance(mirrors, str) else [str(mirror) for mirror in mirrors]
    if wrong := [mirror for mirror in mirrors if not _is_url(mirror)]:
        raise SettingError(
            f"data.mirrors: {', '.join(map(repr, wrong))}: not the URL of a folder; "
            "it starts with http://HOST/, https://HOST/, ftp://HOST/ or file:///."
        )
    return [mirror.rstrip("/") + "/" for mirror in mirrors]


def _is_url(mirror: str) -> bool:
    try:
        parts = urlsplit(mirror)
        _ = parts.port  # raises ValueError where it is no number
    except ValueError:
        return False
    if parts.scheme == "file":
        return parts.netloc in ("", "localhost") and parts.path.startswith("/")
    return parts.scheme in ("http", "https", "ftp") and bool(parts.hostname)


def _names(resources: Sequence[tuple[str, str]]) -> str:
    return ", ".join(filename for filename, _ in resources)
