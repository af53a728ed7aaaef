import pytest
import torch

from littlenets.data import Line, Spirals
from littlenets.errors import SettingError


def numbers(data: Line, split: str) -> list[float]:
    """Each point of a line is its own number."""
    return sorted(data.splits[split].x[:, 0].tolist())


def line(share: float, seed: int = 0, n_points: int = 40) -> Line:
    data = Line(n_points=n_points, validation=share, seed=seed)
    data.setup()
    return data


@pytest.mark.parametrize(("share", "held_out"), [(0.25, 10), (0.1, 4), (0.9, 36)])
def test_training_and_validation_share_no_sample(share: float, held_out: int):
    data = line(share)
    assert len(numbers(data, "val")) == held_out
    assert sorted(numbers(data, "train") + numbers(data, "val")) == [float(n) for n in range(1, 41)]
    for split in ("train", "val"):
        x, y = data.splits[split]
        assert torch.equal(y, 2 * x)


def test_no_share_is_no_split():
    assert set(line(0.0).splits) == {"train", "test"}


def test_the_seed_decides_the_split():
    assert numbers(line(0.25, seed=1), "val") == numbers(line(0.25, seed=1), "val")
    assert numbers(line(0.25, seed=1), "val") != numbers(line(0.25, seed=2), "val")
    # Not the last ones, or the first.
    assert numbers(line(0.25), "val") not in ([float(n) for n in range(1, 11)], [float(n) for n in range(31, 41)])


def test_the_test_points_stay_the_same():
    whole, split = Spirals(seed=3), Spirals(seed=3, validation=0.5)
    whole.setup()
    split.setup()
    assert torch.equal(whole.splits["test"].x, split.splits["test"].x)
    assert len(split.splits["val"].x) == len(split.splits["train"].x) == 1000


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(SettingError, match=r"data\.validation"):
        line(0.99)
