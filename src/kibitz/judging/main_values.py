"""What an app was asked and what it answered, in one value each.

The input is the first argument besides `self` and `cls`; chat messages go before it where the first argument is not
one of the usual names. Then, as long as it is clear where to go:

- of a mapping, the first of the usual keys that it has (`INPUT_KEYS`, `OUTPUT_KEYS`), or its only key;
- of chat messages, the last one of the user (input) or the last one (output), and the text parts of its content;
- of a list of one element, that element.

What is unclear stays as it is, whole; so does what was cut when it was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from kibitz.judging import cuts

INPUT_KEYS = (
    "input",
    "question",
    "query",
    "prompt",
    "user_input",
    "message",
    "messages",
    "content",
    "text",
    "inputs",
)
OUTPUT_KEYS = (
    "output",
    "answer",
    "response",
    "result",
    "completion",
    "content",
    "text",
    "message",
    "messages",
    "choices",
    "output_text",
    "generated_text",
)
_MAX_DEPTH = 8


def of_inputs(inputs: Any) -> Any:
    """The main input of a call, of its arguments by name."""
    if not isinstance(inputs, Mapping):
        return _descended(inputs, INPUT_KEYS, "user", 0)
    known = cast("Mapping[str, Any]", inputs)
    names = [name for name in known if name not in ("self", "cls")]
    if not names:
        return None
    if cuts.said(known) is not None:
        return known
    # What was left out is not what was asked.
    first = next((name for name in names if known[name] is not None), names[0])
    if first not in INPUT_KEYS and "messages" in known:
        first = "messages"
    return _descended(known[first], INPUT_KEYS, "user", 0)


def of_output(output: Any) -> Any:
    """The main output of a call, of what it returned."""
    return _descended(output, OUTPUT_KEYS, None, 0)


def _descended(value: Any, keys: tuple[str, ...], role: str | None, depth: int) -> Any:
    if depth >= _MAX_DEPTH or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        known: Any = cast("Mapping[str, Any]", value)
        if "$type" in known:
            # A value that JSON has no kind for; its keys are not the program's.
            return known.get("value", known) if known["$type"] == "markdown" else known
        if cuts.said(known) is not None:
            # The key that is meant may be among those that were cut.
            return known
        key = next((each for each in keys if known.get(each) is not None), None)
        if key is None and len(known) == 1:
            key = next(iter(known))
        return known if key is None else _descended(known[key], keys, role, depth + 1)
    if isinstance(value, Sequence):
        return _of_list(cast("Sequence[Any]", value), keys, role, depth)
    return value


def _of_list(value: Sequence[Any], keys: tuple[str, ...], role: str | None, depth: int) -> Any:
    if not value or cuts.is_cut_list(value):
        return value
    if all(isinstance(each, Mapping) and "role" in each for each in value):
        messages = cast("Sequence[Mapping[str, Any]]", value)
        meant = [each for each in messages if role is None or each["role"] == role] or messages
        return _content(meant[-1].get("content"))
    if len(value) == 1:
        return _descended(value[0], keys, role, depth + 1)
    return value


def _content(content: Any) -> Any:
    """The content of a message: its text, or that of its parts."""
    if not isinstance(content, list):
        return content
    parts = cast("list[Any]", content)
    if cuts.is_cut_list(parts):
        return parts
    texts = [cast("dict[str, Any]", part).get("text") for part in parts if isinstance(part, dict)]
    said = [text for text in texts if isinstance(text, str)]
    return "\n".join(said) if said else parts
