"""Reports in headless Chromium: errors, overflow, accessibility, hostile names, print."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser.sample_pages import write_pages

KINDS = ("run", "run without figures", "history", "comparison", "validation")
WIDTHS = (1280, 400)
SCHEMES = ("light", "dark")
AXE = Path(sys.prefix) / "pages" / "node_modules" / "axe-core" / "axe.min.js"
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
OVERFLOWING = """
const wide = document.documentElement.clientWidth + 0.5, found = [];
if (document.documentElement.scrollWidth > wide) found.push('the page itself');
for (const one of document.body.querySelectorAll('*')) {
  if (one.closest('.scroll, .hidden, svg')) continue;
  if (one.getBoundingClientRect().right > wide) found.push(one.outerHTML.slice(0, 200));
}
for (const drawing of document.querySelectorAll('svg')) {
  const frame = drawing.getBoundingClientRect();
  for (const text of drawing.querySelectorAll('text')) {
    const box = text.getBoundingClientRect();
    if (box.left < frame.left - 0.5 || box.right > frame.right + 0.5
        || box.top < frame.top - 0.5 || box.bottom > frame.bottom + 0.5)
      found.push('text of a drawing: ' + text.textContent);
  }
}
return found;
"""
FOREIGN = """
return [...document.querySelectorAll('script, img, iframe, object, link:not([rel=icon])')]
  .map(one => one.outerHTML).concat(performance.getEntriesByType('resource').map(one => one.name));
"""
HIDDEN_IN_PRINT = """
return [...document.querySelectorAll('details > :not(summary)')]
  .filter(one => !one.checkVisibility())
  .map(one => one.outerHTML.slice(0, 100));
"""

CUT_IN_PRINT = """
return [...document.querySelectorAll('table')]
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(one => one.caption.textContent + ': ' + one.rows[0].cells.length + ' columns');
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.starts_process,
    pytest.mark.skipif(
        importlib.util.find_spec("selenium") is None
        or not (shutil.which("chromium") and shutil.which("chromedriver") and AXE.exists()),
        reason="no selenium, chromium, chromedriver or axe-core: make test-pages installs them",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver  # noqa: PLC0415 - of make test-pages alone
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415 - the same

    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_pages(tmp_path_factory.mktemp("pages"))


def show(browser: Any, page: Path, width: int, scheme: str, media: str = "") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get(f"file://{page}")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_page_fits_loads_nothing_and_is_accessible(
    browser: Any, pages: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    show(browser, pages[kind], width, scheme)
    assert browser.execute_script(OVERFLOWING) == []
    browser.execute_script(OPEN_ALL)
    assert browser.execute_script(OVERFLOWING) == []
    assert browser.execute_script(FOREIGN) == []
    assert "evil" not in browser.title.partition("<")[0]
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    result = browser.execute_async_script("axe.run().then(arguments[0])")
    violations = [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]]
    assert violations == []
    assert len(result["passes"]) > 10
    assert browser.get_log("browser") == []


def test_hostile_names_are_shown_as_text(browser: Any, pages: dict[str, Path]) -> None:
    show(browser, pages["run"], 1280, "light")
    browser.execute_script(OPEN_ALL)
    assert "<script>document.title='evil'</script>" in browser.execute_script(
        "return document.body.innerText"
    )
    assert browser.title.startswith("kv_cache run ")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", KINDS)
def test_print_shows_what_is_folded_on_a_screen(
    browser: Any, pages: dict[str, Path], kind: str, scheme: str
) -> None:
    show(browser, pages[kind], 794, scheme, media="print")
    assert browser.execute_script(HIDDEN_IN_PRINT) == []
    assert browser.execute_script(CUT_IN_PRINT) == []
    paper = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(paper) == "rgb(255, 255, 255)"


def test_checks_of_this_module_can_fail(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><title>x</title><p style='width:2000px'>wide<img src='missing.png'>"
        "<svg width='50' height='20'><text x='40' y='15'>outside</text></svg>"
        "<details><div>hidden</div></details>"
    )
    show(browser, page, 400, "light", media="print")
    assert len(browser.execute_script(OVERFLOWING)) >= 2
    assert browser.execute_script(FOREIGN) != []
    assert browser.execute_script(HIDDEN_IN_PRINT) != []
    assert browser.get_log("browser") != []
