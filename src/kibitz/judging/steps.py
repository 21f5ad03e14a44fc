"""The steps of a lens: what each selects of a value, where that is, and how it is written.

A step makes two functions of those that come after it: `getter` gives values, `tracer` values with the text of their
exact places. Both are made once for each lens, so that a selection is plain calls from one step into the next.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, cast

import msgspec

from kibitz.base import specifications
from kibitz.judging import cuts, places

Getter = Callable[[Any], Iterable[Any]]
"""Of a value, those that are selected in it; raises LookupError or AttributeError where there is no such place."""
Tracer = Callable[[Any, str], Iterable[tuple[str, Any]]]
"""The same with texts: of a value and its place, the places and values that are selected in it."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ROOTS: Final = frozenset({"__record__", "__app__"})
"""Names of this form that are no business of Python's."""
RESERVED: set[str] = set()
"""Names that lenses have themselves: as keys they are written in brackets. `lenses` fills it."""
MAX_INTEGER: Final = 10**18


@dataclass(frozen=True, slots=True)
class Member:
    """A key of a mapping, an attribute of an object, or either of each element of a list that has it."""

    name: str

    def getter(self, rest: Getter | None) -> Getter:
        name, member = self.name, places.member
        # `.value` of what other packages have may be a part of it.
        is_plain = name != "value"
        if rest is None:
            kinds, methods = places.kinds, places.METHODS
            is_public = name[:2] != "__"

            def last(value: Any) -> Iterable[Any]:
                kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType] of any value
                if kind is dict and is_plain:
                    return (value[name],)
                if is_public and kinds.get(kind) == places.OBJECT:
                    found = getattr(value, name)
                    if type(found) not in methods:
                        return (found,)
                if places.is_list(value):
                    return [found for _, found in places.members(value, name)]
                return (member(value, name),)

            return last
        then, kinds, as_mapping = rest, places.kinds, places.MAPPING

        def get(value: Any) -> Iterable[Any]:
            kind = kinds.get(type(value))  # pyright: ignore[reportUnknownArgumentType] of any value
            if kind == as_mapping and is_plain:
                return then(value[name])
            if places.is_list(value):
                found = places.members(value, name)
                if len(found) == 1:
                    return then(found[0][1])
                return chain.from_iterable(then(each) for _, each in found)
            return then(member(value, name))

        return get

    def tracer(self, rest: Tracer) -> Tracer:
        name, suffix, member = self.name, str(self), places.member
        kinds, as_mapping, is_plain = places.kinds, places.MAPPING, name != "value"

        def trace(value: Any, place: str) -> Iterable[tuple[str, Any]]:
            kind = kinds.get(type(value))  # pyright: ignore[reportUnknownArgumentType] of any value
            if kind == as_mapping and is_plain:
                return rest(value[name], place + suffix)
            if places.is_list(value):
                found = places.members(value, name)
                if len(found) == 1:
                    at, each = found[0]
                    return rest(each, f"{place}{at}{suffix}")
                return chain.from_iterable(rest(each, f"{place}{at}{suffix}") for at, each in found)
            return rest(member(value, name), place + suffix)

        return trace

    def put(self, value: Any, change: Callable[[Any], Any]) -> Any:
        name = self.name
        if value is None:
            return {name: change(None)}
        if not places.is_list(value):
            return places.with_member(value, name, change)
        changed = [self.put(each, change) if places.has(each, name) else each for each in value]
        if not any(places.has(each, name) for each in value):
            raise LookupError
        return places.like(value, changed)

    def __str__(self) -> str:
        name = self.name
        if NAME.fullmatch(name) and name not in RESERVED and not is_dunder(name):
            return f".{name}"
        return f"[{quoted(name)}]"


@dataclass(frozen=True, slots=True)
class Index:
    """A position of a list, from its end where it is negative."""

    at: int

    def getter(self, rest: Getter | None) -> Getter:
        at, then = self.at, rest or _one

        def get(value: Any) -> Iterable[Any]:
            if type(value) is list or places.is_list(value):
                return then(cuts.element(value, at))
            return then(places.at_number(value, at))

        return get

    def tracer(self, rest: Tracer) -> Tracer:
        at = self.at

        def trace(value: Any, place: str) -> Iterable[tuple[str, Any]]:
            if places.is_list(value):
                # From the end or not, the place is said from the beginning: it stays when more is added.
                exact = at if at >= 0 else at + len(value)
                return rest(cuts.element(value, at), f"{place}[{places.position(value, exact)}]")
            return rest(places.at_number(value, at), f"{place}[{at}]")

        return trace

    def put(self, value: Any, change: Callable[[Any], Any]) -> Any:
        if places.is_mapping(value):
            return places.with_member(value, self.at, change)
        items: list[Any] = [] if value is None else places.items(value)
        at = self.at + len(items) if self.at < 0 else self.at
        if not 0 <= at <= len(items) + places.MAX_GAP:
            raise LookupError
        items.extend([None] * (at + 1 - len(items)))
        items[at] = change(items[at])
        return items if value is None else places.like(value, items)

    def __str__(self) -> str:
        return f"[{self.at}]"


