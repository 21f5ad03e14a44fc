"""What stands on either side of a comparison in JSON: fields, what is worked out from one, literals; and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from kibitz.base.errors import QueryError
from kibitz.query import fields, literals, shapes
from kibitz.query.nodes import (
    Comparison,
    Convert,
    ConvertTo,
    Exists,
    Field,
    Literal_,
    Node,
    Not,
    Operand,
    Size,
    base,
)

_CONVERSIONS: dict[str, ConvertTo] = {
    "number": "number",
    "double": "number",
    "float": "number",
    "integer": "integer",
    "int": "integer",
    "text": "text",
    "string": "text",
    "bool": "bool",
    "boolean": "bool",
}
_EXISTS = "exists"
"""As a conversion, in other systems: whether the field is there."""


def is_literal(given: object) -> bool:
    """Whether something is meant as a literal."""
    return isinstance(given, Mapping) and "$literal" in given


def is_operand(given: object) -> bool:
    """Whether something is meant as a field, or worked out from one."""
    return isinstance(given, Mapping) and any(
        name in given for name in ("$getField", "$size", "$convert")
    )


def parse(given: object, at: str) -> Operand:
    """A field, or what is worked out from one; raises `QueryError`."""
    if isinstance(given, Mapping) and "$size" in given:
        entries = shapes.entries(cast("object", given), at, ("$size",))
        operand: Operand = Size(_field(entries["$size"], f"{at}.$size"))
    elif isinstance(given, Mapping) and "$convert" in given:
        field, to = _conversion(cast("object", given), at)
        if to == _EXISTS:
            raise QueryError(
                f"{at} is true or false already; compare it with $eq, or write $exists", at=at
            )
        operand = Convert(field, _CONVERSIONS[to])
    else:
        return _field(cast("object", given), at)
    literals.check_derived(operand, at)
    return operand


def _conversion(given: object, at: str) -> tuple[Field, str]:
    entries = shapes.entries(given, at, ("$convert",))
    below = f"{at}.$convert"
    spelled = shapes.entries(entries["$convert"], below, ("input", "to"))
    for key in ("input", "to"):
        if key not in spelled:
            raise QueryError(
                f'{below} has no {key}; write {{"input": FIELD, "to": "number"}}', at=below
            )
    to = shapes.word(spelled["to"], f"{below}.to", (*_CONVERSIONS, _EXISTS))
    return _field(spelled["input"], f"{below}.input"), to


def existing(given: object, at: str) -> Field | None:
    """The field of a conversion to whether it exists."""
    if not (isinstance(given, Mapping) and "$convert" in given):
        return None
    field, to = _conversion(cast("object", given), at)
    return field if to == _EXISTS else None


def as_existing(field: Field, operator: Comparison, value: Literal_, at: str) -> Node:
    """What a comparison of whether a field exists says."""
    if isinstance(value, str) and value in ("true", "false"):
        value = value == "true"
    if operator != "eq" or not isinstance(value, bool):
        raise QueryError(
            f"{at}: whether a field exists is compared with true or false, by $eq or $ne", at=at
        )
    return Exists(field) if value else Not(Exists(field))


def _is_field(given: object) -> bool:
    return isinstance(given, Mapping) and "$getField" in given


def _field(given: object, at: str) -> Field:
    if not _is_field(given):
        raise QueryError(
            f'{at} {shapes.short(given)} is not a field; write {{"$getField": "op"}} or the like',
            at=at,
        )
    entries = shapes.entries(given, at, ("$getField",))
    operand = parse_text(entries["$getField"], f"{at}.$getField")
    if isinstance(operand, Size | Convert):
        raise QueryError(
            f"{at}.$getField: {fields.format(operand)} is worked out from a field; "
            'write {"$size": FIELD} or {"$convert": {"input": FIELD, "to": "number"}}',
            at=f"{at}.$getField",
        )
    return operand


def parse_text(text: object, at: str) -> Operand:
    """The operand that a text spells."""
    if not isinstance(text, str):
        raise QueryError(f"{at} {shapes.short(text)} is not the name of a field", at=at)
    try:
        operand = fields.parse_operand(text)
    except QueryError as error:
        raise QueryError(
            f"{at}: {error.message}",
            at=at,
            position=error.facts.get("at"),
            suggestion=error.facts.get("suggestion"),
        ) from error
    literals.check_derived(operand, at)
    return operand


def to_json(operand: Operand) -> dict[str, Any]:
    """The JSON of an operand; `parse` gives the same one back."""
    field = field_to_json(base(operand))
    match operand:
        case Size():
            return {"$size": field}
        case Convert(_, to):
            return {"$convert": {"input": field, "to": to}}
        case _:
            return field


def field_to_json(field: Field) -> dict[str, Any]:
    """The JSON of a field."""
    return {"$getField": fields.format(field)}


def literal_to_json(field: Operand, value: Literal_) -> dict[str, Any]:
    """The JSON of a literal beside an operand."""
    if literals.is_time(field) and isinstance(value, int):
        return {"$literal": literals.format_time(value)}
    if literals.boolean_meant(field, value) is not None:
        return {"$literal": value, "exact": True}
    return {"$literal": value}
