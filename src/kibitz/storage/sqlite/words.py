"""Words: what a text is found by, and what a condition needs of every text that satisfies it. Pure.

The index (FTS5, `unicode61`, no positions) knows which calls have a token. Two levels of a project say which
tokens there are:

    WORDS       words: runs of letters and digits
    SUBSTRINGS  words, and of parts of them
                  joints   the ends of two neighbouring words, two and three characters of each: `ow0fo` and
                           `own0fox` of "brown fox"
                  pairs    of neighbouring characters, in runs that are not plain ASCII words: "日本語"
                  terms    every word is kept, so that those with a part in them can be looked up

A condition gives tokens that every match must have; the calls that have them are then checked on the row. Only
such tokens are used as are surely cut the same way on both sides. A run at the edge of a searched substring may be
part of a longer word: what it has of a joint is used, and the words it may be part of are looked up (`Part`).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from kibitz.query import patterns
from kibitz.query.nodes import And, Compare, Contains, In, Matches, Node, Or, PathField
from kibitz.storage.leaves import is_whole, texts

OFF, WORDS, SUBSTRINGS = 0, 1, 2
"""What the index knows of a project: `projects.search`."""
_RUN = re.compile(r"[0-9A-Za-z\u0080-\U0010ffff]+")
_MAX_WORD = 64
_MAX_WORDS = 3
"""The longest are the rarest, as a rule; a common word beside them costs more to read than it dismisses."""
_MAX_JOINTS = 4
_MAX_PAIRS = 6
_MAX_TOKENS = 10
_MAX_ALTERNATIVES = 1_000
_MIN_PREFIX = 6
"""A prefix reads the whole lists of all words that begin so: thousands for a few letters."""
_MIN_PART = 3
_JOINT, _PAIR = "0", "\ue001"
"""What tokens are told from words by, nearly always; the tokenizer takes both for part of a word."""

_Needs = list[frozenset[str]]
"""Sets of tokens: of one of them every match has all."""
Lookup = Callable[["Part", int], list[str] | None]
"""Gives the words that a part may be part of; None where they are more than so many."""
_FEW_WORDS, _MANY_WORDS = 16, 400
"""Words that are asked for one by one, where something else is known of a text and where not."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a word, in lower case, and where in the word it is."""

    text: str
    begins: bool
    """The word begins with it."""
    ends: bool
    """The word ends with it."""


# -- what a text is found by


def body(inputs: str | None, attributes: str | None, output: str | None) -> str:
    """The texts of a call's JSON that are indexed, one a line."""
    # What the SDK says about the machine is the same on every call and nobody searches for it.
    parts = (_texts(inputs), _texts(attributes, without="kibitz"), _texts(output))
    return "\n".join(part for part in parts if part)


def _texts(text: str | None, *, without: str | None = None) -> str:
    if text is None:
        return ""
    value: Any = msgspec.json.decode(text)
    if without is not None:
        value.pop(without, None)
    return texts(value)


def parts(text: str) -> tuple[str, set[str]]:
    """The joints and pairs of a text as tokens in a text of their own, and its words."""
    runs = _RUN.findall(_lower(text))
    tokens = {a[-2:] + _JOINT + b[:2] for a, b in pairwise(runs)}
    tokens.update([a[-3:] + _JOINT + b[:3] for a, b in pairwise(runs)])
    words = set(runs)
    # This runs for every call that is recorded: what is plain is not looked at word by word.
    if not text.isascii():
        tokens = {token for token in tokens if _is_joint(token)}
        odd = {word for word in words if not _is_sure(word)}
    else:
        odd = {word for word in words if len(word) > _MAX_WORD}
    words -= odd
    for word in odd:
        tokens.update(_pairs(word))
    return " ".join(tokens), words


def _is_joint(token: str) -> bool:
    return token.isascii()


def _pairs(run: str) -> Iterable[str]:
    """The pairs of neighbours in a run; as numbers, since the tokenizer would cut some characters."""
    for index in range(len(run) - 1):
        yield f"{_PAIR}{zlib.crc32(run[index : index + 2].encode('utf-8', 'replace')) & 0xFFFFF:x}"


def _lower(text: str) -> str:
    """In lower case as far as ASCII goes, as conditions fold."""
    if text.isascii():
        return text.lower()
    return text.translate(_FOLD)


_FOLD = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


# -- what a condition needs


def needs(node: Node, level: int, lookup: Lookup) -> list[str] | None:
    """FTS5 expressions of which every call matching the node satisfies one; None where the index cannot tell."""
    found = _needs(node, level, lookup)
    if found is None:
        return None
    # The rarest are the longest, as a rule; and the parser of FTS5 takes so many.
    chosen = [sorted(tokens, key=lambda token: (-len(token), token)) for tokens in found]
    return list(dict.fromkeys(" AND ".join(tokens[:_MAX_TOKENS]) for tokens in chosen))


