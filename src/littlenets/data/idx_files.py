"""Find, verify, download and read the files of MNIST and similar datasets.

The folders are those of torchvision (`ROOT/MNIST/raw/train-images-idx3-ubyte.gz` and so on), so that both can share one
root. Files put there by hand are also found elsewhere below the root, and under names such as
`train-images.idx3-ubyte`; see `find`. Every file is verified before it is used. A file with wrong content raises an
error: it is never overwritten and never trained on.

Shapes: N images of 28 x 28 pixels.
"""

import bz2
import gzip
import logging
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor

from ..errors import DataUnavailableError, SettingError
from .downloads import MirrorError, download

log = logging.getLogger(__name__)


class _Known(NamedTuple):
    """CRC-32 and size in bytes of an uncompressed file, and the size in bytes of its .gz."""

    crc: int
    size: int
    gz_size: int


# Default for the maximum size in bytes of a file, compressed or not: the largest IDX file of 60,000 images has 47
# million bytes.
LARGEST = 1 << 26

# MNIST's files by the MD5 of their .gz; the values were computed from the original files.
_KNOWN = {
    "f68b3c2dcbeaaa9fbdd348bbdeb94873": _Known(0xE9F4D8B3, 47_040_016, 9_912_422),
    "d53e105ee54ea40749a09fcbcd1e9432": _Known(0xE0CB4AD2, 60_008, 28_881),
    "9fb629c4189551a2d022fa330f9573f3": _Known(0x91373BDF, 7_840_016, 1_648_877),
    "ec29112dd5afa0611ce80d1b7f02629c": _Known(0x4AB9EFF9, 10_008, 4_542),
}
# For each ending of IDX file names: the content, the magic number (first four bytes) and the shape of one sample.
_FORMS = {
    "idx3-ubyte": ("images of 28 x 28 pixels", 0x803, (28, 28)),
    "idx1-ubyte": ("labels", 0x801, ()),
    "idx2-int": ("labels", 0xC02, (8,)),
}
_DTYPES = {0x8: np.dtype("u1"), 0xC: np.dtype(">i4")}


class Files(NamedTuple):
    """The files of a dataset.

    Attributes:
        name: name of the dataset's folder below the root.
        resources: name and MD5 of each file as provided by mirrors: a .gz of an IDX file, a .zip or a .bz2.
        mirrors: URLs of folders with these files.
        largest: maximum size in bytes for the download and the decompression of a file whose size is not known.
    """

    name: str
    resources: Sequence[tuple[str, str]]
    mirrors: Sequence[str]
    largest: int = LARGEST

    @classmethod
    def of(cls, dataset: type) -> "Files":
        """Return the files of a dataset class of torchvision, such as `torchvision.datasets.MNIST`."""
        return cls(dataset.__name__, dataset.resources, dataset.mirrors)

    @classmethod
    def at(cls, name: str, urls: Sequence[tuple[str, str]], largest: int = LARGEST) -> "Files":
        """Return the files with the given URLs and MD5s, which are all in one folder."""
        resources = [(url.rpartition("/")[2], md5) for url, md5 in urls]
        return cls(name, resources, [urls[0][0].rpartition("/")[0]], largest)

    def folder(self, root: Path) -> Path:
        """Return the absolute path of torchvision's folder `ROOT/NAME/raw`; the root may be `NAME` or `NAME/raw`."""
        root = Path(root).expanduser().absolute()
        if not (root / self.name).is_dir():
            if root.name == self.name:
                return root / "raw"
            if root.parts[-2:] == (self.name, "raw"):
                return root
        return root / self.name / "raw"


def fetch(files: Files, root: Path, mirrors: Sequence[str] | None = None) -> Path:
    """Verify the files of a dataset and download those that are missing.

    The .gz files in torchvision's folder are decompressed there; nothing is written anywhere else. Several processes
    may call this at once for one folder. A failed download leaves only files that were completed before it.

    Args:
        files: the dataset's files.
        root: the folder that holds `MNIST/`, `FashionMNIST/` and so on.
        mirrors: URLs (http, https, ftp, file) of folders with the files, tried in this order; a mirror that failed is
            tried last for the remaining files. None uses the dataset's own list, an empty list forbids downloading.

    Returns:
        `files.folder(root)`.

    Raises:
        DataUnavailableError: a file is missing and no mirror served it.
        SettingError: a file has wrong content, a mirror is not a URL, or the folder cannot be written.
    """
    folder = files.folder(root)
    urls = _folder_urls(files.mirrors if mirrors is None else mirrors)
    try:
        absent, packed = _verify(folder, files)
        if absent and not urls:
            raise DataUnavailableError(
                f"{_names(absent)}: not in {folder}, and data.mirrors is empty, so that nothing is downloaded. "
                "Put the files there, point data.root to where they are, or name a mirror."
            )
        if absent or packed:
            # Download into the nearest folder that exists: then a rename moves a complete file to its place, and new
            # folders are created only for complete files.
            existing = next(place for place in (folder, *folder.parents) if place.exists())
            with TemporaryDirectory(prefix=".unfinished-", dir=existing) as scratch:
                for gz in packed:
                    os.replace(_unpack(gz, scratch, files.largest), gz.with_suffix(""))
                for done in range(len(absent)):
                    complete = [_download(absent[done:], files, urls, folder, scratch)]
                    if complete[0].suffix == ".gz":
                        complete.append(_unpack(complete[0], scratch, files.largest))
                    folder.mkdir(parents=True, exist_ok=True)
                    for path in complete:
                        os.replace(path, folder / path.name)
    except OSError as error:
        raise SettingError(
            f"{folder} cannot be used: {error}. Point data.root to a folder that can be read and written."
        ) from error
    return folder


