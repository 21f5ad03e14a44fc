"""Judging by program in a real Chromium, over a real server process: what is shown while it goes on, tried and made."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import judged
import pytest
import sites
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from kibitz.base.evaluations import NewRule
from kibitz.judging.functions import Feedback
from kibitz.judging.select import Select
from kibitz.storage import sqlite
from kibitz.testing import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
P = sites.PATH
CALL = f"{P}/calls/c1"
RECORD = f"{CALL}/record"
PATHS = (
    (CALL, f"{P}/functions", f"{P}/rules/new", f"{RECORD}?select=Select.RecordCalls.none"),
    (
        f"{RECORD}?select=Select.RecordCalls.retriever.retrieve.rets[:].text",
        f"{P}/functions/relevance",
        f"{P}/rules",
        f"{P}/rules/named/looked",
    ),
)
"""Those that are looked at on a wide screen in light first, and on a narrow one in dark."""
MAX_PAGE_BYTES = 100_000
"""Of everything that a page loads, as it is sent."""


def words(text: str) -> tuple[float, dict[str, str]]:
    return len(text.split()) / 4, {"reason": f"it has {len(text.split())} words"}


def broken(text: str) -> float:
    raise TimeoutError(f"no answer about {text}")


WORDS = Feedback(words, name="words").on(text=Select.RecordCalls.retriever.retrieve.rets[:].text)
BROKEN = Feedback(broken, name="relevance").on_input()
LATER = Feedback(words, name="later").on_output()
EVERY = (WORDS, BROKEN, LATER)


@pytest.fixture(name="browser", scope="module")
def _browser() -> Generator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Generator[sites.Site]:
    """Calls, of which some were judged; who writes to it writes things of its own."""
    folder = tmp_path_factory.mktemp("judging")
    store = sqlite.open_store(folder)
    with ServerProcess(folder) as server:
        site = sites.Site(server.url, store, Counter())
        sites.write(site, *judged.rag("c1"), *judged.rag("c2", 9), *judged.rag("c3", 18))
        judged.evaluate(site, WORDS, BROKEN)
        yield site
    store.close()


@contextmanager
def opened(browser: Browser, site: sites.Site, path: str, **options: object) -> Iterator[Page]:
    """A page that must not complain: no error, nothing that its policy refused, no foreign request."""
    options.setdefault("viewport", {"width": 1280, "height": 800})
    context = browser.new_context(**options)  # pyright: ignore[reportArgumentType] options of a browser
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on(
        "request",
        lambda each: None if each.url.startswith(site.url) else trouble.append(each.url),
    )
    page.goto(site.url + path)
    page.wait_for_load_state("load")
    yield page
    assert trouble == []
    context.close()


def _relevance(within: Page | Locator) -> Locator:
    return within.locator(".evaluation", has_text="relevance")


def test_waiting_evaluations_become_done_while_somebody_looks_and_folds_stay(
    browser: Browser, site: sites.Site
) -> None:
    judged.want(site, LATER)
    with opened(browser, site, CALL) as page:
        part = page.get_by_role("region", name="Evaluations")
        expect(part).to_contain_text("waiting")
        first = part.locator("details").first
        first.locator("summary.evaluation-line").click()
        expect(first).not_to_have_attribute("open", "")
        first.locator("summary.evaluation-line").focus()
        judged.work(site, *EVERY)
        expect(
            part.locator(".evaluation", has_text="later").locator(".judging-done")
        ).to_be_visible()
        expect(part).not_to_have_attribute("data-follow", re.compile(".*"))
        expect(part.locator("details").first).not_to_have_attribute("open", "")
        expect(part.locator("summary.evaluation-line").first).to_be_focused()


def test_failed_evaluation_is_tried_again_in_place(browser: Browser, site: sites.Site) -> None:
    with opened(browser, site, f"{P}/calls/c2") as page:
        part = page.get_by_role("region", name="Evaluations")
        part.get_by_text("Traceback", exact=True).click()
        expect(part).to_contain_text("TimeoutError")
        part.get_by_role("button", name="Retry").click()
        expect(_relevance(part).locator(".judging-none")).to_be_visible()
        judged.work(site, *EVERY)
        expect(part.get_by_role("button", name="Retry")).to_be_visible()
        expect(page).to_have_url(re.compile(r"/calls/c2$"))


def test_record_is_walked_by_keys_and_selectors_are_copied_and_tried(
    browser: Browser, site: sites.Site
) -> None:
    granted = {"permissions": ["clipboard-read", "clipboard-write"]}
    with opened(browser, site, CALL, **granted) as page:
        page.keyboard.press("R")
        expect(page.get_by_role("heading", level=1)).to_have_text("Record of answer")
        page.wait_for_load_state("load")
        row = page.locator(".places-tree .is-current")
        for _ in range(4):
            page.keyboard.press("j")
        expect(row).to_contain_text("app")
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_text("retriever:")).to_be_hidden()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(row).to_contain_text("retriever")
        page.keyboard.press("y")
        expect(page.get_by_role("status")).to_contain_text("Selector copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == "Select.RecordCalls.retriever"
        page.keyboard.press("t")
        found = page.locator("#selected")
        expect(found).to_contain_text("1 value")
        expect(page).to_have_url(re.compile(r"select=Select\.RecordCalls\.retriever$"))

        # What leaves a page that is still loading takes its place in the history.
        page.wait_for_load_state("load")
        page.keyboard.press("/")
        page.keyboard.press("Control+A")
        page.keyboard.type("Select.RecordCalls.retriever.retrieve.rets[:].txt")
        page.keyboard.press("Enter")
        expect(found.locator(".form-error")).to_contain_text("is not there")
        expect(page).to_have_url(re.compile(r"\.txt$"))
        found.get_by_role("link", name=re.compile(r"rets\[:\]$")).click()
        expect(found).to_contain_text("2 values")
        expect(page.get_by_label("Try a selector")).to_have_value(
            "Select.RecordCalls.retriever.retrieve.rets[:]"
        )
        # What is found shows a moment before its address is in the history.
        expect(page).to_have_url(re.compile(r"rets%5B%3A%5D$"))
        page.go_back()
        expect(found.locator(".form-error")).to_be_visible()


def test_what_is_large_comes_when_it_is_unfolded(browser: Browser, site: sites.Site) -> None:
    many = [{"n": n} for n in range(900)]
    sites.write(site, sites.part("large", 30, output=many))
    with opened(browser, site, f"{P}/calls/large/record") as page:
        tree = page.locator(".places-tree")
        calls = tree.locator("xpath=./*/details", has=page.locator("summary", has_text="calls:"))
        calls.locator("summary", has_text="calls:").click()
        expect(calls.get_by_text("rets:").first).to_be_visible()


def test_rule_is_made_with_completion_and_preview_then_paused_by_keys(
    browser: Browser, site: sites.Site
) -> None:
    with opened(browser, site, f"{P}/rules") as page:
        page.get_by_role("link", name="Rules").click()
        page.wait_for_load_state("load")
        page.keyboard.press("c")
        page.get_by_label("Name", exact=True).fill("answers")
        page.get_by_role("checkbox", name=re.compile("^words")).check()
        page.get_by_label("Of which calls").press_sequentially("op = ans")
        page.get_by_role("option", name="answer").click()
        preview = page.get_by_role("region", name="Calls that are there now")
        expect(preview).to_contain_text(re.compile(r"\d calls match"))
        page.get_by_label("Sample, in percent").fill("500")
        expect(page.locator("#error-sample")).to_contain_text("'500'")
        page.get_by_label("Sample, in percent").fill("50")
        expect(page.locator("#error-sample")).to_be_empty()
        expect(preview).to_contain_text("in the sample")
        page.get_by_role("button", name="Make the rule").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("answers")
        page.wait_for_load_state("load")
        page.keyboard.press("p")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_text("Evaluate the past…").click()
        page.get_by_role("button", name=re.compile("^Want")).click()
        expect(page.get_by_role("status").first).to_contain_text("Wanted")
    made = site.store.rules.get(sites.PROJECT, "answers")
    assert (made.query, made.sample, made.active) == ("op = answer", 0.5, False)


def test_judging_is_seen_and_changed_without_scripts(browser: Browser, site: sites.Site) -> None:
    with opened(browser, site, f"{P}/calls/c3", java_script_enabled=False) as page:
        page.get_by_role("button", name="Retry").click()
        expect(_relevance(page).locator(".judging-none")).to_be_visible()
        page.get_by_role("link", name="Record", exact=True).click()
        page.get_by_label("Try a selector").fill("Select.RecordOutput")
        page.get_by_label("Try a selector").press("Enter")
        expect(page.locator("#selected pre")).to_have_text("output c3")
        page.goto(f"{site.url}{P}/functions")
        page.get_by_role("link", name="relevance").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("relevance")
    judged.work(site, *EVERY)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci --ignore-scripts")
@pytest.mark.parametrize(
    ("width", "theme", "other", "paths"),
    [(1280, "light", "dark", PATHS[0]), (390, "dark", "light", PATHS[1])],
)
def test_pages_are_accessible_fit_and_are_light(
    browser: Browser, site: sites.Site, width: int, theme: Any, other: Any, paths: tuple[str, ...]
) -> None:
    refs = judged.publish(site, WORDS)
    site.store.rules.save(sites.PROJECT, "looked", NewRule(definitions=refs))
    size = {"width": width, "height": 844}
    found: list[str] = []
    with opened(
        browser, site, f"{P}/calls", viewport=size, color_scheme=theme, bypass_csp=True
    ) as page:
        sent: list[int] = []
        page.on("requestfinished", lambda each: sent.append(each.sizes()["responseBodySize"]))
        for path in paths:
            sent.clear()
            page.emulate_media(color_scheme=theme)
            page.goto(site.url + path)
            page.wait_for_load_state("load")
            if sum(sent) > MAX_PAGE_BYTES:
                found.append(f"{path}: {sum(sent)} bytes")
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                found.append(f"{path}: {wide} px wide")
            page.add_script_tag(path=AXE)
            run = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
            violations = page.evaluate(run, list(RULES))["violations"]
            page.emulate_media(color_scheme=other)
            violations += page.evaluate(run, ["color-contrast"])["violations"]
            for each in violations:
                html = each["nodes"][0]["html"][:160]
                found.append(f"{path}: {each['id']} ({len(each['nodes'])} times): {html}")
    assert "\n".join(found) == ""