def _needs(node: Node, level: int, lookup: Lookup) -> _Needs | None:
    match node:
        case And(nodes):
            return _all([_needs(each, level, lookup) for each in nodes])
        case Or(nodes):
            return _any([_needs(each, level, lookup) for each in nodes])
        case Compare(field, "eq", value) if is_indexed(field):
            return _of_value(value, level)
        case In(field, values) if is_indexed(field):
            return _any([_of_value(value, level) for value in values])
        case Contains(field, text, _) if is_indexed(field):
            return _of_substring(text, level, lookup)
        case Matches(field, pattern, False) if is_indexed(field):
            required = patterns.required_text(pattern)
            return None if required is None else _of_substring(required, level, lookup)
        case _:
            return None


def _all(branches: list[_Needs | None]) -> _Needs | None:
    """Both; where the ways to combine are many, the fewer alternatives alone."""
    found = sorted((each for each in branches if each is not None), key=len)
    if not found:
        return None
    chosen, *others = found
    for other in others:
        if len(chosen) * len(other) > _MAX_ALTERNATIVES:
            break
        chosen = [one | two for one in chosen for two in other]
    return chosen


def _any(branches: list[_Needs | None]) -> _Needs | None:
    found: _Needs = []
    for branch in branches:
        if branch is None:
            return None
        found += branch
    return found if 0 < len(found) <= _MAX_ALTERNATIVES else None


def is_indexed(field: object) -> bool:
    """Whether the words of a field are in the index."""
    if not isinstance(field, PathField):
        return False
    if field.root == "attributes":
        # What the SDK says about the machine is no word, see `body`.
        return bool(field.path) and field.path[0] != "kibitz"
    return field.root in ("inputs", "output")


def _of_value(value: object, level: int) -> _Needs | None:
    if isinstance(value, int | float) and is_whole(value):
        return [frozenset((f'"{abs(int(value))}"',))]
    if not isinstance(value, str):
        return None
    runs = _RUN.findall(_lower(value))
    words = [run for run in runs if _is_sure(run)]
    tokens = _rarest(words)
    if level >= SUBSTRINGS:
        tokens += _joints(runs, [True] * len(runs)) + _odd(runs)
    return _joined(tokens)


def _of_substring(text: str, level: int, lookup: Lookup) -> _Needs | None:
    lowered = _lower(text)
    matches = list(_RUN.finditer(lowered))
    runs = [match[0] for match in matches]
    begins = [match.start() > 0 for match in matches]
    ends = [match.end() < len(lowered) for match in matches]
    whole = [a and b for a, b in zip(begins, ends, strict=True)]
    tokens = _rarest(
        [run for run, is_whole_ in zip(runs, whole, strict=True) if is_whole_ and _is_sure(run)]
    )
    edges = [
        Part(run, begins=a, ends=b)
        for run, a, b in zip(runs, begins, ends, strict=True)
        if not (a and b) and _is_sure(run)
    ]
    if level < SUBSTRINGS:
        if not tokens:
            prefixes = [each.text for each in edges if each.begins]
            tokens = [f'"{text}"*' for text in prefixes if len(text) >= _MIN_PREFIX]
        return _joined(tokens)
    tokens += _joints(runs, whole) + _odd(runs)
    longest = max(edges, key=lambda edge: len(edge.text), default=None)
    if longest is None or len(longest.text) < _MIN_PART or len(tokens) > 1:
        return _joined(tokens)
    found = lookup(longest, _FEW_WORDS if tokens else _MANY_WORDS)
    if found is None:
        return _joined(tokens)
    # The word may also be within a run that is no plain word, of which there are pairs instead.
    choices = [frozenset((f'"{word}"',)) for word in found]
    choices.append(frozenset(f'"{pair}"' for pair in list(_pairs(longest.text))[:_MAX_PAIRS]))
    return [choice | frozenset(tokens) for choice in choices]


def _rarest(words: list[str]) -> list[str]:
    return [f'"{word}"' for word in sorted(set(words), key=len, reverse=True)[:_MAX_WORDS]]


def _joints(runs: list[str], whole: list[bool]) -> list[str]:
    """The joints that a text has where these runs follow each other; of a run at the edge two characters must be known."""
    found: list[str] = []
    last = len(runs) - 1
    for index, (before, after) in enumerate(pairwise(runs)):
        # How many characters of both are known: of a word that is there to its other end, all.
        known = min(
            len(before) if index == 0 and not whole[0] else 3,
            len(after) if index + 1 == last and not whole[last] else 3,
        )
        if known < 2:
            continue
        size = min(known, 3)
        token = before[-size:] + _JOINT + after[:size]
        if _is_joint(token):
            found.append(f'"{token}"')
    return sorted(dict.fromkeys(found), key=len, reverse=True)[:_MAX_JOINTS]


def _odd(runs: list[str]) -> list[str]:
    """The pairs of the runs that are no plain words; those of a plain one at the edge are not sure to be there."""
    found = [pair for run in runs if not _is_sure(run) for pair in _pairs(run)]
    return [f'"{pair}"' for pair in list(dict.fromkeys(found))[:_MAX_PAIRS]]


def _is_sure(run: str) -> bool:
    return run.isascii() and len(run) <= _MAX_WORD


def _joined(tokens: list[str]) -> _Needs | None:
    return [frozenset(tokens)] if tokens else None
