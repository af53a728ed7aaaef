"""Predict numbers, images or test samples with the network of a run, or export that network."""

import io
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeGuard

import torch
from omegaconf import DictConfig
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor
from torch.utils.data import IterableDataset

from .config.check import normalize
from .config.containers import to_dict
from .console.streams import nobody_reads
from .console.text import printable
from .data import DatasetModule, TensorDataModule
from .data.class_names import class_names
from .data.datasets import is_picture
from .data.images import ImageDataModule
from .data.samples import lacks, loaders_of, sample_batch
from .errors import SettingError
from .inference.asking import predicted
from .inference.formats import FORMATS, Answer
from .inference.inputs import Samples
from .inference.rows import batched, read_rows, rows_in
from .instantiation import build
from .modules import SupervisedModule
from .runs.files import user_path
from .runs.loading import SavedRun, load_datamodule, load_module, load_run

# Exactly one of these settings must be given.
WANTED = ("x", "image", "index", "export")
SETTINGS = {
    "format": Literal["text", "json", "csv"],
    "checkpoint": Literal["best", "last"],
    "index": int | None,
    "trust": list[str],
}

# Images are decoded one by one; this many are predicted in one batch.
PICTURES_AT_ONCE = 32

# Images whose highest probability is below this are marked as unsure: the baseline of Hendrycks and Gimpel (2017).
# After an epoch of training, 1.3 % of MNIST's test digits are below this.
UNSURE = 0.6


def predict(config: DictConfig) -> None:
    """Print the predictions of a trained network for the given input, or export the network for other programs.

    Raises:
        SettingError: a setting, the run or the input is wrong; predictions made before the error are printed first.
    """
    wanted = check_request(config)
    saved = load_run(str(config.run), config.checkpoint, config.trust)
    module = load_module(saved)
    check_module(module)
    datamodule = data_of(saved, wanted)
    if wanted == "export":
        print(export_to(user_path(config.export), module, datamodule))
        return
    samples = {"x": samples_of_numbers, "image": samples_of_pictures, "index": test_sample}[wanted](datamodule, config)
    show(FORMATS[config.format](answers(module, samples, class_names(datamodule))))


def data_of(saved: SavedRun, wanted: str) -> LightningDataModule:
    """Return the run's datamodule; load its data only if it does not declare its sample shape, or for ``index``."""
    datamodule = build(saved.config.data)  # was checked together with the module
    known = isinstance(datamodule, TensorDataModule) and datamodule.sample_shape is not None
    return datamodule if known and wanted != "index" else load_datamodule(saved)


def check_request(config: DictConfig) -> str:
    """Return the one of ``WANTED`` that is given.

    Raises:
        SettingError: none or several of them are given, or another setting is wrong.
    """
    problems = list(normalize(config, SETTINGS).values())
    given = [name for name in WANTED if config[name] is not None]
    if len(given) != 1:
        problems.append(f"Give one of {', '.join(f'{name}=...' for name in WANTED)}; {_count(given)}.")
    if problems:
        raise SettingError("\n".join(problems))
    return given[0]


def _count(given: list[str]) -> str:
    return f"{' and '.join(given)} are given" if given else "none is given"


def check_module(module: LightningModule) -> None:
    """Check that a user's module implements prediction.

    Raises:
        SettingError: it does not.
    """
    kind, name = type(module), type(module).__name__
    silent = isinstance(module, SupervisedModule) and type(module).predictions is SupervisedModule.predictions
    if silent and kind.predict_step is SupervisedModule.predict_step:
        raise SettingError(f"{name} does not say what it predicts; give it SupervisedModule's method predictions.")
    if not (is_overridden("predict_step", module) or is_overridden("forward", module)):
        raise SettingError(f"{name} does not say what it predicts; give it Lightning's method predict_step.")


