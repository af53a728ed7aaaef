"""predict.py, run as a user would, against the saved weights put into the article's networks by hand."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import IN_ONE_PROCESS, Commands, Finished, RunFolder
from PIL import Image
from sklearn.datasets import load_digits

PREDICT = Path(__file__).parents[2] / "predict.py"
POINTS = [[1.5, -2.0], [0.0, 3.0], [-7.0, 7.0]]


@pytest.fixture(scope="module")
def runs(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """A short run of each network."""
    quick = ["logger=none", "figures=none", "trainer.accelerator=cpu"]
    settings = {
        "linear": ["trainer.max_epochs=2000"],
        "spiral": ["trainer.max_epochs=40"],
        "multispiral": ["trainer.max_epochs=40"],
        "cnn": ["data=digits", "trainer.max_epochs=4", "model.network.channels=[8,16]"],
    }
    arguments = [[f"model={model}", *quick, *own] for model, own in settings.items()]
    done = commands.train_in_one_process(tmp_path_factory.mktemp("runs"), arguments)
    return dict(zip(settings, (finished.run for finished in done), strict=True))


@pytest.fixture(scope="module")
def predict(commands: Commands, tmp_path_factory: pytest.TempPathFactory):
    """``predict([arguments, ...])``: one after another, in one process."""

    def all_of(argument_lists: list[list[str]]) -> list[Finished]:
        cwd = tmp_path_factory.mktemp("predict")
        done = commands.start_python(cwd, IN_ONE_PROCESS, PREDICT, json.dumps(argument_lists)).finish()
        assert done.code == 0, done.err
        return [Finished(*end[:3], cwd / str(number)) for number, end in enumerate(json.loads(done.out))]

    return all_of


def piped(run: RunFolder, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PREDICT, f"run={run.path}", *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
    )


@pytest.fixture(scope="module")
def answered(predict, runs: dict[str, RunFolder], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """What is asked for in several tests, by a name."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = load_digits()
    for number in range(10):
        # Dark on light, enlarged 12 times.
        pixels = 255 - np.kron(digits.images[number], np.ones((12, 12))) * 15
        Image.fromarray(np.pad(pixels, 30, constant_values=255).astype(np.uint8)).save(folder / f"{number}.png")
    (folder / "notes.txt").write_text("no picture")
    two = folder / "two"
    two.mkdir()
    pixels = 255 - np.kron(np.hstack(digits.images[:2]), np.ones((12, 12))) * 15
    Image.fromarray(np.pad(pixels, 30, constant_values=255).astype(np.uint8)).save(two / "two.png")
    points = json.dumps(POINTS).replace(" ", "")
    questions = {
        "linear one": ["linear", "x=20"],
        "linear three": ["linear", "x=[1,2,3]"],
        "linear best": ["linear", "x=20", "checkpoint=best"],
        "linear index": ["linear", "index=0"],
        "spiral": ["spiral", f"x={points}"],
        "spiral json": ["spiral", f"x={points}", "format=json"],
        "spiral index": ["spiral", "index=1999", "format=json"],
        "multispiral csv": ["multispiral", f"x={points}", "format=csv"],
        "cnn index": ["cnn", "index=7"],
        "cnn index json": ["cnn", "index=7", "format=json"],
        "cnn image": ["cnn", f"image={folder}/0.png"],
        "cnn folder": ["cnn", f"image={folder}", "format=json"],
        "cnn two": ["cnn", f"image={two}/two.png"],
        "cnn two csv": ["cnn", f"image={two}", "format=csv"],
        "cnn export": ["cnn", "export=cnn.pt2"],
    }
    done = predict([[f"run={runs[model].path}", *rest] for model, *rest in questions.values()])
    return dict(zip(questions, done, strict=True))


def out(done: Finished) -> str:
    assert (done.code, done.err) == (0, "")
    return done.out


def test_a_line_for_each_number(answered: dict[str, Finished], runs: dict[str, RunFolder]):
    weight, bias = (value.item() for value in runs["linear"].weights().values())
    (twenty,) = out(answered["linear one"]).splitlines()
    assert float(twenty) == pytest.approx(20 * weight + bias, rel=1e-6)
    assert abs(float(twenty) - 40) < 0.1
    three = [float(line) for line in out(answered["linear three"]).splitlines()]
    assert three == pytest.approx([x * weight + bias for x in (1, 2, 3)], rel=1e-6)


