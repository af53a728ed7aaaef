"""What train.py and its siblings share: how a command ends when something is wrong.

Hydra composes the configuration and calls the job; here its errors and ours become one message and an exit code:
2 for what the user can mend, 1 for a failure, 130 for Ctrl-C.
"""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from .config import resolvers
from .errors import DivergedError, SettingError
from .runs.files import point_link

resolvers.register()


class JobFailed(Exception):
    """A job failed, and has said so in its own log."""


def job(function: Callable[[DictConfig, Path], Any]) -> Callable[[DictConfig], Any]:
    """Gives a job its folder, and keeps its errors apart from Hydra's own."""

    @functools.wraps(function)
    def with_folder(config: DictConfig) -> Any:
        hydra = HydraConfig.get()
        single = hydra.mode is not RunMode.MULTIRUN
        folder = Path(hydra.runtime.output_dir)
        if single:
            point_link(folder.parent / "latest", folder)
        try:
            return function(config, folder)
        except SettingError as error:
            if not single:
                raise  # Hydra goes on with the next job
            # Past Hydra, which would print a line of its own above it.
            raise SystemExit(_complain(str(error), 2)) from None
        except Exception as error:
            if "HYDRA_FULL_ERROR" in os.environ and _full_error_wanted:
                raise
            message = str(error)
            if not isinstance(error, DivergedError):
                message = f"{type(error).__name__}: {error}\nThe traceback is in {folder}/train.log"
            if not single:
                raise JobFailed(message) from error
            raise SystemExit(_complain(message, 1)) from None

    return with_folder


_full_error_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"


def run(main: Callable[[], Any]) -> None:
    """Calls a function that ``hydra.main`` has wrapped, and exits with a message where its configuration is wrong."""
    # So that Hydra raises its errors instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except (SettingError, HydraException, OmegaConfBaseException) as error:
        if _full_error_wanted:
            raise
        cause = error.__cause__
        message = f"{error}\n{cause}" if isinstance(cause, OmegaConfBaseException) else str(error)
        sys.exit(_complain(message, 2))
    except JobFailed as error:
        sys.exit(_complain(str(error), 1))
    except KeyboardInterrupt:
        sys.exit(_complain("Interrupted.", 130))


def _complain(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code
