"""The page: well-formed, whole in one file, and honest about what is missing."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hand_made_pages import page_of, write_outcomes
from PIL import Image

from littlenets.article.illustrations import SMALL_SIZE, SMALL_WIDTH, write_small
from littlenets.article.page import judge_all
from littlenets.article.statements import STATEMENTS

VOID = {"meta", "link", "img", "br", "wbr"}


class Reader(HTMLParser):
    """Every element with its attributes, and whether all were closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(write_outcomes(tmp_path_factory.mktemp("whole")))


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> str:
    missing = ("linear_learning_rates", "spiral_two_arms", "mnist_digits")
    return page_of(write_outcomes(tmp_path_factory.mktemp("gaps"), missing))


@pytest.mark.parametrize("name", ["whole", "gaps"])
def test_it_is_well_formed(request: pytest.FixtureRequest, name: str):
    reader = Reader(request.getfixturevalue(name))
    assert reader.wrong == []
    names = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {attributes["href"] for attributes in reader.all("a")} <= {f"#{name}" for name in names}


@pytest.mark.parametrize("name", ["whole", "gaps"])
def test_it_needs_no_other_file(request: pytest.FixtureRequest, name: str):
    page = request.getfixturevalue(name)
    reader = Reader(page)
    written_by_hand = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"https?:|[\"'(]//|@import|url\(", written_by_hand)
    assert not reader.all("script")
    assert [attributes["href"] for attributes in reader.all("link")] == ["data:,"]
    for image in reader.all("img"):
        kind, _, content = image["src"].partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as opened:
            opened.verify()
        assert kind in ("data:image/png", "data:image/gif")
        assert len(image["alt"].split()) > 3


def test_every_statement_stands_there_with_its_number_and_its_command(tmp_path: Path):
    outcomes = write_outcomes(tmp_path)
    judged, whole = judge_all(outcomes), page_of(outcomes)
    text = " ".join(Reader(whole).text.split())
    for one in judged:
        # In its chapter and in the table.
        assert text.count(one.statement.text) >= 2
        assert text.count(one.verdict.value) >= 2
        assert one.command in text
    assert "&lt;another&gt;" in whole


def test_it_counts_what_holds(tmp_path: Path):
    outcomes = write_outcomes(tmp_path, missing=("mnist_fast",))
    judged = judge_all(outcomes)
    text = Reader(page_of(outcomes)).text
    assert f"✓ {sum(one.verdict.holds is True for one in judged)} hold" in text
    assert f"✗ {sum(one.verdict.holds is False for one in judged)} do" in text
    assert f"– {sum(one.verdict.holds is None for one in judged)} not decided" in text


def test_what_could_not_be_run_is_a_gap(whole: str, gaps: str):
    assert whole.count('class="gap"') == 0
    text = Reader(gaps).text
    assert text.count("There is no run of this experiment.") == 3
    assert text.count("<no> data & no luck") == 3
    assert "A picture is missing here: Two interleaved spirals of points." in text
    without = [statement for statement in STATEMENTS if statement.experiment == "mnist_digits"]
    assert len(without) == 1
    assert text.count("– not decided") > 0


def test_pictures_of_the_readme_are_small(tmp_path: Path):
    large = tmp_path / "large.png"
    # Far more colours than such a size has room for.
    Image.effect_noise((1200, 1000), 60).convert("RGB").save(large)
    plain = tmp_path / "plain.png"
    Image.new("RGB", (1200, 600), "white").save(plain)
    written = write_small({"a": large, "b": plain}, tmp_path / "images")
    assert [path.name for path in written] == ["a.png", "b.png"]
    sizes = []
    for path in written:
        with Image.open(path) as opened:
            sizes.append(opened.size)
    assert sizes == [(SMALL_WIDTH, round(SMALL_WIDTH * 1000 / 1200)), (SMALL_WIDTH, SMALL_WIDTH // 2)]
    assert written[1].stat().st_size < SMALL_SIZE
