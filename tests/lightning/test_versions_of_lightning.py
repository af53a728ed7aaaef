"""Running ahead is exact with the oldest and the newest Lightning that pyproject.toml allows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENT = re.search(r'"(pytorch-lightning>=([\d.]+),[^"]*)"', (ROOT / "pyproject.toml").read_text())


def wanted(which: str) -> str:
    return REQUIREMENT[1] if which == "newest" else f"pytorch-lightning=={REQUIREMENT[2]}"


@pytest.mark.slow
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_runs_are_the_same_ahead_and_seen(which: str, tmp_path: Path):
    """The whole of test_run_ahead.py, and that it does run ahead, in another process."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), wanted(which)]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"pip cannot install {wanted(which)}: {installed.stderr[-300:]}")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/speed/test_run_ahead.py"]
    done = subprocess.run(
        tests,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    version = next(tmp_path.glob("pytorch_lightning-*.dist-info")).name.split("-")[1]
    assert version.startswith(REQUIREMENT[2]) or which == "newest"
