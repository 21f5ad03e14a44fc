"""Controls read from JSON Schema: what is no part of the subset in `controls` is refused, with its place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal, cast

from kibitz.base import schema_references
from kibitz.base.controls import (
    JSON_TYPES,
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_ITEMS,
    MAX_OPTION_CHARACTERS,
    MAX_OPTIONS,
    MAX_TEXT,
    ROOTS,
    Control,
    Scalar,
    entries,
    exact,
    field_path,
    is_number,
    is_storable,
    key,
    show,
    slots,
)
from kibitz.base.errors import InvalidSpecification

_ANYWHERE = ("title", "description", "default", "examples")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_FORMATS = ("thumbs", "ranking", "spans", "correction")


def parse(schema: object) -> Control:
    """The control that a schema describes.

    Raises:
        InvalidSpecification: it has a keyword that is not known here, or nothing could satisfy it;
            the message names keyword and place.
    """
    control = _control(schema_references.resolved(schema), "schema", 0)
    count = len(slots(control))
    if count > MAX_FIELDS:
        raise InvalidSpecification(
            f"schema asks for {count} answers, at most {MAX_FIELDS} are allowed; make two specifications",
            field="schema",
            keyword="properties",
        )
    return control


class _Keywords:
    """The keywords of one schema, and where it stands."""

    def __init__(self, schema: dict[str, Any], place: str) -> None:
        self.schema = schema
        self.place = place

    def wrong(self, keyword: str, says: str) -> InvalidSpecification:
        place = f"{self.place}.{keyword}" if keyword else self.place
        return InvalidSpecification(f"{place} {says}", field=place, keyword=keyword)

    def only(self, kind: str, *known: str) -> None:
        """Refuse what a control of this kind does not know."""
        allowed = (*known, *_ANYWHERE)
        for keyword in self.schema:
            if keyword not in allowed:
                near = difflib.get_close_matches(keyword, allowed, 1)
                meant = f"did you mean {near[0]!r}? " if near else ""
                raise self.wrong(
                    keyword[:80],
                    f"is no keyword of a {kind}; {meant}it knows {', '.join(allowed)}",
                )

    def text(self, keyword: str, limit: int) -> str:
        found = self.schema.get(keyword, "")
        if not isinstance(found, str) or len(found) > limit or not is_storable(found):
            raise self.wrong(keyword, f"is {show(found)}, not a text of up to {limit:,} characters")
        return found

    def number(self, keyword: str) -> float | None:
        found = self.schema.get(keyword)
        if keyword not in self.schema:
            return None
        if not is_number(found):
            raise self.wrong(
                keyword, f"is {show(found)}, not a finite number that a double holds exactly"
            )
        return found

    def count(self, keyword: str, default: int, limit: int) -> int:
        found = self.schema.get(keyword, default)
        if not is_number(found) or found != int(found) or not 0 <= found <= limit:
            raise self.wrong(keyword, f"is {show(found)}, not a whole number from 0 to {limit:,}")
        return int(found)

    def options(self, keyword: str, found: object, least: int = 1) -> tuple[Scalar, ...]:
        if not isinstance(found, list):
            raise self.wrong(keyword, f"is {show(found)}, not a list")
        listed = cast("list[Any]", found)
        if not least <= len(listed) <= MAX_OPTIONS:
            raise self.wrong(
                keyword, f"has {len(listed)} entries, it takes {least} to {MAX_OPTIONS}"
            )
        seen: set[tuple[str, Any]] = set()
        for option in listed:
            if isinstance(option, str):
                fits = 0 < len(option) <= MAX_OPTION_CHARACTERS and is_storable(option)
            else:
                fits = isinstance(option, bool) or is_number(option)
            if not fits:
                raise self.wrong(
                    keyword,
                    f"has {show(option)}; an option is a text of 1 to {MAX_OPTION_CHARACTERS} characters, "
                    "a number or a boolean",
                )
            if key(option) in seen:
                raise self.wrong(keyword, f"has {show(option)} twice")
            seen.add(key(option))
        return tuple(listed)


def _control(schema: object, place: str, depth: int) -> Control:
    if not isinstance(schema, dict):
        raise InvalidSpecification(f"{place} is {show(schema)}, not a JSON schema", field=place)
    plain, nullable = _without_null(cast("dict[str, Any]", schema), place)
    given = _Keywords(plain, place)
    control = _by_kind(given, depth)
    examples = plain.get("examples", [])
    if not isinstance(examples, list):
        raise given.wrong("examples", f"is {show(examples)}, not a list")
    return replace(
        control,
        title=given.text("title", 500),
        description=given.text("description", 10_000),
        nullable=nullable,
        has_default="default" in plain,
        default=plain.get("default"),
    )


def _without_null(schema: dict[str, Any], place: str) -> tuple[dict[str, Any], bool]:
    """A schema without the null that it allows, and whether it does."""
    given = _Keywords(schema, place)
    nullable = False
    for keyword in ("anyOf", "oneOf"):
        if keyword not in schema:
            continue
        alternatives = schema[keyword]
        if not isinstance(alternatives, list):
            raise given.wrong(keyword, f"is {show(alternatives)}, not a list")
        listed = cast("list[Any]", alternatives)
        others = [each for each in listed if each != {"type": "null"}]
        if len(others) != 1 or len(listed) != 2 or not isinstance(others[0], dict):
            raise given.wrong(keyword, "is understood as one schema and {'type': 'null'} only")
        rest = {name: each for name, each in schema.items() if name != keyword}
        schema, nullable = {**cast("dict[str, Any]", others[0]), **rest}, True
    types = schema.get("type")
    if isinstance(types, list) and schema.get("format") != "correction":
        listed = cast("list[Any]", types)
        others = [each for each in listed if each != "null"]
        if len(others) != 1 or len(listed) > 2:
            raise given.wrong(
                "type", f"is {show(listed)}; one type, and null beside it, is allowed"
            )
        nullable = nullable or "null" in listed
        schema = {**schema, "type": others[0]}
    options = schema.get("enum")
    if isinstance(options, list) and None in (listed := cast("list[Any]", options)):
        schema, nullable = {**schema, "enum": [each for each in listed if each is not None]}, True
    return schema, nullable


def _by_kind(given: _Keywords, depth: int) -> Control:
    schema = given.schema
    if "const" in schema:
        if "enum" in schema:
            raise given.wrong("const", "stands beside an enum; keep one of them")
        schema = {name: each for name, each in schema.items() if name != "const"} | {
            "enum": [schema["const"]]
        }
        given = _Keywords(schema, given.place)
    form = schema.get("format")
    if form is not None:
        if form not in _FORMATS:
            raise given.wrong("format", f"is {show(form)}; known are {', '.join(_FORMATS)}")
        return {
            "thumbs": _thumbs,
            "ranking": _ranking,
            "spans": _spans,
            "correction": _correction,
        }[form](given)
    kind = schema.get("type")
    if "enum" in schema:
        return _choice(given, kind)
    match kind:
        case "number" | "integer":
            return _number(given, kind)
        case "boolean":
            given.only("boolean", "type")
            return Control(kind="boolean")
        case "string":
            return _text(given)
        case "array":
            return _choices(given)
        case "object":
            return _fields(given, depth)
        case None:
            near = difflib.get_close_matches("type", schema, 1, 0.7)
            raise given.wrong(
                "type",
                "is missing" + (f"; there is {near[0]!r}" if near else ", and so is an enum"),
            )
        case _:
            raise given.wrong(
                "type",
                f"is {show(kind)}; known are number, integer, boolean, string, array and object",
            )


def _number(given: _Keywords, kind: Literal["number", "integer"]) -> Control:
    given.only(kind, "type", *_BOUNDS)
    control = Control(
        kind=kind,
        minimum=given.number("minimum"),
        maximum=given.number("maximum"),
        exclusive_minimum=given.number("exclusiveMinimum"),
        exclusive_maximum=given.number("exclusiveMaximum"),
        multiple_of=given.number("multipleOf"),
    )
    if control.multiple_of is not None and control.multiple_of <= 0:
        raise given.wrong("multipleOf", f"is {show(control.multiple_of)}, not above 0")
    _check_room(given, control)
    return control


def _check_room(given: _Keywords, control: Control) -> None:
    """Refuse bounds that no number is within."""
    lows = [
        (bound, name)
        for bound, name in (
            (control.minimum, "minimum"),
            (control.exclusive_minimum, "exclusiveMinimum"),
        )
        if bound is not None
    ]
    highs = [
        (bound, name)
        for bound, name in (
            (control.maximum, "maximum"),
            (control.exclusive_maximum, "exclusiveMaximum"),
        )
        if bound is not None
    ]
    if not lows or not highs:
        return
    # Of two equal bounds the exclusive one counts: its name comes first.
    low, low_name = max(lows, key=lambda each: (each[0], each[1] == "exclusiveMinimum"))
    high, high_name = min(highs, key=lambda each: (each[0], each[1] == "maximum"))
    excludes_low, excludes_high = low_name == "exclusiveMinimum", high_name == "exclusiveMaximum"
    step = exact(control.multiple_of) if control.multiple_of is not None else None
    if control.kind == "integer":
        # A whole multiple of both: of p/q in lowest terms, that is of p.
        step = Fraction(1) if step is None else Fraction(step.numerator)
    if step is None:
        empty = low > high or (low == high and (excludes_low or excludes_high))
    else:
        first = math.ceil(exact(low) / step) * step
        if excludes_low and first == exact(low):
            first += step
        empty = first > exact(high) or (excludes_high and first == exact(high))
    if empty:
        raise given.wrong(
            low_name, f"is {show(low)} and {high_name} {show(high)}: no {control.kind} is between"
        )


def _text(given: _Keywords) -> Control:
    given.only("text", "type", "minLength", "maxLength")
    low = given.count("minLength", 0, MAX_TEXT)
    high = given.count("maxLength", MAX_TEXT, MAX_TEXT)
    if low > high:
        raise given.wrong("minLength", f"is {low:,}, more than maxLength {high:,}")
    return Control(kind="text", min_length=low, max_length=high)


_FITS: dict[str, Callable[[Scalar], bool]] = {
    "string": lambda option: isinstance(option, str),
    "boolean": lambda option: isinstance(option, bool),
    "number": lambda option: not isinstance(option, bool | str),
    "integer": lambda option: not isinstance(option, bool | str) and option % 1 == 0,
}


def _choice(given: _Keywords, kind: object) -> Control:
    given.only("choice", "type", "enum", "const")
    options = given.options("enum", given.schema["enum"])
    if kind is not None:
        fits = _FITS.get(kind) if isinstance(kind, str) else None
        if fits is None:
            raise given.wrong(
                "type", f"is {show(kind)}; the options of a choice are {', '.join(_FITS)}"
            )
        for option in options:
            if not fits(option):
                raise given.wrong("enum", f"has {show(option)}, which is no {kind}")
    return Control(kind="choice", options=options, keys=_keys(options))


def _choices(given: _Keywords) -> Control:
    items = given.schema.get("items")
    inner = entries(items)
    if inner is None or not ("enum" in inner or "const" in inner):
        raise given.wrong(
            "items",
            f"is {show(items)}; a list is a multiple choice and its items have an enum, "
            "or it has the format ranking or spans",
        )
    given.only("multiple choice", "type", "items", "uniqueItems", "minItems", "maxItems")
    if given.schema.get("uniqueItems") is not True:
        raise given.wrong("uniqueItems", "must be true: nobody chooses an option twice")
    options = _item_options(given, inner)
    low = given.count("minItems", 0, len(options))
    high = given.count("maxItems", len(options), MAX_ITEMS)
    if low > high:
        raise given.wrong("minItems", f"is {low}, more than maxItems {high}")
    return Control(
        kind="choices",
        options=options,
        keys=_keys(options),
        min_items=low,
        max_items=min(high, len(options)),
    )


def _item_options(given: _Keywords, items: dict[str, Any]) -> tuple[Scalar, ...]:
    inner = _control(items, f"{given.place}.items", 0)
    if inner.kind != "choice" or inner.nullable:
        raise given.wrong("items", "is no plain list of options")
    return inner.options


def _keys(options: Iterable[Scalar]) -> frozenset[tuple[str, Any]]:
    return frozenset(map(key, options))


def _thumbs(given: _Keywords) -> Control:
    given.only("thumbs", "type", "format")
    if given.schema.get("type", "boolean") != "boolean":
        raise given.wrong("type", "of thumbs is boolean: true is up, false is down")
    return Control(kind="thumbs")


def _ranking(given: _Keywords) -> Control:
    given.only("ranking", "type", "format", "items", "uniqueItems", "minItems", "maxItems")
    _check_array(given)
    items = given.schema.get("items")
    if not isinstance(items, dict):
        raise given.wrong("items", f"is {show(items)}, not {{'enum': [the things to rank]}}")
    options = _item_options(given, cast("dict[str, Any]", items))
    if len(options) < 2:
        raise given.wrong("items", "has one thing; ranking takes two")
    for keyword in ("minItems", "maxItems"):
        if given.count(keyword, len(options), MAX_ITEMS) != len(options):
            raise given.wrong(
                keyword, f"is not {len(options)}: a ranking has each of its things once"
            )
    if given.schema.get("uniqueItems", True) is not True:
        raise given.wrong("uniqueItems", "must be true: a ranking has each of its things once")
    return Control(
        kind="ranking",
        options=options,
        keys=_keys(options),
        min_items=len(options),
        max_items=len(options),
    )


def _spans(given: _Keywords) -> Control:
    given.only("list of spans", "type", "format", "field", "labels", "minItems", "maxItems")
    _check_array(given)
    labels = given.options("labels", given.schema.get("labels"))
    for label in labels:
        if not isinstance(label, str):
            raise given.wrong("labels", f"has {show(label)}, which is no text")
    low = given.count("minItems", 0, MAX_ITEMS)
    high = given.count("maxItems", MAX_ITEMS, MAX_ITEMS)
    if low > high:
        raise given.wrong("minItems", f"is {low}, more than maxItems {high}")
    return Control(
        kind="spans",
        options=labels,
        keys=_keys(labels),
        min_items=low,
        max_items=high,
        field=_field(given),
    )


def _check_array(given: _Keywords) -> None:
    if given.schema.get("type", "array") != "array":
        raise given.wrong("type", f"is {show(given.schema['type'])}; this format is an array")


def _correction(given: _Keywords) -> Control:
    given.only("correction", "type", "format", "field")
    found = given.schema.get("type", [])
    types = cast("list[Any]", found) if isinstance(found, list) else [found]
    for each in types:
        if each not in JSON_TYPES:
            raise given.wrong("type", f"is {show(each)}; known are {', '.join(JSON_TYPES)}")
    if len(set(types)) != len(types):
        raise given.wrong("type", f"is {show(types)}, which has one twice")
    return Control(kind="correction", types=tuple(types), field=_field(given))


def _field(given: _Keywords) -> str:
    found = given.schema.get("field", "output")
    if not isinstance(found, str) or len(found) > 500 or not is_storable(found):
        raise given.wrong("field", f"is {show(found)}, not a place of a call")
    if not field_path(found):
        raise given.wrong(
            "field",
            f"is {show(found)}; it begins with one of {', '.join(ROOTS)}, as in inputs.question",
        )
    return found


def _fields(given: _Keywords, depth: int) -> Control:
    given.only("group of fields", "type", "properties", "required", "additionalProperties")
    if depth >= MAX_DEPTH:
        raise given.wrong("properties", f"is more than {MAX_DEPTH} levels deep; flatten it")
    named = entries(given.schema.get("properties"))
    if not named:
        raise given.wrong(
            "properties",
            f"is {show(given.schema.get('properties'))}, not an object with a field or more",
        )
    if given.schema.get("additionalProperties", False) is not False:
        raise given.wrong(
            "additionalProperties", "can only be false: what is not asked is no answer"
        )
    if len(named) > MAX_FIELDS:
        raise given.wrong(
            "properties", f"has {len(named)} fields, at most {MAX_FIELDS} are allowed"
        )
    fields: list[tuple[str, Control]] = []
    for name, each in named.items():
        if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
            raise given.wrong(
                "properties",
                f"has the name {show(name)}; a field has 1 to 100 printable characters",
            )
        fields.append((name, _control(each, f"{given.place}.properties.{name}", depth + 1)))
    required = given.schema.get("required", [])
    if not isinstance(required, list):
        raise given.wrong("required", f"is {show(required)}, not a list of names")
    for name in cast("list[Any]", required):
        if not isinstance(name, str) or name not in named:
            raise given.wrong(
                "required", f"has {show(name)}, which is none of {', '.join(map(str, named))}"
            )
    return Control(
        kind="fields", fields=tuple(fields), required=frozenset(cast("list[str]", required))
    )
