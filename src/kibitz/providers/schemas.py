"""The part of JSON Schema (draft 2020-12) that judging answers needs, checked without a library.

Known: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `patternProperties`,
`propertyNames`, `minProperties`, `maxProperties`, `dependentRequired`, `items`, `prefixItems`, `contains`,
`minContains`, `maxContains`, `minItems`, `maxItems`, `uniqueItems`, `minLength`, `maxLength`, `pattern` (RE2),
`minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `allOf`, `anyOf`, `oneOf`, `not`,
`if`/`then`/`else`, and `$ref` into the schema itself. Words that only describe are passed over; `format` is one of
them, as the standard has it by default. Any other keyword is refused: a demand that nobody checks is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

from kibitz.base.errors import UsageError
from kibitz.query import patterns

MAX_DEPTH = 100
"""Of a value, or of references that lead to each other."""
MAX_CHECKS = 100_000
"""Schemas applied to parts of one value; `anyOf` of `anyOf` grows by powers."""
_DESCRIPTIONS = """
$schema $id $anchor $comment $defs definitions title description default examples deprecated readOnly writeOnly
format contentEncoding contentMediaType
"""
_DESCRIBING = frozenset(_DESCRIPTIONS.split())
_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: _is_number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


class Checked:
    """A schema that can be used; making it raises where it cannot.

    Raises:
        UsageError: a keyword is not known or has no possible value; says where.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        _Survey(schema).all(schema, "", 0)

    def first_problem(self, value: Any) -> str | None:
        """What is wrong first, with its place; None where nothing is."""
        return next(_Walk(self._schema).problems(self._schema, value, "", 0), None)


class _Survey:
    """Goes through every schema in a schema."""

    def __init__(self, root: Any) -> None:
        self._root = root

    def all(self, schema: Any, place: str, depth: int) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise UsageError(
                f"the schema at {place or '/'} is {schema!r:.60}; it is an object or a boolean"
            )
        if depth > MAX_DEPTH:
            raise UsageError(f"the schema is deeper than {MAX_DEPTH}")
        for key, under in cast("dict[str, Any]", schema).items():
            self._keyword(key, under, f"{place}/{key}", depth)

    def _keyword(self, key: str, under: Any, place: str, depth: int) -> None:
        if key in _BY_NAME:
            for name, each in _kind(under, dict, place).items():
                if key == "patternProperties":
                    patterns.check(name, place)
                self.all(each, f"{place}/{name}", depth + 1)
        elif key in _LISTS:
            for at, each in enumerate(_kind(under, list, place)):
                self.all(each, f"{place}/{at}", depth + 1)
        elif key in _INSIDE:
            self.all(under, place, depth + 1)
        elif key == "$ref":
            target(self._root, under)
        elif key not in _DESCRIBING:
            _value(key, under, place)


def _value(key: str, under: Any, place: str) -> None:
    """Hold what a keyword demands of a value to what is possible."""
    if key == "pattern":
        patterns.check(_kind(under, str, place), place)
    elif key == "type":
        for each in [under] if isinstance(under, str) else _kind(under, list, place):
            if each not in _TYPES:
                raise UsageError(f"{place} of the schema is {each!r}; one of {', '.join(_TYPES)}")
    elif key in ("enum", "required"):
        _kind(under, list, place)
    elif key == "dependentRequired":
        for each in _kind(under, dict, place).values():
            _kind(each, list, place)
    elif key in _NUMBERS:
        if not _is_number(under) or (key == "multipleOf" and under <= 0):
            raise UsageError(f"{place} of the schema is {under!r:.60}, which is no number for it")
    elif key not in ("const", "uniqueItems"):
        raise UsageError(
            f"{place} of the schema is not a keyword that is checked here; leave it out, or check it yourself "
            "with the package jsonschema",
            keyword=key,
        )


_BY_NAME = frozenset({"$defs", "definitions", "properties", "patternProperties"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_INSIDE = frozenset(
    {"additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"}
)
_NUMBERS = frozenset(
    {
        "minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength", "minContains",
        "maxContains", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    }
)  # fmt: skip


def _kind(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind):
        raise UsageError(f"{place} of the schema is {value!r:.60}; it is a {kind.__name__}")
    return value


def target(root: Any, ref: Any) -> Any:
    """What a `$ref` of a schema names in it.

    Raises:
        UsageError: it is elsewhere, or nowhere.
    """
    if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
        raise UsageError(f"$ref {ref!r:.80} leads out of the schema; only #/… is followed")
    found: Any = root
    for step in ref.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key) if isinstance(found, list) else key]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise UsageError(f"$ref {ref!r:.80} names nothing in the schema") from error
    return found


