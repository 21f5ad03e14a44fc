"""Conditions as Python joins them: `&`, `|` and `~`, never larger than a query may be. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NoReturn

from kibitz.base.errors import QueryError
from kibitz.query import json_form, nodes, shapes, text_fields, text_form
from kibitz.query.nodes import And, Compare, Exists, In, Node, Not, Or

JOIN = (
    "join conditions with & | ~ and put each in parentheses, "
    '(calls.op == "answer") & (calls.latency > 100); '
    "Python's and, or, not, if and a < b < c cannot be used on them"
)
PARENTHESES = (
    "& and | bind closer than comparisons; put each comparison in parentheses, "
    '(calls.op == "answer") & (calls.latency > 100)'
)


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
        raise QueryError(f"a condition is not true or false before it is asked; {JOIN}")

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


class Comparable:
    """What is compared, and no condition by itself."""

    __slots__ = ()


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
    if isinstance(given, Comparable):
        raise QueryError(f"{shown(given)} is no condition by itself; compare it or ask .exists()")
    raise QueryError(
        f"{shapes.short(given)} is no condition; write one such as calls.op == 'answer'. "
        "True or False is what is left of one that Python's own and, or or == was used on"
    )


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
    if isinstance(right, Comparable):
        raise QueryError(f"{shown(right)} is no condition by itself: {PARENTHESES}")
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


def test(node: nodes.Test) -> Condition:
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


def shown(given: object) -> str:
    """What is printed of an expression in a message, bounded."""
    text = repr(given)
    return text if len(text) <= 80 else text[:79] + "…"
