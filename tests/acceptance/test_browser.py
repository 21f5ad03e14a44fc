"""The pages in a real Chromium, over a real server process and calls that the SDK recorded."""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

import kibitz
from kibitz.base import clock, ids, refs
from kibitz.base.records import Batch, CallPart, ExceptionInfo, FeedbackPart, Frame
from kibitz.storage import sqlite
from kibitz.testing import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.processes]

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
EVIL = """<script>window.hacked=1</script><img src=x onerror="window.hacked=1">"'&{{7*7}}"""
BOT = "/p/acme~bot/calls"
TRACE_CALLS = 6000
MAX_LINES_DRAWN = 120


@dataclass
class Site:
    """A served folder with calls in it."""

    url: str
    folder: Path
    big: str
    """A call in the middle of a trace of 6,000."""
    hostile: str
    failed: str


@pytest.fixture(name="browser", scope="module")
def _browser() -> Generator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    folder = tmp_path_factory.mktemp("data")
    record(folder)
    big, hostile, failed = write(folder)
    with ServerProcess(folder) as server:
        yield Site(server.url, folder, big, hostile, failed)


def record(folder: Path, project: str = "acme/bot", questions: int = 60) -> None:
    """A small application, run and judged for real."""
    kibitz.init(project, settings={"data": str(folder), "print_summary": False})

    @kibitz.op(kind="retriever")
    def retrieve(question: str) -> list[str]:
        return [f"passage about {word}" for word in question.split()]

    @kibitz.op(kind="agent")
    def answer(question: str) -> str:
        return f"**Yes**: {retrieve(question)[0]}\n\n- first\n- second"

    @kibitz.op
    def other(messages: list[dict[str, str]]) -> dict[str, str]:
        return {"role": "assistant", "content": f"you said {messages[-1]['content']}"}

    @kibitz.op(name="short")
    def short(output: str) -> bool:
        return len(output) % 2 == 0

    for n in range(questions):
        _, call = answer.call(f"what is number {n}?")
        call.apply_scorer_sync(short)
        if n % 5 == 0:
            call.feedback.add("score", {"value": n / questions})
    other([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}])
    kibitz.finish()


def write(folder: Path) -> tuple[str, str, str]:
    """What no program would record within a test: a long trace, hostile texts, a failure."""
    store = sqlite.open_store(folder)
    now = clock.now()
    names = [ids.new_id() for _ in range(TRACE_CALLS)]
    calls = [
        CallPart(
            id=name,
            trace_id=names[0],
            parent_id=None if n == 0 else names[0 if n % 10 == 1 else n - 1],
            op=("crawl" if n == 0 else "needle" if n == 4321 else f"step-{n % 10}"),
            started_at=now - timedelta(seconds=600 - n / 10),
            ended_at=now - timedelta(seconds=0 if n == 0 else 600 - n / 10 - 0.05),
            output=n,
        )
        for n, name in enumerate(names)
    ]
    store.ingest.write(Batch(project="crawler", calls=calls))
    hostile, failed = ids.new_id(), ids.new_id()
    frame = Frame(file=EVIL, line=1, function=EVIL, text=EVIL)
    part = CallPart(
        id=hostile,
        op=EVIL,
        kind=EVIL,
        display_name=EVIL,
        thread_id=EVIL,
        author=EVIL,
        started_at=now - timedelta(seconds=1),
        ended_at=now,
        inputs={
            EVIL: EVIL,
            "messages": [{"role": EVIL, "content": f"{EVIL}\n\n[x](javascript:alert(1))"}],
        },
        output=f"**x** {EVIL} ![i](http://evil.example/i.png)",
        attributes={EVIL: [EVIL]},
        summary={EVIL: 1},
        exception=ExceptionInfo(type=EVIL, message=EVIL, traceback=[frame]),
    )
    target = refs.call_ref("hostile", hostile)
    judgements = [
        FeedbackPart(type="note", target_ref=target, payload={"note": EVIL}, author=EVIL),
        FeedbackPart(type="custom", target_ref=target, payload={EVIL: EVIL, "n": 1}, author=EVIL),
    ]
    receipt = store.ingest.write(Batch(project="hostile", calls=[part], feedback=judgements))
    assert not receipt.rejected
    store.ingest.write(
        Batch(
            project="acme/bot",
            calls=[
                CallPart(
                    id=failed,
                    op="answer",
                    started_at=now - timedelta(minutes=2),
                    ended_at=now - timedelta(minutes=1),
                    inputs={"question": "why?", "long": "word " * 400},
                    exception=ExceptionInfo(
                        type="app.TooBad",
                        message="nobody knows",
                        traceback=[Frame(file="app.py", line=7, function="answer", text="raise")],
                    ),
                )
            ],
        )
    )
    store.close()
    return names[3000], hostile, failed


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
    page.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
    page.on(
        "request",
        lambda each: None if each.url.startswith(site.url) else trouble.append(each.url),
    )
    page.goto(site.url + path)
    yield page
    assert [each for each in trouble if not expected or expected not in each] == []
    context.close()


