"""Smaller things that public projects do, one class each.

Shapes: N batch, T tokens, E numbers of a token, V words, K labels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from littlenets.data import Split, TensorDataModule
from littlenets.modules import MulticlassClassification, Step, SupervisedModule
from littlenets.randomness import stream


class Curve(nn.Module):
    """A smooth function of one number, float32 (N, 1) to (N, 1)."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class SolvesEquation(SupervisedModule):
    """Physics-informed: u' = u with u(0) = 1, from the network's own derivative, in the test as well."""

    def step(self, batch: tuple[Tensor, Tensor]) -> Step:
        with torch.enable_grad():
            x = batch[0].detach().clone().requires_grad_()
            u = self(x)
            (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            loss = (slope - u).square().mean() + (self(torch.zeros(1, 1)) - 1).square().mean()
        return Step(loss, len(x), {"slope": slope.detach().sum()})

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        return {"u": output}


class Tags(TensorDataModule):
    """Points (N, 2), and three labels each of which may be right, float32 (N, 3)."""

    sample_shape = (2,)

    def __init__(self, n_points: int = 40, seed: int = 0) -> None:
        super().__init__(batch_size=10, shuffle=True, validation=0.0, seed=seed)
        self.n_points = n_points

    def load(self) -> tuple[Split, Split]:
        return self._draw("train"), self._draw("test")

    def _draw(self, purpose: str) -> Split:
        x = torch.randn(self.n_points, 2, generator=stream(self.seed, purpose))
        return Split(x, torch.stack([x[:, 0] > 0, x[:, 1] > 0, x.norm(dim=1) > 1], dim=1).float())


class MultiLabel(SupervisedModule):
    """Logits (N, K) for labels float32 (N, K)."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(output, target)

    def measure(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"all_right": ((output > 0) == target.bool()).all(dim=1).count_nonzero()}

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        return {"labels": (output > 0).long(), "probabilities": output.sigmoid()}


class Text(TensorDataModule):
    """Words int64 (N, T), and the word after each, int64 (N, T): they count up, and begin anew."""

    sample_shape, sample_dtype = (6,), torch.int64

    def __init__(self, words: int = 5, samples: int = 16, seed: int = 0) -> None:
        super().__init__(batch_size=8, shuffle=True, validation=0.0, seed=seed)
        self.words, self.samples = words, samples

    def load(self) -> tuple[Split, Split]:
        first = torch.randint(self.words, (self.samples, 1), generator=stream(self.seed, "text"))
        text = (first + torch.arange(7)) % self.words
        return Split(text[:, :-1], text[:, 1:]), Split(text[:4, :-1], text[:4, 1:])


class TinyGPT(nn.Module):
    """Words int64 (N, T) to logits (N, T, V), whose last layer has the weights of the first."""

    def __init__(self, words: int = 5, width: int = 8) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(6, width)
        self.block = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.words(tokens) + self.places(torch.arange(length, device=tokens.device))  # (N, T, E)
        later = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        return self.head(self.block(x, src_mask=later))


class NextWord(SupervisedModule):
    """Cross entropy of every next word."""

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.flatten(0, 1), target.flatten())

    def predictions(self, output: Tensor) -> dict[str, Tensor]:
        return {"next": output[:, -1].argmax(dim=1)}


class ColumnsOfATable(TensorDataModule):
    """Points and classes as they are cut out of one table: neither is contiguous in memory."""

    classes, sample_shape = 3, (2,)

    def __init__(self, seed: int = 0) -> None:
        super().__init__(batch_size=None, shuffle=False, validation=0.0, seed=seed)

    def load(self) -> tuple[Split, Split]:
        table = torch.randn(3, 30, generator=stream(self.seed, "table")).t()  # (30, 3), column by column in memory
        labels = torch.arange(90).view(30, 3)[:, 0] % 2
        return Split(table[:, :2], labels), Split(table[:, :2], labels)


class Weighted(MulticlassClassification):
    """Cross entropy in which classes weigh differently."""

    def __init__(
        self, network: nn.Module, optimizer: Callable, scheduler: Any = None, weights: Sequence[float] = (1.0, 1.0)
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        self.register_buffer("weights", torch.tensor(weights))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target, self.weights)


class Template(LightningModule):
    """As in lightning-hydra-template: parts by arguments, all of them saved as hyperparameters."""

    def __init__(self, net: nn.Module, optimizer: Any, scheduler: Any = None, compile: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.net = net

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        loss = F.mse_loss(self.net(x), y)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = self.hparams.optimizer(params=self.parameters())
        if self.hparams.scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.hparams.scheduler(optimizer=optimizer)}


class NamesItsOptimizer(LightningModule):
    """Has settings of its own by the names of the package's parts, and keeps what is no data in its checkpoints."""

    def __init__(self, optimizer: str = "SGD", scheduler: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return F.mse_loss(self.layer(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return getattr(torch.optim, self.hparams.optimizer)(self.parameters(), lr=self.hparams.scheduler)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["of_its_own"] = {"number": 3, "function": F.mse_loss}