class _Walk:
    """One value against one schema."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MAX_CHECKS

    def problems(self, schema: Any, value: Any, place: str, depth: int) -> Iterator[str]:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise UsageError(
                f"the value at {place or '/'} is too deep or too large for the schema to be checked"
            )
        if isinstance(schema, bool):
            if not schema:
                yield f"{place or '/'}: nothing is allowed here"
            return
        if "$ref" in schema:
            yield from self.problems(target(self._root, schema["$ref"]), value, place, depth + 1)
        for problem in _plain(schema, value):
            yield f"{place or '/'}: {problem}"
        if isinstance(value, dict):
            yield from self._object(schema, cast("dict[str, Any]", value), place, depth)
        elif isinstance(value, list):
            yield from self._array(schema, cast("list[Any]", value), place, depth)
        yield from self._combined(schema, value, place, depth)

    def fits(self, schema: Any, value: Any, depth: int) -> bool:
        return next(self.problems(schema, value, "", depth + 1), None) is None

    def _object(
        self, schema: Mapping[str, Any], value: dict[str, Any], place: str, depth: int
    ) -> Iterator[str]:
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{place or '/'}: {name!r} is missing"
        for name, others in schema.get("dependentRequired", {}).items():
            for other in others if name in value else ():
                if other not in value:
                    yield f"{place or '/'}: {other!r} is missing beside {name!r}"
        properties = schema.get("properties", {})
        by_pattern = [
            (patterns.compile(pattern), under)
            for pattern, under in schema.get("patternProperties", {}).items()
        ]
        for name, each in value.items():
            inside = f"{place}/{name}"
            fitting = [under for pattern, under in by_pattern if pattern.is_in(name)]
            if name in properties:
                fitting.append(properties[name])
            if not fitting and "additionalProperties" in schema:
                fitting.append(schema["additionalProperties"])
            for under in fitting:
                yield from self.problems(under, each, inside, depth + 1)
            if "propertyNames" in schema:
                yield from self.problems(schema["propertyNames"], name, inside, depth + 1)

    def _array(
        self, schema: Mapping[str, Any], value: list[Any], place: str, depth: int
    ) -> Iterator[str]:
        first: Sequence[Any] = schema.get("prefixItems", ())
        for at, each in enumerate(value):
            under = first[at] if at < len(first) else schema.get("items", True)
            yield from self.problems(under, each, f"{place}/{at}", depth + 1)
        if "contains" in schema:
            count = sum(self.fits(schema["contains"], each, depth) for each in value)
            if not schema.get("minContains", 1) <= count <= schema.get("maxContains", math.inf):
                yield f"{place or '/'}: {count} items are of the kind it has to contain"
        if schema.get("uniqueItems") and len({_key(each) for each in value}) < len(value):
            yield f"{place or '/'}: an item is there twice"

    def _combined(
        self, schema: Mapping[str, Any], value: Any, place: str, depth: int
    ) -> Iterator[str]:
        for under in schema.get("allOf", ()):
            yield from self.problems(under, value, place, depth + 1)
        if "anyOf" in schema and not any(self.fits(each, value, depth) for each in schema["anyOf"]):
            yield f"{place or '/'}: it fits none of anyOf"
        if "oneOf" in schema:
            count = sum(self.fits(each, value, depth) for each in schema["oneOf"])
            if count != 1:
                yield f"{place or '/'}: it fits {count} of oneOf"
        if "not" in schema and self.fits(schema["not"], value, depth):
            yield f"{place or '/'}: it is what it must not be"
        if "if" in schema:
            then = "then" if self.fits(schema["if"], value, depth) else "else"
            yield from self.problems(schema.get(then, True), value, place, depth + 1)


def _plain(schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    kinds = schema.get("type")
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(_TYPES[kind](value) for kind in kinds):
            yield f"it is {value!r:.40}, not {' or '.join(kinds)}"
    if "enum" in schema and _key(value) not in {_key(each) for each in schema["enum"]}:
        yield f"{value!r:.40} is none of the {len(schema['enum'])} allowed values"
    if "const" in schema and _key(value) != _key(schema["const"]):
        yield f"{value!r:.40} is not {schema['const']!r:.40}"
    if _is_number(value):
        yield from _number(schema, value)
    elif isinstance(value, str):
        yield from _sized(schema, len(value), "Length", "characters")
        if "pattern" in schema and not patterns.compile(schema["pattern"]).is_in(value):
            yield f"{value!r:.40} does not match {schema['pattern']!r:.60}"
    elif isinstance(value, list):
        yield from _sized(schema, len(cast("list[Any]", value)), "Items", "items")
    elif isinstance(value, dict):
        yield from _sized(schema, len(cast("dict[str, Any]", value)), "Properties", "properties")


def _number(schema: Mapping[str, Any], value: int | float) -> Iterator[str]:
    if value < schema.get("minimum", -math.inf) or value <= schema.get(
        "exclusiveMinimum", -math.inf
    ):
        yield f"{value!r:.40} is too small"
    if value > schema.get("maximum", math.inf) or value >= schema.get("exclusiveMaximum", math.inf):
        yield f"{value!r:.40} is too large"
    step = schema.get("multipleOf")
    if step is not None and (
        not math.isfinite(value) or Fraction(str(value)) % Fraction(str(step))
    ):
        yield f"{value!r:.40} is no multiple of {step}"


def _sized(schema: Mapping[str, Any], size: int, what: str, unit: str) -> Iterator[str]:
    if size < schema.get(f"min{what}", 0) or size > schema.get(f"max{what}", math.inf):
        yield f"it has {size:,} {unit}"


def _key(value: Any) -> Any:
    """What equal JSON values have in common: 1 and 1.0 are one, 1 and true are two."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(_key(each) for each in cast("list[Any]", value)))
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return ("object", frozenset((name, _key(each)) for name, each in entries))
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
