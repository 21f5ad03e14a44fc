"""The pages, asked for over HTTP and read for what they mean: links, cells, forms, states."""

from __future__ import annotations

import ast
import gzip
import inspect
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from asking import ask
from jinja2 import meta
from markup import Element, forms, read
from sites import DIGEST, EVIL, PATH, PROJECT, START, Counting, Site, judged, part, served, write

from kibitz.base import clock, refs
from kibitz.base.errors import QueryTimeout
from kibitz.base.records import (
    ExceptionInfo,
    Frame,
    ObjectPart,
)
from kibitz.query.nodes import FeedbackQuery
from kibitz.server.pages import (
    addresses,
    assets,
    bulk,
    call,
    calls,
    errors,
    evaluations,
    feedback,
    feedback_forms,
    feedback_type,
    functions,
    login,
    op,
    projects,
    record,
    rules,
    specs,
)
from kibitz.server.pages import render as rendering
from kibitz.storage import sqlite


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def ids(page: Element) -> list[str]:
    """The calls that a list shows, in its order."""
    return [row["data-row"] for row in page.one("table", "calls").all("tr", data_row=None)]


def cells(page: Element, id_: str) -> list[str]:
    return [cell.text for cell in page.one("tr", data_row=id_).all("td")]


# Projects


def test_first_page_without_calls_says_how_to_begin(site: Site) -> None:
    page = site.page("/")

    said = [each.text for each in page.all("code")]
    assert "kibitz demo" in said
    assert any(f'kibitz.init("my-app", url="{site.url}")' in each for each in said)


def test_projects_show_what_is_in_them(site: Site) -> None:
    write(
        site,
        part("c1"),
        part("c2", exception=ExceptionInfo(type="ValueError", message="no")),
        part("c3", ended_at=None),
        judged("c1", "reaction", {"emoji": "👍"}),
    )

    (row,) = site.page("/").one("tbody").all("tr")

    assert row.link(PROJECT)["href"] == f"{PATH}/calls"
    assert [each.text for each in row.all("td")][:4] == ["3", "1", "1", "1"]


# The list of calls


def test_list_shows_calls_with_their_feedback(site: Site) -> None:
    write(
        site,
        part("c1", 0),
        part("c2", 1, exception=ExceptionInfo(type="ValueError", message="no")),
        part("c3", 2, ended_at=None, display_name="the third"),
        judged("c1", "runnable.short", {"output": True}),
        judged("c1", "runnable.grounded", {"output": {"score": 0.25, "reason": "because"}}),
        judged("c1", "reaction", {"emoji": "👍"}),
    )

    page = site.page(f"{PATH}/calls")

    heads = [each.all()[0].text for each in page.one("thead").all("th") if each.all()]
    assert ids(page) == ["c3", "c2", "c1"]
    assert heads == ["Time", "Op", "Status", "Latency", "reaction", "grounded.", "short"]
    assert cells(page, "c1")[1:] == [
        "answer",
        "success",
        "1.00 s",
        "question c1",
        "output c1",
        "👍",
        "0.25",
        "yes",
    ]
    assert cells(page, "c2")[2:6] == ["error", "1.00 s", "question c2", "ValueError: no"]
    assert cells(page, "c3")[1:4] == ["the third", "running", "…"]


def test_list_shows_root_calls_until_it_is_asked_for_all(site: Site) -> None:
    write(site, part("c1"), part("c2", 1, parent_id="c1", trace_id="c1"))
    page = site.page(f"{PATH}/calls")

    assert ids(page) == ["c1"]
    assert ids(site.follow(f"{PATH}/calls", page.link("All calls"))) == ["c2", "c1"]


def test_calls_of_scorers_do_not_bury_those_they_judge(site: Site) -> None:
    write(site, part("c1"), part("s1", 1, kind="scorer", op="length"))

    assert ids(site.page(f"{PATH}/calls")) == ["c1"]
    assert ids(site.page(f"{PATH}/calls?op=length")) == ["s1"]
    assert ids(site.page(f"{PATH}/calls?calls=all")) == ["s1", "c1"]


def test_clicks_filter_and_chips_take_it_back(site: Site) -> None:
    write(site, part("c1"), part("c2", 1, op="other"), part("c3", 2, op="other", ended_at=None))
    here = f"{PATH}/calls"
    page = site.page(here)

    only = page.one("tr", data_row="c2").one("a", "only")
    page = site.follow(here, only)
    assert ids(page) == ["c3", "c2"]
    page = site.follow(here, page.one("tr", data_row="c3").one("a", "status"))
    assert ids(page) == ["c3"]
    assert [each.text for each in page.all("li", "chip")] == ["op = other", "status = running"]
    page = site.follow(here, page.all("a", "chip-close")[0])
    assert ids(page) == ["c3"]
    assert ids(site.follow(here, page.link("Clear"))) == ["c3", "c2", "c1"]


