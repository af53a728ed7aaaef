import gzip
import hashlib
import io
import logging
import os
import shutil
import signal
import socket
import socketserver
import stat
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from littlenets.data import downloads, idx_files
from littlenets.data.idx_files import Files
from littlenets.errors import DataUnavailableError, SettingError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(values: np.ndarray) -> bytes:
    """The IDX format, written from its description: 0, 0, type, dimensions; each size, big endian; the values."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class TinySet:
    """20 images to train and 12 to test: arrays, .gz contents."""

    def __init__(self, mirrors: list[str]) -> None:
        rng = np.random.default_rng(0)
        self.arrays = {
            TRAIN_IMAGES: rng.integers(0, 256, (20, 28, 28), np.uint8),
            TRAIN_LABELS: rng.integers(0, 10, 20, np.uint8),
            TEST_IMAGES: rng.integers(0, 256, (12, 28, 28), np.uint8),
            TEST_LABELS: rng.integers(0, 10, 12, np.uint8),
        }
        self.gz = {f"{name}.gz": gzip.compress(idx(values), mtime=0) for name, values in self.arrays.items()}
        self.md5 = {name: md5(content) for name, content in self.gz.items()}
        self.dataset = Files("Tiny", list(self.md5.items()), mirrors)

    def write(self, root: Path) -> Path:
        """Put the four .gz where `fetch` looks for them."""
        folder = root / "Tiny" / "raw"
        folder.mkdir(parents=True)
        for name, content in self.gz.items():
            (folder / name).write_bytes(content)
        return folder


class Server(ThreadingHTTPServer):
    """Pages of bytes, or functions that answer, by path; keeps the paths asked for. Any other page is a 404."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.asked = {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def put(self, folder: str, files: dict) -> str:
        self.pages |= {f"/{folder}/{name}": page for name, page in files.items()}
        return f"{self.url}/{folder}/"


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
        elif callable(page):
            page(self)
        else:
            self.answer(page)

    def answer(self, content: bytes, **headers: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.fixture
def tiny(server) -> TinySet:
    """A tiny set, and its one mirror serves it."""
    tiny = TinySet([f"{server.url}/good/"])
    server.put("good", tiny.gz)
    return tiny


@pytest.fixture
def refusing() -> str:
    """The URL of a port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound but not listening: nothing else can take the port meanwhile
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_complete(folder: Path, tiny: TinySet) -> None:
    assert names(folder) == {*tiny.gz, *tiny.arrays}
    for name, values in tiny.arrays.items():
        assert (folder / name).read_bytes() == idx(values)
        assert (folder / f"{name}.gz").read_bytes() == tiny.gz[f"{name}.gz"]


def test_download_and_read(tiny, server, tmp_path):
    folder = idx_files.fetch(tiny.dataset, tmp_path)

    assert folder == tmp_path / "Tiny" / "raw"
    assert_complete(folder, tiny)
    assert server.asked == [f"/good/{name}" for name in tiny.gz]
    for images_name, labels_name in [(TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)]:
        images, labels = idx_files.read(folder, f"{images_name}.gz", f"{labels_name}.gz")
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        np.testing.assert_array_equal(images.numpy(), tiny.arrays[images_name])
        np.testing.assert_array_equal(labels.numpy(), tiny.arrays[labels_name])


def test_second_fetch_neither_downloads_nor_writes(tiny, server, tmp_path):
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    server.asked.clear()

    assert idx_files.fetch(tiny.dataset, tmp_path) == folder
    assert server.asked == []
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before


def test_files_are_as_readable_as_any_other(tiny, tmp_path):
    other = tmp_path / "other"
    other.touch()
    for path in idx_files.fetch(tiny.dataset, tmp_path).iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode), path.name


def test_home_as_root(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = idx_files.fetch(tiny.dataset, Path("~/sets"))
    assert folder == tmp_path / "sets" / "Tiny" / "raw"
    pair = f"{TRAIN_IMAGES}.gz", f"{TRAIN_LABELS}.gz"
    assert torch.equal(idx_files.read(folder, *pair)[0], idx_files.read(Path("~/sets/Tiny/raw"), *pair)[0])


def test_only_absent_files_are_downloaded(tiny, server, tmp_path):
    folder = tiny.write(tmp_path)
    (folder / f"{TEST_LABELS}.gz").unlink()

    assert_complete(idx_files.fetch(tiny.dataset, tmp_path), tiny)
    assert server.asked == [f"/good/{TEST_LABELS}.gz"]


def truncated(tiny: TinySet) -> dict:
    return {name: content[:-40] for name, content in tiny.gz.items()}


def cut_off(tiny: TinySet) -> dict:
    """A connection that ends before the length promised."""

    def page(content: bytes):
        def answer(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[:100])

        return answer

    return {name: page(content) for name, content in tiny.gz.items()}


def html(tiny: TinySet) -> dict:
    return dict.fromkeys(tiny.gz, b"<html><body>Please sign in to the network</body></html>")


FAULTS = {
    "404": (lambda tiny: {}, "404 Client Error"),
    "truncated": (truncated, "{truncated}"),
    "html": (html, "{html}"),
    "cut off": (cut_off, "IncompleteRead(100 bytes read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_second_mirror_steps_in(fault, tiny, server, tmp_path, caplog):
    pages, reason = FAULTS[fault]
    bad = server.put("bad", pages(tiny))
    first = f"{TRAIN_IMAGES}.gz"
    reason = reason.format(truncated=md5(truncated(tiny)[first]), html=md5(html(tiny)[first]))

    with caplog.at_level(logging.WARNING, logger=idx_files.__name__):
        folder = idx_files.fetch(tiny.dataset, tmp_path, [bad, tiny.dataset.mirrors[0]])

    assert_complete(folder, tiny)
    (warning,) = caplog.messages  # the bad mirror was asked for the first file only
    assert bad + first in warning
    assert reason in warning
    assert "\n" not in warning
    if fault in ("truncated", "html"):
        assert tiny.md5[first] in warning


def test_second_mirror_steps_in_for_one_that_refuses(tiny, refusing, tmp_path, caplog):
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path, [refusing, *tiny.dataset.mirrors]), tiny)
    (warning,) = caplog.messages
    assert warning.startswith(refusing)
    assert "Connection refused" in warning
    assert "object at" not in warning


def test_a_silent_mirror_costs_one_timeout(tiny, server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(downloads, "TIMEOUT", 1)
    released = threading.Event()
    silent = server.put("silent", dict.fromkeys(tiny.gz, lambda handler: released.wait(10)))
    try:
        folder = idx_files.fetch(tiny.dataset, tmp_path, [silent, *tiny.dataset.mirrors])
    finally:
        released.set()

    assert_complete(folder, tiny)
    assert [path for path in server.asked if "silent" in path] == [f"/silent/{TRAIN_IMAGES}.gz"]
    assert "no answer within 1 s" in caplog.text


def test_a_mirror_that_failed_is_asked_again_when_the_others_fail(tiny, server, tmp_path):
    half = server.put("half", {name: tiny.gz[name] for name in list(tiny.gz)[:2]})
    other = server.put("other", {name: tiny.gz[name] for name in list(tiny.gz)[1:]})
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path, [other, half]), tiny)


def test_no_mirror_left(tiny, server, refusing, tmp_path):
    mirrors = [server.put("missing", {}), server.put("html", html(tiny)), server.put("cut", cut_off(tiny)), refusing]
    first = f"{TRAIN_IMAGES}.gz"

    with pytest.raises(DataUnavailableError) as error:
        idx_files.fetch(tiny.dataset, tmp_path, mirrors)

    folder = tmp_path / "Tiny" / "raw"
    assert names(tmp_path) == set()
    message = str(error.value)
    assert all(name in message for name in tiny.gz)
    assert str(folder) in message
    assert "data.mirrors" in message
    (missing,), (page,), (cut,), (refused,) = (
        [line for line in message.splitlines() if line.strip().startswith(mirror)] for mirror in mirrors
    )
    assert "404" in missing
    assert "IncompleteRead" in cut
    assert "refused" in refused
    assert tiny.md5[first] in page
    assert md5(html(tiny)[first]) in page


def test_what_was_complete_stays_when_a_later_file_fails(tiny, server, tmp_path):
    del server.pages[f"/good/{TEST_IMAGES}.gz"]
    with pytest.raises(DataUnavailableError, match=f"No mirror served {TEST_IMAGES}.gz"):
        idx_files.fetch(tiny.dataset, tmp_path)
    assert names(tmp_path / "Tiny" / "raw") == {f"{TRAIN_IMAGES}.gz", TRAIN_IMAGES, f"{TRAIN_LABELS}.gz", TRAIN_LABELS}


def test_nothing_is_left_behind_by_an_interruption(tiny, server, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(gzip, "open", interrupt)  # while uncompressing, the .gz being complete
    with pytest.raises(KeyboardInterrupt):
        idx_files.fetch(tiny.dataset, tmp_path)
    assert names(tmp_path) == set()


def test_nothing_is_left_behind_by_ctrl_c_during_a_download(tiny, server, tmp_path):
    released = threading.Event()

    def interrupt(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "70000")
        handler.end_headers()
        handler.wfile.write(bytes(40_000))
        os.kill(os.getpid(), signal.SIGINT)
        released.wait(10)

    server.put("good", {f"{TRAIN_IMAGES}.gz": interrupt})
    # Programs started in the background of a shell ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            idx_files.fetch(tiny.dataset, tmp_path)
        assert names(tmp_path) == set()
    finally:
        signal.signal(signal.SIGINT, before)
        released.set()


def test_two_at_once(tiny, server, tmp_path):
    """Both are made to download the first file at the same moment, and go on side by side."""
    first = f"{TRAIN_IMAGES}.gz"
    both = threading.Barrier(2, timeout=10)

    def wait_for_the_other(handler: Handler) -> None:
        both.wait()
        handler.answer(tiny.gz[first])

    server.put("good", {first: wait_for_the_other})
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(idx_files.fetch, tiny.dataset, tmp_path) for _ in range(2)]
        folders = [run.result(timeout=20) for run in runs]

    assert server.asked.count(f"/good/{first}") == 2
    assert_complete(folders[0], tiny)


def test_server_that_declares_content_encoding(tiny, server, tmp_path):
    def page(content: bytes):
        return lambda handler: handler.answer(content, Content_Encoding="gzip")

    server.put("good", {name: page(content) for name, content in tiny.gz.items()})
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path), tiny)


def test_mirror_without_slash_or_list(tiny, server, tmp_path):
    url = f"{server.url}/good"
    for name, mirrors in {"list": [url], "string": url, "config": OmegaConf.create([url])}.items():
        assert_complete(idx_files.fetch(tiny.dataset, tmp_path / name, mirrors), tiny)


@pytest.mark.parametrize("slash", ["", "/"])
def test_file_url(slash, tiny, server, tmp_path):
    source = tiny.write(tmp_path / "a folder")
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path / "new", [source.as_uri() + slash]), tiny)
    assert server.asked == []


def test_file_url_of_nothing(tiny, tmp_path):
    url = (tmp_path / "nothing").as_uri()
    with pytest.raises(DataUnavailableError, match="No such file") as error:
        idx_files.fetch(tiny.dataset, tmp_path, [url])
    assert url in str(error.value)


class FtpHandler(socketserver.StreamRequestHandler):
    """As much of RFC 959 as one download takes."""

    timeout = 10

    def handle(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as passive:
            passive.settimeout(10)
            port = passive.getsockname()[1]
            answers = {"USER": "331 ", "PASS": "230 ", "TYPE": "200 ", "CWD": "250 ", "QUIT": "221 "}
            answers["PASV"] = f"227 (127,0,0,1,{port // 256},{port % 256})"
            self.reply("220 ")
            while line := self.rfile.readline().decode().strip():
                command, _, argument = line.partition(" ")
                if command != "RETR":
                    self.reply(answers.get(command, "502 "))
                else:
                    self.reply("150 ")
                    with passive.accept()[0] as data:
                        data.sendall(self.server.files[argument])
                    self.reply("226 ")

    def reply(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def test_ftp_url_with_a_port(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), FtpHandler) as ftp:
        ftp.files = tiny.gz
        thread = threading.Thread(target=ftp.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"ftp://127.0.0.1:{ftp.server_address[1]}/folder"
            assert_complete(idx_files.fetch(tiny.dataset, tmp_path, [url]), tiny)
        finally:
            ftp.shutdown()
            thread.join(10)


def test_no_mirrors_means_no_download(tiny, server, tmp_path):
    with pytest.raises(DataUnavailableError, match=r"data\.mirrors is empty") as error:
        idx_files.fetch(tiny.dataset, tmp_path, [])
    assert str(tmp_path / "Tiny" / "raw") in str(error.value)
    assert TEST_LABELS in str(error.value)
    assert server.asked == []
    assert names(tmp_path) == set()

    tiny.write(tmp_path)
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path, []), tiny)


@pytest.mark.parametrize(
    "mirror",
    ["data/mnist", "/data/mnist", "s3://bucket/mnist", "http://", "http://host:port/", "file://host/x", "C:\\x"],
)
def test_mirror_that_is_no_url(mirror, tiny, server, tmp_path):
    tiny.write(tmp_path)  # wrong even while nothing has to be downloaded
    with pytest.raises(SettingError) as error:
        idx_files.fetch(tiny.dataset, tmp_path, [*tiny.dataset.mirrors, mirror])
    assert not isinstance(error.value, DataUnavailableError)
    assert "data.mirrors" in str(error.value)
    assert repr(mirror) in str(error.value)
    assert server.url not in str(error.value)


def altered(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


WRONG_GZ = {
    "altered": altered,
    "truncated": lambda content: content[:-40],
    "html": lambda content: b"<html>404</html>",
    "empty": lambda content: b"",
    "other data": lambda content: gzip.compress(b"other data"),
}


@pytest.mark.parametrize("unpacked", [False, True])
@pytest.mark.parametrize("fault", WRONG_GZ)
def test_wrong_gz(fault, unpacked, tiny, server, tmp_path):
    folder = tiny.write(tmp_path)
    if unpacked:
        idx_files.fetch(tiny.dataset, tmp_path)
    path = folder / f"{TEST_LABELS}.gz"
    wrong = WRONG_GZ[fault](path.read_bytes())
    path.write_bytes(wrong)
    before = names(folder)

    with pytest.raises(SettingError) as error:
        idx_files.fetch(tiny.dataset, tmp_path)

    assert not isinstance(error.value, DataUnavailableError)
    message = str(error.value)
    assert str(path) in message
    assert tiny.md5[path.name] in message
    assert md5(wrong) in message
    assert "Delete" in message
    assert "data.root" in message
    assert path.read_bytes() == wrong
    assert names(folder) == before
    assert server.asked == []


@pytest.mark.parametrize("fault", [altered, lambda content: content[:-1], lambda content: content + b"\0"])
def test_wrong_uncompressed_file(fault, tiny, server, tmp_path):
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    server.asked.clear()
    path = folder / TRAIN_IMAGES
    right = path.read_bytes()
    wrong = fault(right)
    path.write_bytes(wrong)

    with pytest.raises(SettingError) as error:
        idx_files.fetch(tiny.dataset, tmp_path)

    message = str(error.value)
    assert not isinstance(error.value, DataUnavailableError)
    assert f"{path} is not" in message
    assert f"{zlib.crc32(right):08x}" in message
    assert f"{zlib.crc32(wrong):08x}" in message
    assert path.read_bytes() == wrong
    assert server.asked == []

    path.unlink()
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path), tiny)


def test_all_wrong_files_are_named_at_once(tiny, server, tmp_path):
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    wrong = [folder / TRAIN_LABELS, folder / f"{TEST_IMAGES}.gz"]
    for path in wrong:
        path.write_bytes(b"")
    (folder / f"{TEST_LABELS}.gz").unlink()
    (folder / TEST_LABELS).unlink()
    server.asked.clear()

    with pytest.raises(SettingError) as error:
        idx_files.fetch(tiny.dataset, tmp_path)
    assert [line.split(" is not ")[0] for line in str(error.value).splitlines()] == [str(path) for path in wrong]
    assert server.asked == []  # nothing is downloaded into a folder that is wrong


def test_gz_removed(tiny, server, tmp_path, caplog):
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    for name in tiny.gz:
        (folder / name).unlink()
    server.asked.clear()

    assert idx_files.fetch(tiny.dataset, tmp_path) == folder
    assert names(folder) == set(tiny.arrays)
    assert server.asked == []
    (warning,) = caplog.messages
    assert "only header and length" in warning
    assert all(name in warning for name in tiny.arrays)


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
@pytest.mark.parametrize(
    "fault",
    [
        lambda values: idx(values)[:-1],
        lambda values: idx(values) + b"\0",
        lambda values: idx(values)[:5],
        lambda values: b"",
        lambda values: b"<html>" + idx(values)[6:],
        lambda values: idx(values.view(np.int8)).replace(b"\x08", b"\x09", 1),
        lambda values: idx(values.reshape(-1, 14, 56) if values.ndim == 3 else values.reshape(-1, 2)),
    ],
)
def test_gz_removed_and_no_such_idx_file(name, fault, tiny, tmp_path):
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    (folder / f"{name}.gz").unlink()
    (folder / name).write_bytes(fault(tiny.arrays[name]))
    with pytest.raises(SettingError, match="is no IDX file of") as error:
        idx_files.fetch(tiny.dataset, tmp_path)
    assert str(folder / name) in str(error.value)


def test_images_and_labels_of_different_number(tiny, tmp_path):
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    shutil.copy(folder / TRAIN_LABELS, folder / TEST_LABELS)
    with pytest.raises(SettingError, match="12 images but 20 labels"):
        idx_files.read(folder, f"{TEST_IMAGES}.gz", f"{TEST_LABELS}.gz")


def test_root_that_cannot_be_written(tiny, tmp_path):
    root = tmp_path / "file"
    root.touch()
    with pytest.raises(SettingError, match=r"cannot be used.*data\.root") as error:
        idx_files.fetch(tiny.dataset, root)
    assert not isinstance(error.value, DataUnavailableError)
    assert str(root) in str(error.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_write_permission(tiny, tmp_path):
    folder = tiny.write(tmp_path)
    folder.chmod(0o555)
    with pytest.raises(SettingError, match="Permission denied"):
        idx_files.fetch(tiny.dataset, tmp_path)
    folder.chmod(0o755)
    idx_files.fetch(tiny.dataset, tmp_path)
    folder.chmod(0o555)
    assert idx_files.fetch(tiny.dataset, tmp_path) == folder  # complete: nothing to write


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_in_a_terminal_and_a_line_a_file_elsewhere(tiny, tmp_path, monkeypatch, caplog):
    for stderr, bars in [(io.StringIO(), 0), (Terminal(), 4)]:
        caplog.clear()
        monkeypatch.setattr("sys.stderr", stderr)
        with caplog.at_level(logging.INFO, logger=idx_files.__name__):
            idx_files.fetch(tiny.dataset, tmp_path / str(bars))
        assert stderr.getvalue().count("100%") == bars
        assert bars or stderr.getvalue() == ""
        assert [message.rsplit("/", 1)[-1] for message in caplog.messages] == list(tiny.gz)


def parse(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


@pytest.fixture
def mnist_mirror(mnist_files, server) -> str:
    return server.put("mnist", {path.name: path.read_bytes() for path in mnist_files.glob("*.gz")})


def test_mnist(mnist_files, mnist_mirror, tmp_path):
    from torchvision.datasets import MNIST

    folder = idx_files.fetch(Files.of(MNIST), tmp_path, [mnist_mirror])
    for train, half, count in [(True, "train", 60_000), (False, "t10k", 10_000)]:
        images, labels = idx_files.read(folder, f"{half}-images-idx3-ubyte.gz", f"{half}-labels-idx1-ubyte.gz")
        assert images.shape == (count, 28, 28)
        assert images.dtype == torch.uint8
        assert labels.shape == (count,)
        assert labels.dtype == torch.int64
        expected = parse(mnist_files / f"{half}-labels-idx1-ubyte.gz")
        np.testing.assert_array_equal(labels.bincount().numpy(), np.bincount(expected))
        np.testing.assert_array_equal(labels.numpy(), expected)
        np.testing.assert_array_equal(images.numpy(), parse(mnist_files / f"{half}-images-idx3-ubyte.gz"))
        assert torch.equal(images, MNIST(tmp_path, train=train, download=False).data)


def test_mnist_without_gz_is_verified_all_the_same(mnist_files, mnist_mirror, tmp_path, caplog):
    from torchvision.datasets import MNIST

    folder = idx_files.fetch(Files.of(MNIST), tmp_path, [mnist_mirror])
    for path in folder.glob("*.gz"):
        path.unlink()
    assert idx_files.fetch(Files.of(MNIST), tmp_path, []) == folder
    assert caplog.messages == []  # nothing left unproven

    path = folder / TRAIN_IMAGES
    right = path.read_bytes()
    wrong = altered(right)  # one bit of 47 million bytes
    path.write_bytes(wrong)
    with pytest.raises(SettingError) as error:
        idx_files.fetch(Files.of(MNIST), tmp_path, [mnist_mirror])
    message = str(error.value)
    assert str(path) in message
    assert f"{zlib.crc32(right):08x}" in message
    assert f"{zlib.crc32(wrong):08x}" in message


def dotted(name: str) -> str:
    return name.replace("-idx", ".idx")


def the_tree(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.parametrize("named", [str, dotted])
@pytest.mark.parametrize("kind", ["gz", "plain", "mixed"])
@pytest.mark.parametrize("place", ["", "raw", "Tiny", "Tiny/raw"])
@pytest.mark.parametrize("pointed_at", ["root", "place"])
def test_files_put_there_by_hand_are_found(pointed_at, place, kind, named, tiny, server, tmp_path):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, values) in enumerate(tiny.arrays.items()):
        if kind == "plain" or (kind == "mixed" and number % 2):
            (folder / named(name)).write_bytes(idx(values))
        else:
            (folder / named(f"{name}.gz")).write_bytes(tiny.gz[f"{name}.gz"])
    before = the_tree(tmp_path)

    found = idx_files.fetch(tiny.dataset, tmp_path if pointed_at == "root" else folder, [])

    for images_name, labels_name in [(TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)]:
        images, labels = idx_files.read(found, f"{images_name}.gz", f"{labels_name}.gz")
        np.testing.assert_array_equal(images.numpy(), tiny.arrays[images_name])
        np.testing.assert_array_equal(labels.numpy(), tiny.arrays[labels_name])
    if not (place == "Tiny/raw" and named is str):  # torchvision's own names, which are uncompressed for it
        assert the_tree(tmp_path) == before


def test_files_put_there_by_hand_in_several_places(tiny, server, tmp_path):
    """And a folder of a file's name, as archives of some mirrors have it, is none of them."""
    for name, place in zip(tiny.arrays, ["", "raw", "Tiny", "Tiny/raw"], strict=True):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / f"{name}.gz").write_bytes(tiny.gz[f"{name}.gz"])
    (tmp_path / TRAIN_IMAGES).mkdir()
    folder = idx_files.fetch(tiny.dataset, tmp_path, [])
    for name in (TRAIN_IMAGES, TEST_IMAGES):
        labels = name.replace("images-idx3", "labels-idx1")
        images, _ = idx_files.read(folder, f"{name}.gz", f"{labels}.gz")
        np.testing.assert_array_equal(images.numpy(), tiny.arrays[name])


