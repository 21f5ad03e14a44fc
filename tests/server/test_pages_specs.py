"""Specifications and the panel beside a call, without scripts: what is asked, of whom, and what becomes of an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from markup import Element, forms, read
from sites import EVIL, PATH, PROJECT, Counting, Site, part, served, write

from kibitz.base import publishing, refs
from kibitz.base.records import Feedback
from kibitz.base.specifications import Specification
from kibitz.query.nodes import FeedbackQuery
from kibitz.storage import sqlite

SCALE = {"type": "integer", "minimum": 1, "maximum": 5}
ANNOTATE = f"{PATH}/calls/c0?annotate=on"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        site = Site(url, store, asked)
        write(site, *(part(f"c{n}", n) for n in range(4)))
        yield site
    store.close()


def publish(site: Site, name: str, schema: Any = SCALE, **more: Any) -> str:
    return publishing.publish(site.store.ingest.write, PROJECT, Specification(name, schema, **more))


def said(site: Site, name: str) -> list[Feedback]:
    """All answers, newest first."""
    asked = FeedbackQuery(project=PROJECT, type=f"annotation.{name}")
    return site.store.feedback.query(asked).items


def panel(site: Site, path: str = ANNOTATE, **headers: str) -> Element:
    return site.page(path, **headers).one("section", id="annotate")


def sent(panel_: Element, **more: str) -> list[tuple[str, str]]:
    """What a browser sends for the panel's form: of boxes only what is checked."""
    form = panel_.one("form", "annotate-form")
    unchecked = {
        (each["name"], each["value"])
        for each in form.all("input", type="radio")
        if "checked" not in each.attributes
    }
    pairs = [pair for pair in forms(form) if pair not in unchecked and pair[0] not in more]
    return [*pairs, *more.items()]


def save(site: Site, panel_: Element, status: int = 303, **more: str) -> Any:
    form = panel_.one("form", "annotate-form")
    answer = site.answer(form["action"], form=sent(panel_, **more))
    assert answer.status == status, answer.body[:500]
    return answer


def asked(panel_: Element) -> list[str]:
    return [each.text for each in panel_.all("legend")]


# The panel


def test_panel_asks_what_is_about_the_call_and_for_the_reader(site: Site) -> None:
    publish(site, "helpful")
    publish(site, "other op", ops=["summarise*"])
    publish(site, "for experts", answer=["ana*"])
    publish(site, "hidden", see=["kind:model"])
    publish(site, "traces", targets=["trace"])

    assert asked(panel(site)) == ["helpful"]
    assert "1 more specification" in panel(site).text
    assert asked(panel(site, Cookie="kibitz_name=ana%20b")) == ["for experts", "helpful"]


def test_panel_is_read_only_where_it_is_open(site: Site) -> None:
    publish(site, "helpful")

    closed = site.page(f"{PATH}/calls/c0")
    assert "hidden" in closed.one("section", id="annotate").attributes
    assert site.asked["objects.list"] == 0
    opened = site.page(closed.one("a", id="annotate-open")["href"])
    assert asked(opened.one("section", id="annotate")) == ["helpful"]


def test_without_specifications_the_panel_says_how_to_make_one(site: Site) -> None:
    shown = panel(site)

    assert site.page(shown.link("New specification")["href"]).one("form", "spec-form")
    assert "kibitz.publish" in shown.one("code").text


def test_answer_is_stored_shown_as_ones_own_and_corrected_by_the_next(site: Site) -> None:
    ref = publish(site, "helpful")

    first = save(site, panel(site), **{"answer.helpful.0": "4", "author": "Ana"})
    cookie = first.headers["set-cookie"].partition(";")[0]
    again = panel(site, Cookie=cookie)
    chosen = [each["value"] for each in again.all("input", checked=None)]
    save(site, again, **{"answer.helpful.0": "2"})

    assert chosen == ["4"]
    new, old = said(site, "helpful")
    assert (old.payload, old.author, old.annotation_ref) == ({"value": 4}, "Ana", ref)
    assert (new.payload, new.corrects) == ({"value": 2}, old.id)
    assert [old.stands, new.stands] == [False, True]


def test_same_answer_and_same_form_twice_are_stored_once(site: Site) -> None:
    publish(site, "helpful")
    form = panel(site)

    for _ in range(2):
        save(site, form, **{"answer.helpful.0": "4", "author": "Ana"})
    save(site, panel(site, Cookie="kibitz_name=Ana"), author="Ana")

    assert len(said(site, "helpful")) == 1


