"""Prediction: a trained network, found by its run's folder, is asked about numbers, pictures or test samples."""

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from .building import build
from .config.check import normalize
from .data.images import ImageDataModule
from .errors import SettingError
from .inference.formats import FORMATS, Answer
from .inference.rows import batched, read_rows, rows_in
from .inference.samples import Samples
from .modules import SupervisedModule
from .runs.files import user_path
from .runs.loading import SavedRun, load_datamodule, load_module, load_run
from .streams import nobody_reads

# Exactly one of these says what is wanted.
WANTED = ("x", "image", "index", "export")
SETTINGS = {
    "format": Literal["text", "json", "csv"],
    "checkpoint": Literal["best", "last"],
    "index": int | None,
    "trust": list[str],
}

# Pictures are decoded one by one; so many are answered together.
PICTURES_AT_ONCE = 32

# The highest probability below which a picture is remarked upon: the baseline of Hendrycks and Gimpel (2017). After an
# epoch of training, 1.3 % of MNIST's test digits are below this.
UNSURE = 0.6


def predict(config: DictConfig) -> None:
    """Prints what a trained network says of what it is given, or writes it to a file for other programs.

    Raises:
        SettingError: a setting, the run or the input is wrong; what was answered before that was seen is printed.
    """
    wanted = check_request(config)
    saved = load_run(str(config.run), config.checkpoint, config.trust)
    module = load_module(saved)
    check_module(module)
    if wanted == "export":
        print(export_to(user_path(config.export), module, saved, config))
        return
    samples = {"x": samples_of_numbers, "image": samples_of_pictures, "index": test_sample}[wanted](saved, config)
    show(FORMATS[config.format](answers(module, samples)))


def check_request(config: DictConfig) -> str:
    """Which of ``WANTED`` is given.

    Raises:
        SettingError: none or several are, or another setting is wrong.
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


def check_module(module: SupervisedModule) -> None:
    """Makes sure that a task of somebody's own says what its outputs mean.

    Raises:
        SettingError: it does not.
    """
    if type(module).predictions is SupervisedModule.predictions:
        name = type(module).__name__
        raise SettingError(f"{name} does not say what it predicts; give it SupervisedModule's method predictions.")


def samples_of_numbers(saved: SavedRun, config: DictConfig) -> Iterator[Samples]:
    """``x``: rows of numbers, from the command line or from standard input."""
    x = OmegaConf.to_container(config).get("x")
    if x == "-":
        # A byte that is no text becomes a character that is no number.
        stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace")
        return batched(read_rows(stream, features_of(saved, config)))
    # All of it at once: a mistake on the command line is told before anything is answered.
    return iter(list(batched(rows_in(x, features_of(saved, config)))))


def features_of(saved: SavedRun, config: DictConfig) -> int:
    """How many numbers the network takes a sample.

    Raises:
        SettingError: it takes something else.
    """
    shape = sample_shape(saved, config)
    if len(shape) == 1:
        return shape[0]
    if isinstance(build(saved.config.data), ImageDataModule):
        raise SettingError("x: this network takes images; give image=FILE, image=FOLDER or index=NUMBER.")
    raise SettingError(f"x: this network takes no rows of numbers, but samples of shape {tuple(shape)}.")


def sample_shape(saved: SavedRun, config: DictConfig) -> tuple[int, ...]:
    """The shape of one sample, as the network takes it."""
    datamodule = build(saved.config.data)  # checked together with the module
    known = getattr(datamodule, "sample_shape", None)
    if known is not None:
        return known
    x, _ = next(iter(load_datamodule(saved).test_dataloader()))
    return tuple(x.shape[1:])


def samples_of_pictures(saved: SavedRun, config: DictConfig) -> Iterator[Samples]:
    """``image``: a file, or the files of a folder.

    Raises:
        SettingError: a picture cannot be read; those of a folder that can are answered first.
    """
    from .inference.pictures import picture_files, read_picture

    datamodule = build(saved.config.data)
    if not isinstance(datamodule, ImageDataModule):
        raise SettingError("image: this network takes numbers; give x=... or index=NUMBER.")
    path = user_path(config.image)
    files = picture_files(path) if path.is_dir() else [path]
    unread = []
    for start in range(0, len(files), PICTURES_AT_ONCE):
        pictures, names, remarks = [], [], []
        for file in files[start : start + PICTURES_AT_ONCE]:
            try:
                picture, remarked = read_picture(file, datamodule.picture_form)
                pictures.append(picture)
                remarks.append(remarked)
                names.append(str(file))
            except SettingError as error:
                unread.append(str(error))
        if pictures:
            x = datamodule.transform(torch.stack(pictures))  # (N, 1, 28, 28)
            yield Samples(x, names.__getitem__, {"image": names}, {}, remarks)
    if unread:
        raise SettingError("\n".join(unread))


def test_sample(saved: SavedRun, config: DictConfig) -> Iterator[Samples]:
    """``index``: one sample of the run's own test data, and its label or number.

    Raises:
        SettingError: there are not so many.
    """
    first = 0
    for x, y in load_datamodule(saved).test_dataloader():
        at = config.index - first
        if 0 <= at < len(x):
            places = [f"index={config.index}"]
            yield Samples(x[at : at + 1], places.__getitem__, {"index": [config.index]}, {"true": y[at : at + 1]})
            return
        first += len(x)
    raise SettingError(f"index={config.index}: the test data has samples 0 to {first - 1:,}.")


def answers(module: SupervisedModule, batches: Iterable[Samples]) -> Iterator[Answer]:
    """What the network says of each batch, as soon as it is asked for.

    Raises:
        SettingError: an answer is no finite number; those before it are given first.
    """
    for samples in batches:
        with torch.no_grad():
            predictions = module.predictions(module(samples.x))
        samples = with_doubts(samples, predictions)
        finite = torch.ones(len(samples.x), dtype=torch.bool)
        for tensor in predictions.values():
            finite &= tensor.isfinite().reshape(len(finite), -1).all(dim=1)
        count = len(finite) if finite.all() else int(finite.logical_not().nonzero()[0])
        if count:
            yield Answer(samples.first(count), {name: tensor[:count] for name, tensor in predictions.items()})
        if count < len(finite):
            raise SettingError(f"{samples.place(count)}: too large; the network's answer is not finite.")


def with_doubts(samples: Samples, predictions: dict[str, Tensor]) -> Samples:
    """Add a remark to each picture of which no class is likely."""
    if samples.remarks is None or "probabilities" not in predictions:
        return samples
    highest = predictions["probabilities"].flatten(1).amax(dim=1).tolist()  # (N,)
    unsure = [[f"unsure: the highest probability is {share:.0%}"] if share < UNSURE else [] for share in highest]
    remarks = [found + more for found, more in zip(samples.remarks, unsure, strict=True)]
    return samples._replace(remarks=remarks)


def show(texts: Iterable[str]) -> None:
    """Writes to standard output until nobody reads it any more."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files can hold anything
    try:
        for text in texts:
            sys.stdout.write(text)
            if nobody_reads():
                return
    finally:
        # Answers stand above the message that there are no more.
        sys.stdout.flush()


def export_to(path: Path, module: SupervisedModule, saved: SavedRun, config: DictConfig) -> str:
    """``export``: writes the network to a file; what that takes and gives, in words."""
    from .inference.export import export

    said = export(module, torch.zeros(2, *sample_shape(saved, config)), path)
    datamodule = build(saved.config.data)
    if isinstance(datamodule, ImageDataModule):
        said += f"\nOf an image, x is (pixels / 255 - {datamodule.mean}) / {datamodule.std}."
    return said
