"""Everything derived, made anew from the facts: columns, what stands, scores, counts, sums, the text index.

The facts are the calls with their payloads, the feedback and the names. Programs and a server may go on writing:
the work is done in many short transactions, each of which leaves what it has touched right, as a write does. What
counts over everything is counted in one.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from kibitz.query.pieces import Param
from kibitz.storage import leaves, standing, statements
from kibitz.storage.sqlite import aggregating_sums, call_writing, indexing
from kibitz.storage.sqlite.ingest import SqliteIngest
from kibitz.storage.sqlite.merging import CallRow
from kibitz.storage.sqlite.names import WriterNames, project_pk

T = TypeVar("T")
CALLS_PER_STEP = 2_000
"""So many hold the write lock for some 100 ms."""
_SQL = statements.load("sqlite.sql")
_EVALUATIONS_SQL = statements.load("evaluations.sql")
_HOUR_US = 3_600_000_000
_EVER = 1 << 62
_FIRST_HOUR, _LAST_HOUR = -(1 << 40), 1 << 40

Progress = Callable[[str, int, int], object]
"""Is told what is being done, how much of it is done, and how much there is."""


def rebuild(ingest: SqliteIngest, project: str | None = None, *, progress: Progress) -> None:
    """Make everything derived anew, of one project or of the whole store.

    Sums over scores are kept across projects and always made anew as a whole. The text index of one project is
    filled again; what it does not need any more is given up when the whole store is done.

    Raises:
        NotFound: there is no such project.
        Unavailable: other processes hold the store; what was done so far stays, do it again.
    """
    Rebuild(ingest, project, progress).run()


class Rebuild:
    """One run."""

    def __init__(self, ingest: SqliteIngest, project: str | None, progress: Progress) -> None:
        self._ingest = ingest
        self._progress = progress
        self._project: int | None = None
        if project is not None:
            self._project = ingest.change(lambda connection: project_pk(connection, project))
        self._last = self._ask(_SQL["last_call"])[0][0]

    def run(self) -> None:
        """All steps in their order: sums come from the columns, counts from the scores."""
        self._calls()
        self._elsewhere()
        self._counts()
        self._rollups()
        self._texts()

    def _ask(self, statement: str, *params: Param) -> list[Any]:
        return self._ingest.change(
            lambda connection: connection.execute(statement, params).fetchall()
        )

    def _calls(self) -> None:
        """Columns that follow from others; what stands of the feedback on calls, and its scores."""
        for after in range(0, self._last, CALLS_PER_STEP):
            until = min(self._last, after + CALLS_PER_STEP)
            self._ingest.change(lambda connection: self._some_calls(connection, after, until))  # noqa: B023 run at once
            self._progress("calls and scores", until, self._last)

    def _some_calls(self, connection: sqlite3.Connection, after: int, until: int) -> None:
        changed: list[tuple[Any, ...]] = []
        rows = connection.execute(_SQL["calls_between"], (after, until, self._project))
        for pk, started_at, ended_at, exception, summary, *columns in rows:
            row = CallRow(
                started_at=started_at, ended_at=ended_at, exception=exception, summary=summary
            )
            derived = call_writing.derived(row)
            if derived != tuple(columns):
                changed.append((*derived, pk))
        connection.executemany(_SQL["set_derived"], changed)
        for (series,) in connection.execute(_SQL["all_series"], (self._project,)).fetchall():
            connection.execute(_SQL["delete_scores_between"], (series, after, until))
        judged = connection.execute(_SQL["judgements_between"], (after, until, self._project))
        names = WriterNames()
        scores: list[tuple[Any, ...]] = []
        for call, type_pk, found in _let_stand(connection, judged):
            for path, *score in standing.scores(found):
                series = names.one_series(connection, type_pk, path)
                source, *rest = score
                scores.append((series, call, source, *rest))
        connection.executemany(_SQL["insert_score"], scores)

    def _elsewhere(self) -> None:
        """What stands of the feedback on anything else."""

        def work(connection: sqlite3.Connection) -> None:
            judged = connection.execute(_SQL["judgements_elsewhere"], (self._project,))
            for _ in _let_stand(connection, judged):
                pass

        self._ingest.change(work)

    def _counts(self) -> None:
        """How many scores each series has, how much feedback each type, how far each definition is; sums of scores by day."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_SQL["recount_series"])
            connection.execute(_SQL["recount_feedback"])
            for statement in ("clear_sums", "recount_sums"):
                connection.execute(_EVALUATIONS_SQL[statement], (self._project,))
            connection.execute(_EVALUATIONS_SQL["drop_empty_sums"])
            large: defaultdict[int, int] = defaultdict(int)
            for type_pk, payload in connection.execute(_SQL["large_payloads"]):
                large[type_pk] += not leaves.scores(msgspec.json.decode(payload))[1]
            connection.executemany(
                _SQL["count_feedback"], [(0, count, type_pk) for type_pk, count in large.items()]
            )

        series = [row[0] for row in self._ask(_SQL["all_series"], None)]
        self._progress("counts", 0, len(series) + 1)
        self._ingest.change(work)
        for done, pk in enumerate(series, start=1):
            self._ingest.change(lambda connection: aggregating_sums.rebuild(connection, pk))  # noqa: B023 run at once
            self._progress("counts", done, len(series) + 1)
        self._progress("counts", len(series) + 1, len(series) + 1)

    def _rollups(self) -> None:
        """Sums of calls by op and hour."""
        projects = [row[0] for row in self._ask("SELECT pk FROM projects")]
        if self._project is not None:
            projects = [self._project]
        slices = [
            (project, first, last)
            for project in projects
            for first, last in _slices(self._ask(_SQL["hours_of_calls"], project))
        ]
        for done, (project, first, last) in enumerate(slices, start=1):

            def work(connection: sqlite3.Connection, of: tuple[int, int, int]) -> None:
                project, first, last = of
                no_op = WriterNames().op(connection, project, "")
                connection.execute(_SQL["delete_rollups_between"], of)
                begin, end = max(first * _HOUR_US, -_EVER), min((last + 1) * _HOUR_US, _EVER)
                connection.execute(_SQL["rollups_between"], (project, no_op, begin, end))

            of = (project, first, last)
            self._ingest.change(lambda connection: work(connection, of))  # noqa: B023 run at once
            self._progress("sums by hour", done, len(slices))

    def _texts(self) -> None:
        """The text index, from nothing."""
        project = self._project

        def begin(connection: sqlite3.Connection) -> int:
            if project is None:
                indexing.clear(connection)
            else:
                indexing.again(connection, project)
            statement = "SELECT count(*) FROM unworded WHERE ?1 IS NULL OR project = ?1"
            return connection.execute(statement, (project,)).fetchone()[0]

        total = self._ingest.change(begin)
        done = 0
        while some := self._ingest.change(
            lambda connection: indexing.index_some(connection, CALLS_PER_STEP, project)
        ):
            done += some
            self._progress("texts", min(done, total), total)


