"""like=RUN on the command line, paths in the home folder, and Hydra's other loggings, as a user would use them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import IN_ONE_PROCESS, TRAIN, Commands, Finished, RunFolder

PREDICT = TRAIN.with_name("predict.py")
QUICK = ["figures=none", "logger=none", "trainer.accelerator=cpu"]
RUN = ["model=linear", "data.noise=0.5", "seed=3", "trainer.max_epochs=2"]
LIKE = "like=~/first"

# The arguments of train.py by what they are for, in this order: those of others begin with the first.
COMMANDS = {
    "first": [*RUN, *QUICK, "hydra.run.dir=~/first"],
    "like": [LIKE, "optimizer.lr=0.02"],
    "like latest": ["like=../1/outputs/runs/linear/latest", "seed=5"],
    "like a checkpoint": ["like=~/first/checkpoints/last.ckpt", "data=line", "hydra.run.dir='~/third'"],
    "resume": ["resume=~/first", "trainer.max_epochs=3"],
    "own conf": ["hydra.searchpath=[~/conf]", "model=mine", *QUICK],
    "wrong": [LIKE, "optimizer.lr=-1"],
    "sweep, wrong": ["-m", LIKE, "optimizer.lr=0.1,-1"],
    "no data": ["model=cnn", "data.root=~/data", "data.mirrors=[]", "data.stand_in=null", *QUICK],
    "like a file": ["experiment=likes", "hydra.searchpath=[~/conf]"],
    "rerun": ["--experimental-rerun", "config.pickle"],
    "config": ["--config-path={home}/first", "--config-name=config"],
    "config dir": ["--config-dir=~/first", "--config-name=config"],
    **{f"logging {kind}": [*QUICK, *RUN, f"hydra/job_logging={kind}"] for kind in ("default", "stdout", "disabled")},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder, with configuration files of the user's own."""
    home = tmp_path_factory.mktemp("home")
    for group, text in {"model/mine": "defaults: [linear]\nseed: 7", "experiment/likes": "like: somewhere"}.items():
        (home / "conf" / group).parent.mkdir(parents=True, exist_ok=True)
        (home / "conf" / f"{group}.yaml").write_text(f"# @package _global_\n{text}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def done(commands: Commands, home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    arguments = [[text.format(home=home) for text in texts] for texts in COMMANDS.values()]
    return dict(zip(COMMANDS, commands.train_in_one_process(tmp_path_factory.mktemp("like"), arguments), strict=True))


def test_it_is_a_new_run(done, home):
    first, new = RunFolder(home / "first"), done["like"].run
    assert (done["like"].code, new.results["status"]) == (0, "completed")
    assert new.results["seed"] == 3
    assert {*RUN, "optimizer.lr=0.02"} <= {*new.results["overrides"]}
    assert [row["lr"] for row in new.history] == [0.02, 0.02]
    assert new.path.parent.joinpath("latest").resolve() == new.path
    # Gone on with since.
    assert len(first.history) == 3
    changed = {key for key in new.config if new.config[key] != first.config[key]}
    assert changed == {"optimizer", "trainer", "origin"}


def test_a_link_and_a_checkpoint_name_it_as_well(done, home):
    assert done["like latest"].run.results["seed"] == 5
    assert done["like latest"].run.config["optimizer"]["lr"] == 0.02
    assert RunFolder(home / "third").config["data"]["noise"] == 0.0


@pytest.mark.parametrize("name", ["wrong", "sweep, wrong"])
def test_what_is_wrong_is_told_before_anything_is_trained(done, name: str):
    assert done[name].code == 2
    assert "optimizer.lr=-1: it should be greater than 0." in done[name].err
    assert not list(done[name].cwd.iterdir())


@pytest.mark.parametrize("name", ["rerun", "config", "config dir"])
def test_what_users_of_hydra_try_points_to_it(done, name: str):
    assert done[name].code == 2
    (line,) = done[name].err.splitlines()
    assert "python train.py like=FOLDER" in line


def test_it_is_said_on_the_command_line_only(done):
    assert done["like a file"].code == 2
    assert "like=somewhere" in done["like a file"].err


def test_a_sweep_begins_with_its_settings(train, home, done, tmp_path: Path):
    sweep = train(tmp_path, "-m", LIKE, "optimizer.lr=0.1,0.2", "trainer.max_epochs=4", "hydra.sweep.dir=~/sweep")
    assert sweep.code == 0, sweep.err
    jobs = [RunFolder(folder) for folder in sorted((home / "sweep").glob("[01]_optimizer.lr-0.[12]"))]
    assert [job.config["optimizer"]["lr"] for job in jobs] == [0.1, 0.2]
    assert all(job.config["data"]["noise"] == 0.5 and len(job.history) == 4 for job in jobs)
    assert {"data.noise=0.5", "seed=3", "optimizer.lr=0.1", "trainer.max_epochs=4"} <= {*jobs[0].results["overrides"]}
    assert not list(tmp_path.iterdir())


def test_no_folder_is_called_after_the_home_folders_sign(done):
    assert not [path for one in done.values() for path in one.cwd.rglob("*") if "~" in path.name]
    assert done["own conf"].run.results["seed"] == 7
    assert done["no data"].code == 2


def test_files_of_other_commands_are_in_the_home_folder(commands, done, home, tmp_path: Path):
    arguments = [["run=~/first", "x=1"], ["run=~/first", "export=~/net.pt2"], ["run=~/first", "image=~/none.png"]]
    end = commands.start_python(tmp_path, IN_ONE_PROCESS, PREDICT, json.dumps(arguments)).finish()
    ends = [Finished(*end[:3], tmp_path) for end in json.loads(end.out)]
    assert [end.code for end in ends] == [0, 0, 2]
    assert (home / "net.pt2").is_file()
    assert not [path for path in tmp_path.rglob("*") if "~" in path.name]


@pytest.mark.parametrize("kind", ["default", "stdout", "disabled"])
def test_hydras_other_loggings(done, kind: str):
    ended = done[f"logging {kind}"]
    assert (ended.code, ended.err) == (0, "")
    log = (ended.run.path / "train.log").read_text()
    assert log.count("Training linear") == 1
    assert ended.out.count("Training linear") == (0 if kind == "disabled" else 1)
    assert [path.name for path in ended.cwd.iterdir()] == ["outputs"]
