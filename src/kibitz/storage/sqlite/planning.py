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

import copy
import sqlite3
from typing import cast

from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    FeedbackField,
    In,
    Matches,
    Node,
    Not,
    Or,
    PathField,
    SortKey,
    base,
)
from kibitz.query.pieces import Param, Sql, joined, missing_kind
from kibitz.query.sql import Compiler
from kibitz.storage import statements
from kibitz.storage.sqlite import pages
from kibitz.storage.sqlite.names import ReadCatalog
from kibitz.storage.sqlite.pages import Hit
from kibitz.storage.sqlite.scores import Score, Value
from kibitz.storage.sqlite.texts import Texts, count_up_to

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
_CALLS = pages.Lead("FROM calls c")


def page(
    connection: sqlite3.Connection, project: int, query: CallQuery
) -> tuple[list[Hit], str | None]:
    """The hits of a page in order, and the cursor of the next."""
    planner = _Planner(connection, project, query.where)
    sort = planner.deciding(query.sort or _NEWEST_FIRST)
    planner.choose(by_time=sort[0].field == _TIME)
    signature = pages.signature_of(query.where, sort)
    after = pages.read_cursor(query.cursor, signature)
    wanted = query.limit + 1
    hits = planner.hits(sort, after, wanted)
    cursor = None
    if len(hits) > query.limit:
        cursor = pages.write_cursor(signature, hits[query.limit - 1])
    return hits[: query.limit], cursor


