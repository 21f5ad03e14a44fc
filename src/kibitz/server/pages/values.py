"""How a logged value is shown: as a conversation, Markdown, text or a JSON tree. Pure.

The view is chosen by the value's shape and can be changed in the address. A tree is a flat list of pieces, so
that depth costs no recursion, and it is bounded: what does not fit says how much it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, cast

import msgspec

from kibitz.query import fields
from kibitz.server.pages import messages
from kibitz.server.pages.messages import Message

View = Literal["chat", "markdown", "text", "json"]

MAX_PIECES = 1200
MAX_CHILDREN = 100
"""Entries of one object or list that are shown before the rest is only counted."""
MAX_DEPTH = 40
MAX_TEXT = 2000
"""Characters of one text within a tree."""
MAX_WHOLE_TEXT = 400_000
"""Characters of the text view."""
OPEN_DEPTH = 3
"""Objects and lists down to here stand open."""
FOLDED = frozenset({("attributes", "kibitz")})
"""What is the same for every call of a program, and would push what differs out of sight."""
OPEN_ENTRIES = 30

# What models write when they mean Markdown; a lone star or hash is not enough.
_LOOKS_MARKED = re.compile(
    r"\*\*\S[^*\n]*\*\*|^#{1,6} \S|^```|^\s*(?:[-*]|\d+\.) \S.*\n\s*(?:[-*]|\d+\.) \S|^\|.*\|\s*$",
    re.MULTILINE,
)

Kind = Literal["text", "number", "bool", "null", "typed", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One line of a tree: a leaf, the opening or closing of an object or list, or what was left out."""

    piece: Literal["leaf", "open", "close", "more"]
    key: str | None = None
    """The key or index under which it stands; None for the value itself."""
    path: str = ""
    """As a query spells the place; empty where no query can name it."""
    kind: Kind = "null"
    """Of a leaf."""
    text: str = ""
    """Of a leaf: the value in words. Of what was left out: how much that is."""
    label: str = ""
    """Of a typed value: its type, in a word."""
    cut: int = 0
    """Characters of a long text that are not shown."""
    brackets: Literal["{}", "[]"] = "{}"
    """Of an opening: an object or a list."""
    entries: int = 0
    """Of an opening: how many it has."""
    is_open: bool = False
    digest: str = ""
    """Of a file."""
    media_type: str = ""
    """Of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A text with the key it stands under."""

    label: str
    """Empty for the value itself."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueView:
    """One value of a call, ready to be shown."""

    name: str
    """`inputs`, `output`, `attributes` or `summary`; also the parameter that changes the view."""
    view: View
    views: tuple[View, ...]
    """Those that fit the value."""
    is_empty: bool
    """Nothing was recorded, or an object without entries."""
    pieces: tuple[Piece, ...] = ()
    """Of the tree."""
    messages: tuple[Message, ...] = ()
    """Of a conversation."""
    rest: tuple[Piece, ...] = ()
    """What stands beside the messages of a conversation, as a tree."""
    sections: tuple[Section, ...] = ()
    """Of the Markdown view."""
    text: str = ""
    """Of the text view."""
    cut: int = 0
    """Characters of the text view that are not shown."""


def show(name: str, value: Any, wanted: str | None = None) -> ValueView:
    """Choose how to show a value; a wanted view that does not fit is passed over."""
    if value is msgspec.UNSET or value is None or value == {}:
        return ValueView(name=name, view="json", views=(), is_empty=True)
    found = messages.find(value)
    sections = _sections(value)
    views: list[View] = ["text", "json"]
    if sections:
        views.insert(0, "markdown")
    if found is not None:
        views.insert(0, "chat")
    view = wanted if wanted in views else _best(value, views)
    chosen = ValueView(name=name, view=view, views=tuple(views), is_empty=False)
    match view:
        case "chat":
            assert found is not None
            rest = tree(found.rest, name) if found.rest else ()
            return replace(chosen, messages=found.messages, rest=rest)
        case "markdown":
            return replace(chosen, sections=sections)
        case "text":
            whole = plain_text(value)
            return replace(
                chosen, text=whole[:MAX_WHOLE_TEXT], cut=max(0, len(whole) - MAX_WHOLE_TEXT)
            )
        case "json":
            return replace(chosen, pieces=tree(value, name))


def plain_text(value: Any) -> str:
    """The value as text: itself where it is one, else indented JSON."""
    if isinstance(value, str):
        return value
    typed = _typed(value)
    if typed == "markdown" and isinstance(value["value"], str):
        return value["value"]
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "nested too deeply to be written as text; read it over the HTTP API"


def tree(value: Any, name: str) -> tuple[Piece, ...]:
    """The pieces of a value in the order in which they are read.

    What stands around the whole is left out: nobody folds everything, and its entries tell what it is.
    """
    pieces = tuple(_Tree(name).pieces(value))
    return pieces[1:-1] if pieces[0].piece == "open" else pieces


def _best(value: Any, views: Sequence[View]) -> View:
    if "chat" in views:
        return "chat"
    if _typed(value) == "markdown":
        return "markdown"
    if isinstance(value, str):
        return "markdown" if _LOOKS_MARKED.search(value[:4000]) else "text"
    return "json"


def _sections(value: Any) -> tuple[Section, ...]:
    """The texts that can be read as Markdown: the value itself, or those right below an object."""
    if isinstance(value, str):
        return (Section(label="", text=value),)
    if _typed(value) == "markdown":
        return (Section(label="", text=str(value["value"])),)
    if isinstance(value, dict) and _typed(value) is None:
        entries = cast("dict[str, Any]", value)
        texts = [(key, _markdown_text(each)) for key, each in entries.items()]
        return tuple(Section(label=key, text=text) for key, text in texts[:20] if text)
    return ()


def _markdown_text(value: Any) -> str:
    if _typed(value) == "markdown":
        value = value["value"]
    return value if isinstance(value, str) else ""


def _typed(value: Any) -> str | None:
    """The `$type` of a typed value."""
    if isinstance(value, dict):
        tag = cast("dict[str, Any]", value).get("$type")
        return tag if isinstance(tag, str) else None
    return None


class _Tree:
    """Walks one value; counts what it has given out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._given = 0

    def pieces(self, value: Any) -> Iterator[Piece]:
        """Every opening is followed by its closing, also where the bound is reached in between."""
        waiting: list[tuple[Iterator[tuple[str, Any]], int, tuple[str, ...]]] = []
        yield from self._enter(None, value, (), waiting)
        while waiting:
            entries, left, path = waiting[-1]
            entry = next(entries, None)
            if entry is None:
                waiting.pop()
                if left:
                    yield Piece(piece="more", text=f"{left:,} more")
                yield Piece(piece="close")
                continue
            key, each = entry
            yield from self._enter(key, each, (*path, key), waiting)

    def _enter(
        self,
        key: str | None,
        value: Any,
        path: tuple[str, ...],
        waiting: list[tuple[Iterator[tuple[str, Any]], int, tuple[str, ...]]],
    ) -> Iterator[Piece]:
        self._given += 1
        leaf = _leaf(value)
        if leaf is not None:
            yield replace(leaf, key=key, path=self._selector(path))
            return
        is_list = isinstance(value, list)
        entries = cast("dict[str, Any] | list[Any]", value)
        depth = len(path)
        if depth >= MAX_DEPTH or self._given > MAX_PIECES:
            count = f"{len(entries):,} {'items' if is_list else 'entries'}"
            yield Piece(
                piece="leaf",
                key=key,
                path=self._selector(path),
                kind="typed",
                label="list" if is_list else "object",
                text=count,
            )
            return
        yield Piece(
            piece="open",
            key=key,
            path=self._selector(path),
            brackets="[]" if is_list else "{}",
            entries=len(entries),
            is_open=depth < OPEN_DEPTH
            and len(entries) <= OPEN_ENTRIES
            and (self._name, *path) not in FOLDED,
        )
        room = max(0, min(MAX_CHILDREN, MAX_PIECES - self._given))
        waiting.append((_first(entries, room), max(0, len(entries) - room), path))

    def _selector(self, path: tuple[str, ...]) -> str:
        if (
            len(path) > fields.MAX_PARTS
            or sum(map(fields.is_index, path)) > fields.MAX_DIGIT_PARTS
            or sum(map(len, path)) > fields.MAX_CHARACTERS // 2
        ):
            return ""
        return f"{self._name}.{fields.format_path(path)}" if path else self._name


