"""Read the settings under ``sweep`` in conf/train.yaml."""

from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf

from ..config.check import wrong_settings
from ..errors import SettingError


class SweepSettings(NamedTuple):
    """Settings of a sweep.

    Args:
        objective: metric by which jobs are compared; None is a default metric.
        direction: whether lower or higher values of it are better; None derives it from the metric's name.
        on_error: after a job failed, ``continue`` with the others or ``stop``.
        zip: settings whose values are paired by position instead of combined with all others.
        preview: list the jobs and estimate their durations instead of running them.
        retry_failed: run failed jobs again when the sweep is resumed.
    """

    objective: str | None = None
    direction: Literal["minimize", "maximize"] | None = None
    on_error: Literal["continue", "stop"] = "continue"
    zip: tuple[str, ...] = ()
    preview: bool = False
    retry_failed: bool = False

    @classmethod
    def read(cls, config: DictConfig) -> "SweepSettings":
        """Read the settings from a configuration.

        Raises:
            SettingError: values are invalid.
        """
        values: dict[str, Any] = OmegaConf.to_container(config.sweep, resolve=True)
        problems = wrong_settings({"sweep": values})
        if problems:
            raise SettingError("\n".join(problems.values()))
        return cls(**values | {"zip": tuple(values["zip"] or ())})
