"""sweep.csv and sweep.md against what stands in the run folders."""

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_folders
from hydra.core.override_parser.overrides_parser import OverridesParser
from run_folders import diverged, read_csv, write_run, write_sweep

from littlenets.sweeps import table as table_module
from littlenets.sweeps.outcomes import read_outcome
from littlenets.sweeps.summary import Summary, write_summary, write_tables
from littlenets.sweeps.table import SweepTable
from littlenets.sweeps.verdict import verdict


def sections(sweep: Path) -> dict[str, list[list[str]]]:
    """The tables of sweep.md by their headings, cell by cell, header first."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (sweep / "sweep.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("|") and not line.startswith("|-"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def finals(sweep: Path, metric: str) -> dict[str, float]:
    """A metric of each run by the name of its folder, from the runs' own results.json."""
    results = {file.parent.name: json.loads(file.read_text()) for file in sweep.glob("*/results.json")}
    return {name: result["metrics"][metric] for name, result in results.items() if metric in result["metrics"]}


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Three learning rates with four seeds each; of the largest one run diverged, of the smallest one did complete."""
    random = np.random.default_rng(3)
    jobs = []
    for lr in (0.001, 0.01, 0.1):
        for seed in range(4):
            lost = (lr == 0.1 and seed == 2) or (lr == 0.001 and seed > 0)
            end = diverged(37) if lost else {"metrics": {"val/loss": random.lognormal(), "test/acc": random.random()}}
            jobs.append(write_run(tmp_path, len(jobs), {"optimizer.lr": lr, "seed": seed}, **end))
    return write_sweep(tmp_path, jobs)


def test_mean_and_deviation_over_seeds_are_those_of_the_results(seeds: Path):
    write_tables(seeds)
    values = finals(seeds, "val/loss")
    expected = []
    for lr in (0.001, 0.01, 0.1):
        reached = np.array([value for name, value in values.items() if f"lr-{lr}_" in name])
        # By the definition: the sum of squares by n - 1.
        deviation = (
            math.sqrt(((reached - reached.mean()) ** 2).sum() / (len(reached) - 1)) if len(reached) > 1 else None
        )
        expected.append((-len(reached), reached.mean(), lr, deviation))
    header, *rows = sections(seeds)["Over the seeds"]
    assert header == ["lr", "mean val/loss", "standard deviation", "n"]
    # Of four runs each: a mean that leaves out the failures of its setting is no better than one that has none.
    for row, (missing, mean, lr, deviation) in zip(rows, sorted(expected), strict=True):
        assert row[0] == str(lr)
        assert float(row[1]) == pytest.approx(mean, rel=1e-4)
        assert row[2] == "" if deviation is None else float(row[2]) == pytest.approx(deviation, rel=1e-4)
        assert row[3] == ("4" if missing == -4 else f"{-missing} of 4")


def test_groups_have_full_precision(seeds: Path):
    values = finals(seeds, "val/loss")
    for group in SweepTable(seeds).groups:
        reached = [value for name, value in values.items() if f"lr-{group.swept['optimizer.lr']}_" in name]
        assert group.mean == pytest.approx(np.mean(reached), rel=1e-12)
        if len(reached) > 1:
            assert group.deviation == pytest.approx(np.std(reached, ddof=1), rel=1e-12)


def test_a_row_of_the_csv_has_all_that_the_run_says(tmp_path: Path):
    history = [
        {"epoch": 1, "train/loss": 3.0, "train/acc": 0.5, "weight": 9.0, "lr": 0.1},
        {"epoch": 2, "train/loss": 0.123456789012, "train/acc": 0.9, "weight": 8.0, "lr": 0.1},
        {"epoch": 3, "train/loss": 2.0, "train/acc": 0.7, "weight": 7.0, "lr": 0.1},
    ]
    metrics = {"train/loss": 2.0, "test/acc": 0.1 + 0.2}
    job = write_run(tmp_path, 0, {"optimizer.lr": 1e-5, "model": "spiral"}, metrics, history, seconds=2.25)
    write_sweep(tmp_path, [job])
    write_tables(tmp_path)
    (row,) = read_csv(tmp_path)
    assert float(row["test/acc"]) == 0.1 + 0.2
    assert float(row["train/loss"]) == 2.0
    assert float(row["best train/loss"]) == 0.123456789012
    assert float(row["best train/acc"]) == 0.9
    assert not {"best weight", "best lr"} & set(row)
    assert (row["number"], row["optimizer.lr"], row["model"]) == ("0", "1e-05", "spiral")
    assert (row["status"], row["epochs"], row["seconds"]) == ("completed", "3", "2.25")
    assert (tmp_path / row["folder"] / "results.json").is_file()
    assert row["reason"] == ""


def test_metrics_may_be_named_with_underscores(tmp_path: Path):
    """As many a LightningModule of others names them."""
    history = [
        {"epoch": 1, "train_loss": 3.0, "val_loss": 2.0, "val_acc": 0.5, "loss": 7.0, "weight_decay": 1.0},
        {"epoch": 2, "train_loss": 1.0, "val_loss": 4.0, "val_acc": 0.25, "loss": 8.0, "weight_decay": 1.0},
    ]
    job = write_run(tmp_path, 0, {}, {"val_loss": 4.0, "train_loss": 1.0, "lr": 0.1}, history)
    summary = write_summary(write_sweep(tmp_path, [job]))
    (row,) = read_csv(tmp_path)
    bests = {name.removeprefix("best "): value for name, value in row.items() if name.startswith("best ")}
    assert bests == {"val_acc": "0.5", "val_loss": "2.0", "train_loss": "1.0", "loss": "7.0"}
    losses = {"train_loss": ([1, 2], [3, 1]), "val_loss": ([1, 2], [2, 4]), "loss": ([1, 2], [7, 8])}
    assert summary.table.outcomes[0].losses == losses
    assert summary.figures == ["figures/loss_curves.png"]
    header, _ = sections(tmp_path)["Runs"]
    assert header[:4] == ["number", "status", "val_loss", "train_loss"]
    assert "lr" not in header


def test_rows_of_the_csv_stand_by_number_and_those_of_the_page_by_the_objective(tmp_path: Path):
    losses = [0.5, 0.1, math.nan, 0.3]
    jobs = [write_run(tmp_path, n, {"seed": n}, {"test/loss": loss}) for n, loss in enumerate(losses)]
    jobs.insert(1, write_run(tmp_path, 4, {"seed": 4}, **diverged(1037)))
    jobs.append(write_run(tmp_path, 5, {"seed": 5}, {"test/loss": 0.001}, status="interrupted"))
    write_sweep(tmp_path, sorted(jobs, key=lambda job: job["number"]))
    write_tables(tmp_path)
    assert [row["number"] for row in read_csv(tmp_path)] == ["0", "1", "2", "3", "4", "5"]
    header, *rows = sections(tmp_path)["Runs"]
    # Of a run that did not complete, the number is not that of the others.
    assert [row[0] for row in rows] == ["1", "3", "0", "2", "4", "5"]
    assert rows[4][header.index("status")] == "diverged at epoch 1,037"


def test_swept_values_are_written_as_hydra_reads_them(tmp_path: Path):
    texts = {
        "0.1": 0.1,
        "1e-07": 1e-7,
        "3": 3,
        "-2.5": -2.5,
        "adam": "adam",
        "true": True,
        "false": False,
        "null": None,
    }
    texts |= {"[16,16]": [16, 16], "[]": [], "[null,0.5]": [None, 0.5], "{a:1,b:[x]}": {"a": 1, "b": ["x"]}}
    jobs = [write_run(tmp_path, n, {"data.key": value}) for n, value in enumerate(texts.values())]
    write_sweep(tmp_path, jobs)
    write_tables(tmp_path)
    parser = OverridesParser.create()
    assert [row["data.key"] for row in read_csv(tmp_path)] == list(texts)
    assert [parser.parse_override(f"key={text}").value() for text in texts] == list(texts.values())


def test_settings_stand_in_the_order_of_the_sweep_and_the_seed_last(tmp_path: Path):
    jobs = [write_run(tmp_path, n, {"seed": n, "optimizer.lr": 0.1, "model": "cnn"}) for n in range(2)]
    write_sweep(tmp_path, jobs)
    write_tables(tmp_path)
    assert list(read_csv(tmp_path)[0])[:5] == ["number", "optimizer.lr", "model", "seed", "status"]


def test_a_setting_that_some_jobs_do_not_have_is_empty_there(tmp_path: Path):
    jobs = [
        write_run(tmp_path, 0, {"optimizer.lr": 0.1}),
        write_run(tmp_path, 1, {"optimizer.lr": 0.1, "model": "cnn"}),
    ]
    write_sweep(tmp_path, jobs)
    write_tables(tmp_path)
    assert [row["model"] for row in read_csv(tmp_path)] == ["", "cnn"]


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def rewrite(name: str, change: Callable[[str], str | bytes]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        changed = change((run / name).read_text())
        (run / name).write_bytes(changed.encode() if isinstance(changed, str) else changed)

    return damage


def replace_by_folder(run: Path) -> None:
    (run / "results.json").unlink()
    (run / "results.json").mkdir()


DAMAGE = {
    "no folder": (remove, "lost", "gone"),
    "a file for a folder": (lambda run: (remove(run), run.write_text("")), "lost", "gone"),
    "no results": (lambda run: remove(run / "results.json"), "unfinished", "killed"),
    "results empty": (rewrite("results.json", lambda text: ""), "damaged", "results.json"),
    "results cut off": (rewrite("results.json", lambda text: text[: len(text) // 2]), "damaged", "results.json"),
    "results no text": (rewrite("results.json", lambda text: b"\xff\xfe\x00"), "damaged", "results.json"),
    "results a list": (rewrite("results.json", lambda text: "[1, 2]"), "damaged", "results.json"),
    "results without status": (rewrite("results.json", lambda text: "{}"), "damaged", "results.json"),
    "results of another kind": (rewrite("results.json", lambda text: '{"status": 3}'), "damaged", "results.json"),
    "results a folder": (replace_by_folder, "damaged", "results.json"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_is_a_row_with_its_reason(tmp_path: Path, kind: str):
    jobs = [write_run(tmp_path, n, {"seed": n}, {"test/loss": 0.5 + n}) for n in range(3)]
    write_sweep(tmp_path, jobs)
    damage, status, reason = DAMAGE[kind]
    damage(tmp_path / jobs[1]["folder"])
    write_tables(tmp_path)
    lines = Summary(SweepTable(tmp_path)).lines()
    rows = read_csv(tmp_path)
    assert [row["status"] for row in rows] == ["completed", status, "completed"]
    assert [row["test/loss"] for row in rows] == ["0.5", "", "2.5"]
    assert reason in rows[1]["reason"]
    told = (tmp_path / "sweep.md").read_text().partition("## Not completed")[2]
    assert "number 1 (seed=1)" in told
    assert rows[1]["reason"] in told
    assert any(f"number 1 (seed=1): {status}" in line for line in lines)


HISTORIES = {
    # What is left of best train/loss, of 3, 2 and 1 in three rows, and what is said.
    "missing": (lambda path: path.unlink(), "", "no history.csv"),
    "empty": (lambda path: path.write_text(""), "", "no rows"),
    "header alone": (lambda path: path.write_text("epoch,train/loss\n"), "", "no rows"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe"), "", "cannot be read"),
    "half a row at the end": (lambda path: path.write_text(path.read_text()[:-2]), "2.0", ""),
    "a word": (lambda path: path.write_text(path.read_text().replace("2.0", "two")), "3.0", "line 3"),
    "a row too long": (lambda path: path.write_text(path.read_text().replace("2.0", "2.0,5")), "3.0", "line 3"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "", "cannot be read"),
    "another file": (lambda path: path.write_text("{}\n{}\n{}\n"), "", "no rows"),
}


@pytest.mark.parametrize("kind", HISTORIES)
def test_a_damaged_history_costs_no_more_than_itself(tmp_path: Path, kind: str):
    history = [{"epoch": epoch, "train/loss": 4.0 - epoch} for epoch in (1, 2, 3)]
    jobs = [write_run(tmp_path, n, {"seed": n}, {"train/loss": 1.0}, history) for n in range(2)]
    write_sweep(tmp_path, jobs)
    damage, best, remark = HISTORIES[kind]
    damage(tmp_path / jobs[0]["folder"] / "history.csv")
    write_tables(tmp_path)
    damaged, whole = read_csv(tmp_path)
    assert (damaged["status"], damaged["train/loss"], damaged["epochs"]) == ("completed", "1.0", "3")
    assert (damaged["best train/loss"], whole["best train/loss"]) == (best, "1.0")
    assert remark in damaged["reason"]
    assert bool(damaged["reason"]) == bool(remark)


def test_all_damage_at_once_costs_no_picture(tmp_path: Path):
    kinds = [damage for damage, *_ in DAMAGE.values()]
    kinds += [lambda run, damage=damage: damage(run / "history.csv") for damage, *_ in HISTORIES.values()]
    history = [{"epoch": epoch, "train/loss": 4.0 - epoch} for epoch in (1, 2, 3)]
    jobs = [write_run(tmp_path, n, {"seed": n}, {"test/loss": 1.0 + n}, history) for n in range(len(kinds) + 1)]
    for job, damage in zip(jobs, kinds, strict=False):
        damage(tmp_path / job["folder"])
    summary = write_summary(write_sweep(tmp_path, jobs))
    assert summary.remarks == []
    assert sorted(summary.figures) == ["figures/by_seed.png", "figures/loss_curves.png"]
    assert len(read_csv(tmp_path)) == len(jobs)


def test_what_the_launcher_says_of_a_job_that_could_not_speak(tmp_path: Path):
    jobs = [write_run(tmp_path, n, {"seed": n}, {"test/loss": 0.5}) for n in range(4)]
    (tmp_path / jobs[1]["folder"] / "results.json").unlink()
    shutil.rmtree(tmp_path / jobs[3]["folder"])
    jobs[3]["attempts"] = 0
    # Of an attempt before: the run was interrupted then, and gone on with.
    jobs.append(write_run(tmp_path, 4, {"seed": 4}, {"test/loss": 0.5}, status="interrupted"))
    for number in (1, 2, 4):
        jobs[number]["error"] = {"type": "WorkerDied", "message": "killed by signal 9"}
    write_sweep(tmp_path, jobs)
    write_tables(tmp_path)
    rows = read_csv(tmp_path)
    assert [row["status"] for row in rows] == ["completed", "failed", "completed", "waiting", "failed"]
    assert rows[1]["reason"] == rows[4]["reason"] == "WorkerDied: killed by signal 9"


def test_a_long_history_is_thinned_where_nobody_sees_it(tmp_path: Path):
    values = [1 / epoch for epoch in range(1, 10_001)]
    history = [{"epoch": epoch, "train/loss": value} for epoch, value in enumerate(values, 1)]
    job = write_run(tmp_path, 0, {}, {}, history)
    (outcome,) = SweepTable(write_sweep(tmp_path, [job])).outcomes
    epochs, losses = outcome.losses["train/loss"]
    assert losses == [1 / epoch for epoch in epochs]
    assert epochs == sorted(set(epochs))
    assert len(epochs) < 500
    # On either axis no gap is seen: a hundredth of its length at most, but for the first whole numbers.
    assert epochs[:5] == [1, 2, 3, 4, 5]
    assert epochs[-1] == 10_000
    assert max(np.diff(epochs)) <= 100
    assert max(np.diff(np.log(epochs[20:]))) < 0.01 * np.log(10_000)


class TestObjective:
    def sweep(self, folder: Path, *runs: dict[str, float], **manifest: Any) -> Path:
        return write_sweep(folder, [write_run(folder, n, {"seed": n}, run) for n, run in enumerate(runs)], **manifest)

    @pytest.mark.parametrize(
        ("runs", "metric", "direction"),
        [
            ([{"val/loss": 1, "test/acc": 0.5}], "val/loss", "minimize"),
            ([{"test/acc": 0.5, "test/loss": 1, "train/acc": 1}], "test/acc", "maximize"),
            ([{"test/mae": 0.5, "test/loss": 1}], "test/mae", "minimize"),
            ([{"test/loss": 0.5, "train/loss": 1}], "test/loss", "minimize"),
            # What all of them have beats what comes first.
            ([{"val/loss": 1, "test/acc": 0.5}, {"test/acc": 0.5}], "test/acc", "maximize"),
            ([{"test/mae": 1, "test/loss": 0.5}, {"test/acc": 0.5, "test/loss": 0.1}], "test/loss", "minimize"),
            ([{"test/mae": 1}, {"test/acc": 0.5}], "test/acc", "maximize"),
            ([{"test/psnr": 1}], "test/psnr", "minimize"),
        ],
    )
    def test_default(self, tmp_path: Path, runs: list[dict[str, float]], metric: str, direction: str):
        objective = SweepTable(self.sweep(tmp_path, *runs)).objective
        assert (objective.metric, objective.direction) == (metric, direction)

    def test_diverged_runs_do_not_decide(self, tmp_path: Path):
        jobs = [
            write_run(tmp_path, 0, {}, {"val/loss": 1.0}),
            write_run(tmp_path, 1, {}, {"train/loss": 9.0}, **diverged(2)),
        ]
        assert SweepTable(write_sweep(tmp_path, jobs)).objective.metric == "val/loss"

    @pytest.mark.parametrize(
        ("manifest", "best"),
        [
            ({"objective": "val/loss"}, 0),
            ({"objective": "test/acc"}, 1),
            ({"objective": "val/loss", "direction": "maximize"}, 1),
            ({"direction": "maximize"}, 1),
        ],
    )
    def test_asked_for_in_the_sweep(self, tmp_path: Path, manifest: dict[str, str], best: int):
        sweep = self.sweep(tmp_path, {"val/loss": 1, "test/acc": 0.5}, {"val/loss": 2, "test/acc": 0.7}, **manifest)
        write_tables(sweep)
        assert SweepTable(sweep).best.job.number == best
        assert sections(sweep)["Runs"][1][0] == str(best)

    def test_the_page_says_which_and_why(self, tmp_path: Path):
        sweep = self.sweep(tmp_path, {"test/mae": 1})
        write_tables(sweep)
        page = (sweep / "sweep.md").read_text()
        assert "`test/mae` at the end of each run: lower is better (the default for runs without a" in page

    def test_that_no_run_has(self, tmp_path: Path):
        sweep = self.sweep(tmp_path, {"test/mae": 1, "train/loss": 2}, objective="test/acc")
        write_tables(sweep)  # never stops a sweep
        for file in ("sweep.csv", "sweep.md"):
            (sweep / file).unlink()
        summary = write_summary(sweep)
        assert re.search(r"metric test/acc .* there are test/mae, train/loss", str(summary.table.problem))
        assert read_csv(sweep)[0]["test/mae"] == "1.0"
        assert "No run has the metric test/acc" in (sweep / "sweep.md").read_text()

    def test_that_no_run_can_have_yet(self, tmp_path: Path):
        """A run that was interrupted has only what is measured along the way; that is no mistake."""
        job = write_run(tmp_path, 0, {"seed": 0}, {"train/loss": 2}, status="interrupted")
        table = write_summary(write_sweep(tmp_path, [job], objective="test/acc")).table
        assert table.problem is None
        assert (table.objective.metric, table.best) == ("test/acc", None)

    def test_instead_of_the_one_in_the_sweep(self, tmp_path: Path):
        sweep = self.sweep(tmp_path, {"test/mae": 1, "train/loss": 2}, {"test/mae": 2, "train/loss": 1})
        assert write_summary(sweep, objective="train/loss").table.best.job.number == 1
        assert write_summary(sweep, direction="maximize").table.best.job.number == 1
        assert "minimize or maximize, not up" in str(write_summary(sweep, direction="up").table.problem)

    def test_before_anything_has_ended(self, tmp_path: Path):
        jobs = [write_run(tmp_path, n, {"seed": n}) for n in range(2)]
        for job in jobs:
            shutil.rmtree(tmp_path / job["folder"])
            job["attempts"] = 0
        sweep = write_sweep(tmp_path, jobs, objective="val/loss")
        assert write_summary(sweep).table.best is None
        assert [row["status"] for row in read_csv(sweep)] == ["waiting", "waiting"]


class TestRefreshing:
    def test_only_what_changed_is_read_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        jobs = [write_run(tmp_path, n, {"seed": n}, {"test/loss": 1.0 + n}) for n in range(5)]
        table = SweepTable(write_sweep(tmp_path, jobs))
        read = []

        def spy(sweep: Path, job: Any) -> Any:
            read.append(job.number)
            return read_outcome(sweep, job)

        monkeypatch.setattr(table_module, "read_outcome", spy)
        results = tmp_path / jobs[3]["folder"] / "results.json"
        results.write_text(results.read_text().replace("4.0", "0.125"))
        table.refresh()
        assert read == [3]
        assert table.best.job.number == 3

    def test_jobs_that_are_added_and_end_meanwhile(self, tmp_path: Path):
        jobs = [write_run(tmp_path, 0, {"seed": 0}, {"test/loss": 1.0})]
        table = SweepTable(write_sweep(tmp_path, jobs))
        jobs.append(write_run(tmp_path, 1, {"seed": 1}, {"test/loss": 0.5}))
        results = tmp_path / jobs[1]["folder"] / "results.json"
        content = results.read_text()
        results.unlink()
        write_sweep(tmp_path, jobs)
        table.refresh()
        assert [outcome.status for outcome in table.outcomes] == ["completed", "unfinished"]
        results.write_text(content)
        table.refresh()
        write_tables(table)
        assert [row["status"] for row in read_csv(tmp_path)] == ["completed", "completed"]
        assert table.best.job.number == 1


NOTHING = {"learned nothing": "The network is right on 50.0% of 2,000 training samples. Lower optimizer.lr."}


class TestWarnings:
    def sweep(self, folder: Path, warnings: Any = NOTHING) -> Path:
        """By val/loss, the one that learned nothing has the lowest, as the other is sure of its mistakes."""
        runs = [({"val/loss": 0.69, "val/acc": 0.5}, warnings), ({"val/loss": 0.9, "val/acc": 0.95}, {})]
        jobs = [
            write_run(folder, n, {"optimizer.lr": 10 - n}, metrics, warnings=warned)
            for n, (metrics, warned) in enumerate(runs)
        ]
        return write_sweep(folder, jobs)

    def test_are_in_the_tables(self, tmp_path: Path):
        sweep = self.sweep(tmp_path)
        write_tables(sweep)
        assert [row["status"] for row in read_csv(sweep)] == ["completed", "completed"]
        warned, fine = read_csv(sweep)
        assert fine["warnings"] == ""
        assert warned["warnings"] == "learned nothing"
        header, *rows = sections(sweep)["Runs"]
        assert [row[header.index("status")] for row in rows] == ["completed", "completed, learned nothing"]
        page = (sweep / "sweep.md").read_text()
        assert "2 jobs: 2 completed (1 with a warning)." in page
        told = page.partition("## Completed with a warning")[2]
        assert (
            f"[number 0 (lr=10)](0_optimizer.lr-10): completed, learned nothing. {NOTHING['learned nothing']}" in told
        )

    def test_keep_a_run_from_being_the_best(self, tmp_path: Path):
        assert SweepTable(self.sweep(tmp_path)).best.job.number == 1
        assert SweepTable(self.sweep(tmp_path / "other", {"loss rose": "It rose."})).best.job.number == 0

    @pytest.mark.parametrize("damage", ["text", 3, ["a", "b"], {"a": 1, "b": None}])
    def test_that_are_none_are_damage_to_that_run_alone(self, tmp_path: Path, damage: Any):
        sweep = self.sweep(tmp_path, damage)
        write_tables(sweep)
        assert [row["warnings"] for row in read_csv(sweep)] == ["", ""]
        assert [outcome.ending for outcome in SweepTable(sweep).outcomes] == ["damaged", "completed"]
        assert "results.json is damaged: warnings" in read_csv(sweep)[0]["reason"]


def by_seed(folder: Path, *settings: list[dict[str, float] | None], warnings: dict[int, Any] | None = None) -> Path:
    """A sweep over lr=0, 1, ... with what each reached by seed; None diverged."""
    jobs = []
    for lr, runs in enumerate(settings):
        for seed, metrics in enumerate(runs):
            end = diverged(9) if metrics is None else {"metrics": metrics, "warnings": (warnings or {}).get(lr, {})}
            jobs.append(write_run(folder, len(jobs), {"optimizer.lr": lr, "seed": seed}, **end))
    return write_sweep(folder, jobs)


def accuracies(*values: float | None, loss: float = 0.1) -> list[dict[str, float] | None]:
    return [None if value is None else {"test/acc": value, "test/loss": loss} for value in values]


class TestBestOfSeveralSeeds:
    def test_is_of_the_setting_with_the_best_mean(self, tmp_path: Path):
        """The first run has the best accuracy there is, and its setting the worst mean."""
        sweep = by_seed(tmp_path, accuracies(1.0, 0.9), accuracies(0.99, 0.98), accuracies(0.97, 0.97))
        assert SweepTable(sweep).best.job.swept == {"optimizer.lr": 1, "seed": 0}

    def test_of_equal_means_is_the_one_of_the_lower_loss(self, tmp_path: Path):
        sweep = by_seed(
            tmp_path,
            accuracies(1.0, 0.999, loss=0.003),
            accuracies(1.0, 1.0, loss=0.0006),
            accuracies(1.0, 1.0, loss=0.0002),
            accuracies(1.0, 1.0, loss=0.0004),
        )
        table = SweepTable(sweep)
        assert [group.swept["optimizer.lr"] for group in table.groups] == [2, 3, 1, 0]
        assert table.best.job.swept == {"optimizer.lr": 2, "seed": 0}
        # 0.0007 is the deviation of 1 and 0.999, and 0.0005 below the others their mean.
        assert verdict(table) == [
            "Best setting: lr=2, mean test/acc 1 (n = 2).",
            "lr=2, lr=3, lr=1 and lr=0 are equal within the standard deviation over the seeds (n = 2); "
            "the lower mean test/loss decides between equal means.",
        ]
        write_tables(sweep)
        assert all(sentence in (sweep / "sweep.md").read_text() for sentence in verdict(table))

    def test_is_clear_beyond_the_deviation(self, tmp_path: Path):
        table = SweepTable(by_seed(tmp_path, accuracies(0.80, 0.82), accuracies(0.90, 0.92)))
        assert verdict(table) == ["Best setting: lr=1, mean test/acc 0.91 (n = 2)."]

    def test_leaves_out_no_failures(self, tmp_path: Path):
        table = SweepTable(by_seed(tmp_path, accuracies(0.99, None, None), accuracies(0.9, 0.9, 0.9)))
        assert table.best.job.swept == {"optimizer.lr": 1, "seed": 0}
        assert verdict(table)[1:] == ["lr=0 has a better mean, but of 1 of 3 runs only."]
        # Where none is complete, the one that lost fewer.
        table = SweepTable(by_seed(tmp_path / "b", accuracies(0.99, None, None), accuracies(0.9, 0.9, None)))
        assert table.best.job.swept == {"optimizer.lr": 1, "seed": 0}

    def test_is_no_setting_that_learned_nothing(self, tmp_path: Path):
        losses = [[{"val/loss": 0.69}, {"val/loss": 0.7}], [{"val/loss": 0.8}, {"val/loss": 0.9}]]
        assert SweepTable(by_seed(tmp_path / "a", *losses)).best.job.number == 0
        assert SweepTable(by_seed(tmp_path / "b", *losses, warnings={0: NOTHING})).best.job.number == 2

    def test_of_equal_mean_losses_is_the_first(self, tmp_path: Path):
        """The loss is what is compared, so it cannot decide between equal ones."""
        losses = [[{"val/loss": 2.0}, {"val/loss": 4.0}], [{"val/loss": 1.0}, {"val/loss": 5.0}]]
        table = SweepTable(by_seed(tmp_path, *losses))
        assert table.best.job.swept["optimizer.lr"] == 0
        assert verdict(table)[1] == (
            "lr=0 and lr=1 are equal within the standard deviation over the seeds (n = 2); "
            "the lower number decides between equal means."
        )

    def test_with_one_seed_each_is_the_best_run(self, tmp_path: Path):
        table = SweepTable(by_seed(tmp_path, accuracies(0.9), accuracies(0.95)))
        assert table.best.job.number == 1
        assert verdict(table) == []


class TestEqualRuns:
    def sweep(self, folder: Path, *runs: dict[str, float]) -> SweepTable:
        jobs = [write_run(folder, n, {"optimizer.lr": n}, metrics) for n, metrics in enumerate(runs)]
        return SweepTable(write_sweep(folder, jobs))

    @pytest.mark.parametrize("stage", ["test", "val"])
    def test_the_loss_of_the_stage_decides(self, tmp_path: Path, stage: str):
        other = {"test": "val", "val": "test"}[stage]
        losses = [(0.3, 0.0), (0.1, 0.9), (0.2, 0.1)]
        rows = [
            {f"{stage}/acc": 1.0, f"{stage}/loss": loss, f"{other}/loss": misleading} for loss, misleading in losses
        ]
        jobs = [write_run(tmp_path, n, {"optimizer.lr": n}, row) for n, row in enumerate(rows)]
        table = SweepTable(write_sweep(tmp_path, jobs, objective=f"{stage}/acc"))
        assert [outcome.job.number for outcome in table.ranked] == [1, 2, 0]
        (sentence,) = verdict(table)
        assert sentence == (
            "number 1 (lr=1), number 2 (lr=2) and number 0 (lr=0) have the same "
            f"{stage}/acc; the lower {stage}/loss decides."
        )

    def test_without_a_loss_the_number_decides(self, tmp_path: Path):
        table = self.sweep(tmp_path, {"test/acc": 0.5}, {"test/acc": 1.0}, {"test/acc": 1.0})
        assert table.best.job.number == 1
        assert verdict(table)[0].endswith("; the lower number decides.")

    @pytest.mark.parametrize("objective", ["val/loss", "val_loss"])
    def test_a_loss_does_not_decide_between_equals_of_itself(self, tmp_path: Path, objective: str):
        rows = [{objective: 0.5, objective.replace("val", "train"): loss} for loss in (2.0, 1.0)]
        (sentence,) = verdict(self.sweep(tmp_path, *rows))
        assert sentence == f"number 0 (lr=0) and number 1 (lr=1) have the same {objective}; the lower number decides."

    def test_a_stage_may_end_with_an_underscore(self, tmp_path: Path):
        table = self.sweep(tmp_path, {"test_acc": 1.0, "test_loss": 0.2}, {"test_acc": 1.0, "test_loss": 0.1})
        assert table.best.job.number == 1
        assert verdict(table)[0].endswith("have the same test_acc; the lower test_loss decides.")

    def test_many_are_counted(self, tmp_path: Path):
        table = self.sweep(tmp_path, *({"test/acc": 1.0, "test/loss": float(n)} for n in range(40)))
        assert "number 4 (lr=4) and 35 more have the same test/acc" in verdict(table)[0]

    def test_a_loss_that_is_no_number_loses(self, tmp_path: Path):
        table = self.sweep(tmp_path, {"test/acc": 1.0, "test/loss": math.nan}, {"test/acc": 1.0, "test/loss": 5.0})
        assert table.best.job.number == 1


def test_nothing_but_the_tables_is_left(seeds: Path):
    before = set(seeds.iterdir())
    write_tables(seeds)
    assert {path.name for path in set(seeds.iterdir()) - before} == {"sweep.csv", "sweep.md"}


def test_cells_cannot_break_the_tables(tmp_path: Path):
    error = {"type": "RuntimeError", "message": 'a | "quoted", text\nin two lines'}
    job = write_run(tmp_path, 0, {"data.key": "x|y"}, status="failed", error=error)
    write_sweep(tmp_path, [job])
    write_tables(tmp_path)
    (row,) = read_csv(tmp_path)
    assert row["reason"] == 'RuntimeError: a | "quoted", text\nin two lines'
    page = (tmp_path / "sweep.md").read_text()
    assert r"x\|y" in page
    assert 'failed. RuntimeError: a | "quoted", text in two lines' in page


def test_the_test_writer_writes_what_the_csv_module_reads(tmp_path: Path):
    """The histories of these tests are those of a run: a header, and a row an epoch."""
    run_folders.write_history(tmp_path, [{"epoch": 1, "train/loss": 0.5}])
    with (tmp_path / "history.csv").open() as file:
        assert list(csv.DictReader(file)) == [{"epoch": "1", "train/loss": "0.5"}]
