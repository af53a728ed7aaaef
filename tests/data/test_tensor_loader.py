"""Batches: every sample once an epoch, in an order that seed and epoch decide, and pixels as torchvision makes them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from littlenets.data import Digits
from littlenets.data.loader import BatchOrder, Part, TensorLoader


def loader(samples: int, batch_size: int | None, shuffle: bool = True, seed: int = 0) -> TensorLoader:
    """Over samples that tell their own number: x is (i, -i), y is 10 i."""
    i = torch.arange(samples)
    return TensorLoader(torch.stack([i, -i], dim=1), 10 * i, batch_size, shuffle, seed)


def epoch(batches: TensorLoader, number: int) -> list[list[int]]:
    """The numbers of the samples of each batch, after a look at what belongs together."""
    batches.sampler.set_epoch(number)
    numbers = []
    for x, y in batches:
        assert torch.equal(x[:, 0], -x[:, 1])
        assert torch.equal(10 * x[:, 0], y)
        numbers.append(x[:, 0].tolist())
    return numbers


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        (10, 4, [4, 4, 2]),
        (10, 5, [5, 5]),
        (7, 1, [1] * 7),
        (10, 9, [9, 1]),
        (10, 10, [10]),
        (10, 11, [10]),
        (10, 1000, [10]),
        (10, None, [10]),
        (1, None, [1]),
        (1, 1, [1]),
    ],
)
def test_every_sample_comes_once_an_epoch(samples: int, batch_size: int | None, sizes: list[int], shuffle: bool):
    batches = loader(samples, batch_size, shuffle)
    assert len(batches) == len(sizes)
    for number in range(3):
        order = epoch(batches, number)
        assert [len(batch) for batch in order] == sizes
        assert sorted(flat(order)) == list(range(samples))


def test_without_shuffling_the_order_is_that_of_the_samples():
    batches = loader(50, 8, shuffle=False)
    assert flat(epoch(batches, 0)) == flat(epoch(batches, 3)) == list(range(50))


@pytest.mark.parametrize("batch_size", [1, 7, 25])
def test_seed_and_epoch_decide_the_order(batch_size: int):
    """50! orders: no two of different seeds or epochs are the same by chance."""
    orders = {
        (seed, number): flat(epoch(loader(50, batch_size, seed=seed), number))
        for seed in (0, 1)
        for number in (0, 1, 7)
    }
    assert len({tuple(order) for order in orders.values()}) == len(orders)
    assert list(range(50)) not in orders.values()

    again = loader(50, batch_size, seed=1)
    torch.manual_seed(123)  # whatever else is random
    for number in (7, 0, 1, 7):
        assert flat(epoch(again, number)) == orders[1, number]


def test_an_order_favours_no_place():
    """Over many epochs, each sample is as often in the first batch as any other."""
    epochs, samples, batch = 600, 12, 3
    batches, counts = loader(samples, batch), np.zeros(12)
    for number in range(epochs):
        counts[epoch(batches, number)[0]] += 1
    expected = epochs * batch / samples
    chi2 = ((counts - expected) ** 2 / (expected * (1 - batch / samples))).sum() * (samples - 1) / samples
    assert chi2 < 31.3  # with 11 degrees of freedom, one seed in a thousand is beyond


def test_the_order_names_the_batches_of_the_loader():
    batches = loader(20, 6, seed=4)
    batches.sampler.set_epoch(5)
    chosen = [indices.tolist() for indices in batches.sampler]
    assert chosen == [x[:, 0].tolist() for x, _ in batches]
    assert isinstance(batches.sampler, BatchOrder)
    assert len(batches.sampler) == len(batches) == 4


def test_one_batch_is_the_samples_themselves():
    """Nothing is copied in a full batch."""
    batches = loader(20, None)
    ((x, y),) = batches
    assert (x.data_ptr(), y.data_ptr()) == (batches.x.data_ptr(), batches.y.data_ptr())


def test_two_iterations_at_once_do_not_disturb_each_other():
    batches = loader(20, 6)
    pairs = list(zip(batches, batches, strict=True))
    assert all(torch.equal(a[0], b[0]) for a, b in pairs)
    assert sorted(n for (x, _), _ in pairs for n in x[:, 0].tolist()) == list(range(20))


def torchvision_pixels(images: Tensor) -> Tensor:
    """uint8 (N, 1, H, W) through PIL images, as the datasets of torchvision do it."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    return torch.stack([transform(Image.fromarray(image[0].numpy())) for image in images])


