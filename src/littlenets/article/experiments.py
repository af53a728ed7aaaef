"""Provide the runs of the experiments on the page: find existing ones or start new ones."""

import itertools
import logging
import os
import shlex
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ..config.mistakes import in_words
from ..config.suggestions import nearest
from ..errors import SettingError
from ..runs.saved import read_config
from .measured_runs import Record

log = logging.getLogger(__name__)

# Parts of the configuration that determine a run's results. A run with other settings in these parts does not belong to
# the experiment.
DECISIVE = ("seed", "trainer", "data", "optimizer", "scheduler", "model", "also_test")
# Number of output lines shown for a command that failed.
LAST_LINES = 4


@dataclass
class Experiment:
    """A choice of ``conf/experiment/``.

    Args:
        name: name of the choice.
        overrides: further overrides of its command, the same for all its runs.
        config: the composed configuration.
        jobs: for each run, its own overrides; a single empty list if the experiment is not a sweep.
    """

    name: str
    overrides: list[str]
    config: DictConfig
    jobs: list[list[str]]

    @property
    def arguments(self) -> list[str]:
        return [f"experiment={self.name}", *self.overrides]

    @property
    def command(self) -> str:
        return shlex.join(["python", "train.py", *self.arguments])

    @property
    def is_sweep(self) -> bool:
        return self.jobs != [[]]


@dataclass
class Outcome:
    """The runs of an experiment, or the reason why there are none.

    Args:
        experiment: the experiment.
        records: its runs, in the order of `Experiment.jobs`; empty if there is a problem.
        problem: why there are no runs.
    """

    experiment: Experiment
    records: list[Record] = field(default_factory=list)
    problem: str = ""


def compose_experiments(names: Iterable[str], overrides: Sequence[str]) -> list[Experiment]:
    """Compose the experiments, each with those of the overrides for which it has a setting.

    Hydra must be initialized with this project's configuration.

    Args:
        names: names of the experiments.
        overrides: overrides for all experiments.

    Raises:
        SettingError: an override is invalid, or no experiment has a setting for it.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise SettingError(f"overrides: {in_words(error)}") from error
    experiments, used = [], set()
    for name in names:
        plain = compose("train", [f"experiment={name}"], return_hydra_config=True)
        fitting = [
            override.input_line
            for override in parsed
            if override.is_add() or OmegaConf.select(plain, override.key_or_group, default=_ABSENT) is not _ABSENT
        ]
        used.update(fitting)
        try:
            config = compose("train", [f"experiment={name}", *fitting]) if fitting else plain
        except HydraException as error:
            raise SettingError(f"overrides: {in_words(error)}") from error
        params = (plain.hydra.sweeper.params or {}) if plain.hydra.mode is RunMode.MULTIRUN else {}
        experiments.append(Experiment(name, fitting, config, _jobs(params)))
    if unused := [override for override in overrides if override not in used]:
        raise SettingError(f"No experiment has a setting for {', '.join(unused)} of overrides.")
    return experiments


_ABSENT = object()


def _jobs(params: DictConfig | dict[str, Any]) -> list[list[str]]:
    """Return the overrides of each job: all combinations of the values that an experiment sweeps over."""
    swept = OverridesParser.create().parse_overrides([f"{key}={values}" for key, values in params.items()])
    # Hydra's parser does not treat a single value as a sweep.
    values = [
        [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [override.input_line]
        for override in swept
    ]
    return [list(job) for job in itertools.product(*values)]


def check_names(wanted: Iterable[str], known: Sequence[str]) -> None:
    """Raise SettingError if ``wanted`` contains a name that is not in ``known``."""
    for name in wanted:
        if name not in known:
            near = nearest(name, known)
            raise SettingError(
                f"experiments: there is no experiment {name}"
                + (f"; did you mean {near}?" if near else f". There are {', '.join(known)}.")
            )


def find_records(experiment: Experiment, outputs: Path) -> list[Record]:
    """Return the newest finished runs of exactly the experiment's command; an empty list if there are none.

    A run or sweep counts if its settings are equal to the experiment's current settings, and if each of its runs
    completed or, in a sweep, diverged.

    Args:
        experiment: the experiment.
        outputs: folder of runs and sweeps.
    """
    depth = "sweeps/*/*/*/results.json" if experiment.is_sweep else "runs/*/*/results.json"
    found: dict[Path, dict[tuple[str, ...], Record]] = defaultdict(dict)
    for file in outputs.glob(depth):
        folder = file.parent
        if folder.is_symlink():
            continue
        try:
            record = Record(folder)
            overrides = tuple(sorted(record.results["overrides"]))
        except (SettingError, KeyError, TypeError):
            continue  # damaged files: ignore this run
        found[folder.parent if experiment.is_sweep else folder][overrides] = record
    wanted = [tuple(sorted([*experiment.arguments, *job])) for job in experiment.jobs]
    # The folders' names begin with the time, so sort them by name.
    for folder in sorted(found, key=lambda folder: folder.name, reverse=True):
        records = found[folder]
        if set(records) == set(wanted) and all(
            _is_current(records[overrides], experiment, job)
            for overrides, job in zip(wanted, experiment.jobs, strict=True)
        ):
            return [records[overrides] for overrides in wanted]
    return []


def _is_current(record: Record, experiment: Experiment, job: list[str]) -> bool:
    if record.status != "completed" and not (experiment.is_sweep and record.status == "diverged"):
        return False
    try:
        saved = read_config(record.folder)
    except (SettingError, OSError):
        return False
    config = compose("train", [*experiment.arguments, *job]) if job else experiment.config
    # Do not compare the data if it was a stand-in for unavailable data.
    stood_in = (saved.origin or {}).get("stand_in_for") is not None
    return all(
        OmegaConf.select(saved, part) == OmegaConf.create({part: _plain(config, part)})[part]
        for part in DECISIVE
        if part in config and not (part == "data" and stood_in)
    )


def _plain(config: DictConfig, part: str) -> Any:
    value = config[part]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def provide(experiment: Experiment, outputs: Path, script: Path, *, reuse: bool, run: bool) -> Outcome:
    """Return the experiment's runs: existing ones, or new ones made by its command, whose output is shown.

    Args:
        experiment: the experiment.
        outputs: folder of runs and sweeps.
        script: path of train.py.
        reuse: whether existing runs may be used.
        run: whether new runs may be started.
    """
    if reuse and (records := find_records(experiment, outputs)):
        log.info("%s: reuses %s", experiment.name, _place(records))
        return Outcome(experiment, records)
    if not run:
        return Outcome(experiment, problem="It has not been run.")
    log.info("\n%s: runs %s", experiment.name, experiment.command)
    before = {record.folder for record in find_records(experiment, outputs)}
    code, last_lines = _run(script, experiment.arguments)
    records = find_records(experiment, outputs)
    # Check the runs instead of the exit code, which is 1 if a single run diverged.
    if records and not before & {record.folder for record in records}:
        return Outcome(experiment, records)
    problem = f"Its command ended with code {code}, and said: {' '.join(last_lines)}"
    log.warning("%s: there is nothing to report. %s", experiment.name, problem)
    return Outcome(experiment, problem=problem)


def _place(records: list[Record]) -> str:
    folder = records[0].folder
    return os.path.relpath(folder if len(records) == 1 else folder.parent)


def _run(script: Path, arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Run train.py, print its output, and return its exit code and its last lines."""
    # Remove a variable that littlenets.command.run sets for this process; it would make the child print stack traces.
    environment = {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    ) as process:
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            if line.strip():
                last_lines.append(line.strip())
    return process.returncode, list(last_lines)
