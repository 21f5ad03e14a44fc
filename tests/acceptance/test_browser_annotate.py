"""Asking and judging in a real Chromium, over a real server process: specifications, the panel, charts that follow."""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kibitz.base import clock, ids, publishing, refs
from kibitz.base.records import Batch, CallPart, Feedback, FeedbackPart
from kibitz.base.specifications import Specification
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite
from kibitz.testing import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.processes]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PROJECT = "acme/bot"
P = "/p/acme~bot"
OUTPUT = "You can cancel 🦊 within two days. It costs nothing."
CALLS = 6


@dataclass
class Site:
    """A served folder with calls to judge."""

    url: str
    folder: Path
    calls: list[str]
    """Their ids, newest first, as the list shows them."""

    def said(self, type_: str, call: int = 0) -> list[Feedback]:
        """All that was said of a call in a type, newest first, history included."""
        store = sqlite.open_store(self.folder)
        try:
            target = refs.call_ref(PROJECT, self.calls[call])
            asked = FeedbackQuery(project=PROJECT, type=type_, target_ref=target)
            return store.feedback.query(asked).items
        finally:
            store.close()


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
    calls = [ids.new_id() for _ in range(CALLS)]
    store = sqlite.open_store(tmp_path)
    now = clock.now()
    batch = Batch(
        project=PROJECT,
        calls=[
            CallPart(
                id=id_,
                op="answer",
                started_at=now - timedelta(minutes=n),
                ended_at=now - timedelta(minutes=n) + timedelta(seconds=1),
                inputs={"question": f"question {n}"},
                output=OUTPUT,
            )
            for n, id_ in enumerate(calls)
        ],
        feedback=[
            FeedbackPart(
                type="speed",
                target_ref=refs.call_ref(PROJECT, id_),
                payload={"score": n / CALLS},
                author="watch",
                author_kind="program",
            )
            for n, id_ in enumerate(calls)
        ],
    )
    assert not store.ingest.write(batch).rejected
    store.close()
    with ServerProcess(tmp_path) as server:
        yield Site(server.url, tmp_path, calls)


def publish(site: Site, name: str, schema: dict[str, Any], **more: Any) -> None:
    store = sqlite.open_store(site.folder)
    publishing.publish(store.ingest.write, PROJECT, Specification(name, schema, **more))
    store.close()


@contextmanager
def opened(browser: Browser, site: Site, path: str, **options: Any) -> Iterator[Page]:
    """A page that must not complain: no error, nothing that its policy refused, no foreign request."""
    expected = options.pop("expected", "")
    options.setdefault("viewport", {"width": 1280, "height": 800})
    context = browser.new_context(**options)
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on(
        "request",
        lambda each: None if each.url.startswith(site.url) else trouble.append(each.url),
    )
    page.goto(site.url + path)
    yield page
    assert [each for each in trouble if not expected or expected not in each] == []
    context.close()


def call_path(site: Site, call: int = 0) -> str:
    return f"{P}/calls/{site.calls[call]}"


def settled(page: Page) -> None:
    """Until the scripts of the page listen: they run before the page has loaded."""
    page.wait_for_load_state("load")


def test_asked_in_the_editor_answered_by_keys_and_seen_in_the_chart(
    browser: Browser, site: Site
) -> None:
    with opened(browser, site, f"{P}/specs") as page:
        page.get_by_role("link", name="New specification").click()
        page.get_by_label("Name", exact=True).fill("helpful")
        page.get_by_label("What to ask").fill("How much does it help?")
        preview = page.get_by_role("region", name="As it will be asked")
        expect(preview).to_contain_text("How much does it help?")
        expect(preview.get_by_role("radio")).to_have_count(5)
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("helpful")

        page.goto(f"{site.url}{P}/calls")
        settled(page)
        page.keyboard.press("j")
        page.keyboard.press("o")
        expect(page.locator("#annotate-open")).to_be_visible()
        settled(page)
        page.keyboard.press("a")
        panel = page.get_by_role("region", name="Annotate")
        expect(panel.get_by_role("radio").first).to_be_focused()
        page.keyboard.press("4")
        expect(panel.get_by_role("radio", name="4")).to_be_checked()
        page.keyboard.press("Enter")
        expect(page.locator("#annotate-save")).to_be_focused()
        panel.get_by_label("Your name").focus()
        page.keyboard.type("Ana")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#feedback .judgement-annotation")).to_contain_text("helpful 4")
        expect(panel).to_contain_text("yours")

        panel.get_by_role("radio", name="4").focus()
        page.keyboard.press("n")
        expect(page).to_have_url(re.compile(site.calls[1]))
        expect(panel.get_by_role("radio").first).to_be_focused()
        page.keyboard.press("2")
        page.keyboard.press("Control+Shift+Enter")
        expect(page).to_have_url(re.compile(site.calls[2]))
        expect(panel.get_by_label("Your name")).to_have_value("Ana")

        page.goto(f"{site.url}{P}/feedback")
        card = page.get_by_role("article", name="helpful")
        expect(card).to_contain_text("mean 3")
        bars = card.get_by_role("group", name="Distribution of helpful")
        expect(bars.get_by_role("link", name="4: 1 judgement")).to_be_visible()
        expect(bars.get_by_role("link", name="3: 0 judgements")).to_be_attached()
        bars.get_by_role("link", name="4: 1 judgement").focus()
        page.keyboard.press("Enter")
        expect(page.locator("tr[data-row]")).to_have_count(1)
        expect(page.locator("tr[data-row]")).to_have_attribute("data-row", site.calls[0])
    (first,) = site.said("annotation.helpful")
    assert (first.payload, first.author, first.author_kind) == ({"value": 4}, "Ana", "person")


