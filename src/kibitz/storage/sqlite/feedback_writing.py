"""Writing feedback: rows are only ever added, and the scores follow the newest row of each type on a call."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field

import msgspec

from kibitz.query.sql import BOOL, NUMBER, TEXT
from kibitz.storage import statements
from kibitz.storage.leaves import Score
from kibitz.storage.sqlite.call_writing import CallWriter
from kibitz.storage.sqlite.names import Path, WriterNames
from kibitz.storage.sqlite.preparing import PreparedFeedback

_SQL = statements.load("sqlite.sql")


@dataclass(slots=True)
class _Newest:
    """The newest feedback of a type on a call."""

    at: tuple[int, int]
    """(created_at, pk)"""
    scores: dict[Path, Score] | None
    """None where the newest row stood before this transaction and its scores stand."""
    replaces: bool
    """Whether scores of an older row stand and must go."""


@dataclass(slots=True)
class _Pending:
    project: int
    item: PreparedFeedback
    type: int
    call: int | None
    is_new_call: bool
    target: int | None


@dataclass(slots=True)
class FeedbackWriter:
    """Collects the feedback of one transaction; `flush` writes it after the calls."""

    connection: sqlite3.Connection
    names: WriterNames
    calls: CallWriter
    _pending: dict[tuple[int, str], _Pending] = field(
        default_factory=dict[tuple[int, str], _Pending]
    )
    _newest: dict[tuple[int, int], _Newest] = field(default_factory=dict[tuple[int, int], _Newest])

    def add(self, project: int, item: PreparedFeedback) -> None:
        """Take one feedback in. An id that is there already is taken for a second delivery."""
        key = (project, item.id)
        if key in self._pending:
            return
        call = target = None
        is_new = False
        if item.target.kind == "call":
            call, is_new = self.calls.pk(project, item.target.name)
        else:
            target = self.names.ref(self.connection, item.target_ref)
        type_pk = self.names.type(self.connection, project, item.type)
        self._pending[key] = _Pending(project, item, type_pk, call, is_new, target)

    def flush(self) -> None:
        """Write rows, scores and counts."""
        self._drop_delivered()
        if not self._pending:
            return
        pk = self._last_pk()
        rows: list[tuple[None | int | str, ...]] = []
        for pending in self._pending.values():
            pk += 1
            rows.append(self._row(pk, pending))
            self._follow(pk, pending)
        self.connection.executemany(_SQL["insert_feedback"], rows)
        self.connection.execute(_SQL["keep_last_pk"], ("feedback", pk))
        self._count_types()
        self._write_scores()

    def _drop_delivered(self) -> None:
        by_project: defaultdict[int, list[str]] = defaultdict(list)
        for project, feedback_id in self._pending:
            by_project[project].append(feedback_id)
        for project, feedback_ids in by_project.items():
            rows = self.connection.execute(
                _SQL["standing_feedback"],
                (msgspec.json.encode(feedback_ids).decode(), project),
            ).fetchall()
            for (feedback_id,) in rows:
                self._pending.pop((project, feedback_id), None)

    def _last_pk(self) -> int:
        row = self.connection.execute(_SQL["last_pk"], ("feedback",)).fetchone()
        return 0 if row is None else int(row[0])

    def _row(self, pk: int, pending: _Pending) -> tuple[None | int | str, ...]:
        item = pending.item
        ref = self.names.ref
        return (
            pk,
            pending.project,
            item.id,
            pending.type,
            pending.call,
            pending.target,
            item.author,
            item.author_kind,
            item.created_at,
            ref(self.connection, item.annotation_ref),
            ref(self.connection, item.runnable_ref),
            item.call_id,
            ref(self.connection, item.trigger_ref),
            item.payload,
        )

    def _follow(self, pk: int, pending: _Pending) -> None:
        """Keep track of which row is the newest on its call, and what its scores are."""
        if pending.call is None:
            return
        key = (pending.call, pending.type)
        newest = self._newest.get(key)
        if newest is None and not pending.is_new_call:
            row = self.connection.execute(_SQL["newest_feedback"], key).fetchone()
            if row is not None:
                newest = self._newest[key] = _Newest((row[0], row[1]), None, replaces=False)
        at = (pending.item.created_at, pk)
        if newest is None:
            self._newest[key] = _Newest(at, pending.item.scores, replaces=False)
        elif at > newest.at:
            replaces = newest.replaces or newest.scores is None
            self._newest[key] = _Newest(at, pending.item.scores, replaces)

    def _count_types(self) -> None:
        counts: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for pending in self._pending.values():
            counts[pending.type][0] += 1
            counts[pending.type][1] += not pending.item.complete
        self.connection.executemany(
            _SQL["count_feedback"],
            [(rows, unindexed, type_pk) for type_pk, (rows, unindexed) in counts.items()],
        )

    def _write_scores(self) -> None:
        counts: defaultdict[tuple[int, int], int] = defaultdict(int)
        rows: list[tuple[int, int, int, float, str]] = []
        for (call, type_pk), newest in self._newest.items():
            if newest.scores is None:
                continue
            if newest.replaces:
                self._remove_scores(call, type_pk, counts)
            for path, (kind, num, text) in newest.scores.items():
                series = self.names.one_series(self.connection, type_pk, path)
                rows.append((series, call, kind, num, text))
                counts[series, kind] += 1
        self.connection.executemany(_SQL["insert_score"], rows)
        self.connection.executemany(
            _SQL["count_scores"],
            [
                (n * (kind == BOOL), n * (kind == NUMBER), n * (kind == TEXT), series)
                for (series, kind), n in counts.items()
                if n
            ],
        )

    def _remove_scores(
        self, call: int, type_pk: int, counts: defaultdict[tuple[int, int], int]
    ) -> None:
        standing = self.connection.execute(_SQL["standing_scores"], (call, type_pk)).fetchall()
        for series, kind in standing:
            counts[series, kind] -= 1
            self.connection.execute(_SQL["delete_score"], (series, call))
