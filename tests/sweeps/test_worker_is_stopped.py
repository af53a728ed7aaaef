"""A sweep that is stopped at the very moment when a worker starts a job."""

from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401  (before littlenets.sweeps.imported, which has a way of its own to import it)
from composing import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from littlenets.runs import resolvers
from littlenets.sweeps import worker
from littlenets.sweeps.points import Points
from littlenets.sweeps.worker import Ending, Start


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch):
    """A point, and this process as a worker; what it would redirect stays with pytest."""
    resolvers.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        points = Points(hydra.config_loader, hydra.compose_config("train", [], RunMode.MULTIRUN))
        (point,) = points.compose([["seed=1"]])
    monkeypatch.setattr(worker, "_start", Start(None, None, [], 1, points.compositions), raising=False)
    monkeypatch.setattr(worker, "_redirect", lambda file: None)
    yield point
    worker._stopping.clear()


def test_a_job_that_was_handed_over_is_not_started(point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The signal came before there was something to interrupt; the job would run to its end, for hours perhaps."""
    configure = worker.configure

    def configure_and_stop(*arguments):
        worker._stopping.set()
        worker._interrupt(2, None)
        return configure(*arguments)

    monkeypatch.setattr(worker, "configure", configure_and_stop)
    monkeypatch.setattr("littlenets.sweeps.imported.train", lambda *_: pytest.fail("it was trained"))
    assert worker.train(point, 0, tmp_path / "0", begun=False) == Ending("not started")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), ValueError("out of order")])
def test_nothing_that_a_job_does_reaches_the_sweep_itself(point, tmp_path: Path, monkeypatch, error: BaseException):
    """A KeyboardInterrupt in a worker is no Ctrl-C in the sweep's own process."""

    def fail(config, folder, origin):
        raise error

    monkeypatch.setattr("littlenets.sweeps.imported.train", fail)
    ending = worker.train(point, 0, tmp_path / "0", begun=False)
    assert ending.status == ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
