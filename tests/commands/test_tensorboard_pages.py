"""TensorBoard on a folder of finished runs, as a person sees it: the real one, in a Chromium without a window."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
RUNS = [
    ["trainer.max_epochs=60", "figures=none"],
    [
        *("model=spiral", "data.n_points=100", "data.validation=0.2", "trainer.max_epochs=40", "seed=7"),
        *("histograms=true", "gradient_norm=true", "figures=all"),
    ],
    [
        *("model=cnn", "data=digits", "data.batch_size=50", "trainer.max_epochs=2"),
        *("model.network.channels=[4,8]", "model.network.hidden=[16]", "figures=none"),
    ],
    ["-m", "optimizer.lr=0.01,0.02", "trainer.max_epochs=20,30", "figures=none"],
]
JOBS = [(lr, epochs) for lr in ("0.01", "0.02") for epochs in (20, 30)]
# TensorBoard follows links, so that it shows what is the latest of a folder twice; here, that is everything.
NAMES = [
    f"{name}/tensorboard/{label}"
    for at in ("AT", "latest")
    for name, label in (
        (f"0/outputs/runs/linear/{at}", "max_epochs=60"),
        (f"1/outputs/runs/spiral/{at}", "n_points=100, validation=0.2, max_epochs=40, seed=7"),
        (f"2/outputs/runs/cnn/{at}", "data=digits, batch_size=50, max_epochs=2, channels=[4,8], hidden=[16]"),
        *(
            (
                f"3/outputs/sweeps/linear/{at}/{number}_optimizer.lr-{lr}_trainer.max_epochs-{epochs}",
                f"lr={lr}, max_epochs={epochs}",
            )
            for number, (lr, epochs) in enumerate(JOBS)
        ),
    )
]
# Milliseconds that a page may take; the machine may be busy.
PATIENCE = 15_000
# A page of TensorBoard loads each curve with a request of its own; one that got lost is not sent again.
TIMES_OPENED = 4

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
    # Playwright's own.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def finished(commands, tmp_path_factory) -> Path:
    """A folder with three runs and a sweep of four."""
    folder = tmp_path_factory.mktemp("finished")
    for done in commands.train_in_one_process(folder, RUNS):
        assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def address(finished: Path) -> Iterator[str]:
    """Of a TensorBoard that shows that folder."""
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(finished),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with (finished / "tensorboard.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield find_address(process, finished / "tensorboard.log")
    finally:
        process.terminate()
        process.wait(30)


def find_address(process: subprocess.Popen, log: Path) -> str:
    until = time.monotonic() + PATIENCE / 1000
    while not (found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    return found[0]


@pytest.fixture(scope="module")
def page(address: str):
    """A browser's page, with all runs loaded."""
    playwright = pytest.importorskip("playwright.sync_api")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + PATIENCE / 1000
    while opener.open(f"{address}data/runs").read().count(b'"') < 2 * len(NAMES):
        assert time.monotonic() < until
        time.sleep(0.2)
    with playwright.sync_playwright() as started:
        # The sandbox does not work for root, as whom containers run; what is looked at is our own.
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


class Look:
    """TensorBoard's pages, and what is written on them."""

    def __init__(self, page, address: str) -> None:
        self.page, self._address = page, address

    def open(self, tab: str) -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{self._address}#{tab}")

    def texts(self, selector: str) -> list[str]:
        """What the matching elements say, in one line each; an element's shadows are not its own text."""
        return [" ".join((text or "").split()) for text in self.page.locator(selector).all_inner_texts()]

    def open_for_texts(self, tab: str, selector: str, enough: Callable[[list[str]], bool]) -> list[str]:
        """Opens a tab and waits for texts; once more where they do not come, as a person would."""
        for _ in range(TIMES_OPENED):
            self.open(tab)
            if enough(texts := self.wait_for_texts(selector, enough)):
                break
        return texts

    def wait_for_texts(self, selector: str, enough: Callable[[list[str]], bool]) -> list[str]:
        """The same, as soon as they are as they should be, or as they are when patience ends."""
        until = time.monotonic() + PATIENCE / 1000
        while not enough(texts := self.texts(selector)) and time.monotonic() < until:
            self.page.wait_for_timeout(100)
        return texts


@pytest.fixture
def look(page, address: str, tmp_path: Path) -> Iterator[Look]:
    """Leaves a screenshot of how the page was left in tmp_path."""
    yield Look(page, address)
    page.screenshot(path=tmp_path / "page.png")


def test_every_run_is_listed_by_its_folder(look: Look):
    names = look.open_for_texts(
        "timeseries", "runs-data-table tb-data-table-content-row", lambda texts: len(texts) >= len(NAMES)
    )
    assert sorted(re.sub(r"/2\d{3}-[\d_-]+-[0-9a-f]{4}/", "/AT/", name) for name in names) == sorted(NAMES)


