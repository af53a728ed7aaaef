"""What a run folder says of its run, read without PyTorch."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ..errors import SettingError
from .files import user_path

# What config.yaml must say for a run to be rebuilt and gone on with.
PARTS = (
    *("origin.model", "origin.data", "origin.overrides", "model", "data", "optimizer", "scheduler", "seed"),
    *("trainer.max_epochs", "callbacks", "logger", "threads", "compile"),
)


class SavedRun(NamedTuple):
    """A run folder, looked at."""

    folder: Path
    #: last.ckpt or best.ckpt, which exists.
    checkpoint: Path
    #: The run's own configuration, resolved, and under ``origin`` the names of its model and data and its overrides.
    config: DictConfig
    #: results.json; empty where the run never got to write one.
    results: dict[str, Any]


def find_run(run: str | Path, checkpoint: Literal["best", "last"] = "last") -> SavedRun:
    """Looks into a run folder.

    Args:
        run: the folder, the link ``latest``, or a checkpoint inside a run folder.
        checkpoint: which of its checkpoints; ``last`` is what the metrics in ``results.json`` were measured with.

    Raises:
        SettingError: something is missing or damaged.
    """
    path = user_path(run)
    if path.suffix == ".ckpt":
        folder, file = path.absolute().parent.parent, path
    else:
        folder, file = path, path / "checkpoints" / f"{checkpoint}.ckpt"
    folder = find_folder(folder)
    config = read_config(folder)
    results = read_results(folder)
    if not file.is_file():
        others = sorted(other.name for other in (folder / "checkpoints").glob("*.ckpt"))
        there = f"There is {', '.join(others)}." if others else "The run has saved none."
        raise SettingError(f"{file}: there is no such checkpoint. {there}")
    return SavedRun(folder, folder / "checkpoints" / file.name, config, results)


def find_folder(folder: Path) -> Path:
    """The folder of a run, where a link leads.

    Raises:
        SettingError: it is no run folder; the message lists what is near.
    """
    if not folder.is_dir():
        near = [str(other) for other in sorted(folder.parent.glob("*")) if other.is_dir()][-5:]
        there = f" There is {', '.join(near)}." if near else ""
        raise SettingError(f"{folder}: there is no such run folder.{there}")
    if not (folder / "config.yaml").is_file():
        jobs = sorted(str(job.parent) for job in folder.glob("*/config.yaml") if not job.parent.is_symlink())[:3]
        hint = f"; name one of those in it, such as {', '.join(jobs)}" if jobs else ""
        raise SettingError(f"{folder} is no run folder: it has no config.yaml{hint}.")
    return folder.resolve()


def read_config(folder: Path) -> DictConfig:
    """The configuration of a run.

    Raises:
        SettingError: it is damaged.
    """
    file = folder / "config.yaml"
    try:
        config = OmegaConf.load(file)
    except (YAMLError, UnicodeDecodeError, OmegaConfBaseException, OSError) as error:
        raise SettingError(f"{file} is damaged: {' '.join(str(error).split())}") from None
    missing = [part for part in PARTS if not _says(config, part)]
    if missing:
        raise SettingError(f"{file} is damaged: it does not say {', '.join(missing)}.")
    return config


def _says(config: Any, part: str) -> bool:
    for name in part.split("."):
        if not OmegaConf.is_dict(config) or name not in config:
            return False
        config = config[name]
    return True


def read_results(folder: Path) -> dict[str, Any]:
    """What the run wrote last; empty where it did not get there.

    Raises:
        SettingError: the file is damaged.
    """
    file = folder / "results.json"
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise SettingError(f"{file} is damaged ({error}). Delete it if you can do without.") from None
    if not isinstance(results, dict) or "status" not in results:
        raise SettingError(f"{file} is damaged: it does not say how the run ended. Delete it if you can do without.")
    return results
