"""What evaluate.py prints of classes: side by side where 80 columns are enough, else one below the other."""

from collections.abc import Sequence

from littlenets.data import FashionMNIST
from littlenets.runs.summary import evaluation_lines


def lines(confusion: list[list[int]], names: Sequence[str] = ()) -> list[str]:
    classes = []
    for index, row in enumerate(confusion):
        asked, answered = sum(row), sum(other[index] for other in confusion)
        precision = row[index] / answered if answered else None
        classes.append({"class": index, "samples": asked, "acc": row[index] / asked, "precision": precision})
        classes[-1] |= {"name": names[index]} if names else {}
    shown = {
        "run": "outputs/runs/x",
        "checkpoint": "last.ckpt",
        "data": "spiral",
        "samples": 6,
        "metrics": {"test/acc": 1},
    }
    return evaluation_lines({**shown, "classes": classes, "confusion": confusion})[3:]


def test_few_classes_stand_beside_what_they_were_taken_for():
    assert lines([[2, 2], [0, 1]]) == [
        "class   samples  accuracy  precision    taken for  0  1",
        "    0         4    0.5000     1.0000               2  2",
        "    1         1    1.0000     0.3333               0  1",
    ]


def test_ten_classes_fit_a_terminal():
    shown = lines([[1000 if row == column else 0 for column in range(10)] for row in range(10)])
    assert max(map(len, shown)) <= 80
    assert shown[:2] == ["class   samples  accuracy  precision", "    0      1000    1.0000     1.0000"]
    assert shown[10:14] == [
        "    9      1000    1.0000     1.0000",
        "",
        "class  taken for     0     1     2     3     4     5     6     7     8     9",
        "    0             1000     0     0     0     0     0     0     0     0     0",
    ]
    assert len(shown) == 11 + 1 + 11


def test_names_stand_beside_the_numbers():
    assert lines([[2, 2], [0, 1]], ["a cat", "dog"]) == [
        "class     samples  accuracy  precision    taken for  0  1",
        "0 a cat         4    0.5000     1.0000               2  2",
        "1 dog           1    1.0000     0.3333               0  1",
    ]


def test_ten_named_classes_fit_a_terminal():
    shown = lines([[1000 if row == column else 0 for column in range(10)] for row in range(10)], FashionMNIST.names)
    assert max(map(len, shown)) <= 80
    assert shown[1] == "0 T-shirt/top      1000    1.0000     1.0000"
    assert shown[12:14] == [
        "class  taken for     0     1     2     3     4     5     6     7     8     9",
        "0 T-shirt/top     1000     0     0     0     0     0     0     0     0     0",
    ]
