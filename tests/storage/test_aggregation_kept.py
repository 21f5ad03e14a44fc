"""The sums kept on ingest are those of the rows, whatever came, went, moved or was said again."""

from __future__ import annotations

import importlib.util
import itertools
import math
import random
import sqlite3
import struct
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import drawing
import pytest
import written
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base import refs
from kibitz.base.records import Batch, CallPart, FeedbackPart
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_reference, reference
from kibitz.query.nodes import And, ColumnField, Compare, FeedbackField, In
from kibitz.storage import sqlite
from kibitz.storage.sqlite import aggregating, aggregating_kept, aggregating_sums
from kibitz.storage.sqlite.aggregating_sums import ExactSum, parse_sum
from kibitz.storage.sqlite.names import project_pk
from kibitz.storage.sqlite.store import SqliteStore


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


data = _load("test_query_meaning")
meaning = _load("test_aggregation_meaning")
OP, LATENCY, STATUS = ColumnField("op"), ColumnField("latency_ms"), ColumnField("status")
EPOCH = written.EPOCH
_numbered = itertools.count()
HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    opened = sqlite.open_store(tmp_path_factory.mktemp("kept"))
    yield opened
    opened.close()


def _of_calls(draw: random.Random) -> nodes.Measure:
    return draw.choice(
        [
            nodes.Count(),
            nodes.Count(LATENCY),
            nodes.OfNumbers("mean", LATENCY),
            nodes.OfNumbers("sd", LATENCY),
            nodes.OfNumbers("sum", LATENCY),
            nodes.Share(STATUS, "error"),
            nodes.Share(STATUS, "unheard of"),
            nodes.Values(STATUS, 2),
        ]
    )


def _of_scores(draw: random.Random, fields: list[FeedbackField]) -> nodes.Measure:
    place = draw.choice(fields)
    return draw.choice(
        [
            nodes.Count(place),
            nodes.OfNumbers("mean", place),
            nodes.OfNumbers("sd", place),
            nodes.OfNumbers("sum", place),
            nodes.Share(place),
            nodes.Share(place, False),
            nodes.Share(place, "a"),
            nodes.Values(place, draw.choice([1, 3])),
            nodes.Histogram(place, draw.choice([2, 10, 20])),
        ]
    )


def _time(draw: random.Random, units: list[nodes.Unit]) -> nodes.TimeKey:
    return nodes.TimeKey(draw.choice(units))


