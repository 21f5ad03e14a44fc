"""Queries as Python: fields with operators, which make conditions. Pure: nothing is asked here.

    (calls.op == "answer") & (feedback("grounded").output < 0.5) & ~feedback("thumb")
    inputs["odd key"][0].contains("refund", case_insensitive=True)
    calls.latency.desc(), output.items.size() > 3

A field is a column (`Columns`), a place in a value of the call (`inputs`, `output`, `attributes`, `summary`) or what
feedback says (`expressions_feedback`). Below a place every attribute and item is a key; where a key has the name of a
method, begins with an underscore or is no name, it is written as an item.

Comparing gives a `Condition`, which is joined with `&`, `|` and `~`; `and`, `or`, `not` and `a < b < c` cannot be taken
over in Python, and say so. Conditions and fields print as the text spelling and can be hashed. The bounds are those of
JSON and hold while a condition is built, so that none grows beyond them.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, cast

from kibitz.base import clock
from kibitz.base.errors import QueryError
from kibitz.query import expressions_conditions as conditions
from kibitz.query import fields, json_form, literals, nodes, shapes, text_fields
from kibitz.query.expressions_conditions import Comparable, Condition, Conditional, Order
from kibitz.query.nodes import Compare, Contains, Exists, In, Literal_, Matches

Scalar = bool | int | float | str
Moment = datetime | date | str | int
"""A time: with a zone, a day (its midnight in UTC), RFC 3339 text, or microseconds since 1970."""

V = TypeVar("V")
_NUMBERLIKE = "numpy"
_MAX_INDEX = 10**9
"""What an index can be, see `fields.is_index`."""


class Field(Comparable, Generic[V]):
    """Something that a call has, to compare with values of type `V` and to sort by."""

    __slots__ = ("_operand",)
    _operand: nodes.Operand

    def __init__(self, operand: nodes.Operand) -> None:
        self._operand = operand

    @property
    def operand(self) -> nodes.Operand:
        """The node that it compiles to; a short name of feedback is a runnable here."""
        return conditions.resolve_operand(self._operand, text_fields.Types(None))

    def __eq__(self, value: V | None) -> Condition:  # type: ignore[override]
        return self._compare("eq", value)

    def __ne__(self, value: V | None) -> Condition:  # type: ignore[override]
        return ~self._compare("eq", value)

    def __lt__(self, value: V) -> Condition:
        return self._compare("lt", value)

    def __le__(self, value: V) -> Condition:
        return self._compare("lte", value)

    def __gt__(self, value: V) -> Condition:
        return self._compare("gt", value)

    def __ge__(self, value: V) -> Condition:
        return self._compare("gte", value)

    def is_in(self, values: Iterable[V | None]) -> Condition:
        """It is one of the values.

        Raises:
            QueryError: they are no list, too many, or cannot be compared with it.
        """
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise QueryError(f"is_in takes a list of values, not {_short(values)}")
        found: list[Literal_] = []
        for each in values:
            if len(found) == json_form.MAX_IN_VALUES:
                raise QueryError(
                    f"is_in has more than {json_form.MAX_IN_VALUES:,} values, and no more are allowed"
                )
            found.append(_literal(self._operand, each, equality=True))
        return conditions.test(In(_checked(self._operand), tuple(found)))

    def exists(self) -> Condition:
        """It is there, be it null. A column without a value is not there."""
        return conditions.test(Exists(_checked(self._operand)))

    def asc(self) -> Order:
        """Sort by it, the least first; what has no value comes last. Raises `QueryError` where it has no order."""
        return Order(nodes.SortKey(_leaf(self._operand)))

    def desc(self) -> Order:
        """Sort by it, the greatest first; what has no value comes last. Raises `QueryError` where it has no order."""
        return Order(nodes.SortKey(_leaf(self._operand), descending=True))

    def _compare(self, operator: nodes.Comparison, value: object) -> Condition:
        found = _literal(self._operand, value, equality=operator == "eq")
        return conditions.test(Compare(_checked(self._operand), operator, found))

    def __hash__(self) -> int:
        return hash(self._operand)

    def __repr__(self) -> str:
        return text_fields.format(self._operand)

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"{conditions.shown(self)} is no condition by itself; write {conditions.shown(self)} == True or "
            f"{conditions.shown(self)}.exists(), and {conditions.JOIN}"
        )

    def __iter__(self) -> NoReturn:
        # Python would ask for the items 0, 1, 2 … without end.
        raise QueryError(
            f"{conditions.shown(self)} names a place in many calls and cannot be gone through"
        )

    def __contains__(self, value: object) -> NoReturn:
        raise QueryError(
            f"Python's in cannot be used; write {conditions.shown(self)}.contains(…), or FIELD.is_in([…])"
        )

    if not TYPE_CHECKING:
        # Checkers say by themselves that a field cannot be joined.

        def __and__(self, other: object) -> NoReturn:
            raise QueryError(
                f"{conditions.shown(self)} is no condition by itself: {conditions.PARENTHESES}"
            )

        __or__ = __rand__ = __ror__ = __and__

        def __invert__(self) -> NoReturn:
            raise QueryError(
                f"{conditions.shown(self)} is no condition by itself; write {conditions.shown(self)} != True"
            )


class _WithText(Field[V]):
    """A field that may hold text."""

    __slots__ = ()

    def contains(self, text: str, *, case_insensitive: bool = False) -> Condition:
        """It is a text that has the text in it, or an object or list with such a text anywhere below it.

        Args:
            text: what to look for.
            case_insensitive: A-Z and a-z are the same, and no others.
        """
        self._check_text("contains")
        node = Contains(_checked(self._operand), _text(text, "contains"), bool(case_insensitive))
        return conditions.test(node)

    def matches(self, pattern: str, *, case_insensitive: bool = False) -> Condition:
        """It is a text in which a regular expression is found, or has such a text anywhere below it.

        Args:
            pattern: as RE2 has them: without looking around and without references back. Checked when it is asked.
            case_insensitive: letters of either case are the same.
        """
        self._check_text("matches")
        node = Matches(_checked(self._operand), _text(pattern, "matches"), bool(case_insensitive))
        return conditions.test(node)

    def size(self) -> NumberField:
        """How many characters a text has, elements a list, keys an object. Raises `QueryError` where it has none."""
        return NumberField(_derived(nodes.Size(self._base("size"))))

    def as_number(self) -> NumberField:
        """It as a number: a text that spells one, a boolean as 0 or 1; missing where it cannot be."""
        return NumberField(_derived(nodes.Convert(self._base("as_number"), "number")))

    def as_integer(self) -> NumberField:
        """It as a number without its fraction."""
        return NumberField(_derived(nodes.Convert(self._base("as_integer"), "integer")))

    def as_text(self) -> TextField:
        """It as text: `true`, `false`, a number as JSON has it."""
        return TextField(_derived(nodes.Convert(self._base("as_text"), "text")))

    def as_bool(self) -> Field[bool]:
        """It as a boolean: of a number whether it is not 0; the texts true, false, 1 and 0."""
        return Field(_derived(nodes.Convert(self._base("as_bool"), "bool")))

    def _check_text(self, method: str) -> None:
        if literals.is_number(self._operand):
            raise QueryError(
                f"{conditions.shown(self)} is a number and has no {method}(); compare it with >= and <"
            )

    def _base(self, method: str) -> nodes.Field:
        if isinstance(self._operand, nodes.Size | nodes.Convert):
            raise QueryError(
                f"{conditions.shown(self)} is worked out already and has no {method}()"
            )
        return self._operand


class TextField(_WithText[str]):
    """A column of text."""

    __slots__ = ()


class StatusField(_WithText[Literal["running", "success", "error"]]):
    """What became of a call."""

    __slots__ = ()


class NumberField(Field[float]):
    """A number."""

    __slots__ = ()


class DurationField(Field[float | timedelta]):
    """A time in milliseconds."""

    __slots__ = ()


class TimeField(Field[Moment]):
    """A moment."""

    __slots__ = ()


class Place(_WithText[V]):
    """A place in a JSON value. Its attributes and items are the places below it."""

    __slots__ = ()

    def __getattr__(self, key: str) -> Place[V]:
        if key.startswith("_"):
            # Python and notebooks ask for many of these.
            raise AttributeError(f"a place has no {key!r}; write [{key!r}] for the key")
        return self._below(key)

    def __getitem__(self, key: str | int) -> Place[V]:
        if isinstance(key, str):
            return self._below(key)
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < _MAX_INDEX:  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise QueryError(
                f"[{_short(key)}] below {conditions.shown(self)} is no key; keys are texts, and whole numbers from 0 on"
            )
        return self._below(str(key))

    def _below(self, key: str) -> Place[V]:
        field = self._base("key")
        if isinstance(field, nodes.ColumnField):
            raise QueryError(f"{conditions.shown(self)} is a column and has nothing below it")
        if len(field.path) == fields.MAX_PARTS:
            raise QueryError(
                f"a path has at most {fields.MAX_PARTS} keys; {conditions.shown(self)} has as many already"
            )
        return Place(dataclasses.replace(field, path=(*field.path, key)))


class Columns:
    """The columns of a call, as fields."""

    __slots__ = ()

    id = TextField(nodes.ColumnField("id"))
    trace_id = TextField(nodes.ColumnField("trace_id"))
    parent_id = TextField(nodes.ColumnField("parent_id"))
    op = TextField(nodes.ColumnField("op"))
    op_ref = TextField(nodes.ColumnField("op_ref"))
    kind = TextField(nodes.ColumnField("kind"))
    display_name = TextField(nodes.ColumnField("display_name"))
    thread_id = TextField(nodes.ColumnField("thread_id"))
    author = TextField(nodes.ColumnField("author"))
    status = StatusField(nodes.ColumnField("status"))
    started_at = TimeField(nodes.ColumnField("started_at"))
    ended_at = TimeField(nodes.ColumnField("ended_at"))
    latency_ms = DurationField(nodes.ColumnField("latency_ms"))
    latency = latency_ms
    """In milliseconds, or compared with a `timedelta`."""
    model = TextField(nodes.ColumnField("model"))
    input_tokens = NumberField(nodes.ColumnField("input_tokens"))
    output_tokens = NumberField(nodes.ColumnField("output_tokens"))
    tokens = NumberField(nodes.ColumnField("tokens"))
    cost = NumberField(nodes.ColumnField("cost"))
    """In USD."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            close = fields.nearest(name, (*fields.COLUMNS, *text_fields.ALIASES))
            hint = f"did you mean {close!r}?" if close else f"there are {', '.join(fields.COLUMNS)}"
            raise AttributeError(f"a call has no column {name[:80]!r}; {hint}")


