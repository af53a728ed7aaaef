"""What is printed while a network trains and at its end, on terminals of several kinds and where there is none."""

import logging
import os
import pty
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.text import Text

from littlenets.callbacks.progress import fit_readings
from littlenets.console.terminal import TerminalStreamHandler
from littlenets.runs.summary import summarize
from littlenets.speed import run_ahead

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?3[0-9](?:;[0-9;]*)?m")


class Screen:
    """The other end of a terminal that ``sys.stdout`` writes to."""

    def __init__(self, encoding: str) -> None:
        self._ours, theirs = pty.openpty()
        self.stream = os.fdopen(theirs, "w", encoding=encoding, buffering=1)
        self._encoding = encoding

    def read(self) -> str:
        """All that was written, with its escape sequences."""
        self.stream.flush()
        os.set_blocking(self._ours, False)
        written = b""
        while True:
            try:
                written += os.read(self._ours, 65536)
            except BlockingIOError:
                return written.decode(self._encoding).replace("\r\n", "\n")

    def close(self) -> None:
        self.stream.close()
        os.close(self._ours)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Screen]]:
    """``terminal(columns)`` puts one in the place of standard output, to which a run logs as on the command line."""
    screens, root = [], logging.getLogger()
    handler, level = TerminalStreamHandler(), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in ("NO_COLOR", "FORCE_COLOR", "LINES", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def open_screen(columns: int = 80, encoding: str = "utf-8") -> Screen:
        screens.append(screen := Screen(encoding))
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "stdout", screen.stream)
        return screen

    yield open_screen
    root.removeHandler(handler)
    root.setLevel(level)
    monkeypatch.undo()
    for screen in screens:
        screen.close()


def frames(written: str) -> list[str]:
    """The states of the bar, one after another."""
    return [ESCAPE.sub("", line) for line in re.split(r"[\r\n]", written) if ESCAPE.sub("", line).startswith("epoch ")]


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_bar_fits_into_one_line(launch, terminal, columns: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_ahead, "SECONDS_AHEAD", 0.0)
    screen = terminal(columns)
    launch(
        "model=spiral", "data.n_points=20", "data.validation=0.3", "trainer.max_epochs=12000", "+trainer.max_steps=40"
    )
    drawn = frames(screen.read())
    assert len(drawn) >= 2
    assert all(len(line.rstrip()) <= columns for line in drawn)
    assert drawn[-1].startswith("epoch 40/12,000 ")
    if columns >= 60:
        assert "loss " in drawn[-1]
    if columns == 200:
        for name in ("train/loss", "train/acc", "val/loss", "val/acc"):
            assert f" {name} " in drawn[-1]


def test_a_dumb_terminal_gets_lines(launch, terminal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "dumb")
    screen = terminal()
    launch("model=linear", "trainer.max_epochs=30")
    written = screen.read()
    assert "\x1b" not in written
    assert len([line for line in written.splitlines() if line.startswith("epoch ")]) == 10


def test_a_terminal_gets_colours_unless_there_are_to_be_none(launch, terminal, monkeypatch: pytest.MonkeyPatch):
    screen = terminal()
    launch("model=linear", "trainer.max_epochs=30")
    assert COLOUR.search(screen.read())
    monkeypatch.setenv("NO_COLOR", "1")
    screen = terminal()
    launch("model=linear", "trainer.max_epochs=30")
    written = screen.read()
    assert not COLOUR.search(written)
    assert "epoch 30/30" in written


def test_a_terminal_that_knows_no_blocks_gets_others(launch, terminal):
    screen = terminal(encoding="ascii")
    launch("model=linear", "trainer.max_epochs=30")
    written = ESCAPE.sub("", screen.read())
    (loss,) = (line for line in written.splitlines() if line.startswith("Loss "))
    assert re.fullmatch(r"Loss  \S+ [_.\-~=+*#]{24} \S+, log scale", loss)