def samples_of_numbers(datamodule: LightningDataModule, config: DictConfig) -> Iterator[Samples]:
    """Yield batches for ``x``: rows of numbers from the command line or from standard input."""
    x = to_dict(config, resolve=False).get("x")
    features, dtype = row_form(datamodule)
    if x == "-":
        # Bytes that are not valid text become characters that are rejected as numbers.
        stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace")
        return batched(read_rows(stream, features), dtype)
    # All rows are parsed first, so that an error on the command line is reported before any prediction is printed.
    return iter(list(batched(rows_in(x, features), dtype)))


def row_form(datamodule: LightningDataModule) -> tuple[int, torch.dtype]:
    """Return the number of inputs of the network for a sample, and their dtype.

    Raises:
        SettingError: the network does not take rows of numbers.
    """
    x = two_inputs(datamodule)
    if x.dim() == 2:
        return x.shape[1], x.dtype
    if takes_pictures(datamodule):
        raise SettingError("x: this network takes images; give image=FILE, image=FOLDER or index=NUMBER.")
    raise SettingError(f"x: this network takes no rows of numbers, but samples of shape {tuple(x.shape[1:])}.")


def two_inputs(datamodule: LightningDataModule) -> Tensor:
    """Return two samples (2, ...) in the form that the network receives; they may be zeros.

    Raises:
        SettingError: the network takes more than one tensor.
    """
    if isinstance(datamodule, TensorDataModule) and datamodule.sample_shape is not None:
        return torch.zeros(2, *datamodule.sample_shape, dtype=datamodule.sample_dtype)
    batch = sample_batch(datamodule, "train" if lacks(datamodule, "test") else "test")
    if batch is None:
        batch = next(iter(itertools.chain.from_iterable(loaders_of(datamodule.test_dataloader()))))
    x = batch[0] if isinstance(batch, list | tuple) else batch
    if not isinstance(x, Tensor):
        raise SettingError("x and export: this network takes more than one tensor; give index=NUMBER.")
    return x if len(x) == 2 else x[:1].expand(2, *x.shape[1:])


def takes_pictures(datamodule: LightningDataModule) -> TypeGuard[DatasetModule | ImageDataModule]:
    """Return whether the network takes images."""
    if isinstance(datamodule, DatasetModule):
        return is_picture(two_inputs(datamodule)[0])
    return isinstance(datamodule, ImageDataModule)


def samples_of_pictures(datamodule: LightningDataModule, config: DictConfig) -> Iterator[Samples]:
    """Yield batches for ``image``: a file, or all image files of a folder.

    Raises:
        SettingError: an image cannot be read; the other images of the folder are predicted first.
    """
    from .inference.pictures import open_picture, picture_files, read_picture

    if not takes_pictures(datamodule):
        raise SettingError("image: this network takes numbers; give x=... or index=NUMBER.")
    path = user_path(config.image)
    files = picture_files(path) if path.is_dir() else [path]
    unread = []
    for start in range(0, len(files), PICTURES_AT_ONCE):
        inputs, names, remarks = [], [], []
        for file in files[start : start + PICTURES_AT_ONCE]:
            try:
                if isinstance(datamodule, ImageDataModule):
                    picture, remarked = read_picture(file, datamodule.picture_form)
                    picture = datamodule.transform(picture)
                else:
                    picture, remarked = datamodule.of_picture(open_picture(file)), []
                inputs.append(picture)
                remarks.append(remarked)
                names.append(str(file))
            except SettingError as error:
                unread.append(str(error))
        if inputs:
            yield Samples(torch.stack(inputs), names.__getitem__, {"image": names}, {}, remarks)
    if unread:
        raise SettingError("\n".join(unread))


def test_sample(datamodule: LightningDataModule, config: DictConfig) -> Iterator[Samples]:
    """Yield the batch for ``index``: one sample of the run's own test data, with its label or number.

    Raises:
        SettingError: there is no sample with this index, or the batches cannot be split into samples.
    """
    if lacks(datamodule, "test"):
        raise SettingError(f"index={config.index}: this run's data has no samples for testing.")
    batch = find_sample(loaders_of(datamodule.test_dataloader()), config.index)
    y = batch[1] if isinstance(batch, tuple | list) and len(batch) == 2 else None
    known = {"true": y} if isinstance(y, Tensor) else {}
    yield Samples(batch, [f"index={config.index}"].__getitem__, {"index": [config.index]}, known)


