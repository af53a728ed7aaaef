"""Error handling and exit codes shared by train.py and the other commands.

Hydra composes the configuration and calls the job. Errors of both are printed as one message, and the exit code is
2 for errors the user can fix, 1 for failures, and 130 for Ctrl-C.
"""

import errno
import functools
import inspect
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..config.overrides import expand_home, typed
from ..config.trust import check_links
from ..console.streams import keep_streams
from ..console.text import printable
from ..errors import DivergedError, JobFailedError, RemovedError, SettingError, StoppedError
from ..parallel.processes import ProcessError
from ..parallel.ranks import is_other_rank, started_by
from ..runs import resolvers
from ..runs.files import NO_ROOM, Presence, user_path
from ..runs.folder import is_untouched, occupied, remove_run_folder
from ..runs.log import traceback_log, written_to
from ..runs.saved import find_folder
from ..sweeps.resuming import expand_resume

resolvers.register()

log = logging.getLogger(__name__)

TRACEBACK_HINT = "\n(HYDRA_FULL_ERROR=1 shows the traceback.)"

_tracebacks_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"


def _stop(number: int, frame: Any) -> None:
    raise StoppedError(number)


def job(function: Callable[[DictConfig, Path], Any]) -> Callable[[DictConfig], Any]:
    """Decorate a job: occupy its run folder and turn its errors into a message and an exit code.

    No other process can use the folder meanwhile. If a new run is rejected before its first step, or interrupted during
    setup, its folder is removed. If a run is rejected because the folder holds another run, that run is left as it is.
    In a sweep, where other jobs follow, the message is logged and an error is raised, so that Hydra records the
    failure.
    """

    @functools.wraps(function)
    def with_folder(config: DictConfig) -> Any:
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        if is_other_rank():
            return _follow(function, config, folder)
        sweep = hydra.mode is RunMode.MULTIRUN
        new = not sweep and config.get("resume") is None
        signal.signal(signal.SIGTERM, _stop)
        # Set once the folder is occupied and checked; before that, nothing may be written to it or removed from it.
        taken: Presence | None = None
        made_for_it = False
        with ExitStack() as held:
            try:
                presence = held.enter_context(occupied(folder, make=new))
                if new and (folder / "config.yaml").is_file():
                    raise SettingError(f"{folder} holds a run, which resume={os.path.relpath(folder)} goes on with.")
                made_for_it = new and is_untouched(folder)
                held.enter_context(written_to(folder / "train.log"))
                taken = presence
                return function(config, folder)
            except KeyboardInterrupt as stopped:
                if sweep:
                    raise
                message = "Interrupted."
                if (folder / "config.yaml").is_file():
                    message += f" Go on with: python train.py resume={os.path.relpath(folder)}"
                elif made_for_it and taken:
                    remove_run_folder(folder)
                if taken:
                    traceback_log.error(message)
                code = 128 + (stopped.signal if isinstance(stopped, StoppedError) else signal.SIGINT)
                raise SystemExit(_complain(message, code)) from None
            except Exception as error:
                message, code = _answer(error)
                if code == 2 and made_for_it and taken and not (folder / "config.yaml").is_file():
                    remove_run_folder(folder)
                if _tracebacks_wanted:
                    raise
                if code == 1 and not isinstance(error, DivergedError | RemovedError):
                    if taken:
                        traceback_log.error("The run failed.", exc_info=error)
                    message += f"\nThe traceback is in {os.path.relpath(folder)}/train.log" if taken else TRACEBACK_HINT
                    if getattr(error, "errno", None) in NO_ROOM and (folder / "config.yaml").is_file() and not sweep:
                        message += f"\nWhen there is room: python train.py resume={os.path.relpath(folder)}"
                if sweep:
                    log.error(message)
                    raise (error if code == 2 else JobFailedError(message)) from None
                if taken:
                    traceback_log.error(message)
                # SystemExit is not caught by Hydra, which would print a line of its own above the message.
                raise SystemExit(_complain(message, code)) from None

    return with_folder


def _follow(function: Callable[[DictConfig, Path], Any], config: DictConfig, folder: Path) -> Any:
    """Call a job in a process other than the first of a run; the first process prints all messages."""
    logging.disable()
    signal.signal(signal.SIGTERM, _stop)
    try:
        return function(config, folder)
    except KeyboardInterrupt as stopped:
        raise SystemExit(128 + getattr(stopped, "signal", signal.SIGINT)) from None
    except ProcessError as error:
        raise SystemExit(_complain(str(error), 2)) from None
    except (SettingError, DivergedError) as error:
        raise SystemExit(_answer(error)[1]) from None


