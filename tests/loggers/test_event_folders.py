"""Where the event files of a run are: TensorBoard calls the run by that path."""

from pathlib import Path

import composing
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

RUN = ("model=linear", "optimizer.lr=0.05", "trainer.max_epochs=3")
LABEL = "accelerator=cpu, lr=0.05, max_epochs=3"


def event_files(run: composing.RunFolder) -> set[Path]:
    return set((run.path / "tensorboard").rglob("*tfevents*"))


def test_their_folder_says_what_was_said(launch):
    run = launch(*RUN, logger="tensorboard")
    assert run.events == run.path / "tensorboard" / LABEL


def test_what_the_jobs_of_a_sweep_share_is_left_out(launch):
    excluded = "hydra.job.config.override_dirname.exclude_keys=[trainer.accelerator,trainer.max_epochs]"
    assert launch(*RUN, excluded, logger="tensorboard").events.name == "lr=0.05"


def test_a_folder_of_ones_own_is_kept(launch):
    assert launch(*RUN, "+logger.tensorboard.sub_dir=mine", logger="tensorboard").events.name == "mine"


@pytest.mark.parametrize("place", [".", LABEL, "of another version"])
def test_a_resumed_run_goes_on_in_its_folder(launch, place: str):
    run = launch(*RUN, logger="tensorboard")
    before = run.path / "tensorboard" / place
    before.mkdir(exist_ok=True)
    for file in run.events.iterdir():
        file.rename(before / file.name)
    earlier = event_files(run)
    composing.launch(run.path, f"resume={run.path}", "trainer.max_epochs=5", logger="tensorboard")
    assert event_files(run) > earlier
    assert run.events == before
    points = EventAccumulator(str(before), size_guidance={"scalars": 0}).Reload().Scalars("train/loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]


def test_a_resumed_run_stays_in_its_folder_whatever_that_is_called(launch, monkeypatch: pytest.MonkeyPatch):
    """Lightning expands variables in the path."""
    monkeypatch.setenv("ELSEWHERE", "../../../elsewhere")
    run = launch(*RUN, logger="tensorboard")
    run.events.rename(run.path / "tensorboard" / "$ELSEWHERE")
    earlier = event_files(run)
    composing.launch(run.path, f"resume={run.path}", "trainer.max_epochs=5", logger="tensorboard")
    assert event_files(run) > earlier
    assert not list(run.path.parent.rglob("elsewhere"))