def find_sample(loaders: Iterable[Any], index: int) -> Any:
    """Return a batch with the one sample at an index, in the form of the batches of its loader.

    Raises:
        SettingError: there is no sample with this index, or the batches cannot be split into samples.
    """
    first = 0
    for loader in loaders:
        dataset = getattr(loader, "dataset", None)
        in_batches = getattr(loader, "batch_size", None) is not None
        if in_batches and dataset is not None and not isinstance(dataset, IterableDataset):
            if 0 <= index - first < len(dataset):
                return loader.collate_fn([dataset[index - first]])
            first += len(dataset)
            continue
        for batch in loader:
            if not (isinstance(batch, tuple | list) and all(isinstance(part, Tensor) for part in batch)):
                raise SettingError("index: a batch of this data is no tuple of tensors, so no sample can be taken out.")
            at, count = index - first, len(batch[0])
            if 0 <= at < count:
                return tuple(part[at : at + 1] for part in batch)
            first += count
    raise SettingError(f"index={index}: the test data has samples 0 to {first - 1:,}.")


def answers(
    module: LightningModule, batches: Iterable[Samples], classes: Sequence[str] | None = None
) -> Iterator[Answer]:
    """Yield the network's predictions for each batch as soon as they are computed.

    Args:
        module: the trained module.
        batches: the samples to predict.
        classes: the names of the classes.

    Raises:
        SettingError: the network does not accept a sample, or a prediction is not finite; predictions for the samples
            before it are yielded first.
    """
    for samples in batches:
        predictions = predicted(module, samples.x)
        samples = with_doubts(samples, predictions)
        finite = torch.ones(len(next(iter(predictions.values()))), dtype=torch.bool)
        for tensor in predictions.values():
            finite &= tensor.isfinite().reshape(len(finite), -1).all(dim=1)
        if finite.all():
            yield Answer(samples, predictions, classes)
            continue
        count = int(finite.logical_not().nonzero()[0])
        if count:
            yield Answer(samples.first(count), {name: tensor[:count] for name, tensor in predictions.items()}, classes)
        raise SettingError(f"{samples.place(count)}: too large; the network's answer is not finite.")


def with_doubts(samples: Samples, predictions: dict[str, Tensor]) -> Samples:
    """Add a remark to each image for which no class has a high probability."""
    if samples.remarks is None or "probabilities" not in predictions:
        return samples
    highest = predictions["probabilities"].flatten(1).amax(dim=1).tolist()  # (N,)
    unsure = [[f"unsure: the highest probability is {share:.0%}"] if share < UNSURE else [] for share in highest]
    remarks = [found + more for found, more in zip(samples.remarks, unsure, strict=True)]
    return samples._replace(remarks=remarks)


def show(texts: Iterable[str]) -> None:
    """Write to standard output until its reader has ended."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names can contain any character
    try:
        for text in texts:
            sys.stdout.write(text)
            if nobody_reads():
                return
    finally:
        # Prints all predictions before a following error message.
        sys.stdout.flush()


def export_to(path: Path, module: LightningModule, datamodule: LightningDataModule) -> str:
    """Export the network to the file of ``export``; return a description of its inputs and outputs."""
    from .inference.export import export

    said = export(module, two_inputs(datamodule), path)
    if isinstance(datamodule, ImageDataModule):
        said += f"\nOf an image, x is (pixels / 255 - {datamodule.mean}) / {datamodule.std}."
    if names := class_names(datamodule):
        said += f"\nThe classes are {', '.join(f'{k} {printable(name)}' for k, name in enumerate(names))}."
    return said