def test_clicks_on_a_head_sort_both_ways_and_back(site: Site) -> None:
    lasting = {n: START + timedelta(seconds=n) for n in (5, 1, 3)}
    write(site, *(part(f"c{n}", 0, ended_at=end) for n, end in lasting.items()))
    here = f"{PATH}/calls"
    page = site.page(here)

    page = site.follow(here, page.link("Latency"))
    assert ids(page) == ["c5", "c3", "c1"]
    assert page.one("th", aria_sort="descending").text == "Latency"
    page = site.follow(here, page.link("Latency"))
    assert ids(page) == ["c1", "c3", "c5"]
    page = site.follow(here, page.link("Latency"))
    assert not page.one("th", aria_sort=None).text.startswith("Latency")


def test_feedback_column_filters_and_sorts(site: Site) -> None:
    for n, score in enumerate((0.9, 0.1, 0.5)):
        write(site, part(f"c{n}", n), judged(f"c{n}", "runnable.good", {"output": score}))
    write(site, part("c9", 9))
    here = f"{PATH}/calls"
    page = site.page(here)

    assert ids(site.follow(here, page.link("Sort, least first"))) == ["c1", "c2", "c0", "c9"]
    assert ids(site.follow(here, page.link("Only where it is missing"))) == ["c9"]
    assert ids(site.follow(here, page.link("Only where it is there"))) == ["c2", "c1", "c0"]
    assert ids(site.follow(here, page.one("tr", data_row="c2").one("a", "cell"))) == ["c2"]


def test_head_of_a_feedback_column_says_how_its_values_lie(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(9)))
    for n in range(8):
        write(
            site,
            judged(f"c{n}", "score", {"value": n / 7}),
            judged(f"c{n}", "thumb", {"value": n < 2}),
            judged(f"c{n}", "tone", {"value": "kind"}),
        )

    heads = {
        each["data-field"]: each for each in site.page(f"{PATH}/calls").all("th", "c-feedback")
    }

    score = heads["feedback.[score].payload.value"]
    assert "mean 0.5, 0 to 1, of 8 on this page" in score.text
    assert [each["height"] for each in score.all("rect")] == ["100.0"] * 8
    assert "2 yes of 8 on this page" in heads["feedback.[thumb].payload.value"].text


def test_filter_form_adds_to_what_is_there(site: Site) -> None:
    write(site, part("c1", output={"n": 1}), part("c2", 1, output={"n": 2}), part("c3", 2))
    page = site.page(f"{PATH}/calls?op=answer")
    search = page.one("form", action=f"{PATH}/calls", class_="search")
    assert forms(search) == [("q", "op = answer")]

    filter_form = next(
        each for each in page.all("form") if each.all("input", name="field", list="fields")
    )
    sent = dict(forms(filter_form)) | {"field": "output.n", "operator": "gte", "value": "2"}
    answer = site.answer(f"{PATH}/calls?{urlencode(sent)}")

    assert answer.status == 303
    assert answer.headers["location"] == f"{PATH}/calls?q=op+=+answer+and+output.n+%3E=+2"
    assert ids(site.page(answer.headers["location"])) == ["c2"]


def test_filter_form_with_a_mistake_is_explained_on_the_list(site: Site) -> None:
    write(site, part("c1"))
    answer = site.answer(f"{PATH}/calls?op=answer&field=outptu&operator=eq&value=1")

    page = site.page(answer.headers["location"], status=400)

    assert "did you mean 'output'" in page.one(role="alert").text
    assert page.link("Go on without it")["href"] == f"{PATH}/calls?q=op+=+answer"


def test_search_finds_text_in_inputs_and_outputs(site: Site) -> None:
    write(
        site, part("c1", inputs={"q": "Größe of things"}), part("c2", 1, output=["GRÖSSE things"])
    )

    assert ids(site.page(f"{PATH}/calls?" + urlencode({"q": "of THINGS"}))) == ["c1"]
    assert ids(site.page(f"{PATH}/calls?" + urlencode({"q": "things"}))) == ["c2", "c1"]
    nothing = " ".join(site.page(f"{PATH}/calls?q=absent").text.split())
    assert "No call matches" in nothing
    assert "all of them. Only root calls" in nothing


