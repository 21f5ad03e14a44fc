"""How values of Python's own types, and of ours, become JSON and come back."""

from __future__ import annotations

import base64
import enum
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from kibitz.base import messages
from kibitz.base.jsonwriter import TYPE, Unreadable, Write, Writer, class_of, error_text, truncated
from kibitz.base.records import Json
from kibitz.base.values import File, Markdown

_MAX_INT_BITS = 4096
_INLINE_BYTES = 4096


def write_int(writer: Writer, value: int, _: int) -> Json:
    number = int.__int__(value)
    if number.bit_length() > _MAX_INT_BITS:
        return {TYPE: "truncated", "kind": "int", "total": number.bit_length()}
    writer.spend(2 + number.bit_length() // 3)
    return number


def write_float(writer: Writer, value: float, _: int) -> Json:
    number = float.__float__(value)
    writer.spend(18)
    if math.isfinite(number):
        return number
    return {TYPE: "float", "value": repr(number)}


def write_text(writer: Writer, value: str, _: int) -> Json:
    return writer.text(str.__str__(value))


def write_mapping(writer: Writer, value: Mapping[Any, Any], depth: int) -> Json:
    # A copy first: another thread may go on changing a value that is kept by reference.
    return writer.object(value, writer.parts(value, value.items()), depth)


def write_sequence(writer: Writer, value: Iterable[Any], depth: int) -> Json:
    items = writer.parts(value, value)
    if (
        len(items) == 2
        and type(items[0]) is str
        and type(items[1]) is str
        and writer.hides(items[0])
    ):
        # A header is often a pair of name and value.
        return [writer.text(items[0]), {TYPE: "redacted"}]
    return writer.list(value, items, depth)


def _write_range(writer: Writer, value: range, depth: int) -> Json:
    kept = value[: writer.items_left]
    result = cast("list[Json]", writer.list(value, list(kept), depth))
    if len(kept) < len(value):
        result.append(truncated("list", len(kept), len(value)))
    return result


def _write_set(writer: Writer, value: set[Any] | frozenset[Any], depth: int) -> Json:
    items = writer.parts(value, value)
    try:
        items.sort()
    except Exception:  # noqa: BLE001 elements that cannot be compared are a user's values
        items.sort(key=_sort_text)
    tag: dict[str, Json] = {TYPE: "set", "value": writer.list(value, items, depth)}
    if isinstance(value, frozenset):
        tag["frozen"] = True
    return tag


def _sort_text(value: object) -> str:
    try:
        return f"{class_of(value)} {value!r}"
    except Exception:  # noqa: BLE001 a repr is a user's code
        return class_of(value)


def _write_bytes(writer: Writer, value: bytes | bytearray | memoryview, _: int) -> Json:
    content = bytes(value)
    if len(content) > _INLINE_BYTES:
        if writer.keeps_files:
            return writer.file(content, "application/octet-stream")
        return truncated("bytes", 0, len(content))
    return writer.tagged("bytes", base64.b64encode(content).decode("ascii"))


def _write_datetime(writer: Writer, value: datetime, _: int) -> Json:
    result = writer.tagged("datetime", value.isoformat())
    zone = getattr(value.tzinfo, "key", None)
    if isinstance(zone, str):
        result["zone"] = zone
    return result


def _write_enum(writer: Writer, value: enum.Enum, depth: int) -> Json:
    return {
        TYPE: "enum",
        "class": class_of(value),
        "name": writer.text(value.name),
        "value": writer.nested(value.value, depth + 1),
    }


def _write_unreadable(_writer: Writer, value: Unreadable, _: int) -> Json:
    return {TYPE: "object", "error": error_text(value.error)}


def _write_exception(writer: Writer, value: BaseException, _: int) -> Json:
    kind = class_of(value)
    message = writer.text(messages.message_of(value))
    writer.spend(60 + len(kind))
    return {TYPE: "object", "class": kind, "value": message}


def _write_namespace(writer: Writer, value: SimpleNamespace, depth: int) -> Json:
    return writer.object(value, list(vars(value).items()), depth)


def _write_file(writer: Writer, value: File, _: int) -> Json:
    return writer.file(value.content, value.media_type, value.name)


def _write_markdown(writer: Writer, value: Markdown, _: int) -> Json:
    return {TYPE: "markdown", "value": writer.text(str.__str__(value))}


def _by_text(tag: str, text_of: Callable[[Any], str]) -> Write:
    return lambda writer, value, _: writer.tagged(tag, text_of(value))


def _isoformat(value: date | time) -> str:
    return value.isoformat()


# Their `repr` writes out all that is behind them, however much that is.
_NONE: dict[str, Any] = {}
_VIEWS: tuple[type[Any], ...] = (type(_NONE.keys()), type(_NONE.values()), type(_NONE.items()))

_BY_KIND: tuple[tuple[type | tuple[type, ...], Write], ...] = (
    (Markdown, _write_markdown),
    (File, _write_file),
    (Unreadable, _write_unreadable),
    (str, write_text),
    (int, write_int),
    (float, write_float),
    (enum.Enum, _write_enum),
    ((bytes, bytearray, memoryview), _write_bytes),
    (datetime, _write_datetime),
    (date, _by_text("date", _isoformat)),
    (time, _by_text("time", _isoformat)),
    (timedelta, _by_text("timedelta", msgspec.to_builtins)),
    (Decimal, _by_text("decimal", str)),
    (UUID, _by_text("uuid", str)),
    (BaseException, _write_exception),
    (SimpleNamespace, _write_namespace),
    (_VIEWS, write_sequence),
    (PurePath, lambda writer, value, _: writer.text(str(value))),
    ((dict, MappingProxyType), write_mapping),
    ((set, frozenset), _write_set),
    (range, _write_range),
    ((list, tuple, deque), write_sequence),
)


def writer_of(kind: type[Any]) -> Write | None:
    """How values of a class are written; None where it is not one of these. Asks the class, never the value."""
    fields: Any = getattr(cast("Any", kind), "_fields", None)
    if issubclass(kind, tuple) and isinstance(fields, tuple):
        names = tuple(str(name) for name in cast("tuple[Any, ...]", fields))
        return lambda writer, value, depth: writer.fields(value, names, depth)
    return next((write for kinds, write in _BY_KIND if issubclass(kind, kinds)), None)


def read(value: Json) -> Any:
    """The typed value again; unknown or broken tags stay as they are."""
    if isinstance(value, list):
        return [read(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TYPE)
    reader = _READERS.get(tag) if isinstance(tag, str) else None
    if reader is None:
        return {key: read(item) for key, item in value.items()}
    try:
        return reader(value)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
        return value


def _read_datetime(tag: dict[str, Any]) -> datetime:
    value = datetime.fromisoformat(tag["value"])
    zone = tag.get("zone")
    return value if zone is None else value.astimezone(ZoneInfo(zone))


def _read_set(tag: dict[str, Any]) -> Any:
    items = [read(item) for item in tag["value"]]
    return frozenset(items) if tag.get("frozen") is True else set(items)


def _read_dict(tag: dict[str, Any]) -> Any:
    return {key: read(item) for key, item in tag["value"].items()}


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "datetime": _read_datetime,
    "date": lambda tag: date.fromisoformat(tag["value"]),
    "time": lambda tag: time.fromisoformat(tag["value"]),
    "timedelta": lambda tag: msgspec.convert(tag["value"], timedelta),
    "decimal": lambda tag: Decimal(tag["value"]),
    "uuid": lambda tag: UUID(tag["value"]),
    "bytes": lambda tag: base64.b64decode(tag["value"], validate=True),
    "set": _read_set,
    "enum": lambda tag: read(tag["value"]),
    "float": lambda tag: float(tag["value"]),
    "markdown": lambda tag: Markdown(tag["value"]),
    "dict": _read_dict,
}
