"""Chat messages within a logged value: found by shape, whoever's client wrote them. Pure.

    {"messages": [{"role": "user", "content": "…"}, …]}      what goes to a chat model
    {"choices": [{"message": {"role": …}}, …]}               what comes back
    [{"role": …, "content": …}, …]  or one of them           a conversation itself

Content is a text or a list of parts: text, images, tool calls and their results.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

MAX_MESSAGES = 200
MAX_PARTS = 50
MAX_TEXT = 20_000

PartKind = Literal["text", "call", "result", "file", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a message."""

    kind: PartKind
    text: str = ""
    cut: int = 0
    """Characters that are not shown."""
    name: str = ""
    """Of a tool call: the tool. Of its result: the call's id. Of a file: its name."""
    digest: str = ""
    """Of a stored file."""
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: str
    name: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The messages of a value, and what stands beside them."""

    messages: tuple[Message, ...]
    rest: dict[str, Any]


def find(value: Any) -> Conversation | None:
    """The conversation that a value is or holds; None where it has no such shape."""
    if isinstance(value, list):
        return _conversation(cast("list[Any]", value), {})
    if not isinstance(value, dict):
        return None
    entries = cast("dict[str, Any]", value)
    if _is_message(entries):
        return _conversation([entries], {})
    for key, unwrap in (("messages", _same), ("choices", _message_of)):
        held = entries.get(key)
        if isinstance(held, list):
            rest = {name: each for name, each in entries.items() if name != key}
            found = _conversation([unwrap(each) for each in cast("list[Any]", held)], rest)
            if found is not None:
                return found
    return None


def _same(value: Any) -> Any:
    return value


def _message_of(choice: Any) -> Any:
    return cast("dict[str, Any]", choice).get("message") if isinstance(choice, dict) else None


def _conversation(given: Sequence[Any], rest: dict[str, Any]) -> Conversation | None:
    if not given or not all(_is_message(each) for each in given):
        return None
    if len(given) > MAX_MESSAGES:
        rest = {**rest, "messages not shown": len(given) - MAX_MESSAGES}
    return Conversation(messages=tuple(_message(each) for each in given[:MAX_MESSAGES]), rest=rest)


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    entries = cast("dict[str, Any]", value)
    if not isinstance(entries.get("role"), str):
        return False
    return isinstance(entries.get("content"), str | list) or isinstance(
        entries.get("tool_calls"), list
    )


def _message(entries: dict[str, Any]) -> Message:
    parts: list[Part] = []
    content = entries.get("content")
    is_result = entries["role"] == "tool"
    if isinstance(content, str) and content:
        kind: PartKind = "result" if is_result else "text"
        parts.append(
            _part(kind, content, str(entries.get("tool_call_id") or "") if is_result else "")
        )
    elif isinstance(content, list):
        for each in cast("list[Any]", content)[:MAX_PARTS]:
            parts.append(_content_part(each))
    calls = entries.get("tool_calls")
    if isinstance(calls, list):
        for each in cast("list[Any]", calls)[:MAX_PARTS]:
            parts.append(_tool_call(each))
    name = entries.get("name")
    return Message(
        role=entries["role"][:40],
        name=name[:80] if isinstance(name, str) else "",
        parts=tuple(parts),
    )


def _part(kind: PartKind, text: str, name: str = "") -> Part:
    return Part(kind=kind, text=text[:MAX_TEXT], cut=max(0, len(text) - MAX_TEXT), name=name)


def _content_part(value: Any) -> Part:
    match value:
        case str():
            return _part("text", value)
        case {"$type": "file", "digest": str(digest)}:
            name, media_type = value.get("name"), value.get("media_type")
            return Part(
                kind="file",
                name=name if isinstance(name, str) else "",
                digest=digest,
                media_type=media_type if isinstance(media_type, str) else "",
            )
        case {"text": str(text)}:
            return _part("text", text)
        case {"type": "tool_use", "name": str(name)}:
            return _part("call", _json(value.get("input")), name)
        case {"type": "tool_result"}:
            content = value.get("content")
            text = content if isinstance(content, str) else _json(content)
            return _part("result", text, str(value.get("tool_use_id") or ""))
        case _:
            return _part("other", _json(value))


def _tool_call(value: Any) -> Part:
    match value:
        case {"function": {"name": str(name), "arguments": arguments}}:
            text = arguments if isinstance(arguments, str) else _json(arguments)
            return _part("call", text, name)
        case _:
            return _part("other", _json(value))


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "nested too deeply to be shown"
