"""A specification while it is written: a form with a field for each rule, the JSON schema it makes, and back. Pure.

A draft is texts, as a form sends them. What cannot be read as what a rule wants is put into the schema as it is,
so that the one check that every schema goes through says what is wrong; `place_of` finds the field to say it at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from kibitz.base import control_schemas, controls
from kibitz.base.controls import Control, Kind
from kibitz.base.errors import InvalidSpecification
from kibitz.base.specifications import Specification

Mode = Literal["form", "schema"]
KINDS: dict[Kind, tuple[str, str]] = {
    "integer": ("Whole number", "a scale such as 1 to 5"),
    "thumbs": ("Thumbs", "up or down"),
    "boolean": ("Yes or no", ""),
    "choice": ("One of several", ""),
    "choices": ("Some of several", ""),
    "number": ("Number", "with any digits behind the point"),
    "text": ("Text", "in one's own words"),
    "ranking": ("Ranking", "several things, best first"),
    "spans": ("Pieces of a text", "marked with a label"),
    "correction": ("Correction", "what it should have been"),
}
"""The kinds that the form makes, with their words. Groups of several answers are written as a schema."""
LISTS: frozenset[Kind] = frozenset(("choice", "choices", "ranking", "spans"))
BOUNDED: frozenset[Kind] = frozenset(("number", "integer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the form of a specification holds. Lists are one entry a line."""

    name: str = ""
    kind: Kind = "integer"
    mode: Mode = "form"
    """Whether the rules come from the fields or from `schema`."""
    minimum: str = ""
    maximum: str = ""
    step: str = ""
    options: str = ""
    least: str = ""
    """Options, pieces or characters that there must be …"""
    most: str = ""
    """… and may be."""
    field: str = "output"
    schema: str = ""
    description: str = ""
    guidelines: str = ""
    see: str = ""
    answer: str = ""
    unique: bool = True
    ops: str = ""
    targets: str = ""


EMPTY = Draft(minimum="1", maximum="5")
"""What a new specification begins with."""


def from_form(sent: Mapping[str, Sequence[str]]) -> Draft:
    """The draft that a form sends."""

    def text(name: str) -> str:
        return next(iter(sent.get(name, ())), "").replace("\r\n", "\n")

    kind = text("kind")
    return Draft(
        name=text("name").strip(),
        kind=kind if kind in KINDS else "integer",
        mode="schema" if text("mode") == "schema" else "form",
        minimum=text("minimum").strip(),
        maximum=text("maximum").strip(),
        step=text("step").strip(),
        options=text("options"),
        least=text("least").strip(),
        most=text("most").strip(),
        field=text("field").strip() or "output",
        schema=text("schema"),
        description=text("description"),
        guidelines=text("guidelines"),
        see=text("see"),
        answer=text("answer"),
        unique=bool(text("unique")),
        ops=text("ops"),
        targets=text("targets"),
    )


def from_spec(spec: Specification) -> Draft:
    """The draft of a specification that exists, to make its next version from."""
    draft = Draft(
        name=spec.name,
        description=spec.description,
        guidelines=spec.guidelines,
        see="\n".join(spec.see),
        answer="\n".join(spec.answer),
        unique=spec.unique_among_creators,
        ops="\n".join(spec.ops),
        targets="\n".join(spec.targets),
        schema=schema_text(spec.schema),
    )
    return as_form(draft, spec.schema) or replace(draft, mode="schema")


def to_spec(draft: Draft) -> Specification:
    """The specification that a draft says; raises `InvalidSpecification`."""
    return Specification(
        draft.name,
        to_schema(draft),
        description=draft.description.strip(),
        guidelines=draft.guidelines.strip(),
        see=lines(draft.see),
        answer=lines(draft.answer),
        unique_among_creators=draft.unique,
        ops=lines(draft.ops),
        targets=lines(draft.targets),
    )


def to_schema(draft: Draft) -> dict[str, Any]:
    """The schema of a draft, which may be wrong; raises `InvalidSpecification` where it is no JSON object."""
    if draft.mode == "form":
        return _made(draft)
    try:
        found = json.loads(draft.schema)
    except (ValueError, RecursionError) as error:
        raise InvalidSpecification(
            f"schema is not JSON: {str(error)[:200]}", field="schema", keyword=""
        ) from error
    if not isinstance(found, dict):
        raise InvalidSpecification(
            'schema is not an object such as {"type": "boolean"}', field="schema", keyword=""
        )
    return cast("dict[str, Any]", found)


def _made(draft: Draft) -> dict[str, Any]:
    """The schema that the fields of the form make."""
    match draft.kind:
        case "number" | "integer":
            named = (("minimum", draft.minimum), ("maximum", draft.maximum))
            return {"type": draft.kind} | _numbers((*named, ("multipleOf", draft.step)))
        case "boolean":
            return {"type": "boolean"}
        case "thumbs":
            return {"type": "boolean", "format": "thumbs"}
        case "choice":
            return {"enum": options(draft.options)}
        case "choices":
            listed = {"type": "array", "items": {"enum": options(draft.options)}}
            return {**listed, "uniqueItems": True, **_amounts(draft, "Items")}
        case "text":
            return {"type": "string", **_amounts(draft, "Length")}
        case "ranking":
            items = {"enum": options(draft.options)}
            return {"type": "array", "format": "ranking", "items": items}
        case "spans":
            made = {"type": "array", "format": "spans", "field": draft.field}
            return {**made, "labels": lines(draft.options), **_amounts(draft, "Items")}
        case "correction":
            return {"format": "correction", "field": draft.field}
        case "fields":
            raise AssertionError("the form makes no groups")