@dataclass(frozen=True, slots=True)
class Slice:
    """Some elements of a list, none where it is empty."""

    start: int | None
    stop: int | None
    step: int | None = None

    def getter(self, rest: Getter | None) -> Getter:
        part, then = slice(self.start, self.stop, self.step), rest

        def get(value: Any) -> Iterable[Any]:
            if not (type(value) is list or places.is_list(value)):
                raise LookupError
            found = cuts.elements(value, part)
            return found if then is None else chain.from_iterable(map(then, found))

        return get

    def tracer(self, rest: Tracer) -> Tracer:
        part = slice(self.start, self.stop, self.step)

        def trace(value: Any, place: str) -> Iterable[tuple[str, Any]]:
            if not places.is_list(value):
                raise LookupError
            if cuts.is_cut_list(value):
                cuts.elements(value, part)
            return chain.from_iterable(
                rest(value[at], f"{place}[{places.position(value, at)}]")
                for at in range(*part.indices(len(value)))
            )

        return trace

    def put(self, value: Any, change: Callable[[Any], Any]) -> Any:
        items = places.items(value)
        for at in range(*slice(self.start, self.stop, self.step).indices(len(items))):
            items[at] = change(items[at])
        return places.like(value, items)

    def __str__(self) -> str:
        text = ":".join("" if each is None else str(each) for each in (self.start, self.stop))
        return f"[{text}]" if self.step is None else f"[{text}:{self.step}]"


@dataclass(frozen=True, slots=True)
class Several:
    """Several keys, or several positions, in this order."""

    steps: tuple[Member, ...] | tuple[Index, ...]

    def getter(self, rest: Getter | None) -> Getter:
        getters = [step.getter(rest) for step in self.steps]
        return lambda value: chain.from_iterable(get(value) for get in getters)

    def tracer(self, rest: Tracer) -> Tracer:
        tracers = [step.tracer(rest) for step in self.steps]
        return lambda value, place: chain.from_iterable(trace(value, place) for trace in tracers)

    def put(self, value: Any, change: Callable[[Any], Any]) -> Any:
        for step in self.steps:
            value = step.put(value, change)
        return value

    def __str__(self) -> str:
        return f"[{', '.join(str(Several._item(each)) for each in self.steps)}]"

    @staticmethod
    def _item(step: Member | Index) -> str | int:
        return quoted(step.name) if isinstance(step, Member) else step.at


@dataclass(frozen=True, slots=True)
class Where:
    """Those calls of a list that are of an op, of a kind and have attributes."""

    op: str | None = None
    """A name, in which `*` stands for any characters."""
    kind: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    """Keys, with dots between those that lie inside one another, and values as JSON."""

    def matches(self, value: Any) -> bool:
        """Whether a call is one of them."""
        if self.op is not None and not specifications.matches(
            self.op, str(places.peek(value, "op", ""))
        ):
            return False
        if self.kind is not None and places.peek(value, "kind", None) != self.kind:
            return False
        attributes = places.peek(value, "attributes", None)
        return all(_has_value(attributes, key, text) for key, text in self.attributes)

    def _found(self, value: Any) -> list[tuple[int, Any]]:
        if not places.is_list(value):
            raise LookupError
        found = [(at, each) for at, each in enumerate(value) if self.matches(each)]
        if not found:
            raise LookupError
        if cuts.is_cut_list(value):
            raise cuts.Cut
        return found

    def getter(self, rest: Getter | None) -> Getter:
        then = rest or _one
        return lambda value: then([each for _, each in self._found(value)])

    def tracer(self, rest: Tracer, *, goes_inside: bool = False) -> Tracer:
        """`goes_inside`: what comes after leads to single ones of them, whose places are those of the whole list."""
        text = str(self)

        def trace(value: Any, place: str) -> Iterable[tuple[str, Any]]:
            found = self._found(value)
            if goes_inside:
                return rest(places.Chosen(found), place)
            return rest([each for _, each in found], place + text)

        return trace

    def put(self, value: Any, change: Callable[[Any], Any]) -> Any:
        found = self._found(value)
        changed = change([each for _, each in found])
        if not places.is_list(changed) or len(changed) != len(found):
            raise LookupError
        items = places.items(value)
        for (at, _), each in zip(found, changed, strict=True):
            items[at] = each
        return places.like(value, items)

    def __str__(self) -> str:
        said = [
            f"{name}={quoted(text)}"
            for name, text in (("op", self.op), ("kind", self.kind))
            if text is not None
        ]
        if self.attributes:
            inside = ", ".join(f"{quoted(key)}: {text}" for key, text in self.attributes)
            said.append(f"attributes={{{inside}}}")
        return f".where({', '.join(said)})"


