"""The door to data frames: Arrow tables as pandas and polars have them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kibitz.base.errors import MissingExtra

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


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"a frame of {name} needs {name}, which is not installed; "
            f"pip install 'kibitz[arrow]' {name}"
        ) from error
