r"""Fields as text: how every spelling of a query names a place in a call.

    op, status, started_at, latency_ms …          a column of the call
    inputs.user.name, output, summary.cost        a place in one of its JSON values
    feedback.[runnable.exact].payload.output      a leaf of the newest feedback of a type
    feedback.[runnable.exact].mean.payload.output the same over several authors: latest (which may be left out),
                                                  any, all, mean, min, max, agree
    feedback.[runnable.exact].author              who judged; .any.author: each who did
    feedback.[runnable.exact].created_at          when; .count: how many judgements stand
    feedback.[runnable.exact]@3f9c.payload.output made by the version whose digest begins so
    feedback.[runnable.exact]                     the feedback itself, for "is there any"; feedback.[*] of any type

Where something can be worked out from a field (`parse_operand`), that is spelled as a function of it: size(output.items),
number(output.score), integer(…), text(…), bool(…).

Dots part the keys. `\.` is a dot in a key and `\\` a backslash; between the brackets of a type `\]` is a
closing bracket. A part of digits is a key of an object or an index of a list (`is_index`). An empty part
is the empty key. A NUL is read as U+2400, which is what a store makes of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Literal, get_args

from kibitz.base.errors import QueryError
from kibitz.query.nodes import (
    Column,
    ColumnField,
    Convert,
    ConvertTo,
    FeedbackField,
    FeedbackPartName,
    Field,
    Operand,
    Over,
    PathField,
    Root,
    Size,
)

MAX_CHARACTERS = 1024
MAX_PARTS = 32
MAX_DIGIT_PARTS = 3
"""Each such part may be a key or an index, so that a store has two places to look at for each."""

COLUMNS: tuple[Column, ...] = get_args(Column)
ROOTS: tuple[Root, ...] = get_args(Root)
TIME_COLUMNS: frozenset[Column] = frozenset(("started_at", "ended_at"))
NUMBER_COLUMNS: frozenset[Column] = frozenset(
    ("latency_ms", "input_tokens", "output_tokens", "tokens", "cost")
)
"""Those that hold numbers and no times."""

CONVERSIONS: tuple[ConvertTo, ...] = get_args(ConvertTo)
SIZE = "size"
FUNCTIONS: tuple[str, ...] = (SIZE, *CONVERSIONS)
"""What is worked out from a field is spelled so."""

OVERS: tuple[Over, ...] = get_args(Over)
PARTS: tuple[FeedbackPartName, ...] = get_args(FeedbackPartName)

_FEEDBACK = "feedback"
_VERSION = re.compile("[0-9a-f]{1,40}")
_OPENING = "feedback.["
_PAYLOAD = "payload"
_KNOWN = (*COLUMNS, *ROOTS, _FEEDBACK)
_ABOUT_FEEDBACK = "feedback is spelled feedback.[type].payload.path"


def parse(text: str) -> Field:
    """The field that a text names.

    Raises:
        QueryError: the text names no field; `at` is the character where it goes wrong, and
            `suggestion` the nearest field where there is one.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"field {_short(text)} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed",
            at=MAX_CHARACTERS,
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise QueryError(
            f"field {_short(text)} has half of a surrogate pair, which no stored key has", at=0
        )
    text = text.replace("\0", "␀")
    if text.startswith(_OPENING):
        return _parse_feedback(text)
    root, dot, rest = text.partition(".")
    if root in COLUMNS:
        if dot:
            raise QueryError(
                f"field {_short(text)}: {root} is a column and has nothing below it; write {root!r}",
                at=len(root),
                suggestion=root,
            )
        return ColumnField(root)
    if root in ROOTS:
        path = parse_path(rest, start=len(root) + 1) if dot else ()
        return PathField(root, path)
    raise _unknown(text, root)


def parse_operand(text: str) -> Operand:
    """The field that a text names, or what it says is worked out from one; raises as `parse` does."""
    name, opening, rest = text.partition("(")
    if name not in FUNCTIONS or not opening:
        return parse(text)
    if not rest.endswith(")"):
        raise QueryError(f"field {_short(text)}: a ) is missing at the end", at=len(text))
    return applied(name, parse(rest[:-1]))