def test_one_wrong_answer_is_explained_and_the_others_are_stored(site: Site) -> None:
    publish(site, "helpful")
    publish(site, "share", {"type": "number", "maximum": 1})

    answer = save(
        site, panel(site), 400, **{"answer.share.0": "7", "answer.helpful.0": "4", "author": "Ana"}
    )

    shown = read(answer.body).one("section", id="annotate")
    wrong = shown.one("input", aria_invalid="true")
    assert wrong["value"] == "7"
    assert "at most 1" in shown.one("p", id=wrong["aria-describedby"].split()[-1]).text
    assert [each.payload for each in said(site, "helpful")] == [{"value": 4}]
    assert said(site, "share") == []


def test_answer_to_an_older_version_is_kept_with_it(site: Site) -> None:
    old = publish(site, "helpful")
    form = panel(site)
    publish(site, "helpful", {**SCALE, "maximum": 7})

    save(site, form, **{"answer.helpful.0": "5", "author": "Ana"})

    assert [each.annotation_ref for each in said(site, "helpful")] == [old]


def test_next_and_previous_follow_the_list_that_the_reader_came_from(site: Site) -> None:
    publish(site, "helpful")
    write(site, part("other", 2.5, op="else"))
    came_from = f"{site.url}{PATH}/calls?op=answer&call=c2"

    opened = site.page(f"{PATH}/calls/c2", Referer=came_from).one("a", id="annotate-open")
    shown = panel(site, opened["href"])

    here = panel(site, shown.one("a", rel="next")["href"])
    assert shown.one("a", rel="prev")["href"].startswith(f"{PATH}/calls/c3?")
    assert shown.one("a", rel="next")["href"].startswith(f"{PATH}/calls/c1?")
    assert here.one("a", rel="next")["href"].startswith(f"{PATH}/calls/c0?")
    assert (
        site.page(f"{PATH}/calls/c2", Referer="http://evil.example/calls?op=answer").one(
            "a", id="annotate-open"
        )["href"]
        == f"{PATH}/calls/c2?annotate=on"
    )


def test_judged_call_that_leaves_its_list_is_followed_by_the_first_that_is_left(site: Site) -> None:
    publish(site, "helpful")
    query = "from=q%3Dnot+feedback.annotation.helpful"
    shown = panel(site, f"{PATH}/calls/c3?annotate=on&{query}")

    save(site, shown, **{"answer.helpful.0": "4", "author": "Ana"})

    after = panel(site, f"{PATH}/calls/c3?annotate=on&{query}")
    assert after.one("a", rel="next")["href"].startswith(f"{PATH}/calls/c2?")


def test_save_and_next_goes_on_but_never_to_another_site(site: Site) -> None:
    publish(site, "helpful")
    shown = panel(site, f"{ANNOTATE}&from=-")
    on = save(site, panel(site, f"{PATH}/calls/c1?annotate=on&from=-"), then="next")
    away = save(site, shown, then="next", next="//evil.example/x", back="//evil.example/y")

    assert on.headers["location"].startswith(f"{PATH}/calls/c0?annotate=on")
    assert away.headers["location"].startswith("/")
    assert "evil" not in away.headers["location"]


def test_page_of_another_site_answers_and_publishes_nothing(site: Site) -> None:
    publish(site, "helpful")
    foreign = {"Origin": "http://evil.example"}

    answered = site.answer(
        f"{PATH}/calls/c0/annotations", foreign, {"answer.helpful.0": "4", "author": "Ana"}
    )
    published = site.answer(
        f"{PATH}/specs/draft", foreign, {"name": "x", "kind": "boolean", "do": "publish"}
    )

    assert (answered.status, published.status) == (403, 403)
    assert said(site, "helpful") == []
    assert len(site.store.objects.list(PROJECT, "object")) == 1


def test_only_ones_own_judgement_can_be_taken_back(site: Site) -> None:
    publish(site, "helpful")
    save(site, panel(site), **{"answer.helpful.0": "4", "author": "Ana"})
    (mine,) = said(site, "helpful")

    other = site.page(f"{PATH}/calls/c0", Cookie="kibitz_name=Bo")
    assert other.all("button", name="retracts") == []
    form = {"retracts": mine.id}
    refused = site.answer(f"{PATH}/calls/c0/retractions", {"Cookie": "kibitz_name=Bo"}, form)
    assert 400 <= refused.status < 500
    button = site.page(f"{PATH}/calls/c0", Cookie="kibitz_name=Ana").one("button", name="retracts")
    taken = site.answer(
        f"{PATH}/calls/c0/retractions",
        {"Cookie": "kibitz_name=Ana"},
        {"retracts": button["value"]},
    )

    assert taken.status == 303
    assert not [each for each in said(site, "helpful") if each.stands and each.payload]


