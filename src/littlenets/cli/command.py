"""What train.py and its siblings share: how a command ends when something is wrong.

Hydra composes the configuration and calls the job; here its errors and ours become one message and an exit code:
2 for what the user can mend, 1 for a failure, 130 for Ctrl-C.
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
from ..parallel.ranks import follows, started_by
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
    """Gives a job its folder, and turns its errors into a message and an exit code.

    The folder is this process's own meanwhile. A run that is refused before its first step, or interrupted while it is
    set up, leaves no folder behind; one that is refused since the folder holds another run leaves that as it is.
    In a sweep, where others are still to run, the message is logged and Hydra learns that the job failed.
    """

    @functools.wraps(function)
    def with_folder(config: DictConfig) -> Any:
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        if follows():
            return _follow(function, config, folder)
        sweep = hydra.mode is RunMode.MULTIRUN
        new = not sweep and config.get("resume") is None
        signal.signal(signal.SIGTERM, _stop)
        # Until then nothing may be written there, and nothing removed.
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
                # Past Hydra, which would print a line of its own above it.
                raise SystemExit(_complain(message, code)) from None

    return with_folder


def _follow(function: Callable[[DictConfig, Path], Any], config: DictConfig, folder: Path) -> Any:
    """Calls a job in a process that is not the first of a run, which says what is to be said."""
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
    """For a command that is no run and has no folder: turns its errors into a message and an exit code."""

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
    """What is said of an error of a job, and the exit code."""
    if isinstance(error, SettingError):
        return str(error), 2
    if isinstance(error, DivergedError | RemovedError):
        return str(error), 1
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return f"No room on the disk for {error.filename or 'a file'}: {error.strerror}. Older files are whole.", 1
    return f"{type(error).__name__}: {error}", 1


def run(main: Callable[[], Any]) -> None:
    """Calls a function that ``hydra.main`` has wrapped, and exits with a message where its configuration is wrong."""
    # So that Hydra raises its errors instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Where the disk is full, one message says so, and not one for each line of a log.
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
            # Much else would be imported in vain.
            from .like import expand_like

            sys.argv[1:] = expand_like(_script(main), sys.argv[1:])
        sys.argv += _resumed_folder(sys.argv[1:])
        with _without_folder(sys.argv) if follows() else nullcontext():
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
        # Jobs answer for themselves above, so this one is Hydra's.
        from ..config.mistakes import find_mistakes, in_words

        told = [_complain(line, 2) for line in find_mistakes(_script(main), sys.argv[1:])]
        sys.exit(2 if told else _complain(in_words(error), 2))
    except OSError as error:  # after Hydra's own, one of which is an OSError
        # Of a folder that cannot be made, or of a sweep.
        if _tracebacks_wanted:
            raise
        message, code = _answer(error)
        sys.exit(_complain(message + ("" if error.errno in NO_ROOM else TRACEBACK_HINT), code))


@contextmanager
def _without_folder(arguments: list[str]) -> Iterator[None]:
    """Gives a process that is not the first of a run a folder for nothing in place of the run's."""
    with tempfile.TemporaryDirectory(prefix="littlenets-") as folder:
        arguments.append(f"hydra.run.dir={typed(folder)}")
        yield


def _resumed_folder(arguments: Sequence[str]) -> list[str]:
    """Tells Hydra to use the folder of a run that is gone on with instead of a new one.

    Raises:
        SettingError: there is no such run.
    """
    given = next((argument for argument in arguments if argument.lstrip("+").startswith("resume=")), None)
    if given is None or {"-m", "--multirun"} & set(arguments):
        return []
    override = OverridesParser.create().parse_override(given)
    if override.value() is None or override.is_sweep_override():
        return []  # several are for Hydra to refuse
    folder = find_folder(user_path(override.value()))
    # Before Hydra opens train.log in it.
    check_links(folder)
    return [f"hydra.run.dir={typed(str(folder))}"]


def _is_run(main: Callable[[], Any], *folders: str | None) -> bool:
    """Whether one of the folders of configuration files is that of a run."""
    places = [place / folder for folder in folders if folder for place in (Path(), _script(main).parent)]
    return any((place / "config.yaml").is_file() and (place / "train.log").is_file() for place in places)


def _script(main: Callable[[], Any]) -> Path:
    return Path(inspect.getfile(inspect.unwrap(main))).absolute()


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    # TensorBoard's writer passes on itself that the disk is full, or its folder removed.
    if getattr(arguments.exc_value, "errno", None) not in (*NO_ROOM, errno.ENOENT):
        threading.__excepthook__(arguments)


def _misplaced(word: str) -> str:
    if word.startswith("-"):
        return f"{word}: there is no such option; a setting is written KEY=VALUE, without dashes."
    return f"{word}: settings stand together; options such as -m go before the first or behind the last of them."


def _complain(message: str, code: int) -> int:
    # Part of it may come from a file.
    print(printable(message), file=sys.stderr, flush=True)
    return code