def test_search_says_what_it_costs(site: Site) -> None:
    write(site, part("c1"))

    def note(query: str) -> str:
        return site.page(f"{PATH}/calls?" + urlencode({"q": query})).one("ul", "chips").text

    site.store.search.set_level(PROJECT, "off")
    assert "The text index has nothing here: calls are read" in note("question")
    assert "index" not in note("op = answer")
    site.store.search.set_level(PROJECT, "substrings")
    assert "Found by the text index" in note("question")


def test_times_narrow_the_list(site: Site) -> None:
    write(site, part("old"), part("new", started_at=clock.now(), ended_at=None))
    page = site.page(f"{PATH}/calls")

    assert ids(site.follow(PATH, page.link("1 hour"))) == ["new"]
    assert ids(site.page(f"{PATH}/calls?since=2026-03-01&until=2026-03-02T00:00:00Z")) == ["old"]


def test_pages_of_the_list_go_on_and_back(site: Site) -> None:
    write(site, *(part(f"c{n:02}", n) for n in range(60)))
    here = f"{PATH}/calls?limit=25"
    first = site.page(here)

    second = site.page(first.one("a", rel="next")["href"])
    third = site.page(second.one("a", rel="next")["href"])

    assert ids(first) + ids(second) + ids(third) == [f"c{n:02}" for n in reversed(range(60))]
    assert not third.all("a", rel="next")
    assert ids(site.page(third.one("a", rel="prev")["href"])) == ids(second)
    assert ids(site.page(second.one("a", rel="prev")["href"])) == ids(first)


def test_count_is_there_at_once_or_asked_for_later(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(30)))

    assert "30 calls" in site.page(f"{PATH}/calls").one("h1").text
    later = site.page(f"{PATH}/calls?limit=25").one("h1").one("span", hx_get=None)
    assert site.page(later["hx-get"]).text == "30 calls"


def test_columns_are_chosen_in_the_address(site: Site) -> None:
    write(
        site,
        part("c1"),
        judged("c1", "runnable.a", {"output": {"x": 1, "why": "text"}}),
        judged("c1", "runnable.b", {"output": 2}),
    )
    here = f"{PATH}/calls"

    def shown(page: Element) -> list[str]:
        return [each.all("button")[0].text for each in page.all("th", "c-feedback")]

    assert shown(site.page(here)) == ["x", "b"]
    why = "feedback.[runnable.a].payload.output.why"
    assert shown(site.page(f"{here}?col={why}")) == ["why"]
    assert shown(site.page(f"{here}?col=")) == []


def test_call_open_beside_the_list_is_an_address_too(site: Site) -> None:
    write(site, part("c1"), part("c2", 1))

    page = site.page(f"{PATH}/calls?op=answer&call=c1")

    assert page.one("aside").one("article")["data-id"] == "c1"
    assert page.one("tr", data_row="c1").has_class("is-open")
    assert page.one("a", id="drawer-close")["href"] == f"{PATH}/calls?q=op+=+answer"


def test_drawer_alone_asks_for_the_call_alone(site: Site) -> None:
    write(site, part("c1"))
    page = site.page(f"{PATH}/calls?call=c1", HX_Request="true", HX_Target="drawer")

    assert page.one("article")["data-id"] == "c1"
    assert not page.all("table")
    assert site.asked == {"calls.get": 1, "calls.query": 1, "evaluations.of_call": 1}


def test_rows_alone_are_the_same_until_something_happens(site: Site) -> None:
    write(site, part("c1"))
    asked = {"HX-Request": "true", "HX-Target": "rows"}
    first = site.answer(f"{PATH}/calls", asked)
    again = site.answer(f"{PATH}/calls", {**asked, "If-None-Match": first.headers["etag"]})
    write(site, part("c2", 1))
    changed = site.answer(f"{PATH}/calls", {**asked, "If-None-Match": first.headers["etag"]})

    assert (again.status, again.body) == (304, b"")
    assert changed.status == 200
    assert [row["data-row"] for row in read(changed.body).all("tr")] == ["c2", "c1"]


def test_row_changes_its_revision_when_the_call_ends_or_is_judged(site: Site) -> None:
    def revision() -> str:
        return site.page(f"{PATH}/calls").one("tr", data_row="c1")["data-rev"]

    write(
        site, part("c1", ended_at=None), part("c0", -1), judged("c0", "runnable.a", {"output": 1})
    )
    running = revision()
    write(site, part("c1"))
    ended = revision()
    write(site, judged("c1", "runnable.a", {"output": 1}))

    assert len({running, ended, revision()}) == 3


# States of the list


