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
from kibitz.query import fields, json_form, literals, nodes, shapes, text_fields, text_form
from kibitz.query.nodes import And, Compare, Contains, Exists, In, Literal_, Matches, Node, Not, Or

Scalar = bool | int | float | str
Moment = datetime | date | str | int
"""A time: with a zone, a day (its midnight in UTC), RFC 3339 text, or microseconds since 1970."""

V = TypeVar("V")
_JOIN = (
    "join conditions with & | ~ and put each in parentheses, "
    '(calls.op == "answer") & (calls.latency > 100); '
    "Python's and, or, not, if and a < b < c cannot be used on them"
)
_PARENTHESES = (
    "& and | bind closer than comparisons; put each comparison in parentheses, "
    '(calls.op == "answer") & (calls.latency > 100)'
)
_NUMBERLIKE = "numpy"
_MAX_INDEX = 10**9
"""What an index can be, see `fields.is_index`."""


class Condition:
    """Something that holds for a call or does not; see `docs/explanation/semantics.md` for when.

    Short names of feedback in it mean what the project knows under them when it is asked.
    """

    __slots__ = ("_conditions", "_depth", "_node", "_values")

    def __init__(self, node: Node) -> None:
        """A condition from the node that it is.

        Raises:
            QueryError: it is over a bound of queries.
        """
        self._node = node
        self._conditions, self._depth, self._values = _measure(node)
        _check_bounds(self._conditions, self._depth, self._values)

    @classmethod
    def _joined(cls, node: Node, conditions: int, depth: int, values: int) -> Condition:
        """The same, where the measures of the parts are known: a long chain is not measured at each link."""
        _check_bounds(conditions, depth, values)
        made = cls.__new__(cls)
        made._node, made._conditions, made._depth, made._values = node, conditions, depth, values
        return made

    @property
    def node(self) -> Node:
        """What it compiles to, where the names of a project are not known: a short name is a runnable then."""
        return resolve(self._node, text_fields.Types(None))

    def resolved(self, known_types: Iterable[str]) -> Node:
        """What it compiles to among the feedback types of a project; see `text_fields.Types`. Raises `QueryError`."""
        return resolve(self._node, text_fields.Types(known_types))

    def to_json(self) -> dict[str, Any]:
        """The `{"$expr": …}` of the HTTP API, with short names as runnables."""
        return json_form.where_to_json(self.node)

    def to_text(self) -> str:
        """The text spelling; raises `QueryError` where it is longer than a text may be."""
        return text_form.format(self._node)

    def __and__(self, other: Condition | Conditional) -> Condition:
        return _both(And, self, other)

    def __or__(self, other: Condition | Conditional) -> Condition:
        return _both(Or, self, other)

    def __invert__(self) -> Condition:
        if isinstance(self._node, Compare) and self._node.operator == "eq":
            # JSON has $ne for it, which is one condition.
            return self._joined(Not(self._node), self._conditions, self._depth, self._values)
        return self._joined(Not(self._node), self._conditions + 1, self._depth + 1, self._values)

    def __bool__(self) -> NoReturn:
        raise QueryError(f"a condition is not true or false before it is asked; {_JOIN}")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Condition)
            and self._node == other._node
            # 1, 1.0 and true are one to Python and three things to a query.
            and repr(self._node) == repr(other._node)
        )

    def __hash__(self) -> int:
        return hash(self._node)

    def __repr__(self) -> str:
        try:
            return self.to_text()
        except QueryError:
            return f"<{self._conditions} conditions>"


class Conditional:
    """What is a condition by itself where one is expected: a judgement, of which is asked whether it is there."""

    __slots__ = ()

    def exists(self) -> Condition:
        raise NotImplementedError

    def __and__(self, other: Condition | Conditional) -> Condition:
        return self.exists() & other

    def __or__(self, other: Condition | Conditional) -> Condition:
        return self.exists() | other

    def __invert__(self) -> Condition:
        return ~self.exists()


class Order:
    """A field to sort by, and in which direction."""

    __slots__ = ("_key",)

    def __init__(self, key: nodes.SortKey) -> None:
        self._key = key

    def resolved(self, known_types: Iterable[str] | None) -> nodes.SortKey:
        """The key, with short names of feedback resolved. Raises `QueryError`."""
        operand = resolve_operand(self._key.field, text_fields.Types(known_types))
        return nodes.SortKey(operand, self._key.descending)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return text_form.format(sort=[self._key]).removeprefix("sort ")


