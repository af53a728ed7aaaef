"""What conf/train.yaml says under ``sweep``."""

from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf

from ..config.check import wrong_settings
from ..errors import SettingError


class SweepSettings(NamedTuple):
    """How a sweep goes about its jobs.

    Args:
        objective: the metric to compare them by; None is the task's own.
        direction: None is what the metric's name suggests.
        on_error: what a failed job means for those that have not started.
        zip: settings whose values are stepped through together instead of crossed.
        preview: say what would be run and what it would cost, and run nothing.
        retry_failed: on resuming, run failed jobs again.
    """

    objective: str | None = None
    direction: Literal["minimize", "maximize"] | None = None
    on_error: Literal["continue", "stop"] = "continue"
    zip: tuple[str, ...] = ()
    preview: bool = False
    retry_failed: bool = False

    @classmethod
    def read(cls, config: DictConfig) -> "SweepSettings":
        """Raises SettingError where a value is none that it takes."""
        values: dict[str, Any] = OmegaConf.to_container(config.sweep, resolve=True)
        problems = wrong_settings({"sweep": values})
        if problems:
            raise SettingError("\n".join(problems.values()))
        return cls(**values | {"zip": tuple(values["zip"] or ())})
