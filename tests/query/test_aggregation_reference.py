"""What the specification of aggregates says of examples worked out by hand; the store says the same."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import written

from kibitz.base import refs
from kibitz.base.records import Aggregation, Batch, CallPart, ExceptionInfo, FeedbackPart
from kibitz.query import aggregation_json, aggregation_reference
from kibitz.storage import sqlite
from kibitz.storage.sqlite.store import SqliteStore

PROJECT = "acme/bot"
# Before and after clocks in Berlin are put back, at 01:00 in UTC.
SUNDAY = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
STARTS = [
    SUNDAY,
    SUNDAY + timedelta(hours=1),
    SUNDAY + timedelta(days=1),
    SUNDAY + timedelta(days=7),
]
LABELS: list[Any] = ["b", 2, True, None]
MILLISECONDS = [10, 20, 30, 60]


def _call(n: int) -> CallPart:
    return CallPart(
        id=f"c{n}",
        op="answer",
        started_at=STARTS[n],
        ended_at=STARTS[n] + timedelta(milliseconds=MILLISECONDS[n]),
        inputs={"label": LABELS[n]},
        output=1,
        exception=ExceptionInfo(type="E", message="") if n == 0 else None,
    )


def _said(n: int, author: str, call: int, value: Any, **further: Any) -> FeedbackPart:
    return FeedbackPart(
        id=f"f{n}",
        type="grade",
        target_ref=refs.call_ref(PROJECT, f"c{call}"),
        payload={"value": value} if not further else {},
        author=author,
        created_at=STARTS[0] + timedelta(minutes=n),
        **further,
    )


BATCH = Batch(
    project=PROJECT,
    calls=[_call(n) for n in range(4)],
    feedback=[
        _said(0, "ann", 0, 1),
        _said(1, "bob", 0, 4),
        _said(2, "ann", 0, 2),
        _said(3, "ann", 1, True),
        _said(4, "ann", 2, "good"),
        _said(5, "bob", 3, 9),
        _said(6, "bob", 3, None, retracts="f5"),
    ],
)


@pytest.fixture(name="store", scope="module")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Generator[SqliteStore]:
    opened = sqlite.open_store(Path(tmp_path_factory.mktemp("worked")))
    assert opened.ingest.write(BATCH).rejected == []
    yield opened
    opened.close()


def _asked(
    store: SqliteStore, *measures: str, by: tuple[str, ...] = (), **asked: Any
) -> Aggregation:
    query = aggregation_json.build(
        project=PROJECT, group_by=by, measures=measures or ("count",), **asked
    )
    found = aggregation_reference.run(query, written.recorded([BATCH]))
    stored = store.calls.aggregate(query)
    assert [group.keys for group in stored.groups] == [group.keys for group in found.groups]
    for mine, its in zip(stored.groups, found.groups, strict=True):
        for measured, expected in zip(mine.measures, its.measures, strict=True):
            assert measured.value == pytest.approx(expected.value)
            assert measured.n == expected.n
            assert measured.categories == expected.categories
            assert measured.counts == expected.counts
    return found


def _rows(found: Aggregation) -> list[tuple[Any, ...]]:
    return [
        (*group.keys, *(measured.value for measured in group.measures)) for group in found.groups
    ]


def test_groups_come_bool_number_text_null(store: SqliteStore) -> None:
    assert _rows(_asked(store, by=("inputs.label",))) == [
        (True, 1),
        (2.0, 1),
        ("b", 1),
        (None, 1),
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("day", ["2026-10-25", "2026-10-26", "2026-11-01"]),
        ("week", ["2026-10-19", "2026-10-26"]),
        ("month", ["2026-10", "2026-11"]),
        ("day(America/New_York)", ["2026-10-24", "2026-10-25", "2026-10-31"]),
        (
            "hour",
            [
                "2026-10-25T00:00:00+00:00",
                "2026-10-25T01:00:00+00:00",
                "2026-10-26T00:00:00+00:00",
                "2026-11-01T00:00:00+00:00",
            ],
        ),
        (
            # The hour from two to three comes twice.
            "hour(Europe/Berlin)",
            [
                "2026-10-25T02:00:00+01:00",
                "2026-10-25T02:00:00+02:00",
                "2026-10-26T01:00:00+01:00",
                "2026-11-01T01:00:00+01:00",
            ],
        ),
        ("hour(Asia/Kolkata)", None),
    ],
)
def test_times_are_named_by_their_beginning(
    store: SqliteStore, key: str, expected: list[str] | None
) -> None:
    keys = [group.keys[0] for group in _asked(store, by=(key,)).groups]

    if expected is None:
        assert keys[0] == "2026-10-25T06:00:00+05:30"
    else:
        assert keys == expected


def test_figures_of_numbers(store: SqliteStore) -> None:
    measures = [f"{name}(latency)" for name in ("sum", "mean", "sd", "min", "max", "median")]
    [row] = _rows(_asked(store, *measures, "quantile(latency, 0.9)", "share(status, error)"))

    # Of 10, 20, 30 and 60: squares of the differences from 30 add up to 1400.
    assert row == pytest.approx((120, 30, (1400 / 3) ** 0.5, 10, 60, 25, 51, 0.25))


def test_the_newest_judgement_of_a_call_counts_and_booleans_are_numbers(store: SqliteStore) -> None:
    found = _asked(
        store,
        "mean(feedback.[grade].value)",
        "share(feedback.[grade].value)",
        "count(feedback.[grade].value)",
        "mean(feedback.[grade].mean.value)",
    )
    [group] = found.groups

    # c0: ann's 2, the newest of all; c1: true; c2: a text; c3: taken back.
    assert [(each.value, each.n) for each in group.measures] == [
        (1.5, 2),
        (1.0, 1),
        (3, 3),
        ((3 + 1) / 2, 2),
    ]


def test_a_histogram_has_numbers_in_bins_and_the_rest_as_categories(store: SqliteStore) -> None:
    [group] = _asked(store, "histogram(feedback.[grade].value, 4)").groups
    [spread] = group.measures

    assert (spread.edges, spread.counts) == ([1.5, 2.5], [1])
    assert [(each.value, each.n) for each in spread.categories] == [(True, 1), ("good", 1)]
    assert (spread.n, spread.other) == (3, 0)


def test_over_feedback_each_standing_judgement_is_a_row(store: SqliteStore) -> None:
    standing = _asked(store, "count", "mean(value)", by=("author",), over="feedback")
    assert _rows(standing) == [("ann", 3, 1.5), ("bob", 1, 4.0)]
    every = _asked(store, "count", by=("author",), over="feedback", every=True)
    assert _rows(every) == [("ann", 4), ("bob", 2)]
    values = _asked(store, "values(value)", over="feedback", type="grade")
    assert [(each.value, each.n) for each in values.groups[0].measures[0].categories] == [
        (True, 1),
        (2.0, 1),
        (4.0, 1),
        ("good", 1),
    ]


def test_groups_are_ordered_by_a_measure_with_nothing_last(store: SqliteStore) -> None:
    found = _asked(
        store,
        "mean(feedback.[grade].value)",
        by=("id",),
        order="mean(feedback.[grade].value) asc",
    )

    assert [group.keys[0] for group in found.groups] == ["c1", "c0", "c2", "c3"]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Apia"])
@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
def test_at_the_ends_of_time_the_clocks_of_a_zone_stand_still(
    tmp_path: Path, unit: str, zone: str
) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    hours = [0, 3, 11, 30]
    moments = [first + timedelta(hours=n) for n in hours] + [
        last - timedelta(hours=n) for n in hours
    ]
    calls = [CallPart(id=f"c{n}", op="x", started_at=each) for n, each in enumerate(moments)]
    batch = Batch(project=PROJECT, calls=calls)
    query = aggregation_json.build(
        project=PROJECT, group_by=[f"{unit}({zone})"], measures=["count"]
    )
    opened = sqlite.open_store(tmp_path)
    opened.ingest.write(batch)

    stored = opened.calls.aggregate(query)
    opened.close()

    found = aggregation_reference.run(query, written.recorded([batch]))
    assert [(group.keys, group.measures) for group in stored.groups] == [
        (group.keys, group.measures) for group in found.groups
    ]
    assert sum(group.measures[0].n for group in stored.groups) == len(moments)
