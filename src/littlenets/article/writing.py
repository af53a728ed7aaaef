"""From the settings of report.py to the page: which experiments are run or reused, and what is written where."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ..config.check import check_settings
from ..errors import SettingError
from ..runs.files import user_path, write_atomically
from .experiments import Outcome, check_names, compose_experiments, provide
from .illustrations import README_FIGURES, figure_of, write_small
from .page import judge_all, render
from .statements import STATEMENTS

log = logging.getLogger(__name__)

# Where conf/hydra/default.yaml puts runs and sweeps.
OUTPUTS = Path("outputs")
SETTINGS = {"experiments": list[str] | None, "reuse": bool, "overrides": list[str]}
#: Every experiment that the page tells of, in the order of its story.
EXPERIMENTS = tuple(dict.fromkeys(statement.experiment for statement in STATEMENTS))


def write_article(config: DictConfig) -> Path:
    """Runs or reuses the experiments, and writes the page; what could not be run is a gap in it.

    Args:
        config: that of ``conf/report.yaml``.

    Returns:
        The page's file.

    Raises:
        SettingError: there is no such experiment, none has a setting that is to be passed on, or there is no place for
            the page.
    """
    check_settings(config, SETTINGS)
    wanted = EXPERIMENTS if config.experiments is None else tuple(config.experiments)
    check_names(wanted, EXPERIMENTS)
    experiments = compose_experiments(EXPERIMENTS, list(config.overrides))
    page = _folder("output", config.output) / "index.html"
    docs_images = None if config.docs_images is None else _folder("docs_images", config.docs_images)
    script = _configuration().parent / "train.py"
    outcomes = {
        experiment.name: provide(experiment, OUTPUTS, script, reuse=config.reuse, run=experiment.name in wanted)
        for experiment in experiments
    }
    judged = judge_all(outcomes)
    write_atomically(page, render(outcomes, judged))
    counts = Counter(one.word for one in judged)
    log.info("\n%d statements. %s", len(judged), ", ".join(f"{word}: {count}" for word, count in counts.items()))
    for one in judged:
        if one.verdict.holds is not True:
            log.info("  %s: %s (%s)", one.word, one.statement.text, one.verdict.value)
    if docs_images is not None:
        _write_small(outcomes, docs_images)
    log.info("Report   %s", os.path.relpath(page))
    return page


def _folder(setting: str, value: Any) -> Path:
    """Makes it, before hours of training and not after them."""
    folder = user_path(value)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"{setting}={folder}: there can be no such folder: {error.strerror}.") from error
    return folder


def _configuration() -> Path:
    """The folder conf/ that Hydra was started with, beside which train.py is."""
    return next(Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.provider == "main")


def _write_small(outcomes: dict[str, Outcome], folder: Path) -> None:
    found = {name: figure_of(outcomes[experiment].records, figure) for name, experiment, figure in README_FIGURES}
    written: Sequence[Path] = write_small({name: file for name, file in found.items() if file}, folder)
    for name in (name for name, file in found.items() if file is None):
        log.warning("There is no picture for %s/%s.png.", folder, name)
    log.info("%d small pictures in %s", len(written), folder)
