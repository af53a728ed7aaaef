"""python report.py, on a few experiments, shortened."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REPORT = Path(__file__).parents[2] / "report.py"
SHORT = 'overrides=["trainer.max_epochs=3","figures.only=[surface]","logger=none","trainer.accelerator=cpu"]'


@pytest.fixture(scope="module")
def report(commands, tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """``report(*arguments)`` runs report.py to its end, always in the same folder."""
    cwd = tmp_path_factory.mktemp("article")
    return lambda *arguments: commands.start_python(cwd, REPORT, *arguments).finish()


@pytest.fixture(scope="module")
def first(report: Callable):
    return report("experiments=[linear_200_epochs,linear_learning_rates]", SHORT, "docs_images=pictures")


def test_what_was_asked_for_is_run_and_told(first):
    assert (first.code, first.err) == (0, "")
    assert len(first.runs) == 1
    assert len(first.jobs) == 4
    assert first.run.results["overrides"][0] == "experiment=linear_200_epochs"
    page = (first.cwd / "outputs/report/index.html").read_text(encoding="utf-8")
    weights = [row["weight"] for row in first.run.history]
    assert f"weight {weights[0]:.2f} → {weights[-1]:.3f}" in page
    assert "the run has 3 epochs, of 200 that this takes" in page
    # The surface, the curves over the learning rates, the activation functions.
    assert len(re.findall(r'<img src="data:image/png;base64,\w', page)) == 3
    assert page.count("It has not been run.") == 9


def test_small_pictures_for_the_readme(first):
    assert [path.name for path in (first.cwd / "pictures").iterdir()] == ["line.png"]
    assert "There is no picture for pictures/digits.png." in first.out


def test_a_second_report_trains_nothing(first, report: Callable):
    second = report(SHORT, "experiments=[linear_200_epochs,linear_learning_rates]", "output=elsewhere")
    assert second.code == 0
    assert second.out.count("reuses") == 2
    assert "Training" not in second.out
    assert (len(second.runs), len(second.jobs)) == (1, 4)
    assert (second.cwd / "elsewhere/index.html").is_file()


def test_an_experiment_that_fails_is_a_gap(first, report: Callable):
    failed = report("experiments=[linear_200_epochs]", 'overrides=["data.slope=steep"]', "output=failed")
    assert failed.code == 0
    page = (failed.cwd / "failed/index.html").read_text(encoding="utf-8")
    assert "Its command ended with code 2" in page
    assert "data.slope" in page
    assert "Traceback" not in failed.out + page
