"""The calls of a trace as a tree laid out in time. Pure.

A call stands under its parent, siblings in the order in which they started. Where the parent is not
among the calls, or is below the call itself, the call stands at the top: nothing is ever left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kibitz.base import clock
from kibitz.base.records import Call

MAX_DEPTH_SHOWN = 200
"""Deeper calls keep their place and order, and are drawn at this depth."""
SMALLEST_BAR = 0.3
"""Percent of the width, so that a short call can still be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the tree."""

    call: Call
    depth: int
    """0 at the top."""
    children: int
    descendants: int
    position: int
    """1 for the first of its siblings."""
    siblings: int
    """How many there are of them, itself included."""
    parent: int | None
    """The index of the row above in the tree, None at the top."""
    start: float
    """Where the bar begins, in percent of the trace."""
    width: float
    """How long the bar is, in percent of the trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A trace, laid out."""

    rows: tuple[Row, ...]
    started_at: datetime
    duration_ms: float
    """From the first start to the last end; to now where something still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Where one can go from a call, as ids."""

    parent: str | None = None
    previous: str | None = None
    """The sibling before."""
    next: str | None = None
    """The sibling after."""


def lay_out(calls: Sequence[Call]) -> Timeline:
    """Place calls, given in the order in which they started; raises `ValueError` where there are none."""
    if not calls:
        raise ValueError("a timeline needs at least one call")
    order, parent_of, children_of = _tree(calls)
    now = clock.now()
    started_at = min(call.started_at for call in calls)
    ended_at = max(_end(call, now) for call in calls)
    duration_ms = max((ended_at - started_at).total_seconds() * 1000, 0.001)
    depth: dict[int, int] = {}
    descendants = [0] * len(calls)
    for index in order:
        parent = parent_of[index]
        depth[index] = 0 if parent is None else depth[parent] + 1
    for index in reversed(order):
        parent = parent_of[index]
        if parent is not None:
            descendants[parent] += descendants[index] + 1
    row_of = {index: row for row, index in enumerate(order)}
    place = _places(children_of, parent_of, order)
    rows: list[Row] = []
    for index in order:
        call = calls[index]
        parent = parent_of[index]
        start = (call.started_at - started_at).total_seconds() * 100_000 / duration_ms
        length = (_end(call, now) - call.started_at).total_seconds() * 100_000 / duration_ms
        start = min(max(start, 0.0), 100 - SMALLEST_BAR)
        position, siblings = place[index]
        rows.append(
            Row(
                call=call,
                depth=min(depth[index], MAX_DEPTH_SHOWN),
                children=len(children_of.get(index, ())),
                descendants=descendants[index],
                position=position,
                siblings=siblings,
                parent=None if parent is None else row_of[parent],
                start=round(start, 3),
                width=round(min(max(length, SMALLEST_BAR), 100 - start), 3),
            )
        )
    return Timeline(rows=tuple(rows), started_at=started_at, duration_ms=duration_ms)


def neighbours(timeline: Timeline, call_id: str) -> Neighbours:
    """The calls beside and above one; nothing where it is not in the tree."""
    rows = timeline.rows
    row = next((each for each in rows if each.call.id == call_id), None)
    if row is None:
        return Neighbours()
    beside = [each.call.id for each in rows if each.parent == row.parent]
    at = row.position - 1
    return Neighbours(
        parent=None if row.parent is None else rows[row.parent].call.id,
        previous=beside[at - 1] if at > 0 else None,
        next=beside[at + 1] if at + 1 < len(beside) else None,
    )


def to_json(timeline: Timeline) -> dict[str, Any]:
    """The rows in the compact form that the script of the tree draws: names once, rows as lists.

    A row is [id, depth, name, kind, status, descendants, position, siblings, start, width, latency_ms].
    """
    names: dict[str, int] = {}
    kinds: dict[str, int] = {}
    rows = [
        [
            row.call.id,
            row.depth,
            names.setdefault(row.call.display_name or row.call.op, len(names)),
            kinds.setdefault(row.call.kind or "", len(kinds)),
            row.call.status,
            row.descendants,
            row.position,
            row.siblings,
            row.start,
            row.width,
            row.call.latency_ms,
        ]
        for row in timeline.rows
    ]
    return {
        "names": list(names),
        "kinds": list(kinds),
        "rows": rows,
        "duration_ms": timeline.duration_ms,
    }


def _end(call: Call, now: datetime) -> datetime:
    return call.ended_at if call.ended_at is not None else max(now, call.started_at)


def _tree(
    calls: Sequence[Call],
) -> tuple[list[int], list[int | None], dict[int | None, list[int]]]:
    """Indexes in the order of the tree, the parent of each, and the children of each."""
    index_of = {call.id: index for index, call in enumerate(calls)}
    parent_of: list[int | None] = [
        None
        if call.parent_id is None or call.parent_id == call.id
        else index_of.get(call.parent_id)
        for call in calls
    ]
    children_of: dict[int | None, list[int]] = {}
    for index, parent in enumerate(parent_of):
        children_of.setdefault(parent, []).append(index)
    order: list[int] = []
    seen = bytearray(len(calls))
    _walk(children_of.get(None, []), children_of, order, seen)
    for index in range(len(calls)):
        if not seen[index]:
            # Nothing leads here from the top: the call is one of a circle, which is cut before it.
            children_of[parent_of[index]].remove(index)
            parent_of[index] = None
            children_of.setdefault(None, []).append(index)
            _walk([index], children_of, order, seen)
    return order, parent_of, children_of


def _walk(
    tops: Sequence[int],
    children_of: dict[int | None, list[int]],
    order: list[int],
    seen: bytearray,
) -> None:
    waiting = list(reversed(tops))
    while waiting:
        index = waiting.pop()
        if seen[index]:
            continue
        seen[index] = 1
        order.append(index)
        waiting.extend(reversed(children_of.get(index, ())))


def _places(
    children_of: dict[int | None, list[int]], parent_of: list[int | None], order: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """(position, number of siblings) of each."""
    counted: dict[int | None, int] = {}
    places: dict[int, tuple[int, int]] = {}
    for index in order:
        parent = parent_of[index]
        counted[parent] = counted.get(parent, 0) + 1
        places[index] = counted[parent], len(children_of[parent])
    return places
