"""What Lightning's own tools say in an ordinary run is seen in a run of the package: terminal or train.log."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from comparing import settings
from ordinary import SETTING, OrdinaryRun
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, ModelSummary, Timer

TRAIN = Path(__file__).parents[2] / "train.py"
IN_ONE_PROCESS = Path(__file__).parents[1] / "commands" / "in_one_process.py"
LIGHTNINGS = "pytorch_lightning.callbacks"
STOPPING = {"min_delta": 0.1, "patience": 1}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All that two runs showed and logged: one with everything talkative, and one that has no time."""
    folder = tmp_path_factory.mktemp("talkative")
    quiet = (*SETTING, "figures=none", "logger=none", "threads=1", "trainer.accelerator=cpu", "hydra.run.dir=run")
    timer = {"timer": {"_target_": f"{LIGHTNINGS}.Timer", "duration": "00:00:00:00"}}
    talkative = {
        "summary": {"_target_": f"{LIGHTNINGS}.ModelSummary"},
        "early": {"_target_": f"{LIGHTNINGS}.EarlyStopping", "monitor": "val/loss", "verbose": True, **STOPPING},
        "saved": {"_target_": f"{LIGHTNINGS}.ModelCheckpoint", "monitor": "val/loss", "verbose": True},
    }
    chosen = (
        [line for name, node in callbacks.items() for line in settings(f"callbacks.{name}", node)]
        for callbacks in (talkative, timer)
    )
    lists = [[*quiet, "+trainer.profiler=simple", *next(chosen)], [*quiet, *next(chosen)]]
    done = subprocess.run(
        [sys.executable, IN_ONE_PROCESS, TRAIN, json.dumps(lists)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    ends = json.loads(done.stdout)
    assert [code for code, *_ in ends] == [0, 0], done.stdout
    logs = [(folder / str(number) / "run" / "train.log").read_text() for number in range(2)]
    return [out + err + log for (_, out, err, *_), log in zip(ends, logs, strict=True)]


@pytest.fixture(scope="module")
def seen(shown: list[str]) -> str:
    """What the talkative one showed."""
    return shown[0]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The messages of the ordinary run."""
    folder, messages = tmp_path_factory.mktemp("ordinary"), []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        run = OrdinaryRun(
            callbacks=[
                ModelSummary(),
                EarlyStopping("val/loss", verbose=True, **STOPPING),
                ModelCheckpoint(folder, monitor="val/loss", verbose=True),
            ],
            profiler="simple",
        )
        run.test()
        OrdinaryRun(callbacks=[Timer("00:00:00:00")])
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
    return messages


def _flat(text: str) -> str:
    """Without the line breaks and the spaces that a terminal's width decides."""
    return re.sub(r"\s+", "", text)


def test_early_stopping_says_what_it_saw(seen: str, said: list[str]):
    lines = [line for line in said if re.match(r"Metric val/loss improved|Monitored metric", line)]
    assert len(lines) > 1
    assert all(_flat(line) in _flat(seen) for line in lines)


def test_model_checkpoint_says_what_it_saved(seen: str, said: list[str]):
    lines = [line.partition(", saving model")[0] for line in said if "'val/loss' reached" in line]
    assert lines
    assert all(_flat(line) in _flat(seen) for line in lines)


def test_model_summary_is_shown(seen: str, said: list[str]):
    """The table of the module's parts: at least those that both modules have."""
    (table,) = [line for line in said if "Trainable params" in line]
    assert "4.4 K" in table
    for text in ("network", "SpiralNet", "4.4 K", "Trainable params", "Total params"):
        assert text in table
        assert text in seen


def test_the_profilers_report_is_shown(seen: str, said: list[str]):
    """Its first lines; what follows are times."""
    (report,) = [line for line in said if "FIT Profiler Report" in line or "FIT" in line.splitlines()[0]]
    assert _flat(report.splitlines()[0]) in _flat(seen)
    assert "run_training_epoch" in seen


def test_a_timer_says_that_the_time_is_up(shown: list[str], said: list[str]):
    message = next(line for line in said if "Time limit reached" in line)
    assert _flat(message.partition(". ")[0]) in _flat(shown[1])


def test_the_trainers_own_summary_is_in_the_log(launch, caplog):
    """By its setting; with rich, Lightning would print it past the log."""
    with caplog.at_level("INFO"):
        launch(*SETTING, "trainer.enable_model_summary=true")
    assert "4.4 K     Trainable params" in caplog.text


@pytest.mark.parametrize("greeting", ["GPU available", "Trainer.fit` stopped", "Tip:"])
def test_greetings_stay_away(shown: list[str], greeting: str):
    """What Lightning says of itself in every run, which an ordinary run in this process does not show either."""
    assert all(_flat(greeting) not in _flat(text) for text in shown)
