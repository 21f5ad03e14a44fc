"""Calls as Python asks for them: a set that is described first and read when it is gone through.

    from kibitz import calls, feedback

    worst = calls("acme/app").where(feedback("grounded").output < 0.5).sort(calls.latency.desc())
    for call in worst.limit(20):
        print(call.op, call.inputs, call.output)

A set is never changed: each method gives a new one. Nothing is read before it is gone through, counted or shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kibitz.asking.places import Named, Place
from kibitz.base import clock, refs
from kibitz.base.errors import KibitzError, NotFound, QueryError, UsageError
from kibitz.base.records import Call
from kibitz.query import expressions, fields, json_form, literals, nodes, shapes, text_form
from kibitz.query import python_form as python
from kibitz.query.expressions import Columns, Condition, Conditional, Order
from kibitz.query.nodes import ALL_COLUMNS, CallColumn, CallQuery, Node, SortKey
from kibitz.storage.protocols import Store

if TYPE_CHECKING:
    pass

Asked = Condition | Conditional | str
"""A condition: an expression, or a query in words."""
Sorted = Order | expressions.Field[Any] | str
"""A key to sort by: a field with `.asc()` or `.desc()`, a field alone (the least first), or keys in words."""
Shown = expressions.Field[Any] | Conditional | str
"""What to read of each call: a field, or `inputs`, `output`, `attributes`, `summary`, `exception`, `feedback`, `scores`."""

COUNTED = 10_000
"""So many are counted to show a set."""
_NARROW_PAGE, _WIDE_PAGE = nodes.MAX_LIMIT, 200
"""Calls of a page without and with their values: one may have megabytes."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class CallSet:
    """Calls of a project, described by conditions, an order and a limit."""

    _place: Place
    _conditions: tuple[Condition | str, ...] = ()
    _order: tuple[Order | str, ...] = ()
    _limit: int | None = None
    _columns: frozenset[CallColumn] = ALL_COLUMNS

    # Describing

    def where(self, *conditions: Asked) -> CallSet:
        """The calls of the set for which these hold too.

        Args:
            conditions: expressions such as `calls.latency > 500`, or queries in words such as `"latency > 2s"`,
                which may also sort and limit. `now` in words is the moment when the set is read.

        Raises:
            QueryError: one of them is no condition.
        """
        added, limits = tuple(map(_condition, conditions)), [self._limit]
        for each in added:
            if isinstance(each, str):
                limits.append(text_form.parse(each, now=clock.now()).limit)
        most = min((each for each in limits if each is not None), default=None)
        return self._with(_conditions=self._conditions + added, _limit=most)

    def sort(self, *keys: Sorted) -> CallSet:
        """The same calls in another order; newest first where nothing is said.

        Args:
            keys: the first decides, and where it ties the next: `calls.latency.desc()`, or words such as
                `"latency desc, started_at"`. What has no value comes last in both directions.

        Raises:
            QueryError: one of them is no key, or there are too many.
        """
        chosen = tuple(_key(each) for each in keys)
        if len(chosen) > json_form.MAX_SORT_KEYS:
            raise QueryError(f"at most {json_form.MAX_SORT_KEYS} keys are allowed to sort by")
        return self._with(_order=chosen)

    def limit(self, most: int) -> CallSet:
        """The first of them, at most so many; of several limits the smallest counts. Raises `QueryError`."""
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise QueryError(f"limit {shapes.short(most)} is not a whole number from 1 on")
        return self._with(_limit=most if self._limit is None else min(most, self._limit))

    def columns(self, *shown: Shown) -> CallSet:
        """The same calls with only these of their values read; without any, only what every list shows.

        All are read where nothing is said. A field stands for what it is in: `inputs.question` for the inputs,
        feedback for the scores.

        Raises:
            QueryError: one of them is nothing that a call has.
        """
        return self._with(_columns=frozenset().union(*map(_wide, shown)))

    def _with(self, **changed: Any) -> CallSet:
        return dataclasses.replace(self, **changed)

    # Reading

    def __iter__(self) -> Iterator[Call]:
        """The calls, page after page as they are needed."""
        with self._place.opened() as store:
            yield from self._read(store)

    def first(self) -> Call | None:
        """The first call; None where there is none."""
        return next(iter(self.limit(1)), None)

    def one(self) -> Call:
        """The only call.

        Raises:
            NotFound: there is none.
            UsageError: there are several.
        """
        found = list(self.limit(2))
        if not found:
            raise NotFound(f"no call is {self._words()!r} in {self._place.project!r}")
        if len(found) > 1:
            raise UsageError(
                f"several calls are {self._words()!r} in {self._place.project!r}; "
                "narrow it, or take first()"
            )
        return found[0]

    def get(self, call_id: str) -> Call:
        """The call of an id, whole and with its feedback. Raises `NotFound` where the set has none of it."""
        with self._place.opened() as store:
            if self._conditions:
                its = self.where(Columns.id == call_id)
                if not its._count(store, 1):
                    raise NotFound(f"the set has no call {call_id[:64]!r}", id=call_id)
            return store.calls.get(self._place.project, call_id)

    def count(self, bound: int | None = None) -> int:
        """How many calls there are.

        Args:
            bound: where to stop counting: the answer is never greater. Counting all of a large project takes a while.
        """
        most = json_form.MAX_BOUND if bound is None else bound
        if isinstance(most, bool) or not 1 <= most <= json_form.MAX_BOUND:
            raise QueryError(
                f"bound {shapes.short(bound)} is not a whole number from 1 to {json_form.MAX_BOUND:,}"
            )
        with self._place.opened() as store:
            return self._count(store, most)

    def __bool__(self) -> bool:
        """Whether there is any call."""
        with self._place.opened() as store:
            return self._count(store, 1) > 0

    # In other spellings

    def query(self) -> CallQuery:
        """The nodes that it is: what the HTTP API and the command line ask too. Its limit is that of a page.

        Only short names of feedback are looked up at its place.

        Raises:
            QueryError: the parts do not go together, or a short name may be several things.
        """
        return self._query(None)

    def to_json(self) -> dict[str, Any]:
        """The body for `POST /api/v1/calls/query`. Its limit is that of a page."""
        return json_form.to_json(self.query())

    def to_text(self) -> str:
        """The query in words, for the page, addresses and the command line."""
        query = self.query()
        return text_form.format(
            query.where, query.sort, None if self._limit is None else query.limit
        )

    def to_python(self) -> str:
        """The query as Python source."""
        query = self.query()
        return python.format_query(query.project, query.where, query.sort, self._limit)

    def __repr__(self) -> str:
        words = self._words()
        try:
            with self._place.opened() as store:
                found = self._count(store, COUNTED + 1)
        except KibitzError as error:
            return f"<calls of {self._place.project}: {words}; {error.message}>"
        shown = f"{COUNTED:,} or more" if found > COUNTED else f"{found:,}"
        return f"<{shown} call{'' if found == 1 else 's'} of {self._place.project}: {words}>"

    # Compiling

    def _query(self, store: Store | None) -> CallQuery:
        types = _Types(self._place, store)
        now = clock.now()
        where: Node | None = None
        sort: tuple[SortKey, ...] = ()
        for each in self._conditions:
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
        keys = tuple(key for each in self._order for key in _resolved(each, types))
        if keys and sort:
            raise QueryError("the text sorts, and .sort() does too; leave one out", at="sort")
        query = CallQuery(
            project=self._place.project, where=where, sort=keys or sort, columns=self._columns
        )
        if self._limit is not None:
            query = dataclasses.replace(query, limit=min(self._limit, nodes.MAX_LIMIT))
        # Whoever asks a folder is held to the same rules as whoever asks a server.
        return json_form.parse_query(json_form.to_json(query))

    def _read(self, store: Store) -> Iterator[Call]:
        query = self._query(store)
        left = self._limit
        most = _WIDE_PAGE if self._columns & {"inputs", "output", "feedback"} else _NARROW_PAGE
        while left is None or left > 0:
            size = most if left is None else min(left, most)
            page = store.calls.query(dataclasses.replace(query, limit=size))
            yield from page.items
            if page.next_cursor is None:
                return
            query = dataclasses.replace(query, cursor=page.next_cursor)
            left = None if left is None else left - len(page.items)

    def _count(self, store: Store, bound: int) -> int:
        bound = bound if self._limit is None else min(bound, self._limit)
        query = self._query(store)
        return min(store.calls.count(query.project, query.where, bound=bound).count, bound)

    def _words(self) -> str:
        words = [repr(each) if isinstance(each, Condition) else each for each in self._conditions]
        said = [" and ".join(words if len(words) < 2 else (f"({each})" for each in words))]
        if self._order:
            said.append(f"sort {', '.join(map(str, self._order))}")
        if self._limit is not None:
            said.append(f"limit {self._limit}")
        return " ".join(filter(None, said)) or "all"


