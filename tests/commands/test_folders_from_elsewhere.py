"""Folders of runs and sweeps from somebody else: what is in them is data, whatever command is given them.

Each attack is a way to make a command run code, write outside of the folder, or fill memory. It is tried at each
entrance: what it would do must not have been done, and the message says what was refused.
"""

import csv
import json
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import IN_ONE_PROCESS, Finished

SCRIPTS = Path(__file__).parents[2]
RUN, SWEEP = "given", "given"
ENTRANCES = {
    "predict": ["predict.py", f"run={RUN}", "x=1"],
    "evaluate": ["evaluate.py", f"run={RUN}"],
    "resume": ["train.py", f"resume={RUN}", "trainer.max_epochs=9"],
    "like": ["train.py", f"like={RUN}", "trainer.max_epochs=9"],
}
# Those that read more than the configuration, and those that write into the folder.
REBUILD, WRITE = ["predict", "evaluate", "resume"], ["evaluate", "resume"]
RESUME_SWEEP = ["train.py", f"resume={SWEEP}"]
REPORT = ["report.py", f"sweep={SWEEP}"]
# More than importing everything takes, less than any of the bombs.
MOST_MEMORY = 3 << 30
SECONDS = 60
# In place of the folder that the attack was made in, in what it writes.
HERE = "@HERE@"