def test_hostile_specification_is_text(site: Site) -> None:
    name = EVIL[:180].strip()
    publish(site, name, {"enum": [EVIL, "b"]}, description=EVIL, guidelines=EVIL)

    shown = panel(site)
    assert asked(shown) == [name]
    assert EVIL in [each.text for each in shown.all("label", "option")][0]
    save(site, shown, **{f"answer.{name}.0": '"b"', "author": EVIL})
    for path in (f"{PATH}/specs", f"{PATH}/feedback", ANNOTATE):
        page = site.page(path)
        assert all(each["src"].startswith("/") for each in page.all("script"))
        assert not [each for each in page.walk() if "onerror" in each.attributes]
    row = site.page(f"{PATH}/specs").one("tbody").one("tr")
    assert site.page(row.one("th").one("a")["href"]).one("h1").text == " ".join(name.split())


# The editor


def editor(site: Site, status: int = 200, **draft: str) -> Element:
    answer = site.answer(f"{PATH}/specs/draft", form={"mode": "form", "unique": "1", **draft})
    assert answer.status == status, answer.body[:500]
    return read(answer.body)


def test_published_draft_is_a_version_with_its_answers_counted(site: Site) -> None:
    draft = {"name": "helpful", "kind": "integer", "minimum": "1", "maximum": "5", "ops": "ans*"}
    made = site.answer(f"{PATH}/specs/draft", form={**draft, "unique": "1", "do": "publish"})
    assert made.status == 303
    save(site, panel(site), **{"answer.helpful.0": "4", "author": "Ana"})
    site.answer(f"{PATH}/specs/draft", form={**draft, "maximum": "7", "do": "publish"})

    page = site.page(made.headers["location"])

    assert [each.text.split()[1] for each in page.one("ul", "lines").all("a")] == ["2", "1"]
    assert [each.text for each in page.one("ul", "lines").all("span", "num")] == [
        "0 answers",
        "1 answer",
    ]
    assert len(page.all("input", type="radio")) == 7
    (row,) = site.page(f"{PATH}/specs").one("tbody").all("tr")
    assert [cell.text for cell in row.all("td")][:5] == [
        "whole number",
        "ans*",
        "everybody",
        "2",
        "1",
    ]
    first = site.store.objects.versions(PROJECT, "object", "helpful")
    assert {each.value["unique_among_creators"] for each in first} == {True, False}


def test_preview_shows_the_form_that_will_be_asked(site: Site) -> None:
    shown = editor(site, name="tone", kind="choice", options="kind\r\nrude", do="preview")

    preview = shown.one("section", id="preview")
    options = [each["value"] for each in preview.all("input", type="radio")]
    assert options == ['"kind"', '"rude"']
    assert [each["data-digit"] for each in preview.all("input", type="radio")] == ["1", "2"]
    assert site.store.objects.list(PROJECT, "object") == []


def test_mistake_is_said_at_its_field_and_nothing_is_published(site: Site) -> None:
    shown = editor(site, 400, name="x", kind="integer", minimum="9", maximum="5", do="publish")

    assert "minimum" in shown.one("p", id="error-minimum").text
    assert shown.one("input", id="edit-minimum")["value"] == "9"
    assert shown.one("input", id="edit-minimum")["aria-invalid"] == "true"
    assert shown.one("p", id="error-maximum").text == ""
    assert site.store.objects.list(PROJECT, "object") == []


def test_rules_are_seen_as_schema_and_as_form(site: Site) -> None:
    as_schema = editor(site, name="x", kind="text", most="200", do="schema")
    schema = as_schema.one("textarea", id="edit-schema").raw_text
    as_form = editor(site, name="x", mode="schema", schema=schema, do="form")
    beyond = editor(
        site,
        400,
        name="x",
        mode="schema",
        schema='{"type": "object", "properties": {"a": {"type": "boolean"}}}',
        do="form",
    )

    assert as_form.one("input", id="edit-most")["value"] == "200"
    assert [e["value"] for e in as_form.all("input", name="kind", checked=None)] == ["text"]
    assert "more than the form" in beyond.one("p", id="error-schema").text
    assert "properties" in beyond.one("textarea", id="edit-schema").raw_text


def test_next_version_begins_with_what_the_last_says(site: Site) -> None:
    publish(site, "tone", {"enum": ["a", "b"]}, guidelines="g", answer=["ana"])

    form = site.page(f"{PATH}/specs/new?of=tone").one("form", "spec-form")

    held = {name: text.strip() for name, text in forms(form)}
    assert (held["name"], held["guidelines"], held["answer"]) == ("tone", "g", "ana")
    assert held["options"].split() == ["a", "b"]
    assert site.answer(f"{PATH}/specs/new?of=nothing").status == 404


def test_project_without_specifications_says_how_to_ask(site: Site) -> None:
    page = site.page(f"{PATH}/specs")

    assert "kibitz.publish" in page.one("code").text
    assert refs.check_project(PROJECT) in page.text
