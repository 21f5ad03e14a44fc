"""Rules in the pages, without scripts: made, changed, paused, deleted, applied to the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

import judged
import pytest
from asking import Answer
from markup import Element, forms, read
from sites import EVIL, PATH, PROJECT, Counting, Site, part, served, write

from kibitz.base.evaluations import NewRule, Rule
from kibitz.judging.functions import Feedback
from kibitz.server.pages import addresses, rule_drafts
from kibitz.storage import sqlite

RULES = f"{PATH}/rules"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def words(text: str) -> float:
    return float(len(text.split()))


FUNCTION = Feedback(words, name="words").on_output()
OTHER = Feedback(words, name="other").on_input()


def form_of(page: Element) -> Element:
    return page.one("form", id="rule-form")


def send(
    site: Site, page: Element, do: str = "save", choose: Sequence[str] = (), **given: str
) -> Answer:
    """The form with these texts, and these functions chosen."""
    form = form_of(page)
    pairs = [pair for pair in forms(form) if pair[0] not in given]
    refs = [
        each["value"]
        for each in form.all("input", name="definition")
        if "checked" not in each.attributes and any(f"/{name}:" in each["value"] for name in choose)
    ]
    pairs += [*given.items(), *(("definition", ref) for ref in refs), ("do", do)]
    return site.answer(form["action"], form=pairs)


def error(page: Element, place: str) -> str:
    return page.one("p", id=f"error-{place}").text


def rule(site: Site, name: str = "answers", **given: object) -> Rule:
    refs = judged.publish(site, FUNCTION)
    return site.store.rules.save(
        PROJECT,
        name,
        NewRule(**{"definitions": refs, "query": "op = answer", **given}),  # type: ignore[arg-type]
    )


def act(site: Site, page: Element, does: str) -> Answer:
    button = next(each for each in page.all("button", name="do") if each["value"] == does)
    form = next(each for each in page.all("form") if button in list(each.walk()))
    return site.answer(form["action"], form=[*forms(form), ("do", does)])


def test_rule_is_made_by_the_form_and_listed_in_words(site: Site) -> None:
    write(site, part("c1"))
    judged.publish(site, FUNCTION, OTHER)

    page = site.page(site.page(RULES).link("New rule")["href"])
    answer = send(
        site,
        page,
        choose=["words", "other"],
        name="some answers",
        query="op = answer",
        sample="20",
        per_day="1,000",
        usd_per_day="2.5",
    )
    assert answer.status == 303, read(answer.body).text
    made = site.store.rules.get(PROJECT, "some answers")
    assert (made.query, made.sample, made.per_day, made.usd_per_day, made.active) == (
        "op = answer",
        0.2,
        1000,
        2.5,
        True,
    )
    assert len(made.definitions) == 2

    row = site.page(RULES).one("tr", data_row=None)
    for words_ in ("some answers", "active", "words", "other", "20 %", "1,000 evaluations a day"):
        assert words_ in row.text
    assert site.follow(RULES, row.link("op = answer")).all("tr", data_row="c1")


def test_rule_from_the_page_of_a_function_has_it_chosen(site: Site) -> None:
    write(site, part("c1"))
    judged.publish(site, FUNCTION, OTHER)

    page = site.page(site.page(f"{PATH}/functions/words").link("New rule")["href"])
    chosen = form_of(page).all("input", name="definition", checked=None)
    assert [each["value"] for each in chosen] == [FUNCTION.definition.ref(PROJECT)]


def test_what_is_wrong_is_said_in_its_place_and_nothing_is_kept(site: Site) -> None:
    write(site, part("c1"))
    judged.publish(site, FUNCTION)
    page = site.page(f"{RULES}/new")

    answer = send(site, page, name=" ", query="latency > ", sample="200", per_day="1.5")
    assert answer.status == 400
    shown = read(answer.body)
    assert "needs a name" in error(shown, "name")
    assert "at least one" in error(shown, "definitions")
    assert error(shown, "query")
    assert "'200'" in error(shown, "sample")
    assert "'1.5'" in error(shown, "per_day")
    assert form_of(shown).one("input", name="query")["value"] == "latency >"
    assert site.store.rules.list(PROJECT) == []


def test_query_that_sorts_is_refused(site: Site) -> None:
    write(site, part("c1"))
    judged.publish(site, FUNCTION)
    page = site.page(f"{RULES}/new")

    answer = send(site, page, choose=["words"], name="x", query="op = answer sort latency")
    assert answer.status == 400
    assert error(read(answer.body), "query")


def test_new_rule_does_not_take_the_place_of_another(site: Site) -> None:
    write(site, part("c1"))
    rule(site)

    answer = send(site, site.page(f"{RULES}/new"), choose=["words"], name="answers")
    assert answer.status == 400
    assert "already" in error(read(answer.body), "name")
    assert site.store.rules.get(PROJECT, "answers").query == "op = answer"


def test_preview_says_which_calls_a_draft_is_about_and_complains_of_nothing_missing(
    site: Site,
) -> None:
    write(site, *(part(f"c{n}", n) for n in range(7)), part("other", 9, op="other"))
    judged.publish(site, FUNCTION)

    answer = send(site, site.page(f"{RULES}/new"), do="preview", query="op = answer", sample="50")
    assert answer.status == 200
    shown = read(answer.body)
    preview = shown.one("section", id="preview")
    assert preview.one("p", role="status").text == "7 calls match, about 4 calls in the sample"
    assert [each["href"].rpartition("/")[2] for each in preview.one("ul").all("a")] == [
        "c6",
        "c5",
        "c4",
        "c3",
        "c2",
    ]
    assert not any(error(shown, place) for place in rule_drafts.PLACES)


def test_rule_is_changed_keeping_what_the_form_does_not_say(site: Site) -> None:
    write(site, part("c1"))
    old = rule(site, sample=0.125, per_day=7)
    newer = Feedback(words, name="words").on_input()
    judged.publish(site, newer)

    page = site.page(site.page(f"{RULES}/named/answers").link("Change")["href"])
    assert "older version" in form_of(page).text
    assert send(site, page, query="").status == 303
    changed = site.store.rules.get(PROJECT, "answers")
    assert (changed.query, changed.sample, changed.per_day) == ("", 0.125, 7)
    assert changed.definitions == old.definitions


def test_rule_is_paused_resumed_and_deleted(site: Site) -> None:
    write(site, part("c1"))
    before = rule(site, usd_per_day=1.5)
    path = f"{RULES}/named/answers"

    assert act(site, site.page(path), "pause").status == 303
    paused = site.store.rules.get(PROJECT, "answers")
    assert (paused.active, paused.usd_per_day, paused.definitions) == (
        False,
        1.5,
        before.definitions,
    )
    assert "paused" in site.page(RULES).one("tr", data_row=None).text
    assert act(site, site.page(path), "resume").status == 303
    assert site.store.rules.get(PROJECT, "answers").active
    page = site.page(path)
    delete = next(each for each in page.all("button") if each.text.startswith("Delete"))
    fold = next(each for each in page.all("details", "confirm") if delete in list(each.walk()))
    assert "open" not in fold.attributes
    assert act(site, page, "delete").status == 303
    site.page(path, 404)
    assert "No rules" in site.page(RULES).text


def test_past_is_counted_first_and_then_wanted(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(5)), part("other", 9, op="other"))
    rule(site)
    path = f"{RULES}/named/answers"

    page = site.page(path)
    section = page.one("section", aria_labelledby="past-title")
    assert "5 calls match now; that is 5 evaluations" in section.text
    form = section.one("form")
    done = site.answer(form["action"], form=forms(form))
    assert done.status == 200
    told = read(done.body)
    assert told.one("p", role="status").text == "Wanted 5 evaluations."
    assert not told.all("form", data_go_on=None)
    assert "5 waiting" in told.one("section", id="progress").text
    assert "kibitz worker" in told.text
    again = read(site.answer(form["action"], form=forms(form)).body)
    assert again.one("p", role="status").text == "Wanted 0 evaluations; 5 were there already."


def test_back_fill_goes_on_where_a_step_left_it(site: Site) -> None:
    write(site, *(part(f"c{n}", n) for n in range(6)))
    rule(site)
    page = site.page(f"{RULES}/named/answers")
    form = page.one("section", aria_labelledby="past-title").one("form")

    said = read(site.answer(form["action"], form=[("wanted", "4"), ("known", "1")]).body)
    assert said.one("p", role="status").text == "Wanted 10 evaluations; 1 were there already."
    wrong = site.answer(form["action"], form=[("cursor", "nonsense")])
    assert wrong.status == 400


def test_without_rules_the_page_says_what_they_are_for(site: Site) -> None:
    write(site, part("c1"))
    page = site.page(RULES)

    assert "kibitz.watch" in page.text
    assert not page.all("a", class_="button")
    judged.publish(site, FUNCTION)
    assert site.page(RULES).all("a", class_="button")


def test_work_that_waits_without_a_worker_says_which_command_does_it(site: Site) -> None:
    write(site, part("c1"))
    rule(site)
    judged.want(site, FUNCTION)

    for path in (RULES, f"{RULES}/named/answers", f"{PATH}/functions", f"{PATH}/functions/words"):
        assert "1 evaluation waits for a worker" in site.page(path).text
    judged.work(site, FUNCTION)
    assert "waits for a worker" not in site.page(RULES).text


def test_names_and_queries_are_hostile(site: Site) -> None:
    write(site, part("c1"))
    name = EVIL[:60]
    rule(site, name, query='op = "<script>hacked()</script>"', author=EVIL[:40])

    for path in (RULES, f"{RULES}/named/{addresses.escape(name)}"):
        page = site.page(path)
        assert name in page.text
        assert not page.all("img")
        assert not [each for each in page.all("script") if each.raw_text.strip()]


@pytest.mark.parametrize("does", ["", "explode"])
def test_unknown_change_is_refused(site: Site, does: str) -> None:
    write(site, part("c1"))
    rule(site)

    assert site.answer(f"{RULES}/named/answers/change", form=[("do", does)]).status == 400
    assert site.answer(f"{RULES}/named/other/change", form=[("do", "pause")]).status == 404