def change_config(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        file = folder / "config.yaml"
        config = yaml.safe_load(file.read_text())
        change(config)
        file.write_text(yaml.safe_dump(config).replace(HERE, str(folder.parent)))

    return attack


def setting(key: str, value: Any) -> Callable[[Path], None]:
    def change(config: dict[str, Any]) -> None:
        *groups, name = key.split(".")
        node = config
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value

    return change_config(change)


def append_yaml(text: str) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        with (folder / "config.yaml").open("a") as file:
            file.write(text.replace(HERE, str(folder.parent)))

    return attack


def pack_checkpoint(folder: Path) -> None:
    """Replace a weight by a gigabyte of zeros, compressed."""
    path = folder / "checkpoints" / "last.ckpt"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        archive.writestr("last/data/999", bytes(1 << 30))


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def plant_code(folder: Path) -> None:
    path = folder / "checkpoints" / "last.ckpt"
    torch.save(torch.load(path, weights_only=True) | {"extra": Touch(folder.parent / "trap")}, path)


def plant_bare_pickle(folder: Path) -> None:
    (folder / "checkpoints" / "last.ckpt").write_bytes(pickle.dumps(Touch(folder.parent / "trap")))


def link(name: str) -> Callable[[Path], None]:
    """Make an entry of the folder a link to a file or folder of the user's."""

    def attack(folder: Path) -> None:
        entry = folder / name
        is_file = bool(entry.suffix)
        if entry.is_dir():
            shutil.rmtree(entry)
        entry.unlink(missing_ok=True)
        entry.symlink_to(folder.parent / ("notes.csv" if is_file else "mine"))

    return attack


def pipe(name: str) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return attack


def data_elsewhere(folder: Path) -> None:
    (folder / "evil.yaml").write_text(f"_target_: os.mkdir\n_args_: [{folder.parent / 'trap'}]\n")
    setting("also_test", [str(folder / "evil")])(folder)


CHECKPOINTS = "pytorch_lightning.callbacks.ModelCheckpoint"


def change_checkpoint(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        path = folder / "checkpoints" / "last.ckpt"
        checkpoint = torch.load(path, weights_only=True)
        change(checkpoint)
        torch.save(checkpoint, path)

    return attack


def state_that_removes(folder: Path) -> None:
    """Let Lightning's callback take a folder of the user's for its own last checkpoint."""
    setting("callbacks.extra", {"_target_": CHECKPOINTS, "save_top_k": 1})(folder)
    key = "{'monitor': None, 'mode': 'min', 'every_n_train_steps': 0, 'every_n_epochs': 1, 'train_time_interval': None}"
    state = {"best_model_score": None, "best_model_path": "local://mine"}
    change_checkpoint(lambda checkpoint: checkpoint["callbacks"].update({f"ModelCheckpoint{key}": state}))(folder)


def expand_weights(folder: Path) -> None:
    setting("model.network", {"_target_": "torch.nn.Linear", "in_features": 20_000, "out_features": 40_000})(folder)
    wide, one = torch.zeros(1).expand(40_000, 20_000), torch.zeros(1).expand(40_000)
    change_checkpoint(lambda checkpoint: checkpoint.update(state_dict={"network.weight": wide, "network.bias": one}))(
        folder
    )


def hard_link(name: str) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        (folder / name).unlink()
        os.link(folder.parent / "notes.csv", folder / name)

    return attack


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
)

# How the folder is changed, what the message names, and the entrances where that is so (of all, where None).
RUN_ATTACKS: dict[str, tuple[Callable[[Path], None], list[str], list[str] | None]] = {
    "a function as network": (
        setting("model.network", {"_target_": "os.mkdir", "path": f"{HERE}/trap"}),
        ["model.network._target_=os.mkdir", "trust=[os]"],
        None,
    ),
    "a function of an allowed package": (
        setting("model.network", {"_target_": "torch.hub.load", "repo_or_dir": f"{HERE}/mine", "source": "local"}),
        ["model.network._target_=torch.hub.load"],
        None,
    ),
    "code among the arguments": (
        setting("model.network.inner", {"_target_": "os.mkdir", "path": f"{HERE}/trap"}),
        ["model.network.inner._target_=os.mkdir"],
        None,
    ),
    "a resolver in a setting": (setting("seed", f"${{new_run_folder:{HERE}/trap}}"), ["seed", "interpolation"], None),
    "a resolver in a key": (append_yaml(f"'${{new_run_folder:{HERE}/trap}}': 1\n"), ["interpolation"], None),
    "an environment variable": (setting("data.name", "${oc.env:HOME}"), ["data.name", "interpolation"], None),
    "a callback that writes elsewhere": (
        setting("callbacks.extra", {"_target_": CHECKPOINTS, "dirpath": f"{HERE}/mine", "save_last": True}),
        ["callbacks.extra.dirpath", "trust=["],
        None,
    ),
    "a callback that writes beside the run": (
        setting("callbacks.extra", {"_target_": CHECKPOINTS, "dirpath": "mine", "save_last": True}),
        ["callbacks.extra.dirpath=mine", "trust=["],
        None,
    ),
    "a callback that climbs out": (
        setting("callbacks.extra", {"_target_": CHECKPOINTS, "filename": "../../mine/x"}),
        ["callbacks.extra.filename"],
        None,
    ),
    "a logger that climbs out": (
        setting(
            "logger.csv",
            {"_target_": "pytorch_lightning.loggers.CSVLogger", "_partial_": True, "name": "", "version": "../mine"},
        ),
        ["logger.csv.version=../mine"],
        None,
    ),
    "a callback whose argument has no name": (
        setting("callbacks.extra", {"_target_": CHECKPOINTS, "_args_": ["mine"]}),
        ["callbacks.extra._args_.0=mine"],
        None,
    ),
    "a callback whose file name is spelt by a format": (
        setting("callbacks.extra", {"_target_": CHECKPOINTS, "filename": "{epoch].backward.__doc__[56}{epoch:c}x"}),
        ["callbacks.extra.filename"],
        None,
    ),
    "a callback's state that removes a folder": (state_that_removes, ["own folder"], ["resume"]),
    "a name that fails when it is asked for": (
        setting("model.network", {"_target_": "torch.classes.a.b"}),
        ["torch.classes.a.b"],
        None,
    ),
    "a time that is no number of seconds": (setting("trainer.max_time", {"days": 10**20}), ["trainer.max_time"], None),
    "data from a file in the folder": (data_elsewhere, ["evil"], ["resume", "like"]),
    "aliases that stand for gigabytes": (append_yaml(BOMB), ["config.yaml is damaged", "alias"], None),
    "brackets without end": (append_yaml(f"deep: {'[' * 50_000}\n"), ["config.yaml is damaged"], None),
    "a tag": (append_yaml("x: !!python/object/apply:os.mkdir [trap]\n"), ["config.yaml is damaged"], None),
    "a large configuration": (append_yaml(f"x: {'y' * (2 << 20)}\n"), ["config.yaml", "MiB"], None),
    "a pipe as configuration": (pipe("config.yaml"), ["config.yaml"], None),
    "a checkpoint that unpacks to gigabytes": (pack_checkpoint, ["last.ckpt", "unpack"], REBUILD),
    "code in the checkpoint": (plant_code, ["last.ckpt", "would run code"], REBUILD),
    "a bare pickle as checkpoint": (plant_bare_pickle, ["last.ckpt"], REBUILD),
    "bytes that are packed": (
        change_checkpoint(lambda checkpoint: checkpoint.update(extra=b"x" * 100)),
        ["last.ckpt", "bytes"],
        REBUILD,
    ),
    "weights that are one number": (expand_weights, ["last.ckpt", "more numbers"], REBUILD),
    "a training state that is one number": (
        change_checkpoint(
            lambda checkpoint: checkpoint["optimizer_states"][0]["state"].update(
                {0: {"x": torch.zeros(1).expand(10**9)}}
            )
        ),
        ["last.ckpt", "more numbers"],
        REBUILD,
    ),
    "layers without end": (
        setting(
            "model.network",
            {"_target_": "torch.nn.LSTM", "input_size": 1, "hidden_size": 1, "num_layers": 10**8},
        ),
        ["does not belong"],
        REBUILD,
    ),
    "a network that fails where it takes no memory": (
        setting(
            "model.network",
            {
                "_target_": "torch.nn.Sequential",
                "_args_": [
                    {"_target_": "torch.nn.Linear", "in_features": 10**5, "out_features": 10**5},
                    {"_target_": "torch.nn.Linear", "in_features": -1, "out_features": 1},
                ],
            },
        ),
        ["does not belong"],
        REBUILD,
    ),
    "a network of terabytes": (
        setting("model.network", {"_target_": "torch.nn.Linear", "in_features": 10**6, "out_features": 10**7}),
        ["does not belong"],
        REBUILD,
    ),
    "points of gigabytes": (setting("data.n_points", 10**10), ["data.n_points"], None),
    "a link as history": (link("history.csv"), ["history.csv", "link"], WRITE),
    "a link as log": (link("train.log"), ["train.log", "link"], WRITE),
    "a link as folder of checkpoints": (link("checkpoints"), ["checkpoints"], REBUILD),
    "a link as folder of evaluations": (link("evaluations"), ["evaluations", "link"], WRITE),
    "a link as folder of events": (link("tensorboard"), ["tensorboard", "link"], WRITE),
    "a hard link as history": (hard_link("history.csv"), ["history.csv", "another name"], WRITE),
    "a hard link as log": (hard_link("train.log"), ["train.log", "another name"], WRITE),
    "a pipe as log": (pipe("train.log"), ["train.log"], WRITE),
    "a pipe as results": (pipe("results.json"), ["results.json"], REBUILD),
}


def in_manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        file = folder / "sweep.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content).replace(HERE, str(folder.parent)))

    return attack


def override(text: str) -> Callable[[Path], None]:
    """Set something for one job, which has not been run yet."""

    def change(content: dict[str, Any]) -> None:
        content["jobs"][1]["overrides"].append(text)

    def attack(folder: Path) -> None:
        in_manifest(change)(folder)
        job = json.loads((folder / "sweep.json").read_text())["jobs"][1]
        shutil.rmtree(folder / job["folder"])

    return attack


def argument(text: str) -> Callable[[Path], None]:
    return in_manifest(lambda content: content["arguments"].append(text))


def with_evil_yaml(attack: Callable[[Path], None]) -> Callable[[Path], None]:
    def with_file(folder: Path) -> None:
        (folder / "evil.yaml").write_text(
            f"# @package _global_\nmodel: {{network: {{_target_: os.mkdir, path: {folder.parent / 'trap'}" + "}}\n"
        )
        attack(folder)

    return with_file


def link_of_job(folder: Path) -> None:
    job = folder / json.loads((folder / "sweep.json").read_text())["jobs"][1]["folder"]
    shutil.rmtree(job)
    job.symlink_to(folder.parent / "mine")


LOGGING = "hydra.job_logging.handlers.evil"
SWEEP_ATTACKS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "a callable as log handler": (
        override(f"+{LOGGING}={{\\(\\):os.mkdir,path:{HERE}/trap}}"),
        ["hydra.job_logging", "command line"],
    ),
    "a log handler that empties a file": (
        override(f"+{LOGGING}={{class:logging.FileHandler,filename:{HERE}/notes.csv,mode:w}}"),
        ["hydra.job_logging", "command line"],
    ),
    "a choice of Hydra's own": (override("hydra/launcher=basic"), ["hydra/launcher", "command line"]),
    "a file in the folder, by a job": (
        with_evil_yaml(override("experiment=../../given/evil")),
        ["experiment=../../given/evil", "configuration folders"],
    ),
    "a file in the folder, by its whole path": (
        with_evil_yaml(override(f"experiment={HERE}/given/evil")),
        ["given/evil", "configuration folders"],
    ),
    "a file in the folder, by an argument": (
        with_evil_yaml(argument("experiment=../../given/evil")),
        ["experiment=../../given/evil", "configuration folders"],
    ),
    "a file in the folder, in place of another group": (
        with_evil_yaml(override("model=../../given/evil")),
        ["model=../../given/evil", "configuration folders"],
    ),
    "a choice put into Hydra's own part": (argument("+data@hydra.job_logging=line"), ["@hydra", "command line"]),
    "a resolver, by a job": (override(f"seed=${{new_run_folder:{HERE}/trap}}"), ["new_run_folder", "trust=["]),
    "a resolver, by an argument": (argument(f"seed=${{new_run_folder:{HERE}/trap}}"), ["new_run_folder", "trust=["]),
    "a resolver behind backslashes": (
        override(f"seed=$\\{{new_run_folder:{HERE}/trap\\}}"),
        ["new_run_folder", "trust=["],
    ),
    "jobs that share a folder": (
        in_manifest(lambda content: content["jobs"][1].update(folder=content["jobs"][0]["folder"])),
        ["sweep.json is damaged", "same folder"],
    ),
    "a folder's name that is too long": (
        in_manifest(lambda content: content["jobs"][1].update(folder="x" * 300)),
        ["sweep.json is damaged"],
    ),
    "a resolver within another": (override(f"data.noise=${{a.${{new_run_folder:{HERE}/trap}}}}"), ["new_run_folder"]),
    "a function as network": (override("model.network._target_=os.mkdir"), ["os.mkdir", "trust=[os]"]),
    "a callback that writes elsewhere": (
        override(f"+callbacks.extra={{_target_:{CHECKPOINTS},dirpath:{HERE}/mine,save_last:true}}"),
        ["callbacks.extra.dirpath", "trust=["],
    ),
    "trust for itself": (override("trust=[os]"), ["trust=[os]", "command line"]),
    "another folder": (override("resume=elsewhere"), ["resume=elsewhere", "command line"]),
    "a link as folder of a job": (link_of_job, ["link"]),
    "a job's folder that climbs out": (
        in_manifest(lambda content: content["jobs"][1].update(folder="../mine")),
        ["sweep.json is damaged"],
    ),
    "more runs than fit into memory": (argument("seed=range(0,1000000000000)"), ["seed=range", "runs"]),
    "more combinations than fit into memory": (
        in_manifest(
            lambda content: content["arguments"].extend(
                f"{key}=range(1,200)" for key in ("seed", "data.n_points", "trainer.max_epochs", "threads")
            )
        ),
        ["runs"],
    ),
}


