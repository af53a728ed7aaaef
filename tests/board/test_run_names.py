"""What TensorBoard is to call runs, by folders as runs leave them."""

from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from littlenets.board.plugin import RunLinks, ShortRunNames
from littlenets.board.run_names import LONGEST, holds_runs, overrides_label, run_names
from littlenets.sweeps.manifest import Job, Manifest


def add_events(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1700000000.host.1.0").touch()
    return folder


def add_run(folder: Path, *overrides: str) -> Path:
    """Returns the folder of its event files."""
    events = add_events(folder / "tensorboard")
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 0, "origin": {"overrides": list(overrides)}}))
    return events


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, Path]:
    """The runs of a folder outputs/ by the names that they should have."""
    root = tmp_path / "outputs"
    line, sweep = root / "runs" / "linear", root / "sweeps" / "spiral" / "2026-11-23_14-20-00-9c1e"
    runs = {
        "linear 11-22 09:05:00": add_run(line / "2026-11-22_09-05-00-aaaa"),
        "linear 11-23 14:05:09 lr=0.1": add_run(line / "2026-11-23_14-05-09-3f2a", "model=linear", "optimizer.lr=0.1"),
        "sweep spiral 11-23 14:20:00/lr=0.01, hidden=[16,16]": add_run(sweep / "0_a"),
        "sweep spiral 11-23 14:20:00/lr=0.02, hidden=[8]": add_run(sweep / "1_b"),
    }
    swept = [{"optimizer.lr": 0.01, "model.network.hidden": [16, 16]}, {"optimizer.lr": 0.02}]
    swept[1]["model.network.hidden"] = [8]
    jobs = [Job(number, folder, [], swept[number]) for number, folder in enumerate(["0_a", "1_b"])]
    Manifest(["-m"], jobs=jobs).write(sweep)
    (line / "latest").symlink_to("2026-11-23_14-05-09-3f2a")
    (sweep.parent / "latest").symlink_to(sweep.name)
    return runs


def test_every_run_and_job_has_a_short_name_once(outputs: dict[str, Path], tmp_path: Path):
    assert run_names(tmp_path / "outputs") == outputs


def test_a_sweep_alone_is_named_by_what_was_swept(outputs: dict[str, Path], tmp_path: Path):
    sweep = tmp_path / "outputs" / "sweeps" / "spiral" / "2026-11-23_14-20-00-9c1e"
    assert set(run_names(sweep)) == {"lr=0.01, hidden=[16,16]", "lr=0.02, hidden=[8]"}
    assert set(run_names(sweep / "1_b")) == {"lr=0.02, hidden=[8]"}


def test_a_run_alone_has_the_same_name(outputs: dict[str, Path]):
    folder = outputs["linear 11-23 14:05:09 lr=0.1"]
    for logdir in (folder, folder.parent):
        assert run_names(logdir) == {"linear 11-23 14:05:09 lr=0.1": folder}


def test_jobs_of_a_sweep_without_a_manifest_are_named_by_what_was_said(tmp_path: Path):
    sweep = tmp_path / "2026-11-23_14-20-00-9c1e"
    add_run(sweep / "0_optimizer.lr-0.01", "model=linear", "optimizer.lr=0.01")
    add_run(sweep / "1_old")
    assert set(run_names(sweep)) == {"lr=0.01", "1_old"}


def test_runs_of_one_second_are_numbered(tmp_path: Path):
    for stamp in ("2026-11-23_14-05-09-3f2a", "2026-11-23_14-05-09-3f2b"):
        add_run(tmp_path / "runs" / "cnn" / stamp)
    assert set(run_names(tmp_path)) == {"cnn 11-23 14:05:09", "cnn 11-23 14:05:09 (2)"}


def test_a_run_that_has_only_opened_its_files_waits(tmp_path: Path):
    add_events(tmp_path / "cnn" / "2026-11-23_14-05-09-3f2a" / "tensorboard")
    assert run_names(tmp_path) == {}