def rows(page: Page) -> Any:
    return page.locator("tr[data-row]")


def ids_of(page: Page) -> list[str]:
    return rows(page).evaluate_all("rows => rows.map(row => row.dataset.row)")


# The list


def test_filter_sort_and_page_by_clicking(browser: Browser, site: Site) -> None:
    with opened(browser, site, f"{BOT}?limit=25") as page:
        expect(rows(page)).to_have_count(25)
        first = ids_of(page)

        page.get_by_role("link", name="Next", exact=True).click()
        expect(page.get_by_role("link", name="Previous")).to_be_visible()
        second = ids_of(page)
        assert not set(first) & set(second)
        page.get_by_role("link", name="Previous").click()
        expect(rows(page).first).to_have_attribute("data-row", first[0])

        rows(page).filter(has_text="other").first.hover()
        page.get_by_role("link", name="Only calls of other").click()
        expect(rows(page)).to_have_count(1)
        assert page.url.endswith("/calls?q=op+=+other&limit=25")
        page.get_by_label("Remove the filter op = other").click()
        expect(rows(page)).to_have_count(25)

        page.get_by_role("link", name="Latency").click()
        expect(page.locator("th[aria-sort=descending]")).to_have_text("Latency")
        assert "q=sort+latency_ms+desc" in page.url
        expect(rows(page).first).to_have_attribute("data-row", site.failed)
        page.go_back()
        expect(page.locator("th[aria-sort=descending]")).to_have_text("Time")


def test_feedback_cell_offers_filters(browser: Browser, site: Site) -> None:
    with opened(browser, site, BOT) as page:
        page.locator("a.cell-bool", has_text="no").first.click()
        page.get_by_role("link", name="≠ false").click()
        expect(page.locator(".chip")).to_contain_text("short ≠ false")
        expect(page.locator("a.cell-bool", has_text="no")).to_have_count(0)
        assert rows(page).count() > 0

        page.locator("th").get_by_role("button", name="score").click()
        page.get_by_role("link", name="Only where it is there").click()
        expect(page.locator(".chip")).to_have_count(2)


def test_filter_form_and_column_chooser(browser: Browser, site: Site) -> None:
    with opened(browser, site, BOT) as page:
        page.keyboard.press("f")
        field_ = page.get_by_label("Field")
        expect(field_).to_be_focused()
        field_.fill("inputs.question")
        page.get_by_label("Is", exact=True).select_option("contains")
        page.get_by_label("Value", exact=True).fill("number 1")
        page.get_by_role("button", name="Add filter").click()
        expect(rows(page)).to_have_count(11)

        page.get_by_role("button", name="Columns").click()
        page.get_by_role("checkbox", name="score").uncheck()
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.locator("th.c-feedback", has_text="score")).to_have_count(0)
        expect(page.locator("th.c-feedback", has_text="short")).to_have_count(1)


def test_search_narrows_while_typing_and_keeps_the_focus(browser: Browser, site: Site) -> None:
    with opened(browser, site, BOT) as page:
        page.wait_for_load_state()
        page.keyboard.press("/")
        expect(page.locator("#search")).to_be_focused()
        page.keyboard.type("number 17", delay=120)
        expect(rows(page)).to_have_count(1)
        expect(page.locator("#search")).to_be_focused()
        assert page.locator("#search").input_value() == "number 17"
        expect(page).to_have_url(re.compile(r"q=number(%20|\+)17"))


