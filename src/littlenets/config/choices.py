"""Find the files of a configuration group: outside of Hydra, and for choices that are only made while running."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError


class Configuration(NamedTuple):
    """The configuration files of a command.

    Args:
        loader: Hydra's.
        name: that of the first of them, ``train``.
        places: overrides that name further folders.
    """

    loader: ConfigLoaderImpl
    name: str
    places: list[str]

    def choices_of(self, group: str) -> list[str]:
        """List the choices of a group; none for what is no group of the program's own."""
        if group.startswith("hydra"):
            return []
        return self.loader.get_group_options(group, ObjectType.CONFIG, self.name, self.places)

    def compose(self, choices: Mapping[str, str]) -> DictConfig:
        """Return the configuration with these choices by group, Hydra's own part included.

        Raises:
            HydraException, OmegaConfBaseException: it cannot be composed.
        """
        said = [f"{group}={name}" for group, name in choices.items()]
        return self.loader.load_configuration(self.name, [*self.places, *said], RunMode.RUN)


@contextmanager
def open_configuration(script: Path, arguments: Sequence[str]) -> Iterator[Configuration]:
    """Open the configuration files as a command would.

    Args:
        script: such as ``train.py``, whose configuration is ``conf/train.yaml`` beside it.
        arguments: what was typed after it.
    """
    asked = get_args_parser().parse_known_args(list(arguments))[0]
    places = [text for text in asked.overrides if text.startswith("hydra.searchpath=")]
    if asked.config_dir:
        places.append(f"hydra.searchpath=[file://{Path(asked.config_dir).absolute()}]")
    conf = script.parent / (asked.config_path or "conf")
    with warnings.catch_warnings(), initialize_config_dir(str(conf), version_base="1.3"):
        # Of a folder that is not there, which is a mistake like others.
        warnings.filterwarnings("ignore", "provider=hydra.searchpath")
        yield Configuration(GlobalHydra.instance().config_loader(), asked.config_name or script.stem, places)


def find_choice(group: str, name: str) -> Path:
    """Return ``group/name.yaml`` in the first of Hydra's configuration folders that has it.

    Raises:
        SettingError: there is no such choice.
    """
    folders = [Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.schema == "file"]
    for folder in folders:
        # Listed, and not looked up: a name with slashes could lead out of the folder.
        if file := next((file for file in (folder / group).glob("*.yaml") if file.stem == name), None):
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
