"""Picking a run up again by naming its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning import LightningDataModule
from yaml import YAMLError

from ..building import build, build_module
from ..config.check import check
from ..config.trust import check_trusted
from ..errors import SettingError
from ..modules import SupervisedModule
from .checkpoints import read_checkpoint

# What config.yaml must say for a run to be rebuilt.
PARTS = ("model", "data", "optimizer", "trainer", "seed")


class SavedRun(NamedTuple):
    """A run folder, looked at."""

    folder: Path
    #: last.ckpt or best.ckpt, which exists.
    checkpoint: Path
    #: The run's own configuration, resolved.
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
    path = Path(run)
    if path.suffix == ".ckpt":
        folder, file = path.parent.parent, path
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
        if (folder / "sweep.json").is_file() or (folder / "multirun.yaml").is_file():
            jobs = sorted(str(job.parent) for job in folder.glob("*/config.yaml"))[:3]
            raise SettingError(f"{folder} is a sweep; name one of its runs, such as {', '.join(jobs)}.")
        raise SettingError(f"{folder} is no run folder: it has no config.yaml.")
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
    missing = [part for part in PARTS if not OmegaConf.is_dict(config) or part not in config]
    if missing:
        raise SettingError(f"{file} is damaged: it does not say {', '.join(missing)}.")
    return config


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


def load_module(saved: SavedRun, trust: Sequence[str] = ()) -> SupervisedModule:
    """The trained module, in evaluation mode, on the CPU.

    Args:
        saved: the run and the checkpoint.
        trust: modules from outside the package that its configuration may name.

    Raises:
        SettingError: the configuration names what is not trusted, or the checkpoint does not belong to it.
    """
    check_saved(saved.config, trust)
    state = read_checkpoint(saved.checkpoint)["state_dict"]
    module = build_module(saved.config)
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"{saved.checkpoint} does not belong to {saved.folder / 'config.yaml'}: {reason}") from None
    return module.eval()


def load_datamodule(saved: SavedRun, trust: Sequence[str] = ()) -> LightningDataModule:
    """The data of the run, ready to be loaded.

    Raises:
        SettingError: the configuration names what is not trusted, or the data is unavailable.
    """
    check_saved(saved.config, trust)
    datamodule = build(saved.config.data)
    datamodule.prepare_data()
    datamodule.setup("test")
    return datamodule


def check_saved(config: DictConfig, trust: Sequence[str] = ()) -> None:
    """Makes sure that a saved configuration can be rebuilt, and reaches nothing that is not trusted.

    Raises:
        SettingError: names all that is wrong.
    """
    check_trusted(OmegaConf.to_container(config, resolve=False), trust)
    check(config)
