"""Asking a module for its predictions.

Shapes: N samples.
"""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor

from ..errors import SettingError


def predicted(module: LightningModule, batch: Any) -> dict[str, Tensor]:
    """What a module says of a batch: tensors (N, ...) by name, of one only ``y``.

    Raises:
        SettingError: it cannot take it, or says something else.
    """
    name = f"{type(module).__name__}.predict_step"
    if isinstance(batch, tuple | list) and not is_overridden("predict_step", module):
        # Which passes on to `forward` what it gets.
        batch = batch[0]
    try:
        with torch.no_grad():
            found = module.predict_step(batch, 0)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SettingError(f"{name} cannot take this: {reason}") from error
    named = found if isinstance(found, dict) else {"y": found}
    tensors = [value for value in named.values() if isinstance(value, Tensor) and value.dim()]
    if not named or len(tensors) < len(named) or len({len(tensor) for tensor in tensors}) > 1:
        raise SettingError(f"{name} should return a tensor, or tensors by name, with a row for each sample.")
    return named
