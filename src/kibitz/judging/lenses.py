"""Lenses: places in JSON-like values and Python objects, written as one writes Python.

    Lens().app.retrieve.rets[:].text              of every returned passage its text
    Lens().calls[-1].args["odd key"]              an index from the end, a key that is no name
    Lens()["a", "b"], Lens()[0, 2]                several keys or positions, one after the other
    Lens().app.retrieve.rets[:].text.collect()    all of them as one list
    Lens().calls.where(kind="retriever").rets     of those calls of a list that are of a kind

A lens gives values one by one and reads no further than is asked. Below a list a name means that name of each element
that has it, so one call of an op and many read alike. What is not there is an error that says how far it goes.

A name that a lens has itself (`get`, `set`, `collect` …) is written in brackets where it is meant as a key: `["get"]`.
The text of a lens is what is written here without `Lens()`, and always parses back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from kibitz.base.errors import MissingPlace, UsageError
from kibitz.judging import cuts, lens_text, places, steps
from kibitz.judging.immutables import Immutable
from kibitz.judging.steps import Collect, Index, Member, Several, Slice, Step, Where

MAX_STEPS: Final = 200
_ABSENT = (LookupError, AttributeError)


class Lens(Immutable):
    """A place, or several; see the module. Lenses are immutable, compare by their steps and can be hashed."""

    __kibitz_fixed__ = "a selector cannot be changed; `set` gives a changed copy of a value"
    # Names that begin so are taken by no key that anybody has, unlike `_steps`.
    __slots__ = ("_lens_get", "_lens_hash", "_lens_steps", "_lens_text", "_lens_trace")
    _lens_steps: tuple[Step, ...]
    _lens_get: steps.Getter | None
    _lens_trace: steps.Tracer | None
    _lens_text: str | None

    def __init__(self, *path: Step) -> None:
        if len(path) > MAX_STEPS:
            raise UsageError(
                f"a selector of {len(path)} steps is longer than {MAX_STEPS}", field="selector"
            )
        put = object.__setattr__
        put(self, "_lens_steps", path)
        # Made when they are first needed: of `a.b.c` only the last is ever asked for anything.
        put(self, "_lens_get", None)
        put(self, "_lens_trace", None)
        put(self, "_lens_text", None)

    @classmethod
    def parse(cls, text: str) -> Lens:
        """The lens of a text.

        Raises:
            UsageError: it is none; the message has the place. Facts: `at`.
        """
        return cls(*lens_text.parse(text, MAX_STEPS))

    def __getattr__(self, name: str) -> Lens:
        if steps.is_dunder(name):
            # Python asks for these itself, when it copies or shows an object; a key of this name is an item.
            raise AttributeError(name)
        return Lens(*self._lens_steps, Member(name))

    def __getitem__(self, item: object) -> Lens:
        return Lens(*self._lens_steps, _step(item))

    def collect(self) -> Lens:
        """All values that this selects as one list."""
        return Lens(*self._lens_steps, Collect())

    def where(
        self,
        *,
        op: str | None = None,
        kind: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Lens:
        """Those calls of a list that are of an op, of a kind and have attributes, as a list; missing where none is.

        Args:
            op: the name; `*` stands for any characters.
            kind: `llm`, `retriever`, `tool` …
            attributes: values by key, with dots between keys that lie inside one another. 1, true and "1" differ.
        """
        return Lens(*self._lens_steps, _where(op, kind, attributes))

    def get(self, value: object) -> Iterator[Any]:
        """The values at this place, one by one, as they are asked for.

        Raises:
            MissingPlace: on the way to the next value; it has the longest prefix that exists.
        """
        try:
            yield from selected(self, value)
        except _ABSENT:
            raise missing(self, value) from None

    __call__ = get

    def paths(self, value: object) -> Iterator[tuple[str, Any]]:
        """The values as `get` gives them, each with the text of a lens that selects exactly it."""
        try:
            for place, found in traced(self, value):
                yield place.removeprefix("."), found
        except _ABSENT:
            raise missing(self, value) from None

    def get_sole_item(self, value: object) -> Any:
        """The one value at this place.

        Raises:
            MissingPlace: there is none, or the way to it is missing.
            UsageError: there are several.
        """
        found = list(self.get(value))
        if len(found) == 1:
            return found[0]
        if not found:
            raise MissingPlace(f"{str(self)!r} selects no values", selector=str(self))
        raise UsageError(f"{str(self)!r} selects {len(found)} values, not one", field="selector")

    def exists(self, value: object) -> bool:
        """Whether everything on the way is there; an empty slice is."""
        try:
            for _ in selected(self, value):
                pass
        except cuts.Cut:
            # Some of it is; the rest was, when it was recorded.
            return True
        except _ABSENT:
            return False
        return True

    def existing_prefix(self, value: object) -> Lens:
        """The longest beginning of this that exists in a value."""
        return _existing(self, value)[0]

    def set(self, value: object, new: object) -> Any:
        """A copy of a value with something else at this place; keys and elements that are missing are made.

        Raises:
            MissingPlace: it cannot be made there.
            UsageError: the selector collects.
        """
        if any(isinstance(step, Collect) for step in self._lens_steps):
            raise UsageError(
                f"{str(self)!r} collects several places into one; it cannot be set",
                field="selector",
            )
        try:
            return steps.changed(value, self._lens_steps, new)
        except (*_ABSENT, TypeError):
            raise missing(self, value) from None

    def is_prefix_of(self, other: Lens) -> bool:
        """Whether another lens begins with the steps of this one."""
        mine = self._lens_steps
        return mine == steps_of(other)[: len(mine)]

    def is_immediate_prefix_of(self, other: Lens) -> bool:
        """Whether another lens is this one and one step more."""
        return len(steps_of(other)) == len(self._lens_steps) + 1 and self.is_prefix_of(other)

    def __add__(self, other: object) -> Lens:
        if isinstance(other, Lens):
            return Lens(*self._lens_steps, *steps_of(other))
        if isinstance(other, Step):
            return Lens(*self._lens_steps, other)
        return NotImplemented

    def __len__(self) -> int:
        return len(self._lens_steps)

    def __bool__(self) -> bool:
        # The empty lens is a place too: the value itself.
        return True

    def __iter__(self) -> Iterator[Any]:
        # Without this Python would take items 0, 1, 2 … for ever.
        raise TypeError("a selector is gone through with `get(value)`")

    def __contains__(self, item: object) -> bool:
        raise TypeError("whether a selector is in a value is asked with `exists(value)`")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lens) and self._lens_steps == steps_of(other)

    def __hash__(self) -> int:
        return hash(self._lens_steps)

    def __str__(self) -> str:
        text = self._lens_text
        if text is None:
            text = "".join(map(str, self._lens_steps)).removeprefix(".")
            object.__setattr__(self, "_lens_text", text)
        return text

    def __repr__(self) -> str:
        return "Lens()" + "".join(map(str, self._lens_steps))

    def __reduce__(self) -> tuple[Any, ...]:
        return Lens, self._lens_steps


steps.RESERVED.update(name for name in dir(Lens) if not steps.is_dunder(name))


def steps_of(lens: Lens) -> tuple[Step, ...]:
    """The steps of a lens; a method would be one more name that is no key."""
    return lens._lens_steps  # pyright: ignore[reportPrivateUsage] a friend


def selected(lens: Lens, value: object) -> Any:
    """The values at a place, as an iterable; LookupError or AttributeError where it is missing."""
    get = lens._lens_get  # pyright: ignore[reportPrivateUsage] a friend
    if get is None:
        get = steps.getter(steps_of(lens))
        object.__setattr__(lens, "_lens_get", get)
    return get(value)


def traced(lens: Lens, value: object) -> Any:
    """The same with the text of each exact place, which may begin with a dot."""
    trace = lens._lens_trace  # pyright: ignore[reportPrivateUsage] a friend
    if trace is None:
        trace = steps.tracer(steps_of(lens))
        object.__setattr__(lens, "_lens_trace", trace)
    return trace(value, "")


def whole(lens: Lens, source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of `paths` as feedback functions judge them: nothing that belongs to one may have been cut.

    Args:
        lens: the selector.
        source: values by the first names of selectors.

    Raises:
        MissingPlace: on the way to the next value: a place is missing, or was cut when the calls were recorded.
    """
    begin = lens._lens_steps[0] if lens._lens_steps else None  # pyright: ignore[reportPrivateUsage] a friend
    if type(begin) is Member:
        root: Any = source.get(begin.name)
        cut_at = getattr(cast("type[Any]", type(root)), "__kibitz_cut__", None)
        words = None if cut_at is None else cut_at(root, steps_of(lens)[1:])
        if words is not None:
            raise _cut(lens, begin.name, words)
    try:
        for place, value in traced(lens, source):
            if type(value) is not str and (words := cuts.inside(value)) is not None:
                raise _cut(lens, place.removeprefix("."), words)
            yield place.removeprefix("."), value
    except _ABSENT:
        raise missing(lens, source) from None


