"""Make short names for runs in TensorBoard, which by default shows the paths of their event files."""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config.labels import short_names, swept_text
from ..errors import SettingError
from ..runs.saved import read_overrides
from ..sweeps.manifest import Manifest

# Folder names as made by runs/folder.py.
STAMP = re.compile(r"\d{4}-(\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)-[0-9a-f]{4}")
# Overrides that are left out of names: the model is already at the beginning of the name, and the others, such as paths
# of files, do not change the curves.
LEFT_OUT = re.compile(
    r"(model|threads|compile|histograms|gradient_norm|data\.(root|mirrors)|(logger|checkpoint|figures|hydra)(\.[\w.]+)?)$"
)
# TensorBoard breaks longer names into many lines.
LONGEST = 80


def run_names(logdir: Path) -> dict[str, Path]:
    """Return the folders with event files in ``logdir`` and its subfolders, by the names to show in TensorBoard.

    The names are:

    - for a run: its model, start time and overrides, such as ``spiral 11-23 14:05:09 lr=0.1``;
    - for a job of a sweep: the sweep and the swept settings, such as
      ``sweep linear 11-23 14:20:00/lr=0.01, max_epochs=200``; only the swept settings if ``logdir`` is the sweep folder
      or a folder in it;
    - for a run in a folder with another name: the path of that folder relative to ``logdir``;
    - for event files of other programs: their path relative to ``logdir``, as in TensorBoard itself.

    Each run appears once, even if links point to it. Event files of other programs in a subfolder of a named folder are
    left out, because TensorBoard finds them by itself.

    Args:
        logdir: an absolute path.
    """
    names: dict[str, Path] = {}
    named: set[Path] = set()
    labels: dict[Path, dict[str, str]] = {}
    for folder in event_folders(logdir):
        run = folder.parent
        if not _is_ours(folder):
            if folder.name == "tensorboard" and (STAMP.fullmatch(run.name) or STAMP.fullmatch(run.parent.name)):
                continue  # a run that has just started and has nothing to show yet
            if named & set(folder.parents):
                continue  # TensorBoard finds it by itself below the named folder
            name = os.path.relpath(folder, logdir)
        elif stamp := STAMP.fullmatch(run.name):
            name = _title(run.parent.name, stamp, overrides_label(_overrides(run / "config.yaml")))
        elif stamp := STAMP.fullmatch(run.parent.name):
            sweep = run.parent
            if sweep not in labels:
                labels[sweep] = job_labels(sweep)
            name = labels[sweep].get(run.name) or overrides_label(_overrides(run / "config.yaml")) or run.name
            if sweep not in (logdir, *logdir.parents):
                name = f"sweep {_title(sweep.parent.name, stamp)}/{name}"
        else:
            name = run.name if run == logdir or run in logdir.parents else os.path.relpath(run, logdir)
        name = next(candidate for candidate in _numbered(name) if candidate not in names)
        names[name] = folder
        named.add(folder)
    return names


def holds_runs(logdir: Path) -> bool:
    """Return whether ``logdir`` contains a run of this package, or no event files yet."""
    folders = list(event_folders(logdir))
    return not folders or any(_is_ours(folder) for folder in folders)


def event_folders(logdir: Path) -> Iterator[Path]:
    """Yield each folder with event files in ``logdir`` and its subfolders once.

    A folder that can also be reached through a link is yielded by its real path if that is below ``logdir``. Links
    named ``latest`` are not followed; other links are, because users create them to compare runs.
    """
    seen: set[Path] = set()
    for path, folders, files in os.walk(logdir, followlinks=True):
        if (real := Path(path).resolve()) in seen:
            folders.clear()
            continue
        seen.add(real)
        # Real folders first, so that a run is named after its own folder and not after a link to it.
        folders[:] = [name for name in folders if not (name == "latest" and Path(path, name).is_symlink())]
        if {"config.yaml", "sweep.json"} & set(files):
            # Do not follow links inside of the folder of a run or sweep: if it comes from another person, they may
            # point anywhere.
            folders[:] = [name for name in folders if not Path(path, name).is_symlink()]
        folders.sort(key=lambda name: (Path(path, name).is_symlink(), name))
        if any("tfevents" in name for name in files):
            yield Path(path)


def job_labels(sweep: Path) -> dict[str, str]:
    """Return the swept settings, such as ``lr=0.01, max_epochs=200``, by name of the job folder.

    The dictionary is empty if the manifest of the sweep cannot be read.
    """
    try:
        jobs = Manifest.read(sweep).jobs
    except SettingError:
        return {}
    names = short_names(list(dict.fromkeys(key for job in jobs for key in job.swept)))
    return {job.folder: _fit(swept_text(job.swept, names) or str(job.number)) for job in jobs}


def overrides_label(overrides: Sequence[str]) -> str:
    """Return a label for overrides: ``lr=0.1, hidden=[16]`` for ``optimizer.lr=0.1 model.network.hidden=[16]``."""
    settings = [override.lstrip("+~").partition("=") for override in overrides]
    settings = [(key, sign, value) for key, sign, value in settings if key and not LEFT_OUT.match(key)]
    names = short_names([key for key, _, _ in settings])
    return _fit(", ".join(f"{names[key]}{sign}{value}" for key, sign, value in settings))


def _is_ours(folder: Path) -> bool:
    return folder.name == "tensorboard" and (folder.parent / "config.yaml").is_file()


def _title(model: str, stamp: re.Match[str], label: str = "") -> str:
    day, hours, minutes, seconds = stamp.groups()
    return f"{model} {day} {hours}:{minutes}:{seconds} {label}".strip()


@functools.cache
def _overrides(config: Path) -> tuple[str, ...]:
    """Return the overrides of a run. The result is cached, because config.yaml is never changed."""
    try:
        return tuple(read_overrides(config))
    except (FileNotFoundError, SettingError):
        return ()


def _fit(label: str) -> str:
    # A slash would make the part before it a folder.
    label = label.replace("/", "-").strip()
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1
