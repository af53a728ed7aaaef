"""A run whose folder is removed or moved by somebody else, and what a killed run leaves in its own."""

import os
from pathlib import Path

import composing
import pytest

from littlenets.errors import RemovedError

QUICK = (
    *("model=multispiral", "data.n_points=20", "trainer.max_epochs=6", "figures.only=[loss]"),
    "also_test=[colour_lines]",
)


def remove(what: str, when: str) -> str:
    return f"+callbacks.remover={{_target_:observers.Remover,what:{what},when:{when}}}"


@pytest.mark.parametrize("when", ["setup", "train", "test", "also_test"])
@pytest.mark.parametrize(
    ("what", "left"), [("removed", []), ("moved", ["moved"]), ("replaced", ["moved", "run1"])], ids=lambda value: value
)
@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
# TensorBoard's thread finds out first, now and then; a command keeps that from its user.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_run_without_its_folder_has_failed(
    launch, tmp_path: Path, caplog, what: str, left: list[str], when: str, logger: str
):
    with pytest.raises(RemovedError, match=r"run1 was removed or moved.*resume=FOLDER"):
        launch(*QUICK, remove(what, when), logger=logger)
    assert sorted(os.listdir(tmp_path)) == left
    if what == "replaced":
        assert (tmp_path / "run1" / "config.yaml").read_text() == "of another run"
        assert os.listdir(tmp_path / "run1") == ["config.yaml"]
    assert not [message for message in caplog.messages if "Finished" in message or "could not be drawn" in message]


def test_a_moved_run_is_gone_on_with_at_its_new_place(launch, tmp_path: Path):
    whole = launch("model=linear", "trainer.max_epochs=6")
    with pytest.raises(RemovedError):
        launch("model=linear", "trainer.max_epochs=6", "checkpoint.every=1", remove("moved", "train"))
    moved = composing.RunFolder(tmp_path / "moved")
    assert len(moved.rows) == 2
    text = (moved.path / "config.yaml").read_text()
    (moved.path / "config.yaml").write_text(text.replace("when: train", "when: never"))
    composing.launch(moved.path, f"resume={moved.path}", "trust=[observers]")
    assert moved.rows == whole.rows
    assert moved.results["status"] == "completed"


@pytest.mark.parametrize("name", ["config.yaml", "history.csv"])
def test_a_run_without_one_of_its_files_has_failed(launch, tmp_path: Path, name: str):
    with pytest.raises(RemovedError, match=rf"run1/{name} was removed"):
        launch(*QUICK, remove(name, "train"))
    assert not (tmp_path / "run1" / name).exists()


@pytest.mark.parametrize("further", [(), ("trainer.max_epochs=9",)])
def test_going_on_leaves_no_temporary_file(launch, further: tuple[str, ...]):
    run = launch("model=linear", "trainer.max_epochs=6", "+trainer.max_steps=4")
    files = sorted(file.relative_to(run.path) for file in run.path.rglob("*"))
    for name in (".config.yaml", ".results.json", ".history.csv", "checkpoints/.best.ckpt", "checkpoints/.last.ckpt"):
        (run.path / f"{name}.0123456789abcdef").write_bytes(b"half a file")
    (run.path / "checkpoints" / "best.4321.tmp").write_bytes(b"a checkpoint, by an earlier version")
    composing.launch(run.path, f"resume={run.path}", "+trainer.max_steps=-1", *further)
    assert sorted(file.relative_to(run.path) for file in run.path.rglob("*")) == files
