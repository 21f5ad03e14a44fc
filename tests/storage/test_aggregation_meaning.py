"""The store's aggregates are what `query.aggregation_reference` says, on data that is out to break it."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import drawing
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base import api, clock
from kibitz.base.records import Aggregation, Measured
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_json, aggregation_reference
from kibitz.query.nodes import ColumnField, FeedbackField, FeedbackQuery, PathField
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


meaning = _load("test_query_meaning")
Draw = meaning.Draw
ZONES = ["UTC", "UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"]
UNITS = ["hour", "day", "week", "month"]
ROW_FIELDS = ["type", "author", "author_kind", "version", "target", "created_at"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    opened = sqlite.open_store(tmp_path_factory.mktemp("aggregates"))
    yield opened
    opened.close()


def _call_place(draw: Any, places: Any) -> nodes.Place:
    while True:
        field, _ = draw.place(places)
        if isinstance(field, ColumnField | PathField | FeedbackField):
            return field


def _row_place(draw: Any, places: Any) -> nodes.Place:
    if draw.random() < 0.4:
        return nodes.RowField(draw.choice(ROW_FIELDS))
    judged = [
        field for group in places.groups for field in group if isinstance(field, FeedbackField)
    ]
    return nodes.PayloadField(draw.choice(judged).path if judged else ("output",))


def _key(draw: Any, places: Any, over: str) -> nodes.Key:
    if draw.random() < 0.35:
        times = ["started_at", "started_at", "ended_at"]
        place = ColumnField(draw.choice(times)) if over == "calls" else nodes.RowField("created_at")
        return nodes.TimeKey(draw.choice(UNITS), draw.choice(ZONES), place)
    return nodes.PlaceKey((_call_place if over == "calls" else _row_place)(draw, places))


def _measure(draw: Any, places: Any, over: str) -> nodes.Measure:
    place = (_call_place if over == "calls" else _row_place)(draw, places)
    match draw.randrange(9):
        case 0:
            return nodes.Count(draw.choice([None, place]))
        case 1:
            return nodes.Quantile(place, draw.choice([0, 0.5, 0.9, 1.0, draw.random()]))
        case 2:
            literal = draw.literal(draw.scalar())
            return nodes.Share(place, True if literal is None else literal)
        case 3:
            return nodes.Histogram(place, draw.choice([1, 2, 5, 20, 100]))
        case 4:
            return nodes.Values(place, draw.choice([1, 2, 100]))
        case 5:
            return nodes.Distinct(place)
        case _:
            return nodes.OfNumbers(draw.choice(["mean", "mean", "sd", "sum", "min", "max"]), place)


def _query(draw: Any, project: str, places: Any) -> nodes.AggregateQuery:
    over = draw.choice(["calls", "calls", "feedback"])
    measures = tuple(
        dict.fromkeys(_measure(draw, places, over) for _ in range(draw.randrange(1, 5)))
    )
    further: dict[str, Any] = {}
    if over == "feedback":
        said = clock.to_us(draw.moment())
        further = {
            "type": draw.choice([None, None, *draw.types]),
            "author": draw.choice([None, None, "ann", ""]),
            "since": draw.choice([None, None, said]),
            "until": draw.choice([None, None, said + 2]),
            "every": draw.rarely(),
        }
    return nodes.AggregateQuery(
        project=project,
        over=over,
        where=draw.choice([None, None, draw.leaf(places), draw.node(places)]),
        group_by=tuple(_key(draw, places, over) for _ in range(draw.choice([0, 1, 1, 2, 3]))),
        measures=measures,
        limit=draw.choice([1, 2, 1000]),
        order=draw.choice([None, None, nodes.Order(draw.randrange(len(measures)), draw.rarely())]),
        confidence=draw.choice([0.95, 0.5, 0.999]),
        **further,
    )


def _differs(found: Aggregation, expected: Aggregation) -> str | None:
    """Where two answers differ by more than the order of summing makes; None where they do not."""
    for name in ("group_by", "measures", "truncated"):
        if getattr(found, name) != getattr(expected, name):
            return name
    if [group.keys for group in found.groups] != [group.keys for group in expected.groups]:
        return "keys"
    for mine, its in zip(found.groups, expected.groups, strict=True):
        if list(map(type, mine.keys)) != list(map(type, its.keys)):
            return "types of keys"
        for index, pair in enumerate(zip(mine.measures, its.measures, strict=True)):
            if not _is_same(*pair):
                return f"{found.measures[index]} of {mine.keys}: {pair}"
    return None


def _is_same(found: Measured, expected: Measured) -> bool:
    for name in Measured.__struct_fields__:
        mine, its = getattr(found, name), getattr(expected, name)
        if isinstance(mine, float) and isinstance(its, int | float):
            # The middle of an interval is as exact as the mean; its ends may be near zero.
            scale = max(abs(expected.low or 0), abs(expected.high or 0), abs(expected.value or 0))
            if not math.isclose(mine, its, rel_tol=1e-9, abs_tol=scale * 1e-9):
                return False
        elif mine != its:
            return False
    return True


@settings(max_examples=drawing.examples(400), deadline=None)
@given(st.integers(0, 2**32))
def test_every_aggregate_is_what_the_reference_says(store: SqliteStore, seed: int) -> None:
    draw = Draw(seed)
    project, records = meaning._write(store, draw)
    others = [
        each
        for each in _everything(store, project)
        if not any(each.target_ref.endswith(f"/call/{record.call.id}") for record in records)
    ]
    places = meaning.Places(records)
    for _ in range(8):
        query = _query(draw, project, places)
        if query.order is not None and _is_close(query, records, others):
            continue
        found = store.calls.aggregate(query)
        expected = aggregation_reference.run(query, records, others)

        assert _differs(found, expected) is None, f"{query}\n{found}\n{expected}"
        if query.where is None:
            _comes_back(query)


def _comes_back(query: nodes.AggregateQuery) -> None:
    """As JSON it is the same query."""

    def through_json(query: nodes.AggregateQuery) -> nodes.AggregateQuery:
        kind = api.CallsAggregate if query.over == "calls" else api.FeedbackAggregate
        asked = msgspec.json.encode(aggregation_json.to_json(query))
        return aggregation_json.parse(msgspec.json.decode(asked, type=kind))

    if any(isinstance(each, nodes.Share) for each in query.measures):
        # A text says a share only of a value that its field can have.
        return
    # A text knows one spelling of a NUL; after that nothing changes.
    once = through_json(query)
    assert through_json(once) == once
    if "\\x00" not in repr(query):
        assert once == query


def _is_close(query: nodes.AggregateQuery, records: Any, others: Any) -> bool:
    """Whether two groups differ by no more than the order of summing makes, so that their order is open."""
    assert query.order is not None
    every = nodes.AggregateQuery(
        **{name: getattr(query, name) for name in query.__dataclass_fields__ if name != "limit"}
    )
    groups = aggregation_reference.run(every, records, others).groups
    figures = [each.measures[query.order.measure].value for each in groups]
    known = sorted(float(each) for each in figures if each is not None)
    return any(
        first != second and math.isclose(first, second, rel_tol=1e-9)
        for first, second in zip(known, known[1:], strict=False)
    )


def _everything(store: SqliteStore, project: str) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = store.feedback.query(FeedbackQuery(project=project, limit=1000, cursor=cursor))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
