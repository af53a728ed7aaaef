"""What TensorBoard calls each run: few words instead of the path of its event files."""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..config.labels import short_names, swept_text
from ..errors import SettingError
from ..runs.saved import read_overrides
from ..sweeps.manifest import Manifest

# As runs/folder.py makes them.
STAMP = re.compile(r"\d{4}-(\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)-[0-9a-f]{4}")
# The name begins with the model, and where files lie or go changes nothing that a curve shows.
LEFT_OUT = re.compile(
    r"(model|threads|compile|histograms|gradient_norm|data\.(root|mirrors)|(logger|checkpoint|figures|hydra)(\.[\w.]+)?)$"
)
# TensorBoard breaks longer names into many lines.
LONGEST = 80


def run_names(logdir: Path) -> dict[str, Path]:
    """The folders with event files at or below ``logdir``, an absolute path, by the names that are to be shown.

    - a run: its model, when it started, and what was said on the command line, ``spiral 11-23 14:05:09 lr=0.1``;
    - a job of a sweep: what was swept, ``sweep linear 11-23 14:20:00/lr=0.01, max_epochs=200``, and that alone where
      ``logdir`` is the sweep's own folder;
    - a run in a folder of another name: the path of that folder below ``logdir``;
    - event files of others: their path below ``logdir``, as TensorBoard itself has it.

    No run appears twice, whatever links lead to it. Event files of others below a folder with event files are left out:
    TensorBoard looks for them there by itself.
    """
    names: dict[str, Path] = {}
    named: set[Path] = set()
    labels: dict[Path, dict[str, str]] = {}
    for folder in event_folders(logdir):
        run = folder.parent
        if not _is_ours(folder):
            if folder.name == "tensorboard" and (STAMP.fullmatch(run.name) or STAMP.fullmatch(run.parent.name)):
                continue  # it has only just started, and shows nothing so far
            if named & set(folder.parents):
                continue  # TensorBoard finds it below the other by itself
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
    """Whether ``logdir`` is a place of this project's: a run of ours is in it, or nothing to show so far."""
    folders = list(event_folders(logdir))
    return not folders or any(_is_ours(folder) for folder in folders)


def event_folders(logdir: Path) -> Iterator[Path]:
    """Every folder at or below ``logdir`` that holds event files, once, by its real path where that is below it.

    The links ``latest`` are not followed, others are: somebody made them to compare runs.
    """
    seen: set[Path] = set()
    for path, folders, files in os.walk(logdir, followlinks=True):
        if (real := Path(path).resolve()) in seen:
            folders.clear()
            continue
        seen.add(real)
        # Real folders first, so that a run has the name of its own place and not that of a link to it.
        folders[:] = [name for name in folders if not (name == "latest" and Path(path, name).is_symlink())]
        if {"config.yaml", "sweep.json"} & set(files):
            # What is in the folder of a run belongs to it, and a link in one from elsewhere may lead anywhere.
            folders[:] = [name for name in folders if not Path(path, name).is_symlink()]
        folders.sort(key=lambda name: (Path(path, name).is_symlink(), name))
        if any("tfevents" in name for name in files):
            yield Path(path)


def job_labels(sweep: Path) -> dict[str, str]:
    """What was swept, such as ``lr=0.01, max_epochs=200``, by the names of the jobs' folders; empty if unknown."""
    try:
        jobs = Manifest.read(sweep).jobs
    except SettingError:
        return {}
    names = short_names(list(dict.fromkeys(key for job in jobs for key in job.swept)))
    return {job.folder: _fit(swept_text(job.swept, names) or str(job.number)) for job in jobs}


def overrides_label(overrides: Sequence[str]) -> str:
    """``lr=0.1, hidden=[16]`` for ``optimizer.lr=0.1 model.network.hidden=[16]``."""
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
    """What was said on the command line of a run; its config.yaml is written once and never changed."""
    try:
        return tuple(read_overrides(config))
    except (FileNotFoundError, SettingError):
        return ()


def _fit(label: str) -> str:
    # A slash would make a folder of what stands before it.
    label = label.replace("/", "-").strip()
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1
