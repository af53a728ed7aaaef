"""train.log, whatever Hydra's logging is."""

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import composing
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.utils import configure_log
from omegaconf import DictConfig, OmegaConf

from littlenets.runs import resolvers
from littlenets.runs.log import NoLogFile, traceback_log, written_to
from littlenets.sweeps import worker

log = logging.getLogger("littlenets.tests")
KINDS = ("run", "default", "stdout", "disabled", "none")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Whoever captures logs here gets them back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def compose_hydra(kind: str, folder: Path) -> DictConfig:
    """The configuration, with Hydra's part, of a run with ``hydra/job_logging=KIND``."""
    resolvers.register()
    with initialize_config_dir(str(composing.CONF), job_name="train", version_base="1.3"):
        config = compose("train", overrides=[f"hydra/job_logging={kind}"], return_hydra_config=True)
    OmegaConf.set_readonly(config.hydra, False)
    config.hydra.runtime.output_dir = str(folder)
    return config


def log_something() -> None:
    log.info("said")
    try:
        raise ValueError("wrong")
    except ValueError as error:
        traceback_log.error("The run failed.", exc_info=error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_writes_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    folder.mkdir()
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    configure_log(compose_hydra(kind, folder).hydra.job_logging)
    with written_to(folder / "train.log"):
        log_something()
    log = (folder / "train.log").read_text()
    assert (log.count("said"), log.count("The run failed."), log.count("ValueError: wrong")) == (1, 1, 1)
    assert shown.getvalue().count("said") == (0 if kind in ("disabled", "none") else 1)
    assert "Traceback" not in shown.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_of_a_sweep_writes_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    """Its standard output goes to the file as well."""
    file = tmp_path / "train.log"
    with file.open("a") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with worker._logging(compose_hydra(kind, tmp_path)), written_to(file):
            log_something()
    assert file.read_text().count("said") == 1


def test_one_run_after_another_has_a_log_of_its_own(tmp_path: Path):
    for name in ("first", "second"):
        with written_to(tmp_path / name):
            log_something()
    log.error("between")
    assert [(tmp_path / name).read_text().count("said") for name in ("first", "second")] == [1, 1]
    assert "between" not in (tmp_path / "second").read_text()


def test_a_command_that_is_no_run_writes_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    hydra = compose_hydra("default", tmp_path)
    NoLogFile().on_run_start(hydra)
    configure_log(hydra.hydra.job_logging)
    log.error("said")
    assert not list(tmp_path.iterdir())
