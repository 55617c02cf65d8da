"""The report in a real browser, from the file system: no error, no request, and of use to all who read it."""

import json
import shutil
import time
from pathlib import Path

import pytest

PHONE = (375, 740)

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("chromium", "chromedriver"))), reason="needs Chromium and its driver (packages.apt)"
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
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--window-size=1280,900", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()
    time.sleep(0.5)


def pages(report):
    return sorted(report.glob("*.html"))


def resize(browser, width, height):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 500))


def requested(browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def test_there_is_a_page_for_each_thing(report):
    names = {path.name for path in pages(report)}
    assert {"index.html", "toy_pipe_cost.html", "toy_pipe_cost-trail.html", "appendix.html"} <= names
    assert (report / "paper.pdf").read_bytes()[:4] == b"%PDF" and len(list(report.rglob("plotly*.js"))) == 1
    page = (report / "toy_pipe_cost.html").read_text()
    for words in ("Verdicts", "how do you know?", "Beside the reference", "Hosts and provenance", "toy/pipe_cost/trials.parquet", "The notebook, as it was run"):
        assert words in page, words


def test_no_page_has_an_error_or_asks_for_anything_outside(report, browser):
    resize(browser, 1280, 900)
    for path in pages(report):
        browser.get_log("performance"), browser.get_log("browser")
        browser.get(path.as_uri())
        browser.execute_script("return document.readyState")
        time.sleep(0.3)
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == [], path.name
        outside = [url for url in requested(browser) if not url.startswith((report.as_uri(), "data:"))]
        assert outside == [], (path.name, outside)


def test_every_link_leads_somewhere(report, browser):
    for path in pages(report):
        browser.get(path.as_uri())
        links = browser.execute_script("return [...document.querySelectorAll('a[href]')].map(a => a.href)")
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
    time.sleep(0.5)
    drawn = browser.execute_script("return [...document.querySelectorAll('.plot')].map(p => p.data.map(t => [t.name, t.x.length]))")
    assert drawn == [[["null", 2], ["pipe", 2]]]
    assert browser.execute_script("return document.querySelectorAll('.plot .main-svg').length") > 0


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
        assert ask("return document.querySelectorAll('nav, [role=navigation]').length") >= 1, path.name
        assert ask("return [...document.images].filter(i => !i.alt).length") == 0
        nameless = "return [...document.querySelectorAll('a[href], button, input:not([type=hidden])')].filter(e => !(e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-labelledby') || (e.type === 'submit' && e.value) || e.labels?.length || e.placeholder)).map(e => e.outerHTML)"
        assert ask(nameless) == [], path.name
        assert ask("return [...document.querySelectorAll('[id]')].length - new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == 0, path.name
        assert ask("return document.querySelectorAll('.scrolls th:not([scope])').length") == 0
        assert ask("return [...document.querySelectorAll('[tabindex]')].filter(e => e.tabIndex > 0).length") == 0  # order is the page's
        browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        assert browser.switch_to.active_element.text.startswith("Skip"), path.name
        browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert ask("return location.hash") == "#content"


def test_the_words_have_enough_contrast(report, browser):
    """Of links and verdicts against white, at least 4.5 to 1 (WCAG 2.1, 1.4.3)."""
    browser.get((report / "index.html").as_uri())
    colours = browser.execute_script("return [...document.querySelectorAll('.verdict, .body a, .body p')].map(e => getComputedStyle(e).color)")
    assert colours
    for colour in set(colours):
        channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        assert 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05) >= 4.5, colour


def test_readable_on_a_phone(report, browser):
    resize(browser, *PHONE)
    for path in pages(report):
        browser.get(path.as_uri())
        time.sleep(0.3)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        wide = "return [...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > 376 && !e.closest('.scrolls, pre, .highlight, svg')).map(e => e.tagName + '.' + e.className).slice(0, 5)"
        assert width <= PHONE[0], (path.name, width, browser.execute_script(wide))
        assert float(browser.execute_script("return parseFloat(getComputedStyle(document.querySelector('.body p')).fontSize)")) >= 14
