"""train.py model=cnn: MNIST where it can be had, and digits, said loudly, where not."""

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

# No program listens on port 1 of this machine.
NOTHING_THERE = "data.mirrors=[http://127.0.0.1:1/]"
FIVE_BATCHES = ["model=cnn", "figures=none", "trainer.max_epochs=1", "+trainer.limit_train_batches=5", "threads=1"]
FILES = [f"{half}-{kind}-ubyte" for half in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.fixture(scope="module")
def stand_in(train, tmp_path_factory):
    """Nothing there, nothing reachable."""
    return train(tmp_path_factory.mktemp("stand_in"), *FIVE_BATCHES, NOTHING_THERE)


@pytest.fixture
def mirror(mnist_files):
    """The address of a server with MNIST's files, and the list of what was asked of it."""
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=mnist_files)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


def test_a_wrong_file_is_reported_and_nothing_trained(train, tmp_path):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    wrong = raw / "train-images-idx3-ubyte.gz"
    wrong.write_text("<html>Not found</html>\n")
    done = train(tmp_path, "model=cnn", "trainer.max_epochs=1", NOTHING_THERE)
    assert done.code == 2
    assert str(wrong) in done.err
    assert "f68b3c2dcbeaaa9fbdd348bbdeb94873" in done.err  # torchvision's MD5 of the real one
    assert hashlib.md5(b"<html>Not found</html>\n").hexdigest() in done.err
    assert "Traceback" not in done.out + done.err
    assert done.out == ""
    assert not (tmp_path / "outputs").exists()
    assert wrong.read_text() == "<html>Not found</html>\n"
    assert list(raw.iterdir()) == [wrong]


def test_it_downloads_checks_and_trains(train, tmp_path, mirror, mnist_files, mnist_test, by_hand):
    url, asked = mirror
    done = train(tmp_path, *FIVE_BATCHES, f"data.mirrors=[{url}]")
    assert done.code == 0, done.err
    assert done.err == ""
    assert "NOT AVAILABLE" not in done.out
    for fact in ("Training cnn", "421,642 parameters", "mnist", "60,000 images", "batches of 64"):
        assert fact in done.out
    results = done.run.results
    assert (results["status"], results["data"], results["steps"]) == ("completed", "mnist", 5)
    assert done.run.config["data"]["_target_"] == "littlenets.data.MNIST"

    assert sorted(asked) == sorted(f"/{name}.gz" for name in FILES)
    raw = tmp_path / "data" / "MNIST" / "raw"
    assert {file.name for file in raw.iterdir()} == {*FILES, *(f"{name}.gz" for name in FILES)}
    assert all((raw / f"{name}.gz").read_bytes() == (mnist_files / f"{name}.gz").read_bytes() for name in FILES)

    images, labels = mnist_test
    hits = by_hand("cnn", done.run.weights())(images).argmax(dim=1) == labels
    # Another order of additions may turn the odd image around.
    assert results["metrics"]["test/acc"] == pytest.approx(hits.double().mean().item(), abs=3e-4)


def test_the_stand_in_is_announced_before_and_after(stand_in):
    assert stand_in.code == 0
    assert stand_in.err == ""
    assert "Traceback" not in stand_in.out
    warning = "data=mnist IS NOT AVAILABLE: this run trains and tests on data=digits instead."
    before, training = stand_in.out.split("Training cnn", 1)
    _, after = training.split("TensorBoard ", 1)
    assert warning in before
    assert "http://127.0.0.1:1/" in before
    assert str(stand_in.cwd / "data" / "MNIST" / "raw") in before
    assert "test/acc" in training
    assert warning in after
    log = (stand_in.run.path / "train.log").read_text()
    assert log.count(warning) == 2


def test_the_stand_in_is_recorded_wherever_one_looks(stand_in):
    run = stand_in.run
    assert "on digits" in stand_in.out
    assert run.results["data"] == "digits"
    assert run.config["data"]["_target_"] == "littlenets.data.Digits"
    assert run.hyperparameters()["data"] == "digits"
    assert run.config["origin"]["stand_in_for"] == "mnist"
    assert "mnist" not in (run.path / "config.yaml").read_text().lower().replace("stand_in_for: mnist", "")


def test_the_stand_in_leaves_no_empty_folders(stand_in):
    assert {path.name for path in stand_in.cwd.iterdir()} == {"outputs"}


def test_files_put_there_by_hand_are_trained_on(train, tmp_path, mnist_files):
    """In data.root itself, some as Kaggle has them; nothing is written there."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, name in enumerate(FILES):
        packed = (mnist_files / f"{name}.gz").read_bytes()
        if number % 2:
            (folder / f"{name}.gz").write_bytes(packed)
        else:
            (folder / name.replace("-idx", ".idx")).write_bytes(gzip.decompress(packed))
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    done = train(tmp_path, *FIVE_BATCHES, NOTHING_THERE, "data.root=mine")
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.run.results["data"] == "mnist"
    assert "60,000 images" in done.out
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "outputs"}


def test_other_sets_are_chosen_by_name(commands, tmp_path):
    """And what does not fit them is told before anything is downloaded."""
    nothing = [NOTHING_THERE, "data.stand_in=null"]
    says = {
        ("data=emnist",): "set model.network.classes=47",
        ("data=emnist", "data.split=letters"): "set model.network.classes=26",
        ("data=emnist", "data.split=byclass", "model.network.classes=47"): "set model.network.classes=62",
        ("data=emnist", "data.split=leters"): "data.split=leters",
        ("data=emnist", "data.split=digits", *nothing): "gzip.zip",
        ("data=kmnist", *nothing): "t10k-labels-idx1-ubyte.gz",
        ("data=qmnist", *nothing): "qmnist-test-labels-idx2-int.gz",
        ("data=usps", *nothing): "usps.t.bz2",
    }
    ends = commands.train_in_one_process(tmp_path, [["model=cnn", *arguments] for arguments in says])
    for done, expected in zip(ends, says.values(), strict=True):
        assert done.code == 2, done.out + done.err
        assert expected in done.err
        assert "Traceback" not in done.out + done.err
        assert list(done.cwd.iterdir()) == []


def test_the_stand_in_is_digits_to_the_last_bit(stand_in, train, tmp_path):
    """In another process, asked for by name."""
    named = train(tmp_path, *FIVE_BATCHES, "data=digits")
    assert "NOT AVAILABLE" not in named.out
    configs = [done.run.config for done in (named, stand_in)]
    assert [config.pop("origin")["stand_in_for"] for config in configs] == [None, "mnist"]
    assert configs[0] == configs[1]
    one, other = named.run.weights(), stand_in.run.weights()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_a_stand_in_the_message_says_what_to_do(train, tmp_path):
    done = train(tmp_path, "model=cnn", NOTHING_THERE, "data.stand_in=null")
    assert done.code == 2
    assert "Traceback" not in done.out + done.err
    assert "Training" not in done.out
    assert str(tmp_path / "data" / "MNIST" / "raw") in done.err
    assert "data=digits" in done.err
    assert all(f"{name}.gz" in done.err for name in FILES)
    assert not (tmp_path / "outputs").exists()
