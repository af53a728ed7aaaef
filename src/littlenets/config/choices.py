"""The files of a configuration group."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError


def load_choice(group: str, name: str) -> DictConfig:
    """The content of ``group/name.yaml`` in the first of Hydra's configuration folders that has it.

    For a choice that can only be made while running. Interpolations stay, so that it can take the place of another
    choice of the same group.
    """
    folders = [Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.schema == "file"]
    for folder in folders:
        file = folder / group / f"{name}.yaml"
        if file.is_file():
            return OmegaConf.load(file)
    names = sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})
    raise SettingError(f"There is no {group}={name}. Choose one of: {', '.join(names)}.")
