"""How a query over calls is run: which table leads, and what is checked on its rows.

SQLite picks among the indexes of `calls` well by itself. What it cannot know is how many rows a condition
on feedback or on words will leave. So these are counted first, up to a bound, which takes well under a
millisecond, and the smallest leads:

    1. id, trace or parent named            → calls, by its index
    2. a score or text condition that few   → those calls, checked and sorted in memory
       calls satisfy
    3. sorted by a score                    → the score's index in its order, each call checked, until the
                                              page is full; then the calls that have no such score
    4. a text condition, sorted by time     → what the text index has, in stretches of time that grow, each call
                                              checked, until the page is full; calls that wait for the
                                              index beside them
    5. anything else                        → calls, newest first or sorted
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from kibitz.base.errors import QueryError
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    FeedbackField,
    In,
    Node,
    Or,
    SortKey,
    base,
)
from kibitz.query.pieces import Param, Sql, joined, missing_kind
from kibitz.query.sql import Compiler
from kibitz.storage import statements
from kibitz.storage.sqlite import indexing, words
from kibitz.storage.sqlite.names import ReadCatalog

FEW = 5_000
"""So many calls are checked and sorted in some 10 ms."""
_ALWAYS_FEW = 300
"""So many are sorted in well under a millisecond."""
_SQL = statements.load("sqlite.sql")
_VISIBLE = "c.started_at IS NOT NULL"
_TIME = ColumnField("started_at")
_NEWEST_FIRST = (SortKey(_TIME, descending=True),)
_SELECTIVE = frozenset({"id", "trace_id", "parent_id"})
_NARROWING = frozenset({"started_at", "op", "status", "thread_id"})
_EVER = 1 << 62


def _waiting_of(project: int) -> Sql:
    return Sql("SELECT u.call FROM unworded u WHERE u.project = ?", (project,))


@dataclass(frozen=True, slots=True)
class Hit:
    """One call of a page, by its pk, and where it stands in the order."""

    pk: int
    position: tuple[Param, ...]


@dataclass(frozen=True, slots=True)
class _Term:
    sql: Sql
    descending: bool


@dataclass(frozen=True, slots=True)
class _Lead:
    """The tables that lead, up to and with `calls c`.

    Where another leads, calls are looked up by their pk: without NOT INDEXED SQLite may scan an index by time for each.
    """

    text: str
    params: tuple[Param, ...] = ()


_CALLS = _Lead("FROM calls c")


def page(
    connection: sqlite3.Connection, project: int, query: CallQuery
) -> tuple[list[Hit], str | None]:
    """The hits of a page in order, and the cursor of the next."""
    planner = _Planner(connection, project, query.where)
    sort = planner.deciding(query.sort or _NEWEST_FIRST)
    planner.choose(by_time=sort[0].field == _TIME)
    signature = _signature(query.where, sort)
    after = _read_cursor(query.cursor, signature)
    wanted = query.limit + 1
    series = planner.leading_series(sort[0], wanted)
    if series is None:
        hits = planner.sorted_hits(sort, after, wanted)
    else:
        is_past_scored = after is not None and after[0] == missing_kind(sort[0])
        hits = [] if is_past_scored else planner.scored_hits(series, sort, after, wanted)
        if len(hits) < wanted:
            after = after if is_past_scored else None
            hits += planner.unscored_hits(series, sort, after, wanted - len(hits))
    cursor = None
    if len(hits) > query.limit:
        cursor = _write_cursor(signature, hits[query.limit - 1])
    return hits[: query.limit], cursor


def count(connection: sqlite3.Connection, project: int, where: Node | None, bound: int) -> int:
    """How many calls match, counted up to `bound` + 1."""
    planner = _Planner(connection, project, where)
    planner.choose(counting=True)
    lead, condition, compiler = planner.start()
    statement = Sql(
        f"SELECT count(*) FROM (SELECT 1 {lead.text}{_payload_join(compiler)}"
        f" WHERE {condition.text} LIMIT ?)",
        (*lead.params, *condition.params, bound + 1),
    )
    return connection.execute(statement.text, statement.params).fetchone()[0]


def matching(
    connection: sqlite3.Connection,
    project: int,
    where: Node | None,
    *,
    after: int = 0,
    until: int | None = None,
    limit: int = -1,
) -> list[int]:
    """The pks of the calls that match, in the order in which they arrived.

    Args:
        after: only those that arrived after this one.
        until: only up to this one.
        limit: how many at most; all where it is negative.
    """
    lead, condition, compiler = _Planner(connection, project, where).start()
    bounds = Sql("c.pk > ? AND c.pk <= ?", (after, (1 << 62) if until is None else until))
    condition = joined([condition, bounds], " AND ")
    statement = Sql(
        f"SELECT c.pk {lead.text}{_payload_join(compiler)} WHERE {condition.text} ORDER BY c.pk LIMIT ?",
        (*lead.params, *condition.params, limit),
    )
    return [row[0] for row in connection.execute(statement.text, statement.params)]


def leading(
    connection: sqlite3.Connection, project: int, where: Node | None
) -> tuple[Sql, Sql, Compiler]:
    """What reads the calls that match: the tables up to `calls c`, the condition, and the compiler that made it."""
    lead, condition, compiler = _Planner(connection, project, where).start()
    return Sql(lead.text, lead.params), condition, compiler


class _Planner:
    def __init__(self, connection: sqlite3.Connection, project: int, where: Node | None) -> None:
        self._connection = connection
        self._project = project
        self._where = where
        self._conjuncts = _conjuncts(where)
        self._catalog = ReadCatalog(connection, project)
        self._text = self._text_needs()
        self._waiting = 0 if self._text is None else self._count_waiting()
        self._few_size = 0
        self._few: Sql | None = None

    def choose(self, *, by_time: bool = False, counting: bool = False) -> None:
        """Look for few calls that may lead.

        A text condition is no such set where its hits are looked for by time; to count, it leads however many it leaves.
        """
        self._few = self._few_calls(with_text=not by_time)
        if counting and self._few is None and self._waiting <= FEW and not self._is_selective():
            text = self._text_set()
            if text is not None:
                self._few = Sql(f"SELECT DISTINCT call AS pk FROM ({text.text})", text.params)

    def deciding(self, sort: tuple[SortKey, ...]) -> tuple[SortKey, ...]:
        """The keys without those that a condition makes the same for all; the last stays, since ties go its way.

        Not those on feedback: a list equals each of its elements and has no place in an order.
        """
        fixed = {
            node.field
            for node in self._conjuncts
            if isinstance(node, Compare)
            and node.operator == "eq"
            and not isinstance(base(node.field), FeedbackField)
        }
        return (*(key for key in sort[:-1] if key.field not in fixed), sort[-1])

    def leading_series(self, first: SortKey, wanted: int) -> int | None:
        """The series whose index gives the order, where it pays to follow it; -1 where nothing is scored."""
        if not isinstance(first.field, FeedbackField):
            return None
        if self._is_selective():
            return None
        series = Compiler(self._catalog).feedback.leading_series(first.field)
        if series is None or self._is_narrow():
            return None
        if self._few is None:
            return series
        if not self._pays(wanted, "score_count", series):
            return None
        self._few = None
        return series

    def start(self, *, call: str = "c.pk") -> tuple[_Lead, Sql, Compiler]:
        """The leading tables, the condition and the compiler that made it."""
        compiler = Compiler(self._catalog, call=call)
        conditions = [Sql("c.project = ?", (self._project,)), Sql(_VISIBLE)]
        if self._where is not None:
            conditions.append(compiler.condition(self._where, top=True))
        lead = _CALLS
        if self._few is not None:
            lead = _Lead(
                f"FROM ({self._few.text}) h CROSS JOIN calls c NOT INDEXED ON c.pk = h.pk",
                self._few.params,
            )
        return lead, joined(conditions, " AND "), compiler

    def sorted_hits(
        self, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        is_by_time = sort[0].field == _TIME
        if (
            is_by_time
            and self._few is not None
            and self._pays(wanted, "count_calls", self._project)
        ):
            self._few = None
        if is_by_time and self._few is None and self._text is not None and not self._is_selective():
            return self._text_hits(sort, after, wanted)
        lead, condition, compiler = self.start()
        return self._run(lead, condition, compiler, _terms(compiler, sort), after, wanted)

    def _text_hits(
        self, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that the text index has, stretch by stretch, and those that wait for it."""
        narrowed_to = self._narrowed_to()
        if narrowed_to <= FEW and narrowed_to < self._count_text():
            lead, condition, compiler = self.start()
            return self._run(lead, condition, compiler, _terms(compiler, sort), after, wanted)
        descending = sort[0].descending
        since, until = self._time_bounds()
        if after is not None and isinstance(after[0], int):
            since, until = (
                (since, min(until, after[0])) if descending else (max(since, after[0]), until)
            )
        found: dict[int, Hit] = {}
        if self._waiting:
            for hit in self._waiting_hits(sort, after, wanted):
                found[hit.pk] = hit
        indexed: list[Hit] = []
        for window in indexing.windows(
            self._connection, self._project, since=since, until=until, descending=descending
        ):
            text = self._text_set(window)
            assert text is not None
            lead, condition, compiler = self.start()
            lead = _Lead(
                f"FROM (SELECT DISTINCT call AS pk FROM ({text.text})) h CROSS JOIN calls c NOT INDEXED ON c.pk = h.pk",
                text.params,
            )
            within = Sql("+c.started_at BETWEEN ? AND ?", (window.since, window.until))
            condition = joined([within, condition], " AND ")
            terms = _terms(compiler, sort)
            indexed += self._run(lead, condition, compiler, terms, after, wanted - len(indexed))
            if len(indexed) >= wanted:
                break
        if not found:
            return indexed
        found.update((hit.pk, hit) for hit in indexed)
        directions = [term.descending for term in _terms(Compiler(self._catalog), sort)]
        return _in_order(found.values(), directions)[:wanted]

    def _waiting_hits(
        self, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that wait for the text index, each looked at."""
        lead, condition, compiler = self.start()
        waiting = _waiting_of(self._project)
        if self._waiting <= FEW:
            lead = _Lead(
                f"FROM ({waiting.text}) h CROSS JOIN calls c NOT INDEXED ON c.pk = h.call",
                waiting.params,
            )
        else:
            condition = joined(
                [Sql(f"c.pk IN ({waiting.text})", waiting.params), condition], " AND "
            )
        return self._run(lead, condition, compiler, _terms(compiler, sort), after, wanted)

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

    def _pays(self, wanted: int, counting: str, of: int) -> bool:
        """Whether to follow an index in its order and check each row, rather than take the few rows and sort them.

        One row in `all / few` is among the few, so that a page is full after `wanted` times as many.
        """
        if self._few_size <= _ALWAYS_FEW:
            return False
        every = self._connection.execute(_SQL[counting], (of,)).fetchone()[0]
        return wanted * every < self._few_size**2

    def scored_hits(
        self, series: int, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that have the score, in the order of its index."""
        first, rest = sort[0], sort[1:]
        if series < 0 or not isinstance(first.field, FeedbackField):
            return []
        # By the score's own column, so that conditions on feedback come before the call is read.
        _, condition, compiler = self.start(call="x.call")
        is_its = Sql(compiler.feedback.sorted_rows("x", first.field))
        lead = _Lead("FROM scores x CROSS JOIN calls c NOT INDEXED ON c.pk = x.call")
        condition = joined([Sql("x.series = ?", (series,)), is_its, condition], " AND ")
        terms = [
            _Term(Sql(column), first.descending) for column in ("x.kind", "x.num", "x.text")
        ] + _terms(compiler, rest, tie="x.call", descending=sort[-1].descending)
        return self._run(lead, condition, compiler, terms, after, wanted)

    def unscored_hits(
        self, series: int, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that do not have it, by the other keys."""
        lead, condition, compiler = self.start()
        first = sort[0].field
        if series >= 0 and isinstance(first, FeedbackField):
            absent = Sql(
                "NOT EXISTS (SELECT 1 FROM scores x WHERE x.series = ? AND x.call = c.pk"
                f" AND {compiler.feedback.sorted_rows('x', first)})",
                (series,),
            )
            condition = joined([condition, absent], " AND ")
        terms = _terms(compiler, sort[1:], descending=sort[-1].descending)
        # A position is the same whichever way a page was found, so that the way may change between pages.
        head = (missing_kind(sort[0]), 0.0, "")
        rest = None if after is None else after[len(head) :]
        found = self._run(lead, condition, compiler, terms, rest, wanted)
        return [Hit(pk=hit.pk, position=(*head, *hit.position)) for hit in found]

    def _run(
        self,
        lead: _Lead,
        condition: Sql,
        compiler: Compiler,
        terms: list[_Term],
        after: list[Param] | None,
        wanted: int,
    ) -> list[Hit]:
        if after is not None:
            condition = joined([condition, _beyond(terms, after)], " AND ")
        columns = [term.sql for term in terms]
        order = ", ".join(
            f"{index + 1} {'DESC' if term.descending else 'ASC'}"
            for index, term in enumerate(terms)
        )
        joins = Sql(
            "".join(f" {join.text}" for join in compiler.joins),
            tuple(param for join in compiler.joins for param in join.params),
        )
        text = (
            f"SELECT {', '.join(column.text for column in columns)} {lead.text}"
            f"{_payload_join(compiler)}{joins.text} WHERE {condition.text} ORDER BY {order} LIMIT ?"
        )
        params = (
            *(param for column in columns for param in column.params),
            *lead.params,
            *joins.params,
            *condition.params,
            wanted,
        )
        rows = self._connection.execute(text, params)
        return [Hit(pk=row[-1], position=tuple(row)) for row in rows]

    def _few_calls(self, *, with_text: bool) -> Sql | None:
        """The smallest set of calls, below the bound, that a score or text condition leaves."""
        if self._is_selective():
            return None
        candidates: list[Sql] = []
        compiler = Compiler(self._catalog)
        for node in self._conjuncts:
            found = compiler.score_set(node)
            if found is not None:
                candidates.append(found)
        text = self._text_set() if with_text else None
        if text is not None and self._waiting <= FEW:
            candidates.append(text)
        best: tuple[int, Sql] | None = None
        for candidate in candidates:
            bound = FEW if best is None else best[0]
            size = self._count(candidate, bound)
            if size <= bound:
                best = (size, candidate)
        if best is None:
            return None
        self._few_size = best[0]
        return Sql(f"SELECT DISTINCT call AS pk FROM ({best[1].text})", best[1].params)

    def _count(self, candidate: Sql, bound: int) -> int:
        """How many rows a set has, counted up to `bound` + 1."""
        return self._connection.execute(
            f"SELECT count(*) FROM ({candidate.text} LIMIT ?)", (*candidate.params, bound + 1)
        ).fetchone()[0]

    def _text_needs(self) -> list[str] | None:
        """What the text index must have of a call that matches; None where it cannot tell."""
        if not any(_reads_text(node) for node in self._conjuncts):
            return None
        level = self._connection.execute(_SQL["search_level"], (self._project,)).fetchone()[0]
        if level == words.OFF:
            return None

        def lookup(part: words.Part) -> list[str] | None:
            return indexing.words_with(self._connection, self._project, part)

        return words.needs(And(tuple(self._conjuncts)), level, lookup)

    def _count_waiting(self) -> int:
        """How many calls wait for the text index, counted up to `FEW` + 1."""
        return self._count(_waiting_of(self._project), FEW)

    def _text_set(self, window: indexing.Window | None = None) -> Sql | None:
        """The calls that the text index has for the condition, with those that wait for it where no window is given."""
        if self._text is None:
            return None
        within, bounds = "", ()
        if window is not None:
            within, bounds = " AND w.rowid BETWEEN ? AND ?", (window.first, window.last)
        if len(self._text) == 1:
            found = Sql(
                f"SELECT w.rowid AS call FROM words w WHERE words MATCH ?{within}",
                (self._text[0], *bounds),
            )
        else:
            # One search for each: an OR of many takes FTS5 time in proportion to their square.
            found = Sql(
                f"SELECT w.rowid AS call FROM json_each(?) t CROSS JOIN words w ON words MATCH t.value{within}",
                (json.dumps(self._text), *bounds),
            )
        if window is not None:
            return found
        waiting = _waiting_of(self._project)
        return Sql(f"{found.text} UNION ALL {waiting.text}", (*found.params, *waiting.params))

    def _is_selective(self) -> bool:
        return any(_column(node) in _SELECTIVE for node in self._conjuncts)

    def _is_narrow(self) -> bool:
        """Whether time, op, status and thread leave few enough calls to sort them."""
        return self._narrowed_to() <= FEW

    def _narrowed_to(self) -> int:
        """How many calls time, op, status and thread leave, counted up to `FEW` + 1."""
        nodes = tuple(node for node in self._conjuncts if _column(node, any_=True) in _NARROWING)
        if not nodes:
            return FEW + 1
        condition = Compiler(self._catalog).condition(And(nodes), top=True)
        return self._count(
            Sql(
                f"SELECT 1 FROM calls c WHERE c.project = ? AND {_VISIBLE} AND {condition.text}",
                (self._project, *condition.params),
            ),
            FEW,
        )

    def _count_text(self) -> int:
        """How many calls the text index has in the time that is asked for, counted up to `FEW` + 1."""
        since, until = self._time_bounds()
        windows = indexing.windows(self._connection, self._project, since=since, until=until)
        if not windows:
            return 0
        first, last = min(each.first for each in windows), max(each.last for each in windows)
        text = self._text_set(indexing.Window(since, until, first, last))
        return 0 if text is None else self._count(text, FEW)


def _conjuncts(where: Node | None) -> list[Node]:
    if where is None:
        return []
    if isinstance(where, And):
        return [each for node in where.nodes for each in _conjuncts(node)]
    return [where]


def _reads_text(node: Node) -> bool:
    """Whether a condition may be about texts that the index knows."""
    match node:
        case And(nodes) | Or(nodes):
            return any(map(_reads_text, nodes))
        case Compare(field, "eq", _) | In(field, _) | Contains(field, _, _):
            return words.is_indexed(field)
        case _:
            return False


def _in_order(hits: Iterable[Hit], directions: list[bool]) -> list[Hit]:
    """Hits in the order of their positions."""
    found = list(hits)
    for index in reversed(range(len(directions))):
        found.sort(key=lambda hit: cast("Any", hit.position[index]), reverse=directions[index])
    return found


def _column(node: Node, *, any_: bool = False) -> str | None:
    """The column that a conjunct is about; without `any_` only where it names values of it."""
    match node:
        case Compare(ColumnField(name), operator, value):
            return name if any_ or (operator == "eq" and value is not None) else None
        case In(ColumnField(name), values):
            return name if any_ or None not in values else None
        case _:
            return None


def _terms(
    compiler: Compiler,
    sort: tuple[SortKey, ...],
    *,
    tie: str = "c.pk",
    descending: bool | None = None,
) -> list[_Term]:
    terms = [_Term(sql, key.descending) for key in sort for sql in compiler.sort_terms(key)]
    last = sort[-1].descending if descending is None else descending
    return [*terms, _Term(Sql(tie), last)]


def _beyond(terms: list[_Term], after: list[Param]) -> Sql:
    """The rows that come after a position in the order of the terms."""
    if len(after) != len(terms):
        raise QueryError("the cursor is not of this query; ask for the first page", at="cursor")
    if len({term.descending for term in terms}) == 1:
        sign = "<" if terms[0].descending else ">"
        left = ", ".join(term.sql.text for term in terms)
        marks = ", ".join("?" * len(terms))
        params = tuple(param for term in terms for param in term.sql.params)
        return Sql(f"({left}) {sign} ({marks})", (*params, *after))
    choices: list[Sql] = []
    for index, (term, value) in enumerate(zip(terms, after, strict=True)):
        equal = [
            Sql(f"{before.sql.text} = ?", (*before.sql.params, known))
            for before, known in zip(terms[:index], after[:index], strict=True)
        ]
        sign = "<" if term.descending else ">"
        beyond = Sql(f"{term.sql.text} {sign} ?", (*term.sql.params, value))
        choices.append(joined([*equal, beyond], " AND "))
    return joined(choices, " OR ")


def _payload_join(compiler: Compiler) -> str:
    return " LEFT JOIN payloads p ON p.call = c.pk" if compiler.reads_payload else ""


def _signature(where: Node | None, sort: tuple[SortKey, ...]) -> str:
    return hashlib.sha256(repr((where, sort)).encode("utf-8", "replace")).hexdigest()[:12]


def _write_cursor(signature: str, hit: Hit) -> str:
    # The standard library's JSON, since a score may be infinite and msgspec writes that as null.
    return json.dumps([signature, *hit.position]).encode().hex()


def _read_cursor(cursor: str | None, signature: str) -> list[Param] | None:
    if cursor is None:
        return None
    try:
        its_signature, *position = cast("list[Any]", json.loads(bytes.fromhex(cursor)))
    except (ValueError, TypeError) as error:
        raise QueryError(
            f"cursor {cursor[:40]!r} is not one that Kibitz gave out", at="cursor"
        ) from error
    if its_signature != signature or not all(
        isinstance(each, int | float | str) for each in position
    ):
        raise QueryError(
            "the cursor belongs to another filter or sort; ask for the first page", at="cursor"
        )
    return position
