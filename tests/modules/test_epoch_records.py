"""Means over an epoch's samples against NumPy's; each batch tells its mean loss, and counts."""

import numpy as np
import pytest
import torch

from littlenets.modules.records import EpochRecords, Step


class Measured:
    """Random measurements, told to the records and kept here.

    Args:
        sizes: for each epoch, the samples of each of its batches.
    """

    def __init__(self, sizes: list[list[int]], names: list[str], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.sizes, self.names = sizes, names
        # float32 first, as a loss is, so that both sides start from the same numbers.
        self.losses = [rng.normal(size=len(epoch)).astype(np.float32) for epoch in sizes]
        self.hits = [rng.integers(0, np.array(epoch) + 1, (len(names), len(epoch))) for epoch in sizes]
        self.weights = rng.normal(size=len(sizes)).astype(np.float32)

    def tell(self, records: EpochRecords) -> None:
        weight = torch.zeros(1, 1)
        for epoch, sizes in enumerate(self.sizes):
            for batch, size in enumerate(sizes):
                hits = {
                    name: torch.tensor(hits[batch]) for name, hits in zip(self.names, self.hits[epoch], strict=True)
                }
                records.add(Step(torch.tensor(self.losses[epoch][batch]), size, hits))
            # In place, as an optimizer changes it.
            weight.fill_(float(self.weights[epoch]))
            records.end_epoch({"weight": weight}, lr=0.1 / (epoch + 1))

    def expect(self, columns: dict[str, list[float]]) -> None:
        assert list(columns) == ["train/loss", *(f"train/{name}" for name in self.names), "weight", "lr"]
        means = [
            np.average(losses.astype(float), weights=sizes)
            for losses, sizes in zip(self.losses, self.sizes, strict=True)
        ]
        np.testing.assert_allclose(columns["train/loss"], means, rtol=1e-12, atol=1e-13)
        for index, name in enumerate(self.names):
            shares = [hits[index].sum() / sum(sizes) for hits, sizes in zip(self.hits, self.sizes, strict=True)]
            np.testing.assert_allclose(columns[f"train/{name}"], shares, rtol=1e-12)
        assert columns["weight"] == [float(weight) for weight in self.weights]
        assert columns["lr"] == [0.1 / (epoch + 1) for epoch in range(len(self.sizes))]


@pytest.mark.parametrize(
    "sizes",
    [
        [[5]],
        [[64, 64, 1]],
        [[5]] * 7,
        [[2, 2, 1]] * 4,
        [[2, 2, 1], [2, 2, 1], [2]],  # a last epoch that was cut short
        [[1] * 100] * 30,
    ],
    ids=["one batch", "a smaller last batch", "full batches", "minibatches", "cut short", "many"],
)
@pytest.mark.parametrize("names", [[], ["acc"], ["acc", "top2"]], ids=len)
def test_columns_are_means_over_samples(sizes: list[list[int]], names: list[str]):
    records, measured = EpochRecords(), Measured(sizes, names)
    measured.tell(records)
    measured.expect(records.take())


def test_each_epoch_is_taken_once():
    records = EpochRecords()
    for seed in range(3):
        measured = Measured([[3, 1]] * (seed + 1), ["acc"], seed)
        measured.tell(records)
        measured.expect(records.take())


def test_more_epochs_than_fit_into_memory_that_was_allocated_at_once():
    records, measured = EpochRecords(), Measured([[1000]] * 5000, ["acc"])
    measured.tell(records)
    measured.expect(records.take())


def test_what_was_cleared_is_gone():
    records, measured = EpochRecords(), Measured([[3, 1]], ["acc"], seed=1)
    Measured([[4, 4]] * 2, ["acc"]).tell(records)
    records.clear()
    measured.tell(records)
    measured.expect(records.take())


def test_a_loss_that_is_no_number_spoils_no_other_epoch():
    records = EpochRecords()
    for loss in (1.0, 2.0, float("inf"), float("nan")):
        records.add(Step(torch.tensor(loss), 5))
        records.end_epoch({}, lr=0.1)
    losses = records.take()["train/loss"]
    assert losses[:3] == [1.0, 2.0, float("inf")]
    assert np.isnan(losses[3])


def test_minibatch_losses_that_are_no_number_spoil_no_earlier_epoch():
    records = EpochRecords()
    for losses in ((1.0, 2.0), (3.0, float("inf")), (float("nan"), 1.0)):
        for loss in losses:
            records.add(Step(torch.tensor(loss), 5))
        records.end_epoch({}, lr=0.1)
    losses = records.take()["train/loss"]
    assert losses[0] == 1.5
    assert not np.isfinite(losses[1:]).any()


@pytest.mark.parametrize("names", [[], ["acc"], ["acc", "top2"]], ids=len)
def test_many_numbers_of_several_types_keep_their_precision(names: list[str]):
    """A loss in float64 and counts: more than fit into memory that was allocated at once."""
    records, third = EpochRecords(), torch.tensor(1 / 3, dtype=torch.float64)
    for _ in range(5000):
        records.add(Step(third, 4, {name: torch.tensor(2) for name in names}))
        records.end_epoch({"weight": third}, lr=0.1)
    columns = records.take()
    assert set(columns["train/loss"]) == set(columns["weight"]) == {1 / 3}
    for name in names:
        assert set(columns[f"train/{name}"]) == {0.5}


def test_small_losses_after_large_ones_are_right():
    """As when a small network finds its minimum within the epochs that are taken at once: 5,000 down to 1e-14."""
    records = EpochRecords()
    losses = np.float32(5000) * np.float32(0.98) ** np.arange(2000, dtype=np.float32)
    for loss in losses:
        for factor, size in ((1.0, 2), (1.5, 2), (0.5, 1)):
            records.add(Step(torch.tensor(loss * np.float32(factor)), size))
        records.end_epoch({}, lr=0.1)
    means = losses.astype(float) * (2 * 1.0 + 2 * 1.5 + 0.5) / 5
    np.testing.assert_allclose(records.take()["train/loss"], means, rtol=1e-6)


def test_means_of_the_epoch_under_way_are_those_of_its_batches():
    records = EpochRecords()
    for position, (loss, hits, size) in enumerate([(1.0, 3, 4), (4.0, 0, 2)]):
        assert records.add(Step(torch.tensor(loss), size, {"acc": torch.tensor(hits)}), (7, position))
        assert not records.add(Step(torch.tensor(9.0), size, {"acc": torch.tensor(0)}), (7, position))
    means = records.means()
    assert {name: mean.item() for name, mean in means.items()} == {"train/loss": 2.0, "train/acc": 0.5}
    records.add(Step(torch.tensor(5.0), 1, {"acc": torch.tensor(1)}), (8, 0))
    assert records.means()["train/loss"] == 5


def test_batches_after_the_epochs_that_were_taken_stay():
    records = EpochRecords()
    for loss in (1.0, 2.0):
        records.add(Step(torch.tensor(loss), 3))
    records.end_epoch({}, lr=0.1)
    records.add(Step(torch.tensor(7.0), 3))
    assert records.take() == {"train/loss": [1.5], "lr": [0.1]}
    assert records.batch_losses.tolist() == [1, 2]
    records.add(Step(torch.tensor(9.0), 3))
    assert records.means()["train/loss"] == 8
