"""What a person can be asked for: a closed set of controls, said in a subset of JSON Schema.

| control | schema |
|---|---|
| `number`, `integer` | `{"type": "number"}` with `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf` |
| `boolean` | `{"type": "boolean"}` |
| `thumbs` | `{"type": "boolean", "format": "thumbs"}`: true is up |
| `choice` | `{"enum": [texts, numbers or booleans]}` |
| `choices` | `{"type": "array", "items": {"enum": […]}, "uniqueItems": true}` with `minItems`, `maxItems` |
| `text` | `{"type": "string"}` with `minLength`, `maxLength` |
| `ranking` | `{"type": "array", "format": "ranking", "items": {"enum": […]}}`: all of them, best first |
| `spans` | `{"type": "array", "format": "spans", "field": "output", "labels": […]}`: pieces of a text of the call |
| `correction` | `{"format": "correction", "field": "output"}`: what the field should have been; `type` bounds its kind |
| `fields` | `{"type": "object", "properties": {…}, "required": […]}`: several controls by name |

Everywhere `title`, `description`, `default` and `examples` may stand; `{"anyOf": […, {"type": "null"}]}` and a list
of types with `null` let the answer be null. What is not in the table is refused, so that nothing is silently
not enforced.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast

Kind = Literal[
    "number",
    "integer",
    "boolean",
    "thumbs",
    "choice",
    "choices",
    "text",
    "ranking",
    "spans",
    "correction",
    "fields",
]
Scalar = bool | int | float | str

MAX_FIELDS = 32
"""Answers of one specification; each makes a score."""
MAX_DEPTH = 4
"""Levels of `properties`."""
MAX_OPTIONS = 500
MAX_OPTION_CHARACTERS = 256
MAX_TEXT = 100_000
"""Characters of a text answer; a specification may set less."""
MAX_ITEMS = 1_000
EXACT_BELOW = 2**53
"""Whole numbers that a double holds; those of a schema stay below."""
JSON_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
ROOTS = ("inputs", "output", "attributes", "summary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One thing to ask for. Of its fields those matter that its `kind` has."""

    kind: Kind
    title: str = ""
    description: str = ""
    nullable: bool = False
    """Whether null is an answer too."""
    has_default: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    multiple_of: float | None = None
    min_length: int = 0
    max_length: int = MAX_TEXT
    options: tuple[Scalar, ...] = ()
    """Of a choice; the things of a ranking; the labels of spans."""
    keys: frozenset[tuple[str, Any]] = frozenset()
    """The `key` of each option: whether an answer is one of many is asked under the lock of the store."""
    min_items: int = 0
    max_items: int = MAX_ITEMS
    field: str = ""
    """Of spans and corrections: what of the call they are about, `output` or `inputs.question`."""
    types: tuple[str, ...] = ()
    """Of a correction: its JSON types; any where there are none."""
    fields: tuple[tuple[str, Control], ...] = ()
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Slot:
    """A control that is no group, and where its answer stands in the value."""

    path: tuple[str, ...]
    control: Control
    required: bool


def slots(control: Control) -> list[Slot]:
    """The answers that a control asks for, groups opened, in the order of the schema."""

    def below(inner: Control, path: tuple[str, ...], required: bool) -> Iterable[Slot]:
        if inner.kind != "fields":
            yield Slot(path, inner, required)
        for name, each in inner.fields:
            yield from below(each, (*path, name), required and name in inner.required)

    return list(below(control, (), True))


def key(value: Any) -> tuple[str, Any]:
    """What makes two scalars the same: 1 is 1.0, but neither "1" nor true."""
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int | float):
        return "number", value
    return type(value).__name__, value


def field_path(text: str) -> tuple[str, ...]:
    """The place of a call that `field` names, dots between keys and `\\.` for one in a key; () where it is none."""
    parts = [part.replace("\0", ".") for part in text.replace("\\.", "\0").split(".")]
    return tuple(parts) if parts[0] in ROOTS and all(parts) else ()


def exact(number: float) -> Fraction:
    """The number as it is written in JSON: 0.1 is a tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= EXACT_BELOW


def is_storable(text: str) -> bool:
    """Whether a text is kept as it is: no NUL and no half of a surrogate pair."""
    return "\0" not in text and text.isascii() or _is_unicode(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def entries(value: object) -> dict[Any, Any] | None:
    """The value where it is a JSON object."""
    return cast("dict[Any, Any]", value) if isinstance(value, dict) else None


def elements(value: object) -> list[Any] | None:
    """The value where it is a list."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def show(value: object) -> str:
    """A value for a message: bounded, whatever it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"an object of {len(cast('Mapping[Any, Any]', value))} keys"
    if isinstance(value, int | float) and abs(value) > 1e300:
        return "a number beyond all bounds"
    text = ascii(value) if isinstance(value, str) and not is_storable(value) else repr(value)
    if isinstance(value, list) and len(text) > 80:
        return f"a list of {len(cast('list[Any]', value))}"
    return text if len(text) <= 80 else text[:79] + "…"
