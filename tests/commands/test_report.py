"""python report.py sweep=FOLDER, on a sweep that was trained."""

import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

REPORT = Path(__file__).parents[2] / "report.py"
ARGUMENTS = ["-m", "optimizer.lr=0.001,0.01,1e10", "seed=0,1", "trainer.max_epochs=40"]


@pytest.fixture(scope="module")
def report(commands) -> Callable:
    """``report(cwd, *arguments)`` runs report.py to its end."""
    return lambda cwd, *arguments: commands.start_python(cwd, REPORT, *arguments).finish()


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory: pytest.TempPathFactory):
    """Learning rates, of which one diverges, with two seeds each, and no tables."""
    done = train(tmp_path_factory.mktemp("report"), *ARGUMENTS)
    folder = done.jobs[0].path.parent
    for made in (*folder.glob("sweep.csv"), *folder.glob("sweep.md"), *folder.glob("figures/*")):
        made.unlink()
    if not (folder / "sweep.json").exists():
        jobs = []
        for number, job in enumerate(done.jobs):
            lr, seed, _ = (float(override.split("=")[1]) for override in job.results["overrides"])
            swept = {"optimizer.lr": lr, "seed": int(seed)}
            overrides = job.results["overrides"]
            jobs.append({"number": number, "folder": job.path.name, "overrides": overrides, "swept": swept})
        (folder / "sweep.json").write_text(json.dumps({"arguments": ARGUMENTS, "jobs": jobs}))
    return done


@pytest.fixture(scope="module")
def sweep(trained) -> Path:
    return trained.jobs[0].path.parent


@pytest.fixture(scope="module")
def reported(report, trained, sweep: Path):
    return report(trained.cwd, f"sweep={sweep.relative_to(trained.cwd)}")


def test_the_csv_has_what_the_runs_say(reported, trained, sweep: Path):
    assert (reported.code, reported.err) == (0, "")
    with (sweep / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == [*["completed"] * 4, *["diverged"] * 2]
    for row, job in zip(rows, trained.jobs, strict=True):
        assert (row["optimizer.lr"], row["seed"]) == (str(job.config["optimizer"]["lr"]), str(job.config["seed"]))
        assert row["folder"] == job.path.name
        assert int(row["epochs"]) == job.results["epochs"]
        assert float(row["seconds"]) == pytest.approx(job.results["seconds"]["total"], abs=1e-3)
    for row, job in zip(rows[:4], trained.jobs, strict=False):
        metrics = {name: float(row[name]) for name in job.results["metrics"]}
        assert metrics == job.results["metrics"]
        assert float(row["best train/loss"]) == min(line["train/loss"] for line in job.history)


def test_the_page_and_the_terminal_have_the_means_over_seeds(reported, trained, sweep: Path):
    page = (sweep / "sweep.md").read_text().splitlines()
    jobs = trained.jobs
    for pair in (jobs[0:2], jobs[2:4]):
        metric = [job.results["metrics"]["test/mae"] for job in pair]
        numbers = [f"{statistics.mean(metric):.5g}", f"{statistics.stdev(metric):.5g}", "2"]
        row = [str(pair[0].config["optimizer"]["lr"]), *numbers]
        assert row in [[cell.strip() for cell in line.strip("|").split("|")] for line in page]
        assert row in [line.split() for line in reported.out.splitlines()]
    assert f"diverged at epoch {jobs[4].results['epochs']}" in "\n".join(page)


def test_the_terminal_fits_and_ends_with_where_to_go_on(reported, trained, sweep: Path):
    best = min(trained.jobs[:4], key=lambda job: job.results["metrics"]["test/mae"])
    assert f"python train.py {' '.join(best.results['overrides'])}" in reported.out
    assert f"python evaluate.py run={best.path.relative_to(trained.cwd)}" in reported.out
    assert reported.out.rstrip().endswith(f"tensorboard --logdir {sweep.relative_to(trained.cwd)}")
    long = [line for line in reported.out.splitlines() if len(line) > 80]
    assert not [line for line in long if sweep.name not in line and "python train.py" not in line]


def test_figures_are_pictures(reported, sweep: Path):
    names = {path.name for path in (sweep / "figures").iterdir()}
    assert names == {"by_optimizer.lr.png", "loss_curves.png"}
    for name in names:
        height, width, _ = imread(sweep / "figures" / name).shape
        assert width >= 1000 < 2 * height


def test_a_report_leaves_nothing_anywhere_else(reported, trained):
    assert {path.name for path in trained.cwd.iterdir()} == {"outputs"}
    assert {path.name for path in (trained.cwd / "outputs").iterdir()} == {"sweeps"}


def test_another_objective(report, reported, trained, sweep: Path):
    done = report(trained.cwd, f"sweep={sweep}", "objective=train/loss", "direction=maximize")
    worst = max(trained.jobs[:4], key=lambda job: job.results["metrics"]["train/loss"])
    assert "Sorted by train/loss, higher is better (as" in done.out
    assert f"python train.py {' '.join(worst.results['overrides'])}" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiments=[mnist_digit]"], "did you mean mnist_digits?"),
        (["experiments=[]", 'overrides=["data.rot=1"]'], "No experiment has a setting for data.rot=1"),
        (["experiments=mnist_digits", "reuse=maybe"], "experiments=mnist_digits: it should be a valid list"),
        (["experiments=[]", "output={sweep}/sweep.json"], "output="),
        (["experiments=[]", "docs_images={sweep}/sweep.json/a"], "docs_images="),
        (["sweep=outputs"], "sweep.json"),
        (["sweep=nowhere"], "sweep.json"),
        (["sweep={sweep}", "objective=test/ac"], "No run has the metric test/ac"),
        (["sweep={sweep}", "direction=up"], "minimize or maximize, not up"),
        (["sweeep={sweep}"], "did you mean sweep?"),
    ],
)
def test_mistakes_are_told_at_once(report, trained, sweep: Path, arguments: list[str], message: str):
    done = report(trained.cwd, *(argument.format(sweep=sweep) for argument in arguments))
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.out + done.err
