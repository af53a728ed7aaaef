"""A sweep from its command line to its jobs: what is asked for, what of it is done, what is left to run."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, flag_override

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
from .settings import SweepSettings

# Of results.json: a job that ended like this is never run again.
KEPT = ("completed", "diverged")
# A name that `ls` shows in one line.
LONGEST_NAME = 60


class Sweep:
    """The points that a command asks for, and the jobs that come of them.

    Args:
        overrides: what the command line and ``hydra.sweeper.params`` say, values to sweep over included.
        config: composed with what is the same for all points. Its ``resume`` is the folder of a sweep to go on with,
            or None; its ``hydra.sweep.dir`` makes the folder of a new one.
        loader: Hydra's.

    Raises:
        SettingError: what is asked for cannot be.
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
        # A mistake in what all points have in common is told before anything is started.
        self._composer.compose(self._batch[:1])
        self.manifest = self._saved_manifest(loader) if self.resumed else Manifest(sys.argv[1:])
        self.manifest.objective = self.settings.objective or self.manifest.objective
        self.manifest.direction = self.settings.direction or self.manifest.direction
        #: Those to run.
        self.jobs: list[Job] = []
        #: The numbers of those of them that go on from a checkpoint.
        self.begun: set[int] = set()
        self._new: list[Job] = []

    def _saved_manifest(self, loader: ConfigLoader) -> Manifest:
        """The manifest in the folder of the sweep, all of whose jobs can be composed safely."""
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
        return self._composer.compositions

    @property
    def trusted(self) -> list[str] | None:
        """What sweep.json may name from outside the package; None where all was typed, and may be named."""
        return OmegaConf.to_container(self._config.trust, resolve=True) if self.resumed else None

    @property
    def points(self) -> dict[int, Point]:
        """What each of `jobs` trains, by its number."""
        return {job.number: self._points[job.number] for job in self.jobs}

    def compose(self) -> None:
        """Finds out what is to be run, and writes nothing.

        Raises:
            SettingError: points that cannot be composed, or have no folders of their own.
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

    def _check_folders(self) -> None:
        jobs = Counter(job.folder for job in self.manifest.jobs)
        wrong = next((name for name, count in jobs.items() if count > 1 or not is_folder_name(name)), None)
        if wrong is not None:
            raise SettingError(
                f"hydra.sweep.subdir gives {wrong!r}: each job needs a folder of its own, directly in the sweep's, "
                "such as ${hydra.job.num}."
            )

    def _plan(self, job: Job, point: Point) -> None:
        """Decides about a job of a sweep that is gone on with."""
        status = self._status(job)
        if status in KEPT or (status == "failed" and not self.settings.retry_failed):
            return
        self.jobs.append(job)
        has_begun = (self.resumed / job.folder / "config.yaml").is_file()
        if status in (None, "interrupted") and has_begun and job.fingerprint == point.fingerprint:
            self.begun.add(job.number)
        job.fingerprint, job.error, job.interrupted = point.fingerprint, None, False

    def _status(self, job: Job) -> str | None:
        """What results.json says; failed where a job was lost, and None where it has not come to an end."""
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
        """Raises SettingError where there are any.

        Args:
            problems: what is wrong with a job's settings, by its number; empty where nothing is.
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
        """The metric that was asked for, where only the jobs to run can have it."""
        return None if self.resumed else self.settings.objective

    def check_objective(self, expected: Iterable[Expected | None]) -> None:
        """Raise SettingError where no job is going to measure what was asked for.

        Args:
            expected: what each job measures; None where that cannot be known.
        """
        if wrong := unmeasured_objective(self.settings.objective, list(expected)):
            raise SettingError(f"{wrong}\nNothing was trained.")

    @cached_property
    def folder(self) -> Path:
        """The sweep's folder; that of a new one is named and made when it is first asked for."""
        if self.resumed:
            return self.resumed
        self._name_after_choices()
        HydraConfig.instance().set_config(self._config)
        folder = user_path(self._config.hydra.sweep.dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def open(self) -> None:
        """Make sure that the folder is free for the new jobs, and point the link ``latest`` to that of a new sweep.

        Raises:
            SettingError: there is something in the folder that this sweep would destroy.
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
        """The overrides of each job for one of Hydra's launchers, which composes them itself.

        Removes what is left of attempts that came to nothing.
        """
        with flag_override(self._config.hydra, ["readonly", "struct"], False):
            self._config.hydra.sweep.dir = str(self.folder)
        batch = []
        for job in self.jobs:
            folder = self.folder / job.folder
            placed = [f"hydra.sweep.dir={path_value(self.folder)}", f"hydra.sweep.subdir={job.folder}"]
            if job.number in self.begun:
                placed += [f"resume={path_value(folder)}", f"trust={shown(self.trusted)}"]
            elif folder.exists():
                with occupied(folder):
                    shutil.rmtree(folder)
            batch.append([*job.overrides, *placed])
        return batch

    def _name_after_choices(self) -> None:
        """Where a group is swept, its choice for the whole sweep is all of them."""
        with flag_override(self._config.hydra.runtime, ["readonly", "struct"], False):
            for group in ("model", "experiment"):
                found = dict.fromkeys(str(job.swept[group]) for job in self.manifest.jobs if group in job.swept)
                if found:
                    self._config.hydra.runtime.choices[group] = "-".join(found)[:LONGEST_NAME]

    def greeting(self, workers: int, threads: int) -> list[str]:
        """What a person wants to know before the first job has ended."""
        of, jobs = len(self.manifest.jobs), len(self.jobs)
        names = list(dict.fromkeys(name for job in self.manifest.jobs for name in job.swept))
        over = f" over {', '.join(names)}" if names else ""
        lines = [f"Sweep of {_count(of, 'job')}{over}: {os.path.relpath(self.folder)}"]
        if self.resumed:
            begun = f", {len(self.begun)} of them from where they were" if self.begun else ""
            lines.append(f"{_count(of - jobs, 'job')} kept, {jobs:,} to run{begun}.")
        if jobs:
            lines.append(f"{_count(min(workers, jobs), 'job')} at once, {_count(threads, 'thread')} each.")
        return lines


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'s' * (number != 1)}"