def test_the_log_has_the_lines_that_the_bar_stands_for(launch, terminal, caplog: pytest.LogCaptureFixture):
    screen = terminal()
    with caplog.at_level(logging.INFO):
        launch("model=linear", "trainer.max_epochs=30")
    lines = [line for line in caplog.messages if line.startswith("epoch ")]
    assert len(lines) == 10
    assert lines[-1].startswith("epoch 30/30  train/loss ")
    assert "\x1b" not in caplog.text
    # Here they were not printed.
    assert lines[0] not in ESCAPE.sub("", screen.read())


def test_what_is_logged_meanwhile_stands_in_a_line_of_its_own(launch, terminal):
    screen = terminal(60)
    launch("model=linear", "trainer.max_epochs=6", "+callbacks.talker._target_=observers.Talker")
    lines = [ESCAPE.sub("", line).rstrip() for line in re.split(r"[\r\n]", screen.read())]
    assert [line for line in lines if "said" in line] == [f"said after epoch {epoch}" for epoch in range(6)]


def test_prose_is_broken_between_words_and_commands_not_at_all(terminal):
    screen = terminal(20)
    log = logging.getLogger("littlenets.test")
    log.info("a sentence that is longer than twenty columns")
    log.info("tensorboard --logdir outputs/runs/linear/latest")
    log.info(Text("a layout that is longer than twenty columns"))
    assert [line.rstrip() for line in ESCAPE.sub("", screen.read()).split("\n")] == [
        *("a sentence that is", "longer than twenty", "columns"),
        "tensorboard --logdir outputs/runs/linear/latest",
        "a layout that is longer than twenty columns",
        "",
    ]


def test_brackets_are_no_markup(terminal):
    screen = terminal()
    logging.getLogger("littlenets.test").warning("trust=[my.module] [bold]or[/bold] :smile:")
    assert "trust=[my.module] [bold]or[/bold] :smile:" in ESCAPE.sub("", screen.read())


@pytest.mark.parametrize(
    ("readings", "width", "shown"),
    [
        (["train/loss 0.1", "train/acc 0.5"], 29, "train/loss 0.1  train/acc 0.5"),
        (["train/loss 0.1", "train/acc 0.5"], 28, "loss 0.1  acc 0.5"),
        (["train/loss 0.1", "train/acc 0.5"], 16, "loss 0.1"),
        (["train/loss 0.1", "train/acc 0.5"], 7, ""),
        (["train/loss 0.1", "val/loss 0.2"], 22, "loss 0.1  val/loss 0.2"),
        ([], 10, ""),
        (["train/loss 0.1"], -5, ""),
    ],
)
def test_as_many_readings_as_fit(readings: list[str], width: int, shown: str):
    assert fit_readings(readings, width) == shown


def test_the_summary_says_what_was_measured_on_which_data(tmp_path: Path):
    (tmp_path / "history.csv").write_text("epoch,train/loss,weight\n1,100,0\n2,10,0\n3,1,0\n")
    metrics = {"train/loss": 1.0, "weight": 0.5, "test/mae": 2.0, "val/loss": 3.0, "colour_lines/acc": float("nan")}
    lines = summarize(metrics, tmp_path, 1.25).plain.splitlines()
    assert lines[:2] == ["Finished 3 epochs in 1.2 s.", "Loss  100 █▅▁ 1, log scale"]
    titles = {
        title: lines.index(next(line for line in lines if title in line))
        for title in ("training data", "At the end", "validation", "test data", "further data")
    }
    assert list(titles.values()) == sorted(titles.values())
    for title, shown in {
        "training data": {"train/loss": "1"},
        "At the end": {"weight": "0.5"},
        "validation": {"val/loss": "3"},
        "test data": {"test/mae": "2"},
        "further data": {"colour_lines/acc": "nan"},
    }.items():
        start = titles[title] + 1
        assert dict(line.split() for line in lines[start : start + len(shown)]) == shown


def test_a_summary_without_a_history_has_no_curve(tmp_path: Path):
    lines = summarize({"test/loss": 1.0}, tmp_path, 1.0).plain.splitlines()
    assert lines[0] == "Finished in 1.0 s."
    assert not any(line.startswith("Loss") for line in lines)
