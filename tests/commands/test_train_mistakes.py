"""Wrong settings: one message that names the setting and what would work, exit code 2, nothing left behind."""

import re

import pytest
from conftest import TRAIN, Process

STOP = "{_target_:pytorch_lightning.callbacks.EarlyStopping"

# The arguments, and what the message must name, line by line.
OF_THEIR_OWN = {
    "trainer.max_epoch=3": [["trainer.max_epoch:", "did you mean trainer.max_epochs?"]],
    "model=cnn data=spiral": [["model.network", "CNN", "data=spiral", "(2,)", "data=...", "model=..."]],
    "model=cnnn trainer.max_epoch=3 optimizer.lr=-1 seed=x": [
        ["model=cnnn", "did you mean model=cnn?"],
        ["trainer.max_epoch:", "did you mean trainer.max_epochs?"],
        ["seed=x", "integer"],
        ["optimizer.lr=-1", "greater than 0"],
    ],
}
TOGETHER = {
    # Hydra cannot compose it.
    "optimizer.learning_rate=0.1": [["optimizer.learning_rate:", "did you mean optimizer.lr?"]],
    "learning_rate=0.1 epochs=3": [["did you mean optimizer.lr?"], ["did you mean trainer.max_epochs?"]],
    "model=cnnn": [["model=cnnn", "did you mean model=cnn?", "cnn, linear, multispiral, spiral"]],
    "modle=cnn": [["modle:", "did you mean model?"]],
    "data=mnits": [["data=mnits", "did you mean data=mnist?", "digits"]],
    "experiment=nothing": [["experiment=nothing", "spiral_on_lines", "mnist_digits"]],
    "experiment=spiral_on_line": [["did you mean experiment=spiral_on_lines?"]],
    "hydra/launcher=nothing": [["hydra/launcher=nothing", "basic"]],
    "foo=1": [["foo:", "optimizer", "experiment"]],
    "data.foo=1": [["data.foo:", "data.noise"]],
    "logger=null": [["logger=null", "logger=none"]],
    "experiment=null": [["experiment=null", "leave it out"]],
    "~nothing": [["nothing:"]],
    "~optimizer.learning_rate": [["did you mean optimizer.lr?"]],
    "+optimizer.lr=3": [["optimizer.lr:", "without the plus: optimizer.lr=3"]],
    "trainer.max_steps=3": [["+trainer.max_steps=3"]],
    "trainer.limit_train_batch=3": [["did you mean +trainer.limit_train_batches?"]],
    "--lr=0.1": [["--lr=0.1:", "KEY=VALUE"], ["--help"]],
    "seed=1,2 -m optimizer.lr=0.1": [["optimizer.lr=0.1:", "-m", "before the first"], ["--help"]],
    "optimizer.lr": [["optimizer.lr:", "KEY=VALUE"]],
    "=3": [["=3:"]],
    "optimizer.lr=0.1,0.2": [["optimizer.lr=0.1,0.2", "-m", "--multirun", "[0.1,0.2]"]],
    "-m optimizer.lrr=0.1,0.2 model=linear,cnnn": [["did you mean model=cnn?"], ["did you mean optimizer.lr?"]],
    "-m optimizer=sgd,adam optimizer.momentum=0.5": [["optimizer.momentum:"]],
    "trainer.max_epoch=3 --cfg job": [["did you mean trainer.max_epochs?"]],
    # It composes, and the check refuses it.
    "+foo=1": [["foo:", "nothing reads it"]],
    "+trainer.max_epoch=3": [["trainer.max_epoch:", "did you mean trainer.max_epochs?"]],
    "seed=x data.batch_size=0 optimizer.lr=abc": [["seed=x"], ["data.batch_size=0"], ["optimizer.lr=abc"]],
    "trainer.max_epochs=abc": [["trainer.max_epochs=abc", "integer"]],
    "trainer.max_epochs=abc scheduler=cosine": [["trainer.max_epochs=abc", "integer"]],
    "optimizer.lr=abc": [["optimizer.lr=abc", "number"]],
    "trainer.max_epochs=2.5 data.batch_size=None": [["trainer.max_epochs=2.5", "integer"], ["batch_size=None", "null"]],
    "trainer.max_epochs=null": [["trainer.max_epochs=null", "+trainer.max_steps"]],
    "+trainer.max_time=10": [["trainer.max_time=10", "{minutes:90}"]],
    "seed=${oc.env:HOME}": [["seed=/", "integer", "'seed=\"${oc.decode:${oc.env:HOME}}\"'"]],
    f"+callbacks.stop={STOP},monitor:val/loss}}": [["callbacks.stop.monitor=val/loss", "data.validation"]],
    f"model=spiral data.validation=0.2 +callbacks.stop={STOP},monitor:val/accuracy}}": [["did you mean val/acc?"]],
    "-m hydra/launcher=basic seed=1,2 sweep.objective=val/acc": [
        ["sweep.objective=val/acc", "val/mae"],
        ["Nothing was"],
    ],
    "-m hydra/launcher=basic seed=1,2 model=spiral sweep.objective=test/accuracy": [
        ["mean test/acc?"],
        ["Nothing was"],
    ],
    "data=colour_lines": [["data=colour_lines", "testing only", "data=..."]],
    "data.batch_size=0": [["data.batch_size=0", "greater than 0"]],
    "seed=x": [["seed=x", "integer"]],
    "seed=-1": [["seed=-1", "greater than or equal to 0"]],
    "optimizer.lr=-1": [["optimizer.lr=-1", "greater than 0"]],
    "optimizer.lr=null": [["optimizer.lr=null", "number"]],
    "threads=0": [["threads=0", "greater than 0", "auto"]],
    "trainer.max_epochs=0": [["trainer.max_epochs=0", "greater than 0", "-1"]],
    "data.validation=1": [["data.validation=1", "less than 1"]],
    "model=spiral data=multispiral": [["model.network", "data=multispiral", "3 classes"]],
    "model=multispiral model.network.classes=2": [["model.network.classes=2", "3 classes", "classes=3"]],
    "model=spiral model.network.activation=rleu": [["model.network.activation=rleu", "tanh", "did you mean relu?"]],
    "trainer.accelerator=foo": [["accelerator", "foo", "cpu"]],
    "checkpoint.every=0": [["checkpoint.every=0", "greater than 0", "auto"]],
    "optimizer.lr=${nothing}": [["optimizer.lr:", "nothing"]],
    "optimizer.lr=${nothing} seed=x": [["optimizer.lr:", "nothing"], ["seed=x"]],
    "~optimizer": [["optimizer:", "missing"]],
    "~threads": [["threads:", "missing"]],
    "model.network=cnn": [["model.network=cnn", "_target_"]],
    "hydra.run.dri=x": [["hydra.run.dri:", "hydra.run.dir"]],
    "data.test_x.foo=3": [["data.test_x.foo:"]],
    "also_test=[colour_linse]": [["data=colour_linse", "colour_lines"]],
    # The machine has none, which is told before files are looked for.
    "model=cnn trainer.accelerator=tpu data.mirrors=[] data.stand_in=null": [["trainer.accelerator=tpu", "it has cpu"]],
    "trainer.accelerator=CPU": [["trainer.accelerator=CPU", "did you mean cpu?"]],
    # It is built, and its parts do not go together, or are not for this machine.
    "data.validation=0.95": [["data.validation=0.95", "none of 5 samples"]],
    "trainer.accelerator=cpu trainer.devices=2 trainer.strategy=fsdp": [["trainer:", "fsdp", "GPU"]],
    "trainer.accelerator=cpu trainer.devices=[0]": [["trainer:", "devices", "int"]],
    "figures.only=[los]": [["figures.only", "did you mean loss?"]],
    "model=cnn data.mirrors=[] data.stand_in=number": [["data.stand_in", "data=number", "digits"]],
    "model=spiral also_test=[colour_lines,digits]": [["also_test", "SpiralNet", "data=digits"]],
    "resume=a,b": [["resume=a,b", "-m"]],
    "--config-dir=nowhere": [["nowhere", "not found"]],
    "resume=3": [["3:", "no such run folder"]],
    "resume=''": [["no run folder"]],
    # Before it looks for the files.
    "model=cnn also_test=[fashion_mnist,spiral] data.mirrors=[] data.stand_in=null": [["also_test", "data=spiral"]],
    "model=spiral data=mnist data.mirrors=[] data.stand_in=null": [["model.network", "data=mnist"]],
}
# What Lightning and PyTorch refuse when the training is about to begin, which has been said by then.
AT_THE_START = {
    "+optimizer.nesterov=true": [["optimizer:", "Nesterov"]],
    "scheduler=onecycle trainer.max_epochs=-1": [["scheduler", "trainer.max_epochs"]],
    "scheduler=onecycle trainer.max_epochs=null +trainer.max_time={minutes:1}": [["scheduler", "trainer.max_epochs"]],
    # Of 5 points, a twentieth is none.
    f"data.validation=0.05 +callbacks.stop={STOP},monitor:val/loss}}": [["EarlyStopping", "val/loss"]],
}


