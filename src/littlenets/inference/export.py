"""Export a trained network to a file for other programs.

Shapes: N batch.
"""

import copy
import importlib.util
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from ..errors import SettingError
from ..runs.files import write_atomically
from .asking import predicted

# At the default level these packages log every step of an export.
for name in ("onnxscript", "onnx_ir"):
    logging.getLogger(name).setLevel(logging.WARNING)


class Predictor(nn.Module):
    """Module that maps the network's input ``x`` (N, ...) to the outputs that predict.py prints, by name."""

    def __init__(self, module: LightningModule) -> None:
        super().__init__()
        self.module = copy.deepcopy(module)
        for parameter in self.module.parameters():
            # In memory, weights have the layout that is fastest for training; readers of the file expect them to be
            # contiguous.
            parameter.data = parameter.data.contiguous()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self.module.predict_step(x, 0)
        return found if isinstance(found, dict) else {"y": found}


def check_path(path: Path) -> None:
    """Check that a file can be written, before time is spent on the export.

    Args:
        path: file to write.

    Raises:
        SettingError: the file exists, its folder does not exist, its ending is unknown, or a required package is
            missing.
    """
    if path.suffix not in FORMATS:
        raise SettingError(f"export={path}: end the name in {' or '.join(FORMATS)}, which decides what is written.")
    if path.exists():
        raise SettingError(f"export={path}: there is such a file already. Delete it, or choose another name.")
    if not path.parent.is_dir():
        raise SettingError(f"export={path}: there is no folder {path.parent}.")
    missing = [name for name in NEEDS.get(path.suffix, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(
            f"export={path} needs {' and '.join(missing)}: python -m pip install -c constraints.txt -e '.[export]'\n"
            "Without them: export=model.pt2, which torch.export.load reads."
        )


def export(module: LightningModule, x: Tensor, path: Path) -> str:
    """Write the network and its prediction step to a file; the exported network takes any number of samples.

    Args:
        module: trained module in evaluation mode, on the CPU.
        x: two samples in the form in which the network receives them.
        path: path of the new file: ``.onnx``, or ``.pt2`` for torch.export's own format.

    Returns:
        A line that describes the exported network's inputs and outputs.

    Raises:
        SettingError: the file cannot be written, or the network cannot be exported.
    """
    check_path(path)
    predictor = Predictor(module).eval()
    given = predicted(module, x)
    try:
        content = FORMATS[path.suffix](predictor, x, list(given))
    except Exception as error:  # any error: the network's own code runs on symbolic tensors
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        name = type(getattr(module, "network", module)).__name__
        raise SettingError(f"export={path}: {name} cannot be exported: {reason}") from error
    try:
        write_atomically(path, content)
    except OSError as error:
        raise SettingError(f"export={path}: {error.strerror}.") from error
    outputs = ", ".join(f"{name} {_form(tensor)}" for name, tensor in given.items())
    return f"{path} takes x {_form(x)} and gives {outputs}."


def _torch_export(predictor: Predictor, x: Tensor, names: list[str]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(_program(predictor, x), buffer)
    return buffer.getvalue()


def _onnx(predictor: Predictor, x: Tensor, names: list[str]) -> bytes:
    # Of type ONNXProgram; it would be None without dynamo.
    program: Any = torch.onnx.export(
        _program(predictor, x), dynamo=True, input_names=["x"], output_names=names, verbose=False
    )
    return program.model_proto.SerializeToString()


def _program(predictor: Predictor, x: Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(predictor, (x,), dynamic_shapes={"x": {0: torch.export.Dim("N")}})


FORMATS: dict[str, Callable[[Predictor, Tensor, list[str]], bytes]] = {".onnx": _onnx, ".pt2": _torch_export}
# Required packages of each format, as in the extra "export".
NEEDS = {".onnx": ("onnx", "onnxscript")}


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} (N{''.join(f', {size}' for size in tensor.shape[1:])})"
