"""Find the files of a configuration group: outside of Hydra, and for choices that are only made while running."""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig, OmegaConf

from ..errors import SettingError


@contextmanager
def loader_of(script: Path, arguments: Sequence[str]) -> Iterator[tuple[ConfigLoader, str, list[str]]]:
    """Give the loader that Hydra would make for a command line, the name of the configuration, and its search path.

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
        yield GlobalHydra.instance().config_loader(), asked.config_name or script.stem, places


def group_options(loader: ConfigLoader, config_name: str, places: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a function that lists the choices of a group, such as ``model``; none where there is no such group."""
    return functools.cache(
        lambda group: loader.get_group_options(group, ObjectType.CONFIG, config_name, list(places))  # type: ignore
    )


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
