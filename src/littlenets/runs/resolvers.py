"""OmegaConf resolvers for the YAML files, in addition to those of OmegaConf and Hydra."""

import sys

from omegaconf import OmegaConf

from ..config import help_page
from .folder import job_folder, name_run_folder, new_run_folder


def register(make_folders: bool = False) -> None:
    """Register the resolvers. This may be called several times, as in notebooks and tests.

    Args:
        make_folders: whether ``new_run_folder`` creates the folder, which is for commands that start a run. Otherwise
            it only returns a name.
    """
    # Cached, so that all uses in a configuration return the same folder.
    OmegaConf.register_new_resolver(
        "new_run_folder", new_run_folder if make_folders else name_run_folder, replace=True, use_cache=True
    )
    OmegaConf.register_new_resolver(
        "first_of", lambda *values: next((value for value in values if value is not None), None), replace=True
    )
    OmegaConf.register_new_resolver(
        "job_folder", lambda number, overrides: job_folder(number, overrides, sys.argv[1:]), replace=True
    )
    OmegaConf.register_new_resolver("help_choices", help_page.choices, replace=True)
    OmegaConf.register_new_resolver("help_setting", help_page.setting, replace=True)
