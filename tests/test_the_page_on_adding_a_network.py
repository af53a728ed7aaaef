"""docs/add-a-network.md does what it says: its files and its commands, taken from the page itself."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "add-a-network.md").read_text()

FILES = dict(re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^```sh\n(.*?)\n```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def mynets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folder, after its commands."""
    beside = tmp_path_factory.mktemp("page")
    (beside / "littlenets").symlink_to(REPOSITORY)
    for name, text in FILES.items():
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        (beside / name).write_text(text)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        # `littlenets` is installed for its users; for the page's own setting of PYTHONPATH, it is here as well.
        command = command.replace("PYTHONPATH=.", f"PYTHONPATH=.:{REPOSITORY / 'src'}")
        environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
        subprocess.run(["bash", "-c", command], cwd=beside / "mynets", env=environment, check=True, timeout=600)
    return beside / "mynets"


def test_the_page_has_two_files_and_its_commands():
    assert set(FILES) == {"mynets/polar.py", "mynets/conf/model/polar.yaml"}
    assert len(COMMANDS) == 3


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
    assert not (REPOSITORY / "outputs" / "runs" / "polar").exists()
