"""The report in a real browser, from files: no errors, no requests, accessible to all."""

import itertools
import json
import shutil
import time
from pathlib import Path

import pytest
from checkout import ROOT

PHONE = (375, 740)

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("chromium", "chromedriver"))),
    reason="needs Chromium and its driver (packages.apt)",
)


@pytest.fixture(scope="module")
def report(small):
    return small.build("local", "smoke") / "report"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()
    time.sleep(0.5)


def pages(report):
    return sorted(report.glob("*.html"))


def shown(browser, script, wanted):
    """What a script returns, once that is as wanted; after half a minute, as it is then."""
    end = time.monotonic() + 30
    while (texts := browser.execute_script(script)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return texts


def resize(browser, width, height):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 500),
    )


def requested(browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


def test_there_is_a_page_for_each_thing(report):
    names = {path.name for path in pages(report)}
    assert {
        "index.html",
        "toy_pipe_cost.html",
        "toy_pipe_cost-trail.html",
        "appendix.html",
        "compared.html",
        "gallery.html",
        "reproduce.html",
        "search.html",
    } <= names
    assert (report / "paper.pdf").read_bytes()[:4] == b"%PDF" and len(
        list(report.rglob("plotly*.js"))
    ) == 1
    page = (report / "toy_pipe_cost.html").read_text()
    for words in (
        "Verdicts",
        "how do you know?",
        "Compared with the reference",
        "Hosts and provenance",
        "toy/pipe_cost/trials.parquet",
        "The notebook, as it was run",
    ):
        assert words in page, words


def test_no_page_has_an_error_or_asks_for_anything_outside(report, browser):
    resize(browser, 1280, 900)
    for path in pages(report):
        browser.get_log("performance"), browser.get_log("browser")
        browser.get(path.as_uri())
        browser.execute_script("return document.readyState")
        time.sleep(0.3)
        assert [
            entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
        ] == [], path.name
        outside = [
            url for url in requested(browser) if not url.startswith((report.as_uri(), "data:"))
        ]
        assert outside == [], (path.name, outside)


def test_every_link_leads_somewhere(report, browser):
    for path in pages(report):
        browser.get(path.as_uri())
        links = browser.execute_script(
            "return [...document.querySelectorAll('a[href]')].map(a => a.href)"
        )
        for link in set(links):
            target, _, anchor = link.partition("#")
            assert target.startswith(report.as_uri()), (path.name, link)
            file = Path(target.removeprefix("file://"))
            assert file.exists(), (path.name, link)
            if anchor and file.suffix == ".html":
                assert f'id="{anchor}"' in file.read_text(), (path.name, link)


def test_the_figures_can_be_explored(report, browser):
    resize(browser, 1280, 900)
    browser.get((report / "toy_pipe_cost.html").as_uri())
    assert shown(browser, "return typeof Plotly", "undefined") == "undefined"  # until asked for
    browser.execute_script("document.querySelector('[data-explore]').click()")
    drawn = (
        "return [...document.querySelectorAll('.plot')].map(p => p.data?.map(t => [t.name, "
        "t.x.length]))"
    )
    both = [["null", 2], ["pipe", 2], ["null, reference", 2], ["pipe, reference", 2]]
    wanted = [both]
    assert shown(browser, drawn, wanted) == wanted
    assert shown(browser, "return document.querySelectorAll('.plot .main-svg').length > 0", True)


def test_the_first_page_answers_before_it_lists(report, browser):
    """A card of the family, then findings before checks, then what was not measured."""
    browser.get((report / "index.html").as_uri())
    ask = browser.execute_script
    [card] = ask("return [...document.querySelectorAll('.card')].map(c => c.innerText)")
    assert "What does" in card and "takes longer" in card and "more on toy/pipe_cost" in card
    heads = ask("return [...document.querySelectorAll('h2')].map(h => h.innerText)")
    places = [heads.index(head) for head in ("Verdicts", "Experiments")]
    assert places == sorted(places) and any("what it would take" in head for head in heads)
    picture = ask("return document.querySelector('.card img').naturalWidth")
    assert picture > 100, "the card shows no figure"


def test_names_can_be_copied_and_found(report, browser):
    browser.get((report / "gallery.html").as_uri())
    ask = browser.execute_script
    copied = "window.copied = []; document.execCommand = c => window.copied.push(c); "
    copied += "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
    ask(copied + "document.querySelector('[data-copy]').click()")
    assert shown(browser, "return window.copied.length", 1) == 1
    names = ask("return [...document.querySelectorAll('[data-copy]')].map(b => b.dataset.copy)")
    assert any(name.startswith(r"\exhibitfigure{") for name in names)
    assert any(name.startswith(r"\result{") for name in names)
    typed = "const i = document.querySelector('[data-find]'); i.value = 'noise'; "
    ask(typed + "i.dispatchEvent(new Event('input'))")
    left = ask(
        "return [...document.querySelectorAll('[data-exhibit]')].filter(e => !e.hidden).length"
    )
    assert 0 < left < len(names) and str(left) in ask(
        "return document.querySelector('.filtered').innerText"
    )


def test_each_figure_has_the_commands_that_make_it_again(report):
    text = (report / "reproduce.html").read_text()
    for command in ("figures --from reference", "figures --scale quick", "benchpaper compare"):
        assert command in text


def test_it_can_be_searched_without_a_server(report, browser):
    browser.get((report / "search.html").as_uri() + "?q=pipe")
    found = "return document.querySelectorAll('#search-results li a').length > 0"
    assert shown(browser, found, True)


def test_no_page_is_heavier_than_three_megabytes(report, browser):
    """With all that it loads by itself; plots load their library only when asked to."""
    for path in pages(report):
        browser.get_log("performance")
        browser.get(path.as_uri())
        time.sleep(0.2)
        files = {url.partition("?")[0].partition("#")[0] for url in requested(browser)}
        loaded = [Path(url.removeprefix("file://")) for url in files if url.startswith("file:")]
        assert sum(file.stat().st_size for file in loaded if file.exists()) < 3e6, path.name


def test_keyboard_and_screen_reader(report, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    resize(browser, 1280, 900)
    for path in pages(report):
        browser.get(path.as_uri())
        ask = browser.execute_script
        assert ask("return document.documentElement.lang") == "en" and browser.title
        assert ask("return document.querySelectorAll('h1').length") >= 1
        assert ask("return document.querySelectorAll('main, [role=main]').length") == 1, path.name
        assert ask("return document.querySelectorAll('nav, [role=navigation]').length") >= 1, (
            path.name
        )
        assert ask("return [...document.images].filter(i => !i.alt).length") == 0
        nameless = (
            "return [...document.querySelectorAll('a[href], button, "
            "input:not([type=hidden])')].filter(e => !(e.textContent.trim() || e.ariaLabel || "
            "e.querySelector('img[alt]') || e.getAttribute('aria-labelledby') || "
            "(e.type === 'submit' && e.value) || "
            "e.labels?.length || e.placeholder)).map(e => e.outerHTML)"
        )
        assert ask(nameless) == [], path.name
        assert (
            ask(
                "return [...document.querySelectorAll('[id]')].length - new "
                "Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
            )
            == 0
        ), path.name
        assert ask("return document.querySelectorAll('.scrolls th:not([scope])').length") == 0
        assert (
            ask(
                "return [...document.querySelectorAll('[tabindex]')].filter(e => e.tabIndex "
                "> 0).length"
            )
            == 0
        )  # order is the page's
        browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        assert browser.switch_to.active_element.text.startswith("Skip"), path.name
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert ask("return location.hash") == "#content"


FAINT = r"""
const rgb = c => (c.match(/[\d.]+/g) || []).map(Number);
const linear = v => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
const lum = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
function behind(e) {
  for (; e; e = e.parentElement) {
    const b = rgb(getComputedStyle(e).backgroundColor);
    if (b.length === 3 || b[3] > 0.5) return b;
  }
  return [255, 255, 255];
}
const faint = {};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  const hidden = e.closest("script, style, svg") || !e.getClientRects().length;
  if (!walk.currentNode.data.trim() || hidden) continue;
  const a = lum(rgb(getComputedStyle(e).color)), b = lum(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const look = e.className + " " + getComputedStyle(e).color;
  if (ratio < 4.5) faint[look] = walk.currentNode.data + " " + ratio.toFixed(2);
}
return faint;
"""


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_words_have_enough_contrast(report, browser, look):
    """Every word of every page against what is behind it, at least 4.5 to 1 (WCAG 2.1, 1.4.3)."""
    for path in pages(report):
        browser.get(path.as_uri())
        browser.execute_script(f"document.documentElement.dataset.theme = '{look}'")
        assert browser.execute_script(FAINT) == {}, path.name


def test_the_reader_chooses_light_or_dark(report, browser):
    browser.get((report / "index.html").as_uri())
    ask = browser.execute_script
    background = "return getComputedStyle(document.body).backgroundColor"
    before = ask(background)
    ask("document.querySelector('button.theme').click()")
    assert ask(background) != before
    ask("document.querySelector('button.theme').click()")
    assert ask(background) == before


def test_headings_are_in_order_and_every_page_leads_to_the_first(report, browser):
    for path in pages(report):
        browser.get(path.as_uri())
        levels = browser.execute_script(
            "return [...document.querySelectorAll('h1, h2, h3, h4, h5')].map(h => +h.tagName[1])"
        )
        assert levels.count(1) == 1 and all(
            after <= before + 1 for before, after in itertools.pairwise(levels)
        ), path.name
        links = browser.execute_script(
            "return [...document.querySelectorAll('[role=navigation] a')].map(a => a.href)"
        )
        assert any(link.partition("#")[0] == (report / "index.html").as_uri() for link in links), (
            path.name
        )


def test_a_figure_of_several_metrics_lets_one_choose():
    """The plot of each is there, its values in the table; a single metric offers no choice."""
    from benchpaper.analysis import estimates
    from benchpaper.analysis.manifests import FileExhibit
    from benchpaper.paper.html import pages as texts
    from benchpaper.paper.html import plots

    results = estimates.load("multiprotocol/anomalies", ROOT / "artifacts" / "reference" / "local")
    cells = list(results.cells()["cell"])
    for metrics in (["stale_file_read", "lost_update"], ["lost_update"]):
        some = FileExhibit(
            kind="figure", file="some.pdf", missing="", metrics=tuple(metrics), cells=tuple(cells)
        )
        drawn = plots.figure(results, some)
        assert [name.split()[0] for name in drawn.plots] == metrics
        assert {metric.split()[0] for metric, *_ in drawn.rows} == set(metrics)
        lines = drawn.plots[f"{metrics[0]} (1)"]["data"]
        assert {line["mode"] for line in lines} == {"markers"}  # x is a name
        beside = plots.figure(results, some, results).plots[f"{metrics[0]} (1)"]["data"]
        assert len(beside) == 2 * len(lines) and beside[-1]["name"].endswith(", reference")
        assert beside[-1]["marker"]["symbol"].endswith("-open")
        page = texts._interactive("some", drawn, "Figure some")
        assert (
            page.count("<option>") == (2 if len(metrics) == 2 else 0)
            and page.count("<select") == len(metrics) - 1
        )


def test_readable_on_a_phone(report, browser):
    resize(browser, *PHONE)
    for path in pages(report):
        browser.get(path.as_uri())
        width = shown(browser, "return document.documentElement.scrollWidth", PHONE[0])
        wide = (
            "return [...document.querySelectorAll('*')].filter(e => "
            "e.getBoundingClientRect().right > 376 && !e.closest('.scrolls, pre, .highlight, "
            "svg')).map(e => e.tagName + '.' + e.className).slice(0, 5)"
        )
        assert width <= PHONE[0], (path.name, width, browser.execute_script(wide))
        assert (
            float(
                browser.execute_script(
                    "return parseFloat(getComputedStyle(document.querySelector('.body "
                    "p')).fontSize)"
                )
            )
            >= 14
        )
        hidden = (
            "return [...document.querySelectorAll('.scrolls')].filter(e => e.scrollWidth > "
            "e.clientWidth + 1).length"
        )
        assert shown(browser, hidden, 0) == 0, path.name  # each row of a table is a block there