def test_every_possible_pixel_is_torchvisions_to_the_bit():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(Digits().transform(images), torchvision_pixels(images))


def test_random_pixels_are_torchvisions_to_the_bit_in_every_batch():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (50, 1, 28, 28), np.uint8))
    kept = images.clone()
    batches = TensorLoader(images, torch.arange(50), 16, True, 0, Digits().transform)
    expected = torchvision_pixels(images)
    for x, y in batches:
        assert x.dtype == torch.float32
        assert torch.equal(x, expected[y])
    assert torch.equal(images, kept)


def test_the_digits_batches_are_torchvisions_to_the_bit():
    data = Digits(batch_size=100)
    data.setup()
    images, labels = data.splits["train"]
    x, y = next(iter(data.train_dataloader()))
    chosen = next(iter(data.train_dataloader().sampler))
    assert torch.equal(x, torchvision_pixels(images[chosen]))
    assert torch.equal(y, labels[chosen])
    test_x, test_y = next(iter(data.test_dataloader()))
    assert torch.equal(test_x, torchvision_pixels(data.splits["test"].x))
    assert torch.equal(test_y, data.splits["test"].y)


def test_another_mean_and_deviation_are_used():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))])
    expected = transform(Image.fromarray(images[0, 0].numpy()))
    assert torch.equal(Digits(mean=0.2860, std=0.3530).transform(images)[0], expected)


@pytest.mark.parametrize("processes", [2, 3, 4])
@pytest.mark.parametrize(("samples", "size"), [(50, 8), (50, 1), (7, 3), (12, None), (9, 2)])
@pytest.mark.parametrize("shuffle", [False, True])
class TestParts:
    """Of several processes that train together."""

    def batches(self, samples: int, size: int | None, shuffle: bool, part: Part) -> list[Tensor]:
        i = torch.arange(float(samples))
        batches = TensorLoader(i[:, None], i, size, shuffle, 3, part=part)
        batches.sampler.set_epoch(2)
        return [(batches.sampler.weight_of_batch(index), y) for index, (_, y) in enumerate(batches)]

    def test_together_they_are_the_batches_of_one(self, samples, size, shuffle, processes):
        whole = self.batches(samples, size and size * processes, shuffle, Part())
        parts = [self.batches(samples, size, shuffle, Part(rank, processes)) for rank in range(processes)]
        assert [len(part) for part in parts] == [len(whole)] * processes
        for (_, batch), *shares in zip(whole, *parts, strict=True):
            assert torch.cat([share for weight, share in shares if weight]).tolist() == batch.tolist()

    def test_the_mean_of_weighted_means_is_the_mean(self, samples, size, shuffle, processes):
        whole = self.batches(samples, size and size * processes, shuffle, Part())
        parts = [self.batches(samples, size, shuffle, Part(rank, processes)) for rank in range(processes)]
        for (_, batch), *shares in zip(whole, *parts, strict=True):
            means = [weight * share.mean().item() for weight, share in shares]
            assert np.mean(means) == pytest.approx(batch.mean().item(), abs=1e-5)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("samples", [3, 10, 2001, 4003])
def test_even_batches_give_all_processes_as_many(samples: int, processes: int):
    i = torch.arange(samples)
    parts = [list(TensorLoader(i, i, 1000, part=Part(rank, processes), even=True)) for rank in range(processes)]
    assert len({len(part) for part in parts}) == 1
    assert max(len(y) for part in parts for _, y in part) <= 1000
    assert sorted(torch.cat([y for part in parts for _, y in part]).tolist()) == list(range(samples))