def test_project_without_calls_says_how_to_record_into_it(site: Site) -> None:
    page = site.page("/p/new~app/calls")

    assert "No calls in new/app yet" in page.text
    assert any('kibitz.init("new/app"' in each.text for each in page.all("code"))


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("where=outptu:eq:1", "did you mean"),
        ("sort=feedback.[x]", "whole judgement"),
        ("expr={", "not JSON"),
        ("nonsense=1", "not a parameter"),
        ("cursor=garbage", "cursor"),
    ],
)
def test_wrong_address_is_explained_in_place(site: Site, query: str, word: str) -> None:
    write(site, part("c1"))

    answer = site.answer(f"{PATH}/calls?{query}")

    assert answer.status in (200, 400)
    assert word in read(answer.body).one(role="alert").text


def test_query_that_takes_too_long_offers_a_shorter_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(site, part("c1"))

    def query(*_: Any) -> Any:
        raise QueryTimeout("the query took longer than 10 s; narrow it", limit_s=10.0)

    monkeypatch.setattr(type(site.store.calls), "query", query)
    alert = site.page(f"{PATH}/calls?q=x").one(role="alert")

    assert "longer than 10 s" in alert.text
    assert alert.one("a")["href"] == f"{PATH}/calls?q=x&time=24h"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{PATH}/calls/nobody", 404),
        ("/p/a~b~c/calls", 400),
        (f"{PATH}/ops/answer/{DIGEST}", 404),
        ("/nowhere", 404),
        (f"{PATH}/calls/c1/values/secret", 404),
    ],
)
def test_errors_are_pages_that_lead_back(site: Site, path: str, status: int) -> None:
    write(site, part("c1"))
    page = site.page(path, status=status)

    assert page.one("h1").text
    assert page.link("All projects")["href"] == "/"
    inside = f"Calls of {PROJECT}" in page.text
    assert inside == path.startswith(PATH)
    if inside:
        assert page.link(f"Calls of {PROJECT}")["href"] == f"{PATH}/calls"


# One call


def test_call_page_shows_all_there_is(site: Site) -> None:
    write(
        site,
        part("root", trace_id="t"),
        part(
            "c1",
            0.1,
            trace_id="t",
            parent_id="root",
            op_ref=refs.op_ref(PROJECT, "answer", DIGEST),
            kind="llm",
            thread_id="thread 1",
            author="ana",
            attributes={"env": "test"},
            summary={"usage": {"m": {"prompt_tokens": 12}}, "cost": 0.5},
            exception=ExceptionInfo(
                type="ValueError",
                message="it broke",
                traceback=[Frame(file="app.py", line=3, function="answer", text="raise E")],
                cause=ExceptionInfo(type="KeyError", message="'k'"),
            ),
        ),
        part("c2", 0.2, trace_id="t", parent_id="c1", op="inner"),
        part("c3", 0.3, trace_id="t", parent_id="root", op="later"),
    )

    page = site.page(f"{PATH}/calls/c1")
    pane = page.one("article")

    assert [(row["data-id"], row["aria-level"]) for row in page.all(role="treeitem")] == [
        ("root", "1"),
        ("c1", "2"),
        ("c2", "3"),
        ("c3", "2"),
    ]
    assert page.one(role="treeitem", aria_selected="true")["data-id"] == "c1"
    assert pane.one("h1").text == "answer"
    assert [each.text for each in pane.all("section", "raised")] == [
        "ValueError it broke Traceback, 1 frame app.py:3 answerraise E",
        "because of KeyError 'k'",
    ]
    assert pane.one("section", id="value-inputs").one("span", "json-text").text == "question c1"
    assert pane.one("section", id="value-attributes").text.endswith("env: test")
    assert "12 prompt tokens" in pane.text
    assert pane.link("inner")["href"] == f"{PATH}/calls/c2"
    assert pane.one("a", id="parent-link")["href"] == f"{PATH}/calls/root"
    assert page.one("a", id="sibling-next")["href"] == f"{PATH}/calls/c3"
    assert pane.link("aaaaaaa")["href"] == f"{PATH}/ops/answer/{DIGEST}"
    assert ids(site.page(pane.link("thread 1")["href"])) == ["c1"]
    assert len(ids(site.page(pane.link("Trace as a list")["href"]))) == 4


def test_views_of_a_value_are_addresses(site: Site) -> None:
    write(site, part("c1", output="It is **bold**"))
    here = f"{PATH}/calls/c1"
    section = site.page(here).one("section", id="value-output")

    assert section.one("strong").text == "bold"
    text = site.follow(here, section.link("Text")).one("section", id="value-output")
    assert text.one("pre").text == "It is **bold**"
    as_json = site.follow(here, section.link("JSON")).one("section", id="value-output")
    assert as_json.one("span", "json-text").text == "It is **bold**"