inputs: Place[Scalar] = Place(nodes.PathField("inputs"))
output: Place[Scalar] = Place(nodes.PathField("output"))
attributes: Place[Scalar] = Place(nodes.PathField("attributes"))
summary: Place[Scalar] = Place(nodes.PathField("summary"))


def field_of(given: object) -> nodes.Operand | None:
    """The node of a field, short names of feedback in it unresolved; None where it is no field."""
    if isinstance(given, Field):
        return given._operand  # pyright: ignore[reportPrivateUsage] a field of this module
    # The facade has an object that is a field and something else.
    found = getattr(type(given), "__kibitz_field__", None)
    return None if found is None else field_of(found(given))


def _checked(operand: nodes.Operand) -> nodes.Operand:
    """The operand as every spelling reads it, or `QueryError` where none could."""
    field = nodes.base(operand)
    parsed = fields.parse(fields.format(field))
    if isinstance(field, text_fields.ShortName):
        assert isinstance(parsed, nodes.FeedbackField)
        parsed = text_fields.ShortName(
            parsed.type, parsed.path, parsed.over, parsed.part, parsed.version
        )
    if isinstance(operand, nodes.Size | nodes.Convert):
        return dataclasses.replace(operand, field=parsed)
    return parsed


def _derived(operand: nodes.Operand) -> nodes.Operand:
    literals.check_derived(operand, text_fields.format(operand))
    return operand


