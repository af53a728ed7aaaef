"""`also_test`: further tests of the trained network, against plain PyTorch."""

import composing
import plain_pytorch
import pytest
import torch
from hydra.utils import instantiate
from torch.nn import functional as F

from littlenets.data import ColourLines, Spirals
from littlenets.errors import SettingError


def test_it_is_measured_on_the_other_data_with_the_settings_of_the_first(launch):
    run = launch("model=multispiral", "also_test=[colour_lines]", "data.n_points=50", "data.noise=0.5", "seed=3")
    network = plain_pytorch.multispiral([64, 64])
    for parameter, saved in zip(network.parameters(), run.weights(), strict=True):
        parameter.data = saved
    data = ColourLines(arms=3, n_points=50, noise=0.5, seed=3)
    data.setup()
    x, y = data.splits["test"]
    with torch.no_grad():
        logits = network(x)
    metrics = run.results["metrics"]
    assert metrics["colour_lines/loss"] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-4)
    assert metrics["colour_lines/acc"] == pytest.approx((logits.argmax(dim=1) == y).float().mean().item())


def test_it_changes_nothing_else(launch):
    alone, both = (
        launch("model=spiral", "trainer.max_epochs=5"),
        launch("model=spiral", "trainer.max_epochs=5", "also_test=[colour_lines]"),
    )
    assert alone.rows == both.rows
    further = both.results["metrics"].keys() - alone.results["metrics"].keys()
    assert further == {"colour_lines/acc", "colour_lines/loss"}
    assert all(both.results["metrics"][name] == value for name, value in alone.results["metrics"].items())


@pytest.mark.parametrize(
    ("other", "says"),
    [("mnits", "mnist"), ("line", r"does not fit data=line"), ("digits", r"does not fit data=digits")],
)
def test_what_cannot_be_tested_on_is_told_before_training(launch, tmp_path, other, says):
    with pytest.raises(SettingError, match=says):
        launch("model=spiral", f"also_test=[{other}]")
    assert not list(tmp_path.glob("**/*.ckpt"))


def test_a_file_with_a_list_in_place_of_settings_is_named(launch, tmp_path):
    file = tmp_path / "conf" / "data" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("- 1\n- 2\n")
    with pytest.raises(SettingError, match=rf"^also_test: .*{file.name}.*list"):
        launch("model=spiral", f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "also_test=[mine]")


def test_the_data_themselves_declare_what_the_check_reads():
    """What is said of data without loading them is what loading them gives."""
    for name in ("line", "spiral", "multispiral", "colour_lines", "digits"):
        data = instantiate(composing.compose_config(f"data={name}").data)
        assert data.for_testing_only == (name == "colour_lines")
        data.setup()
        assert tuple(data.sample().x.shape[1:]) == data.sample_shape
        assert data.for_testing_only == ("train" not in data.splits)
        targets = data.splits["test"].y
        assert data.classes == (None if targets.is_floating_point() else int(targets.max()) + 1)
    assert Spirals(arms=5).classes == 5