def _let_stand(
    connection: sqlite3.Connection, rows: Iterable[Any]
) -> Iterator[tuple[int, int, list[standing.Judged]]]:
    """Bring `stands` of feedback to what it must be; gives (target, type, what stands of it)."""
    changed: list[tuple[int, int]] = []
    for (target, type_pk, type_name), group in groupby(rows, key=lambda row: row[:3]):
        its = [row[3:] for row in group]
        now = standing.stand(
            type_name,
            [
                standing.Row(pk, id_, author, created_at, retracts)
                for pk, id_, author, created_at, retracts, *_ in its
            ],
        )
        changed += [(now[row[0]], row[0]) for row in its if now[row[0]] != row[5]]
        payloads = {row[0]: row[6] for row in its}
        yield (
            target,
            type_pk,
            [
                standing.Judged(pk, how, leaves.scores(msgspec.json.decode(payloads[pk]))[0])
                for pk, how in now.items()
                if how != standing.GONE
            ],
        )
    connection.executemany(_SQL["let_stand"], changed)


def _slices(hours: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Hours in stretches of some thousands of calls, which together are all time."""
    found: list[tuple[int, int]] = []
    first, calls = _FIRST_HOUR, 0
    for hour, count in hours:
        calls += count
        if calls >= 10 * CALLS_PER_STEP:
            found.append((first, hour))
            first, calls = hour + 1, 0
    return [*found, (first, _LAST_HOUR)]
