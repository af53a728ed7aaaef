"""Which of the four files is for what; that they are found, checked and fetched is in test_idx_files.py."""

from pathlib import Path

import numpy as np
import pytest
import torch

from littlenets.data import MNIST, FashionMNIST


def write_idx(file: Path, values: np.ndarray) -> None:
    file.write_bytes(bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.tobytes())


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
def test_the_official_test_set_is_only_ever_the_test_set(tmp_path: Path, dataset: type):
    rng, folder, arrays = np.random.default_rng(0), tmp_path / dataset.__name__ / "raw", {}
    folder.mkdir(parents=True)
    for half, count in (("train", 30), ("t10k", 8)):
        arrays[half] = rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)
        write_idx(folder / f"{half}-images-idx3-ubyte", arrays[half][0])
        write_idx(folder / f"{half}-labels-idx1-ubyte", arrays[half][1])

    for validation, sizes in ((0.0, {"train": 30, "test": 8}), (0.2, {"train": 24, "val": 6, "test": 8})):
        data = dataset(root=str(tmp_path), validation=validation)
        data.setup()
        assert {name: len(split.x) for name, split in data.splits.items()} == sizes
        test = data.splits["test"]
        assert torch.equal(test.x, torch.from_numpy(arrays["t10k"][0]).unsqueeze(1))
        assert torch.equal(test.y, torch.from_numpy(arrays["t10k"][1]).long())
        ours = [data.splits[name] for name in sizes if name != "test"]
        pictures = {image.numpy().tobytes(): label.item() for x, y in ours for image, label in zip(x, y, strict=True)}
        assert pictures == {x.tobytes(): int(y) for x, y in zip(*arrays["train"], strict=True)}
