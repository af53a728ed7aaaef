"""A saved configuration reaches what a run is made of, and nothing else."""

import sys
from pathlib import Path

import pytest
import yaml

from littlenets.config.trust import check_overrides, check_trusted
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
        "torchvision.datasets.LSUN",  # unpickles what it finds
        "torchvision.transforms.functional.to_tensor",
        "littlenets.cli.command.os.system",
        "littlenets.training.train",
        "littlenets.training.Path",
        "littlenets.callbacks.history.TensorBoardLogger.__class__",
        "littlenets.console.terminal.Console",
        "torch.nn.modules.module.OrderedDict",
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
        "torchvision.datasets.ImageFolder",
        "torchvision.transforms.ToTensor",
        "torchvision.transforms.v2.RandomHorizontalFlip",
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


MODEL_CHECKPOINT = "pytorch_lightning.callbacks.ModelCheckpoint"
CSV_LOGGER = "pytorch_lightning.loggers.CSVLogger"


@pytest.mark.parametrize(
    ("part", "node"),
    [
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "dirpath": "/elsewhere"}),
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "dirpath": "beside"}),
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "dirpath": "~/beside"}),
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "dirpath": "s3://bucket/x"}),
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "dirpath": "{run}/../x"}),
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "filename": "../../x"}),
        ("callbacks", {"_target_": MODEL_CHECKPOINT, "filename": "..\\x"}),
        ("logger", {"_target_": CSV_LOGGER, "version": "/elsewhere"}),
        ("logger", {"_target_": CSV_LOGGER, "save_dir": "elsewhere"}),
        ("logger", {"_target_": CSV_LOGGER, "name": "../x"}),
    ],
)
def test_a_saved_run_writes_into_its_own_folder(tmp_path: Path, part: str, node: dict):
    node = {key: value.format(run=tmp_path) for key, value in node.items()}
    values = {part: {"extra": node}}
    place = next(value for key, value in node.items() if key != "_target_")
    with pytest.raises(SettingError, match=rf"{part}\.extra\.\w+=.*trust=\[") as refused:
        check_trusted(values, folder=tmp_path)
    allowed = str(refused.value).rpartition("trust=[")[2].rstrip("]")
    check_trusted(values, [allowed], tmp_path)
    assert allowed in (place, str(Path(place).absolute())) or ".." in place


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": MODEL_CHECKPOINT, "dirpath": "{run}/more", "filename": "{{epoch}}", "monitor": "val/loss"},
        {"_target_": MODEL_CHECKPOINT, "dirpath": None, "filename": "best..of"},
        {"_target_": "littlenets.callbacks.Checkpoints", "every": "5 minutes"},
    ],
)
def test_what_stays_in_the_folder_needs_no_trust(tmp_path: Path, node: dict):
    node = {key: value.format(run=tmp_path) if value else value for key, value in node.items()}
    check_trusted({"callbacks": {"extra": node}, "trainer": {"precision": "bf16-mixed"}}, folder=tmp_path)


def test_trust_in_a_folder_is_for_what_is_below(tmp_path: Path):
    values = {"callbacks": {"extra": {"_target_": MODEL_CHECKPOINT, "dirpath": "/scratch/me/run"}}}
    check_trusted(values, ["/scratch/me"], tmp_path)
    for trust in (["/scratch/m"], ["/scratch/me/run/deeper"], ["scratch"], [MODEL_CHECKPOINT]):
        with pytest.raises(SettingError, match="dirpath"):
            check_trusted(values, trust, tmp_path)


def test_data_may_lie_anywhere_but_are_put_nowhere(tmp_path: Path):
    there = {"data": {"_target_": "littlenets.data.MNIST", "root": str(tmp_path)}}
    check_trusted(there, folder=tmp_path / "run")
    check_trusted({"data": there["data"] | {"root": "data", "mirrors": None}})
    with pytest.raises(SettingError, match=r"data\.root=.*trust=\["):
        check_trusted({"data": there["data"] | {"root": str(tmp_path / "new")}})


OPTIONS = {"model": ["linear", "cnn"], "model/mine": ["net"], "experiment": ["one"]}


def check(text: str, trust: tuple[str, ...] = ()) -> None:
    check_overrides([text], lambda group: OPTIONS.get(group, []), trust)


@pytest.mark.parametrize(
    "text",
    [
        *("seed=3", "optimizer.lr=1e-3", "+trainer.max_steps=3", "++data.x={a:[1,2]}", "~logger", "~model"),
        *("model=cnn", "model=linear,cnn", "model=mine/net", "+experiment=one", "experiment=null", "model=glob(*)"),
        *("seed=range(0,10)", "scheduler.T_max=${trainer.max_epochs}", "data.noise=${a.b}"),
        "hydrated.x=1",
    ],
)
def test_settings_and_choices_of_a_saved_sweep(text: str):
    check(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *((text, "command line") for text in ("hydra.verbose=true", "hydra/launcher=basic", "+hydra={a:1}")),
        *((text, "command line") for text in ("~hydra.job_logging", "resume=x", "trust=[os]", "+model@hydra=cnn")),
        *((text, "command line") for text in ("model@data=cnn", "++hydra.job.chdir=true")),
        *((text, "configuration folders") for text in ("model=../x", "model=/x", "model=mine/../../x", "model=x")),
        *((text, "configuration folders") for text in ("model=linear,../x", "unknown/group=x", "model={a:1}")),
        *((text, "configuration folders") for text in ("model='../x'", "model=mine/", "model=[linear,x]")),
        *((text, "interpolation") for text in ('seed="${a"', 'seed="${${a}}"', 'seed="${${x}:y}"')),
        ("seed=${new_run_folder:/x}", r"trust=\[new_run_folder\]"),
        ("seed=${oc.env:HOME}", r"trust=\[oc.env\]"),
        ('seed="${oc.decode:${oc.env:HOME}}"', r"trust=\[oc.env\]\n.*trust=\[oc.decode\]"),
        ("no equals", "cannot be read"),
    ],
)
def test_what_a_saved_sweep_may_not_say(text: str, says: str):
    with pytest.raises(SettingError, match=says):
        check(text)


def test_a_resolver_that_is_trusted():
    check("seed=${oc.env:HOME}", ("oc.env",))
    with pytest.raises(SettingError):
        check("seed=${oc.env:HOME}", ("oc.decode",))


def test_a_large_range_of_choices_is_not_gone_through():
    with pytest.raises(SettingError, match="configuration folders"):
        check("model=range(0,1000000000000)")
