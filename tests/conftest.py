import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mnist_files() -> Path:
    """The folder of MNIST's four .gz files, read-only: LITTLENETS_MNIST, or beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "mnist"
    folder = Path(os.environ.get("LITTLENETS_MNIST") or beside)
    found = len(list(folder.glob("*-ubyte.gz")))
    if found != 4:
        pytest.skip(f"needs MNIST's four .gz files in {folder} (found {found}); set LITTLENETS_MNIST to their folder")
    return folder
