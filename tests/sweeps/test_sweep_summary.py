"""What a sweep leaves in the terminal, and the commands that it proposes."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from run_folders import diverged, write_run, write_sweep

from littlenets.sweeps import next_commands
from littlenets.sweeps.summary import Summary, write_summary
from littlenets.sweeps.table import SweepTable


def lines_of(sweep: Path) -> list[str]:
    return Summary(SweepTable(sweep)).lines()


def table_rows(lines: list[str]) -> list[list[str]]:
    """The cells of the table's rows, without its header."""
    start = next(place for place, line in enumerate(lines) if line == "") + 1
    return [line.split() for line in lines[start + 1 : lines.index("", start)]]


def command(lines: list[str], label: str) -> list[str]:
    (line,) = (line for line in lines if line.strip().startswith(label))
    return shlex.split(line.strip().removeprefix(label))


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    jobs = []
    for lr in (0.001, 0.01, 1.0):
        for epochs in (100, 200):
            end = diverged(37) if lr == 1.0 else {"metrics": {"test/mae": 1 / (lr * epochs), "train/loss": lr}}
            jobs.append(write_run(tmp_path, len(jobs), {"optimizer.lr": lr, "trainer.max_epochs": epochs}, **end))
    return write_sweep(tmp_path, jobs)


def test_the_table_is_sorted_and_says_what_diverged_when(grid: Path):
    lines = lines_of(grid)
    assert lines[0].startswith("6 jobs: 4 completed, 2 diverged. Sorted by test/mae, lower is better")
    rows = table_rows(lines)
    assert [row[0] for row in rows] == ["3", "2", "1", "0", "4", "5"]
    assert rows[0][:4] == ["3", "0.01", "200", "0.5"]
    assert " ".join(rows[-1]).endswith("diverged at epoch 37")


def test_a_zero_is_not_an_empty_cell(tmp_path: Path):
    jobs = [write_run(tmp_path, n, {"optimizer.lr": n}, {"test/mae": float(n)}) for n in range(2)]
    rows = table_rows(lines_of(write_sweep(tmp_path, jobs)))
    assert [row[:3] for row in rows] == [["0", "0", "0"], ["1", "1", "1"]]


def test_many_wide_columns_fit_into_80(tmp_path: Path):
    metrics = {f"test/a_rather_long_metric_{n}": n / 7 for n in range(6)} | {"test/mae": 1 / 3}
    jobs = []
    for n in range(30):
        swept = {f"model.network.option_{key}": "value " * (key + 1) for key in range(8)} | {"optimizer.lr": n / 3}
        end = {"metrics": metrics} if n % 5 else diverged(n + 1)
        jobs.append(write_run(tmp_path, n, swept, **end))
    lines = lines_of(write_sweep(tmp_path, jobs))
    exempt = ("look at it", "evaluate it", "repeat it", "Sweep folder", "TensorBoard")
    assert [line for line in lines if len(line) > 80 and not line.strip().startswith(exempt)] == []
    assert "test/mae" in lines[0]
    assert len(table_rows(lines)) == 21  # the last of them says how many more there are


def test_five_hundred_jobs_are_twenty_rows(tmp_path: Path):
    jobs = [write_run(tmp_path, n, {"optimizer.lr": n / 1000}, {"test/loss": float(500 - n)}) for n in range(500)]
    lines = lines_of(write_sweep(tmp_path, jobs))
    rows = table_rows(lines)
    assert rows[-1] == ["...", "and", "480", "more", "in", "sweep.md"]
    assert [int(row[0]) for row in rows[:-1]] == list(range(499, 479, -1))


def test_with_seeds_the_table_is_of_their_means(tmp_path: Path):
    losses = {0.1: [1.0, 2.0, 3.0], 0.2: [0.5, 0.7]}
    runs = [(lr, seed, loss) for lr, group in losses.items() for seed, loss in enumerate(group)]
    jobs = [
        write_run(tmp_path, n, {"optimizer.lr": lr, "seed": seed}, {"test/loss": loss})
        for n, (lr, seed, loss) in enumerate(runs)
    ]
    jobs.append(write_run(tmp_path, 5, {"optimizer.lr": 0.2, "seed": 2}, **diverged(7)))
    lines = lines_of(write_sweep(tmp_path, jobs))
    # One of whose runs diverged is behind one of which none did, whatever the mean of the others.
    assert table_rows(lines) == [["0.1", "2", "1", "3"], ["0.2", "0.6", "0.14142", "2", "of", "3"]]
    assert "  diverged, by number (epoch): 5 (7)" in lines
    assert "Best setting: lr=0.1, mean test/loss 2 (n = 3)." in lines
    assert "lr=0.2 has a better mean, but of 2 of 3 runs only." in lines
    assert "Best run: number 0 (lr=0.1, seed=0), test/loss 1" in lines


