import errno
import fcntl
import os
import random
import re
import shlex
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta, tzinfo
from itertools import chain, cycle
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from littlenets.errors import RemovedError, SettingError
from littlenets.runs import folder
from littlenets.runs.files import copy_atomically, point_link, write_atomically
from littlenets.runs.folder import (
    is_untouched,
    job_folder,
    make_latest,
    name_run_folder,
    new_run_folder,
    occupied,
    remove_run_folder,
    started,
)


def fifty_at_once(parent: Path) -> list[str]:
    barrier = threading.Barrier(50)

    def make(_: int) -> str:
        barrier.wait()
        return new_run_folder(str(parent))

    with ThreadPoolExecutor(50) as pool:
        return list(pool.map(make, range(50)))


def test_fifty_runs_at_once_get_fifty_folders(tmp_path: Path):
    parent = tmp_path / "outputs" / "runs" / "linear"  # which nobody has made
    folders = fifty_at_once(parent)
    assert len(set(folders)) == 50
    assert {str(folder) for folder in parent.iterdir()} == set(folders)


def test_they_do_where_most_names_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first fifty start at the same moment, and of those after that every moment comes again and again."""
    start = datetime(2026, 11, 23, 14, 5, 9)
    moments = chain([start] * 50, cycle(start + timedelta(milliseconds=number) for number in range(60)))
    lock = threading.Lock()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            with lock:
                return next(moments)

    monkeypatch.setattr(folder, "datetime", Clock)
    assert len(set(fifty_at_once(tmp_path))) == 50
    assert len(list(tmp_path.iterdir())) == 50


def test_names_sort_in_the_order_of_their_start(tmp_path: Path):
    names = [new_run_folder(str(tmp_path)) for _ in range(200)]
    assert names == sorted(names)
    moments = [started(Path(name)) for name in names]
    assert moments == sorted(moments)
    for name, moment in zip(names, moments, strict=True):
        assert f"{moment:%Y-%m-%d_%H-%M-%S}" in name
        assert int(name[-4:], 16) == pytest.approx(moment.microsecond / 1e6 * 2**16, abs=1)


def latest(parent: Path) -> str:
    return os.readlink(parent / "latest")


def test_latest_is_the_one_that_started_last_whichever_begins_last(tmp_path: Path):
    names = [Path(new_run_folder(str(tmp_path))) for _ in range(5)]
    for number in (2, 4, 0, 3, 1):
        make_latest(names[number], started(names[number]))
    assert latest(tmp_path) == names[4].name
    shutil.rmtree(names[4])
    make_latest(names[3], started(names[3]))
    assert latest(tmp_path) == names[3].name


def test_latest_is_the_one_that_started_last_among_thirty_at_once(tmp_path: Path):
    names = [Path(new_run_folder(str(tmp_path))) for _ in range(30)]
    barrier = threading.Barrier(30)

    def link(name: Path) -> None:
        barrier.wait()
        make_latest(name, started(name))

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(link, random.Random(0).sample(names, 30)))
    assert latest(tmp_path) == names[-1].name
    assert len(list(tmp_path.iterdir())) == 31


def test_a_link_from_the_future_is_replaced(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    now = datetime.now()
    make_latest(tmp_path / "one", now + timedelta(days=1))
    make_latest(tmp_path / "two", now)
    assert latest(tmp_path) == "two"


def test_latest_does_not_wait_for_a_run_in_the_folder_above(tmp_path: Path):
    (tmp_path / "inner").mkdir()
    (tmp_path / ".latest.0123456789abcdef").symlink_to("inner")
    with occupied(tmp_path):
        make_latest(tmp_path / "inner", datetime.now())
    assert latest(tmp_path) == "inner"
    make_latest(tmp_path / "inner", datetime.now())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["inner", "latest"]


def test_a_folder_has_one_user(tmp_path: Path):
    with occupied(tmp_path), pytest.raises(SettingError, match="still under way"), occupied(tmp_path):
        pass
    with occupied(tmp_path):
        pass


def test_a_folder_that_its_user_removes_is_made_anew_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second has opened the folder when the first removes it; a lock on what is removed keeps nobody out."""
    path = tmp_path / "run"
    flock = fcntl.flock
    first = ExitStack()
    first.enter_context(occupied(path, make=True))

    def remove_and_lock(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        remove_run_folder(path)
        first.close()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", remove_and_lock)
    with occupied(path, make=True) as there:
        assert there
        with pytest.raises(SettingError, match="still under way"), occupied(path):
            pass


@pytest.mark.parametrize("change", [shutil.rmtree, lambda path: path.rename(path.with_name("moved"))])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_or_moved_folder_is_noticed(tmp_path: Path, change, replaced: bool):
    path = tmp_path / "run"
    path.mkdir()
    with ExitStack() as held:
        there = held.enter_context(occupied(path))
        assert there
        change(path)
        if replaced:
            path.mkdir()
        assert not there
        with pytest.raises(RemovedError, match="run was removed or moved"):
            there.check()


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    kept = ["config.yaml", ".hidden", ".gitignore.0123", "checkpoints/best.ckpt", "checkpoints/notes.tmp", "best.tmp"]
    kept += ["2_seed-2/config.yaml", "2_seed-2/.results.json.0123456789abcdef"]  # of another run
    left = [".config.yaml.0123456789abcdef", "checkpoints/.last.ckpt.0123456789abcdef", "checkpoints/best.123.tmp"]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with occupied(tmp_path):
        found = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert found == set(kept)


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool):
    """Also where both names are of one file already, which renaming leaves alone."""
    if not links:
        monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EPERM, "Operation not permitted")))
    source, target = tmp_path / "last.ckpt", tmp_path / "best.ckpt"
    for content in ("one", "two"):
        write_atomically(source, content)
        for _ in range(2):
            copy_atomically(source, target)
            assert target.read_text() == content
            assert sorted(file.name for file in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_folder_is_named_by_the_time(tmp_path: Path):
    name = Path(new_run_folder(str(tmp_path))).name
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{4}", name)


def test_where_no_folder_can_be_made_it_says_so(tmp_path: Path):
    """Such as on a disk that is not there."""
    (tmp_path / "outputs").symlink_to(tmp_path / "unplugged")
    with pytest.raises(OSError, match="outputs"):
        new_run_folder(str(tmp_path / "outputs"))


def test_a_name_alone_makes_nothing(tmp_path: Path):
    name = name_run_folder(str(tmp_path / "outputs"))
    assert Path(name).parent == tmp_path / "outputs"
    assert not list(tmp_path.iterdir())


def test_a_folder_is_removed_with_those_that_are_empty_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    first, second = (Path(new_run_folder("outputs/runs/linear")).absolute() for _ in range(2))
    (first / "figures").mkdir()
    (first / "figures" / "loss.png").touch()
    remove_run_folder(first)
    assert list((tmp_path / "outputs/runs/linear").iterdir()) == [second]
    remove_run_folder(second)
    assert not list(tmp_path.iterdir())
    assert tmp_path.is_dir()


def test_the_current_folder_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    remove_run_folder(tmp_path / "inside")
    remove_run_folder(tmp_path)
    assert (tmp_path / "inside").is_dir()


def test_what_is_untouched(tmp_path: Path):
    assert is_untouched(tmp_path)
    (tmp_path / "train.log").touch()
    assert is_untouched(tmp_path)
    (tmp_path / "train.log").write_text("of an earlier run")
    assert not is_untouched(tmp_path)
    (tmp_path / "train.log").unlink()
    (tmp_path / "notes.txt").touch()
    assert not is_untouched(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "overrides", "name"),
    [
        (["optimizer.lr=0.01,0.1"], ["optimizer.lr=0.01"], "3_optimizer.lr-0.01"),
        (
            ["model=linear,cnn", "optimizer=sgd,adam"],
            ["model=linear", "optimizer=adam"],
            "3_model-linear_optimizer-adam",
        ),
        (["seed=range(9)", "data=digits"], ["seed=4", "data=digits"], "3_seed-4"),
        (["data=digits"], ["data=digits"], "3"),
        (["+trainer.max_steps=10,20"], ["+trainer.max_steps=10"], "3_trainer.max_steps-10"),
    ],
)
def test_a_job_is_named_by_number_and_what_was_swept(arguments: list[str], overrides: list[str], name: str):
    assert job_folder(3, overrides, arguments) == name


