"""The page as a person sees it, in a Chromium without a window, on a desk and on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand_made_pages import page_of, write_outcomes

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
    # Playwright's own.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

# Elements with text of their own that does not fit into them, or into the page.
CLIPPED = """() => [...document.querySelectorAll("body *")].filter(element => {
  const own = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  if (!own || element.closest(".scroll")) return false;
  const box = element.getBoundingClientRect();
  const inline = getComputedStyle(element).display === "inline";
  return box.right > window.innerWidth + 0.5 || box.left < -0.5
    || (!inline && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1));
}).map(element => `${element.tagName}: ${element.textContent.trim().slice(0, 60)}`)"""

# Pairs of neighbours, each with text, that lie on each other.
OVERLAPPING = """() => {
  const boxes = [...document.querySelectorAll("p, h1, h2, h3, h4, dl, table, figure, li, .command")]
    .filter(element => !element.closest(".scroll")).map(element => [element, element.getBoundingClientRect()]);
  const found = [];
  for (const [one, a] of boxes) for (const [other, b] of boxes)
    if (one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING && !one.contains(other)
        && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
      found.push(`${one.textContent.trim().slice(0, 40)} / ${other.textContent.trim().slice(0, 40)}`);
  return found;
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    page = folder / "index.html"
    page.write_text(page_of(write_outcomes(folder / "runs", missing=("spiral_activations",))), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        # The sandbox does not work for root, as whom containers run; what is looked at is our own.
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_fits_and_is_whole(browser, file: Path, tmp_path: Path, width: int):
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(file.as_uri(), wait_until="load")
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    widths = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth)")
    assert len(widths) > 20
    assert all(widths)
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(OVERLAPPING) == []
    # What does not fit scrolls within itself.
    assert page.evaluate("[...document.querySelectorAll('table')].every(table => table.closest('.scroll'))")
    if width < 800:
        assert page.evaluate("(box => box.scrollWidth > box.clientWidth)(document.querySelector('.scroll'))")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert errors == []
    context.close()


def test_dark_where_the_reader_wants_it(browser, file: Path):
    brightness = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(file.as_uri())
        style = "(name => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).map(Number))"
        brightness[scheme] = [sum(page.evaluate(f"{style}('{name}')")) for name in ("backgroundColor", "color")]
        page.close()
    (light_back, light_text), (dark_back, dark_text) = brightness["light"], brightness["dark"]
    assert light_back > 600 > 200 > light_text
    assert dark_back < 200 < 600 < dark_text
