"""Data module for any datasets of ``torch.utils.data``.

Shapes: N samples, C channels, H W pixels.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ..errors import SettingError
from ..randomness import stream
from ..ranges import Count, Share

if TYPE_CHECKING:
    from PIL.Image import Image

Transform = Callable[[Any], Any]


class DatasetModule(LightningDataModule):
    """Data module that loads samples ``(input, target)`` one by one from datasets with a length.

    A dataset or a transform is given as an object or as a node with ``_target_``. Nodes are instantiated when the data
    is needed, so that checking a configuration does not download anything.

    The network receives the output of the input's transform. If that is a picture (a Pillow image, or uint8 with three
    dimensions), it is converted to float32 (C, H, W) in 0..1. NumPy arrays become tensors; float64 arrays become
    float32.

    Args:
        train: training dataset.
        test: test dataset; None leaves out the test.
        val: validation dataset; None splits ``validation`` off ``train``.
        transform: transform of the inputs, or a list of transforms to apply one after another.
        train_transform: the same for the training inputs, for example with augmentation; None uses ``transform``.
        classes: number of classes; None uses the number of class names, or else the dataset's ``num_classes``. If none
            of these exists, the targets are numbers (regression).
        names: names of the classes; None uses the dataset's ``classes``.
        batch_size: samples per batch; None puts all samples into one batch.
        shuffle: whether to shuffle the training samples anew in each epoch.
        validation: fraction of the training samples, in [0, 1), that is split off for validation if ``val`` is None.
        num_workers: number of worker processes that load samples; 0 loads them in the training process.
        seed: seed for the validation split.
    """

    #: Noun for the samples, used in descriptions of the data.
    sample_name = "samples"
    #: For Hydra: nested nodes are passed to the constructor without being instantiated.
    recursive = False

    def __init__(
        self,
        train: Any,
        test: Any = None,
        val: Any = None,
        transform: Any = None,
        train_transform: Any = None,
        classes: Count | None = None,
        names: Sequence[str] | None = None,
        batch_size: Count | None = 64,
        shuffle: bool = True,
        validation: Share = 0.0,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.nodes = {"train": train, "val": val, "test": test}
        self.transform_nodes = {"train": transform if train_transform is None else train_transform, "other": transform}
        self.classes, self.names = classes, names
        self.batch_size, self.shuffle, self.validation = batch_size, shuffle, validation
        self.num_workers, self.seed = num_workers, seed
        #: The datasets of the splits, as they are (``stored``) and with transformed inputs (``splits``); each has a
        #: length.
        self.stored: dict[str, Dataset] = {}
        self.splits: dict[str, Dataset] = {}

    def prepare_data(self) -> None:
        for node in self.nodes.values():
            if isinstance(node, dict) and node.get("download"):
                _built(node)

    def setup(self, stage: str | None = None) -> None:
        if "train" in self.splits or (self.splits and stage == "test"):
            return
        if "test" not in self.stored and self.nodes["test"] is not None:
            self.stored["test"] = _built(self.nodes["test"])
            self._learn_classes(self.stored["test"])
        if stage != "test" or self.classes is None or not self.stored:
            train = self.stored["train"] = _built(self.nodes["train"])
            self._learn_classes(train)
            self._set_validation_apart(train)
        transforms = {name: _transforms(node) for name, node in self.transform_nodes.items()}
        for split, dataset in self.stored.items():
            chain = transforms["train" if split == "train" else "other"]
            self.splits[split] = TransformedDataset(dataset, chain)

    def _learn_classes(self, dataset: Dataset) -> None:
        """Set ``names`` and ``classes`` from a dataset where they were not given."""
        while isinstance(dataset, Subset):
            dataset = dataset.dataset
        own = getattr(dataset, "classes", None)
        if self.names is None and isinstance(own, Sequence) and all(isinstance(name, str) for name in own):
            self.names = list(own)
        if self.classes is None:
            count = len(self.names) if self.names else getattr(dataset, "num_classes", None)
            self.classes = count if isinstance(count, int) else None

    def _set_validation_apart(self, train: Dataset) -> None:
        if self.nodes["val"] is not None:
            self.stored["val"] = _built(self.nodes["val"])
            return
        held_out = round(len(train) * self.validation)
        if held_out:
            if held_out == len(train):
                raise SettingError(f"data.validation={self.validation} leaves none of {held_out} samples to train on.")
            order = torch.randperm(len(train), generator=stream(self.seed, "validation")).tolist()
            self.stored["val"] = Subset(train, sorted(order[:held_out]))
            self.stored["train"] = Subset(train, sorted(order[held_out:]))

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", self.shuffle)

    def val_dataloader(self) -> DataLoader | list:
        return self._loader("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader | list:
        return self._loader("test") if "test" in self.splits else []

    def _loader(self, split: str, shuffle: bool = False) -> DataLoader:
        dataset = self.splits[split]
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        size = min(self.batch_size or len(dataset), len(dataset))
        return DataLoader(dataset, size, shuffle, num_workers=self.num_workers, pin_memory=on_gpu)

    def of_picture(self, picture: "Image") -> Tensor:
        """Convert a picture to the network's input, float (C, H, W), as if it were a sample of the dataset.

        A picture of another size is scaled and cropped to the size of the samples, unless the transform resizes all
        pictures.

        Raises:
            SettingError: the samples are not pictures, or the transform gives the picture another shape than the
                samples.
        """
        split = "test" if "test" in self.stored else "train"
        stored, wanted = _input(self.stored[split][0]), _input(self.splits[split][0])
        if not is_picture(wanted):
            raise SettingError("image: this network takes no pictures; give x=... or index=NUMBER.")
        x = self._as_stored(picture, stored, split)
        if x.shape != wanted.shape:
            x = self._as_stored(_cut(picture, _size(stored)), stored, split)
        if x.shape != wanted.shape:
            raise SettingError(f"image: the data's transform makes {tuple(x.shape)} of it, not {tuple(wanted.shape)}.")
        return x

    def _as_stored(self, picture: "Image", stored: Any, split: str) -> Tensor:
        """Convert a picture to the form of a stored sample, then apply the transforms."""
        own = self.stored[split]
        while isinstance(own, Subset):
            own = own.dataset
        chain = _transforms(self.transform_nodes["other"])
        if callable(of_its_own := getattr(own, "transform", None)):  # datasets of torchvision have one
            return as_input(_applied([of_its_own, *chain], picture.convert("RGB" if _channels(stored) == 3 else "L")))
        if not isinstance(stored, Tensor | np.ndarray):
            return as_input(_applied(chain, picture.convert(stored.mode)))
        pixels = torch.from_numpy(np.array(picture.convert("RGB" if _channels(stored) == 3 else "L")))
        pixels = pixels.unsqueeze(2).permute(2, 0, 1) if pixels.dim() == 2 else pixels.permute(2, 0, 1)  # (C, H, W)
        return as_input(_applied(chain, pixels if as_tensor(stored).dtype == torch.uint8 else pixels / 255))


class TransformedDataset(Dataset):
    """Dataset that transforms the inputs of another dataset."""

    def __init__(self, dataset: Dataset, transforms: Sequence[Transform]) -> None:
        self.dataset, self.transforms = dataset, transforms

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        sample = self.dataset[index]
        if isinstance(sample, tuple | list) and len(sample) == 2:
            x, y = sample
            # A Python float would become float64, which none of this project's losses accepts.
            y = torch.tensor(y, dtype=torch.float32) if isinstance(y, float) else y
            return as_input(_applied(self.transforms, x)), y
        return _applied(self.transforms, sample)


class Inputs:
    """The inputs of a dataset's samples, loaded when they are indexed."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, chosen: Sequence[int] | Tensor) -> Tensor:
        return torch.stack([_input(self.dataset[int(index)]) for index in chosen])