@pytest.fixture(scope="module")
def together(commands, tmp_path_factory):
    """All of them but the first few, by their arguments."""
    texts = [*TOGETHER, *AT_THE_START]
    argument_lists = [text.split() for text in texts]
    ends = commands.train_in_one_process(tmp_path_factory.mktemp("mistakes"), argument_lists)
    return dict(zip(texts, ends, strict=True))


def check(done, lines: list[list[str]], printed: str = "") -> None:
    assert done.code == 2
    assert "Traceback" not in done.out + done.err
    said = sorted(done.err.splitlines())
    assert len(said) == len(lines), done.err
    for names in lines:
        assert any(all(name in line for name in names) for line in said), (names, done.err)
    assert re.fullmatch(printed, done.out)
    assert not list(done.cwd.iterdir())


@pytest.mark.parametrize("arguments", OF_THEIR_OWN)
def test_a_process_for_a_mistake(train, tmp_path, arguments):
    check(train(tmp_path, *arguments.split()), OF_THEIR_OWN[arguments])


@pytest.mark.parametrize("arguments", TOGETHER)
def test_many_mistakes(together, arguments):
    check(together[arguments], TOGETHER[arguments])


@pytest.mark.parametrize("arguments", AT_THE_START)
def test_what_is_refused_when_training_is_about_to_begin(together, arguments):
    check(together[arguments], AT_THE_START[arguments], printed="Training linear: .*\n")


