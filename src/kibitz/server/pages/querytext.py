"""What stands in the query bar: a query in words, or words to look for. Pure.

    op = answer and latency > 2s sort latency desc     a query, as `query.text_form` reads it
    refund policy                                      calls whose inputs or output contain this text
    "op = 5"                                           in quotes: this text too, whatever it looks like

What cannot be read as a query is words, unless it looks like a query with a mistake: it has a comparison, a
field with a path, or begins as queries do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from kibitz.base.errors import QueryError
from kibitz.query import fields, literals, text_form, text_tokens
from kibitz.query.nodes import And, Node, Or, SortKey
from kibitz.query.text_tokens import Token
from kibitz.server.pages import conditions
from kibitz.server.pages.conditions import Filter

MAX_FILTERS = 40
"""Parts of a query that are filters of their own; of more it is one."""
_LOOKED_AT = 40
"""Tokens by which a text is told to be a query."""
_NAMES = frozenset((*fields.COLUMNS, *fields.ROOTS, "feedback", "latency"))
_BELOW = frozenset((*fields.ROOTS, "feedback"))
_TESTS = ("in", "contains", "icontains", "matches", "imatches", "is", "not")
_KEY = re.compile(r"[^\s()=<>!,.\"'\[\]]+")
_WORD = re.compile(r"[^\s()=<>!,]+|[=<>!]+")
_BEFORE, _AFTER = 60, 60
"""How much of a text is shown around a mistake."""
_QUOTED = re.compile(r'"(.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text in the bar asks for."""

    search: str = ""
    filters: tuple[Filter, ...] = ()
    sort: tuple[SortKey, ...] = ()
    limit: int | None = None


def read(
    text: str, *, known_types: Iterable[str] | None = None, now: datetime | None = None
) -> Reading:
    """What a text asks for; raises `QueryError`, with its place in `at`, for a query that has a mistake."""
    text = cast("str", literals.parse(text.strip(), "q"))
    known_types = None if known_types is None else _Kept(known_types)
    try:
        parsed = text_form.parse(text, known_types=known_types, now=now)
    except QueryError:
        words = _words(text)
        if words is None:
            raise
        return Reading(search=words)
    search, found = "", ()
    for node, written in _parts(text, parsed.where, known_types, now):
        if not search and (search := conditions.searched(node)):
            continue
        found = conditions.combined(found, conditions.from_node(node, written))
    if len(found) > MAX_FILTERS and parsed.where is not None:
        search, found = "", (conditions.Clause(parsed.where),)
    return Reading(search, found, parsed.sort, parsed.limit)


def write(search: str, filters: Sequence[Filter], sort: Sequence[SortKey] = ()) -> str:
    """The text of filters and order; `read` gives them back. Words alone stay words, without an order."""
    if search and not filters:
        return quoted_words(search)
    parts = conditions.to_texts(filters, search)
    if len(parts) == 1 and _is_enclosed(parts[0]):
        parts = [parts[0][1:-1].strip()]
    pieces = [" and ".join(parts)] if parts else []
    if sort:
        pieces.append(text_form.format(sort=sort))
    return " ".join(pieces)


def quoted_words(text: str) -> str:
    """Words as they stand in the bar: in quotes only where they would be read as something else."""
    if text == text.strip() and _words(text) == text and not _is_query(text):
        return text
    return f'"{text}"'


def is_words(text: str) -> bool:
    """Whether a text is words to look for, rather than a query."""
    return bool(text.strip()) and not _is_query(text) and _words(text.strip()) is not None


