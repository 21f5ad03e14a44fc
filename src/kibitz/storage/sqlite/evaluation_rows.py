"""Rows of evaluations as a transaction changes them, and the sums over them that every change keeps."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from kibitz.base import ids
from kibitz.storage import statements
from kibitz.storage.sqlite.evaluation_parts import WANTED, PreparedEvaluation

_SQL = statements.load("evaluations.sql")
DAY_US = 86_400_000_000
FRESH, BEHIND = 0, 1
"""Priorities."""


@dataclass(slots=True)
class Row:
    """One evaluation. The fields are in the order in which statements give them."""

    pk: int
    """0 where it is new."""
    project: int
    definition: int
    call: int
    rule: int | None
    state: int
    priority: int
    due_at: int | None
    attempts: int
    run: str | None
    worker: str | None
    wanted_at: int
    started_at: int | None
    ended_at: int | None
    output: str | None
    reason: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    spent: int
    unpriced: int
    asked_id: str = ""
    """What a new one is to be called; nothing else has this id in the project."""

    def end(self, item: PreparedEvaluation) -> None:
        """A run of it has ended so."""
        self.state = item.state
        self.due_at = None
        self.run = item.id
        self.started_at = item.started_at if item.started_at is not None else self.started_at
        self.ended_at = item.ended_at
        self.output = item.output
        self.reason = item.reason
        self.attempts = max(1, self.attempts)
        self.requests += item.spent.requests
        self.input_tokens += item.spent.input_tokens
        self.output_tokens += item.spent.output_tokens
        self.spent += item.nanos
        self.unpriced += item.spent.unpriced

    def want(self, now: int, priority: int) -> None:
        """It is wanted anew, as if it had never been begun; what it cost so far stays."""
        self.state = WANTED
        self.priority = priority
        self.due_at = self.wanted_at = now
        self.attempts = 0
        self.output = self.reason = self.worker = None


def new_row(
    project: int, definition: int, call: int, rule: int | None, now: int, priority: int
) -> Row:
    """An evaluation that nobody has wanted before; due when its call has ended."""
    return Row(
        0,
        project,
        definition,
        call,
        rule,
        WANTED,
        priority,
        None,
        0,
        None,
        None,
        now,
        None,
        None,
        None,
        None,
        0,
        0,
        0,
        0,
        0,
    )


@dataclass(slots=True)
class Sums:
    """What changes in the sums of one transaction; `flush` writes it."""

    connection: sqlite3.Connection
    now: int
    """Money is spent on the day of this."""
    _changes: dict[tuple[int, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * 6)
    )
    _last: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    _days: dict[tuple[int, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * 3)
    )

    def move(
        self,
        row: Row,
        before: int | None,
        after: int | None,
        *,
        spent: int = 0,
        at: int | None = None,
    ) -> None:
        """An evaluation goes from one state to another; None is not to be there.

        Args:
            row: the evaluation.
            before: its state so far.
            after: its state from now on.
            spent: billionths of a USD that came to it.
            at: when a run of it ended, of which this is what became or what was spent.
        """
        key = (row.project, row.definition)
        change = self._changes[key]
        if before is not None:
            change[before] -= 1
        if after is not None:
            change[after] += 1
        change[5] += spent
        if at is not None:
            self._last[key] = max(at, self._last.get(key, at))
            if spent and row.rule is not None:
                self.of_rule(row.rule, spent=spent)

    def of_rule(self, rule: int, *, wanted: int = 0, left_out: int = 0, spent: int = 0) -> None:
        """A rule has wanted, left out or spent on this day."""
        entry = self._days[rule, self.now // DAY_US]
        entry[0] += wanted
        entry[1] += left_out
        entry[2] += spent

    def flush(self) -> None:
        self.connection.executemany(
            _SQL["change_evaluation_sums"],
            [
                (*key, *change, self._last.get(key))
                for key, change in self._changes.items()
                if any(change) or key in self._last
            ],
        )
        self.connection.executemany(
            _SQL["change_rule_day"],
            [(*key, *entry) for key, entry in self._days.items() if any(entry)],
        )
        self._changes.clear()
        self._last.clear()
        self._days.clear()


def read(
    connection: sqlite3.Connection, statement: str, wanted: Iterable[int | str], *params: int
) -> list[Row]:
    """The evaluations that one of the statements `evaluations_…` finds for a list."""
    rows = connection.execute(_SQL[statement], (json_list(wanted), *params))
    return [Row(*row) for row in rows]


def insert(connection: sqlite3.Connection, rows: list[Row]) -> None:
    """Write new rows; each gets its pk."""
    for row in rows:
        cursor = connection.execute(
            _SQL["insert_evaluation"],
            (
                row.project,
                row.asked_id or ids.new_id(),
                row.definition,
                row.call,
                row.rule,
                row.state,
                row.priority,
                row.due_at,
                row.attempts,
                row.run,
                row.worker,
                row.wanted_at,
                row.started_at,
                row.ended_at,
                row.output,
                row.reason,
                row.requests,
                row.input_tokens,
                row.output_tokens,
                row.spent,
                row.unpriced,
            ),
        )
        row.pk = cursor.lastrowid or 0


def update(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Write rows that were there."""
    connection.executemany(
        _SQL["update_evaluation"],
        [
            (
                row.state,
                row.priority,
                row.due_at,
                row.attempts,
                row.run,
                row.worker,
                row.wanted_at,
                row.started_at,
                row.ended_at,
                row.output,
                row.reason,
                row.requests,
                row.input_tokens,
                row.output_tokens,
                row.spent,
                row.unpriced,
                row.pk,
            )
            for row in rows
        ],
    )


def write_details(
    connection: sqlite3.Connection, told: Iterable[tuple[Row, PreparedEvaluation]]
) -> None:
    """Write what is kept apart of these evaluations, whose pks are known, in the place of what was there."""
    kept: list[tuple[int, str | None, str | None]] = []
    bare: list[tuple[int]] = []
    for row, item in told:
        if item.error is not None or item.invocations is not None:
            kept.append((row.pk, item.error, item.invocations))
        else:
            bare.append((row.pk,))
    connection.executemany(_SQL["delete_details"], bare)
    connection.executemany(_SQL["insert_details"], kept)


def json_list(values: Iterable[int | str]) -> str:
    """A list as a parameter for `json_each`."""
    return msgspec.json.encode(list(values)).decode()