def _leaf(operand: nodes.Operand) -> nodes.Operand:
    field = nodes.base(operand)
    if isinstance(field, nodes.FeedbackField) and literals.is_whole(field):
        raise literals.needs_leaf(field, text_fields.format(operand))
    return _checked(operand)


def _literal(operand: nodes.Operand, value: object, *, equality: bool) -> Literal_:
    """A Python value as a node holds it beside an operand."""
    at = text_fields.format(operand)
    plain = _plain(value, operand, at)
    if plain is None and not equality:
        raise QueryError(f"{at}: nothing is greater or less than None; compare with == or !=")
    return literals.fitting(operand, literals.parse(plain, at), at, equality=equality)


def _plain(value: object, operand: nodes.Operand, at: str) -> object:
    if isinstance(value, Field | Condition | Conditional) or field_of(value) is not None:
        raise QueryError(f"{at} is compared with a field, and queries cannot compare two")
    if isinstance(value, enum.Enum):
        value = value.value
    if type(value).__module__ == _NUMBERLIKE and hasattr(value, "item"):
        value = cast("Any", value).item()
    if isinstance(value, datetime | date):
        return _time(value, operand, at)
    if isinstance(value, timedelta):
        if operand != nodes.ColumnField("latency_ms"):
            raise QueryError(f"{at} is compared with a timedelta, and only the latency can be")
        return value / timedelta(milliseconds=1)
    if isinstance(value, bool):
        return value
    # Types of users' own that derive from these compare as these.
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(value) if isinstance(value, str) else value


def _time(value: date, operand: nodes.Operand, at: str) -> int:
    if isinstance(operand, nodes.Size | nodes.Convert) or not literals.is_time(operand):
        raise QueryError(f"{at} is no time column; compare it with the text that is stored there")
    if not isinstance(value, datetime):
        return clock.to_us(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if value.tzinfo is None:
        raise QueryError(
            f"{at}: {value.isoformat()} has no zone; write datetime(…, tzinfo=UTC), "
            "or .astimezone() for the machine's own"
        )
    return clock.to_us(value)


def _text(given: object, method: str) -> str:
    if not isinstance(given, str):
        raise QueryError(f"{method} takes a text, not {_short(given)}")
    found = literals.parse(str.__str__(given), method)
    assert isinstance(found, str)
    return found


def _short(value: object) -> str:
    return shapes.short(value)


__all__ = [
    "Columns",
    "DurationField",
    "Field",
    "Moment",
    "NumberField",
    "Place",
    "Scalar",
    "StatusField",
    "TextField",
    "TimeField",
    "attributes",
    "field_of",
    "inputs",
    "output",
    "summary",
]