def _query(draw: random.Random, project: str, fields: list[FeedbackField]) -> nodes.AggregateQuery:
    """One that the sums are made for."""
    if fields and draw.random() < 0.6:
        measures = [_of_scores(draw, fields) for _ in range(3)] + [_of_calls(draw)]
        group_by = draw.choice([(), (_time(draw, ["day", "week", "month"]),)])
        return nodes.AggregateQuery(project=project, group_by=group_by, measures=tuple(measures))
    since = (1767225600 * 1_000_000 // HOUR_US + draw.choice([-24, -1, 0])) * HOUR_US
    times = And(
        (
            Compare(ColumnField("started_at"), "gte", since),
            Compare(ColumnField("started_at"), "lt", since + HOUR_US),
        )
    )
    ops = draw.choice(
        [Compare(OP, "eq", "answer"), In(OP, ("answer", "", "unheard of")), times, None]
    )
    keys = [nodes.PlaceKey(OP), _time(draw, ["hour", "day", "week", "month"])]
    return nodes.AggregateQuery(
        project=project,
        where=ops,
        group_by=tuple(draw.sample(keys, draw.randrange(3))),
        measures=tuple(_of_calls(draw) for _ in range(3)),
    )


def _answered(store: SqliteStore, query: nodes.AggregateQuery) -> Any:
    """What the sums say; None where they cannot tell."""
    with sqlite3.connect(store.path) as connection:
        found = aggregating_kept.answer(connection, project_pk(connection, query.project), query)
    connection.close()
    return None if found is None else aggregating.answer(query, found)


def _tables(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    return {
        table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5").fetchall()
        for table in ("score_sums", "score_buckets")
    }


def _fields(places: Any) -> list[FeedbackField]:
    judged = {
        FeedbackField(field.type, tuple(part for part in field.path if not part.isdigit()))
        for group in places.groups
        for field in group
        if isinstance(field, FeedbackField) and field.path
    }
    return sorted(judged, key=repr)


@settings(max_examples=drawing.examples(300), deadline=None)
@given(st.integers(0, 2**32))
def test_the_sums_say_what_the_reference_says(store: SqliteStore, seed: int) -> None:
    draw = data.Draw(seed)
    project, records = data._write(store, draw)
    fields = _fields(data.Places(records))
    for _ in range(8):
        query = _query(draw, project, fields)
        found = _answered(store, query)
        if found is None:
            # Only of scores are there some that sums cannot tell.
            assert any(isinstance(each.place, FeedbackField) for each in query.measures)
            found = store.calls.aggregate(query)
        expected = aggregation_reference.run(query, records)

        assert meaning._differs(found, expected) is None, f"{query}\n{found}\n{expected}"


SCORES: list[list[Any]] = [
    [True, False],
    [1, 2, 3, 4, 5],
    [0.1, 0.2, 0.25, 0.3, 0.995, 1.0],
    [-0.995, -1.0, -0.1, 0, 12.5],
    [10, 20, 1000, 99.5],
    ["good", "bad", "worse", "t" * 32],
    ["good", "t" * 33],
    [1e300, -1e300, 5e-324, 1.0],
    [10**400, 1, 0.5],
    [1, True, "1", None, [1, 2]],
]


def _dense(draw: random.Random, project: str) -> list[Batch]:
    """Many calls that one scorer judges on a few days: late, corrected, taken back, delivered twice."""
    calls = [
        CallPart(
            id=f"c{n}",
            op=draw.choice(["a", "b"]),
            started_at=(start := EPOCH + timedelta(hours=draw.randrange(-30, 40))),
            ended_at=draw.choice([None, start + timedelta(milliseconds=draw.randrange(5000))]),
        )
        for n in range(draw.randrange(5, 30))
    ]
    scores = draw.choice(SCORES)
    judgements: list[FeedbackPart] = []
    for n in range(draw.randrange(40)):
        about = draw.choice(calls)
        judgements.append(
            FeedbackPart(
                id=f"f{n}",
                type="review",
                target_ref=refs.call_ref(project, about.id),
                payload={"x": draw.choice(scores), "y": draw.random()},
                author=draw.choice(["ann", "ann", "bob"]),
                created_at=EPOCH + timedelta(minutes=draw.randrange(90)),
            )
        )
    for n, taken in enumerate(draw.sample(judgements, len(judgements) // 4)):
        judgements.append(
            FeedbackPart(
                id=f"r{n}",
                type="review",
                target_ref=taken.target_ref,
                payload={},
                author=taken.author,
                created_at=EPOCH + timedelta(minutes=draw.randrange(90)),
                retracts=taken.id,
            )
        )
    items: list[CallPart | FeedbackPart] = [*calls, *judgements]
    draw.shuffle(items)
    items += draw.sample(items, len(items) // 5)
    batches: list[Batch] = []
    while items:
        size = draw.randrange(1, 12)
        now, items = items[:size], items[size:]
        batches.append(
            Batch(
                project=project,
                calls=[each for each in now if isinstance(each, CallPart)],
                feedback=[each for each in now if isinstance(each, FeedbackPart)],
            )
        )
    return batches


@settings(max_examples=drawing.examples(250), deadline=None)
@given(st.integers(0, 2**32))
def test_many_scores_are_summed_as_the_reference_does(store: SqliteStore, seed: int) -> None:
    draw = random.Random(seed)
    project = f"dense-{next(_numbered)}"
    batches = _dense(draw, project)
    for batch in batches:
        assert store.ingest.write(batch).rejected == []
    records = written.recorded(batches)
    fields = [FeedbackField("review", ("x",)), FeedbackField("review", ("y",))]
    for _ in range(6):
        query = _query(draw, project, fields)
        found = _answered(store, query) or store.calls.aggregate(query)
        expected = aggregation_reference.run(query, records)

        assert meaning._differs(found, expected) is None, f"{query}\n{found}\n{expected}"
    spread = nodes.AggregateQuery(
        project=project,
        group_by=(nodes.TimeKey("day"),),
        measures=(nodes.OfNumbers("mean", fields[1]), nodes.Histogram(fields[1], 10)),
    )

    found = _answered(store, spread)
    scores = [reference.look_up(fields[1], record) for record in records]
    known = [each for each in scores if each is not reference.MISSING]
    if known and max(known) - min(known) > 0.5:
        assert found is not None, "two digits are enough for so few bins"
    elif found is not None:
        assert meaning._differs(found, aggregation_reference.run(spread, records)) is None


@settings(max_examples=drawing.examples(60), deadline=None)
@given(st.integers(0, 2**32))
def test_made_anew_the_sums_are_the_same_also_after_a_delete(store: SqliteStore, seed: int) -> None:
    draw = data.Draw(seed)
    project, records = data._write(store, draw)
    if draw.random() < 0.5:
        where = Compare(ColumnField("id"), "eq", draw.choice(records).call.id) if records else None
        counted = store.bulk.count(project, where)
        store.bulk.delete(project, where, expected=counted.calls)
    with sqlite3.connect(store.path) as connection:
        kept = _tables(connection)
        aggregating_sums.rebuild(connection)

        assert _tables(connection) == kept
        connection.rollback()
    connection.close()


def _numbers() -> st.SearchStrategy[float]:
    def of_bytes(taken: bytes) -> float:
        (number,) = struct.unpack("d", taken)
        return number if math.isfinite(number) else 0.0

    return st.one_of(
        st.binary(min_size=8, max_size=8).map(of_bytes),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(-1000, 1000, places=2).map(float),
        st.integers(-(10**6), 10**6).map(float),
    )


@settings(max_examples=drawing.examples(2000), deadline=None)
@given(_numbers())
def test_a_number_is_in_its_bucket(number: float) -> None:
    lower = aggregating_sums.bucket_of(number)

    assert lower <= number
    assert number < aggregating_sums.bucket_end(lower) or abs(number) < 1e-320
    assert aggregating_sums.bucket_of(lower) == lower


@given(st.lists(_numbers(), max_size=20))
def test_what_is_taken_back_leaves_nothing(numbers: list[float]) -> None:
    total = ExactSum()
    for sign in (1, -1):
        for number in numbers:
            numerator, denominator = number.as_integer_ratio()
            total.add(sign * numerator, denominator.bit_length() - 1)
        total = parse_sum(str(total))
        if sign == 1:
            exact = math.fsum(numbers) if all(abs(each) < 1e300 for each in numbers) else None
            assert exact is None or float(total.fraction) == exact

    assert str(total) == "0/0"
