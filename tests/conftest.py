import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from composing import RunFolder


def pytest_configure(config: pytest.Config) -> None:
    # Lightning's own use of torch, as training.py ignores it: pytest sets the filters anew for every test.
    config.addinivalue_line("filterwarnings", "ignore:.*LeafSpec.* is deprecated:FutureWarning")


@pytest.fixture(scope="session")
def mnist_files() -> Path:
    """The folder of MNIST's four .gz files, read-only: LITTLENETS_MNIST, or beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "mnist"
    folder = Path(os.environ.get("LITTLENETS_MNIST") or beside)
    found = len(list(folder.glob("*-ubyte.gz")))
    if found != 4:
        pytest.skip(f"needs MNIST's four .gz files in {folder} (found {found}); set LITTLENETS_MNIST to their folder")
    return folder


@pytest.fixture(autouse=True)
def process_settings() -> Iterator[None]:
    """Gives back what a run sets for the whole process."""
    if "torch" not in sys.modules:  # the test runs commands and needs none here
        yield
        return
    import torch
    from hydra.core.hydra_config import HydraConfig

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = fill
    HydraConfig.instance().cfg = None


@pytest.fixture
def launch(tmp_path: Path) -> "Callable[..., RunFolder]":
    """Trains in this process with the given overrides, each time into a folder of its own."""
    from composing import launch as launch_into

    runs = 0

    def into_next_folder(*overrides: str, logger: str = "none") -> "RunFolder":
        nonlocal runs
        runs += 1
        return launch_into(tmp_path / f"run{runs}", *overrides, logger=logger)

    return into_next_folder


@pytest.fixture
def train_both(launch: "Callable[..., RunFolder]", tmp_path: Path) -> "Callable[..., Any]":
    """``train_both(*overrides, ...)`` trains in the package and in the ordinary way; see `comparing.train_both`."""
    import comparing  # in tests/lightning

    return lambda *overrides, **ways: comparing.train_both(launch, tmp_path / "ordinary", *overrides, **ways)
