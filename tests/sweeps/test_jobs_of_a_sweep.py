"""Which jobs come of a command, and where they go."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from composing import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from littlenets.errors import SettingError
from littlenets.runs import resolvers
from littlenets.sweeps.sweep import Sweep


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sweep]]:
    """``sweep(*overrides)`` is what a command line asks for, composed."""
    resolvers.register()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py", "-m"])
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra

        def composed(*overrides: str) -> Sweep:
            parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(list(overrides))
            same = [override.input_line for override in parsed if not override.is_sweep_override()]
            found = Sweep(overrides, hydra.compose_config("train", same, RunMode.MULTIRUN), hydra.config_loader)
            found.compose()
            return found

        yield composed
    HydraConfig.instance().cfg = None


def started(sweep: Sweep, **endings: str) -> Path:
    """The folder of a sweep of which some jobs were started, by number: the content of their results.json."""
    sweep.open()
    for number, content in endings.items():
        folder = sweep.folder / sweep.manifest.jobs[int(number[1:])].folder
        folder.mkdir()
        (folder / "config.yaml").write_text("")
        if content:
            (folder / "results.json").write_text(content)
    sweep.manifest.write(sweep.folder)
    return sweep.folder


@pytest.mark.parametrize("override", ["resume=one,other", "sweep.objective=train/loss,test/mae"])
def test_what_the_whole_sweep_is_told_cannot_be_swept(sweep, override: str):
    with pytest.raises(SettingError, match="takes one value"):
        sweep("seed=1,2", override)


def test_only_what_is_left_is_run(sweep):
    ends = {"_0": '{"status": "completed"}', "_1": '{"status": "diverged"}', "_2": '{"status": "failed"}'}
    folder = started(sweep("seed=range(0,6)"), **ends, _3='{"status": "interrupted"}', _4="")
    again = sweep("seed=range(0,6)", f"resume={folder}")
    assert [job.number for job in again.jobs] == [3, 4, 5]
    assert again.begun == {3, 4}
    retried = sweep("seed=range(0,6)", f"resume={folder}", "sweep.retry_failed=true")
    assert [job.number for job in retried.jobs] == [2, 3, 4, 5]


def test_a_job_that_was_stopped_before_it_said_anything_is_taken_up(sweep):
    first = sweep("seed=0,1")
    first.manifest.jobs[0].interrupted = True
    again = sweep("seed=0,1", f"resume={started(first, _0='')}")
    assert [job.number for job in again.jobs] == [0, 1]
    assert again.begun == {0}
    assert not again.jobs[0].interrupted


@pytest.mark.parametrize("content", ["[1, 2]", "3", "", "{}", "{"])
def test_a_damaged_result_is_none(sweep, content: str):
    folder = started(sweep("seed=0,1"), _0='{"status": "completed"}', _1=content or " ")
    assert [job.number for job in sweep("seed=0,1", f"resume={folder}").jobs] == [1]


@pytest.mark.parametrize("subdir", ["same", "a/${hydra.job.num}", "'../${hydra.job.num}'"])
def test_jobs_need_folders_of_their_own(sweep, subdir: str):
    with pytest.raises(SettingError, match=r"hydra\.sweep\.subdir"):
        sweep("seed=0,1", f"hydra.sweep.subdir={subdir}")


def test_nobody_elses_folder_is_used(sweep, tmp_path: Path):
    precious = tmp_path / "mine" / "1_seed-1" / "notes.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    with pytest.raises(SettingError, match="mine/1_seed-1 is there already"):
        sweep("seed=0,1", "hydra.sweep.dir=mine").open()
    assert precious.read_text() == "precious"
    assert not (tmp_path / "latest").exists()


def test_one_of_hydras_launchers_goes_on_in_the_same_folder(sweep, tmp_path: Path):
    folder = started(sweep("seed=0,1,2"), _0='{"status": "completed"}', _1='{"status": "interrupted"}')
    (folder / "2_seed-2").mkdir()  # which came to nothing
    again = sweep("seed=0,1,2", f"resume={folder}")
    again.open()
    one, two = again.prepare_for_hydra()
    place = folder.relative_to(tmp_path)
    assert one[0] == "seed=1"
    assert f"hydra.sweep.dir={place}" in one
    assert f"hydra.sweep.dir={place}" in two
    assert f"resume={place}/1_seed-1" in one
    assert not [override for override in two if override.startswith("resume")]
    assert not (folder / "2_seed-2").exists()
    assert json.loads((folder / "sweep.json").read_text())["jobs"][0]["folder"] == "0_seed-0"