def test_links_that_somebody_made_to_compare_runs_are_followed(outputs: dict[str, Path], tmp_path: Path):
    compare = tmp_path / "compare"
    compare.mkdir()
    (compare / "good").symlink_to(outputs["linear 11-23 14:05:09 lr=0.1"].parent)
    (compare / "loop").symlink_to(compare)
    assert set(run_names(compare)) == {"good"}


def test_event_files_of_others_keep_their_names(outputs: dict[str, Path], tmp_path: Path):
    folder = add_events(tmp_path / "outputs" / "elsewhere" / "version_0")
    names = run_names(tmp_path / "outputs")
    assert names.pop("elsewhere/version_0") == folder
    assert names == outputs


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ([], ""),
        (["model=cnn", "data.root=/data", "hydra.run.dir=x", "threads=1", "logger.every=3", "seed=3"], "seed=3"),
        (["+trainer.limit_train_batches=3", "optimizer=sgd"], "limit_train_batches=3, optimizer=sgd"),
        (["model.network.name=a", "data.name=b"], "network.name=a, data.name=b"),
        (["+data.file=/a/b"], "file=-a-b"),
    ],
)
def test_what_was_said_on_the_command_line(overrides: list[str], label: str):
    assert overrides_label(overrides) == label


def test_names_are_cut_where_they_would_be_too_long():
    label = overrides_label([f"data.something_{number}={number}" for number in range(30)])
    assert len(label) == LONGEST
    assert label.endswith("…")


def test_tensorboard_is_shown_links_that_follow_what_comes_and_goes(outputs: dict[str, Path], tmp_path: Path):
    links = RunLinks(tmp_path / "outputs")
    links.update()
    linked = {str(path.relative_to(links.folder)): path for path in links.folder.rglob("*") if path.is_symlink()}
    assert {name: path.resolve() for name, path in linked.items()} == outputs

    (outputs["linear 11-22 09:05:00"] / "events.out.tfevents.1700000000.host.1.0").unlink()
    add_run(tmp_path / "outputs" / "runs" / "cnn" / "2026-12-01_00-00-00-ffff")
    links.update()
    names = {str(path.relative_to(links.folder)) for path in links.folder.rglob("*") if path.is_symlink()}
    assert names == outputs.keys() - {"linear 11-22 09:05:00"} | {"cnn 12-01 00:00:00"}


def test_event_files_below_event_files_are_left_where_they_are(outputs: dict[str, Path], tmp_path: Path):
    """As PyTorch's add_scalars makes them, for a run of ours and for one of others."""
    theirs = add_events(tmp_path / "outputs" / "elsewhere" / "version_0")
    below = [add_events(folder / "loss_train") for folder in (theirs, outputs["linear 11-23 14:05:09 lr=0.1"])]
    links = RunLinks(tmp_path / "outputs")
    links.update()
    linked = {str(path.relative_to(links.folder)): path for path in links.folder.rglob("*") if path.is_symlink()}
    assert linked.keys() == outputs.keys() | {"elsewhere/version_0"}
    for folder in below:
        assert [file.name for file in folder.iterdir()] == ["events.out.tfevents.1700000000.host.1.0"]
        assert sorted(file.name for file in folder.parent.iterdir()) == [
            *("events.out.tfevents.1700000000.host.1.0", "loss_train")
        ]


def test_the_command_line_of_tensorboard_is_corrected_for_runs_alone(outputs: dict[str, Path], tmp_path: Path):
    others = add_events(tmp_path / "others" / "a").parent
    assert not holds_runs(others)
    empty = tmp_path / "empty"
    empty.mkdir()
    for logdir, ours in (
        *((tmp_path / "outputs", True), (empty, True), (others, False), (tmp_path / "absent", False)),
        *(("gs://bucket/outputs", False), ("", False), (None, False)),
    ):
        flags = Namespace(logdir=logdir if logdir is None else str(logdir), samples_per_plugin={})
        before = flags.logdir
        ShortRunNames().fix_flags(flags)
        assert (flags.logdir != before) == ours, logdir
