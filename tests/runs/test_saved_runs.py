"""A config.yaml that lacks something is told of as damaged, with what it lacks."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from littlenets.errors import SettingError
from littlenets.runs.saved import find_run, read_config

WHOLE = {
    "origin": {"model": "linear", "data": "line", "overrides": []},
    "model": {"network": {}, "module": {}},
    "trainer": {"max_epochs": 3},
    "data": {},
    "optimizer": {},
    # Which are null where there is none.
    **dict.fromkeys(["scheduler", "callbacks", "logger"]),
    **{"seed": 0, "threads": "auto", "compile": False},
}


def write(folder: Path, config: object) -> None:
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")


def test_nulls_are_said(tmp_path: Path):
    write(tmp_path, WHOLE)
    assert OmegaConf.to_container(read_config(tmp_path)) == WHOLE


@pytest.mark.parametrize("part", WHOLE)
def test_a_part_that_is_not_there(tmp_path: Path, part: str):
    write(tmp_path, {name: value for name, value in WHOLE.items() if name != part})
    with pytest.raises(SettingError, match=rf"config\.yaml is damaged: it does not say .*{part}"):
        read_config(tmp_path)


@pytest.mark.parametrize(("group", "part"), [("origin", "data"), ("origin", "overrides"), ("trainer", "max_epochs")])
def test_a_part_of_a_part(tmp_path: Path, group: str, part: str):
    write(tmp_path, WHOLE | {group: {name: value for name, value in WHOLE[group].items() if name != part}})
    with pytest.raises(SettingError, match=rf"it does not say {group}\.{part}\."):
        read_config(tmp_path)
    write(tmp_path, WHOLE | {group: "nothing"})
    with pytest.raises(SettingError, match=rf"{group}\.{part}"):
        read_config(tmp_path)


def test_a_list_is_no_configuration(tmp_path: Path):
    write(tmp_path, ["model"])
    with pytest.raises(SettingError, match="is damaged"):
        read_config(tmp_path)


def test_a_checkpoint_is_found_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, WHOLE)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    monkeypatch.chdir(tmp_path / "checkpoints")
    found = find_run("best.ckpt")
    assert (found.folder, found.checkpoint) == (tmp_path, tmp_path / "checkpoints" / "best.ckpt")
