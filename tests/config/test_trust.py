"""A saved configuration reaches what a run is made of, and nothing else."""

import sys
from pathlib import Path

import pytest
import yaml

from littlenets.config.trust import check_trusted
from littlenets.errors import SettingError


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.exec",
        "subprocess.run",
        "shutil.rmtree",
        "torch.load",
        "torch.hub.load",
        "torch.os.system",
        "torch.utils.cpp_extension.load",
        "torch.package.PackageImporter",
        "torchvision.datasets.utils.download_url",
        "littlenets.command.os.system",
        "littlenets.training.train",
        "littlenets.runs.files.write_atomically",
        "pytorch_lightning.os.remove",
        "torch",
        "torch.nn.NoSuchThing",
        "torchx.nn.Linear",
        ["os.system"],
        None,
    ],
)
def test_refused(target):
    with pytest.raises(SettingError, match=r"model\.network\._target_"):
        check_trusted({"model": {"network": {"_target_": target}}})


@pytest.mark.parametrize(
    "target",
    [
        "littlenets.networks.CNN",
        "littlenets.modules.Regression",
        "littlenets.data.MNIST",
        "littlenets.callbacks.History",
        "torch.nn.Linear",
        "torch.optim.Adam",
        "torch.optim.lr_scheduler.StepLR",
        "torchvision.models.ResNet",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.loggers.TensorBoardLogger",
    ],
)
def test_accepted(target):
    check_trusted({"a": [{"_target_": target}]})


def test_all_are_named_at_once():
    with pytest.raises(SettingError) as error:
        check_trusted({"a": {"_target_": "os.system"}, "b": [{"c": {"_target_": "my.Net"}}]})
    assert "a._target_=os.system" in str(error.value)
    assert "b.0.c._target_=my.Net" in str(error.value)
    assert "trust=[my]" in str(error.value)


def test_what_is_refused_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sprung_trap.py").write_text("class Net: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    values = {"_target_": "sprung_trap.Net"}
    with pytest.raises(SettingError, match=r"trust=\[sprung_trap\]"):
        check_trusted(values)
    assert "sprung_trap" not in sys.modules
    check_trusted(values, ["sprung_trap"])
    with pytest.raises(SettingError):
        check_trusted(values, ["sprung"])  # a package is no prefix of letters


def test_interpolations_are_refused():
    """Reading one could call a resolver, such as the one that makes folders."""
    with pytest.raises(SettingError, match="interpolation"):
        check_trusted(yaml.safe_load("data: {root: '${new_run_folder:/tmp/x}'}"))