def test_curves_are_drawn(look: Look):
    look.open("timeseries")
    look.page.locator("scalar-card").first.wait_for()
    look.page.locator("metrics-tag-filter input").fill("^(train/(loss|batch_loss)|gradient_norm)$")
    # Only the ends of long names are kept in one piece.
    expected = ["gradient_norm", "train /batch_loss", "train /loss"]
    found = "metrics-filtered-view scalar-card"
    assert look.wait_for_texts(f"{found} tb-truncated-path", lambda texts: texts == expected) == expected
    # Below the curves there is one row a run.
    for card, runs in enumerate((2, 2, 14)):
        rows = f"{found} >> nth={card} >> tb-data-table-content-row"
        assert len(look.wait_for_texts(rows, lambda texts, runs=runs: len(texts) == runs)) == runs
    assert look.page.locator(f"{found} line-chart").count() == 3


def test_figures_have_a_slider_through_training(look: Look):
    look.open("timeseries")
    look.page.locator("scalar-card").first.wait_for()
    look.page.locator("metrics-tag-filter input").fill("^figures/regions$")
    found = "metrics-filtered-view image-card:has-text('/latest/')"
    card = look.page.locator(found)
    card.locator("img").wait_for()
    # In pixels; 0 where it has not been loaded.
    assert card.locator("img").evaluate("picture => picture.decode().then(() => picture.naturalWidth)") >= 600
    slider = card.locator("input[type=range]")
    pictures = int(slider.get_attribute("max")) + 1
    assert pictures > 5
    (last,) = look.texts(found)
    slider.press("ArrowLeft")
    (before,) = look.wait_for_texts(found, lambda texts: texts != [last])
    last_step, step_before = (int(text.rpartition("Step ")[2]) for text in (last, before))
    assert 0 <= step_before < last_step <= 40


def test_training_and_validation_share_a_chart(look: Look):
    expected = {
        **{("train", "loss"): 14, ("val", "loss"): 2},
        **{("train", "acc"): 4, ("val", "acc"): 2},
    }

    def curves(texts: list[str]) -> Counter:
        matches = (re.fullmatch(r"\W*(train|val)/(\w+) \(([^()]*)\)", text) for text in texts)
        return Counter((stage, name) for stage, name, _ in {match.groups() for match in matches if match})

    texts = look.open_for_texts(
        "custom_scalars", "tf-custom-scalar-multi-line-chart-card div", lambda texts: curves(texts) == expected
    )
    assert curves(texts) == expected


def test_the_table_of_hyperparameters_is_filled(look: Look, finished: Path):
    results = [json.loads(path.read_text()) for path in finished.glob("*/outputs/**/results.json")]
    # As TensorBoard writes numbers.
    losses = {f"{run['metrics']['test/loss']:#.5g}" for run in results}
    assert len(losses) > 4
    cells = look.open_for_texts(
        "hparams", "tf-hparams-table-view vaadin-grid-cell-content", lambda texts: losses <= set(texts)
    )
    assert losses <= set(cells)
    # The settings that differ come first.
    assert cells[2 : cells.index("test/loss")][:5] == ["data", "hidden", "lr", "max_epochs", "model"]
    offered = set(look.texts("tf-hparams-query-pane div"))
    assert {"train/loss", "val/acc", "weight"} <= offered | set(cells)
    for text in (*offered, *cells):
        assert "hp_metric" not in text
        assert "_target_" not in text


def test_the_text_card_is_on_the_page(look: Look):
    cards = look.open_for_texts(
        "text", "tf-text-loader tf-markdown-view #markdown", lambda texts: any("model=spiral" in text for text in texts)
    )
    card, same = (card for card in cards if "model=spiral" in card)
    assert same == card
    assert re.search(r"command: python train\.py model=spiral data\.n_points=100 .*gradient_norm=true", card)
    assert "data: spiral " in card
    assert "git commit: " in card
    assert re.search(r"Python 3\.\d+\.\d+, torch \d", card)


def test_the_graph_is_on_the_page(look: Look):
    look.open("graphs")
    networks = {"CNN", "SpiralNet", "LinearRegression"}
    look.page.locator("tf-graph-scene svg text").filter(has_text=re.compile("|".join(networks))).first.wait_for(
        state="attached"
    )


def test_histograms_are_on_the_page(look: Look):
    titles = look.open_for_texts(
        "histograms", "tf-histogram-loader tf-card-heading div", lambda texts: any("gradients/" in t for t in texts)
    )
    assert "tag: gradients/layers.0.bias" in titles
    look.page.locator("tf-histogram-loader svg path").first.wait_for(state="attached")
