"""Which command line stands for a sweep's folder that is gone on with."""

import json
from pathlib import Path

import pytest

from littlenets.sweeps.resuming import expand_resume

TRAIN = Path(__file__).parents[2] / "train.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep").mkdir()
    return Path("sweep")


def expand(folder: Path, before: list[str], *more: str) -> list[str]:
    (folder / "sweep.json").write_text(json.dumps({"arguments": before, "jobs": []}))
    return expand_resume([f"resume={folder}", *more], TRAIN)


def test_the_command_is_repeated(folder: Path):
    assert expand(folder, ["-m", "model=spiral", "seed=1,2"]) == ["-m", "model=spiral", "seed=1,2", "resume=sweep"]


def test_what_was_taken_away_stays_away(folder: Path):
    """Or all points would be others than before, and be run once more."""
    assert expand(folder, ["-m", "~logger", "seed=1,2"]) == ["-m", "~logger", "seed=1,2", "resume=sweep"]


def test_what_is_given_anew_takes_its_place(folder: Path):
    found = expand(folder, ["-m", "seed=1,2", "+data.x=1", "~logger"], "seed=3", "++data.x=2", "logger=csv")
    assert found == ["-m", "seed=3", "++data.x=2", "logger=csv", "resume=sweep"]


def test_what_a_stranger_may_not_say_is_left_out(folder: Path):
    before = ["--config-dir", "/else", "-m", "hydra.launcher.jobs=2", "hydra/launcher=basic", "trust=[os]", "seed=1,2"]
    assert expand(folder, before) == ["-m", "seed=1,2", "resume=sweep"]


def test_of_two_folders_it_is_the_last(folder: Path):
    found = expand(folder, ["-m", "seed=1,2"])
    assert expand_resume(["resume=elsewhere", f"resume={folder}"], TRAIN) == found
    assert expand_resume([f"resume={folder}", "resume=elsewhere"], TRAIN) == ["resume=sweep", "resume=elsewhere"]


def test_other_commands_stay_as_they_are(folder: Path):
    assert expand_resume(["-m", "seed=1,2"], TRAIN) == ["-m", "seed=1,2"]
    assert expand_resume(["resume=sweep"], TRAIN) == ["resume=sweep"]  # it has no sweep.json
