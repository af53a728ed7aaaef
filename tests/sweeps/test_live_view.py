"""What is seen of a sweep while it runs."""

import io
import os
import re
from pathlib import Path

import pytest
from rich.console import Console
from run_folders import write_history, write_run, write_sweep

from littlenets.sweeps import live
from littlenets.sweeps.live import Lines, Screen, duration_text, open_view, tell
from littlenets.sweeps.table import SweepTable
from littlenets.sweeps.worker import Ending

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def table(tmp_path: Path) -> SweepTable:
    """Four jobs: one that has completed, one in its third epoch, one in its first, and one that is being set up."""
    swept = [{"optimizer.lr": 0.01 * n, "model.network.hidden": [64, 64, 64 + n], "seed": n} for n in range(4)]
    jobs = [write_run(tmp_path, n, settings, {"test/mae": 0.25}) for n, settings in enumerate(swept)]
    for n in (1, 2, 3):
        (tmp_path / jobs[n]["folder"] / "results.json").unlink()
        (tmp_path / jobs[n]["folder"] / "history.csv").unlink()
    write_history(tmp_path / jobs[1]["folder"], [{"epoch": n, "train/loss": 0.5 / n} for n in (1, 2, 3)])
    (tmp_path / jobs[2]["folder"] / "config.yaml").write_text("")
    return SweepTable(write_sweep(tmp_path, jobs))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_screen_fits_its_terminal(table: SweepTable, width: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "SECONDS_BETWEEN_DRAWS", 0)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=24, color_system=None)
    settings = {n: {"trainer": {"max_epochs": 5000}} for n in range(4)}
    screen = Screen(table.folder, 500, settings, console)
    for status in ("completed", "diverged", "failed", "interrupted"):
        job = table.outcomes[0].job
        screen.ended(table, job, Ending(status, "ValueError", "out of order"))
    out.truncate(out.seek(0))
    screen.look(table, [outcome.job for outcome in table.outcomes[1:]])
    shown = [line.rstrip() for line in ESCAPE.sub("", out.getvalue()).replace("\r", "\n").split("\n") if line.strip()]
    screen.close()
    assert max(map(len, shown)) <= width
    first = next(place for place, line in enumerate(shown) if line.startswith("4/500"))
    # A line each, whatever the width: progress, three jobs, the best. Only the counts may take two.
    progress, *counts, one, two, three, best = shown[first:]
    running = [one, two, three]
    assert progress.endswith("to go")
    assert " ".join(counts) == "1 completed, 1 diverged, 1 failed, 1 interrupted, 3 running, 493 left"
    assert [line.split()[0] for line in (*running, best)] == ["running"] * 3 + ["best"]
    if width == 60:  # half a line for what is swept, half a line for how far it is
        assert one == "running  lr=0.01, hidden=[64,64,…  epoch 3/5,000  train/los…"
    if width == 200:
        assert running[0].endswith("epoch 3/5,000  train/loss 0.1667")
        assert running[1].endswith("in epoch 1/5,000")
        assert running[2].endswith("starting")
        assert best.endswith("test/mae 0.25")


def test_a_path_stays_in_one_piece(table: SweepTable):
    out = io.StringIO()
    screen = Screen(table.folder, 4, {}, Console(file=out, force_terminal=True, width=60, color_system=None))
    screen.ended(table, table.outcomes[1].job, Ending("failed", "ValueError", "out of order"))
    screen.close()
    log = os.path.relpath(table.folder / table.outcomes[1].job.folder / "train.log")
    assert log in ESCAPE.sub("", out.getvalue())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.16, "0.2 s"), (2.0, "2 s"), (9.6, "10 s"), (89.0, "89 s"), (90.0, "2 min"), (7200.0, "2.0 h")],
)
def test_durations_have_two_digits_at_most(seconds: float, text: str):
    assert duration_text(seconds) == f"about {text}"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "view"), [("xterm", Screen), ("dumb", Lines)])
def test_a_terminal_that_can_only_print_gets_lines(tmp_path: Path, monkeypatch, kind: str, view: type):
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr("sys.stdout", Terminal())
    opened = open_view(tmp_path, 1, {})
    opened.close()
    assert type(opened) is view


def test_telling_a_full_disk_is_no_error(monkeypatch: pytest.MonkeyPatch):
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        tell("one")
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
