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

import base64
import enum
import io
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from kibitz.base import messages, plainjson, refs
from kibitz.base import redaction as redactions
from kibitz.base.records import FilePart, Json
from kibitz.base.redaction import Redaction
from kibitz.base.values import File, Markdown

T = TypeVar("T")

TYPE = "$type"
TRUNCATED = "$truncated"
_MAX_INT_BITS = 4096
_MAX_REPR = 2000
_INLINE_BYTES = 4096
_HEAD_ROWS = 10
_NUMBERED_KEYS = 10
_CONTAINERS = frozenset((list, tuple, dict, set, frozenset, deque))
"""Those that end: what iterates over them is not a user's code."""
_HEAD_COLUMNS = 100
_ARRAY_ITEMS = 1000
_SCRUB_MARGIN = 512
"""A secret that the cut of a text goes through must still be recognised; it is looked for this far beyond."""

_encode = msgspec.json.Encoder().encode
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one value is kept."""

    bytes: int = 1 << 20
    """Of its JSON, but for the marks that say what was cut."""
    depth: int = 64
    items: int = 20_000
    """Elements and entries over all its containers."""
    file_bytes: int = 16 << 20


DEFAULT_LIMITS = Limits()


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
    return Writer(limits=limits, redaction=redaction, files=files).write(value)


def from_json(value: Json) -> Any:
    """The typed value again, for the types that the table above says; unknown or broken tags stay as they are."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TYPE)
    reader = _READERS.get(tag) if isinstance(tag, str) else None
    if reader is None:
        return {key: from_json(item) for key, item in value.items()}
    try:
        return reader(value)
    except (ValueError, TypeError, KeyError, ArithmeticError, AttributeError):
        return value


