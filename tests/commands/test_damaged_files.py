"""Whatever the files of a run or sweep hold, a command ends with what it is for or with one message.

Hypothesis damages one file of a folder in a way of its own, and gives the folder to a command. It must end with exit
code 0, 1 or 2, without a traceback, within the time and memory stated below, and write nothing outside of the folder.
"""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import IN_ONE_PROCESS, Finished
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from test_folders_from_elsewhere import contents

SCRIPTS = Path(__file__).parents[2]
SECONDS = 60
# Of the process in which all of the commands run, PyTorch and matplotlib included.
MOST_MEMORY = 3 << 30
GIVEN = "given"
RUN_COMMANDS = [
    ["predict.py", f"run={GIVEN}", "x=1"],
    ["predict.py", f"run={GIVEN}", "index=0", "checkpoint=best", "format=json"],
    ["evaluate.py", f"run={GIVEN}"],
    # A damaged setting may make the training long, which is no fault.
    ["train.py", f"resume={GIVEN}", "trainer.max_epochs=5", "++trainer.max_time=00:00:00:05"],
    ["train.py", f"like={GIVEN}", "trainer.max_epochs=1", "figures=none", "--cfg", "job"],
]
# A job that goes on with damaged settings could take long as well.
RESUME_SWEEP = ["train.py", f"resume={GIVEN}", "++trainer.max_time=00:00:00:05", "sweep.retry_failed=true"]
REPORT_SWEEP = [["report.py", f"sweep={GIVEN}"], ["report.py", f"sweep={GIVEN}", "objective=train/loss"]]

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            *("${seed}", "${oc.env:HOME}", "${new_run_folder:trap}", "???", "../../x", "/nowhere/x", "~", "=1+1"),
            *("\x1b[2J", "\ud800", "os.system", "torch.hub.load", "littlenets.data.Line", "nan", "1e999", "auto"),
        ]
    ),
)
numbers = st.one_of(
    st.sampled_from([0, -1, 1, 2, 10**9, 10**30, -(10**30), 1.5, float("nan"), float("inf"), -0.0]), st.booleans()
)
values = st.recursive(
    st.one_of(st.none(), texts, numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
contents_of_files = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"[" * 10_000,
            b"{" * 1000,
            b"a: " * 1000,
            b"\xff\xfe\x00",
            b"&a [*a]",
            b"PK\x05\x06",
        ]
    ),
)


def of_bytes(file: Path, draw: Callable) -> None:
    """Cut, overwrite, change or take away the file."""
    content = file.read_bytes()
    kind = draw(st.sampled_from(["cut", "replaced", "changed", "inserted", "gone", "folder", "pipe", "link"]))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    file.unlink()
    if kind == "cut":
        file.write_bytes(content[:at])
    elif kind == "replaced":
        file.write_bytes(draw(contents_of_files))
    elif kind == "changed":
        other = draw(st.binary(min_size=1, max_size=8))
        file.write_bytes(content[:at] + other + content[at + len(other) :])
    elif kind == "inserted":
        file.write_bytes(content[:at] + draw(st.binary(min_size=1, max_size=40)) + content[at:])
    elif kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to(draw(st.sampled_from(["/dev/zero", "/dev/null", "/nowhere", "../notes.txt", file.name])))


def of_structure(content: Any, draw: Callable, others: st.SearchStrategy[Any]) -> Any:
    """Replace, take away or add one value, anywhere in mappings and lists; all else stays."""
    keys = (
        list(content) if isinstance(content, dict) else list(range(len(content))) if isinstance(content, list) else []
    )
    if not keys or draw(st.integers(0, 3)) == 0:
        return draw(others)
    key = draw(st.sampled_from(keys))
    changed = content.copy()
    if draw(st.integers(0, 5)) == 0:
        del changed[key]
    elif draw(st.integers(0, 8)) == 0 and isinstance(content, dict):
        changed[draw(texts)] = draw(others)
    else:
        changed[key] = of_structure(content[key], draw, others)
    return changed


def of_json(file: Path, draw: Callable) -> None:
    file.write_text(json.dumps(of_structure(json.loads(file.read_text()), draw, values)))


def of_yaml(file: Path, draw: Callable) -> None:
    file.write_text(yaml.safe_dump(of_structure(yaml.safe_load(file.read_text()), draw, values)))


def of_table(file: Path, draw: Callable) -> None:
    rows = [line.split(",") for line in file.read_text().split("\n")]
    row = draw(st.integers(0, len(rows) - 1))
    kind = draw(st.sampled_from(["cell", "row", "twice"]))
    if kind == "cell":
        rows[row][draw(st.integers(0, len(rows[row]) - 1))] = draw(texts)
    elif kind == "row":
        del rows[row]
    else:
        rows.insert(row, rows[row])
    file.write_text("\n".join(map(",".join, rows)), errors="surrogatepass")


def of_checkpoint(file: Path, draw: Callable) -> None:
    tensors = st.sampled_from([torch.zeros(0), torch.ones(3, 3), torch.tensor(2), torch.full((1, 1), float("nan"))])
    torch.save(of_structure(torch.load(file, weights_only=True), draw, st.one_of(values, tensors)), file)