def test_image_is_shown_and_other_files_are_links(site: Site) -> None:
    write(
        site,
        part(
            "c1",
            output=[
                {"$type": "file", "digest": DIGEST, "media_type": "image/png", "name": "a.png"},
                {"$type": "file", "digest": DIGEST, "media_type": "image/svg+xml", "name": "b.svg"},
            ],
        ),
    )

    section = site.page(f"{PATH}/calls/c1").one("section", id="value-output")

    (image,) = section.all("img")
    assert image["src"] == f"/api/v1/files/{DIGEST}?project=acme/bot"
    assert image["alt"].startswith("a.png")


def test_large_trace_sends_a_beginning_and_the_whole_in_the_compact_form(site: Site) -> None:
    below = [part(f"c{n}", 0.001 * n, trace_id="root", parent_id="root") for n in range(2000)]
    write(site, part("root", -1), *below)

    page = site.page(f"{PATH}/calls/c1999")
    tree = page.one(role="tree")
    compact = ask(site.url, "GET", tree["data-src"]).json

    assert len(tree.all(role="treeitem")) == call.FIRST_ROWS
    assert page.one("p", id="tree-more").link("All of them as a list")["href"]
    assert len(compact["rows"]) == 2001
    assert compact["rows"][0][0] == "root"
    assert compact["rows"][0][5] == 2000


def test_value_alone_is_what_was_stored(site: Site) -> None:
    write(site, part("c1", inputs={"a": [1, None, "ü"]}))

    answer = site.answer(f"{PATH}/calls/c1/values/inputs")

    assert answer.json == {"a": [1, None, "ü"]}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_ids_of_other_systems_are_found(site: Site) -> None:
    for id_ in ("a/b", "..", "%2F", "x?y#z"):
        write(site, part(id_))
        path = addresses.call_path(PROJECT, id_)

        assert site.page(path).one("article")["data-id"] == id_


def test_op_version_shows_its_source(site: Site) -> None:
    value = {"source": "def f():\n    return '<b>'", "language": "python"}
    digest = refs.digest(msgspec.json.encode(value, order="sorted"))
    write(site, ObjectPart(kind="op", name="f", digest=digest, value=value))

    page = site.page(f"{PATH}/ops/f/{digest}")

    assert page.one("pre", "source").raw_text == "def f():\n    return '<b>'\n"
    assert page.one("div", "json").text == "language: python"


# Feedback


def test_feedback_of_a_call_is_listed_with_its_sources(site: Site) -> None:
    write(
        site,
        part("c1"),
        judged(
            "c1", "runnable.good", {"output": {"score": 0.5}}, author="judge", author_kind="model"
        ),
        judged("c1", "note", {"note": "two\nlines"}, author="ana"),
        judged("c1", "reaction", {"emoji": "👍"}, author="ana", id="r1"),
        judged("c1", "reaction", {"emoji": "👍"}, author="bo", id="r2"),
        judged("c1", "custom", {"deep": {"a": [1]}}),
    )

    section = site.page(f"{PATH}/calls/c1").one("section", id="feedback")

    assert [(each.text, each["title"]) for each in section.all("span", "reaction")] in (
        [("👍 2", "ana, bo")],
        [("👍 2", "bo, ana")],
    )
    good = section.one("li", "judgement-program")
    assert good.one("dl", "leaves").text == "score 0.5"
    assert good.link("its call")["href"] == f"{PATH}/calls/scoring"
    assert good.link("good")["href"].startswith(f"{PATH}/ops/good/")
    assert section.one("p", "note-text").raw_text == "two\nlines"
    assert "deep" in section.one("li", "judgement-custom").text


def test_reaction_and_note_are_stored_and_shown_without_scripts(site: Site) -> None:
    write(site, part("c1"))
    here = f"{PATH}/calls/c1"
    react, note = (
        site.page(here).one("form", "react"),
        site.page(here).one("form", "note-form"),
    )

    reacted = site.answer(react["action"], form=[*forms(react), ("emoji", "👍")])
    noted = site.answer(
        note["action"],
        form=[
            *((n, v) for n, v in forms(note) if n not in ("note", "author")),
            ("note", "one\r\ntwo"),
            ("author", "  Ana   B "),
        ],
    )

    assert (reacted.status, reacted.headers["location"]) == (303, f"{here}#feedback")
    assert noted.status == 303
    assert "Ana%20B" in noted.headers["set-cookie"]
    section = site.page(here).one("section", id="feedback")
    assert section.one("span", "reaction").text == "👍 1"
    assert section.one("p", "note-text").raw_text == "one\ntwo"
    assert "Ana B" in section.one("span", "judgement-by").text