def _first(entries: dict[str, Any] | list[Any], room: int) -> Iterator[tuple[str, Any]]:
    named = (
        entries.items()
        if isinstance(entries, dict)
        else ((str(index), each) for index, each in enumerate(entries))
    )
    return islice(named, room)


def _leaf(value: Any) -> Piece | None:
    """The piece of a value that has nothing below it; None for objects and lists with entries."""
    match value:
        case None:
            return Piece(piece="leaf", kind="null", text="null")
        case bool():
            return Piece(piece="leaf", kind="bool", text="true" if value else "false")
        case int() | float():
            return Piece(piece="leaf", kind="number", text=number(value))
        case str():
            return Piece(
                piece="leaf",
                kind="text",
                text=value[:MAX_TEXT],
                cut=max(0, len(value) - MAX_TEXT),
            )
        case {"$type": str(tag)}:
            return _typed_leaf(tag, cast("Mapping[str, Any]", value))
        case dict() | list() if not value:
            return Piece(piece="leaf", kind="null", text="{}" if isinstance(value, dict) else "[]")
        case dict() | list():
            return None
        case _:
            return Piece(piece="leaf", kind="typed", label=type(value).__name__, text=str(value))


def number(value: float) -> str:
    """A number as JSON writes it."""
    # Python refuses to write whole numbers of thousands of digits in decimal.
    if isinstance(value, int) and value.bit_length() > 4096:
        return hex(value)
    return json.dumps(value)


