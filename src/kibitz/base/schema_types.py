"""JSON schemas of Python types: what an annotation asks for, as a program would say it.

| Python | control |
|---|---|
| `bool`, `int`, `float`, `str` | boolean, integer, number, text |
| `Annotated[int, Field(ge=1, le=5)]`, `(int, Field(ge=1, le=5))` | with bounds, by pydantic, msgspec, annotated-types or a dict of keywords |
| `Literal["a", "b"]`, an `Enum` | choice |
| `set[Literal[…]]`, `list[Literal[…]]` | multiple choice |
| `X | None` | the same, and null |
| a dataclass, `TypedDict`, `msgspec.Struct` or pydantic model | one control for each field |
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from kibitz.base import schema_references
from kibitz.base.errors import InvalidSpecification

_PLAIN: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_CONSTRAINTS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "title": "title",
    "description": "description",
}
_LISTS = (list, set, frozenset, typing.List, typing.Set, typing.FrozenSet)  # noqa: UP006 what a user may have written


def schema_of(source: object) -> dict[str, Any]:
    """The schema of a type, or the schema itself with its references put in place.

    Raises:
        InvalidSpecification: there is no control for such a type.
    """
    if isinstance(source, Mapping):
        resolved = schema_references.resolved(dict(cast("Mapping[str, Any]", source)))
        return cast("dict[str, Any]", resolved)
    if isinstance(source, tuple):
        given = cast("tuple[Any, ...]", source)
        if not given:
            raise _unknown(given, "schema")
        return _annotated(given[0], given[1:], "schema")
    return _schema(source, "schema", ())


def plain(value: object) -> Any:
    """A value of such a type as the JSON that the schema is about."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return cast("Any", value).model_dump(mode="json")
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if hasattr(value, "__struct_fields__") and not isinstance(value, type):
        names: tuple[str, ...] = cast("Any", value).__struct_fields__
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        entries = cast("Mapping[Any, Any]", value)
        return {name: plain(each) for name, each in entries.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(each) for each in cast("set[Any]", value)), key=repr)
    if isinstance(value, list | tuple):
        return [plain(each) for each in cast("list[Any]", value)]
    return value


def _schema(kind: Any, place: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    if kind in inside:
        raise InvalidSpecification(
            f"{place} is {_name(kind)}, which it is a part of: a form has an end", field=place
        )
    origin = get_origin(kind)
    if origin is Annotated:
        first, *more = get_args(kind)
        return _annotated(first, more, place, inside)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), place, inside)
    if origin is Literal:
        return _options(get_args(kind))
    if origin in _LISTS:
        return _choices(kind, place, inside)
    try:
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
    except TypeError:
        raise _unknown(kind, place) from None
    if kind is Any:
        # A dict beside it in `Annotated` says the rest.
        return {}
    if not inspect.isclass(kind):
        raise _unknown(kind, place)
    return _of_class(kind, place, inside)