def test_runs_with_a_warning_are_named(tmp_path: Path):
    warned = {"learned nothing": "Lower optimizer.lr."}
    ends = [{}, {"warnings": warned}, {"warnings": warned | {"loss rose": "It rose."}}]
    jobs = [write_run(tmp_path, n, {"optimizer.lr": n}, {"test/loss": 3.0 - n}, **end) for n, end in enumerate(ends)]
    lines = lines_of(write_sweep(tmp_path, jobs))
    assert lines[0].startswith("3 jobs: 3 completed (2 with a warning).")
    rows = [" ".join(row) for row in table_rows(lines)]
    assert rows[0].endswith(" completed")
    assert all(row.endswith(" completed, learned nothing") for row in rows[1:])
    assert "  learned nothing: number 1 (lr=1), number 2 (lr=2)" in lines
    assert "  loss rose: number 2 (lr=2)" in lines
    assert "Best run: number 0 (lr=0), test/loss 3" in lines


def test_the_frame_of_a_heat_map_is_the_best_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from littlenets.sweeps import drawing

    framed = []

    def spy(x: list[Any], y: list[Any], *args: Any, best: int, **given: Any) -> Any:
        framed.append((x[best], y[best]))
        return sweep_pair(x, y, *args, best=best, **given)

    sweep_pair = drawing.sweep_pair
    monkeypatch.setattr(drawing, "sweep_pair", spy)
    jobs = []
    for a, b, seed in ((a, b, seed) for a in (1, 2) for b in (1, 2) for seed in (0, 1)):
        # Of the lowest loss one run diverged.
        end = diverged(3) if (a, b, seed) == (2, 2, 1) else {"metrics": {"test/loss": 10.0 - 2 * a - b}}
        jobs.append(write_run(tmp_path, len(jobs), {"a": a, "b": b, "seed": seed}, **end))
    summary = write_summary(write_sweep(tmp_path, jobs))
    assert summary.remarks == []
    assert framed == [(2, 1)]


def test_seeds_alone_have_rows_and_a_mean(tmp_path: Path):
    jobs = [write_run(tmp_path, n, {"seed": n}, {"test/loss": n + 1.0}) for n in range(3)]
    lines = lines_of(write_sweep(tmp_path, jobs))
    assert len(table_rows(lines)) == 3
    assert "Over the seeds: test/loss 2, standard deviation 1 (n = 3)" in lines


def test_failures_come_with_their_reasons(tmp_path: Path):
    error = {"type": "RuntimeError", "message": "the GPU is on fire " * 30}
    jobs = [write_run(tmp_path, n, {"seed": n}, status="failed", error=error) for n in range(12)]
    lines = lines_of(write_sweep(tmp_path, jobs))
    text = "\n".join(lines)
    assert "number 0 (seed=0): failed. RuntimeError: the GPU is on fire" in text
    assert text.count("(see train.log)") == 8
    assert "  ... and 4 more in sweep.md" in lines
    assert "Best run" not in text