def test_reaction_sent_twice_is_one(site: Site) -> None:
    write(site, part("c1"))
    react = site.page(f"{PATH}/calls/c1").one("form", "react")
    sent = [*forms(react), ("emoji", "👍")]

    for _ in range(2):
        assert site.answer(react["action"], form=sent).status == 303

    assert len(site.store.feedback.query(FeedbackQuery(project=PROJECT)).items) == 1


def test_emoji_typed_by_hand_wins_over_the_button_that_enter_presses(site: Site) -> None:
    write(site, part("c1"))
    form = {"type": "reaction", "other": "🦊", "emoji": "👍"}

    site.answer(f"{PATH}/calls/c1/feedback", form=form)

    (stored,) = site.store.feedback.query(FeedbackQuery(project=PROJECT)).items
    assert stored.payload["emoji"] == "🦊"


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"type": "reaction", "other": "fine"}, "not one emoji"),
        ({"type": "note", "note": "  "}, "needs some text"),
        ({"type": "note", "note": "x" * 10_001}, "10,000"),
        ({}, "not one emoji"),
    ],
)
def test_feedback_that_breaks_a_rule_is_explained_and_kept_in_the_form(
    site: Site, form: dict[str, str], word: str
) -> None:
    write(site, part("c1"))

    answer = site.answer(f"{PATH}/calls/c1/feedback", form=form)

    page = read(answer.body)
    assert answer.status == 400
    assert word in page.one("p", "form-error").text
    assert page.one("textarea").raw_text == form.get("note", "")


def test_feedback_for_a_call_that_is_not_there_is_not_stored(site: Site) -> None:
    write(site, part("c1"))
    form = {"type": "note", "note": "hello"}

    assert site.answer(f"{PATH}/calls/nobody/feedback", form=form).status == 404
    assert site.store.feedback.query(FeedbackQuery(project=PROJECT)).items == []


def test_page_of_another_site_adds_no_feedback(site: Site) -> None:
    write(site, part("c1"))
    answer = site.answer(
        f"{PATH}/calls/c1/feedback",
        {"Origin": "https://evil.example"},
        form={"type": "note", "note": "x"},
    )

    assert answer.status == 403
    assert site.store.feedback.query(FeedbackQuery(project=PROJECT)).items == []


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "x"]
)
def test_form_leads_to_this_server_only(site: Site, back: str) -> None:
    write(site, part("c1"))
    form = {"type": "note", "note": "x", "back": back}

    noted = site.answer(f"{PATH}/calls/c1/feedback", form=form)
    themed = site.answer("/theme", form={"theme": "dark", "back": back})

    for answer in (noted, themed):
        assert answer.headers["location"].startswith("/")
        assert "evil" not in answer.headers["location"]


def test_feedback_page_leads_to_the_calls(site: Site) -> None:
    write(
        site,
        part("c1"),
        part("c2", 1),
        judged("c1", "runnable.good", {"output": 0.5}),
        judged("c1", "note", {"note": "hello"}),
    )

    page = site.page(f"{PATH}/feedback")
    cards = {each.one("h2").text: each for each in page.all("article")}

    assert set(cards) == {"good", "note"}
    assert cards["good"].one("span", "tag").text == "program"
    assert ids(site.page(cards["good"].link("judged")["href"])) == ["c1"]
    assert ids(site.page(cards["good"].link("not judged")["href"])) == ["c2"]
    assert "hello" in page.one("ul", "recent").text


def test_feedback_page_without_any_says_how_to_judge(site: Site) -> None:
    write(site, part("c1"))

    assert "No feedback in acme/bot yet" in site.page(f"{PATH}/feedback").text


# Appearance, login, headers


def test_chosen_appearance_is_in_the_next_page(site: Site) -> None:
    chosen = site.answer("/theme", form={"theme": "dark", "back": f"{PATH}/calls"})
    cookie = chosen.headers["set-cookie"].partition(";")[0]

    assert chosen.headers["location"] == f"{PATH}/calls"
    assert site.page("/", Cookie=cookie).one("html")["data-theme"] == "dark"
    assert site.page("/", Cookie="kibitz_theme=evil").one("html")["data-theme"] == "auto"