def test_live_list_shows_a_new_call_and_keeps_its_place(browser: Browser, site: Site) -> None:
    record(site.folder, "live", 5)
    with opened(browser, site, "/p/live/calls") as page:
        page.keyboard.press("l")
        expect(page.locator("#live")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("x")
        chosen = ids_of(page)[1]

        record(site.folder, "live", 1)

        expect(rows(page).first).not_to_have_attribute("data-row", chosen)
        expect(page.locator(f'tr[data-row="{chosen}"]')).to_have_attribute("aria-selected", "true")
        focused = page.evaluate("document.activeElement.closest('tr')?.dataset.row")
        assert focused == chosen
        expect(page.locator("#selection")).to_contain_text("1 selected")


# The call


def test_row_opens_beside_the_list_and_its_page_by_key(browser: Browser, site: Site) -> None:
    with opened(browser, site, BOT) as page:
        cut = rows(page).nth(2).locator("td.preview").last
        cut.evaluate("each => { each.textContent = 'long '.repeat(200); }")
        cut.hover()
        expect(cut).to_have_attribute("title", re.compile("^long long"))
        held: list[Route] = []
        page.route("**/*call=*", lambda route: held.append(route))
        cut.click()
        waits = page.locator("html[data-busy]")
        expect(waits).to_have_count(1)
        held[0].continue_()
        page.unroute("**/*call=*")
        drawer = page.locator("#drawer")
        expect(drawer.get_by_role("heading", level=2)).to_be_visible()
        expect(waits).to_have_count(0)
        third = ids_of(page)[2]
        assert page.url.endswith(f"call={third}")

        page.keyboard.press("j")
        expect(drawer.locator("article")).to_have_attribute("data-id", ids_of(page)[3])
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        assert page.url == site.url + BOT

        page.keyboard.press("Enter")
        expect(drawer).to_be_visible()
        page.reload()
        expect(drawer.locator("article")).to_have_attribute("data-id", ids_of(page)[3])
        page.locator("#drawer-open").click()
        expect(page.get_by_role("tree")).to_be_visible()


def test_call_page_switches_views_and_takes_feedback(browser: Browser, site: Site) -> None:
    with opened(browser, site, f"{BOT}?op=answer&q=number+42") as page:
        rows(page).first.locator("a.row-link").focus()
        page.keyboard.press("o")
        output = page.locator("#value-output")
        expect(output.locator("strong")).to_have_text("Yes")
        page.wait_for_load_state()
        output.get_by_role("link", name="Text").click()
        expect(output.locator("pre")).to_contain_text("**Yes**")
        output.get_by_role("link", name="JSON").click()
        expect(output.locator(".json-text")).to_contain_text("**Yes**")

        page.evaluate("window.same = true")
        page.get_by_label("React with 👍").click()
        expect(page.locator(".reaction")).to_have_text("👍 1")
        page.keyboard.press("m")
        expect(page.locator("#note")).to_be_focused()
        page.keyboard.type("a note of mine")
        page.get_by_label("Your name").fill("Ana")
        page.get_by_role("button", name="Add note").click()
        expect(page.locator(".note-text")).to_have_text("a note of mine")
        expect(page.locator("#feedback")).to_contain_text("Ana")
        assert page.evaluate("window.same")
        page.reload()
        expect(page.locator(".reaction")).to_have_text("👍 1")
        expect(page.get_by_label("Your name")).to_have_value("Ana")


def test_feedback_that_is_refused_says_why(browser: Browser, site: Site) -> None:
    path = f"{BOT}/{site.failed}"
    with opened(browser, site, path, expected="400 (Bad Request)") as page:
        page.get_by_label("Another emoji").fill("fine")
        page.get_by_label("Another emoji").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not one emoji")


def test_tree_of_a_long_trace_draws_what_is_in_sight(browser: Browser, site: Site) -> None:
    path = f"/p/crawler/calls/{site.big}"
    with opened(browser, site, path) as page:
        expect(page.locator("#trace-count")).to_have_text("6,000 calls")
        lines = page.locator(".tree-row")
        current = page.locator(".tree-row[aria-selected=true]")
        expect(current).to_have_attribute("data-id", site.big)
        expect(current).to_be_in_viewport()
        assert lines.count() < MAX_LINES_DRAWN

        page.locator("#tree").evaluate("tree => tree.scrollTop = tree.scrollHeight")
        expect(lines.last).to_contain_text("step-9")
        assert lines.count() < MAX_LINES_DRAWN

        page.get_by_label("Find in this trace").fill("needle")
        expect(page.locator("#tree-found")).to_have_text("1 of 1")
        expect(page.get_by_role("heading", level=1)).to_have_text("needle")
        expect(page.locator(".tree-row.is-match")).to_be_in_viewport()
        page.keyboard.press("Escape")

        page.keyboard.press("k")
        expect(page.get_by_role("heading", level=1)).to_have_text("step-0")
        page.keyboard.press("u")
        expect(page.get_by_role("heading", level=1)).to_have_text("step-9")
        page.get_by_role("button", name="Fold", exact=True).click()
        assert lines.count() < MAX_LINES_DRAWN
        expect(lines.nth(1)).to_contain_text("9 below")


def test_tree_is_moved_in_and_folded_by_keys(browser: Browser, site: Site) -> None:
    with opened(browser, site, f"{BOT}?op=answer&limit=25") as page:
        page.goto(site.url + BOT + "/" + ids_of(page)[3])
        tree = page.get_by_role("tree")
        expect(tree.get_by_role("treeitem")).to_have_count(2)
        tree.get_by_role("treeitem").first.focus()
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("heading", level=1)).to_have_text("retrieve")
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("heading", level=1)).to_have_text("answer")
        page.keyboard.press("ArrowLeft")
        expect(tree.get_by_role("treeitem")).to_have_count(1)
        expect(tree.get_by_role("treeitem")).to_have_attribute("aria-expanded", "false")
        page.keyboard.press("ArrowRight")
        expect(tree.get_by_role("treeitem")).to_have_count(2)


