"""What an app is made of: its components by their places, their methods, and all of it as JSON.

A component is an instance of a class of the program that is watched: of the package that the app's own class is in,
or of anything that is not installed. Components are found in attributes and in the lists and dicts there; no property
is run, and nothing of a library is entered. A place is the way from the app, dots between its parts:
`retriever`, `tools.0`, `stores.faq`.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, NamedTuple, cast

from kibitz.base import jsonable
from kibitz.base.errors import UsageError
from kibitz.base.redaction import Redaction
from kibitz.tracing.op import BoundOp, Op

MAX_DEPTH = 8
MAX_COMPONENTS = 1000
_MAX_ELEMENTS = 200
_MAX_ATTRIBUTE_BYTES = 20_000
COMPONENT = "component"
"""The `$type` of a component in the JSON of an app."""


class Component(NamedTuple):
    """One object that the app is made of."""

    place: str
    """Empty for the app itself."""
    object: Any


class Method(NamedTuple):
    """A method that can be recorded."""

    place: str
    """Of the method: `retriever.retrieve`."""
    owner: Any
    name: str
    definer: type
    """The class that has it."""


def walk(root: Any, package: str) -> list[Component]:
    """The components of an app, itself first, near ones before far ones, each once.

    Args:
        root: the app.
        package: whose classes are the app's own also where they are installed.
    """
    found: list[Component] = []
    known: set[int] = set()
    waiting = deque([(Component("", root), 0)])
    while waiting and len(found) < MAX_COMPONENTS:
        component, depth = waiting.popleft()
        if id(component.object) in known:
            continue
        known.add(id(component.object))
        found.append(component)
        if depth >= MAX_DEPTH:
            continue
        for name, value in attributes_of(component.object):
            for place, each in _instances(_join(component.place, name), value, package):
                waiting.append((Component(place, each), depth + 1))
    return found


def _instances(place: str, value: Any, package: str) -> Iterator[tuple[str, Any]]:
    kind = cast("type[Any]", type(value))
    if kind in (list, tuple):
        for index, each in enumerate(value[:_MAX_ELEMENTS]):
            yield from _instances(f"{place}.{index}", each, package) if _may_hold(each) else ()
    elif kind is dict:
        for key in list(value)[:_MAX_ELEMENTS]:
            if isinstance(key, str):
                # A dot in a key would be read as two steps.
                yield from _instances(_join(place, key.replace(".", "_")), value[key], package)
    elif is_own(kind, package):
        yield place, value


def _may_hold(value: Any) -> bool:
    # Of lists in lists only one level: what is deeper are data, not components.
    return type(value) not in (list, tuple, dict, str, bytes, int, float, bool, type(None))


def methods_of(component: Component, package: str) -> Iterator[Method]:
    """The methods of a component that are recorded: those marked with `instrument`, or where none is, the public ones
    that its own classes define, and `__call__`.
    """
    kind = cast("type[Any]", type(component.object))
    found: dict[str, tuple[type, Any]] = {}
    for each in kind.__mro__:
        for name, value in vars(each).items():
            found.setdefault(name, (each, value))
    functions = {
        name: (definer, value)
        for name, (definer, value) in found.items()
        if _is_method(value) and is_own(definer, package)
    }
    marked = {name for name, (_, value) in functions.items() if is_marked(value)}
    for name, (definer, _) in functions.items():
        if name in marked or (not marked and (not name.startswith("_") or name == "__call__")):
            yield Method(_join(component.place, name), component.object, name, definer)


def is_function(value: Any) -> bool:
    """Whether an app is one function, coroutine function or op rather than an object with methods."""
    functions = (FunctionType, BuiltinFunctionType, MethodType, Op, BoundOp, functools.partial)
    return isinstance(value, functions)


def method_at(root: Any, place: str) -> Method:
    """The method at a place; raises `UsageError` where there is none."""
    way, _, name = place.rpartition(".")
    return method_of(value_at(root, way) if way else root, name, place)


def method_of(owner: Any, name: str, place: str) -> Method:
    """A method of an object, of whatever class; raises `UsageError` where it is none that can be recorded."""
    for definer in cast("type[Any]", type(owner)).__mro__:
        if name in vars(definer):
            if _is_method(vars(definer)[name]):
                return Method(place, owner, name, definer)
            break
    raise UsageError(
        f"{place!r} of the app is no method that can be recorded: "
        f"{jsonable.class_name(cast('type[Any]', type(owner)))} has no function {name!r}",
        field="methods",
    )


def value_at(root: Any, place: str) -> Any:
    """What is at a place; raises `UsageError` where there is nothing."""
    value = root
    for at, name in enumerate(place.split(".")):
        try:
            if isinstance(value, list | tuple):
                value = cast("list[Any]", value)[int(name)]
            elif isinstance(value, dict):
                value = cast("dict[str, Any]", value)[name]
            else:
                value = getattr(value, name)
        except (AttributeError, KeyError, IndexError, ValueError) as error:
            way = ".".join(place.split(".")[:at]) or "the app"
            there = ", ".join(each for each, _ in attributes_of(value)) or "nothing"
            raise UsageError(
                f"{place!r} is no place of the app: {way} has no {name!r}; it has {there}",
                field="methods",
            ) from error
    return value


def is_marked(value: Any) -> bool:
    """Whether a method was marked with `instrument`."""
    return bool(getattr(value, "instrumented", False))


def _is_method(value: Any) -> bool:
    # A wrapped method shows itself as one, see `wrapping.Placed`.
    return isinstance(value, FunctionType | Op) or getattr(value, "kibitz_placed", False) is True


def attributes_of(value: Any) -> Iterator[tuple[str, Any]]:
    """The attributes that an object holds, by name, without running code of its own."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        held = {}
    if isinstance(held, dict):
        for name, each in list(cast("dict[Any, Any]", held).items()):
            if isinstance(name, str) and not name.startswith("__"):
                yield name, each
    for kind in cast("type[Any]", type(value)).__mro__:
        for name, descriptor in list(vars(kind).items()):
            if type(descriptor) is MemberDescriptorType and not name.startswith("__"):
                try:
                    yield name, descriptor.__get__(value, kind)
                except AttributeError:
                    # A slot that has no value yet.
                    continue


