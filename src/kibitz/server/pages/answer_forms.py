"""A specification as a form, and what a form says as an answer. Pure.

Each slot of a specification is one field. A form sends its texts under `answer.<name>.<position of the slot>`;
what is empty is no answer. Nothing is checked here: a store holds answers to the specification, and a text that
cannot be read as what is asked (a number, JSON) is sent to it as it is, so that one rule says what is wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from kibitz.base import answers, controls
from kibitz.base.controls import Control, Slot
from kibitz.base.specifications import Specification
from kibitz.server.pages import charts

Display = Literal["options", "checks", "menu", "number", "text", "ranking", "spans", "correction"]
NOTHING: Any = object()
"""That there is no answer."""
Sent = Mapping[str, Sequence[str]]
"""What a form sends: the texts of each name."""

KEYS = "123456789"
MAX_OPTIONS = 9
"""Options that are shown side by side and chosen by a digit; of more there is a menu."""
MAX_SCALE = 11
"""Whole numbers that are shown side by side."""
MAX_SOURCE = 100_000
"""Characters of a text to mark or correct that a form shows."""
UP, DOWN = "👍", "👎"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing to choose, or to rank."""

    label: str
    value: str
    """As JSON: 1 and "1" are two things."""
    key: str
    """The digit that chooses it; empty where there is none."""
    chosen: bool = False
    place: int = 0
    """In a ranking, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One slot of a specification in a form."""

    name: str
    id: str
    display: Display
    label: str
    """Empty where the specification asks for one thing only, and its name says it."""
    description: str
    hint: str
    """The rules in words."""
    required: bool
    options: tuple[Option, ...] = ()
    text: str = ""
    whole: bool = False
    """Of numbers: whole ones only."""
    minimum: str = ""
    maximum: str = ""
    max_length: int = 0
    source: str = ""
    """The text that is marked or corrected."""
    place: str = ""
    """Where in the call it stands."""
    error: str = ""


def name_of(spec: Specification, position: int) -> str:
    """The name under which a form sends the answer of a slot."""
    return f"answer.{spec.name}.{position}"


# To a form


def fields(
    spec: Specification,
    *,
    value: Any = NOTHING,
    sent: Sent | None = None,
    look: answers.Look | None = None,
    errors: Mapping[int, str] | None = None,
    prefix: str = "slot",
) -> tuple[Field, ...]:
    """The fields of a specification.

    Args:
        value: the answer that is there already.
        sent: what a form held that could not be stored; it stands over the value.
        look: how to see the call, for texts to mark or correct.
        errors: what is wrong, by the position of the slot.
        prefix: of the ids of the elements.
    """
    found: list[Field] = []
    alone = spec.kind != "fields"
    for position, slot in enumerate(spec.slots):
        given = NOTHING if value is NOTHING else _at(value, slot.path)
        texts = None if sent is None else list(sent.get(name_of(spec, position), ()))
        found.append(
            _field(
                slot,
                name=name_of(spec, position),
                id_=f"{prefix}-{position}",
                label="" if alone else slot.control.title or ".".join(slot.path),
                given=given,
                texts=texts,
                source=_source(slot.control, look),
                error=(errors or {}).get(position, ""),
            )
        )
    return tuple(found)


