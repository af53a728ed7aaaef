"""Reports: from the folders of runs to what a reader wants to know of them."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from .errors import SettingError
from .sweeps.summary import write_summary

log = logging.getLogger(__name__)


def report(config: DictConfig) -> None:
    """Writes the tables and figures of a sweep into its folder, and says what is in them.

    Raises:
        SettingError: there is no such sweep, or no run in it has the objective that was asked for.
    """
    if config.sweep is None:
        raise SettingError("Of which sweep? Name its folder: sweep=outputs/sweeps/...")
    summary = write_summary(Path(str(config.sweep)), config.objective, config.direction)
    log.info("\n".join(summary.lines()))
