"""Wrong settings: one message that names the setting and what would work, exit code 2, nothing trained."""

import pytest

# The arguments, and what the message must name.
OF_THEIR_OWN = {
    "model=cnnn": ["model/cnnn", "cnn", "linear", "multispiral", "spiral"],
    "model=cnn data=spiral": ["model.network", "data=spiral", "data=...", "model=..."],
    "+trainer.max_epoch=3": ["trainer.max_epoch:", "trainer.max_epochs"],
    "seed=x data.batch_size=0 optimizer.lr=abc": ["seed=x", "data.batch_size=0", "optimizer.lr=abc"],
}
TOGETHER = {
    "optimizer.lr=abc": ["optimizer.lr=abc", "number"],
    "data=colour_lines": ["data=colour_lines", "testing only", "data=..."],
    "data.batch_size=0": ["data.batch_size=0", "greater than 0"],
    "seed=x": ["seed=x", "integer"],
    "seed=-1": ["seed=-1", "greater than or equal to 0"],
    "optimizer.lr=-1": ["optimizer.lr=-1", "greater than 0"],
    "optimizer.lr=null": ["optimizer.lr", "number"],
    "threads=0": ["threads=0", "greater than 0", "auto"],
    "trainer.max_epochs=0": ["trainer.max_epochs=0", "greater than 0", "-1"],
    "trainer.max_epoch=3": ["trainer.max_epoch", "trainer.max_epochs"],
    "data=mnits": ["data/mnits", "mnist", "digits"],
    "data.validation=1": ["data.validation=1", "less than 1"],
    "model=spiral data=multispiral": ["model.network", "data=multispiral", "3 classes"],
    "model=spiral model.network.activation=gelu": ["model.network.activation=gelu", "relu", "tanh", "sigmoid"],
    "trainer.accelerator=foo": ["accelerator", "foo", "cpu"],
    "checkpoint.every=0": ["checkpoint.every=0", "greater than 0", "auto"],
    "optimizer.lr=0.1,0.2": ["optimizer.lr=0.1,0.2", "--multirun"],
    "optimizer.lr=${nothing}": ["optimizer.lr", "nothing"],
    "logger=null": ["logger", "none"],
}


@pytest.fixture(scope="module")
def together(commands, tmp_path_factory):
    """All of TOGETHER, by their arguments."""
    argument_lists = [text.split() for text in TOGETHER]
    ends = commands.train_in_one_process(tmp_path_factory.mktemp("mistakes"), argument_lists)
    return dict(zip(TOGETHER, ends, strict=True))


def check(done, named: list[str]) -> None:
    assert done.code == 2
    assert "Traceback" not in done.out + done.err
    for name in named:
        assert name in done.err
    # What Hydra says of a choice that does not exist lists the choices and where it looked.
    assert len(done.err.splitlines()) <= 16
    assert done.out == ""
    assert "completed" not in done.statuses
    assert not list(done.cwd.glob("outputs/**/*.ckpt"))


@pytest.mark.parametrize("arguments", OF_THEIR_OWN)
def test_a_process_for_a_mistake(train, tmp_path, arguments):
    check(train(tmp_path, *arguments.split()), OF_THEIR_OWN[arguments])


@pytest.mark.parametrize("arguments", TOGETHER)
def test_many_mistakes(together, arguments):
    check(together[arguments], TOGETHER[arguments])


def test_a_typo_is_answered_without_importing_what_trains(commands, tmp_path):
    done, imported = commands.train_and_list_imports(tmp_path, "model=cnnn")
    assert done.code == 2
    assert not imported & {"torch", "pytorch_lightning", "tensorboard"}
    assert not list(tmp_path.iterdir())
