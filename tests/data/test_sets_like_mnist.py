"""EMNIST, KMNIST, QMNIST and USPS from small files in their own formats, served from this machine."""

import bz2
import gzip
import hashlib
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision import datasets

from littlenets import data
from littlenets.errors import DataUnavailableError, SettingError


def idx(values: np.ndarray) -> bytes:
    """The IDX format, written from its description: 0, 0, type, dimensions; each size, big endian; the values."""
    kind, values = (8, values) if values.dtype == np.uint8 else (12, values.astype(">i4"))
    return bytes([0, 0, kind, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def mirror_of(files: dict[str, bytes], folder: Path) -> str:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder.as_uri()


def loaded(datamodule):
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule.splits["train"], datamodule.splits["test"]


def halves(count: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {half: rng.integers(0, 256, (n, 28, 28), np.uint8) for half, n in (("train", count), ("test", count // 2))}


def assert_images(split, images: np.ndarray, labels: np.ndarray) -> None:
    assert split.x.dtype == torch.uint8
    assert split.y.dtype == torch.int64
    np.testing.assert_array_equal(split.x.numpy(), images[:, None])
    np.testing.assert_array_equal(split.y.numpy(), labels)


def test_kmnist(tmp_path, monkeypatch):
    images = halves()
    labels = {half: np.arange(len(x), dtype=np.uint8) % 10 for half, x in images.items()}
    files = {}
    for half, name in (("train", "train"), ("test", "t10k")):
        files[f"{name}-images-idx3-ubyte.gz"] = gzip.compress(idx(images[half]))
        files[f"{name}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels[half]))
    assert {name for name, _ in datasets.KMNIST.resources} == set(files)
    monkeypatch.setattr(datasets.KMNIST, "resources", [(name, md5(content)) for name, content in files.items()])
    root = tmp_path / "data"
    train, test = loaded(data.KMNIST(str(root), [mirror_of(files, tmp_path / "mirror")]))
    assert_images(train, images["train"], labels["train"])
    assert_images(test, images["test"], labels["test"])
    theirs = datasets.KMNIST(root, train=False, download=False)  # the same root serves torchvision
    assert torch.equal(theirs.data.unsqueeze(1), test.x)


def test_qmnist(tmp_path, monkeypatch):
    """A label is the first of eight numbers of 4 bytes."""
    images = halves()
    rng = np.random.default_rng(1)
    labels = {half: rng.integers(0, 10, (len(x), 8)).astype(np.int32) for half, x in images.items()}
    for values in labels.values():
        values[:, 1:] += 70_000  # needs more than two bytes
    resources, files = {}, {}
    for half in ("train", "test"):
        pairs = zip(datasets.QMNIST.resources[half], (images[half], labels[half]), strict=True)
        resources[half] = []
        for (url, _), values in pairs:
            content = files[url.rpartition("/")[2]] = gzip.compress(idx(values))
            resources[half].append((url, md5(content)))
    monkeypatch.setattr(datasets.QMNIST, "resources", datasets.QMNIST.resources | resources)
    root = tmp_path / "data"
    train, test = loaded(data.QMNIST(str(root), [mirror_of(files, tmp_path / "mirror")]))
    assert_images(train, images["train"], labels["train"][:, 0])
    assert_images(test, images["test"], labels["test"][:, 0])
    theirs = datasets.QMNIST(root, what="test", compat=False)
    assert torch.equal(theirs.targets[:, 0], test.y)

    for path in root.rglob("*.gz"):
        path.unlink()
    assert loaded(data.QMNIST(str(root), []))[1].y.tolist() == test.y.tolist()
    broken = next(root.rglob("qmnist-test-labels*"))
    broken.write_bytes(broken.read_bytes()[:-1])
    with pytest.raises(SettingError, match="is no IDX file of labels"):
        data.QMNIST(str(root), []).prepare_data()


CLASSES = {"balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10}


def emnist(monkeypatch, split: str, tops: int) -> tuple[dict[str, bytes], dict, dict]:
    """The archive of one split."""
    images = halves(tops * 2)
    first = 1 if split == "letters" else 0
    labels = {half: np.arange(len(x), dtype=np.uint8) % tops + first for half, x in images.items()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for half in ("train", "test"):
            stored = np.ascontiguousarray(images[half].transpose(0, 2, 1))
            name = f"gzip/emnist-{split}-{half}"
            archive.writestr(f"{name}-images-idx3-ubyte.gz", gzip.compress(idx(stored)))
            archive.writestr(f"{name}-labels-idx1-ubyte.gz", gzip.compress(idx(labels[half])))
    monkeypatch.setattr(datasets.EMNIST, "md5", md5(content.getvalue()))
    return {"gzip.zip": content.getvalue()}, images, {half: y.astype(int) - first for half, y in labels.items()}


@pytest.mark.parametrize("split", CLASSES)
def test_emnist(split, tmp_path, monkeypatch):
    assert set(CLASSES) == set(datasets.EMNIST.splits)
    files, images, labels = emnist(monkeypatch, split, CLASSES[split])
    root = tmp_path / "data"
    emnist_data = data.EMNIST(split, str(root), [mirror_of(files, tmp_path / "mirror")])
    # Known before anything is loaded; torchvision names one class more for letters, which no image has.
    theirs = [name for name in datasets.EMNIST.classes_split_dict[split] if name != "N/A"]
    assert emnist_data.classes == CLASSES[split] == len(theirs)
    train, test = loaded(emnist_data)
    assert_images(train, images["train"], labels["train"])
    assert_images(test, images["test"], labels["test"])
    assert train.x.is_contiguous()
    # Nothing is unpacked to the disk.
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["gzip.zip"]


def test_emnist_put_there_by_hand(tmp_path, monkeypatch):
    files, images, labels = emnist(monkeypatch, "letters", 26)
    mirror_of(files, tmp_path / "data")
    _, test = loaded(data.EMNIST("letters", str(tmp_path / "data"), []))
    assert_images(test, images["test"], labels["test"])
    (tmp_path / "data" / "gzip.zip").write_bytes(files["gzip.zip"][:-1])
    with pytest.raises(SettingError, match=re.escape(md5(files["gzip.zip"]))):
        data.EMNIST("letters", str(tmp_path / "data"), []).prepare_data()


def test_a_network_is_trained_on_letters(launch, tmp_path, monkeypatch):
    files, _, _ = emnist(monkeypatch, "letters", 26)
    mirror_of(files, tmp_path / "data")
    letters = ["data=emnist", "data.split=letters", f"data.root={tmp_path / 'data'}", "data.mirrors=[]"]
    run = launch("model=cnn", *letters, "model.network.classes=26", "trainer.max_epochs=1", "figures=all")
    assert run.results["data"] == "emnist"
    assert run.weights()[-1].shape == (26,)


def test_a_zip_that_unpacks_to_more_than_it_may(tmp_path, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for half in ("train", "test"):
            for kind in ("images-idx3", "labels-idx1"):
                archive.writestr(f"gzip/emnist-mnist-{half}-{kind}-ubyte.gz", gzip.compress(bytes(1 << 24)))
    monkeypatch.setattr(datasets.EMNIST, "md5", md5(content.getvalue()))
    monkeypatch.setattr(data.EMNIST, "largest", 100_000)
    mirror = mirror_of({"gzip.zip": content.getvalue()}, tmp_path / "mirror")
    with pytest.raises(SettingError, match="more than 100,000 bytes"):
        loaded(data.EMNIST("mnist", str(tmp_path / "data"), [mirror]))


def usps(monkeypatch, count: int = 20) -> tuple[dict[str, bytes], dict]:
    rng = np.random.default_rng(0)
    files, values = {}, {}
    for half, n in (("train", count), ("test", count // 2)):
        pixels, digits = rng.uniform(-1, 1, (n, 256)).round(3), np.arange(n) % 10
        lines = (
            " ".join([str(digit + 1), *(f"{at}:{value:g}" for at, value in enumerate(row, 1))])
            for digit, row in zip(digits, pixels, strict=True)
        )
        _, name, _ = datasets.USPS.split_list[half]
        files[name] = bz2.compress("".join(f"{line} \n" for line in lines).encode())
        values[half] = pixels.reshape(n, 16, 16), digits
    changed = {half: [url, name, md5(files[name])] for half, (url, name, _) in datasets.USPS.split_list.items()}
    monkeypatch.setattr(datasets.USPS, "split_list", changed)
    return files, values


@pytest.mark.parametrize("by_hand", [False, True])
def test_usps(by_hand, tmp_path, monkeypatch):
    files, values = usps(monkeypatch)
    mirror = mirror_of(files, tmp_path / "mirror")
    usps_data = data.USPS(str(tmp_path / "mirror"), []) if by_hand else data.USPS(str(tmp_path / "data"), [mirror])
    for split, (pixels, digits) in zip(loaded(usps_data), values.values(), strict=True):
        bright = torch.tensor((pixels + 1) / 2 * 255, dtype=torch.float32).unsqueeze(1)
        small = F.interpolate(bright, (20, 20), mode="bilinear", align_corners=False)
        assert split.x.shape == (len(digits), 1, 28, 28)
        assert split.x.dtype == torch.uint8
        assert (split.x[..., 4:24, 4:24].float() - small).abs().max() <= 0.51
        assert split.x.sum() == split.x[..., 4:24, 4:24].sum()
        np.testing.assert_array_equal(split.y.numpy(), digits)
    assert not list(tmp_path.rglob("usps"))


def test_a_bz2_that_unpacks_to_more_than_it_may(tmp_path, monkeypatch):
    files, _ = usps(monkeypatch)
    files["usps.bz2"] = bz2.compress(bytes(1 << 27))
    split_list = dict(datasets.USPS.split_list)
    split_list["train"] = [*split_list["train"][:2], md5(files["usps.bz2"])]
    monkeypatch.setattr(datasets.USPS, "split_list", split_list)
    with pytest.raises(SettingError, match=r"usps\.bz2 unpacks to more than"):
        loaded(data.USPS(str(tmp_path / "data"), [mirror_of(files, tmp_path / "mirror")]))


@pytest.mark.parametrize("name", ["EMNIST", "KMNIST", "QMNIST", "USPS"])
def test_what_is_nowhere_is_named_with_where_it_belongs(name, tmp_path):
    with pytest.raises(DataUnavailableError) as error:
        getattr(data, name)(root=str(tmp_path), mirrors=[]).prepare_data()
    assert str(tmp_path / name / "raw") in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["EMNIST", "KMNIST", "QMNIST", "USPS"])
def test_checksums_are_torchvisions_and_urls_too(name):
    """Each URL that torchvision would open is one of ours, with the MD5 that it would compare."""
    files = getattr(data, name)().files()
    theirs = {
        "EMNIST": lambda: {(datasets.EMNIST.url, datasets.EMNIST.md5)},
        "KMNIST": lambda: {(datasets.KMNIST.mirrors[0] + name, md5) for name, md5 in datasets.KMNIST.resources},
        "QMNIST": lambda: {pair for half in ("train", "test") for pair in datasets.QMNIST.resources[half]},
        "USPS": lambda: {(url, md5) for url, _, md5 in datasets.USPS.split_list.values()},
    }[name]()
    mirrors = [mirror.rstrip("/") for mirror in files.mirrors]
    assert {(f"{mirrors[0]}/{filename}", checksum) for filename, checksum in files.resources} == theirs