def test_a_wrong_file_put_there_by_hand_is_reported(tiny, server, tmp_path):
    wrong = tmp_path / dotted(f"{TEST_LABELS}.gz")
    wrong.write_bytes(altered(tiny.gz[f"{TEST_LABELS}.gz"]))
    with pytest.raises(SettingError, match="MD5") as error:
        idx_files.fetch(tiny.dataset, tmp_path)
    assert str(wrong) in str(error.value)
    assert server.asked == []
    assert names(tmp_path) == {wrong.name}


@pytest.mark.parametrize("unpacked", [False, True])
def test_another_sets_files_of_the_same_names_are_passed_over(unpacked, mnist_files, tiny, server, tmp_path):
    """MNIST's files in data.root itself, and another set below the same root."""
    for path in mnist_files.glob("*.gz"):
        content = path.read_bytes()
        (tmp_path / (path.stem if unpacked else path.name)).write_bytes(
            gzip.decompress(content) if unpacked else content
        )
    before = names(tmp_path)
    folder = idx_files.fetch(tiny.dataset, tmp_path)
    assert_complete(folder, tiny)
    images, _ = idx_files.read(folder, f"{TRAIN_IMAGES}.gz", f"{TRAIN_LABELS}.gz")
    np.testing.assert_array_equal(images.numpy(), tiny.arrays[TRAIN_IMAGES])
    assert names(tmp_path) == before | {"Tiny"}