def find(folder: Path, filename: str) -> tuple[Path, Path | None]:
    """Find a file of a dataset, compressed or not, in the places where a user may have put it.

    The folders searched are `ROOT/NAME/raw`, `ROOT/NAME`, `ROOT/raw` and `ROOT`, in this order. In each of them, both
    `train-images-idx3-ubyte` and `train-images.idx3-ubyte` are tried as names.

    Args:
        folder: `ROOT/NAME/raw`.
        filename: name such as `train-images-idx3-ubyte.gz`.

    Returns:
        The path of the file as mirrors provide it, which is in `folder` if no file was found; and the path of the
            uncompressed file beside it, None if there is none.
    """
    base = folder.parent.parent
    for place in (folder, folder.parent, base / "raw", base):
        for name in (filename, filename.replace("-idx", ".idx")):
            packed = place / name
            plain = packed.with_suffix("")
            # Check for files, since some archives unpack to folders of the same names.
            unpacked = packed.suffix == ".gz" and plain.is_file()
            if packed.is_file() or unpacked:
                return packed, plain if unpacked else None
    return folder / filename, None


def read(
    folder: Path, images: str, labels: str, archive: str | None = None, largest: int = LARGEST
) -> tuple[Tensor, Tensor]:
    """Read the images and labels of one split from a folder returned by `fetch`.

    torchvision's dataset classes are not used, because they prefer an old `processed/*.pt`, which was not verified.

    Args:
        folder: `ROOT/NAME/raw`.
        images: name of the .gz with the images.
        labels: name of the .gz with the labels; if it has several numbers per sample, the first is the label.
        archive: name of the .zip whose folder `gzip/` holds both files, if any.
        largest: maximum size in bytes of an uncompressed file.

    Returns:
        Images (N, 28, 28), uint8 as stored, and labels (N,), int64.

    Raises:
        SettingError: the numbers of images and labels differ, or a file is larger than `largest`.
    """
    x, y = (_parse(read_file(folder, name, archive, largest)) for name in (images, labels))
    if len(x) != len(y):
        raise SettingError(
            f"{folder}: {len(x)} images but {len(y)} labels in {images} and {labels}. "
            "Replace them by a pair that belongs together, or point data.root elsewhere."
        )
    return torch.from_numpy(x.copy()), torch.from_numpy(y.reshape(len(y), -1)[:, 0].astype(np.int64))


def read_file(folder: Path, filename: str, archive: str | None = None, largest: int = LARGEST) -> bytes:
    """Return the uncompressed content of a file located by `find`, or of a file in the folder `gzip/` of a .zip.

    Args:
        folder: `ROOT/NAME/raw`.
        filename: name of the file, such as `train-images-idx3-ubyte.gz`.
        archive: name of the .zip whose folder `gzip/` holds the file, if any.
        largest: maximum size of the content in bytes.

    Raises:
        SettingError: the content has more bytes than `largest`.
    """
    folder = Path(folder).expanduser()  # as in `fetch`, for callers that construct the path themselves
    packed, plain = find(folder, archive or filename)
    if archive:
        with zipfile.ZipFile(packed) as members, members.open(f"gzip/{filename}") as gz, gzip.open(gz) as file:
            return _limited(file, largest, packed)
    return _content(plain or packed, largest)


def _content(path: Path, largest: int) -> bytes:
    open_file = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    with open_file(path, "rb") as file:
        return _limited(file, largest, path)


def _limited(file: BinaryIO, largest: int, path: Path) -> bytes:
    content = file.read(largest + 1)
    if len(content) > largest:
        raise SettingError(
            f"{path} unpacks to more than {largest:,} bytes, which no file of this data set has. "
            "Delete or replace it, or point data.root elsewhere."
        )
    return content


def _parse(content: bytes) -> np.ndarray:
    """Return the values of an IDX file: bytes 0, 0, type, number of dimensions; each size, big endian; the values."""
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, _DTYPES[content[2]], offset=4 + 4 * len(shape)).reshape(shape)


