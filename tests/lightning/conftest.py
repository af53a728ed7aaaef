from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def train_both(launch: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """``train_both(*overrides, ...)`` trains in the package and in the ordinary way; see `comparing.train_both`."""
    import comparing

    return lambda *overrides, **ways: comparing.train_both(launch, tmp_path / "ordinary", *overrides, **ways)
