"""Describe how a configuration was composed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from .labels import overrides_label

# The configuration files of this checkout.
CONF = Path(__file__).parents[3] / "conf"


@dataclass(frozen=True)
class Origin:
    """What is known of a configuration besides its values.

    Args:
        choices: the chosen option of each configuration group, by group.
        overrides: the overrides as they were typed.
        folders: the folders with configuration files, in the order in which they are searched.
        sweep: whether the configuration is that of a job of a sweep.
        latest: whether the link ``latest`` beside the run folder is to point to it, as in a single run of the command.
        label: what TensorBoard calls the run, as made by `overrides_label`.
        hydra: Hydra's own configuration, for classes of the user that read it; None without Hydra.
    """

    choices: Mapping[str, str] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    folders: Sequence[Path] = (CONF,)
    sweep: bool = False
    latest: bool = False
    label: str = ""
    hydra: Any = None

    @classmethod
    def from_hydra(cls, config: DictConfig | None = None) -> "Origin":
        """Return the origin of a configuration that Hydra composed.

        Args:
            config: a configuration with Hydra's own under the key ``hydra``; None is the one that Hydra has set for the
                process.
        """
        composed: Any = HydraConfig.instance().cfg if config is None else config
        hydra = composed.hydra
        # As typed: an OmegaConf list would resolve interpolations in the overrides.
        overrides = cast(list[str], OmegaConf.to_container(hydra.overrides.task))
        return cls(
            choices=dict(hydra.runtime.choices),
            overrides=overrides,
            folders=[Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"],
            sweep=hydra.mode is RunMode.MULTIRUN,
            latest=hydra.mode is RunMode.RUN,
            label=overrides_label(overrides, hydra.job.config.override_dirname.exclude_keys),
            hydra=composed,
        )
