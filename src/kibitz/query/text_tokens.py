r"""The words of a query as text, each with its place, and what is said of a mistake.

    word      op, -0.5, 2026-11-01T12:00:00Z, inputs."odd key".0, feedback.[any type]@3f9c.payload.output
    text      "…" or '…', and a type in brackets, with the escapes \" \' \\ \/ \b \f \n \r \t \uXXXX and \u{X…}
    sign      = != > >= < <= ( ) ,

Reading takes time in proportion to the text. Nothing is read ahead, so that the first mistake is the one named.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from kibitz.base.errors import QueryError

_T = TypeVar("_T")
MAX_CHARACTERS = 20_000
"""Of a whole query as text."""

_SPACE = re.compile(r"\s*")
_SIGN = re.compile(r"!=|>=|<=|==|<>|[=<>!(),]")
_BARE = re.compile(r"""[^\s=!<>(),."'\[\]\\]+""")
_PLAIN = {'"': re.compile(r'[^"\\]+'), "'": re.compile(r"[^'\\]+"), "]": re.compile(r"[^\]\\]+")}
_UNICODE = re.compile(r"u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))")
_ESCAPES = {
    '"': '"',
    "'": "'",
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_WRITTEN = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BEFORE, _AFTER = 60, 40
"""How much of the text is shown around a mistake."""


@dataclass(frozen=True, slots=True)
class Part:
    """A key of a word: what stands between two dots."""

    text: str
    at: int
    quoted: bool = False
    """Written in quotes, so that it is a key whatever it says."""
    bracketed: bool = False
    version: str | None = None
    """What stands after '@' behind quotes or brackets."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word, text or sign."""

    kind: Literal["word", "text", "sign", "end"]
    text: str
    """A word or sign as it is written, a text as it is meant."""
    at: int
    parts: tuple[Part, ...] = ()

    def says(self, *words: str) -> bool:
        """Whether it is one of these words, in capitals or not, or one of these signs."""
        if self.kind == "word":
            return self.text.lower() in words
        return self.kind == "sign" and self.text in words

    @property
    def shown(self) -> str:
        """For a message, bounded whatever its size."""
        if self.kind == "end":
            return "the end"
        return repr(self.text if len(self.text) <= 80 else self.text[:79] + "…")


def read(text: str) -> Iterator[Token]:
    """The tokens of a text, an end without end after them; raises `QueryError` where something is none."""
    at = _after(_SPACE, text, 0)
    while at < len(text):
        if text[at] in "\"'":
            value, end = _quoted(text, at, text[at])
            yield Token("text", value, at)
        elif sign := _SIGN.match(text, at):
            end = sign.end()
            yield Token("sign", sign[0], at)
        else:
            parts, end = _parts(text, at)
            yield Token("word", text[at:end], at, parts)
        at = _after(_SPACE, text, end)
    while True:
        yield Token("end", "", len(text))


def mistake(text: str, at: int, says: str, suggestion: str | None = None) -> QueryError:
    """What is wrong, with the text and a caret below the place. `says` is a fact of its own, without them."""
    first, last = max(0, at - _BEFORE), min(len(text), at + _AFTER)
    before = ("…" if first else "") + _visible(text[first:at])
    after = _visible(text[at:last]) + ("…" if last < len(text) else "")
    return QueryError(
        f"{says}\n  {before}{after}\n  {' ' * _width(before)}^",
        at=at,
        suggestion=suggestion,
        says=says,
    )


def placed(text: str, token: Token, read: Callable[[], _T]) -> _T:
    """What is read from a token of a text; its mistakes with the text and a caret."""
    try:
        return read()
    except QueryError as error:
        at = error.facts.get("at")
        where = at if isinstance(at, int) else token.at
        raise mistake(text, where, error.message, error.facts.get("suggestion")) from error


def quote(text: str) -> str:
    """A text in quotes, on one line and with nothing in it that cannot be seen."""
    return f'"{"".join(map(_written, text))}"'


def bracket(text: str) -> str:
    """The same in brackets, as the type of feedback."""
    return "[" + "".join({'"': each, "]": "\\]"}.get(each) or _written(each) for each in text) + "]"


def _written(character: str) -> str:
    if character in _WRITTEN or character.isprintable():
        return _WRITTEN.get(character, character)
    return f"\\u{{{ord(character):x}}}"


def _parts(text: str, at: int) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while True:
        start = at
        following = text[at : at + 1]
        if parts and following and following in "\"'":
            value, at = _quoted(text, at, following)
            version, at = _version(text, at)
            parts.append(Part(value, start, quoted=True, version=version))
        elif following == "[" and [each.text for each in parts] == ["feedback"]:
            value, at = _quoted(text, at, "]")
            version, at = _version(text, at)
            parts.append(Part(value, start, bracketed=True, version=version))
        else:
            value, at = _bare(text, at)
            parts.append(Part(value, start))
        if text[at : at + 1] != ".":
            break
        at += 1
    if at < len(text) and text[at] in "\"'[]":
        raise mistake(
            text,
            at,
            f"{text[at]} cannot stand here; put the whole text in quotes, "
            "with a backslash before quotes within it",
        )
    return tuple(parts), at


def _bare(text: str, at: int) -> tuple[str, int]:
    pieces: list[str] = []
    while True:
        if found := _BARE.match(text, at):
            pieces.append(found[0])
            at = found.end()
        elif text[at : at + 1] == "\\":
            following = text[at + 1 : at + 2]
            if not following or following not in ".\\":
                raise mistake(
                    text,
                    at,
                    "outside of quotes a backslash stands before a dot or another backslash; "
                    "put a text or key that has one in quotes",
                )
            pieces.append(following)
            at += 2
        else:
            return "".join(pieces), at


def _version(text: str, at: int) -> tuple[str | None, int]:
    if text[at : at + 1] != "@":
        return None, at
    found = _BARE.match(text, at)
    end = at + 1 if found is None else found.end()
    return text[at + 1 : end], end


def _quoted(text: str, start: int, closing: str) -> tuple[str, int]:
    """What stands up to a closing quote or bracket, and where it ends."""
    pieces: list[str] = []
    at = start + 1
    while at < len(text):
        if found := _PLAIN[closing].match(text, at):
            pieces.append(found[0])
            at = found.end()
        elif text[at] == closing:
            return "".join(pieces), at + 1
        elif closing == "]" and text[at + 1 : at + 2] == "]":
            pieces.append("]")
            at += 2
        else:
            character, at = _escaped(text, at)
            pieces.append(character)
    what = "bracket" if closing == "]" else "quote"
    raise mistake(text, start, f"this {what} is never closed; write {closing} where it ends")


def _escaped(text: str, at: int) -> tuple[str, int]:
    following = text[at + 1 : at + 2]
    if following in _ESCAPES:
        return _ESCAPES[following], at + 2
    if found := _UNICODE.match(text, at + 1):
        code = int(found[1] or found[2], 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code), found.end()
        raise mistake(
            text, at, rf"\{found[0]} is no character; write \u{{1f600}} for one beyond \uffff"
        )
    raise mistake(
        text,
        at,
        r"""after a backslash in quotes comes one of " ' \ / b f n r t uXXXX; write \\ for a backslash itself""",
    )


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _visible(text: str) -> str:
    """One line whose characters can be seen, one for each."""
    return "".join(" " if each.isspace() else each if each.isprintable() else "�" for each in text)


def _width(text: str) -> int:
    """How many columns a terminal gives to a text."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