class Calls(Columns):
    """Where questions begin: `calls("acme/app")` is a set, and `calls.op`, `calls.latency` … are its fields."""

    __slots__ = ()

    def __call__(self, project: str, source: Named = None) -> CallSet:
        """All calls of a project.

        Args:
            project: `app` or `team/app`.
            source: where to ask: the address of a server, or a data folder. Without it where this program records,
                else `KIBITZ_URL`, else the data folder `KIBITZ_DATA` (`./.kibitz`). What this program has recorded
                there so far is delivered before each question.

        Raises:
            UsageError: the project's name or the source cannot be used.
        """
        return CallSet(Place(refs.check_project(project), source))

    def __repr__(self) -> str:
        return "calls"


calls = Calls()


class _Types:
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


def _condition(given: object) -> Condition | str:
    return given if isinstance(given, str) else expressions.condition_of(given)


def _key(given: object) -> Order | str:
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


def _keys(words: str, types: Iterable[str] | None) -> tuple[SortKey, ...]:
    parsed = text_form.parse(f"sort {words}", known_types=types, now=None)
    if parsed.limit is not None:
        raise QueryError("a sort has no limit; write .limit(…)", at="sort")
    return parsed.sort


def _resolved(each: Order | str, types: Iterable[str]) -> tuple[SortKey, ...]:
    return _keys(each, types) if isinstance(each, str) else (each.resolved(types),)


def _wide(given: object) -> frozenset[CallColumn]:
    """What has to be read to have a field."""
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


__all__ = ["Asked", "CallSet", "Calls", "Shown", "Sorted", "calls"]
