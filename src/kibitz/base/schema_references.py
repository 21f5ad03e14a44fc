"""JSON schemas with their own definitions put in place: what pydantic writes becomes one plain tree."""

from __future__ import annotations

from typing import Any, cast

from kibitz.base.errors import InvalidSpecification

MAX_NODES = 10_000
MAX_DEPTH = 40
"""Levels of lists and objects."""
_LOCAL = ("#/$defs/", "#/definitions/")


def resolved(schema: object) -> object:
    """A schema without `$ref`, `$defs`, `$schema` and an `allOf` of one.

    Raises:
        InvalidSpecification: a reference leads outside of the schema or into itself, or it is too large.
    """
    if not isinstance(schema, dict):
        return schema
    whole = cast("dict[str, Any]", schema)
    definitions: dict[str, Any] = {}
    for keyword in ("$defs", "definitions"):
        found = whole.get(keyword)
        if isinstance(found, dict):
            definitions.update(cast("dict[str, Any]", found))
    plain = {
        name: each
        for name, each in whole.items()
        if name not in ("$defs", "definitions", "$schema")
    }
    return _Resolver(definitions).node(plain, "schema", (), 0)


class _Resolver:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._nodes = 0

    def node(self, value: object, place: str, inside: tuple[str, ...], depth: int) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise InvalidSpecification(
                f"schema has more than {MAX_NODES:,} parts", field="schema", keyword=""
            )
        if depth > MAX_DEPTH:
            raise InvalidSpecification(
                f"{place[:200]} is more than {MAX_DEPTH} levels deep; flatten it",
                field=place[:200],
                keyword="",
            )
        if isinstance(value, list):
            return [
                self.node(each, f"{place}[{at}]", inside, depth + 1)
                for at, each in enumerate(cast("list[Any]", value))
            ]
        if not isinstance(value, dict):
            return value
        entries = cast("dict[Any, Any]", value)
        for name in entries:
            if not isinstance(name, str):
                raise InvalidSpecification(
                    f"{place} has the key {name!r}, which is no text", field=place, keyword=""
                )
        if "$ref" in entries:
            return self._target(cast("dict[str, Any]", value), place, inside, depth)
        whole = entries.get("allOf")
        if isinstance(whole, list) and len(cast("list[Any]", whole)) == 1:
            rest = {name: each for name, each in entries.items() if name != "allOf"}
            inner = self.node(cast("list[Any]", whole)[0], f"{place}.allOf[0]", inside, depth + 1)
            if isinstance(inner, dict):
                return {**cast("dict[str, Any]", inner), **rest}
        return {
            name: self.node(each, f"{place}.{name}", inside, depth + 1)
            for name, each in entries.items()
        }

    def _target(
        self, schema: dict[str, Any], place: str, inside: tuple[str, ...], depth: int
    ) -> object:
        ref = schema["$ref"]
        name = next(
            (ref[len(each) :] for each in _LOCAL if isinstance(ref, str) and ref.startswith(each)),
            None,
        )
        at = f"{place}.$ref"
        if name is None or name not in self._definitions:
            raise InvalidSpecification(
                f"{at} is {str(ref)[:120]!r}, which leads to no definition of this schema",
                field=at,
                keyword="$ref",
            )
        if name in inside:
            raise InvalidSpecification(
                f"{at} leads to {name!r}, which it is a part of: a form has an end",
                field=at,
                keyword="$ref",
            )
        target = self.node(self._definitions[name], place, (*inside, name), depth + 1)
        rest = {
            key: self.node(each, f"{place}.{key}", inside, depth + 1)
            for key, each in schema.items()
            if key != "$ref"
        }
        return {**cast("dict[str, Any]", target), **rest} if isinstance(target, dict) else target
