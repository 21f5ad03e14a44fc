"""What an implementation may give back, as numbers.

| it gives | that is |
|---|---|
| a bool, int, float, Decimal, Fraction or number of numpy | one number; a bool is 1 or 0 |
| a mapping of texts to these | named scores |
| a list of these, or a numpy array of one dimension | several numbers, which the aggregator sees one by one |
| any of these and a mapping, as a pair | the same with what it says beside: its reasons |

Everything else, and what is no finite number, is refused with the value in the message.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, cast

from kibitz.judging import places

Score = float | list[float] | dict[str, float]
_EXPECTED: Final = (
    "expected is a number, true or false, named numbers, a list of numbers, or one of these with a mapping of what "
    "is said beside it"
)


class NotAScore(ValueError):
    """A value that says no number."""


def read(value: Any) -> tuple[Score, dict[str, Any]]:
    """What an implementation gave back as its score and what it said beside.

    Raises:
        NotAScore: it is none.
    """
    if type(value) is float and value - value == 0.0:
        return value, {}
    if isinstance(value, tuple):
        pair = cast("tuple[Any, ...]", value)
        if len(pair) != 2 or not isinstance(pair[1], Mapping):
            raise NotAScore(
                f"gave {places.shown(pair)}: a pair is a score and a mapping of what is said beside it"
            )
        metadata = cast("Mapping[Any, Any]", pair[1])
        return score(pair[0]), {str(name): each for name, each in metadata.items()}
    return score(value), {}


def score(value: Any) -> Score:
    """A number, named numbers or a list of numbers.

    Raises:
        NotAScore: it is none of these.
    """
    if type(value) is float or type(value) is int:
        # The commonest by far.
        return number(value)
    if isinstance(value, Mapping):
        named = cast("Mapping[Any, Any]", value)
        if not named:
            raise NotAScore("gave a mapping without scores")
        return {_name(name): number(each, f" for {name!r}") for name, each in named.items()}
    if isinstance(value, list) or _is_vector(value):
        return [
            number(each, f" at position {at}") for at, each in enumerate(cast("list[Any]", value))
        ]
    return number(value)


def number(value: Any, where: str = "") -> float:
    """A finite number; `where` is said in the error.

    Raises:
        NotAScore: it is none.
    """
    is_number = isinstance(value, int | float | Decimal | Fraction) or _is_number_of_numpy(value)
    found = _float(value) if is_number else None
    if found is None:
        raise NotAScore(f"gave {_said(value)}{where}; {_EXPECTED}")
    if not math.isfinite(found):
        raise NotAScore(f"gave {_said(value)}{where}, which is no finite number")
    return found


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError):
        return math.inf if isinstance(value, int | Fraction | Decimal) else None


def _said(value: Any) -> str:
    kind = type(value).__name__
    return "None" if value is None else f"{places.shown(value)} ({kind})"


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise NotAScore(f"gave a score named {places.shown(name)}; names are texts")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise NotAScore(
            f"gave a score named {name!a}, which is no text that can be written"
        ) from None
    return name


def _is_number_of_numpy(value: Any) -> bool:
    # numpy is not loaded to ask: whoever has a number of it has loaded it.
    return (
        type(value).__module__.partition(".")[0] == "numpy"
        and getattr(value, "shape", None) == ()
        and getattr(getattr(value, "dtype", None), "kind", "") in "biuf"
    )


def _is_vector(value: Any) -> bool:
    return (
        type(value).__module__.partition(".")[0] == "numpy"
        and len(getattr(value, "shape", ())) == 1
    )
