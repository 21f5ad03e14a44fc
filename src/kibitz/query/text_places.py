"""What may stand at a place of a query as text, found by walking its words up to there.

The walk is of the grammar of `text_form`, and more patient: what is wrong before the place does not end it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from kibitz.base.errors import QueryError
from kibitz.query import fields, text_fields, text_tokens
from kibitz.query.nodes import Field, Operand
from kibitz.query.text_tokens import Token

Expected = Literal[
    "condition", "field", "operator", "test", "value", "list", "more", "null", "join", "key",
    "direction", "limit", "opening", "nothing",
]  # fmt: skip
"""What comes next: `test` the word after `not`, `more` a comma in a list, `opening` a parenthesis."""

_SIGNS = ("=", "!=", ">", ">=", "<", "<=", "==", "<>")
_TESTS = ("contains", "icontains", "matches", "imatches")
_REST_OF_WORD = re.compile(r"[^\s=!<>(),]*")
_LAST_WORD = re.compile(r"[^\s=!<>(),]+\Z")
_REST_OF_TEXT = {'"': re.compile(r'(?:[^"\\]|\\.)*"'), "'": re.compile(r"(?:[^'\\]|\\.)*'")}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a query, and the beginning of what stands there."""

    expected: Expected
    start: int
    end: int
    """What is there already, and would be replaced, is between these."""
    begun: str
    """What of it is before the place, without an opening quote."""
    is_quoted: bool
    operand: Operand | None
    """What the operator or value is beside."""
    is_inner: bool
    """Whether a parenthesis is open, so that neither order nor limit can come."""


@dataclass(frozen=True, slots=True)
class Named:
    """A field or value that a query names, and where."""

    token: Token
    operand: Operand
    is_value: bool


def find(text: str, at: int, types: text_fields.Types) -> Place:
    """What may stand at an offset of a text."""
    walk = Walk(types)
    current: Token | None = None
    is_quoted = False
    tokens = _read(text[:at])
    for token in tokens:
        ends_here = token.kind == "word" and token.at + len(token.text) == at
        if ends_here or (token.kind == "text" and token.text.startswith("\0")):
            current, is_quoted = token, token.kind == "text"
            break
        walk.take(token)
    start = at if current is None else current.at
    end = at
    if is_quoted:
        rest = _REST_OF_TEXT[text[start]].match(text, at)
        end = at if rest is None else rest.end()
    elif current is not None:
        rest = _REST_OF_WORD.match(text, at)
        end = at if rest is None else rest.end()
    begun = text[start + is_quoted : at]
    return Place(walk.expected, start, end, begun, is_quoted, walk.operand, bool(walk.open))


def named(text: str, types: text_fields.Types) -> list[Named]:
    """The fields and values of a text, each with the field it is beside."""
    walk = Walk(types)
    for token in _read(text):
        walk.take(token)
    return walk.named


def _read(text: str) -> Iterator[Token]:
    """The tokens up to the end or a mistake: a word with a mistake in it goes to the end, and a text that is not
    closed begins with NUL."""
    try:
        for token in text_tokens.read(text):
            if token.kind == "end":
                return
            yield token
    except QueryError as error:
        at = error.facts.get("at")
        if not isinstance(at, int):
            return
        before = _LAST_WORD.search(text, 0, at)
        start = at if before is None else before.start()
        if start < at:
            yield Token("word", text[start:], start)
        elif text[at : at + 1] in ('"', "'"):
            yield Token("text", f"\0{text[at + 1 :]}", at)


