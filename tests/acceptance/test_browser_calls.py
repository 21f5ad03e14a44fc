"""The calls page in a real Chromium: the search and query bar, filters, views and bulk actions."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.base.settings import ServerSettings
from kibitz.server import serving
from kibitz.storage import sqlite

pytestmark = [pytest.mark.browser]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PROJECT = "acme/bot"
PATH = "/p/acme~bot/calls"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUESTIONS = 60


class Slow:
    """A store that takes its time with every list of calls, each time another one."""

    def __init__(self, inner: Any, site: Site) -> None:
        self._inner, self._site = inner, site

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return Slow(found, self._site)
        if name != "query":
            return found

        def slow(*args: Any, **kwargs: Any) -> Any:
            self._site.asked += 1
            wait_s = self._site.waits_s[self._site.asked % len(self._site.waits_s)]
            threading.Event().wait(wait_s)
            return found(*args, **kwargs)

        return slow


@dataclass
class Site:
    """A served store."""

    url: str = ""
    waits_s: tuple[float, ...] = (0.0,)
    """How long the answers of the store take, in turn."""
    asked: int = 0


@pytest.fixture(name="browser", scope="module")
def _browser() -> Generator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    store.ingest.write(
        Batch(
            project=PROJECT,
            calls=[
                CallPart(
                    id=f"c{n}",
                    op="answer" if n % 4 else "other",
                    started_at=START + timedelta(seconds=n),
                    ended_at=START + timedelta(seconds=n + 1),
                    inputs={"question": f"what is number {n}?"},
                    output=f"it is {n}",
                )
                for n in range(QUESTIONS)
            ],
            feedback=[
                FeedbackPart(
                    type="grounded",
                    target_ref=refs.call_ref(PROJECT, f"c{n}"),
                    payload={"output": {"score": n / 10}},
                    created_at=START,
                )
                for n in range(1, 10)
            ],
        )
    )
    site = Site()
    listening = serving.listen(ServerSettings(port=0))
    site.url = listening.url
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=listening.serve,
        args=(Slow(store, site),),
        kwargs={"stop": stop, "ready": ready.set},
    )
    thread.start()
    assert ready.wait(20)
    yield site
    stop.set()
    thread.join(20)
    store.close()


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page that must not complain."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    yield page
    assert [each for each in trouble if "400 (Bad Request)" not in each] == []
    context.close()


def rows(page: Page) -> Any:
    return page.locator("tr[data-row]")


def box(page: Page) -> Any:
    return page.locator("#search")


# Typing while answers arrive


@pytest.mark.parametrize("pause_ms", [30, 120, 300, 355, 380, 450])
def test_no_character_is_lost_whatever_the_answers_do(
    browser: Browser, site: Site, pause_ms: int
) -> None:
    """Pauses around the delay of the search, so that answers arrive between, with and after characters."""
    site.waits_s = (0.3, 0.0, 0.06, 0.12, 0.02, 0.2)
    text = "what is number 17"
    with opened(browser) as page:
        page.goto(site.url + PATH, wait_until="commit")
        box(page).focus()
        for at, character in enumerate(text):
            page.keyboard.type(character)
            assert box(page).input_value() == text[: at + 1]
            page.wait_for_timeout(pause_ms)
        expect(rows(page)).to_have_count(1)
        expect(rows(page).first).to_have_attribute("data-row", "c17")
        expect(page).to_have_url(re.compile(r"q=what(%20|\+)is(%20|\+)number(%20|\+)17$"))
        expect(box(page)).to_be_focused()
        assert box(page).input_value() == text


def test_caret_stays_where_the_reader_edits(browser: Browser, site: Site) -> None:
    site.waits_s = (0.15, 0.05)
    with opened(browser) as page:
        page.goto(f"{site.url}{PATH}?q=number+7")
        box(page).focus()
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        for character in "12":
            page.keyboard.type(character)
            page.wait_for_timeout(400)
        # The box keeps a space at its end, which the search does without.
        page.keyboard.press("Backspace")
        page.keyboard.press("End")
        page.keyboard.type(" ")
        expect(rows(page)).to_have_count(1)
        expect(rows(page).first).to_have_attribute("data-row", "c17")
        assert box(page).input_value() == "number 17 "


def test_what_is_typed_before_the_scripts_run_is_searched_for(browser: Browser, site: Site) -> None:
    held: list[Route] = []
    with opened(browser) as page:
        page.route(re.compile(r"/static/.*\.js"), lambda route: held.append(route))
        page.goto(site.url + PATH, wait_until="commit")
        box(page).press_sequentially("number 23")
        assert held
        for route in held:
            route.continue_()
        page.unroute_all()
        expect(rows(page)).to_have_count(1)
        expect(rows(page).first).to_have_attribute("data-row", "c23")
        assert box(page).input_value() == "number 23"


def test_click_elsewhere_is_told_to_the_box_and_typing_goes_on(
    browser: Browser, site: Site
) -> None:
    with opened(browser) as page:
        page.goto(f"{site.url}{PATH}?q=number+17")
        expect(rows(page)).to_have_count(1)
        page.get_by_role("link", name="Clear", exact=True).click()
        expect(rows(page)).to_have_count(50)
        expect(box(page)).to_have_value("")
        page.keyboard.press("/")
        page.keyboard.type("number 18")
        expect(rows(page)).to_have_count(1)
        expect(page).to_have_url(re.compile(r"q=number\+18"))
        page.go_back()
        expect(rows(page)).to_have_count(1)
        expect(box(page)).to_have_value("number 17")


# Queries


def test_query_is_completed_by_keys_alone(browser: Browser, site: Site) -> None:
    with opened(browser) as page:
        page.goto(site.url + PATH)
        page.wait_for_load_state()
        page.keyboard.press("/")
        bar = page.get_by_role("combobox", name="Search or query")
        expect(bar).to_be_focused()
        page.keyboard.type("stat")
        offer = page.get_by_role("option", name=re.compile("^status"))
        expect(offer).to_be_visible()
        expect(bar).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Tab")
        expect(bar).to_have_value("status ")
        expect(page.get_by_role("option", name=re.compile("^="))).to_be_visible()
        page.keyboard.type("= succ")
        expect(page.get_by_role("option", name=re.compile("^success"))).to_be_visible()
        page.keyboard.press("ArrowDown")
        chosen = page.locator("[role=option][aria-selected=true]")
        expect(chosen).to_have_text(re.compile("^success"))
        expect(bar).to_have_attribute("aria-activedescendant", str(chosen.get_attribute("id")))
        page.keyboard.press("Enter")
        expect(bar).to_have_value("status = success ")
        page.keyboard.type("and feedback.grounded.output.score >= 0.8")
        expect(rows(page)).to_have_count(2)
        page.keyboard.type(" an")
        expect(page.get_by_role("option", name=re.compile("^and"))).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("listbox")).to_be_hidden()
        expect(bar).to_be_focused()
        page.keyboard.press("Escape")
        expect(bar).not_to_be_focused()
        expect(page.locator(".chip")).to_have_count(2)


def test_mistake_is_shown_in_its_place_and_mended_by_a_click(browser: Browser, site: Site) -> None:
    with opened(browser) as page:
        page.goto(site.url + PATH)
        page.wait_for_load_state()
        box(page).click()
        page.keyboard.type('outptu contains "it is 17"')
        flaw = page.locator("#query-flaw")
        expect(flaw).to_contain_text("did you mean 'output'")
        expect(page.locator("#query-caret")).to_have_text("^^^^^^")
        # Until it is understood, the list is what it was.
        expect(rows(page)).to_have_count(50)
        flaw.get_by_role("button", name="Use output").click()
        expect(box(page)).to_have_value('output contains "it is 17"')
        expect(flaw).to_be_hidden()
        expect(rows(page)).to_have_count(1)


def test_mistake_that_is_asked_all_the_same_says_the_ways_out(browser: Browser, site: Site) -> None:
    with opened(browser, java_script_enabled=False) as page:
        page.goto(site.url + PATH)
        box(page).fill("op = answer and outptu contains 17")
        # A status of 400 is no trouble of the page.
        box(page).press("Enter")
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("did you mean 'output'")
        text, caret = alert.locator("pre").inner_text().splitlines()[:2]
        assert text[caret.index("^") :].startswith("outptu")
        expect(box(page)).to_have_value("op = answer and outptu contains 17")
        page.get_by_role("link", name="Use output").click()
        expect(box(page)).to_have_value("op = answer and output contains 17")
        expect(rows(page)).to_have_count(1)


def test_words_and_clicks_make_one_query(browser: Browser, site: Site) -> None:
    with opened(browser) as page:
        page.goto(f"{site.url}{PATH}?q=number+1")
        expect(page.locator(".chips-reading")).to_have_text("Words:")
        rows(page).filter(has_text="other").first.hover()
        page.get_by_role("link", name="Only calls of other").first.click()
        expect(page.locator(".chips-reading")).to_have_text("Query:")
        expect(rows(page)).to_have_count(2)
        expect(box(page)).to_have_value(re.compile("number 1.* and op = other"))
        page.get_by_label("Remove the filter inputs or output contain").click()
        expect(box(page)).to_have_value("op = other")
        expect(rows(page)).to_have_count(15)


def test_range_is_chosen_by_two_clicks_on_values(browser: Browser, site: Site) -> None:
    with opened(browser) as page:
        page.goto(site.url + PATH + "?q=feedback.grounded")
        cell = page.locator("a.cell-number")
        cell.filter(has_text="0.3").click()
        page.get_by_role("link", name="≥ 0.3").click()
        expect(rows(page)).to_have_count(7)
        cell.filter(has_text="0.6").click()
        page.get_by_role("link", name="≤ 0.6").click()
        expect(rows(page)).to_have_count(4)
        cell.filter(has_text="0.4").click()
        page.get_by_role("link", name="≥ 0.4").click()
        expect(rows(page)).to_have_count(3)


# Views and actions


def test_view_is_saved_changed_and_undone(browser: Browser, site: Site) -> None:
    with opened(browser) as page:
        page.goto(f"{site.url}{PATH}?q=op+=+other")
        page.wait_for_load_state()
        page.keyboard.press("v")
        page.get_by_label("Save what this page shows as").fill("Others")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("view=Others$"))
        expect(rows(page)).to_have_count(15)
        page.get_by_label("Remove the filter op = other").click()
        expect(rows(page)).to_have_count(50)
        expect(page.locator(".view-mark")).to_have_text("changed")
        page.keyboard.press("v")
        page.get_by_role("link", name="Undo changes").click()
        expect(rows(page)).to_have_count(15)
        expect(page.locator(".view-mark")).to_have_count(0)


def test_selected_calls_are_deleted_by_keys_after_their_number_was_typed(
    browser: Browser, site: Site
) -> None:
    with opened(browser) as page:
        page.goto(f"{site.url}{PATH}?q=op+=+other")
        page.wait_for_load_state()
        page.keyboard.press("j")
        page.keyboard.press("x")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("x")
        rows(page).nth(4).hover()
        rows(page).nth(4).get_by_role("checkbox").check()
        expect(page.locator("#selection-words")).to_have_text("3 selected")
        page.locator("#selection").get_by_role("button", name="Actions").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("3 calls")
        page.get_by_label("Type 3 to confirm").fill("3")
        page.keyboard.press("Enter")
        expect(page.locator("main [role=status]")).to_have_text(
            "Deleted 3 calls and 0 judgements on them."
        )
        page.goto(f"{site.url}{PATH}?q=op+=+other")
        expect(rows(page)).to_have_count(12)


def test_export_of_a_query_is_a_download(browser: Browser, site: Site) -> None:
    with opened(browser) as page:
        page.goto(f"{site.url}{PATH}?q=op+=+other+sort+started_at")
        page.wait_for_load_state()
        page.keyboard.press("b")
        page.get_by_label("Format").select_option("csv")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        content = Path(download.value.path()).read_text()
        assert download.value.suggested_filename.endswith(".csv")
        assert content.count("what is number") >= 15
        assert content.index("number 0?") < content.index("number 56?")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci --ignore-scripts")
@pytest.mark.parametrize(
    "path", ["?q=op+=+other", "?q=outptu+=+1", "/bulk?q=op+=+other", "?view=nothing"]
)
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_states_of_the_page_are_accessible(
    browser: Browser, site: Site, path: str, width: int, theme: Any
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=theme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(site.url + PATH + path)
    page.wait_for_load_state()
    if "other" in path and "bulk" not in path:
        box(page).click()
        page.keyboard.type(" and st")
        expect(page.get_by_role("option").first).to_be_visible()
    page.add_script_tag(path=AXE)
    run = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
    found = page.evaluate(run, list(RULES))["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