def test_failure_shows_its_traceback(browser: Browser, site: Site) -> None:
    with opened(browser, site, f"{BOT}/{site.failed}") as page:
        raised = page.locator(".raised")
        expect(raised).to_contain_text("app.TooBad")
        expect(raised).to_contain_text("app.py:7")


# Keys and appearance


def test_keys_lead_through_the_pages(browser: Browser, site: Site) -> None:
    with opened(browser, site, "/") as page:
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Calls")
        page.wait_for_load_state()
        page.keyboard.press("?")
        keys = page.get_by_role("dialog", name="Keys")
        expect(keys).to_contain_text("open it beside the list")
        page.keyboard.press("/")
        expect(page.locator("#search")).not_to_be_focused()
        page.keyboard.press("Escape")
        expect(keys).to_be_hidden()
        page.keyboard.press("g")
        page.keyboard.press("f")
        expect(page.get_by_role("heading", level=1)).to_have_text("Feedback")
        # Keys pressed before the scripts have run go nowhere.
        page.wait_for_load_state()
        page.keyboard.press("g")
        page.keyboard.press("p")
        expect(page.get_by_role("heading", level=1)).to_have_text("Projects")


def test_appearance_follows_the_system_until_one_is_chosen(browser: Browser, site: Site) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, site, "/", color_scheme="dark") as page:
        dark = page.evaluate(background)
        page.get_by_role("button", name="Light").click()
        light = page.evaluate(background)
        assert light != dark
        page.goto(site.url + BOT)
        assert page.evaluate(background) == light
        page.get_by_role("button", name="As the system").click()
        assert page.evaluate(background) == dark