def test_browser_without_a_key_is_led_to_the_login_and_back(tmp_path: Path) -> None:
    store = sqlite.open_store(tmp_path)
    with served(store, api_keys=("open-sesame",)) as url:
        site = Site(url, store, Counter())
        refused = site.answer(f"{PATH}/calls?op=answer")
        assert refused.status == 303
        form = site.page(refused.headers["location"]).one("form", "login-form")
        wrong = site.answer(form["action"], form=[*forms(form), ("key", "guess")])
        fields_ = [pair for pair in forms(form) if pair[0] != "key"]
        right = site.answer(form["action"], form=[*fields_, ("key", "open-sesame")])

        assert wrong.status == 401
        assert "not one of the server's API keys" in read(wrong.body).text
        assert read(wrong.body).all("form", "login-form")
        assert right.headers["location"] == f"{PATH}/calls?op=answer"
        cookie = right.headers["set-cookie"].partition(";")[0]
        assert site.answer("/", {"Cookie": cookie}).status == 200
    store.close()


@pytest.mark.parametrize("path", ["/", f"{PATH}/calls", f"{PATH}/calls/c1", "/login", "/nowhere"])
def test_pages_allow_no_script_style_or_frame_from_elsewhere(site: Site, path: str) -> None:
    write(site, part("c1"))
    answer = site.answer(path)
    page = read(answer.body)
    policy = {
        rule.split()[0]: rule.split()[1:]
        for rule in answer.headers["content-security-policy"].split(";")
    }

    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    for element in page.walk():
        assert "style" not in element.attributes
        assert not [name for name in element.attributes if name.startswith(("on", "hx-on"))]
        assert element.tag != "style"
        if element.tag == "script":
            assert element["src"].startswith("/static/")
            assert not element.text


def test_page_without_what_npm_brings_has_no_script_of_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {name: each for name, each in _all_assets().items() if not name.startswith("vendor/")}
    monkeypatch.setattr(assets, "_assets", lambda: found)
    write(site, part("c1"))

    page = site.page(f"{PATH}/calls")

    assert not [each for each in page.all("script") if "vendor" in each["src"]]
    assert ids(page) == ["c1"]


def _all_assets() -> dict[str, assets.Asset]:
    return assets._assets()  # pyright: ignore[reportPrivateUsage] the test replaces it


def test_assets_are_kept_by_version_and_sent_compressed(site: Site) -> None:
    address = site.page("/").one("link", rel="stylesheet")["href"]
    plain = ask(site.url, "GET", address)
    packed = ask(site.url, "GET", address, None, {"Accept-Encoding": "gzip"})
    unpinned = ask(site.url, "GET", address.partition("?")[0])
    same = ask(site.url, "GET", address, None, {"If-None-Match": plain.headers["etag"]})

    assert "immutable" in plain.headers["cache-control"]
    assert unpinned.headers["cache-control"] == "no-cache"
    assert gzip.decompress(packed.body) == plain.body
    assert same.status == 304
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/nothing.css", "/static/"):
        assert ask(site.url, "GET", path).status == 404


def test_whole_page_weighs_at_most_100_kilobytes(site: Site) -> None:
    write(site, *(part(f"c{n}", n, output="some words " * 40) for n in range(50)))
    packed = {"Accept-Encoding": "gzip"}
    for path in (f"{PATH}/calls", f"{PATH}/calls/c1"):
        answer = site.answer(path, packed)
        page = read(gzip.decompress(answer.body))
        named = [each["src"] for each in page.all("script")]
        named += [each["href"] for each in page.all("link")]
        named.append("/static/parts.js")
        weight = len(answer.body) + sum(
            len(ask(site.url, "GET", each, None, packed).body) for each in named
        )

        assert weight <= 100_000


# Hostile values