def missing(lens: Lens, value: object) -> MissingPlace:
    """The error that says how far a lens goes in a value, and what is there."""
    prefix, there = _existing(lens, value)
    words = next((said for each in there if (said := cuts.said(each)) is not None), None)
    if words is not None:
        return _cut(lens, str(prefix), words)
    reached = f"{str(prefix)!r}" if steps_of(prefix) else "the value itself"
    return MissingPlace(
        f"{str(lens)!r} is not there: it goes as far as {reached}, which has {places.describe(there)}",
        selector=str(lens),
        prefix=str(prefix),
    )


def _cut(lens: Lens, place: str, words: str) -> MissingPlace:
    return MissingPlace(
        f"{str(lens)!r} is not all there: it takes in {words}, at {place!r}; select only what was kept, as with "
        "[:100] of a list or .value of a text",
        selector=str(lens),
        prefix=place,
        cut=words,
    )


def _existing(lens: Lens, value: object) -> tuple[Lens, list[Any]]:
    path = steps_of(lens)
    found: list[Any] = [value]
    for count in range(1, len(path) + 1):
        try:
            found = list(steps.getter(path[:count])(value))
        except _ABSENT:
            return Lens(*path[: count - 1]), found
    return lens, found


def _where(
    op: str | None = None, kind: str | None = None, attributes: Mapping[str, Any] | None = None
) -> Where:
    for name, text in (("op", op), ("kind", kind)):
        if text is not None and not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise UsageError(f"{name}={text!r} is no text", field=name)
    if op is None and kind is None and not attributes:
        raise UsageError("where() needs op, kind or attributes", field="selector")
    written: dict[str, str] = {}
    for key, each in (attributes or {}).items():
        try:
            written[str(key)] = steps.written(each)
        except (TypeError, ValueError, UnicodeError, RecursionError):
            raise UsageError(
                f"the attribute {key!r} is to be {places.shown(each)}, which JSON cannot say",
                field="attributes",
            ) from None
    return Where(op, kind, tuple(sorted(written.items())))