def applied(function: str, field: Field) -> Operand:
    """What a function of `FUNCTIONS` makes of a field."""
    for conversion in CONVERSIONS:
        if conversion == function:
            return Convert(field, conversion)
    return Size(field)


def function(operand: Size | Convert) -> str:
    """The name of what is worked out."""
    return SIZE if isinstance(operand, Size) else operand.to


def format(field: Operand) -> str:
    """The text of a field; `parse` gives the same field back, and `parse_operand` what is worked out from one."""
    match field:
        case Size() | Convert():
            return f"{function(field)}({format(field.field)})"
        case ColumnField(name):
            return name
        case PathField(root, path):
            return f"{root}.{format_path(path)}" if path else root
        case FeedbackField(type_, path, over, part, version):
            text = f"{_OPENING}{_escape(type_, ']')}]"
            if version is not None:
                text += f"@{version}"
            if over != "latest":
                text += f".{over}"
            if part != _PAYLOAD:
                return f"{text}.{part}"
            return f"{text}.{_PAYLOAD}.{format_path(path)}" if path else text


def parse_path(text: str, *, start: int = 0) -> tuple[str, ...]:
    """The keys of a dotted path; `start` is where it stands in a longer text. Raises `QueryError`."""
    parts: list[str] = [""]
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            parts[-1] += _escaped(text, position, ".", start)
            position += 2
            continue
        if character == ".":
            parts.append("")
        else:
            parts[-1] += character
        position += 1
    if len(parts) > MAX_PARTS:
        raise QueryError(
            f"path {_short(text)} has {len(parts)} parts; at most {MAX_PARTS} are allowed", at=start
        )
    if sum(is_index(part) for part in parts) > MAX_DIGIT_PARTS:
        raise QueryError(
            f"path {_short(text)} has more than {MAX_DIGIT_PARTS} parts of digits; "
            "each may be a key or an index, and more would make the query slow",
            at=start,
        )
    return tuple(parts)


def format_path(path: Iterable[str]) -> str:
    """The dotted text of keys; `parse_path` gives the same keys back."""
    return ".".join(_escape(part, ".") for part in path)


