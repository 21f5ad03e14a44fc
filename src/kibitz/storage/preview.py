"""What a list shows of a value: one short line."""

from __future__ import annotations

import math
from typing import Any, cast

MAX_CHARACTERS = 240
_MAX_ITEMS = 8


def preview(value: Any) -> str:
    """One line of at most 240 characters: texts as they are, `key: value` for objects."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        # The object of a method is there for who looks closer; the line is for what was asked.
        if _is_object(entries.get("self")):
            entries = {key: each for key, each in entries.items() if key != "self"}
        text = _entries(entries, MAX_CHARACTERS)
    else:
        text = _short(value, MAX_CHARACTERS)
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and cast("dict[str, Any]", value).get("$type") == "object"


def _entries(value: dict[str, Any], room: int) -> str:
    tag = value.get("$type")
    if isinstance(tag, str):
        return _short(value["value"], room - 20) if "value" in value else f"<{tag}>"
    pieces: list[str] = []
    for key, each in value.items():
        if room <= 0 or len(pieces) >= _MAX_ITEMS:
            pieces.append("…")
            break
        piece = f"{key}: {_short(each, room)}" if len(value) > 1 else _short(each, room)
        pieces.append(piece)
        room -= len(piece) + 2
    return ", ".join(pieces)


def _short(value: Any, room: int) -> str:
    if room <= 0:
        # Also the bound of the recursion: values may be nested deeper than Python's stack.
        return "…"
    match value:
        case str():
            # Three searches of a text that mostly has none of them; `translate` looks up each character.
            line = value[: room + 1].replace("\n", " ")
            return line.replace("\r", " ").replace("\t", " ")
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            # What is stored: JSON has no word for it.
            return "null"
        case int() | float():
            text = repr(value) if isinstance(value, float) or abs(value) < 1 << 128 else hex(value)
            return text[: room + 1]
        case list():
            items = cast("list[Any]", value)
            shown = ", ".join(_short(each, room // 2) for each in items[:3])[: room + 1]
            return f"[{shown}{', …' if len(items) > 3 else ''}]"
        case dict():
            return f"{{{_entries(cast('dict[str, Any]', value), room // 2)}}}"
        case _:
            return str(value)[:room]
