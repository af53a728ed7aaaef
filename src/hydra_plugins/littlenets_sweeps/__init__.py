"""Hydra plugins ``hydra/sweeper=grid`` and ``hydra/launcher=parallel``, in the package that Hydra searches for plugins.

Every program that uses Hydra imports this module, so most imports are inside of functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ParallelLauncher(Launcher):
    """Launcher that runs several jobs at once, in worker processes that live as long as the sweep.

    Args:
        jobs: number of jobs at once; ``auto`` is as many as the machine has cores for.
    """

    def __init__(self, jobs: int | str = "auto") -> None:
        self.jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from littlenets.errors import SettingError

        raise SettingError("hydra/launcher=parallel works with hydra/sweeper=grid; others take hydra/launcher=basic.")


class GridSweeper(Sweeper):
    """Sweeper that runs all combinations of values, like Hydra's own, but checks all of them before training.

    Args:
        params: overrides by key, including swept values; those on the command line take precedence.
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from littlenets.sweeps.multirun import run_by_launcher, run_in_workers
        from littlenets.sweeps.sweep import Sweep

        overrides = [*(f"{name}={value}" for name, value in self.params.items()), *arguments]
        sweep = Sweep(overrides, self.config, self.hydra_context.config_loader)
        if isinstance(self.launcher, ParallelLauncher):
            run_in_workers(sweep, self.launcher.jobs)
        else:
            run_by_launcher(sweep, self.launcher.launch)


@dataclass
class ParallelLauncherConf:
    _target_: str = "hydra_plugins.littlenets_sweeps.ParallelLauncher"
    jobs: Any = "auto"


@dataclass
class GridSweeperConf:
    _target_: str = "hydra_plugins.littlenets_sweeps.GridSweeper"
    params: dict[str, Any] = field(default_factory=dict)


store = ConfigStore.instance().store
store(group="hydra/launcher", name="parallel", node=ParallelLauncherConf, provider="littlenets")
store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="littlenets")
