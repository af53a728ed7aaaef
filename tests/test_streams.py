"""Standard streams that are closed, or whose other end goes."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from littlenets.console.streams import keep_streams, nobody_reads
from littlenets.prediction import show
from littlenets.sweeps.live import tell

TRAIN = Path(__file__).parents[1] / "train.py"


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """``output(number)`` makes a file descriptor what Python opens for standard output, kept open by the package."""
    opened = []

    def open_output(number: int) -> None:
        stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w")))
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "__stdout__", stream)
        keep_streams()
        opened.extend([sys.stdout, stream])

    yield open_output
    for stream in opened:
        stream.close()


def unread_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_what_is_read_is_written(output):
    reading, writing = os.pipe()
    output(writing)
    print("one", flush=True)
    assert os.read(reading, 100) == b"one\n"
    assert not nobody_reads()
    os.close(reading)


def test_telling_nobody_is_no_error(output):
    output(unread_pipe())
    tell("one")
    assert nobody_reads()
    tell("two")
    sys.stdout.close()  # without complaining of what nobody took


def test_answers_end_where_nobody_reads_them(output):
    output(unread_pipe())

    def texts():
        for number in range(100_000):
            given.append(number)
            yield "a line of some length\n"

    given: list[int] = []
    show(texts())
    assert 0 < len(given) < 10_000


def test_a_bar_on_a_terminal_that_has_gone(output):
    ours, theirs = pty.openpty()
    output(theirs)
    console = Console(file=sys.stdout, force_terminal=True)
    with Live("bar", console=console, auto_refresh=False) as live:
        os.close(ours)
        console.print("a line")
        live.update("another", refresh=True)
    assert nobody_reads()


def test_a_full_disk_is_an_error(output):
    output(full := os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="No space"):
        print("one", flush=True)
    # What it holds would fail once more.
    os.dup2(nowhere := os.open(os.devnull, os.O_WRONLY), full)
    os.close(nowhere)


# In a process that has no such stream from the start, the next file to be opened would be it.
CLOSED = """
import os, sys
from littlenets.console.streams import keep_streams
keep_streams()
with open("file.txt", "w") as file:
    os.write(1, b"from a library"), os.write(2, b"from a library")
    print("said"), print("said", file=sys.stderr), file.write(sys.stdin.read() + "content")
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_read_and_written_without_effect(tmp_path: Path, closed: str):
    command = f'exec "{sys.executable}" -c "$CODE" {closed}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        input="",
        capture_output=True,
        text=True,
        env={**os.environ, "CODE": CLOSED},
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (tmp_path / "file.txt").read_text() == "content"


@pytest.mark.parametrize("end", [">&-", "2>&-", "<&- >&- 2>&-", "| head -n 1"])
def test_a_run_completes(tmp_path: Path, end: str):
    settings = "trainer.max_epochs=2 figures=none logger=none hydra.run.dir=run"
    command = f'set -o pipefail; "{sys.executable}" "{TRAIN}" {settings} {end}'
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"status": "completed"' in (tmp_path / "run/results.json").read_text()
    assert (tmp_path / "run/train.log").read_text().count("Run folder") == 1
    assert (tmp_path / "run/history.csv").read_text().count("\n") == 3


def test_a_mistake_has_its_exit_code(tmp_path: Path):
    command = f'"{sys.executable}" "{TRAIN}" trainer.max_epoch=2 >&- 2>&-'
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path).returncode == 2
    assert not list(tmp_path.iterdir())


def test_help_that_nobody_reads_is_no_error(tmp_path: Path):
    with os.fdopen(unread_pipe(), "wb") as unread:
        done = subprocess.run([sys.executable, TRAIN, "--help"], cwd=tmp_path, stdout=unread, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
