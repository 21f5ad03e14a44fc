"""Numbers in a row: what callers pass, checked, and the ranks that several measures begin with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kibitz.base.errors import UsageError


def numbers(values: Iterable[Any], what: str) -> list[float]:
    """The values as numbers; booleans are 0 and 1, numbers of numpy and pandas as good as Python's.

    Raises:
        UsageError: a value is no finite number; says which.
    """
    found: list[float] = []
    for at, each in enumerate(values):
        try:
            number = math.nan if isinstance(each, str | bytes) else float(each)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"{what}[{at}] is {each!r:.60}, not a finite number", at=at)
        found.append(number)
    return found


def pair(
    one: Iterable[Any], other: Iterable[Any], names: tuple[str, str], least: int = 1
) -> tuple[list[float], list[float]]:
    """Two rows of numbers of one length.

    Raises:
        UsageError: they have different lengths, or fewer than `least`.
    """
    left, right = numbers(one, names[0]), numbers(other, names[1])
    alike(left, right, names, least)
    return left, right


def alike(one: Sequence[Any], other: Sequence[Any], names: tuple[str, str], least: int = 1) -> None:
    """Make sure that two rows have one length, and enough in them.

    Raises:
        UsageError: they have not.
    """
    if len(one) != len(other):
        raise UsageError(
            f"{names[0]} has {len(one):,} values and {names[1]} has {len(other):,}; they belong together one by one"
        )
    if len(one) < least:
        raise UsageError(f"there are {len(one)} values; at least {least} are needed")


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1 on; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for at in order[begin:end]:
            found[at] = (begin + 1 + end) / 2
        begin = end
    return found


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value, as exact as floating point allows."""
    return math.fsum(values) / len(values)


def groups(values: Sequence[float], key: Callable[[float], int]) -> dict[int, list[int]]:
    """The positions of the values by a key of them."""
    found: dict[int, list[int]] = {}
    for at, each in enumerate(values):
        found.setdefault(key(each), []).append(at)
    return found
