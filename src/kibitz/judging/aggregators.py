"""What makes one number of many: by name, by an importable function, or several of these at once.

| text | is |
|---|---|
| `mean`, `median`, `min`, `max`, `sum`, `count`, `first`, `last` | what they say |
| `std` | the standard deviation of the values themselves, 0 for one |
| `all`, `any` | 1 where all, or any, are not 0 |
| `quantile:0.9` | the 0.9-quantile, linear between neighbours (Hyndman and Fan's type 7, as numpy does) |
| `share:>=0.5` | how many of them are at least 0.5, from 0 to 1; also `>`, `<=`, `<`, `==`, `!=` |

A function is given the numbers as a list and gives one number, or numbers by name.
"""

from __future__ import annotations

import math
import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from kibitz.base.errors import UsageError
from kibitz.judging import importables, numbers, places

Aggregate = Callable[[list[float]], Any]
DEFAULT: Final = "mean"

_NAMED: Final[dict[str, Aggregate]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
    "sum": math.fsum,
    "count": len,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "std": statistics.pstdev,
    "all": all,
    "any": any,
}
_COMPARE: Final[dict[str, tuple[Callable[[float, float], bool], str]]] = {
    ">=": (operator.ge, "at_least"),
    "<=": (operator.le, "at_most"),
    "==": (operator.eq, "is"),
    "!=": (operator.ne, "is_not"),
    ">": (operator.gt, "above"),
    "<": (operator.lt, "below"),
}
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_QUANTILE = re.compile(rf"quantile:({_NUMBER})")
_SHARE = re.compile(rf"share:(>=|<=|==|!=|>|<)({_NUMBER})")


class Aggregator:
    """One or several ways to make one number of many; immutable."""

    __slots__ = ("_each", "_one", "value")

    def __init__(self, each: Mapping[str, tuple[Any, Aggregate]], *, is_one: bool) -> None:
        self._each = each
        self._one = next(iter(each.values()))[1] if is_one else None
        described = {name: said for name, (said, _) in each.items()}
        self.value: Any = next(iter(described.values())) if is_one else {"several": described}
        """It as JSON; `load` gives the same again."""

    @property
    def why(self) -> str | None:
        """Why another process cannot have it; None where it can."""
        for said, _ in self._each.values():
            if isinstance(said, dict) and "why" in said:
                return str(cast("dict[str, Any]", said)["why"])
        return None

    def apply(self, values: list[float]) -> float | dict[str, float]:
        """The number, or numbers by name, of at least one value.

        Raises:
            NotAScore: a function gave something else.
            Exception: whatever a function raises.
        """
        if self._one is not None:
            return _score(self._one(values))
        found = {name: _score(func(values)) for name, (_, func) in self._each.items()}
        flat: dict[str, float] = {}
        for name, score in found.items():
            if isinstance(score, dict):
                flat.update({f"{name}_{below}": each for below, each in score.items()})
            else:
                flat[name] = score
        return flat


def of(given: Any) -> Aggregator:
    """The aggregator that is meant: a text, a function, or a list or mapping of these; None for the mean.

    Raises:
        UsageError: it is none of these, or the text is unknown.
    """
    if isinstance(given, Aggregator):
        return given
    if isinstance(given, Mapping):
        named = cast("Mapping[Any, Any]", given)
        if not named:
            raise UsageError("no aggregators are given", field="aggregator")
        return Aggregator({str(name): _one(each) for name, each in named.items()}, is_one=False)
    if isinstance(given, list | tuple):
        return _listed(cast("Sequence[Any]", given))
    return Aggregator({"": _one(DEFAULT if given is None else given)}, is_one=True)


def load(value: Any, allow: Sequence[str] | None = None) -> Aggregator:
    """The aggregator of its JSON.

    Raises:
        NotImportable: a function may not be imported, or is not there.
        UsageError: it is no aggregator.
    """
    if isinstance(value, dict) and "several" in value:
        several = cast("dict[str, Any]", value)["several"]
        if not isinstance(several, dict) or not several:
            raise UsageError(f"{places.shown(value)} is no aggregator", field="aggregator")
        each = cast("dict[str, Any]", several)
        return Aggregator({name: _loaded(said, allow) for name, said in each.items()}, is_one=False)
    return Aggregator({"": _loaded(value, allow)}, is_one=True)


def _one(given: Any) -> tuple[Any, Aggregate]:
    if isinstance(given, str):
        return given, _by_name(given)
    if callable(given):
        return importables.describe(given), given
    raise UsageError(
        f"{places.shown(given)} is no aggregator; give a function, a text such as 'mean' or 'quantile:0.9', or "
        "several of these as a list or mapping",
        field="aggregator",
    )


def _loaded(value: Any, allow: Sequence[str] | None) -> tuple[Any, Aggregate]:
    if isinstance(value, str):
        return value, _by_name(value)
    if isinstance(value, dict):
        said = cast("dict[str, Any]", value)
        return said, importables.load(said, allow)
    raise UsageError(f"{places.shown(value)} is no aggregator", field="aggregator")


def _listed(given: Sequence[Any]) -> Aggregator:
    if not given:
        raise UsageError("no aggregators are given", field="aggregator")
    each: dict[str, tuple[Any, Aggregate]] = {}
    for aggregate in given:
        said, func = _one(aggregate)
        name = _name(said)
        if name in each:
            raise UsageError(
                f"two aggregators are named {name!r}; name them: {{'low': …, 'high': …}}",
                field="aggregator",
            )
        each[name] = said, func
    return Aggregator(each, is_one=False)


def _name(said: Any) -> str:
    """What a number is called, so that queries can name it: without dots and signs."""
    if not isinstance(said, str):
        return str(said["name"])
    share = _SHARE.fullmatch(said)
    text = said if share is None else f"share_{_COMPARE[share[1]][1]}_{share[2]}"
    return re.sub(r"[^A-Za-z0-9]+", "_", text.replace("-", "minus "))


def _by_name(text: str) -> Aggregate:
    found = _NAMED.get(text)
    if found is not None:
        return found
    quantile = _QUANTILE.fullmatch(text)
    if quantile is not None and 0 <= float(quantile[1]) <= 1:
        share = float(quantile[1])
        return lambda values: _quantile(values, share)
    compared = _SHARE.fullmatch(text)
    if compared is not None:
        compare, bound = _COMPARE[compared[1]][0], float(compared[2])
        return lambda values: sum(compare(each, bound) for each in values) / len(values)
    raise UsageError(
        f"aggregator {text!r} is not known; known are {', '.join(_NAMED)}, 'quantile:' with a number from 0 to 1 "
        "and 'share:' with a comparison, as in 'quantile:0.9' and 'share:>=0.5'",
        field="aggregator",
    )


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    at = (len(ordered) - 1) * share
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def _score(value: Any) -> float | dict[str, float]:
    score = numbers.score(value)
    if isinstance(score, list):
        raise numbers.NotAScore(f"gave {len(score)} numbers, where one is expected")
    return score