def _package(kind: type[Any]) -> str:
    return str(getattr(kind, "__module__", "")).partition(".")[0]


def package_of(root: Any) -> str:
    """The package of an app's class, whose classes are its own also where it is installed."""
    return _package(cast("type[Any]", type(root)))


def is_own(kind: type[Any], package: str) -> bool:
    """Whether a class belongs to the program rather than to Python, a library or Kibitz."""
    name = _package(kind)
    if name in {"builtins", "kibitz"}:
        return False
    return name == package or _is_programs(str(getattr(kind, "__module__", "")))


@functools.lru_cache(maxsize=4096)
def _is_programs(module: str) -> bool:
    if module.partition(".")[0] in sys.stdlib_module_names:
        return module == "__main__"
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(file, str):
        # Typed into a prompt or a notebook.
        return True
    path = os.path.realpath(file)
    return not any(path.startswith(folder) for folder in _installed()) and not (
        {"site-packages", "dist-packages"} & set(path.split(os.sep))
    )


@functools.cache
def _installed() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = sysconfig.get_paths()
    return tuple({os.path.realpath(paths[name]) + os.sep for name in names if name in paths})


def describe(root: Any, found: list[Component], redaction: Redaction) -> Any:
    """The app as JSON: components as objects by attribute, everything else as values are recorded, secrets left out."""
    return _Description({id(each.object): each.place for each in found}, redaction).of(root)


class _Description:
    def __init__(self, places: dict[int, str], redaction: Redaction) -> None:
        self._places = places
        self._redaction = redaction
        self._done: set[int] = set()
        self._limits = jsonable.Limits(bytes=_MAX_ATTRIBUTE_BYTES)

    def of(self, value: Any) -> Any:
        if id(value) in self._places:
            return self._component(value)
        kind = cast("type[Any]", type(value))
        if kind in (list, tuple) and any(id(each) in self._places for each in value):
            return [self.of(each) for each in value[:_MAX_ELEMENTS]]
        if kind is dict and any(id(each) in self._places for each in value.values()):
            return {
                str(key): self._named(str(key), value[key]) for key in list(value)[:_MAX_ELEMENTS]
            }
        return jsonable.to_json(value, limits=self._limits, redaction=self._redaction)

    def _component(self, value: Any) -> dict[str, Any]:
        about = {jsonable.TYPE: COMPONENT, "class": jsonable.class_name(cast("Any", type(value)))}
        if id(value) in self._done:
            # It is described at the place that it was found at first.
            return {**about, "place": self._places[id(value)]}
        self._done.add(id(value))
        return {**about, **{name: self._named(name, each) for name, each in attributes_of(value)}}

    def _named(self, name: str, value: Any) -> Any:
        if self._redaction.hides(name):
            return {jsonable.TYPE: "redacted"}
        return self.of(value)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
