"""Read what a run folder says of its run, without PyTorch."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError
from .files import user_path
from .reading import read_json, read_yaml

# What config.yaml must say for a run to be rebuilt and gone on with.
PARTS = (
    *("origin.model", "origin.data", "origin.overrides", "model", "data", "optimizer", "scheduler", "seed"),
    *("trainer.max_epochs", "callbacks", "logger", "threads", "compile"),
)
# A results.json has 2 KB.
MOST_RESULTS_BYTES = 4 << 20


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
    """Return the configuration of a run, which has no interpolations.

    Raises:
        SettingError: it is damaged.
    """
    from .schemas import Config

    try:
        return OmegaConf.create(read_yaml(folder / "config.yaml", Config, PARTS))
    except FileNotFoundError:
        raise SettingError(f"{folder} is no run folder: it has no config.yaml.") from None


def read_overrides(file: Path) -> list[str]:
    """Return what was said on the command line of a run, from its config.yaml alone.

    Raises:
        FileNotFoundError: there is no such file.
        SettingError: it is damaged.
    """
    from .schemas import Named

    return read_yaml(file, Named)["origin"]["overrides"]


def read_results(folder: Path) -> dict[str, Any]:
    """Return what the run wrote last; empty where it did not get there.

    Raises:
        SettingError: the file is damaged.
    """
    from .schemas import Results

    file = folder / "results.json"
    try:
        return read_json(file, Results, MOST_RESULTS_BYTES).model_dump(exclude_unset=True)
    except FileNotFoundError:
        return {}
    except SettingError as error:
        raise SettingError(f"{error} Delete it if you can do without.") from None