def test_nothing_that_was_logged_becomes_markup(site: Site) -> None:
    name = EVIL[:200]
    write(
        site,
        part(
            "c1",
            op=name,
            kind=name,
            display_name=EVIL,
            thread_id=EVIL,
            author=EVIL,
            inputs={EVIL: EVIL, "messages": [{"role": EVIL, "name": EVIL, "content": EVIL}]},
            output=f"**x** {EVIL}",
            attributes={EVIL: [EVIL]},
            summary={EVIL: 1, "usage": {EVIL: {EVIL: 2}}},
            exception=ExceptionInfo(
                type=EVIL,
                message=EVIL,
                traceback=[Frame(file=EVIL, line=1, function=EVIL, text=EVIL)],
            ),
        ),
        part("c2", 1, parent_id="c1", trace_id="c1", op=name),
        judged("c1", "note", {"note": EVIL}, author=EVIL),
        judged("c1", "custom", {EVIL: EVIL, "a": {EVIL: EVIL}}, author=EVIL),
        judged("c1", "other", {EVIL: 1}),
    )
    views = "&".join(f"{name}.view={{view}}" for name in ("inputs", "output", "attributes"))
    paths = [
        "/",
        f"{PATH}/calls",
        f"{PATH}/calls?" + urlencode({"op": EVIL, "q": EVIL, "where": EVIL, EVIL: EVIL}),
        f"{PATH}/calls?call=c1&" + urlencode({"thread": EVIL}),
        *(
            f"{PATH}/calls/c1?{views.format(view=view)}"
            for view in ("chat", "markdown", "text", "json")
        ),
        f"{PATH}/feedback",
        f"{PATH}/calls/" + addresses.escape(EVIL),
        f"{PATH}/ops/{addresses.escape(name)}/{DIGEST}",
        "/login?" + urlencode({"next": EVIL}),
        "/" + addresses.escape(EVIL),
    ]
    for path in paths:
        page = read(site.answer(path).body)
        for element in page.walk():
            assert element.tag not in ("script", "img") or element.attributes.get(
                "src", ""
            ).startswith("/")
            assert not [each for each in element.attributes if each.startswith("on")]
            for attribute in ("href", "src", "action"):
                address = element.attributes.get(attribute, "/")
                assert address.startswith(("/", "#")), (path, element.tag, address)


def test_hostile_values_are_shown_as_they_are(site: Site) -> None:
    write(site, part("c1", op=EVIL[:200], output=EVIL, inputs={"q": EVIL}))

    assert EVIL in site.page(f"{PATH}/calls").one("tr", data_row="c1").text
    pane = site.page(f"{PATH}/calls/c1?output.view=text").one("article")
    assert pane.one("section", id="value-output").one("pre").raw_text == EVIL
    assert pane.one("section", id="value-inputs").one("span", "json-text").raw_text == EVIL


# What a page costs, and what its template is given


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/", 1),
        (f"{PATH}/calls?op=answer&q=x&sort=latency_ms", 6),
        (f"{PATH}/calls?call=c1", 8),
        (f"{PATH}/calls/c1", 5),
        (f"{PATH}/calls/c1/record", 2),
        (f"{PATH}/functions", 3),
        (f"{PATH}/feedback", 6),
    ],
)
def test_page_asks_the_store_few_questions(site: Site, path: str, most: int) -> None:
    write(site, *(part(f"c{n}", n) for n in range(30)), judged("c1", "note", {"note": "x"}))
    site.page(path)

    assert sum(site.asked.values()) <= most, site.asked


PAGES: tuple[Any, ...] = (
    projects.ProjectsPage,
    calls.CallsPage,
    calls.RowsPage,
    calls.CountPage,
    calls.DrawerPage,
    bulk.BulkPage,
    call.CallPage,
    call.PanePage,
    evaluations.EvaluationsPage,
    record.RecordPage,
    functions.FunctionsPage,
    functions.FunctionPage,
    rules.RulesPage,
    rules.RulePage,
    rules.RuleEditorPage,
    feedback.FeedbackPage,
    feedback.CardPage,
    feedback_forms.HistoryPage,
    feedback_type.TypePage,
    specs.SpecsPage,
    specs.SpecPage,
    specs.EditorPage,
    op.OpPage,
    login.LoginPage,
    errors.ErrorPage,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_every_name_that_a_template_is_given_is_documented_and_used(page: Any) -> None:
    (tree,) = ast.parse(inspect.getsource(page)).body
    assert isinstance(tree, ast.ClassDef)
    documented = {
        before.target.id
        for before, after in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
    }
    source = "\n".join(_sources(page.template))
    for each in fields(page):
        assert each.name in documented, f"{page.__name__}.{each.name} has no documentation"
        assert each.name in source, f"{page.template} does not use {each.name}"


def _sources(template: str) -> Iterator[str]:
    """The text of a template and of all that it includes."""
    loader = rendering.environment.loader
    assert loader is not None
    text, _, _ = loader.get_source(rendering.environment, template)
    yield text
    parsed = rendering.environment.parse(text)
    for name in meta.find_referenced_templates(parsed):
        if name is not None:
            yield from _sources(name)


def test_forms_are_read_as_a_browser_sends_them() -> None:
    page = read(
        "<form><input name=a value=1><input type=checkbox name=b value=2 checked>"
        "<input type=checkbox name=c value=3><textarea name=d>x</textarea>"
        "<select name=e><option value=1><option value=2 selected></select></form>"
    )

    assert forms(page.one("form")) == [("a", "1"), ("b", "2"), ("d", "x"), ("e", "2")]