def is_index(part: str) -> bool:
    """Whether a part of a path is an index where it meets a list: digits without a leading zero, at most nine."""
    return part.isascii() and part.isdigit() and len(part) <= 9 and (part == "0" or part[0] != "0")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a mistyped one most likely means."""
    # What all operators begin with says nothing about which one is meant.
    by_folded = {each.lower().lstrip("$"): each for each in known}
    close = difflib.get_close_matches(word[:64].lower().lstrip("$"), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def _parse_feedback(text: str) -> FeedbackField:
    type_ = ""
    position = len(_OPENING)
    while position < len(text) and text[position] != "]":
        if text[position] == "\\":
            type_ += _escaped(text, position, "]", 0)
            position += 2
        else:
            type_ += text[position]
            position += 1
    if position >= len(text):
        raise QueryError(
            f"field {_short(text)} has no ']' after the feedback type; {_ABOUT_FEEDBACK}",
            at=len(text),
        )
    if not type_:
        raise QueryError(
            f"field {_short(text)} names no feedback type; {_ABOUT_FEEDBACK}", at=position
        )
    return _parse_below(text, type_, position + 1)


def _parse_below(text: str, type_: str, position: int) -> FeedbackField:
    """What follows the type: version, authors, part, path."""
    version = None
    if text[position : position + 1] == "@":
        found = _VERSION.match(text, position + 1)
        if found is None:
            raise QueryError(
                f"field {_short(text)}: after '@' comes the beginning of a version's digest, 1 to 40 of 0-9 and a-f",
                at=position + 1,
            )
        version = found[0]
        position = found.end()
    if position == len(text):
        return FeedbackField(type_, version=version)
    if text[position] != ".":
        raise _unknown_below(text, position)
    words = text[position + 1 :].split(".", 2)
    over: Over = "latest"
    if words[0] in OVERS:
        over = words[0]
        position += len(over) + 1
        words = text[position + 1 :].split(".", 2)
    part = words[0]
    if position == len(text):
        return FeedbackField(type_, (), over, version=version)
    if part not in PARTS:
        raise _unknown_below(text, position)
    position += len(part) + 1
    if part != _PAYLOAD:
        _check_part(text, part, over, position)
        return FeedbackField(type_, (), over, part, version)
    if position == len(text):
        return FeedbackField(type_, (), over, version=version)
    path = parse_path(text[position + 1 :], start=position + 1)
    return FeedbackField(type_, path, over, version=version)


def _check_part(text: str, part: FeedbackPartName, over: Over, position: int) -> None:
    if position != len(text):
        raise QueryError(
            f"field {_short(text)}: {part} has nothing below it",
            at=position,
            suggestion=text[:position],
        )
    if part == "count" and over != "latest":
        raise QueryError(f"field {_short(text)}: a count is over all authors already", at=position)
    if over in ("mean", "agree") or (part == "author" and over in ("min", "max")):
        raise QueryError(f"field {_short(text)}: there is no {over} of {part}", at=position)


def _unknown_below(text: str, position: int) -> QueryError:
    hint = f"{text[:position]}.{_PAYLOAD}.{text[position:].lstrip('.')}"
    return QueryError(
        f"field {_short(text)}: after the type comes '.{_PAYLOAD}', {', '.join(PARTS[1:])}, or first one of "
        f"{', '.join(OVERS)}; did you mean {_short(hint)}?",
        at=position,
        suggestion=hint,
    )


def _unknown(text: str, root: str) -> QueryError:
    if root == _FEEDBACK:
        hint = _feedback_hint(text)
        return QueryError(
            f"field {_short(text)}: {_ABOUT_FEEDBACK}; did you mean {_short(hint)}?",
            at=len(_FEEDBACK),
            suggestion=hint,
        )
    close = nearest(root, _KNOWN)
    if close is None:
        return QueryError(
            f"field {_short(text)} is not known; fields are {', '.join(COLUMNS)}, "
            f"and places below {', '.join(ROOTS)} and feedback.[type].payload",
            at=0,
        )
    hint = close + ("" if close in COLUMNS else text[len(root) :])
    return QueryError(
        f"field {_short(text)} is not known; did you mean {_short(hint)}?", at=0, suggestion=hint
    )


_BARE_FEEDBACK = re.compile(
    r"feedback\.?(?P<type>(?:(?:runnable|annotation)\.)?[^.\[\]]+)?\]?(?:\.payload)?(?P<path>\..+)?"
)


def _feedback_hint(text: str) -> str:
    found = _BARE_FEEDBACK.fullmatch(text)
    if found is None:
        return "feedback.[type].payload"
    return f"{_OPENING}{found['type'] or 'type'}].{_PAYLOAD}{found['path'] or ''}"


def _escaped(text: str, position: int, special: Literal[".", "]"], start: int) -> str:
    following = text[position + 1 : position + 2]
    if following not in (special, "\\"):
        raise QueryError(
            rf"field part {_short(text)}: a backslash stands before {special!r} or another "
            rf"backslash; write \\ for a backslash itself",
            at=start + position,
        )
    return following


def _escape(text: str, special: Literal[".", "]"]) -> str:
    return text.replace("\\", "\\\\").replace(special, "\\" + special)


def _short(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:119] + "…")


__all__ = [
    "COLUMNS",
    "CONVERSIONS",
    "FUNCTIONS",
    "MAX_CHARACTERS",
    "MAX_DIGIT_PARTS",
    "MAX_PARTS",
    "NUMBER_COLUMNS",
    "ROOTS",
    "SIZE",
    "TIME_COLUMNS",
    "applied",
    "format",
    "format_path",
    "function",
    "is_index",
    "nearest",
    "parse",
    "parse_operand",
    "parse_path",
]
