"""The score that a sort follows: its values in their order, and the rows of its index that hold them."""

from __future__ import annotations

import sqlite3
from typing import cast

from kibitz.query.nodes import Compare, FeedbackField, In, Node, SortKey
from kibitz.query.pieces import BOOL, NUMBER, TEXT, Param, Sql, joined
from kibitz.query.sql import Compiler
from kibitz.storage import statements
from kibitz.storage.sqlite.names import ReadCatalog

FEW_VALUES = 20
"""A score of so many different values is followed value by value, where a second key sorts the calls of each."""
Value = tuple[int, float, str]
"""(kind, num, text) of a score."""
_SQL = statements.load("sqlite.sql")


class Score:
    """One series of scores in the direction of a key, and what the conditions of a query say of it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        catalog: ReadCatalog,
        conjuncts: list[Node],
        series: int,
        key: SortKey,
    ) -> None:
        self.series = series
        self.field = cast("FeedbackField", key.field)
        self.descending = key.descending
        self._connection = connection
        self._catalog = catalog
        self._conditions = [
            node
            for node in conjuncts
            if isinstance(node, Compare | In) and node.field == self.field
        ]
        self.kinds = self._kinds()
        """The kinds of values that the field has: the means of booleans are numbers in the same series."""

    def count(self) -> int:
        """How many scores the series has."""
        return self._connection.execute(_SQL["score_count"], (self.series,)).fetchone()[0]

    def few_values(self) -> list[Value] | None:
        """The values that the conditions leave, in order; None where there are more than `FEW_VALUES`."""
        values: list[Value] = []
        value = self._next_value(None)
        while value is not None and len(values) <= FEW_VALUES:
            values.append(value)
            value = self._next_value(value)
        if len(values) > FEW_VALUES:
            return None
        return [value for value in values if self._leaves(value)]

    def rows(self, compiler: Compiler, *, is_continued: bool) -> Sql:
        """Which rows `x` of the scores hold the value of a call, as far as the conditions leave it.

        Args:
            is_continued: whether a position in the index follows: a range has one bound on each side.
        """
        passed: tuple[str, ...] = ()
        if is_continued:
            passed = ("lt", "lte") if self.descending else ("gt", "gte")
        tests = [
            compiler.feedback.value_test(node, self.field, alias="x")
            for node in self._conditions
            if not (isinstance(node, Compare) and node.operator in passed)
        ]
        its_series = Sql("x.series = ?", (self.series,))
        left = [test for test in tests if test is not None]
        return joined([its_series, self._of_its_kinds(compiler), *left], " AND ")

    def calls_of(self, value: Value) -> Sql:
        """The calls that have a value."""
        rows = Compiler(self._catalog).feedback.sorted_rows("x", self.field)
        return Sql(
            "SELECT x.call FROM scores x WHERE x.series = ? AND x.kind = ? AND x.num = ? AND x.text = ?"
            f" AND {rows}",
            (self.series, *value),
        )

    def _kinds(self) -> list[int]:
        if self.field.over != "latest":
            return [NUMBER]
        counts = self._connection.execute(_SQL["kinds_of_series"], (self.series,)).fetchone()
        return [kind for kind, n in zip((BOOL, NUMBER, TEXT), counts, strict=True) if n]

    def _of_its_kinds(self, compiler: Compiler) -> Sql:
        if not self.kinds:
            return Sql("0")
        rows = compiler.feedback.sorted_rows("x", self.field)
        if len(self.kinds) == 1:
            return Sql(f"{rows} AND x.kind = {self.kinds[0]}")
        return Sql(f"{rows} AND x.kind BETWEEN {min(self.kinds)} AND {max(self.kinds)}")

    def _next_value(self, value: Value | None) -> Value | None:
        """The value that follows one in the order, or the first."""
        rows = Compiler(self._catalog).feedback.sorted_rows("x", self.field)
        sign, way = ("<", "DESC") if self.descending else (">", "ASC")
        kinds = sorted(self.kinds, reverse=self.descending)
        # One column at a time: a comparison of all three reads every row of the kind.
        steps: list[tuple[str, tuple[Param, ...]]] = []
        if value is not None:
            kind, num, text = value
            steps.append((f"x.kind = ? AND x.num = ? AND x.text {sign} ?", (kind, num, text)))
            steps.append((f"x.kind = ? AND x.num {sign} ?", (kind, num)))
            kinds = kinds[kinds.index(kind) + 1 :]
        steps += [("x.kind = ?", (kind,)) for kind in kinds]
        for beyond, params in steps:
            row = self._connection.execute(
                f"SELECT x.kind, x.num, x.text FROM scores x WHERE x.series = ? AND {beyond} AND {rows}"
                f" ORDER BY x.num {way}, x.text {way} LIMIT 1",
                (self.series, *params),
            ).fetchone()
            if row is not None:
                return row
        return None

    def _leaves(self, value: Value) -> bool:
        """Whether the conditions leave a value."""
        if self.field.over != "latest":
            return True
        compiler = Compiler(self._catalog)
        for node in self._conditions:
            test = compiler.feedback.value_test(node, self.field)
            if test is None:
                continue
            row = self._connection.execute(
                f"SELECT {test.text} FROM (SELECT ? AS kind, ? AS num, ? AS text) s",
                (*test.params, *value),
            ).fetchone()
            if not row[0]:
                return False
        return True
