"""Saved views: kept under names, replaced, forgotten, and held to what can be asked. Contract suite: any store must pass."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from parts import PROJECT, batch, call, judgement

from kibitz.base.api import NewView
from kibitz.base.errors import NotFound, QueryError, UsageError
from kibitz.query import views

WORST = NewView(
    query="op = answer and feedback.exact.output < 0.5 and started_at > now-24h",
    sort="feedback.exact.output, latency desc",
    columns=["started_at", "feedback.[runnable.exact].payload.output", "input", "output.text"],
    author="ada",
)


def _filled(store):
    part = judgement("c1", 0.4, name="exact", feedback_id="f1")
    assert store.ingest.write(batch(calls=[call("c1")], feedback=[part])).rejected == []
    return store


def test_a_view_is_given_back_as_it_was_saved(store):
    saved = _filled(store).views.save(PROJECT, "worst answers", WORST)

    assert store.views.get(PROJECT, "worst answers") == saved
    assert store.views.list(PROJECT) == [saved]
    assert (saved.project, saved.name) == (PROJECT, "worst answers")
    assert (saved.query, saved.sort, saved.columns, saved.author) == (
        WORST.query,
        WORST.sort,
        WORST.columns,
        "ada",
    )
    assert saved.created_at == saved.updated_at


def test_saving_again_takes_the_place_of_what_was_there(store):
    first = _filled(store).views.save(PROJECT, "worst", WORST)
    second = store.views.save(PROJECT, "worst", NewView(query="status = error"))

    assert store.views.list(PROJECT) == [second]
    assert (second.query, second.sort, second.columns) == ("status = error", "", [])
    assert second.created_at == first.created_at
    assert second.updated_at >= first.updated_at


def test_views_come_by_name_and_belong_to_their_project(store):
    _filled(store)
    store.ingest.write(batch(calls=[call("c1")], project="other/one"))
    for name in ("b", "a", "ä"):
        store.views.save(PROJECT, name, NewView())
    store.views.save("other/one", "c", NewView())

    assert [each.name for each in store.views.list(PROJECT)] == ["a", "b", "ä"]
    assert [each.name for each in store.views.list("other/one")] == ["c"]
    with pytest.raises(NotFound):
        store.views.get("other/one", "a")


def test_what_is_deleted_is_given_back_once_more_and_gone(store):
    saved = _filled(store).views.save(PROJECT, "worst", WORST)

    assert store.views.delete(PROJECT, "worst") == saved
    assert store.views.list(PROJECT) == []
    with pytest.raises(NotFound):
        store.views.delete(PROJECT, "worst")


def test_a_name_that_is_nearly_one_is_shown(store):
    _filled(store).views.save(PROJECT, "worst answers", WORST)

    with pytest.raises(NotFound, match="did you mean 'worst answers'") as caught:
        store.views.get(PROJECT, "worst answer")

    assert caught.value.facts["suggestion"] == "worst answers"


def test_a_project_that_is_not_there_has_no_views(store):
    for ask in (
        lambda: store.views.list("nobody/here"),
        lambda: store.views.get("nobody/here", "a"),
        lambda: store.views.save("nobody/here", "a", NewView()),
        lambda: store.views.delete("nobody/here", "a"),
    ):
        with pytest.raises(NotFound, match="nobody/here"):
            ask()


@pytest.mark.parametrize(
    ("view", "at"),
    [
        (NewView(query="outptu = 1"), 0),
        (NewView(query="op = a sort op", sort="op"), "sort"),
        (NewView(sort="op, outptu desc"), "sort"),
        (NewView(sort="op limit 5"), "sort"),
        (NewView(sort="op = 5"), "sort"),
        (NewView(query="feedback.exakt.output = 1"), 9),
        (NewView(columns=["op", "outptu"]), "columns[1]"),
    ],
)
def test_what_cannot_be_asked_is_not_kept(store, view, at):
    _filled(store).views.save(PROJECT, "worst", WORST)

    with pytest.raises(QueryError) as caught:
        store.views.save(PROJECT, "worst", view)

    assert caught.value.facts["at"] == at
    assert store.views.get(PROJECT, "worst").query == WORST.query


@pytest.mark.parametrize(
    "name", ["", " a", "a ", ".", "..", "a\nb", "a\x00", "\u202eb", "\ud800", "x" * 101]
)
def test_what_is_no_name_is_refused(store, name):
    with pytest.raises(UsageError, match="is not a name"):
        _filled(store).views.save(PROJECT, name, NewView())

    assert store.views.list(PROJECT) == []


def test_more_columns_than_a_table_has_are_refused(store):
    with pytest.raises(UsageError, match="at most 64 columns"):
        _filled(store).views.save(PROJECT, "a", NewView(columns=["op"] * 65))


NAMES = st.text(min_size=1, max_size=views.MAX_NAME_CHARACTERS).filter(
    lambda name: name.isprintable() and name == name.strip() and name.strip(".") != ""
)


@given(name=NAMES)
@example("a/b")
@example("a%2Fb?c=d#e")
@example("' OR 1=1 --")
@example("日本 🙂")
@example("..a")
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_printable_name_is_kept_as_it_is(store, name):
    saved = _filled(store).views.save(PROJECT, name, NewView(query="status = error"))

    assert saved.name == name
    assert store.views.get(PROJECT, name) == saved
    assert store.views.delete(PROJECT, name) == saved
    assert store.views.list(PROJECT) == []
