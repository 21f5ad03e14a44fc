"""The door to data frames: Arrow tables as pandas and polars have them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from kibitz.base.errors import MissingExtra
from kibitz.export import arrow

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


def check(name: str) -> None:
    """Raise `MissingExtra` where a library of frames is not installed, before anything is read for it."""
    _library(name)


def to_pandas(table: pyarrow.Table) -> pandas.DataFrame:
    """The same as pandas has it; raises `MissingExtra` where that is not installed."""
    check("pandas")
    whole: Any = table
    return whole.to_pandas()


def to_polars(table: pyarrow.Table) -> polars.DataFrame:
    """The same as polars has it; raises `MissingExtra` where that is not installed."""
    found: Any = _library("polars").from_arrow(table)
    return found


def pandas_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Rows of any values as pandas has them, with these columns; raises `MissingExtra` where that is not installed."""
    found: Any = _library("pandas").DataFrame(list(rows), columns=list(columns))
    return found


def table(columns: Mapping[str, Sequence[Any]]) -> pyarrow.Table:
    """Columns as a table. What is of several kinds becomes JSON text, so that nothing is lost.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    pa = arrow.library()
    return pa.table({name: pa.array(_of_one_kind(values)) for name, values in columns.items()})


def _of_one_kind(values: Sequence[Any]) -> list[Any]:
    kinds = {_kind(each) for each in _flat(values)}
    if len(kinds) <= 1:
        # Arrow takes the first for the kind of all, and an integer is not one of a float.
        parted = any(isinstance(each, float) for each in _flat(values))
        return [float(each) if parted and _is_number(each) else each for each in values]
    return [None if each is None else msgspec.json.encode(each).decode() for each in values]


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for each in values:
        if isinstance(each, list):
            yield from cast("list[Any]", each)
        elif each is not None:
            yield each


def _kind(value: Any) -> str:
    return "number" if _is_number(value) else type(value).__name__


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"a frame of {name} needs {name}, which is not installed; "
            f"pip install 'kibitz[arrow]' {name}"
        ) from error