def test_commands_can_be_pasted(grid: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(grid.parent)
    best = grid / "3_optimizer.lr-0.01_trainer.max_epochs-200"
    # Where no run has logged for it, TensorBoard is not named.
    assert not [line for line in lines_of(grid) if "tensorboard" in line.lower()]
    (best / "tensorboard").mkdir()
    lines = lines_of(grid)
    program, *overrides = command(lines, "repeat it alone")[1:]
    assert program == "train.py"
    assert overrides == json.loads((best / "results.json").read_text())["overrides"]
    assert command(lines, "evaluate it")[1] == "evaluate.py"
    assert command(lines, "look at it") == ["tensorboard", "--logdir", os.path.relpath(best)]
    assert command(lines, "TensorBoard") == ["tensorboard", "--logdir", os.path.relpath(grid)]


@pytest.mark.parametrize(
    "name",
    ["plain", "with space", "epoch=6", "a,b", "it's", 'say "no"', "back\\slash", "end\\", "[1]", "{a}", "é", "#1"],
)
def test_any_path_comes_through_the_shell_and_hydra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    for made, key in ((next_commands.evaluate, "run"), (next_commands.report, "sweep")):
        (override,) = shlex.split(made(tmp_path / "some" / name))[2:]
        parsed = OverridesParser.create().parse_override(override)
        assert parsed.key_or_group == key
        assert parsed.value() == os.path.join("some", name)


@pytest.mark.parametrize(
    "overrides",
    [["model.network.hidden=[16,16]"], ["+name='two words'"], ["~scheduler"], ['x="$HOME; rm"'], ["seed=1", "a={b:1}"]],
)
def test_any_override_comes_through_the_shell(overrides: list[str]):
    assert shlex.split(next_commands.repeat(overrides)) == ["python", "train.py", *overrides]
    OverridesParser.create().parse_overrides(overrides)


def test_a_figure_that_fails_is_told_and_costs_nothing_else(grid: Path, monkeypatch: pytest.MonkeyPatch):
    from littlenets.sweeps import drawing

    def fail(*args: Any, **settings: Any) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr(drawing, "sweep_pair", fail)
    summary = write_summary(grid)
    assert summary.remarks == ["figures/heat_map.png could not be drawn: ValueError: no ink"]
    assert summary.remarks[0] in summary.lines()
    expected = {"by_optimizer.lr.png", "by_trainer.max_epochs.png", "loss_curves.png"}
    assert {path.name for path in (grid / "figures").iterdir()} == expected


def test_figures_of_before_are_replaced(grid: Path):
    (grid / "figures").mkdir()
    (grid / "figures" / "by_something_else.png").write_bytes(b"old")
    (grid / "figures" / "my_own.png").write_bytes(b"precious")
    summary = write_summary(grid)
    found = {f"figures/{path.name}" for path in (grid / "figures").iterdir()}
    assert found == {*summary.figures, "figures/my_own.png"}
    page = (grid / "sweep.md").read_text()
    assert all(f"({name})" in page for name in summary.figures)
    assert "something_else" not in page


def figures_of(folder: Path, *swept: dict[str, Any], diverging: tuple[int, ...] = ()) -> set[str]:
    ends = [diverged(3) if n in diverging else {"metrics": {"test/loss": n + 1.0}} for n in range(len(swept))]
    jobs = [write_run(folder, n, settings, **end) for n, (settings, end) in enumerate(zip(swept, ends, strict=True))]
    summary = write_summary(write_sweep(folder, jobs))
    assert summary.remarks == []
    return {Path(name).stem for name in summary.figures} - {"loss_curves"}


def test_figures_suit_what_was_swept(tmp_path: Path):
    grid = [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y")]
    assert figures_of(tmp_path / "grid", *grid) == {"by_a", "by_b", "heat_map"}
    # Stepped through together, most pairs were not tried.
    together = [{"a": n, "b": n**2} for n in range(1, 5)]
    assert figures_of(tmp_path / "together", *together) == {"by_a", "by_b"}
    assert figures_of(tmp_path / "seeds", {"seed": 0}, {"seed": 1}) == {"by_seed"}
    three = [{"a": a, "b": b, "c": c} for a in (1, 2) for b in (1, 2) for c in (None, [1])]
    assert figures_of(tmp_path / "three", *three) == {"by_a", "by_b", "by_c"}
    # All that have a value of b diverged, and that is one value alone.
    partly = [{"a": 1}, {"a": 2}, {"a": 3, "b": 1}]
    assert figures_of(tmp_path / "partly", *partly, diverging=(2,)) == {"by_a"}
    # Of those that have both settings, all diverged.
    pairs = [{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 2}, {"a": 3}, {"b": 3}]
    assert figures_of(tmp_path / "pairs", *pairs, diverging=(0, 1, 2)) == {"by_a", "by_b"}
    assert figures_of(tmp_path / "none", {"a": 1}, {"a": 2}, diverging=(0, 1)) == set()


def test_what_lines_and_means_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from littlenets.sweeps import drawing

    drawn = {}

    def spy(values: list[Any], setting: str, line_setting: str, averaged: list[str], **given: Any) -> Any:
        drawn[setting] = line_setting, averaged
        return sweep_setting(values, setting=setting, line_setting=line_setting, averaged=averaged, **given)

    sweep_setting = drawing.sweep_setting
    monkeypatch.setattr(drawing, "sweep_setting", spy)
    figures_of(tmp_path / "grid", *({"a": a, "b": b, "seed": s} for a in (1, 2) for b in (1, 2, 3) for s in (0, 1)))
    assert drawn == {"a": ("b", ["seed"]), "b": ("a", ["seed"])}
    figures_of(tmp_path / "together", *({"a": n, "b": n**2} for n in range(1, 5)))
    assert drawn == {"a": ("", []), "b": ("", [])}
    drawn.clear()
    figures_of(tmp_path / "three", *({"a": n % 7, "x.b": n // 7 % 2, "c": n // 14} for n in range(28)))
    assert drawn == {"a": ("x.b", ["c"]), "x.b": ("c", ["a"]), "c": ("x.b", ["a"])}


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_sweep_of_next_to_nothing(tmp_path: Path, jobs: int):
    written = [write_run(tmp_path, n, {}, {"test/loss": 1.0}) for n in range(jobs)]
    summary = write_summary(write_sweep(tmp_path, written))
    assert summary.remarks == []
    assert summary.lines()[0].startswith(f"{jobs} job")


def test_tables_need_neither_torch_nor_matplotlib(grid: Path):
    """They are written between two jobs."""
    code = f"""
import sys
from pathlib import Path
from littlenets.sweeps.summary import Summary, SweepTable, write_tables
write_tables(Path({str(grid)!r}))
Summary(SweepTable(Path({str(grid)!r}))).lines()
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "littlenets" in out.split()
    assert not {"torch", "matplotlib", "numpy", "pandas", "pytorch_lightning"} & set(out.split())
