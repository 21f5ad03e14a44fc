"""What programs made of a call, on its page and on those of the functions, without scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import judged
import pytest
import sites
from markup import Element, forms
from sites import EVIL, PATH, PROJECT, Counting, Site, part, served, write

from kibitz.base import spending
from kibitz.base.spending import Spend
from kibitz.judging.functions import Feedback
from kibitz.judging.select import Select
from kibitz.server.pages import definition_words
from kibitz.storage import sqlite

CALL = f"{PATH}/calls/c1"
PASSAGES = Select.RecordCalls.retriever.retrieve.rets[:].text


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def words(text: str) -> float:
    return len(text.split()) / 2


def reasoned(passage: str, answer: str) -> tuple[float, dict[str, Any]]:
    spending.spend(Spend(requests=1, input_tokens=100, output_tokens=20, usd=0.0042))
    return words(passage), {"reason": f"because of {passage}", "model": "m-1"}


def broken(text: str) -> float:
    raise TimeoutError(f"no answer about {text}")


def hostile(text: str) -> tuple[float, dict[str, Any]]:
    return 0.5, {"reason": EVIL, EVIL: EVIL}


def section(site: Site, path: str = CALL) -> Element:
    return site.page(path).one("section", id="evaluations")


def rows(found: Element) -> dict[str, Element]:
    return {each.one("strong").text: each for each in found.all("li", "evaluation")}


# On the page of a call


def test_call_shows_aggregate_and_every_invocation_with_its_arguments_paths_and_reason(
    site: Site,
) -> None:
    write(site, *judged.rag("c1"))
    grounded = Feedback(reasoned, name="grounded").on(passage=PASSAGES).on_output().aggregate(min)
    judged.evaluate(site, grounded)

    page = site.page(CALL)
    row = rows(page.one("section", id="evaluations"))["grounded"]
    head = row.one("summary")
    assert head.text.startswith("done grounded 0.5")
    assert "240 tokens" in head.text
    assert "$0.0084" in head.text
    ran = row.all("li", "invocation")
    assert [each.one("span", "judgement-value").text for each in ran] == ["1", "0.5"]
    assert [each.one("p", "invocation-reason").text for each in ran] == [
        "because of one two",
        "because of three",
    ]
    assert "m-1" in ran[0].text
    place = ran[1].one("dl", "arguments").one("a")
    assert place.text == "Select.RecordCalls.retriever.retrieve[0].rets[1].text"
    there = site.page(place["href"])
    assert there.one("ol", "found").one("pre").text == "three"
    assert row.one("div", "invocation-shared").one("dd").text == "output c1"
    # What it said stands here, and not once more among what others said.
    assert not page.all("li", "judgement-program")
    assert site.follow(CALL, row.link("all that it said")).one("h1").text == "grounded"


def test_failure_says_its_cause_and_is_tried_again(site: Site) -> None:
    write(site, *judged.rag("c1"))
    function = Feedback(broken, name="relevance").on_input()
    (failed,) = judged.evaluate(site, function)
    assert failed.status == "failed"

    found = section(site)
    row = rows(found)["relevance"]
    assert "open" in row.one("details", id=f"runs-{failed.id}").attributes
    assert "no answer about question c1" in row.one("p", "evaluation-reason").text
    assert "TimeoutError" in row.one("details", "cause").one("pre").text
    assert found.one("header").one("span", role="status").text == "1 failed"
    retry = row.one("button", name="id")
    assert retry["form"] == found.one("form")["id"]
    answer = site.answer(found.one("form")["action"], form=[("id", retry["value"])])
    assert answer.status == 303

    assert site.store.evaluations.get(PROJECT, failed.id).status == "none"
    again = section(site)
    assert rows(again)["relevance"].one("span", "judging-none").text == "waiting"


def test_only_evaluations_of_the_call_are_tried_again(site: Site) -> None:
    write(site, part("c1"), part("c2", 1))
    done = judged.evaluate(site, Feedback(broken, name="relevance").on_input())
    other = next(each for each in done if each.call_id == "c2")

    assert site.answer(f"{CALL}/evaluations", form=[("id", other.id)]).status == 303
    assert site.store.evaluations.get(PROJECT, other.id).status == "failed"


def test_part_is_asked_for_again_only_while_something_goes_on(site: Site) -> None:
    write(site, part("c1"))
    function = Feedback(words, name="words").on_output()
    judged.want(site, function)

    waiting = section(site)
    asked = {"HX_Request": "true", "HX_Target": "evaluations"}
    alone = site.page(waiting["data-follow"], **asked)
    assert [each.tag for each in alone.children if isinstance(each, Element)] == ["section"]
    assert "kibitz worker" in alone.one("code").text
    judged.work(site, function)
    done = site.page(waiting["data-follow"], **asked).one("section")
    assert "data-follow" not in done.attributes
    assert done.all("span", "judging-done")


def test_call_that_nothing_judges_says_nothing_of_it(site: Site) -> None:
    write(site, part("c1"))

    assert section(site).text == ""


def test_everything_that_was_judged_is_hostile(site: Site) -> None:
    write(site, part("c1", inputs={"q": EVIL}, output=EVIL, op=EVIL[:50]))
    judged.evaluate(site, Feedback(hostile, name=EVIL[:60]).on_output())

    page = site.page(CALL)
    row = page.one("li", "evaluation")
    assert row.one("p", "invocation-reason").text == EVIL
    assert row.one("dl", "arguments").one("dd").text == EVIL
    assert row.one("strong").text == EVIL[:60]
    for path in (f"{PATH}/functions", row.link(f"definition {_version(row)}")["href"]):
        shown = site.page(path)
        assert not [each for each in shown.all("script") if "hacked" in each.raw_text]
        assert not shown.all("img")
        assert EVIL[:60] in shown.text
    assert not page.all("img", src="x")


def _version(row: Element) -> str:
    return row.one("p", "evaluation-foot").one("code").text


# Functions


def test_charts_of_a_function_lead_to_it_and_those_of_an_op_to_none(site: Site) -> None:
    write(site, part("c1"), sites.judged("c1", "runnable.op_said", {"output": 1}))
    judged.evaluate(site, Feedback(words, name="words").on_output())

    page = site.page(f"{PATH}/feedback/runnable.words")
    assert site.follow(PATH, page.link("Function")).one("h1").text == "words"
    shown = site.page(f"{PATH}/feedback/runnable.op_said")
    assert "Function" not in [each.text for each in shown.all("a")]


def test_command_for_a_worker_allows_the_modules_that_wait(site: Site) -> None:
    write(site, part("c1"))
    function = Feedback(words, name="words").on_output()
    value = function.definition.value
    module = value["implementation"]["module"]
    judged.want(site, function, Feedback(len, name="length").on_output())

    command = site.page(f"{PATH}/functions").one("code").text
    assert command == f"kibitz worker --url {site.url} --allow {module}"


@pytest.mark.parametrize("module", ["a; rm -rf /", "a b", "$(x)", "", None, "__main__", "numpy.x"])
def test_module_that_is_none_or_always_allowed_is_not_named(module: Any) -> None:
    value = {"implementation": {"module": module, "name": "f"}}

    assert definition_words.module_of(value) == ""


def test_functions_say_what_they_judge_and_how_far_they_are(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(4)))
    done = Feedback(words, name="words").on_output()
    bad = Feedback(broken, name="relevance").on_input()
    judged.evaluate(site, done, bad)
    judged.want(site, Feedback(words, name="later").on_input())

    page = site.page(f"{PATH}/functions")
    table = page.one("table", "functions")
    text = {row.one("a", data_row_link=None).text: row for row in table.all("tr", data_row=None)}
    assert set(text) == {"words", "relevance", "later"}
    assert "Select.RecordOutput" in text["words"].text
    assert "4 done" in text["words"].text
    assert "1 [1, 1]" in text["words"].text
    assert "4 failed" in text["relevance"].text
    assert "4 waiting" in text["later"].text
    assert "never" in text["later"].text
    assert page.one("div", id="functions")["data-follow"] == f"{PATH}/functions"
    bar = text["words"].one("svg", "progress-bar")
    assert bar["aria-label"] == "words: 4 of 4 ended"


def test_without_functions_the_page_says_how_to_make_one(site: Site) -> None:
    write(site, part("c1"))
    page = site.page(f"{PATH}/functions")

    code, command = (each["data-copy"] for each in page.all("button", data_copy=None))
    program, watching = code.rsplit("\n", 1)
    made: dict[str, Any] = {}
    exec(program, made)  # what readers copy has to work
    definition = made["short"].definition
    assert definition.is_loadable
    assert definition.value["implementation"]["name"].endswith("shorter_than")
    assert "words" in str(definition.value["implementation"])
    assert watching == 'kibitz.watch("answer", [short])'
    assert command == f"kibitz worker --url {site.url}"
    assert site.page(f"{PATH}/feedback").link("Functions")["href"] == f"{PATH}/functions"


def test_function_tells_its_definition_versions_and_runs(site: Site) -> None:
    write(site, *judged.rag("c1"))
    first = Feedback(words, name="words").on_output()
    second = Feedback(words, name="words").on(text=PASSAGES).aggregate("max")
    judged.evaluate(site, first)
    judged.evaluate(site, second)

    page = site.page(f"{PATH}/functions/words")
    said = page.one("section", aria_labelledby="words-title").text
    assert "Select.RecordCalls.retriever.retrieve.rets[:].text" in said
    assert "Aggregated by max" in said
    versions = page.one("ul", "lines").all("a")
    assert [each.text for each in versions] == ["version 2", "version 1"]
    old = site.page(versions[1]["href"])
    assert "Select.RecordOutput" in old.one("section", aria_labelledby="words-title").text
    assert len(old.all("li", "run")) == 1
    runs = page.all("li", "run")
    assert [run.one("span", "evaluation-score").text for run in runs] == ["1", "1"]
    assert site.follow(PATH, runs[0].one("a")).one("article")["data-id"] == "c1"
    assert site.page(f"{PATH}/functions/other", 404)


def test_failures_are_counted_by_reason_filtered_and_tried_again_together(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(3)), part("d", 9, inputs={"question": 3}))
    bad = Feedback(broken, name="relevance").on_input()
    judged.evaluate(site, bad, Feedback(words, name="fine").on_output())
    path = f"{PATH}/functions/relevance"

    page = site.page(path)
    reasons = [each.text for each in page.one("div", "reasons").all("li")]
    assert len(reasons) == 4
    assert all("TimeoutError: no answer about" in each for each in reasons)
    only = site.follow(path, page.link("failed 4"))
    assert len(only.all("li", "run")) == 4
    one = only.all("li", "run")[0].one("button", name="id")
    form = only.one("form", id=one["form"])
    assert site.answer(form["action"], form=[*forms(form), ("id", one["value"])]).status == 303
    assert len(site.page(path + "?status=failed").all("li", "run")) == 3

    every = page.one("button", name="all")
    form = page.one("div", "reasons").one("form")
    assert site.answer(form["action"], form=[*forms(form), (every["name"], every["value"])])
    (progress,) = [
        each for each in site.store.evaluations.progress(PROJECT) if each.name == "relevance"
    ]
    assert (progress.failed, progress.wanted) == (0, 4)


def test_reasons_of_what_was_skipped_are_told_where_nothing_failed(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(3)))
    missing = Feedback(words, name="words", if_missing="ignore").on(text=PASSAGES)
    judged.evaluate(site, missing)

    told = site.page(f"{PATH}/functions/words").one("div", "reasons")
    assert "were skipped" in told.text
    assert [each.one("span", "num").text for each in told.all("li")] == ["3"]
    assert not told.all("button")


def test_runs_come_in_pages(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(35)))
    judged.evaluate(site, Feedback(words, name="words").on_output())
    path = f"{PATH}/functions/words"

    first = site.page(path)
    second = site.follow(path, first.link("Older"))
    seen = [run.one("a")["href"] for page in (first, second) for run in page.all("li", "run")]
    assert len(set(seen)) == len(seen) == 35
    assert site.follow(path, second.link("Newest")).all("li", "run")


@pytest.mark.parametrize("query", ["status=other", "version=nothing", "cursor=x"])
def test_address_that_cannot_be_read_is_refused(site: Site, query: str) -> None:
    write(site, part("c1"))
    judged.evaluate(site, Feedback(words, name="words").on_output())

    assert site.answer(f"{PATH}/functions/words?{query}").status in (400, 404)
