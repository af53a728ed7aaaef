"""Starting train.py as a user would, in a folder of its own, and reading back what it left there."""

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

TRAIN = Path(__file__).parents[2] / "train.py"
IN_ONE_PROCESS = Path(__file__).with_name("in_one_process.py")

# A child that hangs must not hang the tests; the slowest recipe takes minutes.
TIMEOUT = 1800


class RunFolder:
    """What one run left behind, read without the package that wrote it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def files(self) -> set[str]:
        """All files, relative; event files, whose names no two runs share, as ``tensorboard/events``."""
        names = {str(file.relative_to(self.path)) for file in self.path.rglob("*") if not file.is_dir()}
        return {"tensorboard/events" if "/events.out." in name else name for name in names}

    @property
    def results(self) -> dict:
        return json.loads((self.path / "results.json").read_text())

    @property
    def config(self) -> dict:
        return yaml.safe_load((self.path / "config.yaml").read_text())

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of history.csv, every one of which must be whole."""
        text = (self.path / "history.csv").read_text()
        assert text.endswith("\n")
        header, *rows = csv.reader(text.splitlines())
        return [dict(zip(header, map(float, row), strict=True)) for row in rows]

    def weights(self, checkpoint: str = "last.ckpt") -> dict[str, Tensor]:
        path = self.path / "checkpoints" / checkpoint
        return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]

    def hyperparameters(self) -> dict[str, str | float]:
        """What TensorBoard's HParams tab shows, from the event files."""
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        content = self.events().PluginTagToContent("hparams")["_hparams_/session_start_info"]
        values = HParamsPluginData.FromString(content).session_start_info.hparams
        return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}

    def events(self):
        """TensorBoard's own reader of the event files, loaded."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        (folder,) = {file.parent for file in (self.path / "tensorboard").rglob("events.out.tfevents.*")}
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        return events.Reload()


@dataclass
class Finished:
    """How a process ended."""

    code: int
    out: str
    err: str
    cwd: Path

    @property
    def runs(self) -> list[RunFolder]:
        """The folders of all single runs below the folder that it ran in, oldest first."""
        return [RunFolder(path) for path in sorted(self.cwd.glob("outputs/runs/*/*-*")) if path.is_dir()]

    @property
    def run(self) -> RunFolder:
        (run,) = self.runs
        return run

    @property
    def jobs(self) -> list[RunFolder]:
        """The folders of a sweep's jobs, by number."""
        folders = [path for path in self.sweep.glob("[0-9]*") if path.is_dir()]
        return [RunFolder(path) for path in sorted(folders, key=lambda path: int(path.name.split("_")[0]))]

    @property
    def sweep(self) -> Path:
        """The folder of the sweep."""
        (sweep,) = self.cwd.glob("outputs/sweeps/*/2*")
        return sweep

    @property
    def manifest(self) -> dict:
        return json.loads((self.sweep / "sweep.json").read_text())

    @property
    def table(self) -> list[dict[str, str]]:
        """The rows of sweep.csv."""
        with (self.sweep / "sweep.csv").open(newline="") as file:
            return list(csv.DictReader(file))


class Process:
    """A Python program under way."""

    def __init__(self, cwd: Path, *command: str | Path, **variables: str) -> None:
        cwd.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
        # A mirror on this machine is no matter for a proxy.
        environment |= {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **variables}
        self.cwd = cwd
        self.popen = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, timeout: float = TIMEOUT) -> Finished:
        out, err = self.popen.communicate(timeout=timeout)
        return Finished(self.popen.returncode, out, err, self.cwd)

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.communicate()


class Commands:
    """Starts programs in given folders: what is relative in the configuration (outputs/, data/) goes there."""

    def __init__(self) -> None:
        self._started: list[Process] = []

    def start_python(self, cwd: Path, *command: str | Path) -> Process:
        self._started.append(process := Process(cwd, *command))
        return process

    def start(self, cwd: Path, *arguments: str) -> Process:
        return self.start_python(cwd, TRAIN, *arguments)

    def train(self, cwd: Path, *arguments: str) -> Finished:
        return self.start(cwd, *arguments).finish()

    def train_and_list_imports(self, cwd: Path, *arguments: str) -> tuple[Finished, set[str]]:
        """The same, and the top-level modules that the process imported."""
        done = self.start_python(cwd, "-X", "importtime", TRAIN, *arguments).finish()
        lines = done.err.splitlines(keepends=True)
        listed = [line for line in lines if line.startswith("import time:")]
        done.err = "".join(line for line in lines if line not in listed)
        return done, {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in listed}

    def train_in_one_process(self, cwd: Path, argument_lists: list[list[str]]) -> list[Finished]:
        """One after another, each in a folder of its own: for many that end early, since a start takes seconds."""
        done = self.start_python(cwd, IN_ONE_PROCESS, TRAIN, json.dumps(argument_lists)).finish()
        assert done.code == 0, done.err
        return [Finished(*end[:3], cwd / str(number)) for number, end in enumerate(json.loads(done.out))]

    def end(self) -> None:
        for process in self._started:
            process.end()


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    started = Commands()
    yield started
    started.end()


@pytest.fixture(scope="session")
def train(commands: Commands) -> Callable[..., Finished]:
    """``train(cwd, *arguments)`` runs train.py to its end."""
    return commands.train


@pytest.fixture(scope="session")
def default_run(train: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """``python train.py``."""
    return train(tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="session")
def mnist_test(mnist_files: Path) -> tuple[Tensor, Tensor]:
    """MNIST's test set by the description of its format: normalised images (10000, 1, 28, 28), labels (10000,)."""
    images = np.frombuffer(gzip.decompress((mnist_files / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    labels = np.frombuffer(gzip.decompress((mnist_files / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    pixels = (images.reshape(10_000, 1, 28, 28) / 255 - 0.1307) / 0.3081
    return torch.tensor(pixels, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)


@pytest.fixture(scope="session")
def by_hand() -> Callable[[str, dict[str, Tensor]], nn.Sequential]:
    """The article's networks, written out, with the saved weights of ours in them."""

    def build(model: str, weights: dict[str, Tensor]) -> nn.Sequential:
        layers = {
            "spiral": [*_plane(), nn.Linear(64, 1), nn.Sigmoid()],
            "multispiral": [*_plane(), nn.Linear(64, 3)],
            "cnn": [
                *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
            ],
        }
        network = nn.Sequential(*layers[model])
        for parameter, saved in zip(network.parameters(), weights.values(), strict=True):
            assert parameter.shape == saved.shape
            parameter.data = saved
        return network.requires_grad_(False)

    return build


def _plane() -> list[nn.Module]:
    return [nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()]