@pytest.mark.parametrize(
    "override",
    [
        "model.network.hidden=[64,64]",
        "data.root=/some where/else",
        "++a='quoted \"text\"',b={c:1}",
        "x=$HOME;`ls`\\,y=é ü",
        "optimizer.lr=" + "0" * 500,
        "---",
    ],
)
def test_a_job_folders_name_needs_no_quotes(override: str):
    """Not in a shell, and not in an override such as run=PATH; and it fits into a file system."""
    name = job_folder(12, [override, "seed=1"], ["seed=1"])
    assert name.startswith("12")
    assert shlex.split(name) == [name]
    assert Path(name).name == name
    assert OverridesParser.create().parse_override(f"run=outputs/{name}").value() == f"outputs/{name}"
    assert len(os.fsencode(name)) < 200


def test_an_atomic_write_replaces_the_file(tmp_path: Path):
    path = tmp_path / "results.json"
    write_atomically(path, "one\n")
    write_atomically(path, "two é\n")
    assert path.read_bytes() == "two é\n".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_it_is_for_the_user_to_say(tmp_path: Path, umask: int, mode: int):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "results.json", "one\n")
    finally:
        os.umask(before)
    assert (tmp_path / "results.json").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_atomic_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: str
):
    def fail(*args: object) -> None:
        raise error

    path = tmp_path / "results.json"
    write_atomically(path, "old\n")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, "new\n")
    assert path.read_text() == "old\n"
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_readers_never_see_half_a_file(tmp_path: Path):
    path, texts = tmp_path / "results.json", ["a" * 100_000, "b" * 50_000]
    write_atomically(path, texts[0])
    done = threading.Event()

    def write() -> None:
        for number in range(40):
            write_atomically(path, texts[number % 2])
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        seen = set()
        while not done.is_set() and not writer.done():
            seen.add(path.read_text())
        writer.result()
    assert seen <= set(texts)


def test_the_link_follows_the_newest(tmp_path: Path):
    link = tmp_path / "latest"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        point_link(link, tmp_path / name)
        assert os.readlink(link) == name
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_a_link_that_cannot_be_made_is_no_error(tmp_path: Path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "file").write_text("a folder of the user's")
    point_link(tmp_path / "latest", tmp_path / "one")
    assert [file.name for file in tmp_path.iterdir()] == ["latest"]
    assert (tmp_path / "latest" / "file").exists()


def test_a_file_that_cannot_be_written_is_called_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(source, *target):
        raise OSError(errno.ENOSPC, "No space left on device", source, None, *target)

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="No space left") as error:
                write_atomically(tmp_path / "a.json", "{}")
        assert str(error.value) == f"[Errno 28] No space left on device: '{tmp_path / 'a.json'}'"
    assert not list(tmp_path.iterdir())
