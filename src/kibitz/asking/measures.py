"""What to say of each group of calls, as Python writes it: `mean(calls.latency)`, `share(feedback("x").output)`.

Each is a measure of `query.aggregation`, which says what it means; words do as well: `"p95(latency)"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kibitz.base.errors import QueryError
from kibitz.query import expressions, nodes, shapes, text_fields, text_tokens
from kibitz.query.expressions import Field

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure in words."""

    text: str

    def __repr__(self) -> str:
        return self.text


def count(field: Field[Any] | None = None) -> Measure:
    """How many calls there are; with a field how many of them have a value there."""
    return Measure("count" if field is None else f"count({place(field)})")


def mean(field: Field[Any]) -> Measure:
    """The mean of the numbers, booleans as 0 and 1, with a confidence interval."""
    return Measure(f"mean({place(field)})")


def sd(field: Field[Any]) -> Measure:
    """The standard deviation of the numbers."""
    return Measure(f"sd({place(field)})")


def sum(field: Field[Any]) -> Measure:
    """The sum of the numbers."""
    return Measure(f"sum({place(field)})")


def min(field: Field[Any]) -> Measure:
    """The least number."""
    return Measure(f"min({place(field)})")


def max(field: Field[Any]) -> Measure:
    """The greatest number."""
    return Measure(f"max({place(field)})")


def median(field: Field[Any]) -> Measure:
    """The number in the middle."""
    return Measure(f"median({place(field)})")


def quantile(field: Field[Any], q: float) -> Measure:
    """The number that so large a part of the numbers, from 0 to 1, are not above. Raises `QueryError`."""
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 <= q <= 1:  # pyright: ignore[reportUnnecessaryIsInstance] a public door
        raise QueryError(f"quantile {shapes.short(q)} is not a number from 0 to 1")
    return Measure(f"quantile({place(field)}, {float(q)!r})")


def share(field: Field[Any], value: Value = True) -> Measure:
    """Which part of the values is this one, with a confidence interval; of booleans true where nothing is said."""
    if value is True:
        return Measure(f"share({place(field)})")
    if isinstance(value, str):
        return Measure(f"share({place(field)}, {text_tokens.quote(value)})")
    written = str(value).lower() if isinstance(value, bool) else repr(value)
    return Measure(f"share({place(field)}, {written})")


def histogram(field: Field[Any], bins: int = 20) -> Measure:
    """How the numbers are spread over at most so many bins of one width."""
    return Measure(f"histogram({place(field)}, {bins})")


def values(field: Field[Any], most: int = 10) -> Measure:
    """The most frequent values with how often each is there."""
    return Measure(f"values({place(field)}, {most})")


def distinct(field: Field[Any]) -> Measure:
    """How many different values there are."""
    return Measure(f"distinct({place(field)})")


def place(field: object) -> str:
    """A field in words; raises `QueryError` where it is none."""
    operand = expressions.field_of(field)
    if operand is None:
        raise QueryError(f"{shapes.short(field)} is no field; write calls.latency or the like")
    if isinstance(operand, nodes.Size | nodes.Convert):
        raise QueryError(
            f"{text_fields.format(operand)} is worked out; groups and measures are of what is stored"
        )
    return text_fields.format(operand)
