"""Actions on all calls of a list: over HTTP, as a browser without scripts does them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
from markup import Element, forms, read
from sites import PATH, PROJECT, Counting, Site, judged, part, served, write

from kibitz.query.nodes import CallQuery, FeedbackQuery
from kibitz.storage import sqlite
from kibitz.storage.sqlite import bulk

HERE = f"{PATH}/calls"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def actions(site: Site, query: str = "") -> Element:
    """The page of actions, from the button of a list."""
    return site.follow(HERE, site.page(f"{HERE}{query}").link("Actions"))


def press(site: Site, page: Element, action: str, status: int = 200, **typed: str) -> Element:
    form = next(
        each for each in page.all("form", method="post") if each.all("button", value=action)
    )
    sent = {**dict(forms(form)), "action": action, **typed}
    answer = site.answer(form["action"], form=sent)
    assert answer.status == status, answer.body[:300]
    return read(answer.body)


def remaining(site: Site) -> list[str]:
    return sorted(each.id for each in site.store.calls.query(CallQuery(project=PROJECT)).items)


def test_delete_shows_the_counts_first_and_wants_the_number(site: Site) -> None:
    write(
        site,
        part("c1"),
        part("below", 1, parent_id="c1", trace_id="c1"),
        part("c2", 2, op="other"),
        judged("below", "note", {"note": "x"}),
    )
    page = actions(site, "?op=answer")
    assert page.one("h1").text == "1 call"
    assert "2 calls and 1 judgement on them" in page.text

    refused = press(site, page, "delete", 400, typed="1")
    assert "type 2 to delete" in refused.one(role="alert").text
    assert remaining(site) == ["below", "c1", "c2"]

    done = press(site, page, "delete", typed="2")
    assert "Deleted 2 calls and 1 judgement" in done.one("main").one(role="status").text
    assert remaining(site) == ["c2"]


def test_delete_is_refused_when_more_match_than_were_counted(site: Site) -> None:
    write(site, part("c1"))
    page = actions(site)
    write(site, part("c2", 1))

    refused = press(site, page, "delete", 409, typed="1")

    assert refused.one(role="alert").text
    assert refused.one("h1").text == "2 calls"
    assert remaining(site) == ["c1", "c2"]


def test_reaction_and_note_reach_the_calls_that_match_once(site: Site) -> None:
    write(site, *(part(f"c{n}", n, op="answer" if n % 2 else "other") for n in range(6)))
    page = actions(site, "?q=op+=+answer")

    press(site, page, "react", emoji="👎", author="Ana")
    press(site, page, "react", emoji="👎", author="Ana")
    done = press(site, actions(site, "?q=op+=+answer"), "note", note="look at this", author="Ana")

    assert "Added to 3 calls" in done.one("main").one(role="status").text
    found = site.store.feedback.query(FeedbackQuery(project=PROJECT)).items
    assert sorted((each.type, each.target_ref[-2:], each.author) for each in found) == sorted(
        (type_, f"c{n}", "Ana") for type_ in ("note", "reaction") for n in (1, 3, 5)
    )


def test_note_without_text_is_refused(site: Site) -> None:
    write(site, part("c1"))

    refused = press(site, actions(site), "note", 400, note="  ")

    assert "needs some text" in refused.one(role="alert").text


def test_long_action_says_how_far_it_is_and_goes_on(site: Site) -> None:
    site.store.bulk._step_ns = 0
    many = 3 * bulk.CALLS_AT_A_TIME
    write(site, *(part(f"c{n:05}", n) for n in range(many)))
    page = press(site, actions(site), "delete", typed=str(many))

    turns = 0
    while page.all("form", data_go_on=None):
        form = page.one("form", data_go_on=None)
        page = read(site.answer(form["action"], form=dict(forms(form))).body)
        turns += 1

    assert turns > 0
    assert f"Deleted {many} calls" in page.one("main").one(role="status").text
    assert remaining(site) == []


def test_export_has_the_calls_of_the_list(site: Site) -> None:
    write(
        site, part("c1"), part("c2", 1), part("c3", 2, op="other"), judged("c1", "custom", {"n": 1})
    )
    page = actions(site, "?q=op+=+answer+sort+started_at")
    form = next(each for each in page.all("form") if each["action"].endswith("/export"))

    answer = site.answer(form["action"], form={**dict(forms(form)), "format": "jsonl"})

    assert answer.status == 200
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert sorted(each["call"]["id"] for each in lines if "call" in each) == ["c1", "c2"]
    table = site.answer(form["action"], form={**dict(forms(form)), "format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    listed = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [each["id"] for each in listed] == ["c1", "c2"]


def test_address_with_a_mistake_acts_on_nothing(site: Site) -> None:
    write(site, part("c1"))

    site.page(f"{HERE}/bulk?q=outptu+=+1", status=400)
    answer = site.answer(
        f"{HERE}/act",
        form={"action": "delete", "state": "q=outptu+=+1", "expected": "1", "typed": "1"},
    )

    assert answer.status == 400
    assert remaining(site) == ["c1"]


def test_nothing_to_act_on_offers_nothing(site: Site) -> None:
    write(site, part("c1"))

    page = site.page(f"{HERE}/bulk?q=absent")

    assert page.one("h1").text == "0 calls"
    assert not page.one("main").all("form")