def count(connection: sqlite3.Connection, project: int, where: Node | None, bound: int) -> int:
    """How many calls match, counted up to `bound` + 1."""
    planner = _Planner(connection, project, where)
    planner.choose(counting=True)
    lead, condition, compiler = planner.start()
    statement = Sql(
        f"SELECT count(*) FROM (SELECT 1 {lead.text}{pages.payload_join(compiler)}"
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
    planner = _Planner(connection, project, where)
    planner.choose(counting=True)
    lead, condition, compiler = planner.start()
    bounds = Sql("c.pk > ? AND c.pk <= ?", (after, (1 << 62) if until is None else until))
    condition = joined([condition, bounds], " AND ")
    statement = Sql(
        f"SELECT c.pk {lead.text}{pages.payload_join(compiler)} WHERE {condition.text} ORDER BY c.pk LIMIT ?",
        (*lead.params, *condition.params, limit),
    )
    return [row[0] for row in connection.execute(statement.text, statement.params)]


def among(
    connection: sqlite3.Connection, project: int, where: Node | None, pks: list[int]
) -> list[int]:
    """Which of some calls match, in the order in which they arrived."""
    planner = _Planner(connection, project, where)
    lead, condition, compiler = planner.of(pks).start()
    rows = connection.execute(
        f"SELECT c.pk {lead.text}{pages.payload_join(compiler)} WHERE {condition.text} ORDER BY c.pk",
        (*lead.params, *condition.params),
    )
    return [row[0] for row in rows]


def leading(
    connection: sqlite3.Connection, project: int, where: Node | None
) -> tuple[Sql, Sql, Compiler]:
    """What reads the calls that match: the tables up to `calls c`, the condition, and the compiler that made it."""
    lead, condition, compiler = _Planner(connection, project, where).start()
    return Sql(lead.text, lead.params), condition, compiler


def of_texts(
    connection: sqlite3.Connection, project: int, where: Node | None
) -> tuple[bool, bool, int]:
    """Of the conditions on texts: whether there are any, whether the index answers them, and how many calls wait for it."""
    texts = Texts(connection, project, _conjuncts(where), bound=FEW)
    return texts.asks or _searches(where), bool(texts), texts.waiting


class _Planner:
    def __init__(self, connection: sqlite3.Connection, project: int, where: Node | None) -> None:
        self._connection = connection
        self._project = project
        self._where = where
        self._conjuncts = _conjuncts(where)
        self._catalog = ReadCatalog(connection, project)
        self._texts = Texts(connection, project, self._conjuncts, bound=FEW)
        self._few_size = 0
        self._few: Sql | None = None
        self._values: tuple[tuple[int, FeedbackField, Value], ...] = ()
        """Values of series that the calls must have: one for each key that is followed value by value."""

    def choose(self, *, by_time: bool = False, counting: bool = False) -> None:
        """Look for few calls that may lead.

        A text condition is no such set where its hits are looked for by time; to count, it leads however many it leaves.
        """
        self._few = self._few_calls(with_text=not by_time)
        if counting and self._few is None and self._texts.is_ready and not self._is_selective():
            text = self._texts.every()
            self._few = Sql(f"SELECT DISTINCT call AS pk FROM ({text.text})", text.params)

    def of(self, pks: list[int]) -> _Planner:
        """Only these calls, which lead."""
        self._few = Sql("SELECT value AS pk FROM json_each(?)", (f"[{','.join(map(str, pks))}]",))
        self._few_size = len(pks)
        return self

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

    def start(self, *, call: str = "c.pk") -> tuple[pages.Lead, Sql, Compiler]:
        """The leading tables, the condition and the compiler that made it."""
        compiler = Compiler(self._catalog, call=call)
        conditions = [Sql("c.project = ?", (self._project,)), Sql(_VISIBLE)]
        for series, field, value in self._values:
            rows = compiler.feedback.sorted_rows("v", field)
            # Kept from the index by value, which would be searched for every call.
            conditions.append(
                Sql(
                    f"EXISTS (SELECT 1 FROM scores v WHERE v.series = ? AND v.call = {call} AND {rows}"
                    " AND +v.kind = ? AND +v.num = ? AND +v.text = ?)",
                    (series, *value),
                )
            )
        if self._where is not None:
            conditions.append(compiler.condition(self._where, top=True))
        lead = _CALLS
        if self._few is not None:
            lead = pages.Lead(
                f"FROM ({self._few.text}) h CROSS JOIN calls c NOT INDEXED ON c.pk = h.pk",
                self._few.params,
            )
        return lead, joined(conditions, " AND "), compiler

    def hits(self, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int) -> list[Hit]:
        """The first hits after a position."""
        series = self.leading_series(sort[0], wanted)
        if series is None:
            return self.sorted_hits(sort, after, wanted)
        found: list[Hit] = []
        is_past_scored = after is not None and after[0] == missing_kind(sort[0])
        if series >= 0 and not is_past_scored:
            score = Score(self._connection, self._catalog, self._conjuncts, series, sort[0])
            # Sorted by its index, all the calls of the first value would be sorted by the second key.
            values = score.few_values() if len(sort) > 1 and score.count() > FEW else None
            if values is None:
                found = self.scored_hits(score, sort, after, wanted)
            else:
                found = self._hits_by_value(score, values, sort, after, wanted)
        if len(found) < wanted:
            after = after if is_past_scored else None
            found += self.unscored_hits(series, sort, after, wanted - len(found))
        return found

    def _hits_by_value(
        self,
        score: Score,
        values: list[Value],
        sort: tuple[SortKey, ...],
        after: list[Param] | None,
        wanted: int,
    ) -> list[Hit]:
        """The calls that have the first key, value by value, each in the order of the other keys."""
        found: list[Hit] = []
        position = None if after is None else (after[0], after[1], after[2])
        begun = position is None
        for value in values:
            inner: list[Param] | None = None
            if not begun:
                if _is_before(value, position, score.descending):
                    continue
                begun = True
                if value == position and after is not None:
                    inner = after[3:]
            among = self._among(score, value)
            its = among.hits(sort[1:], inner, wanted - len(found))
            found += [Hit(pk=hit.pk, position=(*value, *hit.position)) for hit in its]
            if len(found) >= wanted:
                break
        return found

    def _among(self, score: Score, value: Value) -> _Planner:
        """The same question, only of the calls that have this value of a score."""
        planner = copy.copy(self)
        planner._values = (*self._values, (score.series, score.field, value))
        members = score.calls_of(value)
        size = count_up_to(self._connection, members, FEW)
        if size <= FEW and (self._few is None or size < self._few_size):
            planner._few_size = size
            planner._few = Sql(f"SELECT call AS pk FROM ({members.text})", members.params)
        return planner

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
        if is_by_time and self._few is None and self._texts and not self._is_selective():
            return self._text_hits(sort, after, wanted)
        lead, condition, compiler = self.start()
        return self._run(lead, condition, compiler, pages.terms_of(compiler, sort), after, wanted)

    def _text_hits(
        self, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that the text index has, stretch by stretch, and those that wait for it."""
        narrowed_to = self._narrowed_to()
        if narrowed_to <= FEW and narrowed_to < self._texts.size():
            lead, condition, compiler = self.start()
            return self._run(
                lead, condition, compiler, pages.terms_of(compiler, sort), after, wanted
            )
        position = after[0] if after is not None and isinstance(after[0], int) else None
        indexed: list[Hit] = []
        for window in self._texts.windows(position, descending=sort[0].descending):
            text = self._texts.within(window)
            _, condition, compiler = self.start()
            lead = pages.Lead(
                f"FROM (SELECT DISTINCT call AS pk FROM ({text.text})) h"
                " CROSS JOIN calls c NOT INDEXED ON c.pk = h.pk",
                text.params,
            )
            its_time = Sql("c.started_at BETWEEN ? AND ?", (window.since, window.until))
            condition = joined([its_time, condition], " AND ")
            terms = pages.terms_of(compiler, sort)
            indexed += self._run(lead, condition, compiler, terms, after, wanted - len(indexed))
            if len(indexed) >= wanted:
                break
        if not self._texts.waiting:
            return indexed
        # A call whose words have changed since is in both.
        found = {hit.pk: hit for hit in [*indexed, *self._waiting_hits(sort, after, wanted)]}
        directions = [term.descending for term in pages.terms_of(Compiler(self._catalog), sort)]
        return pages.in_order(found.values(), directions)[:wanted]

    def _waiting_hits(
        self, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that wait for the text index, each looked at."""
        lead, condition, compiler = self.start()
        waiting = self._texts.waiting_set()
        if self._texts.is_ready:
            lead = pages.Lead(
                f"FROM ({waiting.text}) h CROSS JOIN calls c NOT INDEXED ON c.pk = h.call",
                waiting.params,
            )
        else:
            among = Sql(f"c.pk IN ({waiting.text})", waiting.params)
            condition = joined([among, condition], " AND ")
        return self._run(lead, condition, compiler, pages.terms_of(compiler, sort), after, wanted)

    def _pays(self, wanted: int, counting: str, of: int) -> bool:
        """Whether to follow an index in its order and check each row, rather than take the few rows and sort them.

        One row in `all / few` is among the few, so that a page is full after `wanted` times as many.
        """
        if self._few_size <= _ALWAYS_FEW:
            return False
        every = self._connection.execute(_SQL[counting], (of,)).fetchone()[0]
        return wanted * every < self._few_size**2

    def scored_hits(
        self, score: Score, sort: tuple[SortKey, ...], after: list[Param] | None, wanted: int
    ) -> list[Hit]:
        """The calls that have the score, in the order of its index."""
        # By the score's own column, so that conditions on feedback come before the call is read.
        _, condition, compiler = self.start(call="x.call")
        lead = pages.Lead("FROM scores x CROSS JOIN calls c NOT INDEXED ON c.pk = x.call")
        condition = joined(
            [score.rows(compiler, is_continued=after is not None), condition], " AND "
        )
        terms = [
            pages.Term(Sql(column), score.descending) for column in ("x.kind", "x.num", "x.text")
        ] + pages.terms_of(compiler, sort[1:], tie="x.call", descending=sort[-1].descending)
        if after is not None and after[:1] == score.kinds:
            # With the kind named already, a position that names it too would be no range of the index.
            condition = joined([condition, pages.beyond(terms[1:], after[1:])], " AND ")
            after = None
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
        terms = pages.terms_of(compiler, sort[1:], descending=sort[-1].descending)
        # A position is the same whichever way a page was found, so that the way may change between pages.
        head = (missing_kind(sort[0]), 0.0, "")
        rest = None if after is None else after[len(head) :]
        found = self._run(lead, condition, compiler, terms, rest, wanted)
        return [Hit(pk=hit.pk, position=(*head, *hit.position)) for hit in found]

    def _run(
        self,
        lead: pages.Lead,
        condition: Sql,
        compiler: Compiler,
        terms: list[pages.Term],
        after: list[Param] | None,
        wanted: int,
    ) -> list[Hit]:
        return pages.run(self._connection, lead, condition, compiler, terms, after, wanted)

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
        if with_text and self._texts.is_ready:
            candidates.append(self._texts.every())
        best: tuple[int, Sql] | None = None
        for candidate in candidates:
            bound = FEW if best is None else best[0]
            size = count_up_to(self._connection, candidate, bound)
            if size <= bound:
                best = (size, candidate)
        if best is None:
            return None
        self._few_size = best[0]
        return Sql(f"SELECT DISTINCT call AS pk FROM ({best[1].text})", best[1].params)

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
        return count_up_to(
            self._connection,
            Sql(
                f"SELECT 1 FROM calls c WHERE c.project = ? AND {_VISIBLE} AND {condition.text}",
                (self._project, *condition.params),
            ),
            FEW,
        )


def _searches(where: Node | None) -> bool:
    """Whether a text is looked for anywhere in a condition."""
    match where:
        case And(nodes) | Or(nodes):
            return any(map(_searches, nodes))
        case Not(node):
            return _searches(node)
        case Contains(field) | Matches(field):
            return isinstance(base(field), PathField)
        case _:
            return False


def _is_before(value: Value, position: object, descending: bool) -> bool:
    """Whether a value comes before a position in an order."""
    other = cast("Value", position)
    return value > other if descending else value < other


def _conjuncts(where: Node | None) -> list[Node]:
    if where is None:
        return []
    if isinstance(where, And):
        return [each for node in where.nodes for each in _conjuncts(node)]
    return [where]


def _column(node: Node, *, any_: bool = False) -> str | None:
    """The column that a conjunct is about; without `any_` only where it names values of it."""
    match node:
        case Compare(ColumnField(name), operator, value):
            return name if any_ or (operator == "eq" and value is not None) else None
        case In(ColumnField(name), values):
            return name if any_ or None not in values else None
        case _:
            return None
