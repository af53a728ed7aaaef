"""Links and commands of README.md and docs/: each leads somewhere, each composes and passes the check of settings."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import composing
import pages
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from littlenets.config.check import find_problems

SHOWN = [(page, words) for page in pages.PAGES for words in pages.commands(page)]
# Launchers that are installed for a cluster.
ELSEWHERE = "hydra/launcher=submitit_slurm"


def points(overrides: list[str]) -> Iterator[list[str]]:
    """The overrides of each run of a sweep."""
    with initialize_config_dir(str(composing.CONF), version_base="1.3"):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        lists = [
            [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
            if override.is_sweep_override()
            else [override.input_line]
            for override in parser.parse_overrides(overrides)
        ]
    yield from (list(point) for point in itertools.product(*lists))


def anchors(page: Path) -> set[str]:
    """What a link can name of a page: its headings, in small letters and with dashes."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages.PAGES)
def test_its_links_lead_somewhere(page: str):
    links = re.findall(r"\]\(([^)\s]+)\)", pages.PAGES[page])
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (pages.REPOSITORY / page).parent / name
        assert target.is_file()
        assert not anchor or anchor in anchors(target)


def test_there_are_commands_on_the_pages():
    assert {page for page, _ in SHOWN} >= {"README.md", "docs/lesson.md", "docs/predict.md", "docs/runs.md"}
    assert len(SHOWN) > 40


@pytest.mark.parametrize(("page", "words"), SHOWN, ids=[f"{page}: {shlex.join(words)}" for page, words in SHOWN])
def test_it_composes(page: str, words: list[str]):
    _, script, *arguments = itertools.takewhile(lambda word: word not in ("<", ">"), words)
    # A GPU is what somebody may have. What like=RUN stands for is in that run's folder.
    overrides = [word.replace("=gpu", "=auto") for word in arguments if not word.startswith(("-", "like="))]
    if script != "train.py":
        with initialize_config_dir(str(composing.CONF), version_base="1.3"):
            assert compose(Path(script).stem, overrides=overrides)
        return
    if ELSEWHERE in overrides:
        pytest.skip("needs a launcher that is installed for a cluster")
    for point in points(overrides):
        config = composing.compose_config(*point)
        # What a resumed run is trained with stands in its folder.
        assert config.resume or find_problems(config) == []