def test_own_answer_is_shown_corrected_taken_back_and_kept_as_history(
    browser: Browser, site: Site
) -> None:
    publish(site, "ok", {"type": "boolean", "format": "thumbs"})
    with opened(browser, site, f"{call_path(site)}?annotate=on") as page:
        settled(page)
        panel = page.get_by_role("region", name="Annotate")
        panel.get_by_label("Your name").fill("Ana")
        panel.get_by_role("radio").first.check(force=True)
        panel.get_by_role("button", name="Save").click()
        mine = page.locator("#feedback .judgement-annotation")
        expect(mine).to_contain_text("ok yes")

        page.reload()
        expect(panel.get_by_role("radio").first).to_be_checked()
        settled(page)
        panel.get_by_role("radio").first.focus()
        page.keyboard.press("2")
        page.keyboard.press("Control+Enter")
        expect(mine).to_contain_text("ok no")
        expect(mine).to_have_count(1)
        mine.get_by_role("link", name="history").click()
        history = page.locator("#feedback .history")
        expect(history.locator(".judgement")).to_have_count(2)
        expect(history.locator(".is-history")).to_contain_text("yes")

        mine.first.get_by_role("button", name="take back").click()
        expect(mine).to_have_count(0)
    retraction, second, first = site.said("annotation.ok")
    assert retraction.retracts == second.id
    assert second.corrects == first.id
    assert not first.stands
    assert not second.stands


def test_texts_are_marked_corrected_and_ranked_by_keys(browser: Browser, site: Site) -> None:
    publish(
        site,
        "marks",
        {"type": "array", "format": "spans", "field": "output", "labels": ["wrong", "fine"]},
    )
    publish(site, "better", {"format": "correction", "field": "output"})
    items = {"enum": ["docs", "forum", "chat"]}
    publish(site, "sources", {"type": "array", "format": "ranking", "items": items})
    with opened(browser, site, f"{call_path(site)}?annotate=on") as page:
        settled(page)
        panel = page.get_by_role("region", name="Annotate")
        panel.locator(".rank-item", has_text="chat").focus()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")

        source = panel.get_by_label("output, to select from")
        source.focus()
        source.evaluate("area => area.setSelectionRange(0, 0)")
        start = OUTPUT.index("within")
        for _ in range(start):
            page.keyboard.press("ArrowRight")
        for _ in range(len("within")):
            page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("1")
        expect(panel.locator(".span-list")).to_contain_text("within")

        corrected = panel.get_by_label("better, corrected")
        corrected.fill(OUTPUT.replace("two days", "one week"))
        expect(panel.locator(".diff del")).to_have_text("two days.")
        expect(panel.locator(".diff ins")).to_have_text("one week.")
        corrected.press("Control+Enter")
        expect(page.locator("#feedback .judgement-annotation")).to_have_count(3)

    assert site.said("annotation.sources")[0].payload == {"value": ["chat", "docs", "forum"]}
    assert site.said("annotation.marks")[0].payload == {
        "value": [{"start": start, "end": start + 6, "label": "wrong", "text": "within"}]
    }
    assert site.said("annotation.better")[0].payload == {
        "value": OUTPUT.replace("two days", "one week")
    }