class Field(Generic[V]):
    """Something that a call has, to compare with values of type `V` and to sort by."""

    __slots__ = ("_operand",)
    _operand: nodes.Operand

    def __init__(self, operand: nodes.Operand) -> None:
        self._operand = operand

    @property
    def operand(self) -> nodes.Operand:
        """The node that it compiles to; a short name of feedback is a runnable here."""
        return resolve_operand(self._operand, text_fields.Types(None))

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
        return _test(In(_checked(self._operand), tuple(found)))

    def exists(self) -> Condition:
        """It is there, be it null. A column without a value is not there."""
        return _test(Exists(_checked(self._operand)))

    def asc(self) -> Order:
        """Sort by it, the least first; what has no value comes last. Raises `QueryError` where it has no order."""
        return Order(nodes.SortKey(_leaf(self._operand)))

    def desc(self) -> Order:
        """Sort by it, the greatest first; what has no value comes last. Raises `QueryError` where it has no order."""
        return Order(nodes.SortKey(_leaf(self._operand), descending=True))

    def _compare(self, operator: nodes.Comparison, value: object) -> Condition:
        found = _literal(self._operand, value, equality=operator == "eq")
        return _test(Compare(_checked(self._operand), operator, found))

    def __hash__(self) -> int:
        return hash(self._operand)

    def __repr__(self) -> str:
        return text_fields.format(self._operand)

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"{_shown(self)} is no condition by itself; write {_shown(self)} == True or "
            f"{_shown(self)}.exists(), and {_JOIN}"
        )

    def __iter__(self) -> NoReturn:
        # Python would ask for the items 0, 1, 2 … without end.
        raise QueryError(f"{_shown(self)} names a place in many calls and cannot be gone through")

    def __contains__(self, value: object) -> NoReturn:
        raise QueryError(
            f"Python's in cannot be used; write {_shown(self)}.contains(…), or FIELD.is_in([…])"
        )

    if not TYPE_CHECKING:
        # Checkers say by themselves that a field cannot be joined.

        def __and__(self, other: object) -> NoReturn:
            raise QueryError(f"{_shown(self)} is no condition by itself: {_PARENTHESES}")

        __or__ = __rand__ = __ror__ = __and__

        def __invert__(self) -> NoReturn:
            raise QueryError(
                f"{_shown(self)} is no condition by itself; write {_shown(self)} != True"
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
        return _test(node)

    def matches(self, pattern: str, *, case_insensitive: bool = False) -> Condition:
        """It is a text in which a regular expression is found, or has such a text anywhere below it.

        Args:
            pattern: as RE2 has them: without looking around and without references back. Checked when it is asked.
            case_insensitive: letters of either case are the same.
        """
        self._check_text("matches")
        node = Matches(_checked(self._operand), _text(pattern, "matches"), bool(case_insensitive))
        return _test(node)

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
                f"{_shown(self)} is a number and has no {method}(); compare it with >= and <"
            )

    def _base(self, method: str) -> nodes.Field:
        if isinstance(self._operand, nodes.Size | nodes.Convert):
            raise QueryError(f"{_shown(self)} is worked out already and has no {method}()")
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
                f"[{_short(key)}] below {_shown(self)} is no key; keys are texts, and whole numbers from 0 on"
            )
        return self._below(str(key))

    def _below(self, key: str) -> Place[V]:
        field = self._base("key")
        if isinstance(field, nodes.ColumnField):
            raise QueryError(f"{_shown(self)} is a column and has nothing below it")
        if len(field.path) == fields.MAX_PARTS:
            raise QueryError(
                f"a path has at most {fields.MAX_PARTS} keys; {_shown(self)} has as many already"
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


def all_of(*conditions: Condition | Conditional) -> Condition:
    """All of them hold, however many there are. Raises `QueryError` for none."""
    return _several(And, conditions)


def any_of(*conditions: Condition | Conditional) -> Condition:
    """One of them holds, however many there are. Raises `QueryError` for none."""
    return _several(Or, conditions)


def condition_of(given: object) -> Condition:
    """A condition from what stands where one is expected; raises `QueryError` where it is none."""
    if isinstance(given, Condition):
        return given
    if isinstance(given, Conditional):
        return given.exists()
    if isinstance(given, Field):
        shown = _shown(cast("Field[Any]", given))
        raise QueryError(f"{shown} is no condition by itself; compare it or ask .exists()")
    raise QueryError(
        f"{_short(given)} is no condition; write one such as calls.op == 'answer'. "
        "True or False is what is left of one that Python's own and, or or == was used on"
    )


def field_of(given: object) -> nodes.Operand | None:
    """The node of a field, short names of feedback in it unresolved; None where it is no field."""
    if isinstance(given, Field):
        return given._operand  # pyright: ignore[reportPrivateUsage] a field of this module
    # The facade has an object that is a field and something else.
    found = getattr(type(given), "__kibitz_field__", None)
    return None if found is None else field_of(found(given))


def resolve(node: Node, types: text_fields.Types) -> Node:
    """A node with the short names of feedback in it resolved. Raises `QueryError`."""
    match node:
        case And(below):
            return And(tuple(resolve(each, types) for each in below))
        case Or(below):
            return Or(tuple(resolve(each, types) for each in below))
        case Not(inner):
            return Not(resolve(inner, types))
        case _:
            operand = resolve_operand(node.field, types)
            return node if operand is node.field else dataclasses.replace(node, field=operand)


def resolve_operand(operand: nodes.Operand, types: text_fields.Types) -> nodes.Operand:
    """An operand with its short name of feedback resolved. Raises `QueryError`."""
    field = nodes.base(operand)
    if not isinstance(field, text_fields.ShortName):
        return operand
    whole = nodes.FeedbackField(
        types.resolve(field.type), field.path, field.over, field.part, field.version
    )
    if isinstance(operand, nodes.Size | nodes.Convert):
        return dataclasses.replace(operand, field=whole)
    return whole


def _both(kind: type[And] | type[Or], left: Condition, right: Condition | Conditional) -> Condition:
    if isinstance(right, Field):
        raise QueryError(f"{_shown(right)} is no condition by itself: {_PARENTHESES}")
    return _several(kind, (left, condition_of(right)), flat=True)


def _several(
    kind: type[And] | type[Or],
    given: Iterable[Condition | Conditional],
    *,
    flat: bool = False,
) -> Condition:
    """Conditions joined. `flat`: the first, where it is of this kind, is gone on with: `a & b & c` is one."""
    below: list[Node] = []
    conditions, depth, values = 1, 0, 0
    for n, each in enumerate(given):
        one = condition_of(each)
        node, its_conditions, its_depth = one._node, one._conditions, one._depth  # pyright: ignore[reportPrivateUsage] of this module
        values += one._values  # pyright: ignore[reportPrivateUsage]
        if flat and n == 0 and isinstance(node, kind) and len(node.nodes) > 1:
            below += node.nodes
            conditions += its_conditions - 1
            depth = its_depth - 1
        else:
            below.append(node)
            conditions += its_conditions
            depth = max(depth, its_depth)
        if conditions > json_form.MAX_NODES:
            break
    if not below:
        raise QueryError(f"{kind.__name__} of no conditions says nothing; leave it out")
    return Condition._joined(kind(tuple(below)), conditions, depth + 1, values)  # pyright: ignore[reportPrivateUsage]


def _test(node: nodes.Test) -> Condition:
    values = len(node.values) if isinstance(node, In) else 0 if isinstance(node, Exists) else 1
    return Condition._joined(node, 1, 1, values)  # pyright: ignore[reportPrivateUsage]


def _measure(node: Node, depth: int = 1) -> tuple[int, int, int]:
    """How many conditions it is, how deep, and how many values it has, as JSON counts them."""
    if depth > json_form.MAX_DEPTH:
        return 1, depth, 0
    match node:
        case And(below) | Or(below):
            each = [_measure(one, depth + 1) for one in below]
            return (
                1 + sum(one[0] for one in each),
                1 + max((one[1] for one in each), default=0),
                sum(one[2] for one in each),
            )
        case Not(Compare(_, "eq", _)):
            return 1, 1, 1
        case Not(inner):
            conditions, its_depth, values = _measure(inner, depth + 1)
            return conditions + 1, its_depth + 1, values
        case In(_, values):
            return 1, 1, len(values)
        case _:
            return 1, 1, 0 if isinstance(node, Exists) else 1


def _check_bounds(conditions: int, depth: int, values: int) -> None:
    if conditions > json_form.MAX_NODES:
        raise QueryError(
            f"the query has more than {json_form.MAX_NODES} conditions; "
            "use is_in for many values of one field"
        )
    if depth > json_form.MAX_DEPTH:
        raise QueryError(
            f"nested deeper than {json_form.MAX_DEPTH} conditions; flatten it: "
            "a & b & c is one condition, and so are all_of(…) and any_of(…)"
        )
    if values > json_form.MAX_VALUES:
        raise QueryError(f"the query has more than {json_form.MAX_VALUES:,} values")


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


def _shown(field: Field[Any]) -> str:
    text = repr(field)
    return text if len(text) <= 80 else text[:79] + "…"


def _short(value: object) -> str:
    return shapes.short(value)


__all__ = [
    "Columns",
    "Condition",
    "Conditional",
    "DurationField",
    "Field",
    "Moment",
    "NumberField",
    "Order",
    "Place",
    "Scalar",
    "StatusField",
    "TextField",
    "TimeField",
    "all_of",
    "any_of",
    "attributes",
    "condition_of",
    "field_of",
    "inputs",
    "output",
    "resolve",
    "resolve_operand",
    "summary",
]
