"""Call a module's ``predict_step``.

Shapes: N samples.
"""

from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor

from ..errors import SettingError


def predicted(module: LightningModule, batch: Any) -> dict[str, Tensor]:
    """Return a module's predictions for a batch: tensors (N, ...) by name; a single tensor is named ``y``.

    Args:
        module: trained module.
        batch: input of ``predict_step``. If the module does not override ``predict_step``, only the first element of a
            tuple or list is used.

    Raises:
        SettingError: the module cannot process the batch, or returns something other than tensors with one row per
            sample.
    """
    name = f"{type(module).__name__}.predict_step"
    if isinstance(batch, tuple | list) and not is_overridden("predict_step", module):
        # The default `predict_step` passes its argument to `forward`, which takes the inputs only.
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
