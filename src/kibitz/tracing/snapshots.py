"""Keeping a value as it is now, cheaply: the caller goes on and may change it.

What is seen of later changes:

- Numbers, text, bytes and everything in dicts, lists, tuples and sets of them: nothing. Such a value is packed by
  the pickler, in C, which keeps sets, tuples, NaN and keys as they are and survives cycles and shared parts.
  (`marshal` takes half as long, but it takes whatever lends its memory for bytes: a number of NumPy, a mapped
  file. msgspec has no end where a part is shared by many.)
- Containers and dataclasses that hold other objects: their structure is copied, nothing is seen. This is done
  for the first 20,000 of their parts and 100 levels deep; more is hardly ever recorded.
- Any other object (a pydantic model, an image, a data frame, your own classes): a reference is kept, and it is
  turned into JSON on the exporter's thread, normally within half a second. A change before then is seen.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, NoReturn, cast

ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
MAX_PARTS = 20_000
_LARGE = 50_000
_MAX_DEPTH = 100
_PART_BYTES = 64
"""What a part costs in memory, roughly, beside the text in it."""


class Packed:
    """A value of built-in types, as the pickler wrote it."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content


def take(value: Any) -> tuple[object, int]:
    """What to keep of a value, and about how many bytes that is."""
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType] of any value
    if kind in ATOMS:
        return value, (len(value) if kind is str or kind is bytes else 16)
    if kind in _SIZED and len(value) > _LARGE:
        # Packing would copy all of it, and only the first parts are recorded.
        return _copy(value)
    content = _pack(value)
    if content is None:
        return _copy(value)
    return Packed(content), len(content)


def take_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[object, int]:
    """What to keep of a call's arguments; `arguments_of` gives them back."""
    value: Any
    for value in args:
        if type(value) in _SIZED and len(value) > _LARGE:
            break
    else:
        content = _pack((args, kwargs))
        if content is not None:
            return Packed(content), len(content)
    # One argument that cannot be packed (a client, a model) must not cost the others their short way.
    size = 0
    kept: list[object] = []
    for value in args:
        part, more = take(value)
        kept.append(part)
        size += more
    named: dict[str, object] = {}
    for name, value in kwargs.items():
        named[name], more = take(value)
        size += more
    return (tuple(kept), named), size


def arguments_of(kept: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that were kept."""
    args, kwargs = value_of(kept)
    return (
        tuple([value_of(value) for value in args]),
        {name: value_of(value) for name, value in kwargs.items()},
    )


def value_of(kept: object) -> Any:
    """The value that was kept."""
    return pickle.loads(kept.content) if type(kept) is Packed else kept


_SIZED = frozenset({dict, list, tuple, set, frozenset})


class _Refused(Exception):
    """The value holds something that is not of a built-in type."""


class _Pickler(pickle.Pickler):
    """Writes values of built-in types and refuses all others, before any code of theirs runs."""

    def reducer_override(self, obj: object) -> NoReturn:
        # The pickler asks for everything that it does not write by itself.
        raise _Refused


def _packer() -> Callable[[object], bytes]:
    target = io.BytesIO()
    pickler = _Pickler(target, 5)
    # Bound once: this is the longest step that recording takes on the caller's thread.
    dump, clear = pickler.dump, pickler.clear_memo
    getvalue, seek, truncate = target.getvalue, target.seek, target.truncate

    def pack(value: object) -> bytes:
        dump(value)
        content = getvalue()
        seek(0)
        truncate()
        clear()
        return content

    return pack


_packers: list[Callable[[object], bytes]] = []
"""Those not in use: making one costs as much as using it. A list, as `pop` and `append` are atomic."""


def _pack(value: object) -> bytes | None:
    """The value packed; None where it holds something that is not of a built-in type, or is too deep."""
    try:
        pack = _packers.pop()
    except IndexError:
        pack = _packer()
    try:
        content = pack(value)
    except Exception:  # noqa: BLE001 refused, or nested deeper than the stack allows
        # This packer is left half-way, and not used again.
        return None
    _packers.append(pack)
    return content


def _copy(value: object) -> tuple[object, int]:
    copier = _Copier()
    try:
        return copier.copy(value, 0), copier.size
    except Exception:  # noqa: BLE001 reading a field or iterating may run a user's code
        return value, copier.size


def _is_dict(kind: type[Any]) -> bool:
    """Whether it is a dict that iterates as dicts do; one with a way of its own may have no end."""
    iterates: Any = getattr(kind, "__iter__", None)
    return kind is OrderedDict or (issubclass(kind, dict) and iterates is dict.__iter__)  # pyright: ignore[reportUnknownMemberType] of any dict


class _Copier:
    """Copies containers and leaves everything else; parts that are shared, also in a cycle, stay shared."""

    def __init__(self) -> None:
        self.size = 0
        self._parts = MAX_PARTS
        self._copies: dict[int, tuple[object, object]] = {}
        """By id, with the original, so that its id is not given to another object meanwhile."""

    def copy(self, value: object, depth: int) -> object:
        kind = cast("type[Any]", type(value))
        self._parts -= 1
        self.size += _PART_BYTES
        if kind in ATOMS:
            if kind is str or kind is bytes:
                self.size += len(cast("str", value))
            return value
        known = self._copies.get(id(value))
        if known is not None:
            return known[1]
        if self._parts <= 0 or depth > _MAX_DEPTH:
            return value
        if kind is list or kind is deque or kind is tuple:
            return self._sequence(cast("list[Any]", value), depth, whole=kind is tuple)
        if _is_dict(kind):
            return self._dict(value, dict(cast("dict[Any, Any]", value)), depth)
        if kind is set:
            return set(cast("set[Any]", value))
        if "__dataclass_fields__" in vars(kind):
            names = cast("dict[str, Any]", kind.__dataclass_fields__)
            return self._dict(value, {name: getattr(value, name) for name in names}, depth)
        return value

    def _sequence(self, value: list[Any], depth: int, *, whole: bool) -> object:
        result = list(value)
        self._keep(value, result, len(result))
        for index, item in enumerate(result):
            if self._parts <= 0:
                break
            result[index] = self.copy(item, depth + 1)
        return tuple(result) if whole else result

    def _dict(self, value: object, result: dict[Any, Any], depth: int) -> object:
        self._keep(value, result, len(result))
        for key, item in result.items():
            if self._parts <= 0:
                break
            # The key is there already, so that the dict keeps its size while it is gone through.
            result[key] = self.copy(item, depth + 1)
        return result

    def _keep(self, value: object, result: object, length: int) -> None:
        self._copies[id(value)] = (value, result)
        self.size += 8 * length