@pytest.mark.parametrize(
    "path",
    ["/", BOT, "{call}", "/p/acme~bot/feedback", "/p/acme~bot/functions", "{drawer}", "/login"],
)
def test_nothing_overflows_a_phone(browser: Browser, site: Site, path: str) -> None:
    address = path.format(call=f"{BOT}/{site.failed}", drawer=f"{BOT}?call={site.failed}")
    with opened(browser, site, address, viewport={"width": 390, "height": 844}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if path == BOT:
            box = rows(page).first.bounding_box()
            assert box is not None
            assert box["width"] > 340
            assert box["height"] > 60


# What must hold whatever was logged and whatever is missing


def test_hostile_values_are_text_and_run_nothing(browser: Browser, site: Site) -> None:
    call = f"/p/hostile/calls/{site.hostile}"
    views = [
        f"{call}?inputs.view={view}&output.view={view}" for view in ("markdown", "text", "json")
    ]
    for path in ("/p/hostile/calls", call, *views, "/p/hostile/feedback"):
        with opened(browser, site, path) as page:
            expect(page.locator("main")).to_contain_text("<script>window.hacked=1</script>")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("window.hacked") is None
    with opened(
        browser, site, f"/p/hostile/calls?call={site.hostile}&thread={quote(EVIL)}"
    ) as page:
        expect(page.locator("#drawer")).to_contain_text("<img src=x onerror=")
        page.locator("tr[data-row] a.cell").first.click()
        expect(page.locator("#cell-menu")).to_be_visible()
        assert page.evaluate("window.hacked") is None


def test_pages_work_without_scripts(browser: Browser, site: Site) -> None:
    with opened(browser, site, BOT, java_script_enabled=False) as page:
        page.get_by_role("link", name="Latency").click()
        expect(rows(page).first).to_have_attribute("data-row", site.failed)
        page.locator("#search").fill("number 33")
        page.locator("#search").press("Enter")
        expect(rows(page)).to_have_count(1)
        rows(page).first.get_by_role("link", name="answer", exact=True).click()
        expect(page.get_by_role("treeitem")).to_have_count(2)
        page.locator("#note").fill("without scripts")
        page.get_by_role("button", name="Add note").click()
        expect(page.locator(".note-text")).to_have_text("without scripts")
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_pages_work_without_what_npm_brings(browser: Browser, site: Site) -> None:
    with opened(browser, site, "/", expected="net::ERR_FAILED") as page:
        page.route("**/vendor/**", lambda route: route.abort())
        page.goto(f"{site.url}{BOT}?limit=25")
        rows(page).nth(1).locator("td.preview").first.click()
        expect(page.locator("#drawer article")).to_be_visible()
        page.get_by_label("React with 👎").click()
        expect(page.locator("#drawer .reaction").filter(has_text="👎")).to_have_count(1)
        page.get_by_role("link", name="Next", exact=True).click()
        expect(page.get_by_role("link", name="Previous")).to_be_visible()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci --ignore-scripts")
@pytest.mark.parametrize(
    ("width", "theme", "other"), [(1280, "light", "dark"), (390, "dark", "light")]
)
def test_pages_are_accessible(
    browser: Browser, site: Site, width: int, theme: Any, other: Any
) -> None:
    """All rules in one appearance; in the other what differs there, which is contrast."""
    paths = (
        "/",
        BOT,
        f"{BOT}?status=error&call={site.failed}",
        f"{BOT}?q=absent",
        f"{BOT}?where=outptu:eq:1",
        f"{BOT}/{site.failed}",
        f"{BOT}?op=other",
        f"/p/hostile/calls/{site.hostile}",
        f"/p/crawler/calls/{site.big}",
        "/p/acme~bot/feedback",
        "/p/new/calls",
        "/login",
        "/nowhere",
    )
    found: list[str] = []
    for path in paths:
        options = {
            "color_scheme": theme,
            "viewport": {"width": width, "height": 800},
            "bypass_csp": True,
            "expected": "Failed to load resource",
        }
        with opened(browser, site, path, **options) as page:
            page.wait_for_load_state("networkidle")
            page.add_script_tag(path=AXE)
            run = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})"
            violations = page.evaluate(run, list(RULES))["violations"]
            page.emulate_media(color_scheme=other)
            violations += page.evaluate(run, ["color-contrast"])["violations"]
            for each in violations:
                html = each["nodes"][0]["html"][:160]
                found.append(f"{path}: {each['id']} ({len(each['nodes'])} times): {html}")
    assert "\n".join(found) == ""