OF_CONTENT = {".json": of_json, ".yaml": of_yaml, ".csv": of_table, ".ckpt": of_checkpoint}


@dataclass
class Server:
    """A process that runs one command after another."""

    process: subprocess.Popen

    def run(self, cwd: Path, *command: str) -> tuple[Finished, float, int]:
        self.process.stdin.write(json.dumps([str(cwd), *command]) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 2 * SECONDS)
        assert ready, f"{command} does not end"
        line = self.process.stdout.readline()
        assert line, f"{command} ended the process"
        code, out, err, seconds, peak = json.loads(line)
        return Finished(code, out, err, cwd), seconds, peak


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(IN_ONE_PROCESS), str(SCRIPTS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Server(process)
        process.kill()


@dataclass
class Templates:
    """Folders that are copied, damaged and given to commands."""

    #: A run, which has momentum to lose.
    run: Path
    #: A sweep of two such runs.
    sweep: Path
    #: A run that reads pictures, and two pictures in its folder.
    reader: Path
    #: A folder ``outputs`` with a run that the report tells of.
    outputs: Path


@pytest.fixture(scope="module")
def templates(train: Callable[..., Finished], commands, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    cwd = tmp_path_factory.mktemp("templates")
    common = ["trainer.max_epochs=3", "optimizer.momentum=0.5", "hydra.launcher.jobs=1"]
    sweep = train(cwd, "-m", "seed=1,2", *common)
    small = ["data=digits", "trainer.max_epochs=1", "model.network.channels=[2,2]", "model.network.hidden=[4]"]
    lines = [["model=cnn", *small, "figures=none", "logger=none"], ["experiment=linear_200_epochs", "figures=none"]]
    reader, told = commands.train_in_one_process(tmp_path_factory.mktemp("single"), lines)
    assert (sweep.code, reader.code, told.code) == (0, 0, 0)
    ink = Image.new("L", (60, 80), 255)
    ImageDraw.Draw(ink).line([(15, 15), (45, 15), (25, 65)], fill=0, width=6)
    ink.save(reader.run.path / "seven.png")
    ink.convert("RGB").save(reader.run.path / "seven.jpg")
    return Templates(sweep.jobs[0].path, sweep.sweep, reader.run.path, told.cwd / "outputs")


FILES = ["*.json", "*.csv", "config.yaml", "checkpoints/*.ckpt", "*/*.json", "*/*.csv", "*/config.yaml"]


def try_one(
    server: Server, template: Path, home: Path, command: list[str], data: st.DataObject, names: Sequence[str] = FILES
) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "notes.txt").write_text("of the user")
    # A command that needs no folder is run beside the one where it looks for runs.
    name = GIVEN if any(GIVEN in argument for argument in command) else template.name
    given = home / name
    shutil.copytree(template, given, symlinks=True)
    file = data.draw(st.sampled_from(sorted({file for pattern in names for file in given.glob(pattern)})), "file")
    damage = data.draw(st.sampled_from([OF_CONTENT.get(file.suffix, of_bytes), of_bytes]), "damage")
    damage(file, data.draw)
    before = contents(home, name)

    done, seconds, memory = server.run(home, *command)

    # python -m pytest --hypothesis-show-statistics tests/commands/test_damaged_files.py
    event(f"{command[0]}, {file.suffix[1:]} {damage.__name__}: exit code {done.code}")
    assert done.code in (0, 1, 2), (done.code, done.err)
    assert "Traceback" not in done.out + done.err, done.err
    assert (done.code == 0) == (not done.err.strip()), done.err
    assert not [character for character in done.out + done.err if ord(character) < 32 and character not in "\n\t"]
    assert contents(home, name) == before
    assert seconds < SECONDS
    assert memory < MOST_MEMORY


EXAMPLES = settings(
    deadline=None, derandomize=True, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "home"


@settings(EXAMPLES, max_examples=70)
@given(data=st.data(), command=st.sampled_from(RUN_COMMANDS))
def test_a_damaged_run(server, templates, home, data, command):
    try_one(server, templates.run, home, command, data)


@settings(EXAMPLES, max_examples=30)
@given(data=st.data(), command=st.sampled_from(REPORT_SWEEP))
def test_a_damaged_sweep_is_reported(server, templates, home, data, command):
    try_one(server, templates.sweep, home, command, data)


@settings(EXAMPLES, max_examples=5)
@given(data=st.data())
def test_a_damaged_sweep_is_gone_on_with(server, templates, home, data):
    try_one(server, templates.sweep, home, RESUME_SWEEP, data)


@settings(EXAMPLES, max_examples=50)
@given(data=st.data(), picture=st.sampled_from(["/seven.png", "/seven.jpg", ""]))
def test_a_damaged_picture(server, templates, home, data, picture):
    command = ["predict.py", f"run={GIVEN}", f"image={GIVEN}{picture}"]
    try_one(server, templates.reader, home, command, data, ["*.png", "*.jpg"])


@settings(EXAMPLES, max_examples=3)
@given(data=st.data())
def test_a_damaged_run_is_left_out_of_the_report(server, templates, home, data):
    names = [f"runs/linear/*/{pattern}" for pattern in FILES]
    try_one(server, templates.outputs, home, ["report.py", "experiments=[]"], data, names)
