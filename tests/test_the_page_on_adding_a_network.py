"""docs/add-a-network.md does what it says: its files and its commands, taken from the page itself."""

import json
import re
from pathlib import Path

import pages
import pytest

PAGE = "docs/add-a-network.md"


@pytest.fixture(scope="module")
def mynets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folder, after its commands."""
    return pages.follow(PAGE, tmp_path_factory.mktemp("page"), pages.files(PAGE))


def test_the_page_has_two_files_and_its_commands():
    assert set(pages.files(PAGE)) == {"mynets/polar.py", "mynets/conf/model/polar.yaml"}
    assert len(pages.shell_blocks(PAGE)) == 3


def test_the_network_trains(mynets: Path):
    results = json.loads((mynets / "outputs/runs/polar/latest/results.json").read_text())
    assert (results["status"], results["model"], results["epochs"]) == ("completed", "polar", 300)
    assert results["metrics"]["test/acc"] > 0.9


def test_it_sweeps(mynets: Path):
    widths = {}
    for file in mynets.glob("outputs/sweeps/*/*/*/results.json"):
        results = json.loads(file.read_text())
        assert results["status"] == "completed"
        (width,) = re.findall(r"model\.network\.width=(\d+)", " ".join(results["overrides"]))
        widths[width] = results["epochs"]
    assert widths == {"8": 50, "64": 50}


def test_it_is_evaluated_from_its_folder(mynets: Path):
    trained = json.loads((mynets / "outputs/runs/polar/latest/results.json").read_text())
    (file,) = (mynets / "outputs/runs/polar/latest/evaluations").glob("*.json")
    assert json.loads(file.read_text())["metrics"] == pytest.approx(
        {name: value for name, value in trained["metrics"].items() if name.startswith("test/")}
    )


def test_nothing_was_written_into_the_repository(mynets: Path):
    assert not (pages.REPOSITORY / "outputs" / "runs" / "polar").exists()