@dataclass(frozen=True, slots=True)
class Collect:
    """All values so far as one list."""

    def __str__(self) -> str:
        return ".collect()"


Step = Member | Index | Slice | Several | Where | Collect
_SINGLE = (Member, Index, Slice, Several)


def getter(steps: Sequence[Step]) -> Getter:
    """What gives the values of these steps."""
    rest: Getter | None = None
    for at in range(len(steps) - 1, -1, -1):
        step = steps[at]
        if isinstance(step, Collect):
            # All that comes before is gone through first, so the rest of the way back is made apart.
            before, after = getter(steps[:at]), rest or _one
            return lambda value: after(list(before(value)))
        following = steps[at + 1 :]
        if (
            isinstance(step, Slice)
            and len(following) == 1
            and isinstance(following[0], Member)
            and following[0].name != "value"
        ):
            rest = _each(
                slice(step.start, step.stop, step.step), following[0], cast("Getter", rest)
            )
        else:
            rest = step.getter(rest)
    return rest or _one


def _each(part: slice, member: Member, rest: Getter) -> Getter:
    """One name of some elements of a list, the commonest end of a selector: quick where all are mappings."""
    named, dicts = operator.itemgetter(member.name), {dict}

    def get(value: Any) -> Iterable[Any]:
        if not (type(value) is list or places.is_list(value)):
            raise LookupError
        found = cuts.elements(value, part)
        if set(map(type, found)) == dicts:
            return map(named, found)
        return chain.from_iterable(map(rest, found))

    return get


def tracer(steps: Sequence[Step]) -> Tracer:
    """What gives the values of these steps with their places."""
    rest: Tracer = _one_at
    for at in range(len(steps) - 1, -1, -1):
        step = steps[at]
        if isinstance(step, Collect):
            before, after = getter(steps[:at]), rest
            text = "".join(map(str, steps[: at + 1]))
            return lambda value, place: after(list(before(value)), place + text)
        if isinstance(step, Where):
            inside = isinstance(steps[at + 1], _SINGLE) if at + 1 < len(steps) else False
            rest = step.tracer(rest, goes_inside=inside)
        else:
            rest = step.tracer(rest)
    return rest


def changed(value: Any, steps: Sequence[Step], new: Any) -> Any:
    """A copy of a value with something else where the steps lead; none of them collects."""
    if not steps:
        return new
    first = cast("Member | Index | Slice | Several | Where", steps[0])
    return first.put(value, lambda part: changed(part, steps[1:], new))


def is_dunder(name: str) -> bool:
    """Whether a name is of the form that Python keeps for itself."""
    return name.startswith("__") and name.endswith("__") and name not in ROOTS


_ESCAPED = re.compile(r'[\x00-\x1f"\\\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    """A text in double quotes, readable by Python and JSON; `lens_text` reads it back."""
    escaped = _ESCAPED.sub(lambda each: _SHORT.get(each[0]) or f"\\u{ord(each[0]):04x}", text)
    return f'"{escaped}"'


def _one(value: Any) -> Iterable[Any]:
    return (value,)


def _one_at(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    return iter(((place, value),))


def _at_key(value: Any, key: str) -> Any:
    found = places.peek(value, key, None)
    if found is not None or "." not in key:
        return found
    for part in key.split("."):
        value = places.peek(value, part, None)
    return value


def written(value: Any) -> str:
    """A value as JSON, so that 1, true and "1" are three things, and 1 and 1.0 are one.

    Raises:
        TypeError, ValueError, RecursionError: JSON cannot say it.
    """
    return msgspec.json.encode(_plain(value), order="sorted").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        if value - value != 0.0:
            raise ValueError
        return int(value) if value.is_integer() and abs(value) < MAX_INTEGER else value
    if isinstance(value, Mapping):
        known = cast("Mapping[Any, Any]", value)
        return {str(key): _plain(each) for key, each in known.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value


def _has_value(attributes: Any, key: str, text: str) -> bool:
    try:
        return written(_at_key(attributes, key)) == text
    except (TypeError, ValueError, RecursionError):
        return False
