"""Whole runs on loaders and data sets as others write them: trained, gone on with, evaluated, asked."""

import json

import composing
import pytest
import pytorch_lightning as pl
import torch
from composing import RunFolder
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from outside_data import WRONG
from outside_networks import Words
from test_evaluation import evaluated
from torch.utils.data import DataLoader, TensorDataset

from littlenets.errors import SettingError
from littlenets.modules import Regression
from littlenets.prediction import predict

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__` defined"),
]
NETWORK = ("~model.network.hidden", "~model.network.activation", "trust=[outside_data,outside_networks]")
LOADERS = (
    "model=multispiral",
    "model.network._target_=outside_data.Net",
    "data._target_=outside_data.Loaders",
    *NETWORK,
)
WORDS = ("model=multispiral", "model.network._target_=outside_networks.Words", *NETWORK)


def go_on(run: RunFolder, *overrides: str) -> RunFolder:
    trust = "trust=[outside_data,outside_networks]"
    return composing.launch(run.path, f"resume={run.path}", trust, *overrides)


def same(run: RunFolder, other: RunFolder) -> bool:
    equal = all(torch.equal(*pair) for pair in zip(run.weights(), other.weights(), strict=True))
    return equal and run.rows == other.rows and run.results["metrics"] == other.results["metrics"]


@pytest.mark.parametrize("kind", ["augmented", "workers", "persistent_workers", "own_generators", "stream"])
def test_gone_on_with(launch, kind: str):
    """From the end of an epoch, and from the second of its five batches, with dropout in the network."""
    settings = (*LOADERS, f"+data.kind={kind}", "checkpoint.every=1")
    whole = launch(*settings, "trainer.max_epochs=3")
    assert (whole.results["epochs"], whole.results["steps"]) == (3, 15)
    at_end = launch(*settings, "trainer.max_epochs=1")
    assert same(go_on(at_end, "trainer.max_epochs=3"), whole)
    within = launch(*settings, "trainer.max_epochs=3", "+trainer.max_steps=7")
    assert (within.results["epochs"], within.results["steps"]) == (1, 7)
    assert same(go_on(within, "+trainer.max_steps=-1"), whole)
    assert within.results["epochs"] == 3


def test_a_loader_that_cannot_is_said_to(launch, caplog):
    launch(*LOADERS, "+data.kind=counting")
    (said,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "Counting is its own iterator" in said.getMessage()


def test_a_data_set_of_pytorch_is_gone_on_with(launch):
    fake = "{_target_:torchvision.datasets.FakeData,size:22,image_size:[3,8,8],num_classes:3,random_offset:%d}"
    flip = "{_target_:torchvision.transforms.RandomHorizontalFlip}"
    settings = (
        *("model=multispiral", "model.network._target_=outside_networks.Colours", *NETWORK),
        *("data._target_=littlenets.data.DatasetModule", "~data.arms", "~data.n_points", "~data.noise"),
        *("data.batch_size=4", "data.validation=0.2", f"+data.train={fake % 0}", f"+data.test={fake % 99}"),
        f"+data.train_transform=[{flip}]",
    )
    whole = launch(*settings, "trainer.max_epochs=2")
    part = launch(*settings, "trainer.max_epochs=2", "+trainer.max_steps=7")
    assert same(go_on(part, "+trainer.max_steps=-1"), whole)
    assert evaluated(part, "trust=[outside_networks]")["samples"] == 22


def test_several_validation_loaders(launch):
    run = launch(*LOADERS, "+data.val_loaders=2", "trainer.max_epochs=2")
    assert {"val/loss/dataloader_idx_0", "val/acc/dataloader_idx_1"} <= run.rows[0].keys()
    best = run.checkpoint("best")["littlenets"]["latest"]
    first = run.column("val/loss/dataloader_idx_0")
    assert best["val/loss/dataloader_idx_0"] == pytest.approx(first.min())


def test_each_loader_has_metrics_of_its_own():
    """Those of torchmetrics too, whose objects are the same for all loaders."""
    module = Regression(torch.nn.Identity(), torch.optim.SGD)
    loaders = [
        DataLoader(TensorDataset(torch.zeros(count, 1), torch.full((count, 1), y)), batch_size=4)
        for count, y in ((6, 1.0), (10, 3.0), (4, 5.0))
    ]
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    for validated in (trainer.validate, trainer.test):
        validated(module, loaders, verbose=False)
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items() if "mae" in name}
        assert list(metrics.values()) == [1.0, 3.0, 5.0]


def test_nothing_to_test_on(launch):
    run = launch(*LOADERS, "+data.tested=false")
    assert run.results["status"] == "completed"
    assert {"train/loss", "val/loss"} <= run.results["metrics"].keys()
    assert not [name for name in run.results["metrics"] if name.startswith("test/")]
    with pytest.raises(SettingError, match="nothing to test on"):
        evaluated(run, "trust=[outside_data]")


def test_nothing_to_validate_on(launch):
    run = launch(*LOADERS, "+data.val_loaders=0")
    assert not [name for name in run.rows[0] if name.startswith("val/")]
    assert (run.path / "checkpoints" / "best.ckpt").is_file()


def test_only_the_stage_in_hand_is_set_up(launch, capsys):
    run = launch(*LOADERS[:2], "data._target_=outside_data.Staged", *NETWORK, "trainer.max_epochs=1")
    assert 0 <= run.results["metrics"]["test/acc"] <= 1
    evaluation = evaluated(run, "trust=[outside_data]")
    assert evaluation["metrics"]["test/acc"] == run.results["metrics"]["test/acc"]
    assert json.loads(asked(run, capsys, "x=[[1,2,3,4]]", "format=json"))[0]["class"] in range(3)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("dicts", r"takes batches \(x, y\), and these are mappings with x, y"),
        ("triplets", r"takes batches \(x, y\), and these are 3 values"),
        ("small inputs", r"does not take inputs of shape \(3,\), float32"),
        ("integers", r"does not take inputs of shape \(4,\), int64"),
        ("float targets", r"cannot be compared with targets of shape \(\), float32"),
        ("large targets", r"cannot be compared with targets of shape \(\), int64 \(.*7 is out of bounds"),
        ("different sizes", "samples of list do not go into one batch"),
        ("unreadable", "a sample of Unreadable cannot be loaded: FileNotFoundError: no such picture"),
        ("nothing", "list has no samples"),
    ],
)
def test_what_does_not_fit_is_said_before_training(launch, caplog, kind: str, says: str):
    assert kind in WRONG
    with pytest.raises(SettingError, match=says) as error, caplog.at_level("INFO"):
        launch(*LOADERS, f"+data.kind={kind}")
    assert "\n" not in str(error.value)
    assert "Training" not in caplog.text


def test_looking_at_samples_draws_nothing(launch):
    """The first weights are those of a run whose data are not looked at, as of a stream."""
    runs = [launch(*LOADERS, f"+data.kind={kind}", "optimizer.lr=1e-30") for kind in ("augmented", "stream")]
    assert all(torch.equal(*pair) for pair in zip(*(run.weights() for run in runs), strict=True))


def asked(run: RunFolder, capsys: pytest.CaptureFixture, *overrides: str) -> str:
    with initialize_config_dir(str(composing.CONF), version_base="1.3"):
        trust = "trust=[outside_data,outside_networks]"
        config = compose("predict", overrides=[f"run={run.path}", trust, *overrides], return_hydra_config=True)
    with open_dict(config):
        del config["hydra"]
    capsys.readouterr()
    predict(config)
    return capsys.readouterr().out


def test_names_of_classes(launch, capsys):
    run = launch(*LOADERS, "+data.kind=plain")
    assert run.results["classes"] == ["first", "second", "2"]
    evaluation = evaluated(run, "trust=[outside_data]")
    assert [row["name"] for row in evaluation["classes"]] == ["first", "second", "2"]
    answer = json.loads(asked(run, capsys, "x=[[1,2,3,4]]", "format=json"))[0]
    assert answer["name"] == ["first", "second", "2"][answer["class"]]
    header, row = asked(run, capsys, "index=0", "format=csv").splitlines()
    assert header == "index,class,name,probabilities_0,probabilities_1,probabilities_2,true,true_name"
    assert row.split(",")[-1] == ["first", "second", "2"][int(row.split(",")[-2])]
    chart = asked(run, capsys, "index=0").splitlines()
    assert [line.split()[:2] for line in chart[1:]] == [["0", "first"], ["1", "second"], ["2", "2"]]


def test_a_network_that_takes_integers_gets_them(launch, capsys, tmp_path):
    run = launch(*WORDS, "data._target_=outside_data.Sentences")
    network = Words()
    for parameter, value in zip(network.parameters(), run.weights(), strict=True):
        parameter.data.copy_(value)
    rows = torch.tensor([[1, 2, 3, 4, 5], [2, 0, 0, 0, 10]])
    classes = network(rows).argmax(dim=1).tolist()
    answers = json.loads(asked(run, capsys, f"x={rows.tolist()}", "format=json"))
    assert [answer["class"] for answer in answers] == classes
    with pytest.raises(SettingError, match=r"row 1 of x: 1\.5 is not an integer in int64"):
        asked(run, capsys, "x=[[1.5,2,3,4,5]]")
    said = asked(run, capsys, f"export={tmp_path / 'words.pt2'}")
    assert "takes x int64 (N, 5)" in said
    program = torch.export.load(tmp_path / "words.pt2").module()
    assert program(rows.repeat(2, 1))["class"].tolist() == classes * 2
