"""What a query means, over plain records. This is the specification; a store must agree with it.

    a comparison     true or false, never unknown. Kinds are bool, number and text; different kinds never
                     match. Numbers compare as IEEE doubles, text by code point.
    missing, null    equal null; every other comparison with them is false. A place that holds null exists;
                     a column without a value does not.
    a path           a part is a key of an object; a part of digits is an index of a list. Objects and
                     lists equal nothing.
    contains         a text within a text, or within any text below an object or list; keys do not count.
                     `case_insensitive` makes the letters A-Z and a-z the same and no others.
    feedback         Of each author the newest of the type on the call stands, by `created_at`, then arrival;
                     of reactions and notes each. Its payload alone counts: what it does not say is missing,
                     whatever older feedback said. A retraction takes back a feedback and what its author had
                     said before it. With a version, only feedback that it made is there at all.
    over             latest: the newest of those that stand. any: one of them satisfies the comparison. all:
                     there are some and each does. mean, min, max: of their numbers, booleans as 0 and 1.
                     agree: whether two or more say the same; missing for fewer.
    matches          a regular expression in a text, or in any text below an object or list, see `patterns.py`.
    size, convert    see `derived.py`. A list in a payload has its own size, and is converted element by element.
    lists            in a payload: a path goes on into each element, or the one of an index, and a comparison holds if it does for one.
                     They have no place in an order, no mean and no agreement.
    sort             values first, in both directions; bool < number < text; text by its first
                     `SORTED_CHARACTERS`; ties by arrival in the direction of the last key.

Slow and obvious on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never, cast

import msgspec

from kibitz.base import clock, judgements, refs
from kibitz.base.records import Call, Feedback
from kibitz.query import derived, fields, patterns
from kibitz.query.nodes import (
    And,
    CallQuery,
    ColumnField,
    Compare,
    Contains,
    Convert,
    Exists,
    FeedbackField,
    In,
    Literal_,
    Matches,
    Node,
    Not,
    Operand,
    Or,
    PathField,
    Size,
    SortKey,
    Test,
    base,
)

SORTED_CHARACTERS = 256
DEFAULT_SORT = (SortKey(ColumnField("started_at"), descending=True),)
MISSING: Final = derived.MISSING
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
        case Exists() | In() | Contains() | Matches() | Compare():
            field = base(node.field)
            if isinstance(field, FeedbackField):
                return _judged(node, field, record)
            return _holds(node, look_up(node.field, record))
        case _:
            assert_never(node)


def _holds(node: Test, found: Any) -> bool:
    match node:
        case Exists():
            return found is not MISSING
        case In(_, values):
            return any(_equal(found, value) for value in values)
        case Contains(_, text, case_insensitive):
            return _contains(found, text, case_insensitive)
        case Matches(_, pattern, case_insensitive):
            compiled = patterns.compile(pattern, case_insensitive)
            return any(compiled.is_in(each) for each in _texts(found))
        case Compare(_, operator, value):
            return _equal(found, value) if operator == "eq" else _ordered(found, operator, value)
        case _:
            assert_never(node)


def sort_key(operand: Operand, record: Recorded) -> Value | None:
    """What a call is sorted by; None where it has no value and comes last."""
    value = _value(look_up(operand, record))
    if value is not None and isinstance(value[1], str):
        return value[0], value[1][:SORTED_CHARACTERS]
    return value


def look_up(operand: Operand, record: Recorded) -> Any:
    """What a call has at a field: a JSON value, or `MISSING`. Times are microseconds since 1970."""
    match operand:
        case Size(field) | Convert(field):
            if isinstance(field, FeedbackField):
                return _judgement(operand, field, standing(field, record))
            return _derived(operand, look_up(field, record))
        case ColumnField(name):
            value = getattr(record.call, name)
            if isinstance(value, datetime):
                return clock.to_us(value)
            return MISSING if value is None else value
        case PathField(root, path):
            value = getattr(record.call, root)
            return MISSING if value is msgspec.UNSET else _descend(value, path)
        case FeedbackField():
            return _judgement(operand, operand, standing(operand, record))


def _derived(operand: Operand, found: Any) -> Any:
    match operand:
        case Size():
            return derived.size(found)
        case Convert(_, to):
            return derived.convert(found, to)
        case _:
            return found


def standing(field: FeedbackField, record: Recorded) -> list[Feedback]:
    """The feedback on a call that a field speaks of and that stands, newest first."""
    ordered = sorted(record.feedback, key=lambda entry: (entry[0].created_at, entry[1]))
    rows = [
        each
        for each, _ in ordered
        if field.type in ("*", each.type) and _is_by(field.version, each)
    ]
    said = [(index, row) for index, row in enumerate(rows) if row.retracts is None]
    retracted = {(row.type, row.retracts) for row in rows}
    taken_back = {_whose(row): index for index, row in said if (row.type, row.id) in retracted}
    found = {_whose(row): index for index, row in said if index > taken_back.get(_whose(row), -1)}
    return [rows[index] for index in sorted(found.values(), reverse=True)]


def _whose(feedback: Feedback) -> object:
    """What of one author stands in the place of what they said before; of reactions and notes each is its own."""
    own = feedback.id if feedback.type in judgements.COLLECTED else None
    return feedback.type, feedback.author, feedback.author_kind, own


def _is_by(version: str | None, feedback: Feedback) -> bool:
    if version is None or feedback.retracts is not None:
        return True
    made_by = feedback.runnable_ref or feedback.annotation_ref
    return made_by is not None and made_by[-refs.DIGEST_LENGTH :].startswith(version)


def _judged(node: Test, field: FeedbackField, record: Recorded) -> bool:
    """Whether a condition on feedback holds."""
    rows = standing(field, record)
    if field.part == "count" or field.over in ("mean", "min", "max", "agree"):
        return _holds(node, _judgement(node.field, field, rows))
    if not rows:
        return _holds(node, MISSING)
    judged = rows if field.over in ("any", "all") else rows[:1]
    answers = (any(_holds(node, each) for each in _said(node.field, field, row)) for row in judged)
    return all(answers) if field.over == "all" else any(answers)


def _said(operand: Operand, field: FeedbackField, row: Feedback) -> list[Any]:
    """What one feedback says at a field: one value, or those of the elements of a list."""
    return _worded(operand, field, row)[0] or [MISSING]


def _worded(operand: Operand, field: FeedbackField, row: Feedback) -> tuple[list[Any], bool]:
    """The values that one feedback has at a field, and whether there was a list on the way."""
    match field.part:
        case "author":
            found, through_list = [row.author], False
        case "created_at":
            found, through_list = [clock.to_us(row.created_at)], False
        case _:
            whole = isinstance(operand, Size)
            found, through_list = _reach(row.payload, field.path, whole=whole)
    return [_derived(operand, each) for each in found], through_list


def _judgement(operand: Operand, field: FeedbackField, rows: list[Feedback]) -> Any:
    """The one value that a field has over all feedback that stands; what it is sorted by."""
    if field.part == "count":
        return _derived(operand, len(rows))
    if not rows:
        return MISSING
    said: list[Any] = []
    for row in rows:
        values, through_list = _worded(operand, field, row)
        said.append(MISSING if through_list or not values else values[0])
    if field.over in ("latest", "any", "all"):
        return said[0]
    if field.over == "agree":
        ranked = [_value(each) for each in said]
        return MISSING if len(rows) < 2 else ranked[0] is not None and len(set(ranked)) == 1
    numbers = [_double(each) for each in said if isinstance(each, int | float)]
    if not numbers:
        return MISSING
    if field.over == "min":
        return min(numbers)
    if field.over == "max":
        return max(numbers)
    # In the order in which they were said, since a sum of doubles depends on it.
    mean = sum(reversed(numbers)) / len(numbers)
    return MISSING if math.isnan(mean) else mean


def _reach(
    value: Any, path: tuple[str, ...], in_list: bool = False, *, whole: bool = False
) -> tuple[list[Any], bool]:
    """The values at a path below a payload, past lists to each element, and whether there was a list.

    A list at the end of the path is one value where it is taken `whole`.
    """
    if isinstance(value, list) and (path or not whole):
        if path and fields.is_index(path[0]):
            elements = cast("list[Any]", value)[int(path[0]) : int(path[0]) + 1]
            if not elements:
                return [], in_list
            return _reach(elements[0], path[1:], in_list, whole=whole)
        reached = [_reach(each, path, True, whole=whole)[0] for each in cast("list[Any]", value)]
        return [each for values in reached for each in values], True
    if not path:
        return [value], in_list
    if isinstance(value, dict) and path[0] in value:
        return _reach(cast("dict[str, Any]", value)[path[0]], path[1:], in_list, whole=whole)
    return [], in_list


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
