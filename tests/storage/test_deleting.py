"""After a delete a store is as if what was deleted had never come: sound, and every derived table equal to one made anew."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import parts
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kibitz.base import refs
from kibitz.base.records import FeedbackPart
from kibitz.query.nodes import ColumnField, Compare, In
from kibitz.storage import sqlite
from kibitz.storage.sqlite import integrity, rebuilding
from kibitz.storage.sqlite.bulk import SqliteBulk

DERIVED = {
    "rollups": """SELECT o.name, r.hour, r.calls, r.errors, r.running, r.latency, r.bytes,
        r.squares_high, r.squares_low, r.lengthy
        FROM rollups r JOIN ops o ON o.pk = r.op WHERE r.calls""",
    "types": "SELECT name, rows, unindexed FROM feedback_types WHERE rows",
    "series": """SELECT t.name, s.path, s.bools, s.numbers, s.texts FROM series s
        JOIN feedback_types t ON t.pk = s.type WHERE s.bools + s.numbers + s.texts""",
    "scores": """SELECT t.name, s.path, c.id, f.id, x.place, x.role, x.kind, x.num, x.text FROM scores x
        JOIN series s ON s.pk = x.series JOIN feedback_types t ON t.pk = s.type
        JOIN calls c ON c.pk = x.call LEFT JOIN feedback f ON f.pk = x.source""",
    "sums": """SELECT t.name, s.path, q.day, q.n, q.fractions, q.infinite, q.total, q.squares
        FROM score_sums q JOIN series s ON s.pk = q.series JOIN feedback_types t ON t.pk = s.type""",
    "buckets": """SELECT t.name, s.path, b.kind, b.day, b.num, b.text, b.n
        FROM score_buckets b JOIN series s ON s.pk = b.series JOIN feedback_types t ON t.pk = s.type""",
    "standing": """SELECT f.id, f.stands, c.id, r.text FROM feedback f LEFT JOIN calls c ON c.pk = f.call
        LEFT JOIN refs r ON r.pk = f.target""",
    "calls": "SELECT id, status, latency, tokens, cost FROM calls",
    "waiting": "SELECT count(*) FROM unworded u LEFT JOIN calls c ON c.pk = u.call WHERE c.pk IS NULL",
    "payloads": "SELECT count(*) FROM payloads p LEFT JOIN calls c ON c.pk = p.call WHERE c.pk IS NULL",
}


def derived(folder: Path) -> dict[str, list[Any]]:
    """What a store has worked out, by names instead of pks."""
    with closing(sqlite3.connect(folder / "kibitz.sqlite3")) as connection:
        return {
            name: sorted(connection.execute(statement).fetchall(), key=repr)
            for name, statement in DERIVED.items()
        }


IDS = [f"c{n}" for n in range(6)]
leaves = st.one_of(
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(allow_nan=False),
    st.sampled_from(["", "a", "b" * 60]),
    st.none(),
)
payloads = st.dictionaries(
    st.sampled_from(["a", "b.c", ""]),
    st.one_of(leaves, st.lists(leaves, max_size=3), st.dictionaries(st.just("d"), leaves)),
    max_size=3,
)
judgements = st.builds(
    lambda number, call_id, type_, payload, author, seconds: FeedbackPart(
        id=f"f{number}",
        type=type_,
        target_ref=refs.call_ref(parts.PROJECT, call_id),
        payload=payload,
        author=author,
        created_at=parts.at(seconds),
    ),
    st.integers(0, 10**6),
    st.sampled_from(IDS),
    st.sampled_from(["x", "y.z"]),
    payloads,
    st.sampled_from(["Ada", "Bob"]),
    st.integers(0, 3),
)
calls = st.builds(
    lambda call_id, hours, op, more: parts.call(call_id, seconds=hours * 3600, op=op, **more),
    st.sampled_from(IDS),
    st.integers(0, 60),
    st.sampled_from(["p", "q"]),
    st.sampled_from(
        [{}, {"summary": {"usage": {"m": {"input_tokens": 5}}, "cost": 0.1}}, {"trace_id": "c0"}]
    ),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(calls, max_size=8, unique_by=lambda call: call.id),
    # An id is one judgement: a second one of it would be a delivery of the first.
    st.lists(judgements, max_size=12, unique_by=lambda judgement: judgement.id),
    st.sets(st.sampled_from(IDS)),
)
def test_what_is_left_is_as_if_the_rest_had_never_come(
    tmp_path_factory: pytest.TempPathFactory, written: Any, said: Any, chosen: set[str]
) -> None:
    base = tmp_path_factory.mktemp("deleted")
    store = sqlite.open_store(base / "one")
    fresh = sqlite.open_store(base / "other")
    here = {call.id for call in written}
    gone = chosen & here
    # What is on a call that never arrived stays: it was not deleted.
    kept = [each for each in said if refs.parse_ref(each.target_ref).name not in gone]
    try:
        for call in written:
            store.ingest.write(parts.batch(calls=[call]))
        store.ingest.write(parts.batch(feedback=said))
        where = In(ColumnField("id"), tuple(sorted(chosen)))

        step = store.bulk.delete(parts.PROJECT, where, expected=len(gone))

        assert (step.calls, step.left) == (len(gone), 0)
        fresh.ingest.write(parts.batch(calls=[each for each in written if each.id not in gone]))
        fresh.ingest.write(parts.batch(feedback=kept))
    finally:
        store.close()
        fresh.close()
    assert derived(base / "one") == derived(base / "other")
    assert integrity.problems(base / "one") == integrity.disagreements(base / "one") == []


def test_making_everything_anew_after_a_delete_changes_nothing(tmp_path: Path) -> None:
    store = sqlite.open_store(tmp_path)
    try:
        said = [
            FeedbackPart(
                id=f"f{n}-{author}",
                type="x",
                target_ref=refs.call_ref(parts.PROJECT, f"c{n}"),
                payload={"score": n / 3, "label": "ab"[n % 2], "tags": ["p", "q"]},
                author=author,
                created_at=parts.at(n),
            )
            for n in range(20)
            for author in ("Ada", "Bob")
        ]
        made = [parts.call(f"c{n}", seconds=n * 9000) for n in range(20)]
        store.ingest.write(parts.batch(calls=made, feedback=said))
        few = In(ColumnField("id"), ("c1", "c2", "c7", "c19"))
        assert store.bulk.delete(parts.PROJECT, few, expected=4).feedback == 8
        left = derived(tmp_path)

        rebuilding.rebuild(store.ingest, progress=lambda *_: None)

        assert derived(tmp_path) == left
    finally:
        store.close()


def _in_steps(store: Any) -> SqliteBulk:
    """Every step does one small portion."""
    return SqliteBulk(store.bulk._readers, store.ingest, step_ns=0)


@pytest.fixture(name="many")
def _many(tmp_path: Path) -> Any:
    store = sqlite.open_store(tmp_path)
    for start in range(0, 1000, 500):
        store.ingest.write(
            parts.batch(
                calls=[
                    parts.call(f"c{n}", op="odd" if n % 2 else "even", trace_id=f"t{n // 10}")
                    for n in range(start, start + 500)
                ]
            )
        )
    yield store
    store.close()


def test_an_action_goes_in_steps_and_another_may_end_it(many: Any) -> None:
    bulk = _in_steps(many)
    odd = Compare(ColumnField("op"), "eq", "odd")
    note = FeedbackPart(type="note", target_ref="kibitz:///-", payload={"note": "x"})

    def steps(act: Callable[..., Any], left: int) -> list[int]:
        done = []
        cursor = None
        while not done or cursor is not None:
            step = act(expected=left, cursor=cursor)
            done.append(step.calls)
            left, cursor = step.left, step.cursor
        return done

    assert (
        steps(lambda **more: bulk.add_feedback(parts.PROJECT, odd, note, **more), 500) == [100] * 5
    )
    first = bulk.delete(parts.PROJECT, odd, expected=500)
    assert (first.calls, first.feedback, first.left) == (100, 100, 400)
    # Begun again, by somebody who does not have the cursor.
    assert sum(steps(lambda **more: bulk.delete(parts.PROJECT, odd, **more), 400)) == 400
    assert bulk.count(parts.PROJECT, None).calls == 500


def test_whole_traces_go_also_in_small_steps(many: Any) -> None:
    bulk = _in_steps(many)
    some = In(ColumnField("id"), tuple(f"c{n}" for n in range(5, 1000, 20)))
    left, cursor, done = 500, None, 0
    while left:
        step = bulk.delete(parts.PROJECT, some, expected=left, whole_traces=True, cursor=cursor)
        done += step.calls
        left, cursor = step.left, step.cursor

    assert done == 500
    assert bulk.count(parts.PROJECT, None).calls == 500
    assert bulk.count(parts.PROJECT, some).calls == 0


def test_what_comes_while_an_action_runs_is_not_touched(many: Any) -> None:
    bulk = _in_steps(many)
    first = bulk.delete(parts.PROJECT, None, expected=1000)
    many.ingest.write(parts.batch(calls=[parts.call("late")]))
    left, cursor = first.left, first.cursor
    while cursor is not None:
        step = bulk.delete(parts.PROJECT, None, expected=left, cursor=cursor)
        left, cursor = step.left, step.cursor

    assert bulk.count(parts.PROJECT, None).calls == 1
    assert many.calls.get(parts.PROJECT, "late").id == "late"


def test_writers_get_their_turn_between_the_portions(many: Any) -> None:
    written = threading.Event()
    seen: list[int] = []
    portions = many.bulk._in_turn

    def watched(pks: list[int]) -> Any:
        for number, some in enumerate(portions(pks)):
            if number == 1:
                # Somebody writes before the delete is over.
                assert written.wait(30)
                seen.append(many.calls.count(parts.PROJECT, None).count)
            yield some

    many.bulk._in_turn = watched
    writer = threading.Thread(
        target=lambda: (
            many.ingest.write(parts.batch(calls=[parts.call("late")])),
            written.set(),
        )
    )
    writer.start()
    step = many.bulk.delete(parts.PROJECT, None, expected=1001)
    writer.join()

    assert step.calls >= 1000
    assert seen
    assert seen[0] > 800


KILLED = """
import os, sys
from pathlib import Path
from kibitz.storage import sqlite
from kibitz.storage.sqlite import deleting

real, calls = deleting.delete_calls, [0]

def dying(*given):
    done = real(*given)
    calls[0] += 1
    if calls[0] == 3:
        os.kill(os.getpid(), 9)
    return done

deleting.delete_calls = dying
store = sqlite.open_store(Path(sys.argv[1]))
store.bulk.delete("team/app", None, expected=1000)
"""


@pytest.mark.processes
def test_a_process_that_is_killed_leaves_whole_calls(tmp_path: Path, many: Any) -> None:
    died = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)

    assert died.returncode == -9
    # It died within the third portion, which was undone.
    assert many.bulk.count(parts.PROJECT, None).calls == 800
    assert integrity.problems(tmp_path) == []
    found = derived(tmp_path)
    assert sum(row[2] for row in found["rollups"]) == len(found["calls"]) == 800
    assert many.bulk.delete(parts.PROJECT, None, expected=800).calls == 800