def _verify(folder: Path, files: Files) -> tuple[list[tuple[str, str]], list[Path]]:
    """Verify all files that exist.

    Returns:
        The resources that are missing, and the verified .gz files of `folder` that are not decompressed yet.

    Raises:
        SettingError: some files have wrong content; the message lists all of them.
    """
    from torchvision.datasets.utils import calculate_md5

    absent, packed, wrong, unproven = [], [], [], []
    for filename, md5 in files.resources:
        archive, plain = find(folder, filename)
        content = _content(plain, files.largest) if plain else b""
        problem, foreign = None, False
        advice = "Delete or replace it, or point data.root elsewhere."
        if archive.is_file():
            found = calculate_md5(archive)
            if found != md5:
                problem = f"{archive} is not the file that belongs there: its MD5 should be {md5} but is {found}."
                foreign = found in _md5s_of_other_sets()
            elif plain:
                # A .gz ends with CRC-32 and size of the uncompressed content (RFC 1952).
                problem = _wrong_content(plain, content, *struct.unpack("<II", archive.read_bytes()[-8:]))
                advice = "Delete it and it is unpacked again, or point data.root elsewhere."
            elif archive == folder / filename and archive.suffix == ".gz":
                packed.append(archive)
        elif plain:
            if md5 in _KNOWN:
                problem = _wrong_content(plain, content, *_KNOWN[md5][:2])
            elif foreign := zlib.crc32(content) in [known.crc for known in _KNOWN.values()]:
                problem = f"{plain} is MNIST's."
            elif not (problem := _wrong_header(plain, content)):
                unproven.append(plain)
        else:
            absent.append((filename, md5))
        # Several datasets use the same file names, and one root may hold more than one of them.
        if problem and foreign and archive.parent != folder:
            absent.append((filename, md5))
        elif problem:
            wrong.append(f"{problem} {advice}")
    if wrong:
        raise SettingError("\n".join(wrong))
    if unproven:
        log.warning(
            "%s in %s: only header and length were checked, as the .gz is not there.",
            ", ".join(path.name for path in unproven),
            unproven[0].parent,
        )
    return absent, packed


def _md5s_of_other_sets() -> set[str]:
    from torchvision.datasets import KMNIST, MNIST, FashionMNIST

    return {md5 for dataset in (MNIST, FashionMNIST, KMNIST) for _, md5 in dataset.resources}


def _wrong_content(path: Path, content: bytes, crc: int, size: int) -> str | None:
    found = zlib.crc32(content)
    if (found, len(content)) == (crc, size):
        return None
    return (
        f"{path} is not the file that belongs there: its CRC-32 should be {crc:08x} ({size} bytes) "
        f"but is {found:08x} ({len(content)} bytes)."
    )


def _wrong_header(path: Path, content: bytes) -> str | None:
    """Return an error message if an IDX file has the wrong magic number, image size or length.

    This is used if no checksum of the file is known.
    """
    kind, magic, shape = next(form for ending, form in _FORMS.items() if path.name.endswith(ending))
    start = 8 + 4 * len(shape)
    if len(content) >= start:
        found_magic, count, *found_shape = struct.unpack_from(f">{start // 4}I", content)
        size = start + count * math.prod(shape) * _DTYPES[magic >> 8].itemsize
        if (found_magic, tuple(found_shape), len(content)) == (magic, shape, size):
            return None
    return f"{path} is no IDX file of {kind}: it starts with {content[:16].hex(' ', 4)} and has {len(content)} bytes."


def _unpack(gz: Path, scratch: str, largest: int) -> Path:
    plain = Path(scratch) / gz.stem
    plain.write_bytes(_content(gz, largest))
    return plain


def _download(absent: Sequence[tuple[str, str]], files: Files, mirrors: list[str], folder: Path, scratch: str) -> Path:
    """Download the first missing file into `scratch`, from the first mirror that serves it with the right MD5.

    Mirrors that failed are moved to the end of `mirrors`, so that an unreachable mirror costs its timeout once and not
    for each file.
    """
    from torchvision.datasets.utils import calculate_md5

    filename, md5 = absent[0]
    target = Path(scratch) / filename
    largest = _KNOWN[md5].gz_size if md5 in _KNOWN else files.largest
    reasons = []
    for mirror in list(mirrors):
        url = mirror + filename
        log.info("Downloading %s", url)
        try:
            download(url, target, largest)
            found = calculate_md5(target)
            if found == md5:
                return target
            reason = f"the MD5 of what it sent should be {md5} but is {found}"
        except MirrorError as error:
            reason = str(error)
        log.warning("%s: %s", url, reason)
        reasons.append(f"  {mirror}: {reason}")
        mirrors.remove(mirror)
        mirrors.append(mirror)
    raise DataUnavailableError(
        f"No mirror served {filename}:\n" + "\n".join(reasons) + f"\nPut {_names(absent)} into {folder}, "
        "point data.root to where they are, or name another mirror in data.mirrors."
    )


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
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        return False
    if parts.scheme == "file":
        return parts.netloc in ("", "localhost") and parts.path.startswith("/")
    return parts.scheme in ("http", "https", "ftp") and bool(parts.hostname)


def _names(resources: Sequence[tuple[str, str]]) -> str:
    return ", ".join(filename for filename, _ in resources)
