"""Find and load the files of configuration groups, also for choices that are not part of the composed configuration."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError


class Configuration(NamedTuple):
    """The configuration files of a command.

    Args:
        loader: Hydra's configuration loader.
        name: name of the primary configuration, such as ``train``.
        places: overrides of ``hydra.searchpath`` that add more folders.
    """

    loader: ConfigLoaderImpl
    name: str
    places: list[str]

    def choices_of(self, group: str) -> list[str]:
        """Return the choices of a group; an empty list for Hydra's groups and for unknown groups."""
        if group.startswith("hydra"):
            return []
        return self.loader.get_group_options(group, ObjectType.CONFIG, self.name, self.places)

    def compose(self, choices: Mapping[str, str]) -> DictConfig:
        """Compose the configuration, including Hydra's own part.

        Args:
            choices: the chosen option of each group.

        Raises:
            HydraException: the configuration cannot be composed.
            OmegaConfBaseException: the configuration cannot be composed.
        """
        said = [f"{group}={name}" for group, name in choices.items()]
        return self.loader.load_configuration(self.name, [*self.places, *said], RunMode.RUN)


@contextmanager
def open_configuration(script: Path, arguments: Sequence[str]) -> Iterator[Configuration]:
    """Open the configuration files that a command uses, without running the command.

    Args:
        script: path of a script such as ``train.py``, whose configuration is ``conf/train.yaml`` in the same folder.
        arguments: the command-line arguments after the script.
    """
    asked = get_args_parser().parse_known_args(list(arguments))[0]
    places = [text for text in asked.overrides if text.startswith("hydra.searchpath=")]
    if asked.config_dir:
        places.append(f"hydra.searchpath=[file://{Path(asked.config_dir).absolute()}]")
    conf = script.parent / (asked.config_path or "conf")
    with warnings.catch_warnings(), initialize_config_dir(str(conf), version_base="1.3"):
        # Ignore the warning about a missing folder; it is reported with the other errors.
        warnings.filterwarnings("ignore", "provider=hydra.searchpath")
        yield Configuration(GlobalHydra.instance().config_loader(), asked.config_name or script.stem, places)


def find_choice(group: str, name: str, folders: Sequence[Path]) -> Path:
    """Return the path of ``group/name.yaml`` in the first of the configuration folders that contains it.

    Raises:
        SettingError: no folder contains the file.
    """
    for folder in folders:
        # Compare with a list of the files, because a name with slashes could lead out of the folder.
        if file := next((file for file in (folder / group).glob("*.yaml") if file.stem == name), None):
            return file
    names = sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})
    raise SettingError(f"There is no {group}={name}. Choose one of: {', '.join(names)}.")


def load_choice(group: str, name: str, folders: Sequence[Path]) -> DictConfig:
    """Return the content of the file found by `find_choice`.

    Interpolations are not resolved, so that the content can replace another choice of the same group.
    """
    return OmegaConf.load(find_choice(group, name, folders))


def other_data(config: DictConfig, name: str, folders: Sequence[Path]) -> DictConfig:
    """Return another choice of the group ``data``, with the values of ``config.data`` for settings that both have.

    It is used to test on other data as well.

    Raises:
        SettingError: there is no such choice.
    """
    node = load_choice("data", name, folders)
    node.update({key: config.data[key] for key in node if key in config.data and key != "_target_"})
    node._set_parent(config)
    return node
