"""Whatever the loader, a run that is gone on with sees the same batches, and ends with the same weights."""

import logging
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import outside_data
import pytest
import pytorch_lightning as pl
import torch
from outside_data import LOADERS, Loaders, Several
from pytorch_lightning.utilities import CombinedLoader
from torch import Tensor, nn

from littlenets.data.resumable import make_resumable, own_generators
from littlenets.randomness import random_states, restore_random_states

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__` defined"),
    pytest.mark.filterwarnings("ignore:Consider setting `persistent_workers=True`"),
    pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch"),
]
EPOCHS = 3


class Dropping(pl.LightningModule):
    """An ordinary module whose network draws from the global generator, as its data may."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        #: What was trained on, in the order of batches.
        self.seen: list[Tensor] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        pairs = batch.values() if isinstance(batch, dict) else [batch] if isinstance(batch[0], Tensor) else batch
        if any(pair is None for pair in pairs):  # a loader that has ended before others
            pairs = [pair for pair in pairs if pair is not None]
        elif isinstance(batch, list) and isinstance(batch[0], Tensor):
            pairs = [batch]
        self.seen.append(torch.cat([x.flatten() for x, _ in pairs]))
        return sum(nn.functional.cross_entropy(self.network(x), y) for x, y in pairs)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.network(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class State(pl.Callback):
    """Saves a checkpoint after a batch, or at the end of an epoch, with the random states; and puts these back."""

    def __init__(self, path: Path, epoch: int, batches: int | None) -> None:
        self.path, self.epoch, self.batches = path, epoch, batches
        self.states: dict[str, Any] | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if (trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready) == (
            self.epoch,
            self.batches,
        ):
            trainer.save_checkpoint(self.path)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.batches is None and trainer.current_epoch == self.epoch:
            trainer.save_checkpoint(self.path)

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict) -> None:
        checkpoint["random"] = random_states()

    def on_load_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict) -> None:
        self.states = checkpoint["random"]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.states:
            restore_random_states(self.states)


def fit(data: pl.LightningDataModule, state: State, resumed: bool = False, **arguments: Any) -> Dropping:
    """Trains, drawing from the global generators before as another process would not."""
    pl.seed_everything(7 if resumed else 0, workers=True, verbose=False)
    module = Dropping()
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[state],
        **arguments,
    )
    position = (state.epoch + (state.batches is None), state.batches or 0) if resumed else (0, 0)
    make_resumable(data, 5, *position)
    trainer.fit(module, datamodule=data, ckpt_path=state.path if resumed else None)
    return module


def is_same(tmp_path: Path, make: Any, epoch: int, batches: int | None, **arguments: Any) -> Dropping:
    state = State(tmp_path / "state.ckpt", epoch, batches)
    whole = fit(make(), state, **arguments)
    part = fit(make(), state, resumed=True, **arguments)
    assert 0 < len(part.seen) < len(whole.seen)
    for resumed, before in zip(part.seen, whole.seen[-len(part.seen) :], strict=True):
        assert torch.equal(resumed, before)
    for name, value in part.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
    return whole


@pytest.mark.parametrize(("epoch", "batches"), [(0, None), (1, 2)], ids=["end", "middle"])
@pytest.mark.parametrize("kind", [kind for kind in LOADERS if kind != "counting"])
def test_gone_on_with(tmp_path: Path, kind: str, epoch: int, batches: int | None):
    whole = is_same(tmp_path, lambda: Loaders(kind), epoch, batches)
    half = len(whole.seen) // EPOCHS
    assert len(whole.seen) == EPOCHS * half
    assert not torch.equal(torch.cat(whole.seen[:half]), torch.cat(whole.seen[half : 2 * half])), "epochs differ"


@pytest.mark.parametrize(("epoch", "batches"), [(0, None), (1, 1), (1, 3), (2, 4)])
@pytest.mark.parametrize("container", ["dict", "list"])
@pytest.mark.parametrize("kind", ["augmented", "stream"])
def test_several_at_once(tmp_path: Path, kind: str, container: str, epoch: int, batches: int | None):
    """The shorter one has two batches of the five, and an order of its own each time that it begins again."""
    whole = is_same(tmp_path, lambda: Several(kind, container), epoch, batches)
    short = [seen[-13 * 4 :] for seen in whole.seen[:4]]
    assert not torch.equal(short[0], short[2])


@pytest.mark.parametrize("mode", ["min_size", "max_size", "max_size_cycle"])
@pytest.mark.parametrize("batches", [None, 1])
def test_combined(tmp_path: Path, mode: str, batches: int | None):
    class Combined(Several):
        def train_dataloader(self) -> CombinedLoader:
            return CombinedLoader(super().train_dataloader(), mode)

    whole = is_same(tmp_path, Combined, 1, batches)
    assert len(whole.seen) == EPOCHS * (2 if mode == "min_size" else 5)


def test_where_lightning_makes_a_loader_anew(tmp_path: Path):
    """With ``overfit_batches`` it puts another sampler in, as it does for several devices."""
    with pytest.warns(UserWarning, match="turning off the train dataloader shuffling"):
        is_same(tmp_path, lambda: Loaders("augmented"), 0, 1, overfit_batches=2)
    with pytest.warns(UserWarning, match="turning off the train dataloader shuffling"):
        is_same(tmp_path, lambda: Loaders("persistent_workers"), 1, None, overfit_batches=2)


def test_where_loaders_are_asked_for_again(tmp_path: Path):
    for kind in ("augmented", "stream"):
        is_same(tmp_path, lambda kind=kind: Loaders(kind), 1, 2, reload_dataloaders_every_n_epochs=1)


def test_where_the_length_is_asked_for_before_states_are_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def configure_optimizers(self: Dropping) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), lr=0.1)

    monkeypatch.setattr(Dropping, "configure_optimizers", configure_optimizers)
    for kind in ("augmented", "stream"):
        is_same(tmp_path, lambda kind=kind: Loaders(kind), 1, 2)


def test_the_program_draws_as_if_there_were_no_loader():
    """And what it draws between two batches changes nothing in these."""
    batches = []
    for between in (0, 3):
        data = Loaders("own_generators")
        make_resumable(data, 0)
        pl.seed_everything(1, verbose=False)
        got = []
        drawn = []
        for x, _ in data.train_dataloader():
            got.append(x)
            drawn.append((random.random(), np.random.random(), torch.rand(()).item()))
            torch.rand(between)
        batches.append(torch.cat(got))
        if not between:
            pl.seed_everything(1, verbose=False)
            assert drawn == [(random.random(), np.random.random(), torch.rand(()).item()) for _ in drawn]
    assert torch.equal(*batches)


def test_other_seeds_are_other_orders():
    firsts = []
    for seed in (0, 1):
        data = Loaders("plain")
        make_resumable(data, seed)
        firsts.append(next(iter(data.train_dataloader()))[0])
    assert not torch.equal(*firsts)


def test_a_loader_stays_what_it_is():
    data = Loaders("drop_last")
    plain = data.train_dataloader()
    make_resumable(data, 0)
    resumable = data.train_dataloader()
    assert isinstance(resumable, type(plain))
    assert len(resumable) == len(plain) == 4
    assert type(resumable.sampler) is type(plain.sampler)
    assert (resumable.batch_size, resumable.drop_last) == (6, True)


def test_it_can_be_sent_to_another_process():
    data = Loaders("drop_last")
    make_resumable(data, 0)
    sent = pickle.loads(pickle.dumps(data))
    assert sent.train_dataloader().place is not data.train_dataloader().place
    assert all(torch.equal(*xs) for (*xs, _, _) in _pairs(sent, data))


def _pairs(*modules: Loaders):
    for (x, y), (other_x, other_y) in zip(*(module.train_dataloader() for module in modules), strict=True):
        yield x, other_x, y, other_y


def test_generators_are_found():
    assert len(own_generators(LOADERS["own_generators"]())) == 4
    assert len(own_generators(LOADERS["drop_last"]())) == 1  # one that the loader and its sampler share
    assert own_generators(LOADERS["plain"]()) == []


@pytest.mark.parametrize("kind", LOADERS)
def test_only_what_cannot_be_known_is_warned_of(kind: str, caplog: pytest.LogCaptureFixture):
    data = Loaders(kind)
    make_resumable(data, 0)
    for _ in range(2):
        data.train_dataloader()
    if kind == "counting":
        (message,) = caplog.messages
        assert "may not be the same" in message
        assert "Counting is its own iterator" in message
    else:
        assert caplog.messages == []


def test_batches_as_workers_finish_them(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(LOADERS, "hurried", lambda: outside_data._plain(num_workers=2, in_order=False))
    data = Loaders("hurried")
    make_resumable(data, 0)
    data.train_dataloader()
    assert "in_order=False" in caplog.text


def test_an_iterator_is_there_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(LOADERS, "once", lambda: iter([torch.zeros(2)]))
    data = Loaders("once")
    make_resumable(data, 0)
    data.train_dataloader()
    assert "can be iterated over once" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
