"""Keeping a value as it is now, cheaply: the caller goes on and may change it.

What is seen of later changes:

- Numbers, text, bytes and everything in dicts, lists, tuples, sets and deques of them, however deep: nothing.
  Such a value is copied by `marshal`, in C: measured on a kilobyte of chat messages it takes as long as
  msgspec's `to_builtins`, keeps sets, tuples, NaN and keys as they are, and survives cycles and shared parts.
- Containers and dataclasses that hold other objects: their structure is copied, nothing is seen. This is done
  for the first 20,000 of their parts; more are never recorded.
- Any other object (a pydantic model, an image, a data frame, your own classes): a reference is kept, and it is
  turned into JSON on the exporter's thread, normally within half a second. A change before then is seen.
"""

from __future__ import annotations

import marshal
from collections import deque
from typing import Any, cast

ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
MAX_PARTS = 20_000
_LARGE = 50_000
_MAX_DEPTH = 100
_PART_BYTES = 64
"""What a part costs in memory, roughly, beside the text in it."""


class Packed:
    """A value as `marshal` wrote it."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content


def take(value: object) -> tuple[object, int]:
    """What to keep of a value, and about how many bytes that is."""
    kind = cast("type[Any]", type(value))
    if kind in ATOMS:
        return value, (len(cast("str", value)) if kind is str or kind is bytes else 16)
    if kind in _SIZED and len(cast("list[Any]", value)) > _LARGE:
        # Packing would copy all of it, and only the first parts are recorded.
        return _copy(value)
    try:
        content = marshal.dumps(cast("Any", value))
    except ValueError:
        return _copy(value)
    return Packed(content), len(content)


def take_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[object, int]:
    """What to keep of a call's arguments; `arguments_of` gives them back."""
    for value in args:
        if type(value) in _SIZED and len(value) > _LARGE:
            break
    else:
        try:
            content = marshal.dumps((args, kwargs))
        except ValueError:
            pass
        else:
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
    return marshal.loads(kept.content) if type(kept) is Packed else kept


_SIZED = frozenset({dict, list, tuple, set, frozenset})


def _copy(value: object) -> tuple[object, int]:
    copier = _Copier()
    try:
        return copier.copy(value, 0), copier.size
    except Exception:  # noqa: BLE001 reading a field or iterating may run a user's code
        return value, copier.size


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
        if issubclass(kind, dict):
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
