"""How predictions are written: read back with Python's own readers of JSON and CSV."""

import csv
import io
import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from littlenets.errors import SettingError
from littlenets.inference.formats import Answer, as_csv, as_json, as_text
from littlenets.inference.inputs import Samples


def answer(predictions: dict[str, Tensor], names: dict | None = None, known: dict | None = None) -> Answer:
    count = len(next(iter(predictions.values())))
    return Answer(Samples(torch.zeros(count, 1), str, names or {}, known or {}), predictions)


def numbers(*values: float) -> Answer:
    return answer({"y": torch.tensor(values).unsqueeze(1)})


def classes(*probabilities: list[float], **about: dict) -> Answer:
    table = torch.tensor(probabilities)
    return answer({"class": table.argmax(dim=1), "probabilities": table}, **about)


def test_text_of_a_number_is_the_number():
    assert "".join(as_text([numbers(39.982105, -0.5), numbers(1e-10)])) == "39.982105\n-0.5\n1e-10\n"


def test_text_of_a_point_is_its_class_and_probabilities():
    text = "".join(as_text([classes([0.25, 0.75], [0.99996, 0.00004])]))
    assert text == "class 1   probabilities 0.2500 0.7500\nclass 0   probabilities 1.0000 0.0000\n"


def test_text_of_a_picture_has_a_bar_for_each_class():
    text = "".join(as_text([classes([0.0, 0.25, 0.75], names={"image": ["a/seven.png"]})]))
    head, *bars = text.splitlines()
    assert head == "a/seven.png: 2"
    assert [line.split()[0] for line in bars] == ["0", "1", "2"]
    assert [line.split()[-1] for line in bars] == ["0.0%", "25.0%", "75.0%"]
    filled = [len(line.strip("0123456789.% ")) for line in bars]
    assert filled == [0, 10, 30]


def test_bars_of_more_than_ten_classes_begin_below_each_other():
    text = "".join(as_text([classes([1 / 12] * 12, names={"image": ["twelve.png"]})]))
    _, *bars = text.splitlines()
    assert len({len(line) for line in bars}) == 1
    assert [line.split()[0] for line in bars] == [str(number) for number in range(12)]


def test_text_of_a_test_sample_says_what_is_true():
    text = "".join(as_text([classes([0.1, 0.9], names={"index": [7]}, known={"true": torch.tensor([0])})]))
    assert text.startswith("index 7: 1 (truly 0)\n")
    text = "".join(as_text([answer({"y": torch.tensor([[1.5]])}, {"index": [3]}, {"true": torch.tensor([[2.0]])})]))
    assert text == "index 3   y 1.5   true 2.0\n"


def test_json_is_one_list_with_a_line_a_sample():
    text = "".join(as_json([classes([0.25, 0.75]), classes([0.5, 0.25], [0.1, 0.2])]))
    assert json.loads(text) == [
        {"class": 1, "probabilities": [0.25, 0.75]},
        {"class": 0, "probabilities": [0.5, 0.25]},
        {"class": 1, "probabilities": [0.1, 0.2]},
    ]
    assert len(text.splitlines()) == 5
    assert json.loads("".join(as_json([numbers(2.5)]))) == [{"y": 2.5}]


def test_csv_has_a_column_for_each_number():
    names = {"image": ['a,"b".png', "c.png"]}
    text = "".join(as_csv([classes([0.25, 0.75], [0.5, 0.1], names=names, known={"true": torch.tensor([1, 1])})]))
    assert list(csv.reader(io.StringIO(text))) == [
        ["image", "class", "probabilities_0", "probabilities_1", "true"],
        ['a,"b".png', "1", "0.25", "0.75", "1"],
        ["c.png", "0", "0.5", "0.1", "1"],
    ]
    assert "".join(as_csv([numbers(2.5), numbers(3.5)])) == "y\n2.5\n3.5\n"


def test_remarks_are_a_note_below_the_bars_and_a_text_for_programs():
    predictions = {"class": torch.tensor([1, 0]), "probabilities": torch.tensor([[0.25, 0.75], [0.75, 0.25]])}
    samples = Samples(torch.zeros(2, 1), str, {"image": ["a.png", "b.png"]}, {}, [["it is, wide", "unsure"], []])
    noted, plain = "".join(as_text([Answer(samples, predictions)])).split("b.png")
    assert noted.splitlines()[-1] == "  Note: it is, wide; unsure"
    assert "Note" not in plain
    read = json.loads("".join(as_json([Answer(samples, predictions)])))
    assert [sample["remarks"] for sample in read] == ["it is, wide; unsure", ""]
    rows = list(csv.DictReader(io.StringIO("".join(as_csv([Answer(samples, predictions)])))))
    assert [row["remarks"] for row in rows] == ["it is, wide; unsure", ""]
    assert samples.first(1).remarks == [["it is, wide", "unsure"]]


@pytest.mark.parametrize("form", [as_text, as_json, as_csv])
def test_numbers_are_the_very_ones(form):
    """As many digits as tell a float32 from its neighbours, so that what is read is what the network gave."""
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * torch.logspace(-30, 30, 1000)
    text = "".join(form([numbers(*values.tolist())]))
    if form is as_json:
        read = [sample["y"] for sample in json.loads(text)]
    else:
        read = [float(line) for line in text.splitlines() if line != "y"]
    assert torch.equal(torch.tensor(read), values)


@pytest.mark.parametrize("form", [as_text, as_json, as_csv])
def test_what_came_before_a_mistake_is_whole(form):
    def failing() -> Iterator[Answer]:
        yield numbers(1.5)
        raise SettingError("the second batch is wrong")

    pieces = []
    with pytest.raises(SettingError):
        pieces.extend(form(failing()))
    text = "".join(_until_error(form(failing())))
    if form is as_json:
        assert json.loads(text) == [{"y": 1.5}]
    else:
        assert text.splitlines()[-1] == "1.5"


def _until_error(pieces: Iterator[str]) -> Iterator[str]:
    try:
        yield from pieces
    except SettingError:
        return


@pytest.mark.parametrize("form", [as_text, as_json, as_csv])
def test_a_batch_is_written_before_the_next_is_made(form):
    made = []

    def batches() -> Iterator[Answer]:
        for number in range(3):
            made.append(number)
            yield numbers(float(number))

    next(form(batches()))
    assert made == [0]
