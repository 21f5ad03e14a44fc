"""What was left out when a call was recorded, as selectors meet it.

A recorded value is bounded (`base.jsonable`), and what was cut from it is marked. A score over a part must not look like
one over the whole. So a place that runs into a mark is missing, and the message says what was cut:

- a slice, a position from the end or a name of each element, of a list that was cut, where it reaches beyond what is kept;
- a key of an object, or an element of a list, that may have been among what was cut;
- for feedback functions, a value that holds a mark, however deep; and one that was left out whole as a secret.

What names kept parts alone is there: `[:100]` of a list that was cut after 20,000, and `.value`, the beginning of a text.
"""

from __future__ import annotations

import math
from typing import Any, Final, cast

from kibitz.base import jsonable
from kibitz.base.jsonable import TRUNCATED, TYPE

_LEAVES: Final = frozenset((str, int, float, bool, type(None), bytes))
_TABLES: Final = ("dataframe", "array")
_UNITS: Final = {
    "text": "a text of {total:,} characters, of which {kept:,} were kept",
    "list": "a list of {total:,} elements, of which {kept:,} were kept",
    "object": "an object of {total:,} entries, of which {kept:,} were kept",
    "bytes": "{total:,} bytes, which were not kept",
    "file": "a file of {total:,} bytes, which were not kept",
    "int": "a number of {total:,} bits, which was not kept",
    "depth": "what lies more than {total:,} levels deep, which was not kept",
}


class Cut(LookupError):
    """A place reaches beyond what was kept of a value."""


def is_cut_list(value: Any) -> bool:
    """Whether elements of a list are missing at its end."""
    return isinstance(value, list) and jsonable.is_end(
        cast("list[Any]", value)[-1] if value else None
    )


def element(value: Any, at: int) -> Any:
    """An element of a list; Cut where it counts from an end that was cut, or is this end."""
    found = value[at]
    if jsonable.is_end(found) or (at < 0 and is_cut_list(value)):
        raise Cut
    return found


def elements(value: Any, part: slice) -> Any:
    """Some elements of a list; Cut where they reach beyond what is kept, or count from an end that was cut."""
    if is_cut_list(value):
        is_forward = part.step is None or part.step > 0
        far = part.stop if is_forward else part.start
        beyond = far is None or far + (not is_forward) >= len(value)
        if beyond or min(part.start or 0, part.stop or 0) < 0:
            raise Cut
    return value[part]


def value_of(value: Any) -> Any:
    """The key `value` of a mapping. Of frames and arrays only the head is recorded, without marks: with them."""
    found = value["value"]
    kind = cast("Any", type(value))
    if kind is not dict or value.get(TYPE) not in _TABLES:
        return found
    lengths = _lengths(value)
    if lengths is None:
        return found
    rows: list[Any] = found
    if value[TYPE] == "dataframe" and len(lengths) == 2:
        columns = _count(value.get("columns"))
        if columns < lengths[1]:
            rows = [[*row, jsonable.truncated("list", columns, lengths[1])] for row in rows]
    if len(rows) < lengths[0]:
        rows = [*rows, jsonable.truncated("list", len(rows), lengths[0])]
    return rows


def said(value: Any) -> str | None:
    """What was cut from this value itself, in words; None where nothing was."""
    kind = cast("Any", type(value))
    if kind is dict:
        return _said_of_object(value)
    return _words(value[-1]) if is_cut_list(value) else None


def inside(value: Any) -> str | None:
    """What was cut from a value or from anything in it, in words; None where it is whole."""
    kind = cast("Any", type(value))
    if kind in _LEAVES:
        return None
    if kind is dict and value.get(TYPE) == "redacted":
        return "what was left out as a secret"
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            # A live value may hold itself, or one thing many times over.
            continue
        seen.add(id(each))
        below: Any = each
        if isinstance(each, dict):
            known = cast("Any", each)
            if known.get(TYPE) == "dict" and isinstance(known.get("value"), dict):
                # These keys are the program's own.
                known = known["value"]
                words = _words_of_rest(known)
            else:
                words = _said_of_object(known) if TYPE in known or TRUNCATED in known else None
            if words is not None:
                return words
            below = known.values()
        elif not isinstance(each, list | tuple):
            parts = getattr(cast("type[Any]", type(each)), "__kibitz_values__", None)
            below = () if parts is None else parts(each)
        waiting += [one for one in below if type(one) not in _LEAVES]
    return None


def _said_of_object(value: Any) -> str | None:
    tag = value.get(TYPE)
    if tag == "truncated":
        return _words(value)
    lengths = _lengths(value) if tag in _TABLES else None
    if lengths is None:
        return _words_of_rest(value)
    columns = _count(value.get("columns")) if tag == "dataframe" else lengths[-1]
    if _count(value["value"]) >= lengths[0] and columns >= lengths[-1]:
        return None
    shape = " × ".join(f"{length:,}" for length in value["shape"])
    return f"{'a frame' if tag == 'dataframe' else 'an array'} of {shape}, of which the beginning was kept"


def _words_of_rest(value: Any) -> str | None:
    """What an object says of entries that it lost; a program may have a key of that name itself."""
    rest = value.get(TRUNCATED)
    is_mark = isinstance(rest, dict) and cast("Any", rest).get(TYPE) == "truncated"
    return _words(rest) if is_mark else None


def _lengths(table: Any) -> list[int] | None:
    """The shape of a frame or array in the form in which its `value` is written; None where that is no list."""
    shape, rows = table.get("shape"), table.get("value")
    if not isinstance(shape, list) or not isinstance(rows, list) or not shape:
        return None
    lengths, kept = cast("list[Any]", shape), cast("list[Any]", rows)
    if not all(type(length) is int for length in lengths):
        return None
    is_nested = bool(kept) and isinstance(kept[0], list)
    # A whole array is nested as it was; of a larger one the first elements are kept flat.
    return lengths if is_nested or table[TYPE] == "dataframe" else [math.prod(lengths)]


def _count(value: Any) -> int:
    return len(cast("list[Any]", value)) if isinstance(value, list) else 0


def _words(mark: Any) -> str:
    known: dict[str, Any] = cast("dict[str, Any]", mark) if isinstance(mark, dict) else {}
    form = _UNITS.get(str(known.get("kind")))
    kept, total = known.get("kept", 0), known.get("total")
    if form is None or type(kept) is not int or type(total) is not int:
        return "what there was no room for"
    return form.format(kept=kept, total=total)
