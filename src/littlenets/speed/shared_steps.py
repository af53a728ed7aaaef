"""Split the batch of each training step among CPU threads, below Lightning's automatic optimization.

Shapes: N batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from ..modules import Step, SupervisedModule
from .batch_sharing import SharedBatch, is_mean_over_samples, is_observed, treats_samples_alone


class SharedSteps(Callback):
    """Callback that splits each training batch among CPU threads if network and loss treat each sample separately.

    The loss that the training step returns is linked to the gradients computed by the threads, so backward, hooks,
    gradient clipping and the optimizer work as usual.
    """

    def __init__(self) -> None:
        self._threads = 1
        self._shared: SharedBatch | None = None
        self._module: SupervisedModule | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._threads = torch.get_num_threads()
        if (
            self._threads > 1
            and isinstance(pl_module, SupervisedModule)
            and type(pl_module).step is SupervisedModule.step
            and "step" not in vars(pl_module)
            and type(pl_module).forward is SupervisedModule.forward
            and pl_module.device.type == "cpu"
            and type(trainer.strategy) is SingleDeviceStrategy
            and type(trainer.precision_plugin) is Precision
            and is_mean_over_samples(pl_module.loss)
            and treats_samples_alone(pl_module.network)
        ):
            parameters = [parameter for parameter in pl_module.network.parameters() if parameter.requires_grad]
            self._shared = SharedBatch(pl_module.network, pl_module.loss, parameters, self._threads)
            self._module = pl_module
            pl_module.step = _shared_step(pl_module, self._shared, parameters)  # type: ignore[method-assign]
            # More threads of PyTorch itself would wait for each other in each operation.
            torch.set_num_threads(1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._shared is not None:
            torch.set_num_threads(self._threads)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._shared is not None:
            torch.set_num_threads(1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._give_back()

    def _give_back(self) -> None:
        if self._module is not None:
            torch.set_num_threads(self._threads)
            del self._module.step
            self._shared = self._module = None


def _shared_step(
    module: SupervisedModule, shared: SharedBatch, parameters: Sequence[nn.Parameter]
) -> Callable[..., Step]:
    """Return a replacement for `SupervisedModule.step`."""
    layers = list(module.network.modules())

    def step(batch: Any) -> Step:
        # A callback may have added a hook, or replaced or frozen layers, since training started.
        unchanged = list(module.network.modules()) == layers and not is_observed(module.network)
        if not (torch.is_grad_enabled() and unchanged):
            return SupervisedModule.step(module, batch)
        x, y = batch
        target = module.target(y)
        loss, output, gradients = shared.gradients(x, target)
        trained = [parameter for parameter in parameters if parameter in gradients]
        loss = _WithGradients.apply(loss, [gradients[parameter] for parameter in trained], *trained)
        return Step(loss, len(y), module.measure(output, target), output, target)

    step.shares_batches = True  # type: ignore[attr-defined]  # functions have any attribute
    return step


class _WithGradients(torch.autograd.Function):
    """A loss, 0-dimensional, whose gradients have already been computed."""

    @staticmethod
    def forward(context: Any, loss: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        context.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(context: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        # In new memory, since the memory of the gradients is reused, and these may be accumulated.
        return None, None, *(gradient * factor for gradient in context.gradients)
