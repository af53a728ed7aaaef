"""Exported networks, run by their own runtimes on batches of other sizes, against the network itself."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from littlenets.errors import SettingError
from littlenets.inference.export import check_path, export
from littlenets.modules import BinaryClassification, MulticlassClassification, Regression, SupervisedModule
from littlenets.networks import CNN, LinearRegression, MultiSpiralNet, SpiralNet


class Sharpened(MulticlassClassification):
    """Of somebody else: a weight of its own in what it predicts, and an output more."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, torch.optim.Adam)
        self.sharpness = nn.Parameter(torch.tensor(3.0))

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        probabilities = (self.sharpness * output).softmax(dim=1)
        return {"class": output.argmax(dim=1), "probabilities": probabilities, "surest": probabilities.amax(dim=1)}


MODULES = {
    "linear": (lambda: Regression(LinearRegression(), torch.optim.SGD), (1,)),
    "spiral": (lambda: BinaryClassification(SpiralNet([8]), torch.optim.Adam), (2,)),
    "multispiral": (lambda: MulticlassClassification(MultiSpiralNet(3, [8]), torch.optim.Adam), (2,)),
    "cnn": (lambda: MulticlassClassification(CNN(channels=[3, 5], hidden=[7]), torch.optim.Adam), (1, 28, 28)),
    "own": (lambda: Sharpened(MultiSpiralNet(4, [8])), (2,)),
}


@pytest.fixture(params=MODULES)
def case(request: pytest.FixtureRequest) -> tuple[SupervisedModule, Tensor]:
    """A module with random weights, and seven samples for it."""
    torch.manual_seed(0)
    make, shape = MODULES[request.param]
    return make().eval(), torch.randn(7, *shape)


def expected(module: SupervisedModule, x: Tensor) -> dict[str, np.ndarray]:
    """What the task means by its network's output, written out with NumPy."""
    with torch.no_grad():
        output = module.network(x).double().numpy()
    if isinstance(module, Regression):
        return {"y": output}
    if isinstance(module, BinaryClassification):
        return {"class": (output[:, 0] > 0.5).astype(int), "probabilities": np.hstack([1 - output, output])}
    powers = np.exp(output * (3 if isinstance(module, Sharpened) else 1))
    found = {"class": output.argmax(axis=1), "probabilities": powers / powers.sum(axis=1, keepdims=True)}
    return found | ({"surest": found["probabilities"].max(axis=1)} if isinstance(module, Sharpened) else {})


def compare(found: dict[str, np.ndarray], module: SupervisedModule, x: Tensor) -> None:
    wanted = expected(module, x)
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6)


def test_what_torch_export_loads(case: tuple[SupervisedModule, Tensor], tmp_path: Path):
    module, x = case
    said = export(module, x[:2], tmp_path / "model.pt2")
    assert said.startswith(f"{tmp_path / 'model.pt2'} takes x float32 (N, ")
    network = torch.export.load(tmp_path / "model.pt2").module()
    for samples in (1, 2, 7):
        found = {name: tensor.detach().numpy() for name, tensor in network(x[:samples]).items()}
        compare(found, module, x[:samples])
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt2"]


def test_what_onnx_runtime_computes(case: tuple[SupervisedModule, Tensor], tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    module, x = case
    export(module, x[:2], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert [given.name for given in session.get_inputs()] == ["x"]
    for samples in (1, 2, 7):
        found = session.run(None, {"x": x[:samples].numpy()})
        compare(dict(zip(names, found, strict=True)), module, x[:samples])
    # Weights and all: nothing lies beside it.
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_the_module_is_left_as_it_was(tmp_path: Path):
    module = MulticlassClassification(CNN(channels=[3, 5], hidden=[7]), torch.optim.Adam).eval()
    before = {name: (value.clone(), value.stride()) for name, value in module.state_dict().items()}
    export(module, torch.zeros(2, 1, 28, 28), tmp_path / "model.pt2")
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name][0])
        assert value.stride() == before[name][1]


def test_what_exporting_does_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    pytest.importorskip("onnxscript")
    with caplog.at_level(logging.INFO):
        export(Regression(LinearRegression(), torch.optim.SGD).eval(), torch.zeros(2, 1), tmp_path / "model.onnx")
    assert not caplog.records


def test_names_that_will_not_do(tmp_path: Path):
    (tmp_path / "there.pt2").write_text("mine")
    for name, said in {
        "model.pth": r"end the name in \.onnx or \.pt2",
        "model": r"end the name in \.onnx or \.pt2",
        "there.pt2": "there is such a file already",
        "nowhere/model.pt2": "there is no folder",
    }.items():
        with pytest.raises(SettingError, match=said):
            check_path(tmp_path / name)
    assert (tmp_path / "there.pt2").read_text() == "mine"


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"needs onnx and onnxscript: .*\[export\](.|\n)*export=model\.pt2"):
        check_path(tmp_path / "model.onnx")
    check_path(tmp_path / "model.pt2")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SettingError, match=r"export=.*model\.pt2: No space left"):
        export(Regression(LinearRegression(), torch.optim.SGD).eval(), torch.zeros(2, 1), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


class Choosing(nn.Module):
    """Looks at numbers, which a file cannot do, or fails without a word."""

    def __init__(self, silent: bool) -> None:
        super().__init__()
        self.linear, self.silent = nn.Linear(1, 1), silent

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting() and self.silent:
            raise LookupError
        return self.linear(x) if x.sum() > 0 else x


@pytest.mark.parametrize(("silent", "reason"), [(False, r"\w+"), (True, "LookupError")])
def test_a_network_that_cannot_be_exported_is_named(tmp_path: Path, silent: bool, reason: str):
    module = Regression(Choosing(silent), torch.optim.SGD).eval()
    with pytest.raises(SettingError, match=f"Choosing cannot be exported: {reason}"):
        export(module, torch.zeros(2, 1), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())
