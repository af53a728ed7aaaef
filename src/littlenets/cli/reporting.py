"""Reports: from the folders of runs to what a reader wants to know of them."""

import logging

from omegaconf import DictConfig

log = logging.getLogger(__name__)


def report(config: DictConfig) -> None:
    """Writes the tables and figures of a sweep into its folder, or, where none is named, the page on the article.

    Raises:
        SettingError: there is no such sweep, or no run in it has the objective that was asked for; for the page, there
            is no such experiment, or none has a setting that is to be passed on.
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
