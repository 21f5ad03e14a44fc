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

from kibitz.base.records import Batch, CallPart
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
    assert trouble == []
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
        page.go_back()
        expect(rows(page)).to_have_count(1)
        expect(box(page)).to_have_value("number 17")
