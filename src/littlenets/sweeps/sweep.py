"""Determine the jobs of a sweep from its command line, and from its folder if it is resumed."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, flag_override

from ..config.check import wrong_settings
from ..config.choices import Configuration
from ..config.metrics import Expected, unmeasured_objective
from ..config.overrides import typed
from ..config.trust import check_links, check_overrides
from ..config.values import shown
from ..errors import SettingError
from ..runs.files import user_path
from ..runs.folder import job_folder, make_latest, occupied, started
from ..runs.saved import read_results
from .grid import expand
from .manifest import FILE, Job, Manifest, is_folder_name
from .next_commands import path_value
from .points import Composition, Point, Points, swept

# Statuses in results.json of jobs that are never run again.
KEPT = ("completed", "diverged")
# Limit on the length of a name, so that `ls` shows it in one line.
LONGEST_NAME = 60


class SweepSettings(NamedTuple):
    """Settings of a sweep.

    Args:
        objective: metric by which jobs are compared; None is a default metric.
        direction: whether lower or higher values of it are better; None derives it from the metric's name.
        on_error: after a job failed, ``continue`` with the others or ``stop``.
        zip: settings whose values are paired by position instead of combined with all others.
        preview: list the jobs and estimate their durations instead of running them.
        retry_failed: run failed jobs again when the sweep is resumed.
    """

    objective: str | None = None
    direction: Literal["minimize", "maximize"] | None = None
    on_error: Literal["continue", "stop"] = "continue"
    zip: tuple[str, ...] = ()
    preview: bool = False
    retry_failed: bool = False

    @classmethod
    def read(cls, config: DictConfig) -> "SweepSettings":
        """Read the settings from a configuration.

        Raises:
            SettingError: values are invalid.
        """
        values: dict[str, Any] = OmegaConf.to_container(config.sweep, resolve=True)
        problems = wrong_settings({"sweep": values})
        if problems:
            raise SettingError("\n".join(problems.values()))
        return cls(**values | {"zip": tuple(values["zip"] or ())})


class Sweep:
    """The points of a sweep, and the jobs that train them.

    Args:
        overrides: overrides of the command line and of ``hydra.sweeper.params``, including the swept values.
        config: configuration composed with the overrides that all points have in common. Its ``resume`` is the folder
            of the sweep to resume, or None; its ``hydra.sweep.dir`` is the folder of a new sweep.
        loader: Hydra's config loader.

    Raises:
        SettingError: settings of the sweep are invalid, or the sweep to resume is damaged or not allowed.
    """

    def __init__(self, overrides: Sequence[str], config: DictConfig, loader: ConfigLoader) -> None:
        self._config = config
        self.settings = SweepSettings.read(config)
        resumed = OmegaConf.select(config, "resume")
        self.resumed = user_path(resumed).resolve() if resumed else None
        self._composer = Points(loader, config, self.trusted)
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        for_sweep, for_runs = [], []
        for override in parsed:
            said_to_sweep = override.key_or_group.partition(".")[0] in ("resume", "sweep")
            (for_sweep if said_to_sweep else for_runs).append(override)
        for override in for_sweep:
            if override.is_sweep_override():
                raise SettingError(
                    f"{override.input_line}: this is said to the sweep as a whole, so it takes one value."
                )
        self._batch = expand(for_runs, self.settings.zip)
        # An error that all points have in common is reported before any process is started.
        self._composer.compose(self._batch[:1])
        self.manifest = self._saved_manifest(loader) if self.resumed else Manifest(sys.argv[1:])
        self.manifest.objective = self.settings.objective or self.manifest.objective
        self.manifest.direction = self.settings.direction or self.manifest.direction
        #: The jobs to run.
        self.jobs: list[Job] = []
        #: Numbers of the jobs to run that are resumed from a checkpoint.
        self.begun: set[int] = set()
        self._new: list[Job] = []

    def _saved_manifest(self, loader: ConfigLoader) -> Manifest:
        """Return the manifest of the sweep to resume, after checking that its jobs can be composed safely."""
        check_links(self.resumed)
        manifest = Manifest.read(self.resumed)
        hydra = self._config.hydra
        places = [f"hydra.searchpath={typed(list(hydra.searchpath))}"]
        configuration = Configuration(loader, hydra.job.config_name, places)
        overrides = (override for job in manifest.jobs for override in job.overrides)
        check_overrides(overrides, configuration.choices_of, self.trusted, str(self.resumed / FILE))
        return manifest

    @property
    def compositions(self) -> list[Composition]:
        """The compositions that the points refer to."""
        return self._composer.compositions

    @property
    def trusted(self) -> list[str] | None:
        """Names from outside the package that sweep.json may contain; None, which allows all, for a new sweep."""
        return OmegaConf.to_container(self._config.trust, resolve=True) if self.resumed else None

    @property
    def points(self) -> dict[int, Point]:
        """The points of `jobs`, by number."""
        return {job.number: self._points[job.number] for job in self.jobs}

    def compose(self) -> None:
        """Compose all points and determine the jobs to run, without writing anything.

        Raises:
            SettingError: points cannot be composed, or do not have separate folders.
        """
        before = self._composer.compose([job.overrides for job in self.manifest.jobs])
        for job, point in zip(self.manifest.jobs, before, strict=True):
            self._plan(job, point)
        asked = self._composer.compose(self._batch)
        if self.resumed:
            known = {job.fingerprint for job in self.manifest.jobs}
            asked = [point for point in asked if point.fingerprint not in known]
        self._points = dict(enumerate([*before, *asked]))
        differences = list(swept(list(self._points.values()), self.compositions))
        for job, difference in zip(self.manifest.jobs, differences, strict=False):
            job.swept = difference
        for number in range(len(before), len(self._points)):
            point = self._points[number]
            folder = self._job_folder(number, point, differences[number])
            job = Job(number, folder, point.overrides, differences[number], fingerprint=point.fingerprint)
            self.manifest.jobs.append(job)
            self.jobs.append(job)
            self._new.append(job)
        self._check_folders()
        # Labels of runs, as made by `overrides_label`, name only what differs between the jobs, and not what the user
        # has excluded.
        told = {text.lstrip("+~").partition("=")[0] for point in self._points.values() for text in point.overrides}
        excluded = self._config.hydra.job.config.override_dirname.exclude_keys
        self._left_out = sorted({*told.difference(*differences), *excluded})
        for composition in self.compositions:
            with flag_override(composition.hydra, ["readonly", "struct"], False):
                composition.hydra.hydra.job.config.override_dirname.exclude_keys = self._left_out

    def _check_folders(self) -> None:
        jobs = Counter(job.folder for job in self.manifest.jobs)
        wrong = next((name for name, count in jobs.items() if count > 1 or not is_folder_name(name)), None)
        if wrong is not None:
            raise SettingError(
                f"hydra.sweep.subdir gives {wrong!r}: each job needs a folder of its own, directly in the sweep's, "
                "such as ${hydra.job.num}."
            )

    def _plan(self, job: Job, point: Point) -> None:
        """Decide whether a job of a resumed sweep is run again, and whether from a checkpoint."""
        status = self._status(job)
        if status in KEPT or (status == "failed" and not self.settings.retry_failed):
            return
        self.jobs.append(job)
        has_begun = (self.resumed / job.folder / "config.yaml").is_file()
        if status in (None, "interrupted") and has_begun and job.fingerprint == point.fingerprint:
            self.begun.add(job.number)
        job.fingerprint, job.error, job.interrupted = point.fingerprint, None, False

    def _status(self, job: Job) -> str | None:
        """Return the status in results.json; ``failed`` if sweep.json has an error, None if the job has not ended."""
        if job.error:
            return "failed"
        try:
            return read_results(self.resumed / job.folder).get("status")
        except SettingError:
            return None

    def _job_folder(self, number: int, point: Point, difference: Iterable[str]) -> str:
        pattern = OmegaConf.to_container(self._config.hydra.sweep, resolve=False)["subdir"]
        if "job_folder:" in pattern:
            telling = [text for text in point.overrides if text.partition("=")[0].lstrip("+") in difference]
            return job_folder(number, telling, [])
        composition = self.compositions[point.composition]
        composition.set(point)
        with flag_override(composition.hydra, ["readonly", "struct"], False):
            composition.hydra.hydra.job.update(id=str(number), num=number)
        return str(composition.hydra.hydra.sweep.subdir)

    def report(self, problems: dict[int, str]) -> None:
        """Raise an error that lists all invalid points, if there are any.

        Args:
            problems: an error message for each job, by number; empty if its settings are valid.

        Raises:
            SettingError: at least one message is not empty.
        """
        found: dict[str, list[str]] = {}
        for number, problem in problems.items():
            if problem:
                found.setdefault(problem, []).append(" ".join(self._points[number].overrides))
        if not found:
            return
        lines = []
        for problem, where in found.items():
            lines.append(problem)
            if len(where) < len(problems):
                lines += [f"  at {one}" for one in where[:3]]
                lines += [f"  and {len(where) - 3:,} more"] if len(where) > 3 else []
        raise SettingError("\n".join([*lines, "Nothing was trained."]))

    @property
    def asked_objective(self) -> str | None:
        """Given objective that only new jobs can have; None if none was given, or if the sweep is resumed."""
        return None if self.resumed else self.settings.objective

    def check_objective(self, expected: Iterable[Expected | None]) -> None:
        """Check that a job will measure the given objective.

        Args:
            expected: the metrics that each job will measure; None if unknown.

        Raises:
            SettingError: no job will measure it.
        """
        if wrong := unmeasured_objective(self.settings.objective, list(expected)):
            raise SettingError(f"{wrong}\nNothing was trained.")

    @cached_property
    def folder(self) -> Path:
        """Folder of the sweep; that of a new sweep is named and created at the first access."""
        if self.resumed:
            return self.resumed
        self._name_after_choices()
        HydraConfig.instance().set_config(self._config)
        folder = user_path(self._config.hydra.sweep.dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def open(self) -> None:
        """Check that no files are in the way of new jobs, and point the link ``latest`` to the folder of a new sweep.

        Raises:
            SettingError: the folder contains another sweep, or a file or folder with the name of a new job's folder.
        """
        place = os.path.relpath(self.folder)
        if not self.resumed and (self.folder / FILE).exists():
            raise SettingError(
                f"{place} already holds a sweep. Give this one another hydra.sweep.dir, or go on with that one: "
                f"python train.py resume={place}"
            )
        for job in self._new:
            if os.path.lexists(self.folder / job.folder):
                raise SettingError(
                    f"{os.path.join(place, job.folder)} is there already, and no part of this sweep. "
                    "Move it away, or give the sweep another hydra.sweep.dir."
                )
        if not self.resumed:
            make_latest(self.folder, started(self.folder))

    def prepare_for_hydra(self) -> list[list[str]]:
        """Return the overrides of each job for one of Hydra's launchers, which composes them itself.

        The folders of earlier attempts that are not resumed are removed.
        """
        with flag_override(self._config.hydra, ["readonly", "struct"], False):
            self._config.hydra.sweep.dir = str(self.folder)
        batch = []
        for job in self.jobs:
            folder = self.folder / job.folder
            placed = [f"hydra.sweep.dir={path_value(self.folder)}", f"hydra.sweep.subdir={job.folder}"]
            placed.append(f"hydra.job.config.override_dirname.exclude_keys={typed(self._left_out)}")
            if job.number in self.begun:
                placed += [f"resume={path_value(folder)}", f"trust={shown(self.trusted)}"]
            elif folder.exists():
                with occupied(folder):
                    shutil.rmtree(folder)
            batch.append([*job.overrides, *placed])
        return batch

    def _name_after_choices(self) -> None:
        """Replace the choice of each swept group by the names of all its choices, for the name of the folder."""
        with flag_override(self._config.hydra.runtime, ["readonly", "struct"], False):
            for group in ("model", "experiment"):
                found = dict.fromkeys(str(job.swept[group]) for job in self.manifest.jobs if group in job.swept)
                if found:
                    self._config.hydra.runtime.choices[group] = "-".join(found)[:LONGEST_NAME]

    def greeting(self, workers: int, threads: int) -> list[str]:
        """Return the lines shown at the start of a sweep: its jobs, its folder and the resources of the workers.

        Args:
            workers: number of worker processes.
            threads: number of threads of each worker.
        """
        of, jobs = len(self.manifest.jobs), len(self.jobs)
        names = list(dict.fromkeys(name for job in self.manifest.jobs for name in job.swept))
        over = f" over {', '.join(names)}" if names else ""
        lines = [f"Sweep of {count_text(of, 'job')}{over}: {os.path.relpath(self.folder)}"]
        if self.resumed:
            begun = f", {len(self.begun)} of them from where they were" if self.begun else ""
            lines.append(f"{count_text(of - jobs, 'job')} kept, {jobs:,} to run{begun}.")
        if jobs:
            lines.append(f"{count_text(min(workers, jobs), 'job')} at once, {count_text(threads, 'thread')} each.")
        return lines


def count_text(number: int, name: str) -> str:
    """Return a number of things as text: ``1 job``, ``1,000 jobs``."""
    return f"{number:,} {name}{'s' * (number != 1)}"