def _amounts(draft: Draft, what: str) -> dict[str, Any]:
    return _numbers(((f"min{what}", draft.least), (f"max{what}", draft.most)))


def _numbers(named: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {name: _number(text) for name, text in named if text}


def _number(text: str) -> Any:
    """A number; a text that is none stays one, for the check of the schema to name."""
    plain = text.replace(",", ".") if text.count(",") == 1 else text
    if re.fullmatch(r"[+-]?[0-9]{1,15}", plain):
        return int(plain)
    try:
        return float(plain)
    except ValueError:
        return text


def lines(text: str) -> list[str]:
    """The entries of a list, one a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def options(text: str) -> list[Any]:
    """Things to choose, one a line: a number or a truth where it is spelled so, a text in quotes always a text."""
    return [_option(line) for line in lines(text)]


def _option(line: str) -> Any:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return found if isinstance(found, str | bool | int | float) else line


def format_options(values: Sequence[Any]) -> str:
    """The lines that `options` reads as these values."""
    return "\n".join(
        value if isinstance(value, str) and _option(value) == value else json.dumps(value)
        for value in values
    )


def schema_text(schema: Mapping[str, Any]) -> str:
    """A schema as it is shown to be edited."""
    return json.dumps(schema, ensure_ascii=False, indent=2)


# Between the form and the schema


def as_schema(draft: Draft) -> Draft:
    """The same draft with its rules as a schema to edit."""
    if draft.mode == "schema":
        return draft
    return replace(draft, mode="schema", schema=schema_text(_made(draft)))


def as_form(draft: Draft, schema: Mapping[str, Any]) -> Draft | None:
    """The same draft with the rules of a schema as fields; None where the schema says more than those can.

    Raises:
        InvalidSpecification: the schema itself is wrong.
    """
    control = control_schemas.parse(dict(schema))
    if control.kind not in KINDS:
        return None
    made = _filled(replace(draft, mode="form", kind=control.kind), control)
    same = {key: value for key, value in schema.items() if key not in ("$schema",)}
    return made if _comparable(_made(made)) == _comparable(same) else None


def _filled(draft: Draft, control: Control) -> Draft:
    listed = control.kind in LISTS
    amounts: tuple[str, str] = ("", "")
    if control.kind in ("choices", "spans"):
        most = len(control.options) if control.kind == "choices" else controls.MAX_ITEMS
        amounts = _limits(control.min_items, control.max_items, most)
    elif control.kind == "text":
        amounts = _limits(control.min_length, control.max_length, controls.MAX_TEXT)
    return replace(
        draft,
        minimum=_shown(control.minimum),
        maximum=_shown(control.maximum),
        step=_shown(control.multiple_of),
        options=format_options(control.options) if listed else "",
        least=amounts[0],
        most=amounts[1],
        field=control.field or "output",
    )


def _limits(least: int, most: int, bound: int) -> tuple[str, str]:
    return str(least) if least else "", str(most) if most < bound else ""


def _shown(number: float | None) -> str:
    return "" if number is None else json.dumps(number)


def _comparable(schema: dict[str, Any]) -> str:
    """A schema as text in which only what it means differs."""
    plain = dict(schema)
    if plain.get("format") in ("thumbs", "ranking", "spans"):
        plain.pop("type", None)
        if plain["format"] == "ranking":
            plain.pop("uniqueItems", None)
    if plain.get("format") in ("spans", "correction"):
        plain.setdefault("field", "output")
    if "enum" in plain:
        plain.pop("type", None)
    return json.dumps(plain, sort_keys=True)


_PLACES: dict[str, str] = {
    "minimum": "minimum",
    "maximum": "maximum",
    "multipleOf": "step",
    "enum": "options",
    "items": "options",
    "labels": "options",
    "minItems": "least",
    "maxItems": "most",
    "minLength": "least",
    "maxLength": "most",
    "field": "field",
    "unique_among_creators": "unique",
}
PLACES = (
    "name",
    "minimum",
    "maximum",
    "step",
    "options",
    "least",
    "most",
    "field",
    "schema",
    "description",
    "guidelines",
    "see",
    "answer",
    "unique",
    "ops",
    "targets",
)
"""The fields of the form that a rule can be broken in."""


def place_of(field: str, mode: Mode) -> str:
    """The field of the form that an error's `field` is about."""
    first, _, rest = field.partition(".")
    if first == "schema":
        if mode == "schema":
            return "schema"
        found = [_PLACES[each] for each in re.split(r"[.\[]", rest) if each in _PLACES]
        return found[0] if found else "options"
    first = _PLACES.get(first, first)
    return first if first in PLACES else "name"