@dataclass(slots=True)
class Walk:
    """Goes through tokens and knows what is expected next."""

    types: text_fields.Types
    expected: Expected = "condition"
    operand: Operand | None = None
    open: list[Literal["group", "function", "list"]] = field(
        default_factory=list[Literal["group", "function", "list"]]
    )
    named: list[Named] = field(default_factory=list[Named])
    _after: Expected = "operator"
    """What comes after the field that is expected."""
    _function: str | None = None

    def take(self, token: Token) -> None:
        """Go past one token."""
        match self.expected:
            case "condition" | "field" | "key":
                self._begin(token)
            case "operator" | "test":
                self._operate(token)
            case "value" | "list":
                self._value(token)
            case "join":
                self._join(token)
            case "direction":
                self._direct(token)
            case "opening":
                if token.says("("):
                    self._open()
            case _:
                self._go_on(token)

    def _go_on(self, token: Token) -> None:
        if self.expected == "more" and token.says(")"):
            self._close()
        elif self.expected == "more" and token.says(","):
            self.expected = "list"
        elif self.expected == "null" and token.says("null"):
            self.expected = "join"
        elif self.expected == "limit":
            self.expected = "nothing"

    def _begin(self, token: Token) -> None:
        if token.says("not") and self.expected == "condition":
            return
        if token.says("("):
            self.open.append("group")
        elif token.says("all", "any") and self.expected == "condition":
            self._function, self.expected = None, "opening"
        elif token.says("exists") and self.expected == "condition":
            self.expected, self._after = "field", "join"
        elif token.says("sort", "limit") and self.expected == "condition":
            self._join(token)
        elif token.says("by") and self.expected == "key":
            return
        elif token.says(*fields.FUNCTIONS) and self._function is None:
            if self.expected == "condition":
                self._after = "operator"
            elif self.expected == "key":
                self._after = "direction"
            self._function, self.expected = token.text.lower(), "opening"
        elif token.kind == "word":
            self._take_field(token)

    def _take_field(self, token: Token) -> None:
        found: Field | None = None
        # A word with a mistake in it has no parts.
        with contextlib.suppress(QueryError):
            found = text_fields.parse(token.parts, self.types) if token.parts else None
        self.operand = found
        if found is not None and self._function is not None:
            self.operand = fields.applied(self._function, found)
        if self.operand is not None:
            self.named.append(Named(token, self.operand, is_value=False))
        if self.expected == "condition":
            self.expected = "operator"
        elif self.expected == "key":
            self.expected = "direction"
        elif self._function is not None:
            self.expected = "join"  # the parenthesis comes first, see `_close`
        else:
            self.expected, self._after = self._after, "operator"

    def _open(self) -> None:
        if self._function is None:
            self.open.append("group")
            self.expected = "condition"
        else:
            self.open.append("function")
            self.expected = "field"

    def _operate(self, token: Token) -> None:
        if token.kind == "sign" and token.text in _SIGNS:
            self.expected = "value"
        elif token.says("not"):
            self.expected = "test"
        elif token.says(*_TESTS):
            self.expected = "value"
        elif token.says("in"):
            self.expected = "list"
        elif token.says("is"):
            self.expected = "null"
        else:
            self._join(token)

    def _value(self, token: Token) -> None:
        if self.expected == "list" and token.says("("):
            self.open.append("list")
            return
        if token.says(")"):
            self._close()
            return
        if self.operand is not None and token.kind in ("word", "text"):
            self.named.append(Named(token, self.operand, is_value=True))
        self.expected = "more" if self.open[-1:] == ["list"] else "join"

    def _join(self, token: Token) -> None:
        if token.says("and", "or"):
            self.expected = "condition"
        elif token.says(")"):
            self._close()
        elif token.says(",") and self.open:
            self.expected = "condition"
        elif token.says("sort"):
            self.expected = "key"
        elif token.says("limit"):
            self.expected = "limit"

    def _close(self) -> None:
        closed = self.open.pop() if self.open else "group"
        if closed == "function":
            self._function = None
            self.expected, self._after = self._after, "operator"
        else:
            self.expected = "join"

    def _direct(self, token: Token) -> None:
        if token.says(","):
            self.expected = "key"
        elif token.says("limit"):
            self.expected = "limit"
