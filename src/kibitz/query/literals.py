"""Literals: which values a query can name, and which a field can be compared with.

Texts are bounded and read as a store keeps them, whole numbers beyond 64 bits become the double they compare
as, and for a time column text becomes microseconds since 1970. A comparison that could never hold is an error.
"""

from __future__ import annotations

import contextlib
import math
import re
from datetime import UTC, datetime
from typing import get_args

from kibitz.base import clock
from kibitz.base.errors import QueryError
from kibitz.base.records import CallStatus
from kibitz.query import fields, shapes
from kibitz.query.nodes import ColumnField, Convert, FeedbackField, Literal_, Operand, Size, base

MAX_BYTES = 10_000
STATUSES: tuple[str, ...] = get_args(CallStatus)

_BOOLEAN_WORDS = {"true": True, "false": False}
_INT64 = 1 << 63
_FIRST_US = clock.to_us(datetime.min.replace(tzinfo=UTC))
_LAST_US = clock.to_us(datetime.max.replace(tzinfo=UTC))
_RFC_3339 = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)([Tt ](?P<time>\d\d:\d\d:\d\d(\.\d{1,9})?)(?P<zone>[Zz]|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


def parse(value: object, at: str) -> Literal_:
    """A literal as nodes hold it; raises `QueryError` for what cannot be compared with anything."""
    if isinstance(value, str):
        if len(value.encode(errors="surrogatepass")) > MAX_BYTES:
            raise QueryError(
                f"{at} is longer than {MAX_BYTES:,} bytes; compare with less text", at=at
            )
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise QueryError(
                f"{at} {shapes.short(value)} has half of a surrogate pair, which no stored text has",
                at=at,
            ) from error
        return value.replace("\0", "␀")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
        raise QueryError(f"{at} is not a finite number; write $exists or a text", at=at)
    raise QueryError(
        f"{at} {shapes.short(value)} is not a text, number, boolean or null, and nothing else can be compared",
        at=at,
    )


def fitting(field: Operand, value: Literal_, at: str, *, equality: bool) -> Literal_:
    """The value as the field compares with it; raises `QueryError` where the comparison could never hold."""
    if value is None:
        if not equality:
            raise QueryError(f"{at}: nothing is greater or less than null; use $eq or $ne", at=at)
        return None
    if isinstance(field, Size | Convert):
        return _fitting_derived(field, value, at)
    if isinstance(field, FeedbackField):
        return _fitting_feedback(field, value, at)
    if not isinstance(field, ColumnField):
        return value
    if is_time(field):
        return parse_time(value, at, field.name)
    if field.name in fields.NUMBER_COLUMNS:
        if isinstance(value, bool | str):
            unit = "; write milliseconds" if field.name == "latency_ms" else ""
            raise QueryError(
                f"{at} {shapes.short(value)} is not a number, and {field.name} is{unit}",
                at=at,
            )
        return value
    if not isinstance(value, str):
        raise QueryError(
            f"{at} {shapes.short(value)} is not a text, and {field.name} is; write {str(value)!r}",
            at=at,
        )
    if field.name == "status" and equality:
        return shapes.word(value, at, STATUSES)
    return value


def _fitting_derived(operand: Size | Convert, value: Literal_, at: str) -> Literal_:
    kind = "number" if isinstance(operand, Size) or operand.to == "integer" else operand.to
    is_kind = {
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "text": isinstance(value, str),
        "bool": isinstance(value, bool),
    }[kind]
    if not is_kind:
        noun = {"number": "a number", "text": "a text", "bool": "true or false"}[kind]
        raise QueryError(
            f"{at} {shapes.short(value)} is not {noun}, and {fields.format(operand)} is", at=at
        )
    return value


def check_derived(operand: Operand, at: str) -> None:
    """Refuse what can never be worked out; raises `QueryError`."""
    if not isinstance(operand, Size | Convert):
        return
    field = base(operand)
    name = fields.format(field)
    if isinstance(field, FeedbackField) and is_whole(field):
        raise needs_leaf(field, at)
    if is_time(field):
        raise QueryError(f"{at}: {name} is a time and compares as it is", at=at, suggestion=name)
    if isinstance(operand, Size) and is_number(field):
        # Over several authors the sizes of what they say are taken together.
        if isinstance(field, FeedbackField) and field.part == "payload":
            return
        raise QueryError(f"{at}: {name} is a number and has no size", at=at, suggestion=name)


def _fitting_feedback(field: FeedbackField, value: Literal_, at: str) -> Literal_:
    if is_whole(field):
        raise needs_leaf(field, at)
    name = fields.format(field)
    if is_time(field):
        return parse_time(value, at, name)
    if is_number(field) and isinstance(value, bool | str):
        raise QueryError(f"{at} {shapes.short(value)} is not a number, and {name} is", at=at)
    if field.over == "agree" and not isinstance(value, bool):
        raise QueryError(
            f"{at} {shapes.short(value)} is neither true nor false, and {name} is", at=at
        )
    if field.part == "author" and not isinstance(value, str):
        raise QueryError(f"{at} {shapes.short(value)} is not a text, and {name} is", at=at)
    return value


def is_time(field: Operand) -> bool:
    """Whether a field holds microseconds since 1970."""
    if isinstance(field, FeedbackField):
        return field.part == "created_at"
    return isinstance(field, ColumnField) and field.name in fields.TIME_COLUMNS


def is_number(field: Operand) -> bool:
    """Whether a field never holds anything but numbers, times among them."""
    if isinstance(field, Size | Convert):
        return isinstance(field, Size) or field.to in ("number", "integer")
    if isinstance(field, FeedbackField):
        return field.part in ("created_at", "count") or field.over in ("mean", "min", "max")
    return is_time(field) or (
        isinstance(field, ColumnField) and field.name in fields.NUMBER_COLUMNS
    )


def is_whole(field: FeedbackField) -> bool:
    """Whether a field names a judgement and nothing that it says."""
    return field.part == "payload" and not field.path


def needs_leaf(field: FeedbackField, at: str) -> QueryError:
    """What to say where a whole judgement stands instead of something that it says."""
    text = fields.format(field)
    return QueryError(
        f"{at}: {text} is a whole judgement; name what it says, such as {text}.payload.output, "
        "or ask with $exists whether there is one",
        at=at,
        suggestion=f"{text}.payload.output",
    )


def parse_time(value: object, at: str, name: str) -> int:
    """RFC 3339 text with a zone, or a whole number, as microseconds since 1970; raises `QueryError`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if -_INT64 <= value < _INT64:
            return value
    elif isinstance(value, str) and (found := _RFC_3339.fullmatch(value)):
        day, time, zone = found["day"], found["time"], found["zone"]
        hint = f"{day}T{time or '00:00:00'}{zone or 'Z'}"
        if time is None or zone is None:
            raise QueryError(
                f"{at} {value!r} has no {'time' if time is None else 'zone'}; write {hint}",
                at=at,
                suggestion=hint,
            )
        # A day or an hour that does not exist is no time, as below.
        with contextlib.suppress(ValueError):
            return clock.to_us(datetime.fromisoformat(hint.upper()))
    raise QueryError(
        f"{at} {shapes.short(value)} is not a time for {name}; write 2026-01-31T12:00:00Z or microseconds since 1970",
        at=at,
    )


def format_time(microseconds: int) -> str | int:
    """RFC 3339 text; the number itself outside of the years 1 to 9999."""
    if _FIRST_US <= microseconds <= _LAST_US:
        return clock.from_us(microseconds).isoformat().replace("+00:00", "Z")
    return microseconds


def boolean_meant(field: Operand, value: Literal_) -> bool | None:
    """The boolean that a text stands for as well, in the habit of other systems' clients; mostly None."""
    if isinstance(field, FeedbackField) and field.part == "payload" and isinstance(value, str):
        return _BOOLEAN_WORDS.get(value)
    return None
