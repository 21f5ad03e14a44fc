"""A question for calls as Python describes it: conditions, an order, a limit, and what to read; compiled when it is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from kibitz.asking.places import Place
from kibitz.base import clock
from kibitz.base.errors import QueryError
from kibitz.base.records import Call
from kibitz.query import (
    expressions,
    expressions_conditions,
    fields,
    json_form,
    literals,
    nodes,
    shapes,
    text_form,
)
from kibitz.query.expressions_conditions import Condition, Conditional, Order
from kibitz.query.nodes import ALL_COLUMNS, CallColumn, CallQuery, Node, SortKey
from kibitz.storage.protocols import Store

Asked = Condition | Conditional | str | Mapping[str, Any]
"""A condition: an expression, a query in words, or the `{"$expr": …}` of JSON."""
Sorted = Order | expressions.Field[Any] | str
"""A key to sort by: a field with `.asc()` or `.desc()`, a field alone (the least first), or keys in words."""
Shown = expressions.Field[Any] | Conditional | str
"""What to read of each call: a field, or `inputs`, `output`, `attributes`, `summary`, `exception`, `feedback`, `scores`."""

NARROW_PAGE, WIDE_PAGE = nodes.MAX_LIMIT, 200
"""Calls of a page without and with their values: one may have megabytes."""
_WIDE = frozenset(("inputs", "output", "feedback"))


@dataclass(frozen=True, slots=True)
class Question:
    """Which calls of a project, in which order, and how much of each."""

    place: Place
    conditions: tuple[Condition | str, ...] = ()
    order: tuple[Order | str, ...] = ()
    limit: int | None = None
    columns: frozenset[CallColumn] = ALL_COLUMNS

    @property
    def project(self) -> str:
        return self.place.project

    def where(self, conditions: Iterable[Asked]) -> Question:
        """The question with further conditions, whose words may also limit it. Raises `QueryError`."""
        added = tuple(map(condition, conditions))
        limits = [self.limit]
        for each in added:
            if isinstance(each, str):
                limits.append(text_form.parse(each, now=clock.now()).limit)
        most = min((each for each in limits if each is not None), default=None)
        return dataclasses.replace(self, conditions=self.conditions + added, limit=most)

    def query(self, store: Store | None = None) -> CallQuery:
        """The nodes that it is, with the limit of a page.

        Args:
            store: where short names of feedback are looked up; the place is opened for that without it.

        Raises:
            QueryError: the parts do not go together, or a short name may be several things.
        """
        types = Types(self.place, store)
        now = clock.now()
        where: Node | None = None
        sort: tuple[SortKey, ...] = ()
        for each in self.conditions:
            node: Node | None
            if isinstance(each, str):
                parsed = text_form.parse(each, known_types=types, now=now)
                node = parsed.where
                if sort and parsed.sort:
                    raise QueryError("two of the texts sort; leave one out", at="sort")
                sort = sort or parsed.sort
            else:
                node = each.resolved(types)
            where = text_form.both(where, node)
        keys = tuple(key for each in self.order for key in _resolved(each, types))
        if keys and sort:
            raise QueryError("the text sorts, and .sort() does too; leave one out", at="sort")
        query = CallQuery(
            project=self.project, where=where, sort=keys or sort, columns=self.columns
        )
        if self.limit is not None:
            query = dataclasses.replace(query, limit=min(self.limit, nodes.MAX_LIMIT))
        # Whoever asks a folder is held to the same rules as whoever asks a server.
        return json_form.parse_query(json_form.to_json(query))

    def read(self, store: Store) -> Iterator[Call]:
        """The calls, page after page as they are needed."""
        query = self.query(store)
        left = self.limit
        most = WIDE_PAGE if self.columns & _WIDE else NARROW_PAGE
        while left is None or left > 0:
            size = most if left is None else min(left, most)
            page = store.calls.query(dataclasses.replace(query, limit=size))
            yield from page.items
            if page.next_cursor is None:
                return
            query = dataclasses.replace(query, cursor=page.next_cursor)
            left = None if left is None else left - len(page.items)

    def count(self, store: Store, bound: int) -> int:
        """How many calls there are, counted up to a bound."""
        bound = bound if self.limit is None else min(bound, self.limit)
        query = self.query(store)
        return min(store.calls.count(query.project, query.where, bound=bound).count, bound)

    def given_words(self) -> str | None:
        """The one text that the question is; None where it is anything else."""
        if self.order or len(self.conditions) != 1:
            return None
        (only,) = self.conditions
        if not isinstance(only, str) or text_form.parse(only, now=clock.now()).limit != self.limit:
            return None
        return only

    def words(self) -> str:
        """The question in words as it was given; short names stay short."""
        words = [repr(each) if isinstance(each, Condition) else each for each in self.conditions]
        said = [" and ".join(words if len(words) < 2 else (f"({each})" for each in words))]
        if self.order:
            said.append(f"sort {', '.join(map(str, self.order))}")
        if self.limit is not None:
            said.append(f"limit {self.limit}")
        return " ".join(filter(None, said)) or "all"


class Types:
    """The feedback types of a project, read when they are first gone through: most questions have no short names."""

    def __init__(self, place: Place, store: Store | None) -> None:
        self._place = place
        self._store = store
        self._found: frozenset[str] | None = None

    def __iter__(self) -> Iterator[str]:
        if self._found is None:
            if self._store is None:
                with self._place.opened() as store:
                    columns = store.feedback.columns(self._place.project)
            else:
                columns = self._store.feedback.columns(self._place.project)
            self._found = frozenset(each.type for each in columns)
        return iter(self._found)


def condition(given: object) -> Condition | str:
    """A condition from what stands where one is expected; words as they are. Raises `QueryError`."""
    if isinstance(given, Mapping):
        return Condition(json_form.parse_where(cast("Mapping[str, Any]", given)))
    return given if isinstance(given, str) else expressions_conditions.condition_of(given)


def key(given: object) -> Order | str:
    """A key to sort by, or keys in words as they are. Raises `QueryError`."""
    if isinstance(given, Order):
        return given
    if isinstance(given, str):
        _keys(given, None)
        return given
    operand = expressions.field_of(given)
    if operand is not None:
        return expressions.Field[Any](operand).asc()
    if isinstance(given, Conditional):
        raise QueryError(f"{given!r} is a whole judgement and has no order; name what it says")
    raise QueryError(
        f"{shapes.short(given)} is nothing to sort by; write calls.latency.desc() or 'latency desc'"
    )


def wide(given: object) -> frozenset[CallColumn]:
    """What has to be read of a call to have a field. Raises `QueryError` where a call has no such thing."""
    if isinstance(given, str):
        if given in ALL_COLUMNS:
            return frozenset((given,))
        operand: nodes.Operand | None = fields.parse_operand(given)
    elif isinstance(given, Conditional):
        return frozenset(("scores", "feedback"))
    else:
        operand = expressions.field_of(given)
    if operand is None:
        raise QueryError(f"{shapes.short(given)} is nothing that a call has")
    field = nodes.base(operand)
    if isinstance(field, nodes.PathField):
        return frozenset((field.root,))
    if isinstance(field, nodes.FeedbackField):
        return frozenset(("feedback",) if literals.is_whole(field) else ("scores",))
    return frozenset()


def _resolved(each: Order | str, types: Iterable[str]) -> tuple[SortKey, ...]:
    return _keys(each, types) if isinstance(each, str) else (each.resolved(types),)


def _keys(words: str, types: Iterable[str] | None) -> tuple[SortKey, ...]:
    parsed = text_form.parse(f"sort {words}", known_types=types, now=None)
    if parsed.limit is not None:
        raise QueryError("a sort has no limit; write .limit(…)", at="sort")
    return parsed.sort