def corrected(text: str, at: int, suggestion: str, known_types: Iterable[str] | None) -> str:
    """A text with what was probably meant in the place of a mistake; empty where that mends nothing."""
    better = ""
    for start, end in _places(text, at, whole="." in suggestion):
        mended = text[:start] + suggestion + text[end:]
        try:
            text_form.parse(mended, known_types=known_types)
        except QueryError as error:
            place = error.facts.get("at")
            if not better and isinstance(place, int) and place >= start + len(suggestion):
                better = mended
        else:
            return mended
    return better


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One line of a text, and where a place of the text is in it."""

    text: str
    at: int


def excerpt(text: str, at: int) -> Excerpt:
    """What stands around a place, every character as one that can be seen."""
    first, last = max(0, at - _BEFORE), min(len(text), at + _AFTER)
    cut = "…" if first else ""
    line = "".join(
        " " if each.isspace() else each if each.isprintable() else "�" for each in text[first:last]
    )
    return Excerpt(f"{cut}{line}{'…' if last < len(text) else ''}", len(cut) + at - first)


def _places(text: str, at: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    """What the mistake may be: a key, or a word, whole or up to that key."""
    key = _KEY.match(text, at)
    end = at if key is None else key.end()
    if key and not whole:
        yield key.span()
    for found in _WORD.finditer(text):
        if found.start() <= at < found.end():
            yield found.span()
            yield found.start(), end
    if key and whole:
        yield key.span()


def _is_query(text: str) -> bool:
    try:
        text_form.parse(text)
    except QueryError:
        return False
    return True


def _words(text: str) -> str | None:
    """The words that a text without meaning as a query looks for; None where it looks like one with a mistake."""
    quoted = _QUOTED.fullmatch(text)
    if quoted and quoted[1].strip():
        return quoted[1]
    return None if _looks_like_query(text) else text


def _looks_like_query(text: str) -> bool:
    tokens = _first_tokens(text)
    if not tokens:
        return False
    first = tokens[0]
    second = tokens[1] if len(tokens) > 1 else None
    if any(each.kind == "sign" and each.text[0] in "=<>!" for each in tokens):
        return True
    if any(len(each.parts) > 1 and each.parts[0].text.lower() in _BELOW for each in tokens):
        return True
    if second is None:
        return False
    if first.says("all", "any") and second.says("("):
        return True
    if first.says("sort", "order") and (second.says("by") or second.text.lower() in _NAMES):
        return True
    if first.says("not", "exists"):
        return second.text.lower() in _NAMES
    known = first.text.lower() in _NAMES or fields.nearest(first.text.lower(), _NAMES) is not None
    return known and second.says(*_TESTS)


def _first_tokens(text: str) -> list[Token]:
    found: list[Token] = []
    try:
        for token in text_tokens.read(text):
            if token.kind == "end" or len(found) == _LOOKED_AT:
                break
            found.append(token)
    except QueryError:
        # An apostrophe in a sentence opens a text that never ends.
        pass
    return found


class _Kept:
    """What can be taken from once, for several takers, and not before the first."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = given
        self._found: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[str]:
        if self._found is None:
            self._found = tuple(self._given)
        return iter(self._found)


def _parts(text: str, where: Node | None, known_types: Any, now: Any) -> list[tuple[Node, str]]:
    """The conditions that must all hold, each with its text where it can be told."""
    if where is None:
        return []
    below = where.nodes if isinstance(where, And) and where.nodes else (where,)
    texts = _cut(text)
    if len(below) == 1 and len(texts) == 1:
        loose = isinstance(below[0], Or) and not _is_enclosed(texts[0])
        return [(below[0], f"({texts[0]})" if loose else texts[0])]
    if len(below) == len(texts):
        try:
            same = [text_form.parse(each, known_types=known_types, now=now).where for each in texts]
        except QueryError:
            same = []
        if same == list(below):
            return list(zip(below, texts, strict=True))
    return [(each, "") for each in below]


def _cut(text: str) -> list[str]:
    """The condition of a text, cut at each `and` that is in no parentheses."""
    depth, start = 0, 0
    found: list[str] = []
    for token in text_tokens.read(text):
        if token.kind == "sign":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind == "end" or (depth == 0 and token.says("and", "sort", "limit")):
            found.append(text[start : token.at].strip())
            start = token.at + len(token.text)
            if not token.says("and"):
                break
    return found


def _is_enclosed(text: str) -> bool:
    """Whether one pair of parentheses stands around the whole."""
    if text[:1] != "(":
        return False
    depth = 0
    for token in text_tokens.read(text):
        if token.kind == "sign":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return token.at == len(text) - 1
    return False
