"""What lies inside a value: elements of lists, entries of mappings, attributes of objects.

Data is never asked for its methods, nor for what Python keeps under names such as `__class__`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import BuiltinMethodType, MethodType, MethodWrapperType
from typing import Any, Final, cast

import msgspec

from kibitz.judging import cuts

MAX_GAP: Final = 1000
"""How far beyond the end of a list something can be put."""
_SHOWN = 12
LIST, MAPPING, OBJECT, _PLAIN = range(4)
kinds: dict[type, int] = {list: LIST, tuple: LIST, dict: MAPPING}
"""How classes that were met are looked into."""
_MAX_KINDS = 2000
METHODS = frozenset({MethodType, BuiltinMethodType, MethodWrapperType})
_SCALARS = (str, bytes, bytearray, memoryview, int, float, complex, type(None), type)


class Chosen(list[Any]):
    """Some elements of a list, which know their positions in it."""

    __slots__ = ("at",)

    def __init__(self, found: Iterable[tuple[int, Any]]) -> None:
        pairs = list(found)
        super().__init__(each for _, each in pairs)
        self.at = [at for at, _ in pairs]


def position(value: Sequence[Any], at: int) -> int:
    """Where an element of a list is, also where the list is some of another's."""
    return value.at[at] if isinstance(value, Chosen) else at


def is_list(value: object) -> bool:
    """Whether a value has elements by position; texts do not."""
    kind = type(value)
    found = kinds.get(kind)
    return (kind_of(kind) if found is None else found) == LIST


def is_mapping(value: object) -> bool:
    """Whether a value has entries by key."""
    kind = type(value)
    found = kinds.get(kind)
    return (kind_of(kind) if found is None else found) == MAPPING


def member(value: object, name: str) -> Any:
    """An entry of a mapping or an attribute of an object; LookupError where there is none."""
    kind = kinds.get(type(value))
    if kind is None:
        kind = kind_of(type(value))
    if kind == MAPPING:
        return cuts.value_of(value) if name == "value" else cast("Any", value)[name]
    if kind != OBJECT or name[:2] == "__":
        raise LookupError(name)
    found = getattr(value, name)
    if type(found) in METHODS:
        raise LookupError(name)
    return found


def members(values: Sequence[Any], name: str) -> list[tuple[str, Any]]:
    """That name of each element that has it, with the position; LookupError where none has, Cut where some are missing."""
    found: list[tuple[str, Any]] = []
    for at, value in (
        zip(values.at, values, strict=True) if type(values) is Chosen else enumerate(values)
    ):
        try:
            kind = kinds.get(type(value))  # pyright: ignore[reportUnknownArgumentType] any
            if kind == LIST or (kind is None and is_list(value)):
                found += [(f"[{at}]{below}", each) for below, each in members(value, name)]
            else:
                found.append((f"[{at}]", member(value, name)))
        except cuts.Cut:
            raise
        except (LookupError, AttributeError):
            continue
    if not found:
        raise LookupError(name)
    if cuts.is_cut_list(values):
        raise cuts.Cut(name)
    return found


def has(value: Any, name: str) -> bool:
    """Whether a name can be followed from here."""
    try:
        if is_list(value):
            members(value, name)
        else:
            member(value, name)
    except (LookupError, AttributeError):
        return False
    return True


def at_number(value: Any, number: int) -> Any:
    """The entry of a mapping whose key is a number; LookupError elsewhere."""
    if is_mapping(value):
        return value[number]
    raise LookupError(number)


def peek(value: Any, name: str, default: Any) -> Any:
    """`member`, or a default."""
    try:
        return member(value, name)
    except (LookupError, AttributeError):
        return default


def items(value: Any) -> list[Any]:
    """The elements of a list, to be changed; LookupError where it is none."""
    if not is_list(value):
        raise LookupError
    return list(value)


def like(value: Any, changed: list[Any]) -> Any:
    """Changed elements as the same sort of list."""
    return tuple(changed) if type(value) is tuple else changed


def with_member(value: Any, name: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a mapping or object with one entry or attribute changed."""
    if is_mapping(value):
        return {**value, name: change(value.get(name))}
    if not _is_object(value) or not isinstance(name, str) or name[:2] == "__":
        raise LookupError
    new = change(getattr(value, name, None))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{name: new})
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **{name: new})
    if isinstance(value, tuple):
        return cast("Any", value)._replace(**{name: new})
    made = copy.copy(value)
    setattr(made, name, new)
    return made


def describe(values: Sequence[Any]) -> str:
    """What one could go on with from here, of the first of some values."""
    if not values:
        return "no values"
    value = values[0]
    many = f" (the first of {len(values)} values)" if len(values) > 1 else ""
    if is_list(value):
        return _described_list(value) + many
    names = keys(value)
    if names is None:
        return f"{_article(value)} {shown(value)}{many}"
    if not names:
        return f"{_article(value)} without keys{many}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"the keys {', '.join(str(each)[:60] for each in names[:_SHOWN])}{more}{many}"


def keys(value: Any) -> list[Any] | None:
    """The names that can be followed from a value; None where it is neither mapping nor object."""
    if is_mapping(value):
        return list(value)
    if not _is_object(value):
        return None
    own = getattr(value, "__kibitz_keys__", None)
    if own is not None:
        return list(own())
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value)]
    found: Any = next(
        (
            known
            for name in ("_fields", "__dict__", "__slots__")
            if (known := getattr(value, name, None))
        ),
        (),
    )
    return [name for name in found if not str(name).startswith("_")]


def _is_object(value: object) -> bool:
    return kind_of(type(value)) == OBJECT


def shown(value: Any, limit: int = 60) -> str:
    """A value in an error, cut."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 what a value does when it is shown is its own affair
        return f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _described_list(value: Sequence[Any]) -> str:
    count = len(value)
    if not count:
        return "an empty list"
    elements = f"{count} element{'s' * (count > 1)}"
    ops = sorted({str(op) for each in value if (op := peek(each, "op", None)) is not None})
    if ops:
        more = " …" if len(ops) > _SHOWN else ""
        return f"{elements}, calls of {', '.join(ops[:_SHOWN])}{more}{_failures(value)}"
    first = keys(value[0])
    if first:
        return f"{elements}, the first with the keys {', '.join(map(str, first[:_SHOWN]))}"
    return f"{elements}, the first {_article(value[0])}"


def _failures(calls: Sequence[Any]) -> str:
    errors = [error for each in calls if (error := peek(each, "error", None)) is not None]
    return f", of which {len(errors)} failed ({shown(errors[0])})" if errors else ""


def _article(value: Any) -> str:
    if value is None:
        return "nothing:"
    name = {"dict": "mapping", "str": "text", "int": "number", "float": "number"}.get(
        type(value).__name__, type(value).__name__
    )
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def kind_of(kind: type[Any]) -> int:
    """How values of a class are looked into: LIST, MAPPING, OBJECT, or not at all."""
    found = kinds.get(kind)
    if found is not None:
        return found
    if issubclass(kind, Mapping):
        found = MAPPING
    elif issubclass(kind, _SCALARS):
        found = _PLAIN
    elif hasattr(kind, "_fields") and issubclass(kind, tuple):
        # Fields by name are what a named tuple is for; positions of it can be had of a list.
        found = OBJECT
    elif issubclass(kind, Sequence):
        found = LIST
    else:
        found = OBJECT
    if len(kinds) < _MAX_KINDS:
        kinds[kind] = found
    return found
