"""A sweep from its command line to its tables: points, checks, jobs, summary."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, flag_override

from ..command import JobFailedError
from ..errors import SettingError
from ..runs.files import point_link
from ..runs.folder import job_folder
from .grid import expand
from .manifest import FILE, Job, Manifest
from .points import Composition, Point, Points, swept
from .settings import SweepSettings

# Of runs/results.py; what is kept when a sweep is resumed.
KEPT = ("completed", "diverged")


class Sweep:
    """The points of a sweep, and the jobs that come of them.

    Args:
        overrides: what the command line and ``hydra.sweeper.params`` say, values to sweep over included.
        config: composed with what is the same for all jobs; its ``hydra.sweep.dir`` makes the folder.
        loader: Hydra's.
    """

    def __init__(self, overrides: Sequence[str], config: DictConfig, loader: ConfigLoader) -> None:
        self.config = config
        self.settings = SweepSettings.read(config)
        self._loader = loader
        self._composer = Points(loader, config)
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
        self._batch = expand([override for override in parsed if override.key_or_group != "resume"], self.settings.zip)
        self._composer.compose(self._batch[:1])

    def compose(self) -> None:
        """Raises SettingError where points cannot be composed."""
        self.points = self._composer.compose(self._batch)

    @property
    def compositions(self) -> list[Composition]:
        return self._composer.compositions

    def report(self, problems: Sequence[str]) -> None:
        """Raises SettingError where there are any: one problem for each point, empty where there is none."""
        found: dict[str, list[Point]] = {}
        for point, problem in zip(self.points, problems, strict=True):
            if problem:
                found.setdefault(problem, []).append(point)
        if found:
            messages = [f"{problem}{_points(points, len(self.points))}" for problem, points in found.items()]
            raise SettingError("\n".join([*messages, "Nothing was trained."]))

    def open(self) -> None:
        """Makes the folder and its sweep.json."""
        _name_after_choices(self.config, self.points)
        HydraConfig.instance().set_config(self.config)
        self.folder = Path(OmegaConf.select(self.config, "hydra.sweep.dir")).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / FILE).exists():
            raise SettingError(
                f"{os.path.relpath(self.folder)} already holds a sweep. Give this one another hydra.sweep.dir, "
                f"or go on with that one: python train.py resume={os.path.relpath(self.folder)}"
            )
        self.manifest = Manifest(sys.argv[1:], self.settings.objective, self.settings.direction)
        differences = list(swept(self.points, self.compositions))
        for number, (point, difference) in enumerate(zip(self.points, differences, strict=True)):
            folder = self._job_folder(number, point, difference)
            self.manifest.jobs.append(Job(number, folder, point.overrides, difference, fingerprint=point.fingerprint))
        self.manifest.write(self.folder)
        point_link(self.folder.parent / "latest", self.folder)

    def _job_folder(self, number: int, point: Point, difference: dict[str, object]) -> str:
        pattern = OmegaConf.to_container(self.config.hydra.sweep, resolve=False)["subdir"]
        if "job_folder:" in pattern:
            telling = [text for text in point.overrides if text.partition("=")[0].lstrip("+") in difference]
            return job_folder(number, telling, [])
        composition = self.compositions[point.composition]
        composition.set(point)
        with flag_override(composition.hydra, ["readonly", "struct"], False):
            composition.hydra.hydra.job.update(id=str(number), num=number)
        return str(composition.hydra.hydra.sweep.subdir)

    def status(self, job: Job) -> str | None:
        """What results.json says of a job; None where it has not been written."""
        try:
            return json.loads((self.folder / job.folder / "results.json").read_text())["status"]
        except (OSError, ValueError, KeyError):
            return None

    def finish(self, interrupted: bool) -> None:
        """Writes the tables and figures, prints the summary, and raises where not all is well."""
        from .summary import write_summary

        lines = write_summary(self.folder).lines()
        print("", *lines, sep="\n")
        if interrupted:
            print(f"\nGo on with  python train.py resume={os.path.relpath(self.folder)}")
            raise KeyboardInterrupt
        failed = [job for job in self.manifest.jobs if job.error or self.status(job) == "failed"]
        if failed:
            raise JobFailedError(
                f"{len(failed)} of {len(self.manifest.jobs)} jobs failed; each has its traceback in its train.log."
            )


def run_in_workers(sweep: Sweep, jobs: int | None) -> None:
    """All of it, with worker processes that check and train the points."""
    # Each of these costs tenths of a second.
    from . import worker
    from .cores import share_out
    from .live import open_view
    from .pool import Workers, import_ahead
    from .running import Running

    import_ahead()
    sweep.compose()
    share = share_out(jobs, [point.settings for point in sweep.points])
    workers = Workers(share, sweep.compositions)
    try:
        bare = [replace(point, settings={}) for point in sweep.points]
        parts = [bare[first :: share.workers] for first in range(share.workers)]
        checks = [workers.submit(worker.check, part) for part in parts]
        problems = [""] * len(bare)
        for first, check in enumerate(checks):
            problems[first :: share.workers] = check.result()
        sweep.report(problems)
        sweep.open()
        numbered = dict(enumerate(bare))
        settings = {number: point.settings for number, point in enumerate(sweep.points)}
        print(_greeting(sweep, share.workers, share.threads))
        view = open_view(sweep.folder, len(sweep.manifest.jobs), settings)
        running = Running(sweep.folder, sweep.manifest, numbered, workers, view, sweep.settings.on_error)
        try:
            running.run(sweep.manifest.jobs, set())
        finally:
            view.close()
    finally:
        workers.close()
    sweep.finish(running.interrupted)


def run_by(sweep: Sweep, launch: Callable[[list[list[str]], int], object]) -> None:
    """All of it, with one of Hydra's own launchers, which compose each job themselves.

    Args:
        launch: takes the overrides of all jobs, and the number of the first.
    """
    sweep.compose()
    from ..config.check import check

    problems = []
    for point in sweep.points:
        try:
            check(sweep.compositions[point.composition].set(point))
            problems.append("")
        except SettingError as error:
            problems.append(str(error))
    sweep.report(problems)
    sweep.open()
    for job in sweep.manifest.jobs:
        job.attempts = 1
    sweep.manifest.write(sweep.folder)
    interrupted = False
    try:
        launch([[*job.overrides, f"hydra.sweep.subdir={job.folder}"] for job in sweep.manifest.jobs], 0)
    except KeyboardInterrupt:
        interrupted = True
    sweep.finish(interrupted)


def _greeting(sweep: Sweep, workers: int, threads: int) -> str:
    jobs = len(sweep.manifest.jobs)
    names = list(dict.fromkeys(name for job in sweep.manifest.jobs for name in job.swept))
    over = f" over {', '.join(names)}" if names else ""
    at_once = f", {workers} at once" if workers > 1 else ""
    return (
        f"Sweep of {jobs:,} job{'s' * (jobs != 1)}{over}{at_once}, "
        f"{threads} thread{'s' * (threads != 1)} each: {os.path.relpath(sweep.folder)}"
    )


def _points(points: Sequence[Point], of: int) -> str:
    """Which ones a problem concerns, where it is not all of them."""
    if len(points) == of:
        return ""
    shown = "; ".join(" ".join(point.overrides) for point in points[:3])
    more = f"; and {len(points) - 3} more" if len(points) > 3 else ""
    return f"\n  at {shown}{more}"


def _name_after_choices(config: DictConfig, points: Sequence[Point]) -> None:
    """Where a group is swept, its choice for the whole sweep is all of them."""
    choices = config.hydra.runtime.choices
    with flag_override(config.hydra.runtime, ["readonly", "struct"], False):
        for group in ("model", "experiment"):
            found = dict.fromkeys(str(point.assignments.get(group)) for point in points)
            if len(found) > 1:
                choices[group] = "-".join(found)[:60]
