"""Any Python value as bounded JSON, and back where the type allows it.

What JSON has a kind for stays plain, so that queries read it naturally: text, numbers, booleans, null,
mappings, lists and tuples; dataclasses, pydantic models, attrs classes, msgspec structs and named tuples
become objects by field; members of enums that are also `str` or `int` become their value; paths become text.
Keys become text: `None`, `True` and numbers as JSON writes them, everything else by `str`; a key that is then
taken gets `#2`, `#3` …

Everything else becomes an object with `$type`:

| `$type` | further keys | `from_json` gives |
|---|---|---|
| `datetime` | `value`: ISO 8601, with the offset where there is one; `zone`: its IANA name where known | `datetime` |
| `date`, `time` | `value`: ISO 8601 | `date`, `time` |
| `timedelta` | `value`: ISO 8601 duration, exact to the microsecond | `timedelta` |
| `decimal`, `uuid` | `value`: text | `Decimal`, `UUID` |
| `bytes` | `value`: Base64 | `bytes` |
| `set` | `value`: list, in a stable order; `frozen`: true for a frozenset | `set`, `frozenset` |
| `enum` | `class`, `name`, `value` | the value |
| `float` | `value`: `nan`, `inf` or `-inf` | `float` |
| `markdown` | `value`: text | `Markdown` |
| `file` | `digest`, `media_type`, `size`, `name` where there is one | as it is: the bytes are stored beside |
| `dataframe` | `class`, `shape`, `columns`, `value`: the first rows as lists | as it is |
| `array` | `class`, `shape`, `dtype`, `value`: the first elements, flat, where there are more than fit | as it is |
| `dict` | `value`: an object of the program that has a key `$type` itself | the object |
| `object` | `class`, `value`: its `repr` (of an exception its message); or `error`: why there is none | as it is |
| `redacted` | | as it is |
| `cycle` | the value is a container that it stands in | as it is |
| `truncated` | `kind`: `text`, `bytes`, `list`, `object`, `depth`, `int` or `file`; `total`: its length or size; `kept`; `value`: the beginning, for text | as it is |

A list that was cut ends with its `truncated` element; an object has it under the key `$truncated`.
Text: lone surrogates become U+FFFD, NUL becomes U+2400. Integers keep all their digits up to 4,096 bits.
Nothing that a value does (`repr`, `__getattr__`, `model_dump` … raising) gets out of here.
"""

from __future__ import annotations

from typing import Any

from kibitz.base import foreign, typed
from kibitz.base.jsonwriter import (
    DEFAULT_LIMITS,
    TRUNCATED,
    TYPE,
    Limits,
    Write,
    Writer,
    class_name,
    class_of,
    is_end,
    truncated,
)
from kibitz.base.records import FilePart, Json
from kibitz.base.redaction import Redaction

__all__ = [
    "DEFAULT_LIMITS",
    "TRUNCATED",
    "TYPE",
    "Limits",
    "Writer",
    "class_name",
    "class_of",
    "from_json",
    "is_end",
    "to_json",
    "truncated",
    "writer",
]


def to_json(
    value: object,
    *,
    limits: Limits = DEFAULT_LIMITS,
    redaction: Redaction | None = None,
    files: dict[str, FilePart] | None = None,
) -> Json:
    """The value as JSON.

    Args:
        limits: what is over them is cut and marked as cut.
        redaction: where given, values under secret keys and texts that look like secrets are left out.
        files: where given, gets the bytes of files and images, by digest; without it they are cut.
    """
    return writer(limits=limits, redaction=redaction, files=files).write(value)


def from_json(value: Json) -> Any:
    """The typed value again, for the types that the table above says; unknown or broken tags stay as they are."""
    return typed.read(value)


def writer(
    *,
    limits: Limits = DEFAULT_LIMITS,
    redaction: Redaction | None = None,
    files: dict[str, FilePart] | None = None,
) -> Writer:
    """A writer of one value, that also says how much JSON it came to; the arguments are those of `to_json`."""
    return Writer(_writer_of, limits=limits, redaction=redaction, files=files)


_WRITERS: dict[type, Write] = {
    int: typed.write_int,
    float: typed.write_float,
    dict: typed.write_mapping,
    list: typed.write_sequence,
    tuple: typed.write_sequence,
}
_MAX_REMEMBERED = 2000


def _writer_of(kind: type[Any]) -> Write:
    write = _WRITERS.get(kind)
    if write is None:
        write = typed.writer_of(kind) or foreign.writer_of(kind)
        # Programs may make classes without end; what is remembered of them is bounded.
        if len(_WRITERS) < _MAX_REMEMBERED:
            _WRITERS[kind] = write
    return write
