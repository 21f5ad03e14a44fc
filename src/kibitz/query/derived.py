"""What is worked out from one value: its size, and the same as another kind.

size       of a list its elements, of an object its keys, of a text its characters (code points); nothing else has one
number     a number itself; false and true as 0 and 1; a text that spells one, `-1.5e3`, with blanks around it or not
integer    the number without its fraction, toward zero
text       a text itself; true and false; a number as JSON has it, whole ones below 10^15 without a point
bool       a boolean itself; a number, whether it is not 0; the texts true, false, 1 and 0 in any case

What cannot be worked out is missing. That is no error: one odd value does not spoil a question about many.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, cast

from kibitz.query.nodes import ConvertTo

MISSING: Final = object()
"""What is found where there is nothing."""

WHOLE_BELOW = 10**15
_NUMBER = re.compile(
    r"[ \t\r\n]*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t\r\n]*"
)
_MAX_NUMBER_CHARACTERS = 400
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def size(value: Any) -> Any:
    """How long a value is; `MISSING` where it has no size."""
    if isinstance(value, str | list | dict):
        return len(cast("str | list[Any] | dict[str, Any]", value))
    return MISSING


def convert(value: Any, to: ConvertTo) -> Any:
    """A value as another kind; `MISSING` where it cannot be."""
    match to:
        case "number":
            return _number(value)
        case "integer":
            number = _number(value)
            return number if number is MISSING else float(math.trunc(cast("float", number)))
        case "text":
            return _text(value)
        case "bool":
            return _bool(value)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > _MAX_NUMBER_CHARACTERS or not _NUMBER.fullmatch(value):
            return MISSING
        number = float(value)
    elif isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            return MISSING
    else:
        return MISSING
    return number if math.isfinite(number) else MISSING


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    number = _number(value)
    if number is MISSING:
        return MISSING
    whole = abs(number) < WHOLE_BELOW and number == int(number)
    return str(int(number)) if whole else repr(number)


def _bool(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return (
            _BOOLEANS.get(value.strip(" \t\r\n").lower(), MISSING) if len(value) < 20 else MISSING
        )
    number = _number(value)
    return number if number is MISSING else number != 0
