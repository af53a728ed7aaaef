"""--help, --cfg job and shell completion: what a command says of itself."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from conftest import TRAIN, Process
from hydra import compose, initialize_config_dir

from littlenets.runs import resolvers

CONF = TRAIN.parent / "conf"
GROUPS = ("model", "data", "optimizer", "scheduler", "logger", "callbacks", "figures", "trainer", "experiment")
TOOLS = ("evaluate", "predict", "report")


@pytest.fixture(scope="module")
def help_page(train, tmp_path_factory) -> str:
    done = train(tmp_path_factory.mktemp("help"), "--help")
    assert (done.code, done.err) == (0, "")
    return done.out


def meaning(file: Path) -> str:
    """The first comment that says what a file is for."""
    comments = [line[1:].strip() for line in file.read_text().splitlines() if line.startswith("#")]
    return next(text for text in comments if text and not text.startswith(("@package", "python train.py")))


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_has_a_line(help_page, group):
    files = sorted(CONF.glob(f"{group}/*.yaml"))
    assert files
    lines = help_page.split(f"\n{group}=\n")[1].splitlines()
    for file, line in zip(files, lines, strict=False):
        assert re.fullmatch(rf"[ *] {file.stem} +{re.escape(meaning(file))}", line)


def test_the_choices_that_would_be_taken_are_marked(help_page):
    marked = re.findall(r"^\* (\w+)", help_page, flags=re.MULTILINE)
    assert {"linear", "line", "sgd", "none", "tensorboard", "default", "all"} == set(marked)


def test_it_is_as_wide_as_a_terminal(help_page):
    assert max(map(len, help_page.splitlines())) <= 80


def test_the_examples_compose(help_page):
    examples = help_page.split("Examples\n")[1].strip().splitlines()
    assert len(examples) == 6
    resolvers.register()
    for example in examples:
        _python, script, *arguments = shlex.split(re.sub(r" {3,}.*", "", example.strip()))
        assert script == "train.py"
        sweep = "-m" in arguments
        # Of a sweep, its first point.
        overrides = [text.split(",")[0] if sweep else text for text in arguments if text != "-m"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            compose("train", overrides=overrides)


def test_settings_are_shown_with_their_defaults(train, tmp_path, help_page):
    assert re.search(r"^  trainer\.max_epochs=200 ", help_page, flags=re.MULTILINE)
    assert re.search(r"^  data\.batch_size=null ", help_page, flags=re.MULTILINE)
    spiral = train(tmp_path, "--help", "model=spiral", "optimizer.lr=0.5").out
    for shown in ("trainer.max_epochs=10000", "optimizer.lr=0.5", "model.network.hidden=[64,64]", "seed=0"):
        assert re.search(rf"^  {re.escape(shown)} ", spiral, flags=re.MULTILINE)
    assert not list(tmp_path.iterdir())


def test_the_configuration_of_a_run_is_shown_as_yaml(train, tmp_path):
    done = train(tmp_path, "model=cnn", "--cfg", "job", "--resolve")
    assert (done.code, done.err) == (0, "")
    shown = yaml.safe_load(done.out)
    assert "hydra" not in shown
    assert "${" not in done.out
    assert shown["model"]["network"]["channels"] == [32, 64]
    assert shown["data"]["seed"] == shown["seed"] == 0
    assert not list(tmp_path.iterdir())


def test_nothing_is_made_where_hydras_part_is_shown(train, tmp_path):
    """Which says where a run would go."""
    done = train(tmp_path, "--cfg", "all", "--resolve")
    assert (done.code, done.err) == (0, "")
    assert yaml.safe_load(done.out)["hydra"]["run"]["dir"].startswith("outputs/runs/linear/2")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def tool_pages(commands, tmp_path_factory) -> dict[str, str]:
    """What `--help` prints, by the name of the command."""
    cwd = tmp_path_factory.mktemp("tools")
    under_way = {tool: commands.start_python(cwd, TRAIN.with_name(f"{tool}.py"), "--help") for tool in TOOLS}
    pages = {}
    for tool, process in under_way.items():
        done = process.finish()
        assert (done.code, done.err) == (0, "")
        pages[tool] = done.out
    assert not list(cwd.iterdir())
    return pages


@pytest.mark.parametrize("tool", TOOLS)
def test_every_setting_of_a_tool_has_a_line(tool_pages, tool):
    page = tool_pages[tool]
    settings = yaml.safe_load((CONF / f"{tool}.yaml").read_text())
    for key in settings.keys() - {"defaults"}:
        value = {None: "null", True: "true", "???": "..."}.get(settings[key] or None, settings[key])
        value = "[]" if settings[key] == [] else value
        assert re.search(rf"^  {key}={re.escape(str(value))} +\w", page, flags=re.MULTILINE), key
    assert "Powered by Hydra" not in page
    assert max(map(len, page.splitlines())) <= 80


def test_evaluate_lists_the_data(tool_pages):
    for file in CONF.glob("data/*.yaml"):
        assert re.search(rf"^  {file.stem} +{re.escape(meaning(file))}$", tool_pages["evaluate"], flags=re.MULTILINE)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_examples_of_a_tool_compose(tool_pages, tool):
    examples = [line.strip() for line in tool_pages[tool].split("Examples")[1].splitlines()[1:] if line.strip()]
    assert len(examples) >= 2
    resolvers.register()
    for example in examples:
        _python, script, *overrides = shlex.split(example)
        assert script == f"{tool}.py"
        with initialize_config_dir(str(CONF), version_base="1.3"):
            compose(tool, overrides=overrides)


def test_the_shell_completes_choices_and_settings(tmp_path):
    for typed, offered in [
        ("model=", {f"model={file.stem}" for file in CONF.glob("model/*.yaml")}),
        ("model=cnn optimizer.l", {"optimizer.lr="}),
        ("experiment=spiral_on", {"experiment=spiral_on_lines"}),
    ]:
        line = f"python train.py {typed}"
        query = Process(tmp_path, TRAIN, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
        done = query.finish()
        assert done.code == 0, done.err
        assert set(done.out.split()) == offered
