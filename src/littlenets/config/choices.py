"""The files of a configuration group, for choices that can only be made while running."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError


def find_choice(group: str, name: str) -> Path:
    """``group/name.yaml`` in the first of Hydra's configuration folders that has it.

    Raises:
        SettingError: there is no such choice.
    """
    folders = [Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.schema == "file"]
    for folder in folders:
        file = folder / group / f"{name}.yaml"
        if file.is_file():
            return file
    names = sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})
    raise SettingError(f"There is no {group}={name}. Choose one of: {', '.join(names)}.")


def load_choice(group: str, name: str) -> DictConfig:
    """The content of `find_choice`'s file.

    Interpolations stay, so that it can take the place of another choice of the same group.
    """
    return OmegaConf.load(find_choice(group, name))


def other_data(config: DictConfig, name: str) -> DictConfig:
    """A choice of ``data`` to test on as well, with those settings of ``config.data`` that it has too.

    Raises:
        SettingError: there is no such choice.
    """
    node = load_choice("data", name)
    node.update({key: config.data[key] for key in node if key in config.data and key != "_target_"})
    node._set_parent(config)
    return node
