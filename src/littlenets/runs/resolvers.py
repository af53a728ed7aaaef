"""What ``${...}`` can do in the YAML files beyond what OmegaConf and Hydra bring."""

import sys

from omegaconf import OmegaConf

from ..config import help_page
from .folder import job_folder, name_run_folder, new_run_folder


def register(make_folders: bool = False) -> None:
    """Safe to call more than once, as notebooks and tests do.

    Args:
        make_folders: whether asking for the folder of a new run makes it, which is for commands that are about to run;
            others only see what it would be called.
    """
    # Cached, so that all who ask for a run's folder get the same.
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
