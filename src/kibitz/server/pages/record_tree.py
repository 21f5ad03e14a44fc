"""A record as a tree with a selector for each place, and what a selector gives. Pure.

The tree is read from the record as far as it is shown: what is large or deep has an address of its own, `at`, under
which it is the root. A selector that is offered for a place is meant for other records too: it goes through all calls
of an op and all elements of a list, `Select.RecordCalls.retriever.retrieve.rets[:]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal, cast

from kibitz.base.errors import MissingPlace, UsageError
from kibitz.judging import lenses, places, steps, trying
from kibitz.judging.lenses import Lens
from kibitz.judging.records import Calls, Record, RecordCall
from kibitz.judging.select import Select
from kibitz.server.pages import evaluation_links, formats, values

MAX_PIECES: Final = 500
"""Places of one tree; what lies below later ones is asked for apart."""
MAX_CHILDREN: Final = 60
"""Of one place, before the rest is only counted."""
MAX_TEXT: Final = 300
"""Characters of a text in a tree."""
MAX_WHOLE: Final = 400_000
"""Characters of a text that is looked at alone."""
OPEN_DEPTH: Final = 6
"""Places of the app stand open down to here."""
MAX_FOUND: Final = 100
"""Values of a selector that are shown."""
MAX_COUNTED: Final = 10_000
"""Values of a selector that are counted."""
MAX_FOUND_TEXT: Final = 1000
MAX_WRITTEN: Final = 1000
"""Places of a found value that are written down, before it is cut."""
MAX_SELECTOR: Final = 2000
MAX_KEY: Final = 60
"""Characters of a key that no selector names."""
FIRST: Final = ("main_input", "main_output", "main_error", "app", "calls", "args", "rets", "error")
"""Of a record or call, in this order; what else it has comes after."""
_STORED = re.compile(r"__record__[^']*")
"""A selector as it is stored, in a message."""
_FOLDED: Final = frozenset(("stack", "attributes", "summary", "perf", "cost", "meta", "calls"))
"""Stand folded wherever they are."""

Url = Callable[[str], str]
"""The address of a tree with this place as its root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One line of the tree: a leaf, the opening or closing of what has entries, or what was left out."""

    piece: Literal["leaf", "open", "close", "more"]
    key: str = ""
    selector: str = ""
    """As a program spells it, for this and other records."""
    kind: Literal["text", "number", "bool", "null"] = "null"
    text: str = ""
    """Of a leaf: the value. Of a call: what became of it. Of what was left out: how much it is."""
    cut: int = 0
    """Characters that are not shown."""
    brackets: Literal["{}", "[]"] = "{}"
    entries: int = 0
    is_open: bool = False
    url: str = ""
    """Where it is the root; empty where all of it is here."""
    is_later: bool = False
    """Whether what lies below is only there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One value that a selector gives."""

    place: str
    """The selector of exactly it."""
    url: str
    """It in the tree."""
    text: str
    cut: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a selector gives of a record."""

    text: str
    """As it was given."""
    spoken: str = ""
    """As a program spells it; empty where it cannot be read."""
    says: str = ""
    """How many values, in words."""
    found: tuple[Found, ...] = ()
    mistake: str = ""
    """Why it cannot be read."""
    missing: str = ""
    """What is not there."""
    prefix: str = ""
    """The longest beginning that is there."""
    prefix_url: str = ""


def selector(text: str) -> Lens:
    """The lens of a text as a person writes it: with `Select.` or without, from the record or from the app.

    Raises:
        UsageError: it cannot be read.
    """
    text = text.strip()
    if len(text) > MAX_SELECTOR:
        raise UsageError(f"a selector has at most {MAX_SELECTOR:,} characters", field="select")
    plain_ = text.removeprefix("Select.")
    if plain_.startswith("spans("):
        text = f"__record__.calls.where({plain_.removeprefix('spans(')}"
    elif isinstance(getattr(Select, _beginning(text), None), Lens):
        text = f"Select.{text}"
    elif _beginning(text) == "record":
        text = f"__{text[:6]}__{text[6:]}"
    return trying.read(text)


def select(record: Record, text: str, url: Url) -> Selected:
    """What a text selects, or why it does not."""
    given = Selected(text=text)
    try:
        lens = selector(text)
    except UsageError as error:
        return replace(given, mistake=error.message)
    given = replace(given, spoken=Select.render(lens))
    found: list[Found] = []
    count = 0
    try:
        for place, value in islice(lenses.whole(lens, {"__record__": record}), MAX_COUNTED):
            count += 1
            if len(found) < MAX_FOUND:
                whole = plain(value)
                found.append(
                    Found(
                        place=evaluation_links.spoken(place),
                        url=url(place),
                        text=whole[:MAX_FOUND_TEXT],
                        cut=max(0, len(whole) - MAX_FOUND_TEXT),
                    )
                )
    except MissingPlace as error:
        prefix = str(error.facts.get("prefix", ""))
        return replace(
            given,
            found=tuple(found),
            missing=_STORED.sub(lambda found: evaluation_links.spoken(found[0]), error.message),
            prefix=evaluation_links.spoken(prefix),
            prefix_url=url(prefix) if prefix.startswith("__record__") else "",
        )
    says = formats.count(count, "value")
    return replace(
        given, found=tuple(found), says=f"at least {says}" if count == MAX_COUNTED else says
    )


def at(record: Record, text: str) -> Any:
    """The one value at a place of the tree; raises `MissingPlace` and `UsageError`."""
    if len(text) > MAX_SELECTOR:
        raise UsageError(f"a place has at most {MAX_SELECTOR:,} characters", field="at")
    return next(islice(Lens.parse(text).get({"__record__": record}), 1))


