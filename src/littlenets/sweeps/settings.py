"""What conf/train.yaml says under ``sweep``."""

from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf

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
        values: dict[str, Any] = OmegaConf.to_container(config.sweep, resolve=True) if "sweep" in config else {}
        problems = []
        for name, takes in (("direction", (None, "minimize", "maximize")), ("on_error", ("continue", "stop"))):
            if name in values and values[name] not in takes:
                words = [word for word in takes if word]
                problems.append(f"sweep.{name}={values[name]}: it should be {' or '.join(words)}.")
        for name in ("preview", "retry_failed"):
            if not isinstance(values.get(name, False), bool):
                problems.append(f"sweep.{name}={values[name]}: it should be true or false.")
        if not isinstance(values.get("objective"), str | None):
            problems.append(f"sweep.objective={values['objective']}: it should be the name of a metric.")
        zipped = values.get("zip") or []
        if not isinstance(zipped, list) or not all(isinstance(name, str) for name in zipped):
            problems.append(f"sweep.zip={zipped}: it should be a list of settings, such as [optimizer.lr,seed].")
        if problems:
            raise SettingError("\n".join(problems))
        return cls(**values | {"zip": tuple(zipped)})