def test_answer_that_breaks_a_rule_is_explained_in_its_place(browser: Browser, site: Site) -> None:
    publish(site, "score", {"type": "number", "minimum": 0, "maximum": 1})
    publish(site, "tone", {"enum": ["kind", "rude"]})
    path = f"{call_path(site)}?annotate=on"
    with opened(browser, site, path, expected="400 (Bad Request)") as page:
        settled(page)
        panel = page.get_by_role("region", name="Annotate")
        panel.get_by_label("score").fill("7")
        panel.get_by_role("radio", name="rude").check(force=True)
        panel.get_by_role("button", name="Save").click()
        expect(panel.get_by_role("alert")).to_contain_text("at most 1")
        expect(panel.get_by_label("score")).to_have_value("7")
        expect(panel.get_by_label("score")).to_be_focused()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        expect(page.locator("#annotate-open")).to_be_focused()
    assert len(site.said("annotation.tone")) == 1, "one mistake does not lose the others"
    assert site.said("annotation.score") == []


def test_asking_and_answering_work_without_scripts(browser: Browser, site: Site) -> None:
    with opened(browser, site, f"{P}/specs/new", java_script_enabled=False) as page:
        page.get_by_label("Name", exact=True).fill("sources")
        page.locator("label.option", has_text="Ranking").click()
        page.get_by_label("Options, one a line").fill("docs\nforum")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("region", name="As it will be asked")).to_contain_text("forum")
        page.get_by_role("button", name="JSON Schema").click()
        expect(page.get_by_label("JSON Schema", exact=True)).to_have_value(re.compile("ranking"))
        page.get_by_role("button", name="Form", exact=True).click()
        page.get_by_role("button", name="Publish").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("sources")

        page.goto(site.url + call_path(site))
        page.locator("#annotate-open").click()
        page.get_by_label("Place of docs").select_option("2")
        page.get_by_label("Place of forum").select_option("1")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#feedback .judgement-annotation")).to_contain_text("sources")
    assert site.said("annotation.sources")[0].payload == {"value": ["forum", "docs"]}


def test_charts_are_walked_through_with_arrows(browser: Browser, site: Site) -> None:
    with opened(browser, site, f"{P}/feedback/speed") as page:
        settled(page)
        marks = page.get_by_role("group", name="Distribution of speed").get_by_role("link")
        expect(marks.last).to_have_attribute("tabindex", "0")
        marks.last.focus()
        expect(marks.last.locator(".tip")).to_be_visible()
        page.keyboard.press("Home")
        expect(marks.first).to_be_focused()
        page.keyboard.press("ArrowRight")
        expect(marks.nth(1)).to_be_focused()
        expect(marks.nth(1).locator(".tip")).to_be_visible()
        expect(marks.first.locator(".tip")).to_be_hidden()


PATHS = (
    f"{P}/feedback",
    f"{P}/feedback/speed",
    f"{P}/feedback/speed?by=author",
    f"{P}/specs",
    f"{P}/specs/new",
    f"{P}/specs/new?of=everything",
    f"{P}/specs/named/everything",
    "{call}?annotate=on&from=-",
)
EVERYTHING: dict[str, dict[str, Any]] = {
    "scale": {"type": "integer", "minimum": 1, "maximum": 5},
    "number": {"type": "number", "maximum": 3},
    "thumbs": {"format": "thumbs"},
    "choice": {"enum": ["a", "b"]},
    "menu": {"enum": [f"option {n}" for n in range(12)]},
    "choices": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
    "text": {"type": "string", "description": "in your words"},
    "ranking": {"type": "array", "format": "ranking", "items": {"enum": ["a", "b"]}},
    "spans": {"type": "array", "format": "spans", "labels": ["x"]},
    "correction": {"format": "correction"},
}


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci --ignore-scripts")
@pytest.mark.parametrize(
    ("width", "theme", "other"), [(1280, "light", "dark"), (390, "dark", "light")]
)
def test_pages_are_accessible_and_fit(
    browser: Browser, site: Site, width: int, theme: Any, other: Any
) -> None:
    publish(site, "everything", {"type": "object", "properties": EVERYTHING}, guidelines="*judge*")
    found: list[str] = []
    for path in PATHS:
        address = path.format(call=call_path(site))
        options = {
            "color_scheme": theme,
            "viewport": {"width": width, "height": 844},
            "bypass_csp": True,
        }
        with opened(browser, site, address, **options) as page:
            page.wait_for_load_state("networkidle")
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
