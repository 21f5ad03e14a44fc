"""The frame in which a value becomes JSON: how much is left, what is open, what is secret.

How a class is written is a function `(writer, value, depth)`, see `typed` and `foreign`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

from kibitz.base import plainjson, refs
from kibitz.base import redaction as redactions
from kibitz.base.records import FilePart, Json
from kibitz.base.redaction import Redaction

T = TypeVar("T")

TYPE = "$type"
TRUNCATED = "$truncated"
_MAX_REPR = 2000
_NUMBERED_KEYS = 10
_CONTAINERS = frozenset((list, tuple, dict, set, frozenset, deque))
"""Those that end: what iterates over them is not a user's code."""
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


class Writer:
    """Writes one value; `used_bytes` then says how much JSON it came to, roughly."""

    def __init__(
        self,
        writer_of: Callable[[type[Any]], Write],
        *,
        limits: Limits = DEFAULT_LIMITS,
        redaction: Redaction | None = None,
        files: dict[str, FilePart] | None = None,
    ) -> None:
        self._writer_of = writer_of
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
            return self.write_at(value, 0)
        except BaseException as error:  # noqa: BLE001 see there
            return self._failed(value, error)

    def write_at(self, value: Any, depth: int) -> Json:
        """A value in place of the one that is being written; what it does wrong costs that one."""
        kind = cast("type[Any]", type(value))
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            self._left -= 5
            return value
        return self._writer_of(kind)(self, value, depth)

    def nested(self, value: object, depth: int) -> Json:
        """An element: what it does wrong costs this element only."""
        try:
            return self.write_at(value, depth)
        except BaseException as error:  # noqa: BLE001 see there
            return self._failed(value, error)

    def _failed(self, value: object, error: BaseException) -> Json:
        # A value is a user's code: nothing it does gets out, a cancellation or `sys.exit()` neither.
        # Somebody's Ctrl+C does.
        if isinstance(error, KeyboardInterrupt):
            raise error
        return self.opaque(value, error=error)

    def text(self, value: str) -> Json:
        """A text, scrubbed of secrets and cut where it is over what is left."""
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

    def object(self, value: Any, entries: list[tuple[Any, Any]], depth: int) -> Json:
        """A container of named parts: a mapping, or an object by its fields."""
        closed = self._enter(value, depth)
        if closed is not None:
            return closed
        result: dict[str, Json] = {}
        redaction = self._redaction
        try:
            for key, item in entries:
                if self._left <= 0 or self._items <= 0:
                    result[TRUNCATED] = truncated("object", len(result), _total(value, entries))
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
                    result[name] = self.nested(item, depth + 1)
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

    def list(self, value: object, items: list[Any], depth: int) -> Json:
        """A container of parts in order."""
        closed = self._enter(value, depth)
        if closed is not None:
            return closed
        result: list[Json] = []
        try:
            for item in items:
                if self._left <= 0 or self._items <= 0:
                    result.append(truncated("list", len(result), _total(value, items)))
                    break
                self._items -= 1
                self._left -= 1
                result.append(self.nested(item, depth + 1))
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

    def spend(self, size: int) -> None:
        """Count bytes of JSON that a function of another module makes."""
        self._left -= size

    @property
    def keeps_files(self) -> bool:
        """Whether bytes go beside the value."""
        return self._files is not None

    @property
    def items_left(self) -> int:
        """How many more elements and entries are kept."""
        return self._items

    def hides(self, name: str) -> bool:
        """Whether a value under this name is a secret."""
        return self._redaction is not None and self._redaction.hides(name)

    def parts(self, value: object, parts: Iterable[T]) -> list[T]:
        """The parts of a container: all, and of a class of the program's own as many as can be kept, or one more."""
        return list(parts if type(value) in _CONTAINERS else islice(parts, self._items + 1))

    def fields(self, value: object, names: Iterable[str], depth: int) -> Json:
        """An object by its fields; a field that cannot be read is left out and marked."""
        entries: list[tuple[str, Any]] = []
        for name in names:
            try:
                entries.append((name, getattr(value, name)))
            except Exception as error:  # noqa: BLE001 reading an attribute may run a user's code
                entries.append((name, Unreadable(error)))
        return self.object(value, entries, depth)

    def tagged(self, tag: str, text: str) -> dict[str, Json]:
        """A value of a type that JSON has no kind for, by its text."""
        self._left -= len(text) + 30
        return {TYPE: tag, "value": text}

    def file(self, content: bytes, media_type: str, name: str | None = None) -> Json:
        """Bytes by their digest; they themselves go to `files`."""
        if self._files is None or len(content) > self._limits.file_bytes:
            return truncated("file", 0, len(content))
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
            tag["name"] = self.text(name)
        return tag

    def opaque(self, value: object, *, error: BaseException | None = None) -> Json:
        """An object by its class and repr."""
        result: dict[str, Json] = {TYPE: "object", "class": class_of(value)}
        self._left -= 40 + len(cast("str", result["class"]))
        if error is not None:
            result["error"] = error_text(error)
            return result
        try:
            text = repr(value)
        except Exception as failure:  # noqa: BLE001 a repr is a user's code
            result["error"] = error_text(failure)
            return result
        text = _ADDRESS.sub("", text[: _MAX_REPR * 2])
        if len(text) > _MAX_REPR:
            text = text[:_MAX_REPR] + "…"
        result["value"] = self.text(text)
        return result


Write = Callable[[Writer, Any, int], Json]


class Unreadable:
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


def truncated(kind: str, kept: int, total: int) -> Json:
    """Stands for what was cut off."""
    return {TYPE: "truncated", "kind": kind, "kept": kept, "total": total}


def is_end(value: object) -> bool:
    """Whether this is what a list that was cut ends with."""
    if type(value) is not dict:
        return False
    mark = cast("dict[str, Any]", value)
    return mark.get(TYPE) == "truncated" and mark.get("kind") == "list"


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


def error_text(error: BaseException) -> str:
    """What a mark says of an exception: its class, as its message is a user's."""
    return class_of(error)
