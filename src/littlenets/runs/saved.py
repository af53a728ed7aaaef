"""Find a run folder and read its configuration and results, without importing PyTorch."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError
from .files import user_path
from .reading import read_json, read_yaml

# Keys that config.yaml must contain to rebuild or resume a run.
PARTS = (
    *("origin.model", "origin.data", "origin.overrides", "model", "data", "optimizer", "scheduler", "seed"),
    *("trainer.max_epochs", "callbacks", "logger", "threads", "compile"),
)
# Size limit; a results.json has 2 KB.
MOST_RESULTS_BYTES = 4 << 20


class SavedRun(NamedTuple):
    """The paths, configuration and results of a run."""

    folder: Path
    #: Path of last.ckpt, best.ckpt or the named checkpoint; the file exists.
    checkpoint: Path
    #: The resolved configuration of the run; ``origin`` contains the names of its model and data, and its overrides.
    config: DictConfig
    #: Content of results.json; empty if the run was killed before it wrote the file.
    results: dict[str, Any]


def find_run(run: str | Path, checkpoint: Literal["best", "last"] = "last") -> SavedRun:
    """Find a run folder and one of its checkpoints, and read its configuration and results.

    Args:
        run: the folder, the link ``latest``, or a checkpoint inside a run folder.
        checkpoint: which checkpoint to use if ``run`` is a folder; the metrics in ``results.json`` were measured with
            ``last``.

    Raises:
        SettingError: a file is missing or damaged.
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
    """Return the resolved path of a run folder.

    Args:
        folder: the folder or a link to it.

    Raises:
        SettingError: it is not a run folder; the message lists other folders nearby.
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
    """Return the configuration of a run; it contains no interpolations.

    Raises:
        SettingError: config.yaml is missing or damaged.
    """
    from .schemas import Config

    try:
        return OmegaConf.create(read_yaml(folder / "config.yaml", Config, PARTS))
    except FileNotFoundError:
        raise SettingError(f"{folder} is no run folder: it has no config.yaml.") from None


def read_results(folder: Path) -> dict[str, Any]:
    """Return the content of results.json; an empty dictionary if the file does not exist.

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