def _step(item: object) -> Step:
    match item:
        case bool():
            pass
        case int() if abs(item) < steps.MAX_INTEGER:
            return Index(item)
        case str():
            return Member(str(item))
        case slice():
            part = cast("slice[Any, Any, Any]", item)
            parts: tuple[Any, ...] = (part.start, part.stop, part.step)
            fine = (each is None or _is_position(each) for each in parts)
            if all(fine) and part.step != 0:
                return Slice(part.start, part.stop, part.step)
        case list() | tuple():
            several = _several(cast("list[object]", list(cast("Any", item))))
            if several is not None:
                return several
        case _:
            pass
    raise UsageError(
        f"[{places.shown(item)}] selects nothing; write a key, a number, a slice, or several keys or "
        "several numbers, which cannot be mixed: [0], [:], ['a', 'b'], [0, 2]",
        field="selector",
    )


def _several(items: list[object]) -> Step | None:
    if len(items) == 1 and isinstance(items[0], str | int):
        return _step(items[0])
    if items and all(_is_position(each) for each in items):
        return Several(tuple(Index(cast("int", each)) for each in items))
    if items and all(isinstance(each, str) for each in items):
        return Several(tuple(Member(cast("str", each)) for each in items))
    return None


def _is_position(item: object) -> bool:
    return type(item) is int and abs(item) < steps.MAX_INTEGER


lens_text.METHODS.update({"collect": Collect, "where": _where})
