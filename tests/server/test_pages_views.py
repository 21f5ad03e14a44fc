"""Saved views on the calls page, over HTTP and without scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from markup import Element, forms
from sites import PATH, PROJECT, Counting, Site, judged, part, served, write

from kibitz.base import api, clock
from kibitz.base.records import ExceptionInfo
from kibitz.storage import sqlite

HERE = f"{PATH}/calls"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def ids(page: Element) -> list[str]:
    return [row["data-row"] for row in page.all("tr", data_row=None)]


def act(site: Site, page: Element, label: str, **fields: str) -> str:
    """Send the form of a button as a browser does; where it leads."""
    (form, button) = next(
        (form, button)
        for form in page.all("form", method="post")
        for button in form.all("button")
        if button.text == label
    )
    sent = {**dict(forms(form)), button["name"]: button["value"], **fields}
    answer = site.answer(form["action"], form=sent)
    assert answer.status == 303, answer.body[:400]
    return answer.headers["location"]


def test_view_keeps_what_the_page_shows(site: Site) -> None:
    failed = ExceptionInfo(type="ValueError", message="no")
    write(
        site,
        part("c1", exception=failed),
        part("c2", 1, exception=failed, op="other"),
        part("c3", 2),
        part("c4", 3, exception=failed, parent_id="c3", trace_id="c3"),
        judged("c1", "custom", {"n": 1, "why": "x"}),
    )
    column = "feedback.[custom].payload.why"
    page = site.page(f"{HERE}?q=status+=+error+sort+started_at&col={column}")

    opened = act(site, page, "Save view", name="Failures, oldest first")

    assert opened == f"{HERE}?view=Failures,+oldest+first"
    page = site.page(opened)
    assert ids(page) == ["c1", "c2"]
    assert page.one("input", id="search")["value"] == "status = error sort started_at"
    assert [each.all("button")[0].text for each in page.all("th", "c-feedback")] == ["why"]
    assert not page.all("span", "view-mark")
    # The same question everywhere: what the page leaves out by itself is part of it.
    (view,) = site.store.views.list(PROJECT)
    assert "parent_id is null" in view.query


def test_view_that_was_changed_says_so_and_can_be_updated_or_left(site: Site) -> None:
    write(site, part("c1"), part("c2", 1, op="other"))
    opened = act(site, site.page(f"{HERE}?q=op+=+answer"), "Save view", name="mine")
    page = site.page(opened)

    changed = site.follow(opened, page.all("a", "chip-close")[0])
    assert ids(changed) == ["c2", "c1"]
    assert changed.one("span", "view-mark").text == "changed"
    assert ids(site.follow(opened, changed.link("Undo changes"))) == ["c1"]

    updated = site.page(act(site, changed, "Update mine"))
    assert ids(updated) == ["c2", "c1"]
    assert not updated.all("span", "view-mark")


def test_view_of_words_time_and_nested_calls_is_the_same_when_it_is_opened(site: Site) -> None:
    now = clock.now()
    write(site, part("old"), part("new", started_at=now, ended_at=None, parent_id="old"))
    page = site.page(f"{HERE}?q=question&time=24h&calls=all")

    page = site.page(act(site, page, "Save view", name="recent"))

    assert ids(page) == ["new"]
    assert page.one("input", id="search")["value"] == "question"
    assert page.link("All calls")["aria-current"] == "true"
    assert not page.all("span", "view-mark")


def test_view_is_deleted_for_everybody_and_its_address_says_so(site: Site) -> None:
    write(site, part("c1"))
    opened = act(site, site.page(HERE), "Save view", name="all")

    assert act(site, site.page(opened), "Delete all") == HERE
    assert site.store.views.list(PROJECT) == []
    gone = site.page(opened, status=400)
    assert "no view 'all'" in gone.one(role="alert").text


def test_views_of_other_surfaces_are_listed_and_open(site: Site) -> None:
    write(site, part("c1"), part("s1", 1, kind="scorer"), judged("c1", "custom", {"n": 1}))
    store = site.store
    store.views.save(
        PROJECT, "judged", api.NewView(query="feedback.custom.n > 0", sort="latency desc")
    )

    page = site.page(HERE)
    page = site.follow(HERE, page.link("judged"))

    assert ids(page) == ["c1"]
    assert page.one("th", aria_sort="descending").text == "Latency"
    assert not page.all("span", "view-mark")
