"""How values of other packages become JSON. A class is known by what it has, so that no package is imported."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from kibitz.base import typed
from kibitz.base.jsonwriter import TYPE, Write, Writer, class_of
from kibitz.base.records import Json

_HEAD_ROWS = 10
_HEAD_COLUMNS = 100
_ARRAY_ITEMS = 1000


def writer_of(kind: type[Any]) -> Write:
    """How values of a class are written: by its shape, and by class and `repr` where that says nothing."""
    own = {name for base in kind.__mro__ for name in vars(base)}
    if "__dataclass_fields__" in own:
        return _by_fields(cast("Any", kind).__dataclass_fields__)
    if "__struct_fields__" in own:
        return _by_fields(cast("Any", kind).__struct_fields__)
    if "__attrs_attrs__" in own:
        return _by_fields(each.name for each in cast("Any", kind).__attrs_attrs__)
    if "model_dump" in own:
        return _write_model
    homes = {(base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__}
    if homes & {("pandas", "DataFrame"), ("polars", "DataFrame")}:
        return _write_frame
    if homes & {("pandas", "Series"), ("polars", "Series")}:
        return _write_series
    if ("PIL", "Image") in homes:
        return _write_image
    if ("numpy", "generic") in homes:
        return _write_scalar
    if {"shape", "dtype", "tolist", "reshape"} <= own:
        return _write_array
    if issubclass(kind, Mapping):
        return typed.write_mapping
    return lambda writer, value, _: writer.opaque(value)


def _by_fields(names: Iterable[str]) -> Write:
    kept = tuple(names)
    return lambda writer, value, depth: writer.fields(value, kept, depth)


def _write_model(writer: Writer, value: Any, depth: int) -> Json:
    dumped = value.model_dump()
    if not isinstance(dumped, dict):
        return writer.write_at(dumped, depth)
    return writer.object(value, list(cast("dict[Any, Any]", dumped).items()), depth)


def _write_frame(writer: Writer, value: Any, depth: int) -> Json:
    rows, columns = value.shape
    head = value.head(_HEAD_ROWS)
    names = [str(name) for name in list(value.columns)[:_HEAD_COLUMNS]]
    # polars hands out rows itself; pandas through its values.
    lines = head.rows() if callable(getattr(head, "rows", None)) else head.values.tolist()
    return {
        TYPE: "dataframe",
        "class": class_of(value),
        "shape": [int(rows), int(columns)],
        "columns": [writer.text(name) for name in names],
        "value": writer.nested([list(line)[:_HEAD_COLUMNS] for line in lines], depth + 1),
    }


def _write_series(writer: Writer, value: Any, depth: int) -> Json:
    return {
        TYPE: "array",
        "class": class_of(value),
        "shape": [len(value)],
        "dtype": str(value.dtype),
        "value": writer.nested(value.head(_ARRAY_ITEMS).to_list(), depth + 1),
    }


def _write_array(writer: Writer, value: Any, depth: int) -> Json:
    shape = [int(length) for length in value.shape]
    whole = math.prod(shape) <= _ARRAY_ITEMS
    items = value.tolist() if whole else value.reshape(-1)[:_ARRAY_ITEMS].tolist()
    return {
        TYPE: "array",
        "class": class_of(value),
        "shape": cast("Json", shape),
        "dtype": str(value.dtype),
        "value": writer.nested(items, depth + 1),
    }


def _write_scalar(writer: Writer, value: Any, depth: int) -> Json:
    item = value.item()
    return writer.opaque(value) if type(item) is type(value) else writer.write_at(item, depth)


def _write_image(writer: Writer, value: Any, _: int) -> Json:
    target = io.BytesIO()
    value.save(target, "PNG")
    return writer.file(target.getvalue(), "image/png")
