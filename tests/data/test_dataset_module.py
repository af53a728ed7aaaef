"""Data sets of PyTorch and torchvision, named in a configuration: samples, classes and their names, pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision import datasets, transforms

from littlenets.config.constructors import instantiate
from littlenets.data import EMNIST, KMNIST, DatasetModule, Digits, FashionMNIST
from littlenets.data.class_names import class_names
from littlenets.errors import SettingError

COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of pictures 12 wide and 10 high, one a class: eight to train on and four to test on each."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for split, count in {"train": 8, "test": 4}.items():
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(random.normal(colour, 15, (10, 12, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def node(folder: Path, **settings: Any) -> dict[str, Any]:
    splits = {
        name: {"_target_": "torchvision.datasets.ImageFolder", "root": str(folder / name)} for name in ("train", "test")
    }
    return {"_target_": "littlenets.data.DatasetModule", **splits, "batch_size": 5, **settings}


def ready(settings: dict[str, Any], stage: str | None = "fit") -> DatasetModule:
    data = instantiate(settings)
    data.prepare_data()
    data.setup(stage)
    return data


def test_nothing_is_looked_for_before_it_is_needed():
    data = instantiate(node(Path("/nowhere")))
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        data.setup("fit")


def test_pictures_become_tensors_as_torchvision_makes_them(folder: Path):
    data = ready(node(folder))
    x, y = next(iter(data.test_dataloader()))
    first = transforms.ToTensor()(Image.open(folder / "test" / "blue" / "0.png"))
    assert torch.equal(x[0], first)
    assert (x.shape, x.dtype, y.dtype) == ((5, 3, 10, 12), torch.float32, torch.int64)
    assert (data.classes, data.names) == (3, ["blue", "green", "red"])


def test_training_has_a_transform_of_its_own(folder: Path):
    grey = {"_target_": "torchvision.transforms.Grayscale"}
    to_tensor = {"_target_": "torchvision.transforms.ToTensor"}
    normalize = {"_target_": "torchvision.transforms.Normalize", "mean": [0.5], "std": [0.5]}
    flip = {"_target_": "torchvision.transforms.RandomHorizontalFlip", "p": 1.0}
    data = ready(
        node(folder, transform=[grey, to_tensor, normalize], train_transform=[grey, flip, to_tensor, normalize])
    )
    stored = Image.open(folder / "train" / "blue" / "0.png").convert("L")
    seen, _ = data.splits["train"][0]
    expected = (transforms.ToTensor()(stored) - 0.5) / 0.5
    assert torch.equal(seen, expected.flip(2))
    tested, _ = data.splits["test"][0]
    assert tested.shape == (1, 10, 12)


def test_what_is_split_off_is_not_augmented(folder: Path):
    flip = {"_target_": "torchvision.transforms.RandomHorizontalFlip", "p": 1.0}
    data = ready(node(folder, train_transform=flip, validation=0.25, seed=3))
    train, val = data.stored["train"], data.stored["val"]
    assert (len(train), len(val)) == (18, 6)
    assert not set(train.indices) & set(val.indices)
    x, _ = data.splits["val"][0]
    assert torch.equal(x, transforms.ToTensor()(val[0][0]))
    x, _ = data.splits["train"][0]
    assert torch.equal(x, transforms.ToTensor()(train[0][0]).flip(2))
    assert data.stored["val"].indices == ready(node(folder, validation=0.25, seed=3)).stored["val"].indices


def test_only_the_test_is_loaded_where_nothing_is_trained(folder: Path):
    data = ready(node(folder, train={"_target_": "torchvision.datasets.ImageFolder", "root": "/nowhere"}), "test")
    assert len(data.splits["test"]) == 12
    assert data.names == ["blue", "green", "red"]


def test_data_sets_may_be_objects_and_numbers_become_float32():
    x, y = np.linspace(0, 1, 8).reshape(4, 2), [0.5, 1.5, 2.5, 3.5]
    data = DatasetModule(train=list(zip(x, y, strict=True)), batch_size=None, shuffle=False)
    data.setup("fit")
    batch_x, batch_y = next(iter(data.train_dataloader()))
    assert torch.equal(batch_x, torch.from_numpy(x).float())
    assert torch.equal(batch_y, torch.tensor(y))
    assert (batch_x.dtype, batch_y.dtype, data.classes) == (torch.float32, torch.float32, None)


def test_classes_are_those_that_are_said_or_that_the_data_set_has():
    fake = {"_target_": "torchvision.datasets.FakeData", "size": 4, "image_size": [1, 6, 6], "num_classes": 5}
    assert ready({"_target_": "littlenets.data.DatasetModule", "train": fake}).classes == 5
    data = ready({"_target_": "littlenets.data.DatasetModule", "train": fake, "names": ["cat", "", "a  dog"]})
    assert (data.classes, class_names(data)) == (3, ["cat", "1", "a dog"])
    plain = DatasetModule(train=TensorDataset(torch.zeros(3, 2), torch.arange(3)), classes=3)
    plain.setup("fit")
    assert class_names(plain) is None


def test_the_shipped_sets_have_the_names_that_their_makers_gave():
    assert list(FashionMNIST.names) == datasets.FashionMNIST.classes
    assert list(KMNIST.names) == datasets.KMNIST.classes
    for split, names in datasets.EMNIST.classes_split_dict.items():
        names = [name for name in names if name != "N/A"]
        data = EMNIST(split)
        assert data.classes == len(names)
        assert (class_names(data) or names) == names
    assert class_names(Digits()) is None


@pytest.mark.parametrize("size", [(12, 10), (30, 30), (40, 7)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_from_elsewhere_is_brought_to_the_samples_form(folder: Path, size: tuple[int, int], mode: str):
    data = ready(node(folder))
    x = data.of_picture(Image.new(mode, size, 60 if mode == "L" else (200, 20, 20)))
    assert (x.shape, x.dtype) == ((3, 10, 12), torch.float32)
    colours = torch.tensor([60, 60, 60] if mode == "L" else [200, 20, 20]) / 255
    assert torch.allclose(x.mean(dim=(1, 2)), colours)


def test_a_picture_goes_through_the_transforms_of_the_data_set_and_of_the_module(folder: Path):
    own = {"_target_": "torchvision.transforms.Resize", "size": [6, 6]}
    sets = {
        name: {"_target_": "torchvision.datasets.ImageFolder", "root": str(folder / name), "transform": own}
        for name in ("train", "test")
    }
    grey = {"_target_": "torchvision.transforms.Grayscale"}
    data = ready(node(folder, **sets, transform=grey))
    with Image.open(folder / "test" / "red" / "1.png") as picture:
        assert torch.equal(data.of_picture(picture), data.splits["test"][9][0])


def test_a_picture_for_tensors():
    bytes_ = TensorDataset(torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8), torch.arange(4))
    data = DatasetModule(train=bytes_, test=bytes_, classes=4)
    data.setup("fit")
    assert data.of_picture(Image.new("RGB", (20, 30), (51, 51, 51))).unique().tolist() == pytest.approx([0.2])
    points = DatasetModule(train=TensorDataset(torch.zeros(3, 2), torch.arange(3)), classes=3)
    points.setup("fit")
    with pytest.raises(SettingError, match="takes no pictures"):
        points.of_picture(Image.new("L", (2, 2)))
