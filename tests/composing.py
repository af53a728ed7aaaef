"""Runs in this process: a configuration composed as the command line composes it, trained by the package's own path."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from torch import Tensor

from littlenets.config.origin import Origin
from littlenets.runs import resolvers

CONF = Path(__file__).parents[1] / "conf"


def compose_config(*overrides: str) -> DictConfig:
    """What ``python train.py OVERRIDES`` composes, and Hydra's own part where the package looks for it."""
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


class RunFolder:
    """What a run left behind, read without the package."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.path / "results.json").read_text())

    @property
    def rows(self) -> list[dict[str, str]]:
        """history.csv, as text."""
        with (self.path / "history.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def column(self, name: str) -> np.ndarray:
        """A column of history.csv, float64; NaN where a cell is empty."""
        return np.array([float(row[name] or "nan") for row in self.rows])

    @property
    def events(self) -> Path:
        """The folder of its event files, of which it has one."""
        (folder,) = {file.parent for file in (self.path / "tensorboard").rglob("events.out.tfevents.*")}
        return folder

    def checkpoint(self, name: str = "last") -> dict[str, Any]:
        return load_checkpoint(self.path / "checkpoints" / f"{name}.ckpt")

    def weights(self, name: str = "last") -> list[Tensor]:
        return weights(self.checkpoint(name))


def load_checkpoint(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def weights(checkpoint: dict[str, Any]) -> list[Tensor]:
    """The network's, in the order of its parameters."""
    return [value for name, value in checkpoint["state_dict"].items() if name.startswith("network.")]


def launch(folder: Path, *overrides: str, logger: str = "none") -> RunFolder:
    """Trains into ``folder``, on one core of the CPU."""
    from littlenets.runs.folder import occupied
    from littlenets.training import train

    asked = any(override.startswith("figures") for override in overrides)
    quick = [] if asked else ["figures=none"]  # which take longer than most of these runs
    config = compose_config(f"logger={logger}", "trainer.accelerator=cpu", "threads=1", *quick, *overrides)
    folder.mkdir(exist_ok=True)
    run = RunFolder(folder)
    with occupied(folder):
        train(config, folder, Origin.from_hydra())
    return run