def test_the_best_checkpoint_is_another(answered: dict[str, Finished], runs: dict[str, RunFolder]):
    weight, bias = (value.item() for value in runs["linear"].weights("best.ckpt").values())
    assert float(out(answered["linear best"])) == pytest.approx(20 * weight + bias, rel=1e-6)


def test_class_and_probabilities_of_points(answered: dict[str, Finished], runs: dict[str, RunFolder], by_hand):
    network = by_hand("spiral", runs["spiral"].weights())
    second = network(torch.tensor(POINTS))[:, 0]
    samples = json.loads(out(answered["spiral json"]))
    assert [sample["class"] for sample in samples] == (second > 0.5).int().tolist()
    for sample, probability in zip(samples, second.tolist(), strict=True):
        assert sample["probabilities"] == pytest.approx([1 - probability, probability], abs=1e-6)
    lines = out(answered["spiral"]).splitlines()
    assert lines == [
        f"class {sample['class']}   probabilities " + " ".join(f"{share:.4f}" for share in sample["probabilities"])
        for sample in samples
    ]


def test_csv_of_three_classes(answered: dict[str, Finished], runs: dict[str, RunFolder], by_hand):
    logits = by_hand("multispiral", runs["multispiral"].weights())(torch.tensor(POINTS)).double()
    rows = list(csv.DictReader(io.StringIO(out(answered["multispiral csv"]))))
    assert [int(row["class"]) for row in rows] == logits.argmax(dim=1).tolist()
    for row, probabilities in zip(rows, (logits.exp() / logits.exp().sum(dim=1, keepdim=True)).tolist(), strict=True):
        assert [float(row[f"probabilities_{k}"]) for k in range(3)] == pytest.approx(probabilities, rel=1e-4, abs=1e-7)


def test_a_test_sample_and_what_is_true(answered: dict[str, Finished]):
    assert out(answered["linear index"]).startswith("index 0   y 39.9")
    assert out(answered["linear index"]).endswith("   true 40.0\n")
    (point,) = json.loads(out(answered["spiral index"]))
    assert (point["index"], point["true"]) == (1999, 1)  # the last of the second arm
    (digit,) = json.loads(out(answered["cnn index json"]))
    head, *bars = out(answered["cnn index"]).splitlines()
    assert head == f"index 7: {digit['class']} (truly {digit['true']})"
    assert [line.split()[0] for line in bars] == [str(number) for number in range(10)]
    assert [line.split()[-1] for line in bars] == [f"{share:.1%}" for share in digit["probabilities"]]


def test_pictures_are_read(answered: dict[str, Finished]):
    head, *bars = out(answered["cnn image"]).splitlines()
    assert head.endswith("0.png: 0")
    assert len(bars) == 10
    found = json.loads(out(answered["cnn folder"]))
    assert [Path(sample["image"]).name for sample in found] == [f"{number}.png" for number in range(10)]
    # Shortly trained, on digits in a form that is not quite MNIST's.
    assert sum(sample["class"] == number for number, sample in enumerate(found)) >= 6


def test_a_picture_that_is_unlike_a_digit_is_remarked_upon(answered: dict[str, Finished]):
    *_, last_bar, note = out(answered["cnn two"]).splitlines()
    assert last_bar.split()[0] == "9"
    assert note.startswith("  Note: it seems to show more than one digit")
    (row,) = csv.DictReader(io.StringIO(out(answered["cnn two csv"])))
    assert f"  Note: {row['remarks']}" == note
    assert all("more than one" not in sample["remarks"] for sample in json.loads(out(answered["cnn folder"])))


def test_the_exported_network_answers_the_same(answered: dict[str, Finished]):
    said = out(answered["cnn export"])
    assert said.splitlines() == [
        "cnn.pt2 takes x float32 (N, 1, 28, 28) and gives class int64 (N), probabilities float32 (N, 10).",
        "Of an image, x is (pixels / 255 - 0.1307) / 0.3081.",
    ]
    assert [file.name for file in answered["cnn export"].cwd.iterdir()] == ["cnn.pt2"]


def test_nothing_is_left_where_it_was_asked(answered: dict[str, Finished]):
    assert not any(list(done.cwd.iterdir()) for name, done in answered.items() if name != "cnn export")