def link_of_figures(folder: Path) -> None:
    shutil.rmtree(folder / "figures", ignore_errors=True)
    (folder.parent / "mine" / "by_seed.png").write_text("mine")
    (folder / "figures").symlink_to(folder.parent / "mine")


@pytest.fixture(scope="module")
def templates(train: Callable[..., Finished], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and a sweep of two runs."""
    cwd = tmp_path_factory.mktemp("templates")
    done = train(cwd, "-m", "seed=1,2", "trainer.max_epochs=3", "optimizer.momentum=0.9", "hydra.launcher.jobs=1")
    assert done.code == 0, done.err
    return done.jobs[0].path, done.sweep


def contents(folder: Path, without: str) -> dict[str, bytes]:
    """The files of a folder by name, less those below one of its entries."""
    files = [file for file in folder.rglob("*") if without not in file.relative_to(folder).parts]
    return {str(file.relative_to(folder)): b"" if file.is_dir() else file.read_bytes() for file in files}


@dataclass
class Tried:
    """What came of an attack."""

    done: Finished
    seconds: float
    memory: int
    before: dict[str, bytes]


def try_all(commands, cwd: Path, template: Path, tried: list[tuple[Callable[[Path], None], list[str]]]) -> list[Tried]:
    befores = []
    for number, (attack, _) in enumerate(tried):
        home = cwd / str(number)
        (home / "mine").mkdir(parents=True)
        (home / "notes.csv").write_text("epoch,train/loss,weight,bias,lr\n")
        shutil.copytree(template, home / RUN, symlinks=True)
        attack(home / RUN)
        befores.append(contents(home, RUN))
    process = commands.start_python(cwd, IN_ONE_PROCESS, SCRIPTS, json.dumps([arguments for _, arguments in tried]))
    done = process.finish(600)
    assert done.code == 0, done.err
    ends = json.loads(done.out)
    return [
        Tried(Finished(*end[:3], cwd / str(number)), *end[3:], before)
        for number, (end, before) in enumerate(zip(ends, befores, strict=True))
    ]


def assert_refused(tried: Tried, names: list[str]) -> None:
    done = tried.done
    assert done.code == 2, (done.out, done.err)
    assert "Traceback" not in done.out + done.err
    assert all(name in done.err for name in names), done.err
    assert contents(done.cwd, RUN) == tried.before
    assert tried.seconds < SECONDS
    assert tried.memory < MOST_MEMORY


RUN_CASES = [(name, entrance) for name, (_, _, entrances) in RUN_ATTACKS.items() for entrance in entrances or ENTRANCES]


@pytest.fixture(scope="module")
def runs(commands, templates, tmp_path_factory) -> dict[tuple[str, str], Tried]:
    tried = [(RUN_ATTACKS[name][0], ENTRANCES[entrance]) for name, entrance in RUN_CASES]
    found = try_all(commands, tmp_path_factory.mktemp("runs"), templates[0], tried)
    return dict(zip(RUN_CASES, found, strict=True))


@pytest.mark.parametrize(("name", "entrance"), RUN_CASES)
def test_a_run_from_elsewhere(runs, name: str, entrance: str):
    assert_refused(runs[name, entrance], RUN_ATTACKS[name][1])


@pytest.fixture(scope="module")
def sweeps(commands, templates, tmp_path_factory) -> dict[str, Tried]:
    tried = [(attack, RESUME_SWEEP) for attack, _ in SWEEP_ATTACKS.values()]
    found = try_all(commands, tmp_path_factory.mktemp("sweeps"), templates[1], tried)
    return dict(zip(SWEEP_ATTACKS, found, strict=True))


@pytest.mark.parametrize("name", SWEEP_ATTACKS)
def test_a_sweep_from_elsewhere(sweeps, name: str):
    assert_refused(sweeps[name], SWEEP_ATTACKS[name][1])


def test_a_report_writes_into_the_sweeps_own_folder(commands, templates, tmp_path):
    (tried,) = try_all(commands, tmp_path, templates[1], [(link_of_figures, REPORT)])
    assert_refused(tried, ["figures", "link"])


ESCAPE, FORMULA = "\x1b[2J\x9b31m", "=HYPERLINK(A1)"


def hostile_texts(folder: Path) -> None:
    """Put escape sequences and formulas wherever a run or sweep says something in words."""

    def change(content: dict[str, Any]) -> None:
        content["arguments"].append(f"data.noise={ESCAPE}")
        for number, job in enumerate(content["jobs"]):
            job["swept"] = {"seed": number, FORMULA: f"{FORMULA}{ESCAPE}", f"@x{ESCAPE}": "+cmd", "lr": "-0.5"}
            job["overrides"].append(f"+x={ESCAPE}")

    in_manifest(change)(folder)
    first, second = (folder / job["folder"] for job in json.loads((folder / "sweep.json").read_text())["jobs"])
    results = json.loads((first / "results.json").read_text())
    results["metrics"] |= {f"-{ESCAPE}/loss": 1.0}
    (first / "results.json").write_text(json.dumps(results))
    results |= {"status": "failed", "error": {"type": f"{ESCAPE}", "message": f"{FORMULA} {ESCAPE}\ud800"}}
    (second / "results.json").write_text(json.dumps(results))
    history = (second / "history.csv").read_text()
    (second / "history.csv").write_text(history.replace("train/loss", f"=x{ESCAPE}/loss", 1))


def test_texts_of_a_sweep_are_shown_and_not_obeyed(commands, templates, tmp_path):
    (tried,) = try_all(commands, tmp_path, templates[1], [(hostile_texts, REPORT)])
    done = tried.done
    assert (done.code, done.err) == (0, "")
    given = done.cwd / SWEEP
    for text in (done.out, (given / "sweep.md").read_text(), (given / "sweep.csv").read_text()):
        assert not [character for character in text if ord(character) < 32 and character not in "\n\t"]
        assert "\x9b" not in text
        assert r"\x1b[2J" in text
    with (given / "sweep.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert f"'{FORMULA}" in cells
    assert "-0.5" in cells
    for cell in cells:
        # A spreadsheet takes for a formula what begins like one, unless it is a number.
        assert not cell.startswith(("=", "+", "-", "@")) or re.fullmatch(r"-\d[\d.e-]*", cell)
