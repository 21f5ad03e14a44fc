"""A trace laid out: every call once, under its parent, in the order of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kibitz.base import clock
from kibitz.base.records import Call
from kibitz.server.pages import timeline

START = datetime(2026, 1, 1, tzinfo=UTC)


def call(
    id_: str, parent: str | None = None, at_ms: float = 0, lasts_ms: float | None = 10
) -> Call:
    started_at = START + timedelta(milliseconds=at_ms)
    return Call(
        project="p",
        id=id_,
        trace_id="t",
        parent_id=parent,
        op=f"op-{id_}",
        op_ref=None,
        kind=None,
        display_name=None,
        thread_id=None,
        author=None,
        status="running" if lasts_ms is None else "success",
        started_at=started_at,
        ended_at=None if lasts_ms is None else started_at + timedelta(milliseconds=lasts_ms),
        latency_ms=lasts_ms,
        input_preview="",
        output_preview="",
    )


def shape(laid_out: timeline.Timeline) -> list[tuple[str, int]]:
    return [(row.call.id, row.depth) for row in laid_out.rows]


def test_children_stand_under_their_parent_in_order_of_start() -> None:
    laid_out = timeline.lay_out(
        [
            call("a", at_ms=0),
            call("b", "a", 1),
            call("c", "a", 2),
            call("d", "b", 3),
            call("e", at_ms=4),
        ]
    )

    assert shape(laid_out) == [("a", 0), ("b", 1), ("d", 2), ("c", 1), ("e", 0)]
    assert [(row.children, row.descendants) for row in laid_out.rows] == [
        (2, 3),
        (1, 1),
        (0, 0),
        (0, 0),
        (0, 0),
    ]
    assert [(row.position, row.siblings) for row in laid_out.rows] == [
        (1, 2),
        (1, 2),
        (1, 1),
        (2, 2),
        (2, 2),
    ]


def test_bars_are_shares_of_the_whole_trace() -> None:
    laid_out = timeline.lay_out([call("a", lasts_ms=100), call("b", "a", 25, 50)])

    assert [(row.start, row.width) for row in laid_out.rows] == [(0, 100), (25, 50)]
    assert laid_out.duration_ms == 100


def test_running_call_lasts_until_now(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.to_us(START + timedelta(seconds=4)) * 1000
    monkeypatch.setattr(clock, "now_ns", lambda: now)

    laid_out = timeline.lay_out([call("a", lasts_ms=1000), call("b", "a", 2000, None)])

    assert laid_out.duration_ms == 4000
    assert (laid_out.rows[1].start, laid_out.rows[1].width) == (50, 50)


def test_call_without_its_parent_stands_at_the_top() -> None:
    assert shape(timeline.lay_out([call("a", "gone"), call("b", "a")])) == [("a", 0), ("b", 1)]


def test_circle_of_parents_is_cut_and_nothing_lost() -> None:
    laid_out = timeline.lay_out([call("a", "c"), call("b", "a"), call("c", "b"), call("d", "d")])

    assert shape(laid_out) == [("d", 0), ("a", 0), ("b", 1), ("c", 2)]


def test_trace_of_one_moment_has_bars_that_can_be_seen() -> None:
    (row,) = timeline.lay_out([call("a", lasts_ms=0)]).rows

    assert row.width >= timeline.SMALLEST_BAR
    assert row.start + row.width <= 100


def test_no_calls_are_no_timeline() -> None:
    with pytest.raises(ValueError):
        timeline.lay_out([])


def test_chain_deeper_than_the_interpreter_can_recurse() -> None:
    calls = [call("0")] + [call(str(n), str(n - 1), n) for n in range(1, 20_000)]

    laid_out = timeline.lay_out(calls)

    assert laid_out.rows[0].descendants == 19_999
    assert laid_out.rows[-1].depth == timeline.MAX_DEPTH_SHOWN


@given(st.lists(st.integers(-1, 30), min_size=1, max_size=30), st.data())
def test_any_parents_give_every_call_once_and_sums_that_agree(
    parents: list[int], data: st.DataObject
) -> None:
    calls = [
        call(
            str(n),
            None if parent < 0 else str(parent),
            data.draw(st.integers(0, 1000)),
            data.draw(st.integers(0, 1000)),
        )
        for n, parent in enumerate(parents)
    ]

    rows = timeline.lay_out(calls).rows

    assert sorted(row.call.id for row in rows) == sorted(each.id for each in calls)
    for index, row in enumerate(rows):
        below = rows[index + 1 : index + 1 + row.descendants]
        assert all(each.depth > row.depth for each in below)
        after = rows[index + 1 + row.descendants :]
        assert not after or after[0].depth <= row.depth
        assert row.start >= 0
        assert row.start + row.width <= 100.001
        if row.parent is not None:
            assert rows[row.parent].depth == row.depth - 1


def test_neighbours_are_parent_and_siblings() -> None:
    laid_out = timeline.lay_out(
        [call("a"), call("b", "a", 1), call("x", "b", 2), call("c", "a", 3), call("d", "a", 4)]
    )

    assert timeline.neighbours(laid_out, "c") == timeline.Neighbours(
        parent="a", previous="b", next="d"
    )
    assert timeline.neighbours(laid_out, "a") == timeline.Neighbours()
    assert timeline.neighbours(laid_out, "nobody") == timeline.Neighbours()


def test_compact_form_names_each_op_once() -> None:
    laid_out = timeline.lay_out([call("a"), call("b", "a", 1), call("c", "b", 2)])

    compact = timeline.to_json(laid_out)

    assert compact["names"] == ["op-a", "op-b", "op-c"]
    assert [row[:2] + [row[5]] for row in compact["rows"]] == [
        ["a", 0, 2],
        ["b", 1, 1],
        ["c", 2, 0],
    ]
