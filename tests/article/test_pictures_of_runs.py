"""Which file of a run's folder the page shows as its figure."""

from pathlib import Path

import pytest

from littlenets.article import illustrations
from littlenets.article.illustrations import figure_of
from littlenets.article.measured_runs import Record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    (tmp_path / "run" / "figures").mkdir(parents=True)
    return Record(tmp_path / "run")


def test_a_figure_of_the_run(record: Record):
    (record.figures / "loss.png").write_bytes(b"a picture")
    assert figure_of([record], "loss.png") == record.figures / "loss.png"
    assert figure_of([record], "surface.png") is None
    assert figure_of([], "loss.png") is None


def test_nothing_from_outside_is_shown(record: Record, tmp_path: Path):
    """The page may be given to others, and the folder may come from others."""
    (tmp_path / "secret").write_text("of the user")
    (record.figures / "loss.png").symlink_to(tmp_path / "secret")
    assert figure_of([record], "loss.png") is None


def test_no_file_of_gigabytes_is_shown(record: Record, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(illustrations, "MOST_BYTES", 5)
    (record.figures / "loss.png").write_bytes(b"123456")
    assert figure_of([record], "loss.png") is None
