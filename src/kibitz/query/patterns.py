"""Regular expressions of bounded cost: RE2, whose time grows with the text and never with a power of it.

The syntax is RE2's (https://github.com/google/re2/wiki/Syntax): what Perl and Python have, without looking ahead or
behind and without references back to a group, which no bounded time can serve. A pattern is bounded in length and in
what it becomes, and looks at the first `SEARCHED_CHARACTERS` of each text.

This module is the only one that knows `re2`, which is loaded with the first pattern.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

from kibitz.base.errors import QueryError, UsageError

MAX_CHARACTERS = 1000
"""Of a pattern."""
SEARCHED_CHARACTERS = 100_000
"""Of each text; the worst pattern needs some seconds for a million."""
_MAX_INSTRUCTIONS = 4000
_MAX_MEMORY = 1 << 20

_REASONS = {
    "missing )": "a ( is never closed",
    "unexpected )": "this ) closes nothing",
    "missing ]": "a [ is never closed",
    "no argument for repetition operator": "there is nothing to repeat before this",
    "bad repetition operator": "one repetition after another; write (…) around the first",
    "invalid repetition size": "it repeats too often; at most 1,000 times, all in all, are allowed",
    "invalid character class range": "there is no such range or class of characters",
    "invalid escape sequence": "this escape is not known; references to a group are not possible",
    "trailing \\": "a backslash at the end stands before nothing",
    "invalid named capture group": "the name of this group is wrong",
    "pattern too large": "it is too large; repeat fewer characters",
}
_AROUND = {
    "(?=": "looking ahead is not possible",
    "(?!": "looking ahead is not possible",
    "(?<": "looking behind is not possible",
    "(?>": "atomic groups are not possible",
    "(?(": "conditions on a group are not possible",
}


class Pattern:
    """One compiled expression; safe for threads."""

    def __init__(self, compiled: Any) -> None:
        self._search = compiled.search

    def is_in(self, text: str) -> bool:
        """Whether it is found in a text."""
        if len(text) > SEARCHED_CHARACTERS:
            text = text[:SEARCHED_CHARACTERS]
        # As bytes: RE2 reads UTF-8, and places in the text are not asked for.
        return self._search(text.encode("utf-8", "replace")) is not None


def check(pattern: str, at: str | int | None = None, *, case_insensitive: bool = False) -> None:
    """Make sure that a pattern can be used.

    Raises:
        QueryError: it cannot; `position` is the character of the pattern where it goes wrong, where that is known.
        UsageError: `google-re2` is not installed.
    """
    if len(pattern) > MAX_CHARACTERS:
        raise QueryError(
            f"the pattern has {len(pattern):,} characters; at most {MAX_CHARACTERS:,} are allowed",
            at=at,
            position=MAX_CHARACTERS,
        )
    try:
        compile(pattern, case_insensitive)
    except QueryError as error:
        raise QueryError(error.message, at=at, position=error.facts.get("position")) from error


@lru_cache(maxsize=128)
def compile(pattern: str, case_insensitive: bool = False) -> Pattern:
    """A pattern ready to search with; raises as `check` does."""
    module = _re2()
    options = module.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    options.never_capture = True
    options.case_sensitive = not case_insensitive
    try:
        compiled = module.compile(pattern.encode("utf-8", "replace"), options)
    except module.error as error:
        raise _refused(pattern, error) from error
    if compiled.programsize > _MAX_INSTRUCTIONS:
        raise QueryError(_says(pattern, _REASONS["pattern too large"]))
    return Pattern(compiled)


def _re2() -> Any:
    try:
        import re2  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise UsageError(
            "regular expressions need the package google-re2; install kibitz[server]"
        ) from error
    return cast("Any", re2)


def _refused(pattern: str, error: Exception) -> QueryError:
    """What RE2 says of a pattern, in words, and where it goes wrong."""
    said = error.args[0] if error.args else b""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    kind, _, piece = text.partition(": ")
    if kind == "invalid perl operator":
        reason = _AROUND.get(piece[:3], "this group is not known")
    else:
        reason = next((each for key, each in _REASONS.items() if kind.startswith(key)), kind)
    position = None
    if kind == "missing )":
        position = _unclosed(pattern)
    elif piece:
        found = pattern.find(piece)
        position = found if found >= 0 else None
    elif kind.startswith("trailing"):
        position = len(pattern) - 1
    return QueryError(_says(pattern, reason, position), position=position)


def _says(pattern: str, reason: str, position: int | None = None) -> str:
    shown = repr(pattern if len(pattern) <= 80 else pattern[:79] + "…")
    place = "" if position is None else f" at character {position + 1}"
    return f"the pattern {shown} cannot be used{place}: {reason}"


_MIN_REQUIRED = 3
_SIGNS = ".^$*+?{}[]\\()"
_CLASSES = frozenset(f"\\{each}" for each in "dDwWsSbBAznrtfva")
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\{[^{}]*\}|.", re.DOTALL)
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[()]", re.DOTALL)


def _unclosed(pattern: str) -> int | None:
    """The innermost ( that no ) follows."""
    opened: list[int] = []
    for found in _PIECE.finditer(pattern):
        if found[0] == "(":
            opened.append(found.start())
        elif found[0] == ")" and opened:
            opened.pop()
    return opened[-1] if opened else None


def required_text(pattern: str) -> str | None:
    """The longest text that every match of a pattern has in it as it is; None where none is sure.

    So that an index, or one look at a whole text, can dismiss most of them. Careful rather than clever: it gives up
    at alternatives, flags and odd escapes, and knows nothing of what is in groups and classes.
    """
    if "|" in pattern or "(?" in pattern:
        return None
    runs, depth = [""], 0
    for piece in _PARTS.findall(pattern):
        if len(piece) == 2 and piece[1].isalnum() and piece not in _CLASSES:
            return None
        if depth or piece in ("(", ")"):
            depth += (piece == "(") - (piece == ")")
            runs.append("")
        elif piece[0] in "*?{":
            # What is before it may not be there.
            runs[-1] = runs[-1][:-1]
            runs.append("")
        elif (len(piece) == 1 and piece not in _SIGNS) or (
            len(piece) == 2 and piece[0] == "\\" and piece not in _CLASSES
        ):
            runs[-1] += piece[-1]
        else:
            runs.append("")
    found = max(runs, key=len)
    return found if len(found) >= _MIN_REQUIRED else None


__all__ = ["MAX_CHARACTERS", "SEARCHED_CHARACTERS", "Pattern", "check", "compile", "required_text"]
