"""Checkpoint files: what a failed save leaves, and that reading one never runs code."""

import errno
import os
import pickle
import random
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import composing
import numpy as np
import pytest
import torch

from littlenets.errors import SettingError
from littlenets.runs.checkpoints import SafeCheckpointIO, read_checkpoint


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The system's own limit, in bytes: writing beyond it fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestAFailedSave:
    """Leaves the checkpoint before it whole, and nothing else."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        SafeCheckpointIO().save_checkpoint({"weight": torch.arange(5.0)}, tmp_path / "last.ckpt")
        return tmp_path / "last.ckpt"

    def assert_untouched(self, path: Path) -> None:
        assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
        assert torch.equal(composing.load_checkpoint(path)["weight"], torch.arange(5.0))

    def test_by_what_cannot_be_saved(self, path: Path, monkeypatch: pytest.MonkeyPatch):
        def refuse(*_: object) -> None:
            raise pickle.PicklingError("not this")

        monkeypatch.setattr(torch, "save", refuse)
        with pytest.raises(pickle.PicklingError):
            SafeCheckpointIO().save_checkpoint({"weight": torch.zeros(5)}, path)
        self.assert_untouched(path)

    def test_where_there_is_no_room(self, path: Path):
        with files_no_larger_than(10_000), pytest.raises(OSError, match="too large") as failure:
            SafeCheckpointIO().save_checkpoint({"weight": torch.zeros(100_000)}, path)
        assert failure.value.filename == str(path)
        self.assert_untouched(path)

    def test_by_ctrl_c(self, path: Path, monkeypatch: pytest.MonkeyPatch):
        def interrupt(handle: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            SafeCheckpointIO().save_checkpoint({"weight": torch.zeros(5)}, path)
        self.assert_untouched(path)

    def test_in_a_run(self, launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The third: what is left is the second, and the run says that it failed."""
        replace, saved = os.replace, []

        def third_fails(source: str, target: Path) -> None:
            if Path(target).name == "last.ckpt":
                saved.append(target)
                if len(saved) == 3:
                    raise OSError(errno.ENOSPC, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", third_fails)
        with pytest.raises(OSError, match="No space"):
            launch("model=linear", "trainer.max_epochs=20", "checkpoint.every=5")
        run = composing.RunFolder(tmp_path / "run1")
        assert sorted(file.name for file in (run.path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
        assert run.checkpoint("last")["global_step"] == run.checkpoint("best")["global_step"] == 10
        assert run.results["status"] == "failed"


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_refused_and_never_run(tmp_path: Path):
    trap = tmp_path / "sprung"
    torch.save({"state_dict": {"w": torch.zeros(1)}, "extra": Planted(trap)}, tmp_path / "last.ckpt")
    torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert trap.exists(), "the trap must work, or this shows nothing"
    trap.unlink()
    with pytest.raises(SettingError, match="would run code"):
        read_checkpoint(tmp_path / "last.ckpt")
    assert not trap.exists()


def test_a_bare_pickle_is_refused_and_never_run(tmp_path: Path):
    trap = tmp_path / "sprung"
    (tmp_path / "last.ckpt").write_bytes(pickle.dumps(Planted(trap)))
    with pytest.raises(SettingError, match=r"last\.ckpt"):
        read_checkpoint(tmp_path / "last.ckpt")
    assert not trap.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other", "flipped"])
def test_damage_is_one_clear_error(tmp_path: Path, damage: str):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {"w": torch.arange(1000.0)}}, path)
    whole = path.read_bytes()
    if damage == "other":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "no checkpoint")
    else:
        middle = len(whole) // 2
        content = {
            "cut": whole[:middle],
            "empty": b"",
            "text": b"hello\n" * 100,
            "flipped": whole[:200] + bytes(byte ^ 255 for byte in whole[200:300]) + whole[300:],
        }
        path.write_bytes(content[damage])
    with pytest.raises(SettingError, match=r"last\.ckpt"):
        read_checkpoint(path)


def test_a_tuple_that_takes_ages_to_hash_is_refused(tmp_path: Path):
    path = tmp_path / "last.ckpt"
    nested = (1, 2)
    for _ in range(60):
        nested = (nested, nested)
    # Hashing it as a key here would take as long.
    torch.save({"state_dict": {}, "extra": [nested, {}]}, path)
    with pytest.raises(SettingError, match=r"last\.ckpt is damaged"):
        read_checkpoint(path)
    torch.save({"state_dict": {}, "extra": [((1, 2), (3, (4, 5))), {(6, (7,)): 8}]}, path)
    assert read_checkpoint(path)["extra"][1] == {(6, (7,)): 8}


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_damage_and_no_code(tmp_path: Path, seed: int):
    path, numbers = tmp_path / "last.ckpt", random.Random(seed)
    torch.save({"state_dict": {"w": torch.arange(100.0)}}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, numbers.randbytes(200) if name.endswith("data.pkl") else content)
    with pytest.raises(SettingError, match=r"last\.ckpt is (damaged|no checkpoint)"):
        read_checkpoint(path)
    path.write_bytes(numbers.randbytes(200))
    with pytest.raises(SettingError, match=r"last\.ckpt is damaged"):
        read_checkpoint(path)


def test_a_missing_checkpoint_is_one_clear_error(tmp_path: Path):
    with pytest.raises(SettingError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "last.ckpt")


class Named(dict):
    """A mapping of a class of somebody's own."""


def test_what_could_not_be_read_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    checkpoint = {
        "state_dict": {"w": torch.zeros(2)},
        "hyper_parameters": Named(lr=np.float32(0.5), net=torch.nn.Linear(1, 1), widths=(8, 8), root=Path("data")),
        "callbacks": {"mine": {"best": [1.0, torch.device("cpu")], "history": [Path(), 1], Path: 3}},
    }
    with caplog.at_level("INFO"):
        for _ in range(2):
            SafeCheckpointIO().save_checkpoint(checkpoint, tmp_path / "last.ckpt")
    read = read_checkpoint(tmp_path / "last.ckpt")
    assert read["hyper_parameters"] == {"lr": 0.5, "widths": (8, 8)}
    assert read["callbacks"] == {"mine": {"best": [1.0, torch.device("cpu")]}}
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2, "each is named once"
    assert "lack callbacks.mine.history.0," in warnings[1]
    assert "lack callbacks.mine.<class" in warnings[0]
    assert {"hyper_parameters.net", "hyper_parameters.root"} <= set(" ".join(caplog.messages).replace(",", "").split())
