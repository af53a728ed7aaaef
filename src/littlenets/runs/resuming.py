"""Resume a run from its folder: read its configuration and checkpoint, and apply permitted overrides."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from ..config.check import ON_THIS_MACHINE, wrong_settings
from ..config.containers import to_dict
from ..config.values import shown
from ..errors import SettingError
from ..modules import SupervisedModule
from .checkpoints import check_optimizer_states, read_training_state
from .files import user_path
from .loading import check_fits, check_saved
from .saved import find_folder, read_config, read_results

# Settings that may differ in a resumed run; changing any other would make it a different run.
CHANGEABLE: tuple[str, ...] = ("trainer", "checkpoint", "logger.every", "figures", "threads", "compile", "run_ahead")
CHANGEABLE += ("accelerate", "resume", "trust")


class Resumed(NamedTuple):
    """A run to resume."""

    config: DictConfig
    #: Contents of results.json, written when the run ended; empty if it was killed.
    results: dict[str, Any]
    #: checkpoints/last.ckpt; None if the run was killed before it saved one.
    checkpoint: Path | None
    finished_epochs: int
    #: Optimizer steps so far, and batches so far in the current epoch.
    steps: int
    steps_of_epoch: int
    #: Whether the run is to be longer than it was planned to be.
    longer: bool = False
    #: Whether it has trained for as long as trainer.max_time allows, and for how many seconds.
    out_of_time: bool = False
    seconds: float = 0.0
    #: Where the loggers' records end, as `open_logger` takes it.
    logged: tuple[int, int, dict[str, int]] = (0, 0, {})

    @property
    def done(self) -> str | None:
        """The reason why there is nothing to train; None if there is something to train."""
        if self.results.get("status") != "completed":
            return None
        epochs, steps = self.config.trainer.max_epochs, self.config.trainer.get("max_steps", -1)
        if (ended := self.results.get("ended")) and (self.out_of_time or not self.longer):
            more = f"trainer.max_epochs={2 * max(1, self.finished_epochs, epochs or 0)}"
            if self.out_of_time:
                # With more epochs alone, the run would end at once.
                more = f"+trainer.max_time={{seconds:{math.ceil(2 * self.seconds)}}}"
            return f"This run has ended by itself ({ended}). To go on all the same, ask for more: {more}"
        if epochs not in (None, -1) and self.finished_epochs >= epochs:
            done, further = f"{self.finished_epochs:,} epochs", f"trainer.max_epochs={2 * self.finished_epochs}"
        elif steps != -1 and self.steps >= steps:
            done, further = f"{self.steps:,} steps", f"+trainer.max_steps={2 * self.steps}"
        else:
            return None
        return f"This run has completed its {done}. To go further: {further}"


def resume(config: DictConfig, overrides: Sequence[str]) -> Resumed:
    """Read the run in ``config.resume`` and apply the overrides.

    Raises:
        SettingError: the folder is damaged, the run diverged, or an override cannot be applied to a resumed run.
    """
    folder = find_folder(user_path(config.resume))
    saved, results = read_config(folder), read_results(folder)
    laid_out, time_before = _length(saved), _seconds(saved)
    # If several overrides set one key, the last one counts.
    said = {_key(override): override for override in saved.origin.overrides}
    for override in overrides:
        if override != said.get(_key(override)):
            _apply(override, config, saved)
    with open_dict(saved):
        saved.resume, saved.trust = None, config.trust
        if "stand_in" in saved.data:
            # Resuming with other data than the run began with would make it a different run.
            saved.data.stand_in = None
    check_saved(saved, config.trust, folder)
    if absent := wrong_settings(to_dict(saved, resolve=False), ON_THIS_MACHINE):
        raise SettingError("\n".join(absent.values()))
    if results.get("status") == "diverged":
        message = (results.get("error") or {}).get("message", "its loss was not finite")
        raise SettingError(f"{folder}: this run diverged ({message}) and would again. Start a new one.")
    _check_schedule(saved, laid_out)
    last = folder / "checkpoints" / "last.ckpt"
    if not last.is_file():
        if results.get("status") == "completed":
            raise SettingError(f"{last} is missing: this run kept no checkpoint to go on from.")
        return Resumed(saved, results, None, 0, 0, 0)
    checkpoint = read_training_state(last)
    module = check_fits(checkpoint["state_dict"], saved, last)
    trained = None
    if module is not None and type(module).configure_optimizers is SupervisedModule.configure_optimizers:
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    check_optimizer_states(checkpoint, trained, last)
    own = checkpoint["littlenets"]
    so_far = {"epochs": own["finished_epochs"], "steps": checkpoint["global_step"]}
    longer = any(_is_longer(now, laid_out[unit], so_far[unit]) for unit, now in _length(saved).items())
    time = _seconds(saved)
    longer = longer or (time_before is not None and (time is None or time > time_before))
    seconds = _seconds_trained(checkpoint, last)
    out_of_time = time is not None and seconds >= time
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
    # Lightning counts steps from 0.
    logged = (own["finished_epochs"], batches - own["batches"], dict.fromkeys(own.get("lightnings", ()), batches - 1))
    steps = checkpoint["global_step"]
    length = (longer, out_of_time, seconds)
    return Resumed(saved, results, last, own["finished_epochs"], steps, own["batches"], *length, logged)


def _apply(override: str, config: DictConfig, saved: DictConfig) -> None:
    key = _key(override)
    if not any(key == name or key.startswith(f"{name}.") for name in CHANGEABLE):
        raise SettingError(
            f"{key}: a resumed run keeps it; only {', '.join(CHANGEABLE[:-2])} can be changed. "
            "Without resume=... this starts a new run."
        )
    if key in ("resume", "trust"):
        return
    if override.startswith("~"):
        raise SettingError(f"{override}: a resumed run keeps its settings.")
    with open_dict(saved):
        # An override of a whole group is merged with the run's settings; a mapping below it, such as trainer.max_time,
        # replaces the run's.
        OmegaConf.update(saved, key, OmegaConf.select(config, key), merge="." not in key, force_add=True)


def _is_longer(now: int | None, before: int | None, trained: int) -> bool:
    if before in (None, -1):
        # The run had no end before, and now has one, which it has not reached yet.
        return now not in (None, -1) and now > trained
    return now in (None, -1) or now > before


def _seconds(config: DictConfig) -> float | None:
    """Return how long a run may train by ``trainer.max_time``, in seconds; None if there is no limit."""
    # Not resolved, since this is read before the configuration is checked.
    limit = to_dict(config.trainer, resolve=False).get("max_time")
    try:
        return Timer(limit).time_remaining()
    except (TypeError, ValueError, AttributeError, OverflowError, MisconfigurationException):
        return None  # an invalid limit, which the check reports, or one that was replaced


def _seconds_trained(checkpoint: dict[str, Any], path: Path) -> float:
    """Return how long a run has trained, in seconds; 0 if it was not measured because there was no time limit.

    Raises:
        SettingError: the checkpoint's time is not a finite number.
    """
    timer = Timer()
    try:
        timer.load_state_dict(checkpoint["callbacks"].get(timer.state_key, {}))
        seconds = float(timer.time_elapsed())
    except (TypeError, ValueError, AttributeError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise SettingError(f"{path} is damaged: the time that it was trained for is no number.")
    return seconds


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _length(config: DictConfig) -> dict[str, int]:
    """Return the limits of a run's length in epochs and steps; -1 is no limit."""
    return {"epochs": config.trainer.get("max_epochs"), "steps": config.trainer.get("max_steps", -1)}


def _schedules(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the settings of a schedule and of the schedules nested in it."""
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _schedules(part)


def _check_schedule(saved: DictConfig, laid_out: dict[str, int]) -> None:
    """Check that the schedule does not depend on a length of the run that was changed.

    Raises:
        SettingError: the length was changed, and the schedule was configured for the previous length.
    """
    for unit, now in _length(saved).items():
        before = laid_out[unit]
        depends = any(
            "OneCycle" in schedule.get("_target_", "")
            or (unit == "epochs" and before is not None and schedule.get("T_max") == before)
            for schedule in _schedules(OmegaConf.to_container(saved.scheduler) if saved.scheduler else None)
        )
        if depends and now != before:
            length = "all epochs" if before in (None, -1) else f"{before:,} {unit}"
            raise SettingError(
                f"trainer.max_{unit}={shown(now)}: the scheduler was laid out for {length} and cannot be stretched "
                f"afterwards. Start a new run with the number of {unit} that you want."
            )
