"""Actions on all calls of a query: exactly those are touched, everything that belongs to them goes with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import parts
import pytest

from kibitz.base import refs
from kibitz.base.errors import Conflict, InvalidRecord, NotFound, QueryError
from kibitz.base.records import BulkStep, FeedbackPart
from kibitz.query.nodes import (
    ALL_COLUMNS,
    CallQuery,
    ColumnField,
    Compare,
    FeedbackField,
    FeedbackQuery,
    In,
    Not,
    SortKey,
)
from kibitz.storage import sqlite

ODD = Compare(ColumnField("op"), "eq", "odd")
NOTE = FeedbackPart(type="note", target_ref="kibitz:///-", payload={"note": "seen"}, author="Ada")


def fill(store: Any, count: int = 10) -> None:
    """Calls of two ops, of which every second is judged twice."""
    calls = [
        parts.call(f"c{n}", seconds=n, op="odd" if n % 2 else "even", trace_id=f"t{n // 4}")
        for n in range(count)
    ]
    feedback = [
        parts.judgement(f"c{n}", output, seconds=at, feedback_id=f"f{n}-{at}")
        for n in range(0, count, 2)
        for at, output in enumerate((n / 10, {"ok": n % 4 == 0}))
    ]
    assert store.ingest.write(parts.batch(calls=calls, feedback=feedback)).rejected == []


def ids(store: Any, where: Any = None) -> list[str]:
    by_id = (SortKey(ColumnField("id")),)
    query = CallQuery(project=parts.PROJECT, where=where, sort=by_id, limit=1000)
    return [each.id for each in store.calls.query(query).items]


def run(step: Any, left: int) -> list[BulkStep]:
    """All steps of an action."""
    steps: list[BulkStep] = []
    cursor = None
    while not steps or cursor is not None:
        steps.append(step(expected=left, cursor=cursor))
        left, cursor = steps[-1].left, steps[-1].cursor
    return steps


def delete(store: Any, where: Any, expected: int, **options: Any) -> list[BulkStep]:
    return run(lambda **more: store.bulk.delete(parts.PROJECT, where, **options, **more), expected)


def judge(store: Any, where: Any, expected: int, judgement: FeedbackPart = NOTE) -> list[BulkStep]:
    return run(
        lambda **more: store.bulk.add_feedback(parts.PROJECT, where, judgement, **more), expected
    )


def test_a_count_is_exact_and_counts_history(store):
    fill(store)

    found = store.bulk.count(parts.PROJECT, Not(ODD))

    assert (found.calls, found.feedback) == (5, 10)


def test_exactly_what_matches_is_deleted_with_what_is_said_about_it(store):
    fill(store)
    even = In(ColumnField("id"), ("c2", "c4", "nothing"))

    [step] = delete(store, even, 2)

    assert (step.calls, step.feedback, step.left) == (2, 4, 0)
    assert ids(store) == ["c0", "c1", "c3", "c5", "c6", "c7", "c8", "c9"]
    said = store.feedback.query(FeedbackQuery(project=parts.PROJECT)).items
    assert sorted(each.id for each in said) == ["f0-0", "f0-1", "f6-0", "f6-1", "f8-0", "f8-1"]
    [column] = store.feedback.columns(parts.PROJECT)
    assert (column.path, column.count) == ("output.ok", 3)
    info = store.projects.get(parts.PROJECT)
    assert (info.calls, info.feedback) == (8, 6)
    assert store.calls.ops(parts.PROJECT) == [("odd", 5), ("even", 3)]
    with pytest.raises(NotFound):
        store.calls.get(parts.PROJECT, "c2")


def test_deleted_calls_are_found_by_no_query(store):
    fill(store)
    score = FeedbackField("runnable.x", ("output", "ok"))
    delete(store, Compare(score, "eq", True), 3)

    assert ids(store, Compare(score, "eq", True)) == []
    assert ids(store, Compare(score, "eq", False)) == ["c2", "c6"]
    best_first = (SortKey(score, descending=True),)
    query = CallQuery(project=parts.PROJECT, sort=best_first, columns=ALL_COLUMNS)
    assert [each.id for each in store.calls.query(query).items][:2] == ["c6", "c2"]


def test_more_than_were_counted_are_left_alone(store):
    fill(store)

    with pytest.raises(Conflict) as caught:
        store.bulk.delete(parts.PROJECT, ODD, expected=4)
    with pytest.raises(Conflict):
        store.bulk.add_feedback(parts.PROJECT, ODD, NOTE, expected=4)

    assert (caught.value.facts["count"], caught.value.facts["expected"]) == (5, 4)
    assert len(ids(store)) == 10


def test_fewer_than_were_counted_are_no_reason_to_stop(store):
    fill(store)

    [step] = delete(store, ODD, 50)

    assert step.calls == 5


def test_whole_traces_go_with_what_is_said_about_them(store):
    fill(store)
    about = [
        FeedbackPart(
            id=name,
            type="note",
            target_ref=f"kibitz:///{parts.PROJECT}/trace/{name}",
            payload={"note": "x"},
        )
        for name in ("t0", "t1")
    ]
    store.ingest.write(parts.batch(feedback=about))
    one = Compare(ColumnField("id"), "eq", "c1")
    assert store.bulk.count(parts.PROJECT, one, whole_traces=True).calls == 4

    [step] = delete(store, one, 4, whole_traces=True)

    assert (step.calls, step.feedback) == (4, 5)
    assert ids(store) == [f"c{n}" for n in range(4, 10)]
    assert {
        each.id for each in store.feedback.query(FeedbackQuery(project=parts.PROJECT)).items
    } & {
        "t0",
        "t1",
    } == {"t1"}


def test_children_of_a_deleted_call_stay(store):
    store.ingest.write(
        parts.batch(
            calls=[parts.call("root"), parts.call("child", parent_id="root", trace_id="root")]
        )
    )

    delete(store, Compare(ColumnField("id"), "eq", "root"), 1)

    assert ids(store) == ["child"]
    assert store.calls.get(parts.PROJECT, "child").parent_id == "root"


def test_a_deleted_call_that_is_delivered_again_is_a_new_call(store):
    fill(store, 2)
    delete(store, None, 2)
    assert ids(store) == []

    store.ingest.write(
        parts.batch(calls=[parts.call("c1", output="new")], feedback=[parts.judgement("c1", 1)])
    )

    again = store.calls.get(parts.PROJECT, "c1")
    assert (again.output, len(again.feedback)) == ("new", 1)


def test_what_matches_is_judged_once_also_when_it_is_said_again(store):
    fill(store)
    named = FeedbackPart(
        id="action-1",
        **{name: getattr(NOTE, name) for name in ("type", "target_ref", "payload", "author")},
    )

    for _ in range(2):
        [step] = judge(store, ODD, 5, named)
        assert (step.calls, step.feedback, step.refused) == (5, 5, 0)

    said = store.feedback.query(FeedbackQuery(project=parts.PROJECT, type="note")).items
    assert sorted(each.target_ref for each in said) == [
        refs.call_ref(parts.PROJECT, f"c{n}") for n in (1, 3, 5, 7, 9)
    ]
    assert {(each.author, each.payload["note"]) for each in said} == {("Ada", "seen")}
    assert len({each.created_at for each in said}) == 1


def test_a_judgement_that_breaks_a_rule_is_refused_as_a_whole(store):
    fill(store)
    wrong = FeedbackPart(type="reaction", target_ref="kibitz:///-", payload={"emoji": "good"})

    with pytest.raises(InvalidRecord, match="good"):
        store.bulk.add_feedback(parts.PROJECT, ODD, wrong, expected=5)


def test_a_cursor_of_something_else_is_refused(store):
    fill(store)

    with pytest.raises(QueryError, match="cursor"):
        store.bulk.delete(parts.PROJECT, ODD, expected=5, cursor="cafe")


def test_an_unknown_project_has_nothing_to_act_on(store):
    with pytest.raises(NotFound):
        store.bulk.count("nobody", None)


def test_calls_that_are_deleted_meanwhile_are_not_judged(tmp_path: Path) -> None:
    store = sqlite.open_store(tmp_path)
    fill(store)
    portions = store.bulk._in_turn

    def deleting_first(pks: list[int]) -> Iterator[list[int]]:
        if not is_done:
            is_done.append(True)
            delete(store, ODD, 5)
        yield from portions(pks)

    is_done: list[bool] = []
    with mock.patch.object(store.bulk, "_in_turn", deleting_first):
        step = store.bulk.add_feedback(parts.PROJECT, None, NOTE, expected=10)

    notes = store.feedback.query(FeedbackQuery(project=parts.PROJECT, type="note")).items
    store.close()
    assert step.feedback == len(notes) == 5
    assert {refs.parse_ref(each.target_ref).name for each in notes} == {
        "c0",
        "c2",
        "c4",
        "c6",
        "c8",
    }