def _at(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return NOTHING
        value = cast("dict[str, Any]", value)[key]
    return value


def _source(control: Control, look: answers.Look | None) -> str:
    if control.kind not in ("spans", "correction") or look is None:
        return ""
    found = look(controls.field_path(control.field))
    return "" if found is answers.MISSING else as_text(found)[:MAX_SOURCE]


def as_text(value: Any) -> str:
    """A value as a form shows it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _field(
    slot: Slot,
    *,
    name: str,
    id_: str,
    label: str,
    given: Any,
    texts: list[str] | None,
    source: str,
    error: str,
) -> Field:
    control = slot.control
    display = _display(control)
    default = control.default if control.has_default else NOTHING
    shown = default if given is NOTHING and texts is None else given
    return Field(
        name=name,
        id=id_,
        display=display,
        label=label,
        description=control.description,
        hint=hint(control),
        required=slot.required,
        options=_options(control, display, shown, texts),
        text=_text(control, shown, source)
        if texts is None
        else "".join(texts[:1]).replace("\r\n", "\n"),
        whole=control.kind == "integer",
        minimum=_bound(control.minimum),
        maximum=_bound(control.maximum),
        max_length=control.max_length if control.kind == "text" else 0,
        source=source,
        place=control.field,
        error=error,
    )


def _display(control: Control) -> Display:
    match control.kind:
        case "boolean" | "thumbs":
            return "options"
        case "choice":
            return "options" if len(control.options) <= MAX_OPTIONS else "menu"
        case "choices":
            return "checks"
        case "integer":
            return "options" if scale(control) else "number"
        case "number":
            return "number"
        case "text" | "ranking" | "spans" | "correction":
            return control.kind
        case "fields":
            raise AssertionError("a group of fields is no slot")


def scale(control: Control) -> range:
    """The whole numbers of a short scale; empty where it is none."""
    low, high = control.minimum, control.maximum
    if control.kind != "integer" or low is None or high is None or control.multiple_of is not None:
        return range(0)
    if control.exclusive_minimum is not None or control.exclusive_maximum is not None:
        return range(0)
    numbers = range(math.ceil(low), math.floor(high) + 1)
    return numbers if len(numbers) <= MAX_SCALE else range(0)


def _options(
    control: Control, display: Display, given: Any, texts: list[str] | None
) -> tuple[Option, ...]:
    match control.kind:
        case "boolean":
            listed: list[tuple[str, Any]] = [("yes", True), ("no", False)]
        case "thumbs":
            listed = [(UP, True), (DOWN, False)]
        case "integer" if display == "options":
            listed = [(str(n), n) for n in scale(control)]
        case "choice" | "choices" | "spans":
            listed = [(option_label(each), each) for each in control.options]
        case "ranking":
            return _ranked(control, given, texts)
        case _:
            return ()
    if texts is not None:
        chosen = set(texts)
    elif isinstance(given, list):
        chosen = {_json(each) for each in cast("list[Any]", given)}
    else:
        chosen = {_json(given)} if given is not NOTHING else set[str]()
    options = [
        Option(
            label=label,
            value=_json(value),
            key=_key(control, position, value),
            chosen=_json(value) in chosen,
        )
        for position, (label, value) in enumerate(listed)
    ]
    if control.kind == "choices" and control.min_items == 0:
        none = given == [] if texts is None else NONE in chosen
        options.append(Option(label="none of these", value=NONE, key="0", chosen=none))
    return tuple(options)


NONE = "[]"
"""What the box for nothing at all sends."""


def _key(control: Control, position: int, value: Any) -> str:
    """A number of a scale is chosen by itself, where it is a digit; anything else by its position."""
    if control.kind == "integer":
        return str(value) if 0 <= value <= 9 else ""
    return KEYS[position] if position < len(KEYS) else ""


def _ranked(control: Control, given: Any, texts: list[str] | None) -> tuple[Option, ...]:
    """The things of a ranking: in the order given, else in that of the specification without a place."""
    values = [_json(each) for each in control.options]
    labels = dict(zip(values, map(option_label, control.options), strict=True))
    places: dict[str, int] = {}
    if texts is not None:
        for place, value in ranking_of(texts):
            places.setdefault(value, place)
    elif isinstance(given, list):
        ordered = cast("list[Any]", given)
        places = {_json(each): place for place, each in enumerate(ordered, 1)}
    by_place = sorted(values, key=lambda each: places.get(each, len(values) + 1))
    return tuple(
        Option(label=labels[each], value=each, key="", place=places.get(each, 0))
        for each in by_place
    )


def _text(control: Control, given: Any, source: str) -> str:
    if control.kind == "correction":
        return source if given is NOTHING else as_text(given)
    if given is NOTHING or given is None:
        return ""
    if control.kind == "spans":
        return _json(given)
    return as_text(given)


def option_label(value: Any) -> str:
    """An option in words."""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


def _bound(value: float | None) -> str:
    return "" if value is None else _json(value)


def hint(control: Control) -> str:
    """The rules of a control in words; empty where the control shows them itself."""
    said: list[str] = []
    match control.kind:
        case "number" | "integer" if not scale(control):
            said += _bounds(control)
        case "choices":
            most = control.max_items if control.max_items < len(control.options) else 0
            said += _amounts(control.min_items, most, "")
        case "text":
            most = control.max_length if control.max_length < controls.MAX_TEXT else 0
            said += _amounts(control.min_length, most, " characters")
        case "spans":
            most = control.max_items if control.max_items < controls.MAX_ITEMS else 0
            said += _amounts(control.min_items, most, " pieces")
        case "ranking":
            said.append("best first")
        case _:
            pass
    return ", ".join(said)


def _bounds(control: Control) -> list[str]:
    said = ["a whole number" if control.kind == "integer" else "a number"]
    for bound, words in (
        (control.minimum, "from"),
        (control.exclusive_minimum, "above"),
        (control.maximum, "to"),
        (control.exclusive_maximum, "below"),
    ):
        if bound is not None:
            said[0] += f" {words} {charts.plain_number(bound)}"
    if control.multiple_of is not None:
        said.append(f"in steps of {charts.plain_number(control.multiple_of)}")
    return said


def _amounts(least: int, most: int, noun: str) -> list[str]:
    if least and most:
        return [f"{least:,} to {most:,}{noun}" if least != most else f"exactly {most:,}{noun}"]
    if least:
        return [f"at least {least:,}{noun}"]
    return [f"at most {most:,}{noun}"] if most else []


# From a form


def read(spec: Specification, sent: Sent, *, look: answers.Look | None = None) -> Any:
    """The answer that a form says; `NOTHING` where all of it is empty."""
    if spec.kind != "fields":
        return _read(spec.slots[0].control, list(sent.get(name_of(spec, 0), ())), look)
    value: dict[str, Any] = {}
    for position, slot in enumerate(spec.slots):
        each = _read(slot.control, list(sent.get(name_of(spec, position), ())), look)
        if each is NOTHING:
            continue
        at = value
        for key in slot.path[:-1]:
            at = at.setdefault(key, {})
        at[slot.path[-1]] = each
    return value or NOTHING


def _read(control: Control, texts: list[str], look: answers.Look | None) -> Any:
    given = [each for each in texts if each.strip()]
    if not given:
        return NOTHING
    match control.kind:
        case "boolean" | "thumbs" | "choice":
            return _loaded(given[0])
        case "number" | "integer":
            return _number(given[0])
        case "choices":
            return [_loaded(each) for each in given if each != NONE]
        case "text":
            return given[0].replace("\r\n", "\n")
        case "ranking":
            ranked = ranking_of(given)
            return [_loaded(value) for _, value in sorted(ranked)] if ranked else NOTHING
        case "spans":
            return _spans(control, given[0], look)
        case "correction":
            return _correction(control, given[0].replace("\r\n", "\n"), look)
        case "fields":
            raise AssertionError("a group of fields is no slot")


def _loaded(text: str) -> Any:
    """JSON, or the text itself where it is none: what does not fit is said by the rule it breaks."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _no_number(word: str) -> Any:
    """`NaN` and `Infinity` are words that the reader knows and JSON does not."""
    raise ValueError(word)


def _number(text: str) -> Any:
    # A comma is the point of many keyboards; as a mark of thousands it would be ambiguous.
    plain = text.strip().replace(",", ".") if text.count(",") == 1 else text.strip()
    found = _loaded(plain.removeprefix("+"))
    if isinstance(found, int | float) and not isinstance(found, bool):
        if isinstance(found, float) and not math.isfinite(found):
            return text
        return found
    return text


def ranking_of(texts: Sequence[str]) -> list[tuple[int, str]]:
    """Places and things of a ranking, from texts as `2:"answer b"`; what has no place is left out."""
    found: list[tuple[int, str]] = []
    for text in texts:
        place, colon, value = text.partition(":")
        if colon and place.isdecimal() and len(place) < 6:
            found.append((int(place), value))
    return found


def _spans(control: Control, text: str, look: answers.Look | None) -> Any:
    """Pieces as JSON, as the script sends them, or lines of `label: the marked text`."""
    found = _loaded(text)
    if isinstance(found, list):
        return cast("list[Any]", found) or NOTHING
    source = _source(control, look)
    spans: list[Any] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        label, colon, marked = (part.strip() for part in line.partition(":"))
        start = source.find(marked) if colon and marked else -1
        if start < 0:
            return text
        spans.append({"start": start, "end": start + len(marked), "label": label, "text": marked})
    return spans


def _correction(control: Control, text: str, look: answers.Look | None) -> Any:
    """The corrected value: a text stays one, other values are read as JSON; unchanged is no correction."""
    source = NOTHING if look is None else look(controls.field_path(control.field))
    if source is not NOTHING and source is not answers.MISSING and text == as_text(source):
        return NOTHING
    if isinstance(source, str) or control.types == ("string",):
        return text
    return _loaded(text)


def position_of(spec: Specification, field: str) -> int:
    """The slot that an error's `field` is about; the first where it names none."""
    path = field.removeprefix("payload.value").strip(".")
    if spec.kind == "fields":
        for position, slot in enumerate(spec.slots):
            dotted = ".".join(slot.path)
            if path == dotted or path.startswith(f"{dotted}."):
                return position
    return 0