def tree(value: Any, place: str, url: Url) -> tuple[Place, ...]:
    """What lies at a place, in the order in which it is read.

    Args:
        value: what is there.
        place: the text of a lens that selects it.
        url: the address of a place.
    """
    walk = _Walk(url)
    name = evaluation_links.spoken(general(place))
    return tuple(walk.below(value, place, name, 0))


def plain(value: Any) -> str:
    """A value as text."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(_plain(value, iter(range(MAX_WRITTEN))), ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        return places.shown(value, 2000)


def general(place: str) -> str:
    """A place without positions: of every call of the op and every element of the list."""
    found: list[steps.Step] = []
    for step in lenses.steps_of(Lens.parse(place)):
        if not isinstance(step, steps.Index):
            found.append(step)
        elif _in_values(found):
            found.append(steps.Slice(None, None))
    return str(Lens(*found))


def _in_values(before: list[steps.Step]) -> bool:
    """Whether a position is one of a value, and not of the calls of an op."""
    named = [each.name for each in before if isinstance(each, steps.Member)]
    return named[1:2] != ["app"] or any(name in RecordCall.KEYS for name in named[2:])


class _Walk:
    """Goes through one tree and counts what it has given."""

    def __init__(self, url: Url) -> None:
        self._url = url
        self._given = 0

    def below(self, value: Any, place: str, name: str, depth: int) -> Iterator[Place]:
        """The entries of a value."""
        entries = _entries(value)
        room = max(1, min(MAX_CHILDREN, MAX_PIECES - self._given))
        for key, step, through, child in islice(entries, room):
            said = f"{place}{step}" if place or step.startswith("[") else step[1:]
            yield from self._one(key, child, said, _spoken(place, name, step, through), depth)
        left = _count(value) - room
        if left > 0:
            yield Place(piece="more", text=f"{left:,} more", url=self._url(place))

    def _one(self, key: str, value: Any, place: str, name: str, depth: int) -> Iterator[Place]:
        self._given += 1
        if len(place) > MAX_SELECTOR or len(name) > MAX_SELECTOR:
            yield Place(piece="more", text=f"{key[:MAX_KEY]}: no selector names this place")
            return
        leaf = _leaf(value)
        if leaf is not None:
            url = self._url(place) if leaf.cut else ""
            yield replace(leaf, key=key, selector=name, url=url)
            return
        later = self._given >= MAX_PIECES or key in _FOLDED or depth > OPEN_DEPTH
        count = _count(value)
        yield Place(
            piece="open",
            key=key,
            selector=name,
            text=_call_words(value),
            brackets="[]" if places.is_list(value) else "{}",
            entries=count,
            is_open=not later and depth < OPEN_DEPTH and count <= MAX_CHILDREN // 2,
            url=self._url(place) if later else "",
            is_later=later,
        )
        if not later:
            yield from self.below(value, place, name, depth + 1)
        yield Place(piece="close")


def _spoken(place: str, name: str, step: str, through: bool) -> str:
    """The selector of an entry, from that of what it is an entry of."""
    if through:
        return name
    if place == "__record__":
        return evaluation_links.spoken(f"{place}{step}")
    return f"{name}{'[:]' if step[1:-1].isdecimal() else step}"


def _entries(value: Any) -> Iterator[tuple[str, str, bool, Any]]:
    """(key, step, whether its selector is the same, value) of what lies inside of a value."""
    if places.is_list(value):
        calls = isinstance(value, Calls)
        for index, each in enumerate(cast("list[Any]", value)):
            yield str(index), f"[{index}]", calls, each
        return
    for key in _keys(value):
        try:
            child = places.member(value, key)
        except (LookupError, AttributeError):
            continue
        yield key, str(steps.Member(key)), False, child


def _keys(value: Any) -> list[str]:
    keys = [str(each) for each in places.keys(value) or ()]
    first = FIRST if isinstance(value, Record | RecordCall) else ()
    return [
        *(each for each in first if each in keys),
        *(each for each in keys if each not in first),
    ]


def _count(value: Any) -> int:
    return len(value) if places.is_list(value) else len(_keys(value))


def _leaf(value: Any) -> Place | None:
    """What has nothing inside; None for what has."""
    match value:
        case None:
            return Place(piece="leaf", kind="null", text="null")
        case bool():
            return Place(piece="leaf", kind="bool", text="true" if value else "false")
        case int() | float():
            return Place(piece="leaf", kind="number", text=values.number(value))
        case str():
            return Place(
                piece="leaf",
                kind="text",
                text=value[:MAX_TEXT],
                cut=max(0, len(value) - MAX_TEXT),
            )
        case datetime():
            return Place(piece="leaf", kind="text", text=value.isoformat())
        case _:
            pass
    if _count(value):
        return None
    return Place(piece="leaf", kind="null", text="[]" if places.is_list(value) else "{}")


def _call_words(value: Any) -> str:
    if not isinstance(value, RecordCall):
        return ""
    latency = value.perf.latency
    words = [value.op, formats.duration(None if latency is None else latency * 1000)]
    if value.status != "success":
        words.append(value.status)
    return " · ".join(words)


def _plain(value: Any, room: Iterator[int]) -> Any:
    """A value as JSON says it, as far as there is room: what is shown is cut anyway."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if next(room, None) is None:
        return "…"
    if places.is_list(value):
        items = cast("list[Any]", value)[:MAX_FOUND]
        return [_plain(each, room) for each, _ in zip(items, room, strict=False)]
    entries = islice(_entries(value), MAX_FOUND)
    return {key: _plain(each, room) for (key, _, _, each), _ in zip(entries, room, strict=False)}


def _beginning(text: str) -> str:
    found = steps.NAME.match(text)
    return found[0] if found else ""
