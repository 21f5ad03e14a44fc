"""What a query means, over plain records. This is the specification; a store must agree with it.

    a comparison     true or false, never unknown. Kinds are bool, number and text; different kinds never
                     match. Numbers compare as IEEE doubles, text by code point.
    missing, null    equal null; every other comparison with them is false. A place that holds null exists;
                     a column without a value does not.
    a path           a part is a key of an object; a part of digits is an index of a list. Objects and
                     lists equal nothing.
    contains         a text within a text, or within any text below an object or list; keys do not count.
                     `case_insensitive` makes the letters A-Z and a-z the same and no others.
    feedback         the newest of the type on the call, by `created_at`, then arrival. Its payload alone
                     counts: what it does not say is missing, whatever older feedback said.
    sort             values first, in both directions; bool < number < text; text by its first
                     `SORTED_CHARACTERS`; ties by arrival in the direction of the last key.

Slow and obvious on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never, cast

import msgspec

from kibitz.base import clock
from kibitz.base.records import Call, Feedback
from kibitz.query import fields
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    Exists,
    FeedbackField,
    Field,
    In,
    Literal_,
    Node,
    Not,
    Or,
    PathField,
    SortKey,
)

SORTED_CHARACTERS = 256
DEFAULT_SORT = (SortKey(ColumnField("started_at"), descending=True),)
MISSING: Final = object()
"""What is found where there is nothing."""

_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

Value = tuple[int, bool | float | str]
"""A value as it compares: the rank of its kind, then itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A whole call and the feedback on it."""

    call: Call
    arrival: int
    """Its place in the order in which the store first heard of each call, be it by feedback on it."""
    feedback: tuple[tuple[Feedback, int], ...] = ()
    """Each with its place in the order of arrival."""


def run(query: CallQuery, records: Iterable[Recorded]) -> list[str]:
    """The ids of the calls that a query gives, all pages together."""
    found = [each for each in records if query.where is None or matches(query.where, each)]
    sort = query.sort or DEFAULT_SORT
    found.sort(key=lambda each: each.arrival, reverse=sort[-1].descending)
    for key in reversed(sort):
        valued = [(rank, each) for each in found if (rank := sort_key(key.field, each)) is not None]
        valued.sort(key=lambda pair: pair[0], reverse=key.descending)
        found = [each for _, each in valued] + [
            each for each in found if sort_key(key.field, each) is None
        ]
    return [each.call.id for each in found]


def matches(node: Node, record: Recorded) -> bool:
    """Whether a condition holds for a call."""
    match node:
        case And(nodes):
            return all(matches(each, record) for each in nodes)
        case Or(nodes):
            return any(matches(each, record) for each in nodes)
        case Not(inner):
            return not matches(inner, record)
        case Exists(field):
            return look_up(field, record) is not MISSING
        case In(field, values):
            return any(_equal(look_up(field, record), value) for value in values)
        case Contains(field, text, case_insensitive):
            return _contains(look_up(field, record), text, case_insensitive)
        case Compare(field, operator, value):
            found = look_up(field, record)
            return _equal(found, value) if operator == "eq" else _ordered(found, operator, value)
        case _:
            assert_never(node)


def sort_key(field: Field, record: Recorded) -> Value | None:
    """What a call is sorted by; None where it has no value and comes last."""
    value = _value(look_up(field, record))
    if value is not None and isinstance(value[1], str):
        return value[0], value[1][:SORTED_CHARACTERS]
    return value


def look_up(field: Field, record: Recorded) -> Any:
    """What a call has at a field: a JSON value, or `MISSING`. Times are microseconds since 1970."""
    match field:
        case ColumnField(name):
            value = getattr(record.call, name)
            if isinstance(value, datetime):
                return clock.to_us(value)
            return MISSING if value is None else value
        case PathField(root, path):
            value = getattr(record.call, root)
            return MISSING if value is msgspec.UNSET else _descend(value, path)
        case FeedbackField(type_, path):
            of_type = [
                (each.created_at, n, each) for each, n in record.feedback if each.type == type_
            ]
            if not of_type:
                return MISSING
            newest = max(of_type, key=lambda entry: entry[:2])[2]
            return _descend(newest.payload, path)


def _descend(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(value, dict) and part in value:
            value = cast("dict[str, Any]", value)[part]
        elif isinstance(value, list) and fields.is_index(part):
            elements = cast("list[Any]", value)
            if int(part) >= len(elements):
                return MISSING
            value = elements[int(part)]
        else:
            return MISSING
    return value


def _value(found: Any) -> Value | None:
    if isinstance(found, bool):
        return 0, found
    if isinstance(found, int | float):
        return 1, _double(found)
    if isinstance(found, str):
        return 2, found
    return None


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _equal(found: Any, wanted: Literal_) -> bool:
    if wanted is None:
        return found is None or found is MISSING
    return _value(found) == _value(wanted)


def _ordered(found: Any, operator: str, wanted: Literal_) -> bool:
    left, right = _value(found), _value(wanted)
    if left is None or right is None or left[0] != right[0]:
        return False
    return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[
        operator
    ]


def _contains(found: Any, text: str, case_insensitive: bool) -> bool:
    if case_insensitive:
        wanted = text.translate(_FOLD)
        return any(wanted in each.translate(_FOLD) for each in _texts(found))
    return any(text in each for each in _texts(found))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        below = cast("dict[str, Any] | list[Any]", value)
        for each in below.values() if isinstance(below, dict) else below:
            yield from _texts(each)
