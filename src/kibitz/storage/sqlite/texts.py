"""What the text index says about the conditions of one question."""

from __future__ import annotations

import json
import math
import sqlite3

from kibitz.query.nodes import And, ColumnField, Compare, Contains, In, Matches, Node, Or
from kibitz.query.pieces import Sql
from kibitz.storage import statements
from kibitz.storage.sqlite import indexing, words

_SQL = statements.load("sqlite.sql")
_EVER = 1 << 62


class Texts:
    """The conditions on texts that the index can answer, and the sets of calls that it gives for them."""

    def __init__(
        self, connection: sqlite3.Connection, project: int, conjuncts: list[Node], *, bound: int
    ) -> None:
        """`bound` is how far calls are counted."""
        self._connection = connection
        self._project = project
        self._conjuncts = conjuncts
        self._bound = bound
        self._needs = self._find_needs()
        self.waiting = 0
        """Calls that wait for the index, counted up to the bound + 1."""
        if self._needs is not None:
            self.waiting = count_up_to(connection, self.waiting_set(), bound)

    @property
    def asks(self) -> bool:
        """Whether a condition may be about texts that the index knows."""
        return any(map(_reads_text, self._conjuncts))

    def __bool__(self) -> bool:
        return self._needs is not None

    @property
    def is_ready(self) -> bool:
        """Whether the index answers and few calls wait for it."""
        return self._needs is not None and self.waiting <= self._bound

    def every(self) -> Sql:
        """The calls that the index has, with those that wait for it."""
        found, waiting = self._indexed(), self.waiting_set()
        return Sql(f"{found.text} UNION ALL {waiting.text}", (*found.params, *waiting.params))

    def within(self, window: indexing.Window) -> Sql:
        """The calls that the index has among some pks."""
        return self._indexed(" AND w.rowid BETWEEN ? AND ?", (window.first, window.last))

    def waiting_set(self) -> Sql:
        """The calls that wait for the index."""
        return Sql("SELECT u.call FROM unworded u WHERE u.project = ?", (self._project,))

    def windows(self, after: int | None, *, descending: bool) -> list[indexing.Window]:
        """Stretches of the time that is asked for, from the position of a cursor on."""
        since, until = self._time_bounds()
        if after is not None:
            since, until = (since, min(until, after)) if descending else (max(since, after), until)
        return indexing.windows(
            self._connection, self._project, since=since, until=until, descending=descending
        )

    def size(self) -> int:
        """How many calls the index has in the time that is asked for, counted up to the bound + 1."""
        windows = self.windows(None, descending=True)
        if not windows:
            return 0
        whole = indexing.Window(
            windows[-1].since,
            windows[0].until,
            min(each.first for each in windows),
            max(each.last for each in windows),
        )
        return count_up_to(self._connection, self.within(whole), self._bound)

    def _indexed(self, within: str = "", bounds: tuple[int, ...] = ()) -> Sql:
        needs = self._needs or []
        if len(needs) == 1:
            return Sql(
                f"SELECT w.rowid AS call FROM words w WHERE words MATCH ?{within}",
                (needs[0], *bounds),
            )
        # One search for each: an OR of many takes FTS5 time in proportion to their square.
        return Sql(
            "SELECT w.rowid AS call FROM json_each(?) t"
            f" CROSS JOIN words w ON words MATCH t.value{within}",
            (json.dumps(needs), *bounds),
        )

    def _find_needs(self) -> list[str] | None:
        if not self.asks:
            return None
        level = self._connection.execute(_SQL["search_level"], (self._project,)).fetchone()[0]
        if level == words.OFF:
            return None

        def lookup(part: words.Part, most: int) -> list[str] | None:
            return indexing.words_with(self._connection, self._project, part, most)

        return words.needs(And(tuple(self._conjuncts)), level, lookup)

    def _time_bounds(self) -> tuple[int, int]:
        """The time that the conditions leave, both ends within; wider where they say it with fractions."""
        since, until = -_EVER, _EVER
        for node in self._conjuncts:
            match node:
                case Compare(ColumnField("started_at"), operator, int() | float() as value):
                    if isinstance(value, bool) or not -_EVER < value < _EVER:
                        continue
                    if operator in ("eq", "gt", "gte"):
                        since = max(since, math.floor(value))
                    if operator in ("eq", "lt", "lte"):
                        until = min(until, math.ceil(value))
                case _:
                    pass
        return since, until


def count_up_to(connection: sqlite3.Connection, candidate: Sql, bound: int) -> int:
    """How many rows a set has, counted up to `bound` + 1."""
    return connection.execute(
        f"SELECT count(*) FROM ({candidate.text} LIMIT ?)", (*candidate.params, bound + 1)
    ).fetchone()[0]


def _reads_text(node: Node) -> bool:
    """Whether a condition may be about texts that the index knows."""
    match node:
        case And(nodes) | Or(nodes):
            return any(map(_reads_text, nodes))
        case Compare(field, "eq", _) | In(field, _) | Contains(field, _, _) | Matches(field, _, _):
            return words.is_indexed(field)
        case _:
            return False
