"""Reading history.csv, by what is written in the files here."""

import math
from pathlib import Path

import pytest

from littlenets.errors import SettingError
from littlenets.runs.history import read_history


def test_columns_by_name(tmp_path: Path):
    (tmp_path / "history.csv").write_text("epoch,train/loss,val/acc\n1,0.5,\n2,inf,0.75\n3,nan,1\n")
    columns = read_history(tmp_path)
    assert list(columns) == ["epoch", "train/loss", "val/acc"]
    assert columns["epoch"] == [1.0, 2.0, 3.0]
    assert columns["train/loss"][:2] == [0.5, math.inf]
    assert math.isnan(columns["train/loss"][2])
    assert math.isnan(columns["val/acc"][0])
    assert columns["val/acc"][1:] == [0.75, 1.0]


def test_some_of_the_columns(tmp_path: Path):
    (tmp_path / "history.csv").write_text("epoch,train/loss,lr\n1,0.5,0.1\n2,0.25,0.1\n")
    assert read_history(tmp_path, only=["train/loss", "val/loss"]) == {"train/loss": [0.5, 0.25]}


@pytest.mark.parametrize("half", ["3", "3,", "3,0.12", "3,0.125,0."])
def test_a_row_that_is_being_written_is_left_out(tmp_path: Path, half: str):
    """Also where it has as many cells as the others: the last may have lost digits."""
    (tmp_path / "history.csv").write_text("epoch,train/loss,val/acc\n1,0.5,0.1\n2,0.25,0.2\n" + half)
    assert read_history(tmp_path) == {"epoch": [1.0, 2.0], "train/loss": [0.5, 0.25], "val/acc": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("content", "columns"),
    [(None, {}), ("", {}), ("epoch,tr", {}), ("epoch,train/loss\n", {"epoch": [], "train/loss": []})],
)
def test_a_run_that_has_just_begun_has_no_rows(tmp_path: Path, content: str | None, columns: dict):
    if content is not None:
        (tmp_path / "history.csv").write_text(content)
    assert read_history(tmp_path) == columns


@pytest.mark.parametrize(
    "content",
    [b"epoch,train/loss\n1,0.5\n2\n3,0.1\n", b"epoch,train/loss\n1,half\n", b"epoch,\xff\xfe\n1,2\n"],
    ids=["a cell too few", "no number", "no text"],
)
def test_damage_is_named_with_its_file(tmp_path: Path, content: bytes):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(SettingError, match=r"history\.csv is damaged"):
        read_history(tmp_path)