def tool(function: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Decorate a command that has no run folder: turn its errors into a message and an exit code."""

    @functools.wraps(function)
    def answered(config: DictConfig) -> Any:
        try:
            if missing := OmegaConf.missing_keys(config):
                raise SettingError("\n".join(f"{key} is needed: {key}=..." for key in sorted(missing)))
            return function(config)
        except Exception as error:
            if _tracebacks_wanted:
                raise
            message, code = _answer(error)
            if code == 1:
                message += TRACEBACK_HINT
            raise SystemExit(_complain(message, code)) from None

    return answered


def _answer(error: Exception) -> tuple[str, int]:
    """Return the message and the exit code for an error of a job."""
    if isinstance(error, SettingError):
        return str(error), 2
    if isinstance(error, DivergedError | RemovedError):
        return str(error), 1
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return f"No room on the disk for {error.filename or 'a file'}: {error.strerror}. Older files are whole.", 1
    return f"{type(error).__name__}: {error}", 1


def run(main: Callable[[], Any]) -> None:
    """Call a function wrapped by ``hydra.main``; print a message and exit if its configuration is wrong."""
    # Makes Hydra raise its errors instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # If the disk is full, one message is enough; without this, logging would print an error for each line.
    logging.raiseExceptions = False
    threading.excepthook = _in_thread
    keep_streams()
    sys.argv[1:] = map(expand_home, sys.argv[1:])
    asked, flags = get_args_parser().parse_known_args()
    if asked.experimental_rerun or _is_run(main, asked.config_path, asked.config_dir):
        sys.exit(_complain("A new run with the settings of an earlier one: python train.py like=FOLDER", 2))
    if flags:
        sys.exit(_complain("\n".join([*map(_misplaced, flags), "--help shows the settings."]), 2))
    resolvers.register(make_folders=not (asked.help or asked.cfg or asked.info or asked.shell_completion))
    try:
        if (launcher := started_by()) and {"-m", "--multirun"} & set(sys.argv[1:]):
            raise SettingError(
                f"A sweep starts the processes of its jobs itself, and this one was started by {launcher}. "
                "Start the sweep alone, with trainer.devices=N."
            )
        sys.argv[1:] = expand_resume(sys.argv[1:], _script(main))
        if any("like=" in argument for argument in sys.argv[1:]):
            # Imported only if needed, since it imports many other modules.
            from .like import expand_like

            sys.argv[1:] = expand_like(_script(main), sys.argv[1:])
        sys.argv += _resumed_folder(sys.argv[1:])
        with _without_folder(sys.argv) if is_other_rank() else nullcontext():
            main()
    except KeyboardInterrupt:
        sys.exit(_complain("Interrupted.", 130))
    except (JobFailedError, RemovedError) as error:
        sys.exit(_complain(str(error), 1))
    except (SettingError, HydraException, OmegaConfBaseException, ValueError) as error:
        if _tracebacks_wanted:
            raise
        if isinstance(error, SettingError):
            sys.exit(_complain(str(error), 2))
        # Errors of jobs were handled by `job`, so this one was raised by Hydra.
        from ..config.mistakes import find_mistakes, in_words

        told = [_complain(line, 2) for line in find_mistakes(_script(main), sys.argv[1:])]
        sys.exit(2 if told else _complain(in_words(error), 2))
    except OSError as error:  # after Hydra's errors, since one of those is a subclass of OSError
        # Raised when a folder cannot be made, or by a sweep.
        if _tracebacks_wanted:
            raise
        message, code = _answer(error)
        sys.exit(_complain(message + ("" if error.errno in NO_ROOM else TRACEBACK_HINT), code))


@contextmanager
def _without_folder(arguments: list[str]) -> Iterator[None]:
    """Use a temporary folder as Hydra's output folder, in processes that must not write to the run folder."""
    with tempfile.TemporaryDirectory(prefix="littlenets-") as folder:
        arguments.append(f"hydra.run.dir={typed(folder)}")
        yield


def _resumed_folder(arguments: Sequence[str]) -> list[str]:
    """Return the override that makes Hydra use the folder of the run to resume instead of a new one.

    Raises:
        SettingError: there is no such run.
    """
    given = next((argument for argument in arguments if argument.lstrip("+").startswith("resume=")), None)
    if given is None or {"-m", "--multirun"} & set(arguments):
        return []
    override = OverridesParser.create().parse_override(given)
    if override.value() is None or override.is_sweep_override():
        return []  # Hydra rejects a sweep over resume
    folder = find_folder(user_path(override.value()))
    # Checked before Hydra opens train.log in that folder.
    check_links(folder)
    return [f"hydra.run.dir={typed(str(folder))}"]


def _is_run(main: Callable[[], Any], *folders: str | None) -> bool:
    """Return whether one of the folders of configuration files is a run folder."""
    places = [place / folder for folder in folders if folder for place in (Path(), _script(main).parent)]
    return any((place / "config.yaml").is_file() and (place / "train.log").is_file() for place in places)


def _script(main: Callable[[], Any]) -> Path:
    return Path(inspect.getfile(inspect.unwrap(main))).absolute()


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    # TensorBoard's writer thread passes these errors on to the main thread itself: disk full, or folder removed.
    if getattr(arguments.exc_value, "errno", None) not in (*NO_ROOM, errno.ENOENT):
        threading.__excepthook__(arguments)


def _misplaced(word: str) -> str:
    if word.startswith("-"):
        return f"{word}: there is no such option; a setting is written KEY=VALUE, without dashes."
    return f"{word}: settings stand together; options such as -m go before the first or behind the last of them."


def _complain(message: str, code: int) -> int:
    # The message may contain text from a file.
    print(printable(message), file=sys.stderr, flush=True)
    return code