@pytest.fixture(scope="module")
def mistakes(predict, runs: dict[str, RunFolder], tmp_path_factory: pytest.TempPathFactory):
    """Each with what the message must say."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty").mkdir()
    (folder / "text.png").write_text("a seven")
    (folder / "zero.png").touch()
    (folder / "mixed").mkdir()
    Image.fromarray(np.eye(50, dtype=np.uint8) * 255).save(folder / "mixed" / "good.png")
    (folder / "mixed" / "bad.png").write_text("a seven")
    linear, spiral, cnn = (f"run={runs[model].path}" for model in ("linear", "spiral", "cnn"))
    asked = {
        ("x=1",): "run=",
        ("run=nowhere", "x=1"): "nowhere",
        (linear,): "none is given",
        (linear, "x=1", "index=0"): "x and index are given",
        (linear, "x=1", "format=xml", "checkpoint=first"): "format=xml",
        (linear, "x=abc"): "'abc' is not a number",
        (linear, "x=[]"): "x is an empty list",
        (linear, "x=nan"): "nan",
        (linear, "x=inf"): "inf",
        (linear, "x=1e39"): "1e+39",
        (linear, "x=3e38"): "row 1 of x",
        (linear, "x=[[1,2]]"): "takes 1 number a row, not 2",
        (spiral, "x=[[1,2],[3]]"): "row 2 of x",
        (spiral, "index=4000"): "samples 0 to 1,999",
        (spiral, "index=-1"): "samples 0 to 1,999",
        (spiral, "index=first"): "index=first",
        (cnn, "x=1"): "image=FILE",
        (linear, f"image={folder}/zero.png"): "takes numbers",
        (cnn, f"image={folder}/text.png"): "no picture that can be read",
        (cnn, f"image={folder}/zero.png"): "is empty",
        (cnn, f"image={folder}/absent.png"): "no such file",
        (cnn, f"image={folder}/empty"): "holds no picture",
        (linear, "export=model.h5"): ".onnx or .pt2",
        (linear, f"export={folder}/text.png/model.pt2"): "no folder",
        (linear, "imag=seven.png"): "did you mean image",
    }
    done = predict([list(arguments) for arguments in asked] + [[cnn, f"image={folder}/mixed"]])
    return dict(zip([*asked, "mixed"], zip(done, [*asked.values(), "bad.png"], strict=True), strict=True))


def test_each_mistake_gets_one_message(mistakes):
    for arguments, (done, said) in mistakes.items():
        assert done.code == 2, (arguments, done)
        assert said in done.err, (arguments, done.err)
        assert "Traceback" not in done.err
        assert len(done.err.splitlines()) <= 3, done.err
        assert not list(done.cwd.iterdir())
        if arguments != "mixed":
            assert done.out == ""


def test_the_other_pictures_of_a_folder_are_read(mistakes):
    done, _ = mistakes["mixed"]
    assert "good.png: " in done.out
    assert "good.png" not in done.err


def test_rows_from_standard_input(runs: dict[str, RunFolder]):
    """Many more than are held at once."""
    count = 100_000
    text = "".join(f"{number} {number % 7}\n" for number in range(count))
    done = piped(runs["spiral"], text, "x=-", "format=csv")
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == count
    assert all(float(row["probabilities_0"]) + float(row["probabilities_1"]) == pytest.approx(1) for row in rows)


def test_a_mistake_late_in_standard_input(runs: dict[str, RunFolder]):
    """The rows before it, which are of its own batch, are answered all the same."""
    done = piped(runs["linear"], "[1, 2, 3,\n4, null, 6]", "x=-", "format=json")
    assert done.returncode == 2
    assert [answer["y"] for answer in json.loads(done.stdout)] == pytest.approx([2, 4, 6, 8], abs=0.1)
    assert done.stderr == "row 5 of standard input: None is not a number.\n"


def test_a_reader_that_has_enough(runs: dict[str, RunFolder], tmp_path: Path):
    """``... | head -1``: the rest is not computed, and nothing is complained of."""
    (tmp_path / "rows").write_text("1\n" * 2_000_000)
    command = f"{sys.executable} {PREDICT} run={runs['linear'].path} x=- < rows"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert float(done.stdout) == pytest.approx(2, abs=0.1)