class Writer:
    """Writes one value; `used_bytes` then says how much JSON it came to, roughly."""

    def __init__(
        self,
        *,
        limits: Limits = DEFAULT_LIMITS,
        redaction: Redaction | None = None,
        files: dict[str, FilePart] | None = None,
    ) -> None:
        self._limits = limits
        self._left = limits.bytes
        self._items = limits.items
        self._redaction = redaction
        self._files = files
        self._open: set[int] = set()

    @property
    def used_bytes(self) -> int:
        return self._limits.bytes - self._left

    def write(self, value: object) -> Json:
        """The value as JSON; it never raises because of the value."""
        try:
            plain = plainjson.copy(
                value,
                max_bytes=min(self._limits.bytes, self._left),
                max_items=self._items,
                max_depth=self._limits.depth,
                redaction=self._redaction,
            )
            if plain is not None:
                self._left -= plain[1]
                return plain[0]
            return self._write(value, 0)
        except BaseException as error:  # noqa: BLE001 see there
            return self._failed(value, error)

    def _write(self, value: Any, depth: int) -> Json:
        kind = cast("type[Any]", type(value))
        if kind is str:
            return self._text(value)
        if value is None or kind is bool:
            self._left -= 5
            return value
        write = _WRITERS.get(kind)
        if write is None:
            write = _remember(kind, _writer_of(kind))
        return write(self, value, depth)

    def _nested(self, value: object, depth: int) -> Json:
        """An element: what it does wrong costs this element only."""
        try:
            return self._write(value, depth)
        except BaseException as error:  # noqa: BLE001 see there
            return self._failed(value, error)

    def _failed(self, value: object, error: BaseException) -> Json:
        # A value is a user's code: nothing it does gets out, a cancellation or `sys.exit()` neither.
        # Somebody's Ctrl+C does.
        if isinstance(error, KeyboardInterrupt):
            raise error
        return self._opaque(value, error=error)

    def _text(self, value: str) -> Json:
        total = len(value)
        cut = total > self._left
        if cut:
            value = value[: max(self._left, 0) + _SCRUB_MARGIN]
        if "\0" in value:
            value = value.replace("\0", "␀")
        if self._redaction is not None:
            value = redactions.scrub(value)
        if cut:
            value = value[: max(self._left, 0)]
        try:
            size = len(_encode(value))
        except UnicodeEncodeError:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            size = len(_encode(value))
        while size > self._left and value:
            # Escapes make JSON longer than the text, so that the right length is found in a few steps.
            cut = True
            value = value[: min(len(value) - 1, len(value) * max(self._left, 0) // size)]
            size = len(_encode(value))
        self._left -= size + 1
        if cut:
            return {
                TYPE: "truncated",
                "kind": "text",
                "kept": len(value),
                "total": total,
                "value": value,
            }
        return value

    def _int(self, value: int, depth: int) -> Json:
        del depth
        number = int.__int__(value)
        if number.bit_length() > _MAX_INT_BITS:
            return {TYPE: "truncated", "kind": "int", "total": number.bit_length()}
        self._left -= 2 + number.bit_length() // 3
        return number

    def _float(self, value: float, depth: int) -> Json:
        del depth
        number = float.__float__(value)
        self._left -= 18
        if math.isfinite(number):
            return number
        return {TYPE: "float", "value": repr(number)}

    def _plain_text(self, value: str, depth: int) -> Json:
        del depth
        return self._text(str.__str__(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Json:
        # A copy first: another thread may go on changing a value that is kept by reference.
        return self._object(value, self._parts(value, value.items()), depth)

    def _parts(self, value: object, parts: Iterable[T]) -> list[T]:
        """The parts of a container: all, and of a class of the program's own as many as can be kept, or one more."""
        return list(parts if type(value) in _CONTAINERS else islice(parts, self._items + 1))

    def _object(self, value: object, entries: list[tuple[Any, Any]], depth: int) -> Json:
        closed = self._enter(value, depth)
        if closed is not None:
            return closed
        result: dict[str, Json] = {}
        redaction = self._redaction
        try:
            for key, item in entries:
                if self._left <= 0 or self._items <= 0:
                    result[TRUNCATED] = _truncated("object", len(result), _total(value, entries))
                    break
                self._items -= 1
                name = self._key(key, result)
                if (
                    redaction is not None
                    and item is not None
                    and item is not True
                    and item is not False
                    and redaction.hides(name)
                ):
                    result[name] = {TYPE: "redacted"}
                else:
                    result[name] = self._nested(item, depth + 1)
        finally:
            self._open.discard(id(value))
        if TYPE in result:
            return {TYPE: "dict", "value": result}
        return result

    def _key(self, key: object, taken: dict[str, Json]) -> str:
        if type(key) is str:
            text = key
        elif key is None or isinstance(key, bool):
            text = {None: "null", True: "true", False: "false"}[key]
        elif isinstance(key, str):
            text = str.__str__(key)
        else:
            try:
                text = str(key)
            except Exception:  # noqa: BLE001 a key is a user's value
                text = f"<{class_of(key)}>"
        if len(text) > 1000:
            text = text[:1000] + "…"
        if "\0" in text:
            text = text.replace("\0", "␀")
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self._left -= len(text) + 4
        name, number = text, 2
        while name in taken:
            name, number = f"{text}#{number}", number + 1
            if number == _NUMBERED_KEYS:
                # To count from two for each of thousands would take for ever.
                number = max(number, len(taken))
        return name

    def _sequence(self, value: Iterable[Any], depth: int) -> Json:
        items = self._parts(value, value)
        if (
            self._redaction is not None
            and len(items) == 2
            and type(items[0]) is str
            and type(items[1]) is str
            and self._redaction.hides(items[0])
        ):
            # A header is often a pair of name and value.
            return [self._text(items[0]), {TYPE: "redacted"}]
        return self._list(value, items, depth)

    def _list(self, value: object, items: list[Any], depth: int) -> Json:
        closed = self._enter(value, depth)
        if closed is not None:
            return closed
        result: list[Json] = []
        try:
            for item in items:
                if self._left <= 0 or self._items <= 0:
                    result.append(_truncated("list", len(result), _total(value, items)))
                    break
                self._items -= 1
                self._left -= 1
                result.append(self._nested(item, depth + 1))
        finally:
            self._open.discard(id(value))
        return result

    def _enter(self, value: object, depth: int) -> Json:
        """None, or what stands for a container that is not gone into."""
        if id(value) in self._open:
            return {TYPE: "cycle"}
        if depth >= self._limits.depth:
            return {TYPE: "truncated", "kind": "depth", "total": depth}
        self._open.add(id(value))
        self._left -= 2
        return None

    def _range(self, value: range, depth: int) -> Json:
        kept = value[: self._items]
        result = cast("list[Json]", self._list(value, list(kept), depth))
        if len(kept) < len(value):
            result.append(_truncated("list", len(kept), len(value)))
        return result

    def _set(self, value: set[Any] | frozenset[Any], depth: int) -> Json:
        items = self._parts(value, value)
        try:
            items.sort()
        except Exception:  # noqa: BLE001 elements that cannot be compared are a user's values
            items.sort(key=_sort_text)
        tag: dict[str, Json] = {TYPE: "set", "value": self._list(value, items, depth)}
        if isinstance(value, frozenset):
            tag["frozen"] = True
        return tag

    def _bytes(self, value: bytes | bytearray | memoryview, depth: int) -> Json:
        del depth
        content = bytes(value)
        if len(content) > _INLINE_BYTES:
            if self._files is not None:
                return self._file(content, "application/octet-stream", None)
            return _truncated("bytes", 0, len(content))
        text = base64.b64encode(content).decode("ascii")
        self._left -= len(text) + 30
        return {TYPE: "bytes", "value": text}

    def _file(self, content: bytes, media_type: str, name: str | None) -> Json:
        if self._files is None or len(content) > self._limits.file_bytes:
            return _truncated("file", 0, len(content))
        digest = refs.digest(content)
        self._files[digest] = FilePart(digest=digest, media_type=media_type[:256], content=content)
        self._left -= 120
        tag: dict[str, Json] = {
            TYPE: "file",
            "digest": digest,
            "media_type": media_type,
            "size": len(content),
        }
        if name is not None:
            tag["name"] = self._text(name)
        return tag

    def _file_value(self, value: File, depth: int) -> Json:
        del depth
        return self._file(value.content, value.media_type, value.name)

    def _image(self, value: Any, depth: int) -> Json:
        del depth
        target = io.BytesIO()
        value.save(target, "PNG")
        return self._file(target.getvalue(), "image/png", None)

    def _markdown(self, value: Markdown, depth: int) -> Json:
        del depth
        return {TYPE: "markdown", "value": self._text(str.__str__(value))}

    def _tagged(self, tag: str, text: str) -> Json:
        self._left -= len(text) + 30
        return {TYPE: tag, "value": text}

    def _datetime(self, value: datetime, depth: int) -> Json:
        del depth
        result = cast("dict[str, Json]", self._tagged("datetime", value.isoformat()))
        zone = getattr(value.tzinfo, "key", None)
        if isinstance(zone, str):
            result["zone"] = zone
        return result

    def _enum(self, value: enum.Enum, depth: int) -> Json:
        return {
            TYPE: "enum",
            "class": class_of(value),
            "name": self._text(value.name),
            "value": self._nested(value.value, depth + 1),
        }

    def _fields(self, value: object, names: Iterable[str], depth: int) -> Json:
        """An object by its fields; a field that cannot be read is left out and marked."""
        entries: list[tuple[str, Any]] = []
        for name in names:
            try:
                entries.append((name, getattr(value, name)))
            except Exception as error:  # noqa: BLE001 reading an attribute may run a user's code
                entries.append((name, _Unreadable(error)))
        return self._object(value, entries, depth)

    def _unreadable(self, value: _Unreadable, depth: int) -> Json:
        del depth
        return {TYPE: "object", "error": _error_text(value.error)}

    def _model(self, value: Any, depth: int) -> Json:
        dumped = value.model_dump()
        if not isinstance(dumped, dict):
            return self._write(dumped, depth)
        return self._object(value, list(cast("dict[Any, Any]", dumped).items()), depth)

    def _frame(self, value: Any, depth: int) -> Json:
        rows, columns = value.shape
        head = value.head(_HEAD_ROWS)
        names = [str(name) for name in list(value.columns)[:_HEAD_COLUMNS]]
        # polars hands out rows itself; pandas through its values.
        lines = head.rows() if callable(getattr(head, "rows", None)) else head.values.tolist()
        return {
            TYPE: "dataframe",
            "class": class_of(value),
            "shape": [int(rows), int(columns)],
            "columns": [self._text(name) for name in names],
            "value": self._nested([list(line)[:_HEAD_COLUMNS] for line in lines], depth + 1),
        }

    def _series(self, value: Any, depth: int) -> Json:
        return {
            TYPE: "array",
            "class": class_of(value),
            "shape": [len(value)],
            "dtype": str(value.dtype),
            "value": self._nested(value.head(_ARRAY_ITEMS).to_list(), depth + 1),
        }

    def _array(self, value: Any, depth: int) -> Json:
        shape = [int(length) for length in value.shape]
        total = math.prod(shape)
        whole = total <= _ARRAY_ITEMS
        return {
            TYPE: "array",
            "class": class_of(value),
            "shape": cast("Json", shape),
            "dtype": str(value.dtype),
            "value": self._nested(
                value.tolist() if whole else value.reshape(-1)[:_ARRAY_ITEMS].tolist(), depth + 1
            ),
        }

    def _scalar(self, value: Any, depth: int) -> Json:
        item = value.item()
        return self._opaque(value) if type(item) is type(value) else self._write(item, depth)

    def _exception(self, value: BaseException, depth: int) -> Json:
        del depth
        kind = class_of(value)
        message = self._text(messages.message_of(value))
        self._left -= 60 + len(kind)
        return {TYPE: "object", "class": kind, "value": message}

    def _namespace(self, value: SimpleNamespace, depth: int) -> Json:
        return self._object(value, list(vars(value).items()), depth)

    def _unknown(self, value: object, depth: int) -> Json:
        del depth
        return self._opaque(value)

    def _opaque(self, value: object, *, error: BaseException | None = None) -> Json:
        """An object by its class and repr."""
        result: dict[str, Json] = {TYPE: "object", "class": class_of(value)}
        self._left -= 40 + len(cast("str", result["class"]))
        if error is not None:
            result["error"] = _error_text(error)
            return result
        try:
            text = repr(value)
        except Exception as failure:  # noqa: BLE001 a repr is a user's code
            result["error"] = _error_text(failure)
            return result
        text = _ADDRESS.sub("", text[: _MAX_REPR * 2])
        if len(text) > _MAX_REPR:
            text = text[:_MAX_REPR] + "…"
        result["value"] = self._text(text)
        return result


class _Unreadable:
    """Stands for a field whose reading raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def _total(value: object, parts: list[Any]) -> int:
    """How many parts a container has; of one that does not say, how many were seen."""
    try:
        return max(len(parts), len(cast("list[Any]", value)))
    except Exception:  # noqa: BLE001 a length is a user's code
        return len(parts)


def _truncated(kind: str, kept: int, total: int) -> Json:
    return {TYPE: "truncated", "kind": kind, "kept": kept, "total": total}


def class_of(value: object) -> str:
    """The class of a value, by name."""
    return class_name(type(value))


def class_name(kind: type) -> str:
    """A class with its module, `builtins` left out; it never raises."""
    try:
        # Asked of `type` itself: a metaclass may answer anything.
        name = cast("str", type.__dict__["__qualname__"].__get__(kind))
        module = type.__dict__["__module__"].__get__(kind)
    except Exception:  # noqa: BLE001 a class is a user's value
        return "?"
    text = name if module == "builtins" or not isinstance(module, str) else f"{module}.{name}"
    return text[:256].encode("utf-8", "replace").decode("utf-8")


def _error_text(error: BaseException) -> str:
    return class_of(error)


def _sort_text(value: object) -> str:
    try:
        return f"{class_of(value)} {value!r}"
    except Exception:  # noqa: BLE001 a repr is a user's code
        return class_of(value)


# Their `repr` writes out all that is behind them, however much that is.
_NONE: dict[str, Any] = {}
_VIEWS: tuple[type[Any], ...] = (type(_NONE.keys()), type(_NONE.values()), type(_NONE.items()))
_Write = Callable[[Writer, Any, int], Json]
# pyright: reportPrivateUsage=false
_BY_KIND: tuple[tuple[type | tuple[type, ...], _Write], ...] = (
    (Markdown, Writer._markdown),
    (File, Writer._file_value),
    (_Unreadable, Writer._unreadable),
    (str, Writer._plain_text),
    (int, Writer._int),
    (float, Writer._float),
    (enum.Enum, Writer._enum),
    ((bytes, bytearray, memoryview), Writer._bytes),
    (datetime, Writer._datetime),
    ((date,), lambda writer, value, _: writer._tagged("date", value.isoformat())),
    (time, lambda writer, value, _: writer._tagged("time", value.isoformat())),
    (timedelta, lambda writer, value, _: writer._tagged("timedelta", msgspec.to_builtins(value))),
    (Decimal, lambda writer, value, _: writer._tagged("decimal", str(value))),
    (UUID, lambda writer, value, _: writer._tagged("uuid", str(value))),
    (BaseException, Writer._exception),
    (SimpleNamespace, Writer._namespace),
    (_VIEWS, Writer._sequence),
    (PurePath, lambda writer, value, _: writer._text(str(value))),
    ((dict, MappingProxyType), Writer._mapping),
    ((set, frozenset), Writer._set),
    (range, Writer._range),
)
_WRITERS: dict[type, _Write] = {
    int: Writer._int,
    float: Writer._float,
    dict: Writer._mapping,
    list: Writer._sequence,
    tuple: Writer._sequence,
}
_MAX_REMEMBERED = 2000


def _remember(kind: type, write: _Write) -> _Write:
    # Programs may make classes without end; what is remembered of them is bounded.
    if len(_WRITERS) < _MAX_REMEMBERED:
        _WRITERS[kind] = write
    return write


def _writer_of(kind: type[Any]) -> _Write:
    """How values of a class are written. Asks the class, never the value: a value's attributes may lie."""
    fields: Any = getattr(cast("Any", kind), "_fields", None)
    if issubclass(kind, tuple) and isinstance(fields, tuple):
        names = tuple(str(name) for name in cast("tuple[Any, ...]", fields))
        return lambda writer, value, depth: writer._fields(value, names, depth)
    for kinds, write in _BY_KIND:
        if issubclass(kind, kinds):
            return write
    if issubclass(kind, list | tuple | deque):
        return Writer._sequence
    return _writer_by_shape(kind)


def _writer_by_shape(kind: type[Any]) -> _Write:
    """For classes of other packages, known by what they have, so that none of them is imported."""
    own = {name for base in kind.__mro__ for name in vars(base)}
    if "__dataclass_fields__" in own:
        return _by_fields(cast("Any", kind).__dataclass_fields__)
    if "__struct_fields__" in own:
        return _by_fields(cast("Any", kind).__struct_fields__)
    if "__attrs_attrs__" in own:
        return _by_fields(each.name for each in cast("Any", kind).__attrs_attrs__)
    if "model_dump" in own:
        return Writer._model
    homes = {(base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__}
    if homes & {("pandas", "DataFrame"), ("polars", "DataFrame")}:
        return Writer._frame
    if homes & {("pandas", "Series"), ("polars", "Series")}:
        return Writer._series
    if ("PIL", "Image") in homes:
        return Writer._image
    if ("numpy", "generic") in homes:
        return Writer._scalar
    if {"shape", "dtype", "tolist", "reshape"} <= own:
        return Writer._array
    if issubclass(kind, Mapping):
        return Writer._mapping
    return Writer._unknown


def _by_fields(names: Iterable[str]) -> _Write:
    kept = tuple(names)
    return lambda writer, value, depth: writer._fields(value, kept, depth)


def _read_datetime(tag: dict[str, Any]) -> datetime:
    value = datetime.fromisoformat(tag["value"])
    zone = tag.get("zone")
    return value if zone is None else value.astimezone(ZoneInfo(zone))


def _read_set(tag: dict[str, Any]) -> Any:
    items = [from_json(item) for item in tag["value"]]
    return frozenset(items) if tag.get("frozen") is True else set(items)


def _read_dict(tag: dict[str, Any]) -> Any:
    return {key: from_json(item) for key, item in tag["value"].items()}


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "datetime": _read_datetime,
    "date": lambda tag: date.fromisoformat(tag["value"]),
    "time": lambda tag: time.fromisoformat(tag["value"]),
    "timedelta": lambda tag: msgspec.convert(tag["value"], timedelta),
    "decimal": lambda tag: Decimal(tag["value"]),
    "uuid": lambda tag: UUID(tag["value"]),
    "bytes": lambda tag: base64.b64decode(tag["value"], validate=True),
    "set": _read_set,
    "enum": lambda tag: from_json(tag["value"]),
    "float": lambda tag: float(tag["value"]),
    "markdown": lambda tag: Markdown(tag["value"]),
    "dict": _read_dict,
}