def _typed_leaf(tag: str, value: Mapping[str, Any]) -> Piece | None:
    """Typed values whose value is plain stand on one line; the others are opened like any object."""
    inner = value.get("value")
    match tag:
        case "file":
            size = value.get("size")
            words = [str(value.get("name") or "file"), str(value.get("media_type", ""))]
            if isinstance(size, int):
                words.append(f"{size:,} bytes")
            return Piece(
                piece="leaf",
                kind="file",
                label=tag,
                text=" · ".join(word for word in words if word),
                digest=str(value.get("digest", "")),
                media_type=str(value.get("media_type", "")),
            )
        case "redacted":
            return Piece(piece="leaf", kind="typed", label=tag, text="left out: a secret")
        case "cycle":
            return Piece(piece="leaf", kind="typed", label=tag, text="a container it stands in")
        case "truncated":
            return _truncated(value)
        case "timedelta" | "datetime" | "date" | "time" | "decimal" | "uuid" | "float" | "markdown":
            pass
        case "enum":
            inner = f"{value.get('class', '')}.{value.get('name', '')}"
        case "object":
            # Of an object without a repr of its own the class is all there is to say.
            inner = inner if isinstance(inner, str) else value.get("error") or ""
            tag = str(value.get("class", tag))
        case "bytes":
            pass
        case _:
            return None
    text = inner if isinstance(inner, str) else plain_text(inner)
    return Piece(
        piece="leaf",
        kind="typed",
        label=tag,
        text=text[:MAX_TEXT],
        cut=max(0, len(text) - MAX_TEXT),
    )


def _truncated(value: Mapping[str, Any]) -> Piece:
    total, kept = value.get("total"), value.get("kept")
    of = f" {value.get('kind', '')}".rstrip()
    words = f"the rest was not recorded:{of}"
    if isinstance(total, int):
        words += f" of {total:,}"
    if isinstance(kept, int):
        words += f", {kept:,} kept"
    start = value.get("value")
    text = f"{start[:MAX_TEXT]}… ({words})" if isinstance(start, str) else words
    return Piece(piece="leaf", kind="typed", label="truncated", text=text)
