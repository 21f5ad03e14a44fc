"""The record explorer, without scripts: the record as the app is laid out, and what selectors give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote

import judged
import pytest
from markup import Element
from sites import EVIL, PATH, PROJECT, Counting, Site, part, served, write

from kibitz.base.errors import UsageError
from kibitz.judging.records import Record
from kibitz.server.pages import record_tree
from kibitz.storage import sqlite

RECORD = f"{PATH}/calls/c1/record"
PASSAGES = "Select.RecordCalls.retriever.retrieve.rets[:].text"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def selecting(site: Site, text: str) -> Element:
    return site.page(f"{RECORD}?select={quote(text)}").one("section", id="selected")


def selectors(page: Element) -> list[str]:
    """All that can be copied from the tree."""
    tree = page.one("div", "places-tree")
    return [each["data-copy"] for each in tree.all("button", data_copy=None)]


def values(found: Element) -> dict[str, str]:
    listed = found.one("ol", "found")
    return {each.one("code").text: each.one("pre").raw_text for each in listed.all("li")}


def test_record_is_laid_out_as_the_app_with_a_selector_for_each_place(site: Site) -> None:
    write(site, *judged.rag("c1"))
    page = site.follow(PATH, site.page(f"{PATH}/calls/c1").one("a", id="record-link"))

    found = selectors(page)
    assert {
        "Select.RecordInput",
        "Select.RecordOutput",
        "Select.RecordCalls",
        "Select.RecordCalls.retriever.retrieve.rets",
        "Select.RecordCalls.retriever.retrieve.rets[:]",
        PASSAGES,
        "Select.RecordCalls.answer.args.question",
    } <= set(found)
    text = page.one("div", "places-tree").text
    assert "question c1" in text
    assert "one two" in text


def test_every_selector_that_is_offered_selects_something(site: Site) -> None:
    write(site, *judged.rag("c1"), part("x", 9, trace_id="c1", parent_id="c1", op="odd key.a b"))
    calls = site.store.evaluations.records(PROJECT, ["c1"])["c1"]
    record = Record.of_calls(calls, "c1")

    offered = selectors(site.page(RECORD))
    assert len(offered) > 40
    for each in set(offered):
        lens = record_tree.selector(each)
        assert lens.exists({"__record__": record}), each


def test_selector_gives_values_with_their_exact_places(site: Site) -> None:
    write(site, *judged.rag("c1"))
    found = selecting(site, PASSAGES)

    assert "2 values" in found.text
    assert values(found) == {
        "Select.RecordCalls.retriever.retrieve[0].rets[0].text": "one two",
        "Select.RecordCalls.retriever.retrieve[0].rets[1].text": "three",
    }
    there = site.follow(RECORD, found.one("ol", "found").all("a")[1])
    assert there.one("section", id="tree-of-record").one("pre").text == "three"


@pytest.mark.parametrize(
    "text",
    [
        "Select.RecordOutput",
        "RecordOutput",
        "__record__.main_output",
        "main_output",
        "record.main_output",
        " Select.Record.main_output ",
        "Select.spans(op='answer').rets",
        "Select.RecordCalls.answer.rets",
        "app.answer[0].rets",
    ],
)
def test_selector_is_understood_as_people_write_it(site: Site, text: str) -> None:
    write(site, *judged.rag("c1"))

    assert list(values(selecting(site, text)).values()) == ["output c1"]


def test_missing_place_says_how_far_it_goes_and_what_is_there(site: Site) -> None:
    write(site, *judged.rag("c1"))
    found = selecting(site, "Select.RecordCalls.retriever.rank.rets")

    assert "retrieve" in found.one("p", "form-error").text
    prefix = found.link("Select.RecordCalls.retriever")
    assert values(site.follow(RECORD, prefix).one("section", id="selected"))
    there = site.follow(RECORD, found.link("what is there"))
    assert there.one("p", "place-crumbs").one("code").text == "Select.RecordCalls.retriever"


@pytest.mark.parametrize("text", ["x[", "a b", "Select.Nothing.x", "[0," * 300, EVIL])
def test_text_that_is_no_selector_is_said_to_be_none(site: Site, text: str) -> None:
    write(site, *judged.rag("c1"))
    found = selecting(site, text)

    assert found.one("p", "form-error").text
    assert not found.all("ol")


def test_selector_of_very_many_places_is_refused() -> None:
    several = "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"
    with pytest.raises(UsageError, match="100,000"):
        record_tree.selector("calls" + several * 5)


def test_selector_of_an_empty_list_says_so(site: Site) -> None:
    write(site, *judged.rag("c1", passages=()))

    assert "empty" in selecting(site, PASSAGES).text


def test_what_is_large_has_an_address_of_its_own(site: Site) -> None:
    many = [{"n": n} for n in range(2000)]
    write(site, part("c1", output=many, inputs={"text": "x" * 5000}))

    page = site.page(RECORD)
    assert len(selectors(page)) <= record_tree.MAX_PIECES
    cut = next(each for each in page.all("a") if "characters more" in each.text)
    whole = site.follow(RECORD, cut).one("section", id="tree-of-record").one("pre").text
    assert whole == "x" * 5000
    later = page.all("details", data_later=None)
    assert later
    assert all("Show it" in each.text for each in later)
    opened = site.page(later[0]["data-later"])
    assert opened.one("p", "place-crumbs")
    assert "1,940 more" in page.text


def test_record_of_any_call_and_of_none(site: Site) -> None:
    write(site, *judged.rag("c1"))

    below = site.page(f"{PATH}/calls/c1-r/record")
    assert "1 call" in below.text
    site.page(f"{PATH}/calls/nothing/record", 404)
    site.page(f"{RECORD}?at=__record__.nothing", 404)
    site.page(f"{RECORD}?at=[", 400)
    site.page(f"{RECORD}?at=" + "__record__.x" * 300, 400)


def test_call_that_raised_and_one_that_runs_have_records(site: Site) -> None:
    running = part("c1", ended_at=None)
    write(site, running)

    assert "running" in site.page(RECORD).text
    assert "goes as far as" in selecting(site, "Select.RecordOutput").text


def test_record_is_hostile(site: Site) -> None:
    write(site, part("c1", op=EVIL[:60], inputs={EVIL: EVIL}, output={EVIL: [EVIL]}))

    page = site.page(f"{RECORD}?select={quote('Select.RecordOutput')}")
    assert not page.all("img")
    assert not [each for each in page.all("script") if each.raw_text.strip()]
    assert EVIL in page.text
    offered = [each for each in selectors(page) if "hacked" in each]
    assert offered
    for each in offered:
        assert selecting(site, each).all("ol", "found"), each


def test_keys_and_depths_that_nobody_would_write_are_shown_within_bounds(site: Site) -> None:
    deep: object = "end"
    for _ in range(150):
        deep = {"d": deep}
    write(site, part("c1", inputs={"k" * 100_000: 1, "deep": deep}, output={"a": {"b" * 1990: 1}}))

    answer = site.answer(RECORD)
    assert answer.status == 200
    assert len(answer.body) < 400_000
    page = site.page(RECORD)
    assert "no selector names this place" in page.text
    for each in set(selectors(page)):
        assert len(each) <= record_tree.MAX_SELECTOR
    later = next(each for each in page.all("details", data_later=None) if "d:" in each.text)
    assert "d:" in site.page(later["data-later"]).one("div", "places-tree").text


def test_general_place_goes_through_calls_and_elements() -> None:
    place = '__record__.app.a.b[0].rets[3]["k 1"][2]'
    assert record_tree.general(place) == '__record__.app.a.b.rets[:]["k 1"][:]'
    assert record_tree.general("__record__.calls[2].rets") == "__record__.calls[:].rets"