def test_mnist_of_kaggle(mnist_files, tmp_path):
    """Uncompressed, with a dot, and verified all the same."""
    from torchvision.datasets import MNIST

    for path in mnist_files.glob("*.gz"):
        (tmp_path / dotted(path.stem)).write_bytes(gzip.decompress(path.read_bytes()))
    folder = idx_files.fetch(Files.of(MNIST), tmp_path, [])
    _, labels = idx_files.read(folder, f"{TEST_IMAGES}.gz", f"{TEST_LABELS}.gz")
    np.testing.assert_array_equal(labels.numpy(), parse(mnist_files / f"{TEST_LABELS}.gz"))
    path = tmp_path / dotted(TEST_LABELS)
    path.write_bytes(altered(path.read_bytes()))
    with pytest.raises(SettingError, match="CRC-32"):
        idx_files.fetch(Files.of(MNIST), tmp_path, [])


def test_a_root_named_as_the_set_with_the_sets_folder_in_it(tiny, server, tmp_path):
    tiny.write(tmp_path / "Tiny")
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path / "Tiny", []), tiny)


def test_folders_that_were_there_stay_and_others_do_not(tiny, server, tmp_path):
    root = tmp_path / "new" / "root"
    for mirrors in ([], [server.put("missing", {})]):
        with pytest.raises(DataUnavailableError):
            idx_files.fetch(tiny.dataset, root, mirrors)
        assert names(tmp_path) == set()
    (root / "Tiny").mkdir(parents=True)
    with pytest.raises(DataUnavailableError):
        idx_files.fetch(tiny.dataset, root, [server.put("missing", {})])
    assert the_tree(root).keys() == {"Tiny"}