def _of_class(kind: type[Any], place: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    if issubclass(kind, enum.Enum):
        return _options([each.value for each in kind]) | _about(kind)
    if hasattr(kind, "model_json_schema"):
        written = schema_references.resolved(kind.model_json_schema())
        return cast("dict[str, Any]", _unique(written))
    return _group(kind, place, inside)


def _annotated(
    kind: Any, metadata: Iterable[Any], place: str, inside: tuple[Any, ...] = ()
) -> dict[str, Any]:
    schema = _schema(kind, place, inside)
    for each in metadata:
        schema |= _constraints(each)
    if schema.get("type") == "array":
        for theirs, ours in (("minLength", "minItems"), ("maxLength", "maxItems")):
            if theirs in schema:
                schema[ours] = schema.pop(theirs)
    return schema


def _constraints(metadata: Any) -> dict[str, Any]:
    """The keywords that one piece of `Annotated` means: by name, as all libraries call them alike."""
    if isinstance(metadata, str):
        return {"description": metadata}
    if isinstance(metadata, Mapping):
        return dict(cast("Mapping[str, Any]", metadata))
    found: dict[str, Any] = {}
    # pydantic's Field keeps its bounds as a list of such pieces.
    for inner in cast("Iterable[Any]", getattr(metadata, "metadata", None) or ()):
        found |= _constraints(inner)
    for theirs, ours in _CONSTRAINTS.items():
        value = getattr(metadata, theirs, None)
        if value is not None and not callable(value):
            found[ours] = value
    extra = getattr(metadata, "json_schema_extra", None) or getattr(
        metadata, "extra_json_schema", None
    )
    if isinstance(extra, Mapping):
        found |= dict(cast("Mapping[str, Any]", extra))
    return found


def _union(members: Iterable[Any], place: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    others = [each for each in members if each is not type(None)]
    if len(others) != 1:
        raise InvalidSpecification(
            f"{place} may be of {len(others)} types; a control is of one, and None beside it",
            field=place,
        )
    return {"anyOf": [_schema(others[0], place, inside), {"type": "null"}]}


def _options(values: Iterable[Any]) -> dict[str, Any]:
    return {"enum": [each.value if isinstance(each, enum.Enum) else each for each in values]}


def _choices(kind: Any, place: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    arguments = get_args(kind)
    items = _schema(arguments[0], f"{place}.items", inside) if arguments else {}
    return {"type": "array", "items": items, "uniqueItems": True}


def _group(kind: Any, place: str, inside: tuple[Any, ...]) -> dict[str, Any]:
    """The schema of a class with fields."""
    if not (
        dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__struct_fields__")
    ):
        raise _unknown(kind, place)
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError) as error:
        raise InvalidSpecification(
            f"{place} is {_name(kind)}, whose field types cannot be resolved: {error}", field=place
        ) from error
    defaults = _defaults(kind)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, hint in hints.items():
        if get_origin(hint) is typing.ClassVar:
            continue
        schema = _schema(_bare(hint), f"{place}.{name}", (*inside, kind))
        if name not in defaults:
            required.append(name)
        elif defaults[name] is not _NO_VALUE:
            schema["default"] = defaults[name]
        properties[name] = schema
    group: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        group["required"] = required
    return group | _about(kind)


_NO_VALUE: Any = object()
"""The default of a field that is made anew each time: it may be left out, and nothing is shown for it."""


def _defaults(kind: Any) -> dict[str, Any]:
    """The fields that may be left out, with their default."""
    if typing.is_typeddict(kind):
        return dict.fromkeys(kind.__optional_keys__, _NO_VALUE)
    if dataclasses.is_dataclass(kind):
        return {
            each.name: _plain(each.default)
            for each in dataclasses.fields(kind)
            if each.default is not dataclasses.MISSING
            or each.default_factory is not dataclasses.MISSING
        }
    names: tuple[str, ...] = kind.__struct_fields__
    given: tuple[Any, ...] = kind.__struct_defaults__
    return {
        name: _plain(default)
        for name, default in zip(names[len(names) - len(given) :], given, strict=True)
    }


def _plain(default: object) -> Any:
    if isinstance(default, enum.Enum):
        default = default.value
    if isinstance(default, set | frozenset):
        default = sorted(cast("set[Any]", default), key=repr)
    if isinstance(default, list):
        return cast("list[Any]", default)
    return default if isinstance(default, str | int | float | bool | None) else _NO_VALUE


def _bare(hint: Any) -> Any:
    """A hint without what a TypedDict says about the key."""
    if get_origin(hint) in _about_keys():
        return get_args(hint)[0]
    return hint


def _about_keys() -> tuple[Any, ...]:
    return tuple(
        found
        for name in ("Required", "NotRequired", "ReadOnly")
        if (found := getattr(typing, name, None)) is not None
    )


def _about(kind: Any) -> dict[str, Any]:
    """The docstring of a class, where somebody wrote one."""
    doc = kind.__dict__.get("__doc__")
    # dataclass writes the signature there, Enum a sentence of its own.
    generated: Callable[[str], bool] = lambda text: text.startswith(f"{kind.__name__}(")  # noqa: E731
    if not isinstance(doc, str) or generated(doc) or doc == "An enumeration.":
        return {}
    return {"description": inspect.cleandoc(doc)}


def _unique(schema: object) -> object:
    """A schema that pydantic wrote: a list of options there is a multiple choice."""
    if isinstance(schema, list):
        return [_unique(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    entries = {name: _unique(each) for name, each in cast("dict[str, Any]", schema).items()}
    items: Any = entries.get("items")
    if entries.get("type") == "array" and isinstance(items, dict) and "format" not in entries:
        entries["uniqueItems"] = True
    return entries


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", None) or repr(kind))[:80]


def _unknown(kind: Any, place: str) -> InvalidSpecification:
    return InvalidSpecification(
        f"{place} is {_name(kind)}; a schema is a dict of JSON Schema, bool, int, float, str, Literal, an Enum, "
        "a set of Literal, a dataclass, a TypedDict or a pydantic model, maybe Annotated",
        field=place,
    )
