"""The word index: which calls have a word, and what that says about a condition before any row is read.

Cutting texts into words costs several times what storing them does, so it is not part of a write: a call
waits in `unworded` until `index_some` is run in a quiet moment (`upkeep.py`), and until then queries
look at it directly. So a call can be found from its acknowledgement on, and a burst is not slowed down.

The index (FTS5, `unicode61`, no positions) knows which calls have a word. A condition on a text gives
words that every match must have; the rows that have them are then checked. Only words that the tokenizer
is sure to cut the same way are used: runs of ASCII letters and digits with no other word character beside
them. A run at the edge of a searched substring may be part of a longer word, so the first is left out and
the last is a prefix.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import msgspec

from kibitz.query.nodes import And, Compare, Contains, FeedbackField, Field, In, Node, Or, PathField
from kibitz.storage import statements
from kibitz.storage.leaves import is_whole, texts

_SQL = statements.load("sqlite.sql")
_RUN = re.compile(r"[0-9A-Za-z\u0080-\U0010ffff]+")
_MAX_WORD = 64
_MAX_WORDS = 3
"""The longest are the rarest, as a rule; a common word beside them costs more to read than it dismisses."""
_MIN_PREFIX, _MIN_PREFIX_BESIDE_WORDS = 3, 7
"""A prefix reads the lists of all words that begin so: thousands for two letters."""


def index_some(connection: sqlite3.Connection, limit: int) -> int:
    """Index the words of some calls that wait for it, inside an open transaction; gives how many."""
    rows = connection.execute(_SQL["without_words"], (limit,)).fetchall()
    bodies: list[tuple[int, str]] = []
    for call, inputs, attributes, output in rows:
        # What the SDK says about the machine is the same on every call and nobody searches for it.
        body = "\n".join(
            (_words(inputs), _words(attributes, without="kibitz"), _words(output))
        ).strip()
        if body:
            bodies.append((call, body))
    connection.executemany(_SQL["insert_words"], bodies)
    connection.executemany(_SQL["words_are_in"], [(row[0],) for row in rows])
    return len(rows)


def _words(text: str | None, *, without: str | None = None) -> str:
    if text is None:
        return ""
    value: Any = msgspec.json.decode(text)
    if without is not None:
        value.pop(without, None)
    return texts(value)


def expression(node: Node) -> str | None:
    """An FTS5 expression that every call matching the node satisfies; None where words cannot tell."""
    match node:
        case And(nodes):
            found = [each for each in map(expression, nodes) if each is not None]
            return " AND ".join(f"({each})" for each in found) or None
        case Or(nodes):
            branches = [expression(each) for each in nodes]
            if not branches or None in branches:
                return None
            return " OR ".join(f"({each})" for each in branches)
        case Compare(field, "eq", value) if _is_indexed(field):
            return _of_value(value)
        case In(field, values) if _is_indexed(field):
            choices = [_of_value(value) for value in values]
            if not choices or None in choices:
                return None
            return " OR ".join(f"({each})" for each in choices)
        case Contains(field, text, _) if _is_indexed(field):
            return _of_substring(text)
        case _:
            return None


def _is_indexed(field: Field) -> bool:
    if isinstance(field, FeedbackField) or not isinstance(field, PathField):
        return False
    if field.root == "attributes":
        # What the SDK says about the machine is no word, see `preparing.py`.
        return bool(field.path) and field.path[0] != "kibitz"
    return field.root in ("inputs", "output")


def _of_value(value: object) -> str | None:
    if isinstance(value, int | float) and is_whole(value):
        return f'"{abs(int(value))}"'
    if not isinstance(value, str):
        return None
    runs = [match[0] for match in _RUN.finditer(value)]
    return _all_of([f'"{run}"' for run in runs if _is_sure(run)])


def _of_substring(text: str) -> str | None:
    words: list[str] = []
    prefix = ""
    for match in _RUN.finditer(text):
        if match.start() == 0 or not _is_sure(match[0]):
            continue
        if match.end() < len(text):
            words.append(f'"{match[0]}"')
        else:
            prefix = match[0]
    if len(prefix) >= (_MIN_PREFIX_BESIDE_WORDS if words else _MIN_PREFIX):
        words.append(f'"{prefix}"*')
    return _all_of(words)


def _is_sure(run: str) -> bool:
    return run.isascii() and len(run) <= _MAX_WORD


def _all_of(words: list[str]) -> str | None:
    chosen = sorted(set(words), key=len, reverse=True)[:_MAX_WORDS]
    return " AND ".join(chosen) or None
