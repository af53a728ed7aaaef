"""Create reports from the folders of runs and sweeps."""

import logging

from omegaconf import DictConfig

log = logging.getLogger(__name__)


def report(config: DictConfig) -> None:
    """Write the tables and figures of a sweep into its folder, or the article page if no sweep is given.

    Raises:
        SettingError: there is no such sweep, or none of its runs has the requested objective; for the page, there is no
            such experiment, or none of them has a setting that was given for the experiments.
    """
    if config.sweep is None:
        from ..article.writing import write_article

        write_article(config)
        return
    from ..config.trust import check_links
    from ..runs.files import user_path
    from ..sweeps.summary import write_summary

    folder = user_path(config.sweep)
    check_links(folder)
    summary = write_summary(folder, config.objective, config.direction)
    if summary.table.problem:
        raise summary.table.problem
    log.info("\n".join(summary.lines()))
