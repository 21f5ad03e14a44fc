"""Aggregations are bounded in groups, memory and time, and say so."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from unittest import mock

import parts
import pytest

from kibitz.base.errors import NotFound, QueryError, QueryTimeout
from kibitz.query import aggregation as nodes
from kibitz.query import aggregation_json
from kibitz.storage import sqlite
from kibitz.storage.sqlite import aggregating
from kibitz.storage.sqlite.store import SqliteStore


@pytest.fixture(name="filled", scope="module")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    store = sqlite.open_store(tmp_path_factory.mktemp("bounds"))
    calls = [parts.call(f"c{n}", output={"text": f"t{n % 30}"}) for n in range(60)]
    store.ingest.write(parts.batch(calls=calls))
    yield store
    store.close()


def _query(*group_by: str, measures: tuple[str, ...] = ("count",)) -> nodes.AggregateQuery:
    return aggregation_json.build(project=parts.PROJECT, group_by=group_by, measures=measures)


def test_too_many_groups_are_refused(filled: SqliteStore) -> None:
    with (
        mock.patch.object(nodes, "MAX_GROUPS", 59),
        pytest.raises(QueryError, match="more than 59 groups") as raised,
    ):
        filled.calls.aggregate(_query("id"))
    assert raised.value.facts["at"] == "group_by"
    assert len(filled.calls.aggregate(_query("id")).groups) == 60


def test_too_many_values_are_refused(filled: SqliteStore) -> None:
    query = _query(measures=("p95(latency)", "p95(started_at)"))
    with (
        mock.patch.object(aggregating, "MAX_NUMBERS", 119),
        pytest.raises(QueryError, match="more than 119 values"),
    ):
        filled.calls.aggregate(query)
    assert filled.calls.aggregate(query).groups[0].measures[0].n == 60


def test_too_many_bins_and_values_are_refused(filled: SqliteStore) -> None:
    def asked(limit: int) -> nodes.AggregateQuery:
        return aggregation_json.build(
            project=parts.PROJECT,
            group_by=("id",),
            measures=("histogram(started_at, 5)", "values(output.text)"),
            limit=limit,
        )

    whole = filled.calls.aggregate(asked(60)).groups
    size = [sum(len(m.counts) + len(m.categories) for m in group.measures) for group in whole]
    with mock.patch.object(nodes, "MAX_PARTS", sum(size[:10])):
        # The limit bounds what is answered, and so what is worked out.
        found = filled.calls.aggregate(asked(10))
        assert found.groups == whole[:10]
        assert found.truncated
        with pytest.raises(QueryError, match="bins and values") as raised:
            filled.calls.aggregate(asked(11))
    assert raised.value.facts["at"] == "measures"


def test_of_too_many_texts_the_rare_ones_are_only_counted(filled: SqliteStore) -> None:
    query = _query(measures=("values(output.text, 3)", "distinct(output.text)"))
    with mock.patch.object(aggregating, "MAX_NAMED", 10):
        values, distinct = filled.calls.aggregate(query).groups[0].measures

    assert not values.exact
    assert sum(each.n for each in values.categories) + values.other == values.n == 60
    assert not distinct.exact
    assert distinct.value == 10
    values, distinct = filled.calls.aggregate(query).groups[0].measures
    assert values.exact
    assert distinct.value == 30


def test_an_aggregation_is_stopped_at_the_time_limit(tmp_path: Path) -> None:
    store = sqlite.open_store(tmp_path, query_timeout_s=0.0)
    # So many steps of SQLite's machine that it looks at the clock.
    inputs = {"items": [{"text": "x" * 50, "n": n} for n in range(200)]}
    calls = [parts.call(f"c{n}", inputs=inputs) for n in range(1500)]
    store.ingest.write(parts.batch(calls=calls))
    try:
        with pytest.raises(QueryTimeout):
            store.calls.aggregate(_query("inputs.items.199.text", measures=("distinct(id)",)))
    finally:
        store.close()


def test_what_does_not_fit_together_is_refused() -> None:
    latency = nodes.OfNumbers("mean", nodes.PayloadField(("x",)))
    for wrong in (
        {"measures": ()},
        {"limit": 0},
        {"limit": nodes.MAX_LIMIT + 1},
        {"confidence": 0.0},
        {"measures": (latency,)},
        {"over": "feedback", "group_by": (nodes.TimeKey("day"),)},
    ):
        with pytest.raises(QueryError):
            nodes.AggregateQuery(project="p", **wrong)  # type: ignore[arg-type]


def test_an_empty_project_has_one_group_of_nothing(tmp_path: Path) -> None:
    store = sqlite.open_store(tmp_path)
    try:
        with pytest.raises(NotFound):
            store.calls.aggregate(_query())
        feedback = parts.judgement("c0", 1, name="x", feedback_id="f0")
        free = parts.batch(feedback=[feedback])
        store.ingest.write(free)
        found = store.calls.aggregate(
            _query(
                measures=("count", "mean(latency)", "histogram(latency)", "share(status, error)")
            )
        )
        [group] = found.groups
        assert [each.value for each in group.measures] == [0, None, None, None]
        assert [each.n for each in group.measures] == [0, 0, 0, 0]
        assert store.calls.aggregate(_query("op")).groups == []
    finally:
        store.close()