LARGEST = 100_000


class Flood:
    """Answers that go on until nobody listens; counts the bytes."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, write, chunk: bytes, pause: float = 0.0) -> None:
        over = threading.Event()
        try:
            while self.sent < 1000 * LARGEST and not over.wait(pause):
                write(chunk)
                self.sent += len(chunk)
        except OSError:
            pass

    def without_length(self, handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        self.send(handler.wfile.write, bytes(1 << 14))

    def chunked(self, handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        self.send(handler.wfile.write, b"4000\r\n" + bytes(1 << 14) + b"\r\n")

    def declared(self, handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(LARGEST + 1))
        handler.end_headers()


@pytest.mark.parametrize("answer", ["without_length", "chunked", "declared"])
def test_a_mirror_that_sends_too_much_is_given_up(answer, tiny, server, tmp_path, caplog):
    flood = Flood()
    endless = server.put("endless", dict.fromkeys(tiny.gz, getattr(flood, answer)))
    small = tiny.dataset._replace(largest=LARGEST)
    assert_complete(idx_files.fetch(small, tmp_path, [endless, *tiny.dataset.mirrors]), tiny)
    (warning,) = caplog.messages
    assert warning.startswith(endless)
    assert f"more than {LARGEST:,} bytes" in warning

    with pytest.raises(DataUnavailableError, match="more than"):
        idx_files.fetch(small, tmp_path / "other", [endless])
    assert names(tmp_path) == {"Tiny"}


def test_mnist_is_given_up_beyond_its_known_size(server, tmp_path):
    """Whose first file has 9,912,422 bytes."""
    from torchvision.datasets import MNIST

    def declare(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "9912423")
        handler.end_headers()

    mirror = server.put("mnist", {f"{TRAIN_IMAGES}.gz": declare})
    with pytest.raises(DataUnavailableError, match="more than 9,912,422 bytes"):
        idx_files.fetch(Files.of(MNIST), tmp_path, [mirror])


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no endless file here")
def test_an_endless_file_url_is_given_up(tiny, tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in tiny.gz:
        (folder / name).symlink_to("/dev/zero")
    with pytest.raises(DataUnavailableError, match=f"more than {LARGEST:,} bytes"):
        idx_files.fetch(tiny.dataset._replace(largest=LARGEST), tmp_path / "root", [folder.as_uri()])
    assert names(tmp_path) == {"mirror"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_a_file_url_that_never_opens_is_given_up(tiny, server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 1)
    folder = tmp_path / "mirror"
    folder.mkdir()
    os.mkfifo(folder / f"{TRAIN_IMAGES}.gz")
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path, [folder.as_uri(), *tiny.dataset.mirrors]), tiny)
    # Lets the thread go that waits for somebody to write.
    os.close(os.open(folder / f"{TRAIN_IMAGES}.gz", os.O_WRONLY))


@pytest.mark.parametrize("what", ["head", "body", "chunks"])
def test_a_mirror_that_trickles_is_given_up(what, tiny, server, tmp_path, monkeypatch, caplog):
    """No wait for the socket is ever as long as the timeout."""
    monkeypatch.setattr(downloads, "TIMEOUT", 1)
    flood = Flood()

    def trickle(handler: Handler) -> None:
        if what == "head":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        elif what == "body":
            handler.send_response(200)
            handler.send_header("Content-Length", str(LARGEST))
            handler.end_headers()
        else:
            handler.protocol_version = "HTTP/1.1"
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
        flood.send(handler.wfile.write, b"1\r\nx\r\n" if what == "chunks" else b"x", pause=0.05)

    slow = server.put("slow", dict.fromkeys(tiny.gz, trickle))
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path, [slow, *tiny.dataset.mirrors]), tiny)
    (warning,) = caplog.messages
    assert warning.startswith(slow)
    assert "within 1 s" in warning
    assert flood.sent >= 2


def test_a_mirror_that_is_slow_but_not_too_slow_is_waited_for(tiny, server, tmp_path, monkeypatch):
    """The whole takes longer than the timeout; what is wanted in that time is less."""
    monkeypatch.setattr(downloads, "TIMEOUT", 2)
    monkeypatch.setattr(downloads, "SLOWEST", 500)
    monkeypatch.setattr(downloads, "_CHUNK", 500)
    first = f"{TRAIN_IMAGES}.gz"

    def slowly(handler: Handler) -> None:
        content = tiny.gz[first]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        step = len(content) // 15
        for start in range(0, len(content), step):
            threading.Event().wait(0.15)
            handler.wfile.write(content[start : start + step])

    server.put("good", {first: slowly})
    assert_complete(idx_files.fetch(tiny.dataset, tmp_path), tiny)


def test_ftp_that_never_ends(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), FtpHandler) as ftp:
        ftp.daemon_threads = True
        ftp.files = dict.fromkeys(tiny.gz, bytes(1000 * LARGEST))
        ftp.handle_error = lambda *args: None  # the client hangs up
        thread = threading.Thread(target=ftp.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"ftp://127.0.0.1:{ftp.server_address[1]}/folder"
            tracemalloc.start()
            with pytest.raises(DataUnavailableError, match=f"more than {LARGEST:,} bytes"):
                idx_files.fetch(tiny.dataset._replace(largest=LARGEST), tmp_path, [url])
            _, peak = tracemalloc.get_traced_memory()
            assert peak < 20 * LARGEST
        finally:
            tracemalloc.stop()
            ftp.shutdown()
            thread.join(10)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("served", [False, True])
def test_a_gz_that_unpacks_to_more_than_it_may(served, tiny, server, tmp_path):
    """Its MD5 is right; no more than the limit is ever written, and that is removed."""
    bomb = gzip.compress(bytes(1000 * LARGEST))
    assert len(bomb) < LARGEST
    tiny.gz[f"{TRAIN_IMAGES}.gz"] = bomb
    server.put("good", tiny.gz)
    resources = [(name, md5(content)) for name, content in tiny.gz.items()]
    bombed = Files("Tiny", resources, tiny.dataset.mirrors, LARGEST)
    if not served:
        tiny.write(tmp_path)
    before = names(tmp_path)
    with pytest.raises(SettingError, match=f"more than {LARGEST:,} bytes"):
        idx_files.fetch(bombed, tmp_path)
    assert names(tmp_path) == before
    assert served or names(tmp_path / "Tiny" / "raw") == set(tiny.gz)
