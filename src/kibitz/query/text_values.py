"""Values in a query as text: which literal a bare word or quoted text is, beside the field that it is compared with.

texts       in quotes; bare for columns that hold text (op = answer, id = 3f9c), and elsewhere where the word
            is no number and is not spelled like one
numbers     0.5, -3, 1e6; true, false, null
durations   for latency: 150ms, 2s, 1.5m, 1h; a bare number is milliseconds
times       RFC 3339 with a zone, a day (its midnight in UTC), now, now-24h, microseconds since 1970
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Literal

from kibitz.base import clock
from kibitz.base.errors import QueryError
from kibitz.query import fields, literals, text_fields, text_tokens
from kibitz.query.nodes import ColumnField, Convert, FeedbackField, Literal_, Operand
from kibitz.query.text_tokens import Token

RESERVED = frozenset(
    (
        "and",
        "or",
        "not",
        "in",
        "contains",
        "icontains",
        "matches",
        "imatches",
        "exists",
        "is",
        "sort",
        "limit",
    )
)
"""Words that are a text only in quotes."""

_WORDS: dict[str, Literal_] = {"true": True, "false": False, "null": None}
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBERLIKE = re.compile(r"[+-]?\.?[0-9]")
_AMOUNT = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(us|µs|ms|s|m|h|d|w)"
_DURATION = re.compile(_AMOUNT)
_RELATIVE = re.compile(rf"now(?:([+-]){_AMOUNT})?")
_BARE_RELATIVE = re.compile(rf"[+-]{_AMOUNT}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MICROSECONDS = {
    "us": 1,
    "µs": 1,
    "ms": 1000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_LATENCY = ColumnField("latency_ms")
_MAX_DIGITS = 400
"""More are beyond every double, and slow to read."""
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def parse(token: Token, field: Operand, now: datetime | None, *, equality: bool) -> Literal_:
    """The literal that a token is beside a field.

    Raises:
        QueryError: it is none, or could never compare with the field.
    """
    name = text_fields.format(field)
    value = _time(token.text, now) if _holds(field) == "time" else _value(token, field)
    if value is None and not equality:
        raise QueryError("nothing is greater or less than null; use = or !=, or is null")
    return literals.fitting(field, literals.parse(value, name), name, equality=equality)


def parse_text(token: Token) -> str:
    """The text that a token is where only a text can stand; raises `QueryError`."""
    text = literals.parse(token.text, "the text")
    assert isinstance(text, str)
    return text


def format(field: Operand, value: Literal_) -> str:
    """The text of a literal beside a field; `parse` gives the same value back.

    Raises:
        QueryError: no query can compare them.
    """
    name = text_fields.format(field)
    value = literals.fitting(field, literals.parse(value, name), name, equality=True)
    if _holds(field) == "time" and isinstance(value, int):
        return str(literals.format_time(value))
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value if _may_be_bare(value) else text_tokens.quote(value)
        case _:
            return repr(value)


def _holds(field: Operand) -> Literal["text", "time", "number", "any"]:
    if literals.is_time(field):
        return "time"
    if literals.is_number(field):
        return "number"
    if isinstance(field, Convert):
        return "text" if field.to == "text" else "any"
    is_author = isinstance(field, FeedbackField) and field.part == "author"
    return "text" if is_author or isinstance(field, ColumnField) else "any"


def _value(token: Token, field: Operand) -> Literal_:
    if token.kind == "text":
        return token.text
    word = token.text
    if word.lower() == "null":
        return None
    if _holds(field) == "text":
        return word
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if _NUMBER.fullmatch(word):
        return _number(word)
    if field == _LATENCY and (found := _DURATION.fullmatch(word)):
        milliseconds = _microseconds(found[1], found[2]) / 1000
        return int(milliseconds) if milliseconds == int(milliseconds) else float(milliseconds)
    if _NUMBERLIKE.match(word):
        raise QueryError(
            f"{token.shown} is no number; put it in quotes if it is a text",
            suggestion=text_tokens.quote(word[:80]),
        )
    return word


def _number(word: str) -> int | float:
    if _WHOLE.fullmatch(word) and len(word) <= _MAX_DIGITS:
        return int(word)
    return float(word)


def _time(text: str, now: datetime | None) -> Literal_:
    if text.lower() == "null":
        return None
    if found := _RELATIVE.fullmatch(text):
        if now is None:
            raise QueryError(f"{text} is not known here; write a time such as 2026-01-31T12:00:00Z")
        offset = int(_microseconds(found[2], found[3])) if found[1] else 0
        return clock.to_us(now) + (offset if found[1] == "+" else -offset)
    if _BARE_RELATIVE.fullmatch(text):
        raise QueryError(f"write now{text}", suggestion=f"now{text}")
    if _WHOLE.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text)
    return f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text


def _microseconds(amount: str, unit: str) -> Decimal:
    return Decimal(amount) * _MICROSECONDS[unit]


def check_bare(token: Token) -> None:
    """Refuse a word that was more likely meant as something else than a text."""
    word = token.text
    if word.lower() in RESERVED:
        raise QueryError(f"a value is missing before {token.shown}; in quotes it would be a text")
    if text_fields.looks_like_field(token.parts):
        raise QueryError(
            f"{token.shown} is a field, and queries cannot compare two; "
            "put it in quotes if it is a text",
            suggestion=text_tokens.quote(word[:80]),
        )
    if "\\" in word or any(each.quoted or each.bracketed for each in token.parts):
        raise QueryError("put the whole text in quotes")


def _may_be_bare(text: str) -> bool:
    if not _BARE.fullmatch(text) or text.lower() in RESERVED or text.lower() in _WORDS:
        return False
    root, dot, _ = text.partition(".")
    root = text_fields.ALIASES.get(root, root)
    return root not in text_fields.ROOTS or (bool(dot) and root in fields.COLUMNS)
