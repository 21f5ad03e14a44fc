"""Writing calls: parts are merged with what stands, new rows go in together, sums are kept."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec

from kibitz.base import usage
from kibitz.base.usage import Usage
from kibitz.storage import statements
from kibitz.storage.sqlite import aggregating_sums
from kibitz.storage.sqlite.merging import FIELDS, CallRow, merge
from kibitz.storage.sqlite.names import WriterNames
from kibitz.storage.sqlite.preparing import PreparedCall

_HOUR_US = 3_600_000_000
_SQL = statements.load("sqlite.sql")


@dataclass(slots=True)
class _State:
    """A call of this transaction: what stood and what it has become."""

    pk: int
    stood: CallRow | None
    """None where the row is new."""
    row: CallRow


class Ended(NamedTuple):
    """A call that has ended now."""

    project: int
    pk: int
    is_root: bool
    is_new: bool
    """Whether nothing was said of it before."""


class CallWriter:
    """Collects the calls of one transaction; `flush` writes them."""

    def __init__(self, connection: sqlite3.Connection, names: WriterNames) -> None:
        self._connection = connection
        self._names = names
        self._states: dict[tuple[int, str], _State] = {}
        self._standing: dict[tuple[int, str], int] = {}
        """Calls that were there before the transaction, by project and id."""
        self._last_pk: int | None = None
        self.ended: list[Ended] = []
        """Calls of which `flush` found that they have ended now."""

    def look_up(self, project: int, ids: list[str], targets: list[str]) -> None:
        """Find out together which of these calls are there already."""
        wanted = [*ids, *targets]
        if not wanted:
            return
        rows = self._connection.execute(
            _SQL["standing_calls"],
            (msgspec.json.encode(wanted).decode(), project),
        )
        for call_id, pk in rows:
            self._standing[project, call_id] = pk

    def add(self, project: int, part: PreparedCall) -> None:
        """Take one part in; it is written by `flush`."""
        if part.op is not None:
            part.row.op = self._names.op(self._connection, project, part.op)
        part.row.op_ref = self._names.ref(self._connection, part.op_ref)
        key = (project, part.id)
        state = self._states.get(key)
        if state is None:
            standing = self._standing.get(key)
            if standing is None:
                state = _State(self._next_pk(), None, part.row)
                self._states[key] = state
            else:
                stood = self._read(standing)
                state = _State(standing, stood, merge(part.id, stood, part.row))
                self._states[key] = state
        else:
            state.row = merge(part.id, state.row, part.row)

    def pk(self, project: int, call_id: str) -> tuple[int, bool]:
        """The pk of a call, as a stub where it is not there, and whether it is new in this transaction."""
        key = (project, call_id)
        state = self._states.get(key)
        if state is not None:
            return state.pk, state.stood is None
        standing = self._standing.get(key)
        if standing is not None:
            return standing, False
        state = self._states[key] = _State(self._next_pk(), None, CallRow())
        return state.pk, True

    def row(self, project: int, call_id: str) -> CallRow | None:
        """A call with what this transaction brings; None where nobody has said yet what it is."""
        key = (project, call_id)
        state = self._states.get(key)
        if state is not None:
            row = state.row
        elif key in self._standing:
            row = self._read(self._standing[key])
        else:
            return None
        return row if row.is_visible else None

    def flush(self) -> None:
        """Write rows, payloads and sums."""
        new = [(key, state) for key, state in self._states.items() if state.stood is None]
        changed = [
            (key, state)
            for key, state in self._states.items()
            if state.stood is not None and state.row != state.stood
        ]
        execute_many = self._connection.executemany
        execute_many(
            _SQL["insert_call"],
            [
                (state.pk, project, call_id, *_columns(state.row))
                for (project, call_id), state in new
            ],
        )
        execute_many(
            _SQL["update_call"], [(*_columns(state.row), state.pk) for _, state in changed]
        )
        execute_many(_SQL["delete_payload"], [(state.pk,) for _, state in changed])
        execute_many(
            _SQL["insert_payload"],
            [
                (state.pk, *_payload(state.row))
                for _, state in (*new, *changed)
                if state.row.is_visible
            ],
        )
        searched = self._searched({project for project, _ in self._states})
        execute_many(
            _SQL["await_words"],
            [
                (project, state.pk)
                for (project, _), state in (*new, *changed)
                if state.row.is_visible and project in searched
            ],
        )
        self.ended = [
            Ended(project, state.pk, state.row.parent_id is None, state.stood is None)
            for (project, _), state in (*new, *changed)
            if state.row.ended_at is not None
            and (state.stood is None or state.stood.ended_at is None)
        ]
        self._write_rollups([*new, *changed])
        aggregating_sums.move(
            self._connection,
            {
                state.pk: (state.stood.started_at, state.row.started_at)
                for _, state in changed
                if state.stood is not None and state.stood.started_at != state.row.started_at
            },
        )
        if self._last_pk is not None:
            self._connection.execute(_SQL["keep_last_pk"], ("calls", self._last_pk))

    def remove(self, project: int, pks: list[int]) -> None:
        """Delete calls with their payloads and take them out of the sums, at once; what is on them is the caller's."""
        gone = [((project, ""), _State(pk, self._read(pk), CallRow())) for pk in pks]
        self._write_rollups(gone)
        self._connection.executemany(_SQL["forget_words"], [(project, pk) for pk in pks])
        for statement in ("delete_payload", "delete_call"):
            self._connection.executemany(_SQL[statement], [(pk,) for pk in pks])
        self._connection.execute(_SQL["delete_empty_rollups"], (project,))

    def _searched(self, projects: set[int]) -> set[int]:
        """Which of the projects have a text index."""
        levels = {
            project: self._connection.execute(_SQL["search_level"], (project,)).fetchone()[0]
            for project in projects
        }
        return {project for project, level in levels.items() if level}

    def _write_rollups(self, written: list[tuple[tuple[int, str], _State]]) -> None:
        sums: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0] * 8)
        for (project, _), state in written:
            for row, sign in ((state.stood, -1), (state.row, 1)):
                if row is None or row.started_at is None:
                    continue
                op = row.op if row.op is not None else self._names.op(self._connection, project, "")
                entry = sums[project, op, row.started_at // _HOUR_US]
                status = row.status
                entry[0] += sign
                entry[1] += sign * (status == "error")
                entry[2] += sign * (status == "running")
                entry[3] += sign * (row.latency or 0)
                entry[4] += sign * row.stored_bytes
                squares = aggregating_sums.squares(row.latency or 0)
                for index, part in enumerate(squares, start=5):
                    entry[index] += sign * part
        self._connection.executemany(
            _SQL["add_to_rollup"], [(*key, *entry) for key, entry in sums.items() if any(entry)]
        )
        self._connection.executemany(
            _SQL["drop_empty_rollup"], [key for key, entry in sums.items() if entry[0] < 0]
        )

    def _next_pk(self) -> int:
        if self._last_pk is None:
            row = self._connection.execute(_SQL["last_pk"], ("calls",)).fetchone()
            self._last_pk = 0 if row is None else int(row[0])
        self._last_pk += 1
        return self._last_pk

    def _read(self, pk: int) -> CallRow:
        row = self._connection.execute(_SQL["read_call_row"], (pk,)).fetchone()
        return replace(CallRow(), **dict(zip(FIELDS, row, strict=True)))


class _Summary(msgspec.Struct):
    """What of a summary becomes columns; the rest is passed over."""

    usage: Any = None
    model: Any = None
    cost: Any = None


_read_summary = msgspec.json.Decoder(_Summary).decode


def _usage(summary: str | None) -> Usage:
    if summary is None or not ('"usage"' in summary or '"cost"' in summary or '"model"' in summary):
        return usage.NOTHING
    found = _read_summary(summary)
    return usage.of_summary(found.usage, found.model, found.cost)


def _columns(row: CallRow) -> tuple[None | int | float | str, ...]:
    latency, status, *used = derived(row)
    return (
        row.trace_id,
        row.parent_id,
        row.op,
        row.op_ref,
        row.kind,
        row.display_name,
        row.thread_id,
        row.author,
        row.started_at,
        row.ended_at,
        latency,
        status,
        row.input_preview,
        row.output_preview,
        row.error,
        *used,
    )


def derived(row: CallRow) -> tuple[None | int | float | str, ...]:
    """The columns that follow from others: latency, status, model, tokens in, out and in all, cost."""
    # From the summary as it stands after all parts, whichever brought it.
    used = _usage(row.summary)
    return (
        row.latency,
        row.status,
        used.model,
        used.input_tokens,
        used.output_tokens,
        used.tokens,
        used.cost,
    )


def _payload(row: CallRow) -> tuple[str | None, ...]:
    return row.inputs, row.output, row.attributes, row.summary, row.exception
