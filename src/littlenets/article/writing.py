"""Write the report: run or reuse the experiments according to the settings of report.py, and write the page."""

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

# Folder of runs and sweeps, as in conf/hydra/default.yaml.
OUTPUTS = Path("outputs")
SETTINGS = {"experiments": list[str] | None, "reuse": bool, "overrides": list[str]}
#: All experiments on the page, in the page's order.
EXPERIMENTS = tuple(dict.fromkeys(statement.experiment for statement in STATEMENTS))


def write_article(config: DictConfig) -> Path:
    """Run or reuse the experiments and write the page, with gaps for experiments that could not be run.

    Args:
        config: configuration of ``conf/report.yaml``.

    Returns:
        The page's file.

    Raises:
        SettingError: an experiment does not exist, no experiment has a setting named in ``overrides``, or the folder of
            the page cannot be created.
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
    """Create a folder, before hours of training instead of after them, so that an error shows at once."""
    folder = user_path(value)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"{setting}={folder}: there can be no such folder: {error.strerror}.") from error
    return folder


def _configuration() -> Path:
    """Return the folder conf/ with which Hydra was started; train.py is beside it."""
    return next(Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.provider == "main")


def _write_small(outcomes: dict[str, Outcome], folder: Path) -> None:
    found = {name: figure_of(outcomes[experiment].records, figure) for name, experiment, figure in README_FIGURES}
    written: Sequence[Path] = write_small({name: file for name, file in found.items() if file}, folder)
    for name in (name for name, file in found.items() if file is None):
        log.warning("There is no picture for %s/%s.png.", folder, name)
    log.info("%d small pictures in %s", len(written), folder)