def as_input(x: Any) -> Any:
    """Convert an input to a tensor for the network; leave anything but pictures, arrays and floats unchanged."""
    x = as_tensor(x)
    if isinstance(x, Tensor) and x.dtype == torch.uint8 and x.dim() == 3:
        return x.float() / 255
    return x


def as_tensor(x: Any) -> Any:
    """Convert a Pillow image to uint8 (C, H, W), and an array or float to a tensor; leave other inputs unchanged."""
    if hasattr(x, "getbands"):
        from torchvision.transforms.functional import pil_to_tensor

        return pil_to_tensor(x)
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(x)
        return x.float() if x.dtype == torch.float64 else x
    return torch.tensor(x, dtype=torch.float32) if isinstance(x, float) else x


def is_picture(x: Any) -> bool:
    """Return whether an input is a picture (C, H, W) with one channel (grey) or three channels (colour)."""
    return isinstance(x, Tensor) and x.dim() == 3 and len(x) in (1, 3)


def _input(sample: Any) -> Any:
    return sample[0] if isinstance(sample, tuple | list) else sample


def _built(node: Any) -> Any:
    if not (isinstance(node, dict) and "_target_" in node):
        return node
    import hydra
    from hydra.errors import InstantiationException

    try:
        return hydra.utils.instantiate({"_convert_": "all", **node})
    except InstantiationException as error:
        raise error.__cause__ or error from None


def _transforms(nodes: Any) -> list[Transform]:
    return [_built(node) for node in (nodes if isinstance(nodes, list | tuple) else [nodes]) if node is not None]


def _applied(transforms: Sequence[Transform], x: Any) -> Any:
    for transform in transforms:
        x = transform(x)
    return x


def _channels(stored: Any) -> int:
    return len(as_tensor(stored))


def _size(stored: Any) -> tuple[int, int]:
    """Return height and width."""
    return tuple(as_tensor(stored).shape[1:])


def _cut(picture: "Image", size: tuple[int, int]) -> "Image":
    from PIL import Image, ImageOps

    height, width = size
    return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
