"""What costs seconds to import is imported where it is used: looked at in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

# Imports, trains and predicts, and lists the modules that were there after each step.
STEPS = """
import gc, json, runpy, sys
from pathlib import Path

modules = {}
import littlenets.cli.command
modules["command"] = sorted(sys.modules)
from littlenets import fast_imports as startup
with startup.fast_imports():
    import pytorch_lightning
assert gc.isenabled()
modules["lightning"] = sorted(sys.modules)
sys.argv = ["train.py", *json.loads(sys.argv[1])]
runpy.run_path("%s", run_name="__main__")
modules["trained"] = sorted(sys.modules)
sys.argv = ["predict.py", "run=outputs/runs/linear/latest", "x=20"]
runpy.run_path("%s", run_name="__main__")
modules["predicted"] = sorted(sys.modules)
import scipy.signal
modules["scipy.signal"] = dir(scipy.signal)
from torchmetrics.classification import BinaryAccuracy
metric = BinaryAccuracy()
import torch
metric.update(torch.tensor([1.0, 0.0]), torch.tensor([1, 1]))
figure, axes = metric.plot()
modules["plotted"] = [f"{type(figure).__module__} {type(axes).__module__}"]
Path("modules.json").write_text(json.dumps(modules))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The modules after importing cli.command, then Lightning, and after training ``linear`` without figures.

    And the names in ``scipy.signal``, imported after all of it, and where what a metric plots then comes from.
    """
    folder = tmp_path_factory.mktemp("imports")
    overrides = ["model=linear", "logger=none", "figures=none", "trainer.max_epochs=5", "trainer.accelerator=cpu"]
    subprocess.run(
        [
            sys.executable,
            "-c",
            STEPS % tuple((REPOSITORY / name).as_posix() for name in ("train.py", "predict.py")),
            json.dumps(overrides),
        ],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    (results,) = folder.glob("outputs/runs/linear/*-*/results.json")
    assert json.loads(results.read_text())["status"] == "completed"
    return {step: set(names) for step, names in json.loads((folder / "modules.json").read_text()).items()}


def packages(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_a_command_starts_without_torch(modules: dict[str, set[str]]):
    """So that a typo is answered, and a configuration shown, at once."""
    assert "hydra" in packages(modules["command"])
    heavy = {"torch", "pytorch_lightning", "torchmetrics", "numpy", "torchvision", "matplotlib", "sklearn"}
    assert not packages(modules["command"]) & heavy


def test_training_a_line_imports_no_scikit_learn_numba_or_tensorboard(modules: dict[str, set[str]]):
    assert "torch" in modules["trained"]
    brought_by_lightning = packages(modules["lightning"])
    assert not (packages(modules["trained"]) & {"sklearn", "tensorboard"}) - brought_by_lightning
    assert "sklearn" not in modules["trained"]
    # For convolutions alone.
    assert "numba" not in packages(modules["trained"])
    assert "torch.utils.tensorboard" not in modules["trained"]


def test_training_a_line_imports_no_more_pictures_than_lightning_itself(modules: dict[str, set[str]]):
    more = packages(modules["trained"]) - packages(modules["lightning"])
    assert not more & {"torchvision", "PIL"}


def test_matplotlib_is_imported_for_drawing_alone(modules: dict[str, set[str]]):
    assert "matplotlib" not in packages(modules["trained"])
    # And is whole afterwards, for torchmetrics too.
    assert modules["plotted"] == {"matplotlib.figure matplotlib.axes._axes"}


def test_predicting_numbers_imports_no_pictures_and_no_exporters(modules: dict[str, set[str]]):
    more = packages(modules["predicted"]) - packages(modules["lightning"])
    assert not more & {"torchvision", "matplotlib", "PIL", "onnx", "onnxscript", "sklearn"}


def test_scipy_is_whole_afterwards(modules: dict[str, set[str]]):
    """Lightning is imported without ``scipy.signal``, which it does not need; whoever needs it gets the real one."""
    assert "scipy.signal" not in modules["lightning"]
    assert {"butter", "convolve", "welch"} <= modules["scipy.signal"]
