"""Trying a selector on a record: what it selects and exactly where, or how far it goes."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec
from msgspec import Struct

from kibitz.base import jsonable
from kibitz.base.errors import MissingPlace, UsageError
from kibitz.judging import lenses
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Record, RecordCall
from kibitz.judging.select import Select
from kibitz.judging.steps import Several

MAX_VALUES: Final = 1000
MAX_BRANCHES: Final = 10_000
"""Ways that a selector may go by naming several keys again and again: `[0, 0][0, 0]` goes four."""
MAX_BYTES: Final = 16 << 20
"""Of the values of an answer together; one is given whatever its size."""
_QUALIFIED: Final = ("__record__", "__app__")
_PYTHON = re.compile(r"Select\.([A-Za-z]+)")


class Selected(Struct, frozen=True, kw_only=True):
    """One value that a selector selects."""

    path: str
    """The text of a selector that selects exactly it."""
    value: Any


class Tried(Struct, frozen=True, kw_only=True):
    """What a selector gives on a record."""

    selector: str
    """Its text, as it is stored with a feedback definition."""
    python: str
    """The same as one writes it in a program."""
    values: list[Selected]
    more: bool = False
    """Whether there are values that the answer has no room for."""
    missing: str | None = None
    """Why there are none: how far the selector goes, and what is there."""
    prefix: str | None = None
    """The longest part of it that exists, where nothing is selected."""


def read(text: str) -> Lens:
    """A selector as somebody writes it down.

    Args:
        text: as it is stored, `__record__.main_input`; the same without its beginning, `main_input`; or as in a
            program, `Select.RecordInput`.

    Raises:
        UsageError: it is none; the message has the place.
    """
    lens = _parsed(text.strip())
    branches = math.prod(
        len(each.steps) for each in lenses.steps_of(lens) if isinstance(each, Several)
    )
    if branches > MAX_BRANCHES:
        raise UsageError(
            f"the selector goes {branches:,} ways by its lists of keys; at most {MAX_BRANCHES:,} are tried",
            field="selector",
        )
    is_whole = any(Lens()[name].is_prefix_of(lens) for name in _QUALIFIED)
    return lens if is_whole else Select.for_record(lens)


def _parsed(text: str) -> Lens:
    python = _PYTHON.match(text)
    if python is None:
        return Lens.parse(text)
    begin = getattr(Select, python[1], None)
    if not isinstance(begin, Lens):
        raise UsageError(
            f"the selector {text[:80]!r} begins with {python[0]!r}, which is none", field="selector"
        )
    return begin + Lens.parse(text[python.end() :].removeprefix("."))


def attempt(record: Record, text: str, *, limit: int = MAX_VALUES) -> Tried:
    """What a selector gives on a record, as JSON.

    Args:
        record: where to look.
        text: the selector, see `read`.
        limit: how many values at most.

    Raises:
        UsageError: the text is no selector.
    """
    lens = read(text)
    tried = Tried(selector=str(lens), python=Select.render(lens), values=[])
    values = tried.values
    size = 0
    try:
        for path, found in lenses.whole(lens, {"__record__": record, "__app__": {}}):
            value = written(found)
            size += len(msgspec.json.encode(value))
            if values and (len(values) >= limit or size > MAX_BYTES):
                return msgspec.structs.replace(tried, more=True)
            values.append(Selected(path=path, value=value))
    except MissingPlace as error:
        prefix = error.facts.get("prefix")
        return msgspec.structs.replace(tried, values=[], missing=error.message, prefix=prefix)
    return tried


def written(value: Any) -> Any:
    """Something of a record as JSON."""
    return msgspec.to_builtins(value, enc_hook=_part)


def _part(value: Any) -> Any:
    return value.to_json() if isinstance(value, Record | RecordCall) else jsonable.to_json(value)
