"""What is in the event files of a run beside its curves, read with TensorBoard's own classes."""

import re
from pathlib import Path

import composing
import pytest
import torch
from google.protobuf.json_format import MessageToDict
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor, nn

from littlenets.errors import DivergedError

SPIRAL = ["model=spiral", "trainer.max_epochs=3", "data.n_points=50"]


def read(run: composing.RunFolder) -> EventAccumulator:
    return EventAccumulator(str(run.events), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def settings(events: EventAccumulator) -> dict[str, str | float | bool]:
    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    return MessageToDict(HParamsPluginData.FromString(content).session_start_info)["hparams"]


def card(events: EventAccumulator) -> str:
    (event,) = events.Tensors("run")
    (text,) = event.tensor_proto.string_val
    return text.decode()


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory):
    run = composing.launch(
        tmp_path_factory.mktemp("content") / "run",
        *(*SPIRAL, "data.validation=0.2", "optimizer.lr=0.05", "scheduler=cosine", "model.network.hidden=[8,4]"),
        logger="tensorboard",
    )
    return run, read(run)


def test_there_is_one_folder_with_event_files_alone(validated):
    run, _ = validated
    (folder,) = (run.path / "tensorboard").iterdir()
    files = list(folder.iterdir())
    assert files
    assert all(path.name.startswith("events.out.tfevents.") for path in files)


def test_settings_are_those_that_matter_by_short_names(validated):
    _, events = validated
    assert settings(events) == {
        **{"model": "spiral", "data": "spiral", "seed": 0, "hidden": "[8,4]", "activation": "relu", "loss": "bce"},
        **{"n_points": 50, "noise": 0.2, "optimizer": "Adam", "lr": 0.05, "scheduler": "CosineAnnealingLR"},
        # What was said counts, whatever it is.
        **{"max_epochs": 3, "validation": 0.2, "accelerator": "cpu"},
    }


def test_metrics_of_the_table_are_curves_and_nothing_else_is_one(validated):
    """TensorBoard fills the table with the last points of all curves."""
    run, events = validated
    assert set(events.Tags()["scalars"]) == {
        *("train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "lr"),
    }
    for name in events.Tags()["scalars"]:
        assert events.Scalars(name)[-1].value == pytest.approx(run.results["metrics"][name], rel=1e-6)


def test_the_card_has_command_data_versions_and_commit(validated):
    run, events = validated
    text = card(events)
    command = re.search(r"\*\*command\*\*: `(.*)`", text)[1]
    assert command.startswith("python train.py ")
    for part in ("model=spiral", "optimizer.lr=0.05", "'model.network.hidden=[8,4]'"):
        assert part in command.split()
    assert "**data**: spiral\n" in text
    assert f"torch {torch.__version__.partition('+')[0]}" in text
    git = run.results["environment"]["git"]
    assert (git["commit"] if git else "not from a git repository") in text


def test_the_card_names_the_data_that_was_really_used(launch, tmp_path: Path):
    tiny = ["model=cnn", "model.network.channels=[2]", "model.network.hidden=[4]", "data.batch_size=500"]
    run = launch(*tiny, f"data.root={tmp_path}", "data.mirrors=[]", "trainer.max_epochs=1", logger="tensorboard")
    assert "**data**: digits instead of mnist" in card(read(run))


def test_training_and_validation_share_a_chart(validated):
    _, events = validated
    (event,) = events.Tensors("custom_scalars__config__")
    (category,) = Layout.FromString(event.tensor_proto.string_val[0]).category
    charts = {chart.title: [re.compile(tag) for tag in chart.multiline.tag] for chart in category.chart}
    assert charts.keys() == {"loss", "acc"}
    for name, patterns in charts.items():
        matched = {tag for tag in events.Tags()["scalars"] if any(pattern.search(tag) for pattern in patterns)}
        assert matched == {f"train/{name}", f"val/{name}"}


def test_the_graph_shows_the_layers_of_the_network(validated):
    _, events = validated
    graph = GraphDef.FromString(events.Graph().SerializeToString())
    operations = [node.op for node in graph.node]
    assert sum(operation in ("aten::linear", "aten::addmm") for operation in operations) == 3
    assert operations.count("aten::sigmoid") == 1


class Fickle(nn.Module):
    """Draws random numbers and counts its batches, in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Untraceable(Fickle):
    """Stands for what no trace can hold."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise ValueError("not to be traced\nat all")
        return super().forward(x)


NETWORK = [*SPIRAL, "~model.network.hidden", "~model.network.activation"]


def test_drawing_the_graph_changes_nothing(launch):
    overrides = [*NETWORK, "model.network._target_=test_content.Fickle"]
    drawn, plain = launch(*overrides, logger="tensorboard"), launch(*overrides)
    assert drawn.rows == plain.rows
    states = [run.checkpoint()["state_dict"] for run in (drawn, plain)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    assert states[0]["network.layers.1.num_batches_tracked"] == 3
    assert read(drawn).Graph().node


def test_a_network_without_a_graph_is_one_warning(launch, caplog: pytest.LogCaptureFixture):
    # Long enough to learn something, as a network that has not is warned of as well.
    longer = "trainer.max_epochs=60"
    run = launch(*NETWORK, longer, "model.network._target_=test_content.Untraceable", logger="tensorboard")
    assert run.results["status"] == "completed"
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warning.getMessage() == "TensorBoard has no graph of Untraceable: not to be traced."


def test_a_run_that_diverges_is_in_the_table_all_the_same(launch, tmp_path: Path):
    with pytest.raises(DivergedError):
        launch("model=linear", "optimizer.lr=1e10", logger="tensorboard")
    events = read(composing.RunFolder(tmp_path / "run1"))
    assert settings(events)["lr"] == 1e10
    assert events.Scalars("train/loss")