@pytest.mark.parametrize("arguments", ["model=cnnn", "trainer.max_epoch=3", "--help", "model=cnn --cfg job --resolve"])
def test_what_needs_no_torch_is_answered_without(commands, tmp_path, arguments):
    done, imported = commands.train_and_list_imports(tmp_path, *arguments.split())
    assert done.code == (0 if "--" in arguments else 2)
    assert not imported & {"torch", "pytorch_lightning", "tensorboard", "numpy"}
    assert not list(tmp_path.iterdir())


def test_a_traceback_is_there_for_who_wants_it(tmp_path):
    done = Process(tmp_path, TRAIN, "trainer.max_epoch=3", HYDRA_FULL_ERROR="1").finish()
    assert done.code == 1
    assert "Traceback" in done.err
    assert "ConfigCompositionException" in done.err


def test_a_run_that_is_refused_is_not_the_latest(train, default_run):
    """Found when its data are split, long after its folder was made."""
    latest = default_run.cwd / "outputs/runs/linear/latest"
    before = latest.readlink()
    assert train(default_run.cwd, "data.validation=0.95").code == 2
    assert latest.readlink() == before
    assert [run.path.name for run in default_run.runs] == [str(before)]


def test_a_folder_that_cannot_be_made_is_named(commands, tmp_path):
    (tmp_path / "outputs").symlink_to("unplugged")
    done = commands.train(tmp_path)
    assert done.code == 2
    assert re.fullmatch(r"hydra\.run\.dir: .*outputs.*\n", done.err)
    elsewhere = commands.train(tmp_path, "hydra.run.dir=outputs")
    assert elsewhere.code == 1
    assert "outputs" in elsewhere.err
    assert "Traceback" not in elsewhere.err


def test_a_run_is_never_written_over(train, default_run):
    before = {file: file.read_bytes() for file in default_run.run.path.rglob("*") if file.is_file()}
    done = train(default_run.cwd, "hydra.run.dir=outputs/runs/linear/latest", "seed=1")
    assert done.code == 2
    assert "resume=outputs/runs/linear/latest" in done.err
    log = default_run.run.path / "train.log"
    assert all(file.read_bytes() == content for file, content in before.items() if file != log)
    assert log.read_bytes().startswith(before[log])


def test_what_was_in_the_folder_before_stays_there(train, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("of the user")
    assert train(tmp_path, "hydra.run.dir=mine", "data.validation=0.95").code == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "of the user"
